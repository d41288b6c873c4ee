"""Damaged runs on the command line: an error for the one, a remark beside many, exports and deletions."""

from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import Call, History
from tests.stores.sqlite.damage import damage

_STORE = ("--store", "history")
_LOST = [{"workflow_id": "w", "execute_id": "run-00002"}]


@pytest.fixture
def holed(history: History, monkeypatch: pytest.MonkeyPatch) -> History:
    """Three runs of ``w``, the second of which is damaged, without JSON files."""
    monkeypatch.setenv("EXECUTION_HISTORY_JSON_FILES", "false")
    for name in ("run-00001", "run-00002", "run-00003"):
        history.keep(name, "w", parameters={"city": "Paris"}, execute_status="success", output="done")
        history.now += 1
    for file in history.folder.glob("*.json"):
        file.unlink()
    damage(history.folder, "run-00002")
    return history


@pytest.mark.parametrize(
    ("language", "said"), [("C.UTF-8", "cannot be read, because its data in"), ("zh_CN.UTF-8", "中的数据已损坏")]
)
@pytest.mark.parametrize(
    "words", [["show", "run-00002"], ["show", "run-00002", "--workflow", "w"], ["tag", "run-00002", "checked"]]
)
@pytest.mark.usefixtures("holed")
def test_a_damaged_run_that_is_asked_for_is_one_sentence(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], language: str, said: str
) -> None:
    """And exit code 4, in both languages."""
    monkeypatch.setenv("LANG", language)
    answer = call(*words, *_STORE)
    assert (4, "", 1) == (answer.code, answer.out, len(answer.err.splitlines()))
    assert said in answer.err
    assert "doctor" not in answer.err


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "C.UTF-8",
            (
                "1 run is left out because its data is damaged: run-00002. To repair it: "
                "execution-history --store history import BACKUP. To give it up: "
                "execution-history --store history delete ID.\n"
            ),
        ),
        (
            "zh_CN.UTF-8",
            (
                "略去了 1 次运行，因为它们的数据已损坏：run-00002。"
                "修复：execution-history --store history import 备份文件；"
                "放弃：execution-history --store history delete ID。\n"
            ),
        ),
    ],
)
@pytest.mark.parametrize(
    "words", [["list"], ["list", "w"], ["list", "--status", "success"], ["stats", "--where", "input.city = Paris"]]
)
@pytest.mark.usefixtures("holed")
def test_lists_go_on_without_it_and_say_so(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], language: str, said: str
) -> None:
    """On the standard error; programs find it in the document too."""
    monkeypatch.setenv("LANG", language)
    answer = call(*words, *_STORE)
    assert (0, True) == (answer.code, said in answer.err)
    assert "run-00002" not in answer.out
    told = call(*words, "--json", *_STORE)
    assert (0, _LOST, True) == (told.code, told.json()["damaged"], said in told.err)


@pytest.mark.usefixtures("holed")
def test_a_page_counts_the_runs_that_it_shows(call: Call) -> None:
    """What cannot be read is not among them, and a page of nothing else has no lines at all."""
    assert "Runs 1 to 2 of 3, page 1 of 1." == call("list", *_STORE).err.splitlines()[0]
    said = call("list", "--page-size", "1", "--page", "2", *_STORE)
    assert ("", True) == (said.out, said.err.startswith("Next: execution-history list --page 3"))


@pytest.mark.usefixtures("holed")
def test_a_run_that_is_left_out_is_deleted_as_the_sentence_says(call: Call) -> None:
    """With the id and the command as they stand there."""
    sentence = call("list", *_STORE).err
    execute_id = sentence.split("damaged: ")[1].split(".")[0]
    words = sentence.split("give it up: execution-history ")[1].rstrip(".\n").replace("ID", execute_id).split()
    assert 0 == call(*words).code
    assert "left out" not in call("list", *_STORE).err


@pytest.mark.parametrize("target", ["-", "runs.jsonl", "runs.json", "runs.csv", "runs.zip", "folder"])
@pytest.mark.usefixtures("holed")
def test_an_export_that_lacks_a_run_ends_with_1(call: Call, tmp_path: Path, target: str) -> None:
    """What could be read is written whole, and the end says what is missing."""
    more = ("--format", "json") if target == "folder" else ()
    answer = call("export", "-o", target, *more, *_STORE)
    assert (1, True) == (answer.code, "damaged: run-00002." in answer.err)
    if target in {"-", "runs.jsonl"}:
        lines = answer.out if target == "-" else (tmp_path / target).read_text()
        assert ["run-00001", "run-00003"] == [orjson.loads(line)["execute_id"] for line in lines.splitlines()]
        return
    told = call("export", "-o", f"again-{target}", "--json", *more, *_STORE)
    assert (1, 2, 1, _LOST) == (told.code, told.json()["records"], told.json()["damaged_count"], told.json()["damaged"])


@pytest.mark.parametrize("word", ["run-00002", "run-0000"])
def test_a_damaged_run_is_deleted_by_its_id(call: Call, holed: History, word: str) -> None:
    """Unless another may be meant: by a beginning, or in another workflow."""
    if word == "run-0000":
        answer = call("delete", word, *_STORE)
        assert (2, True) == (answer.code, "run-00002  -  damaged  w" in answer.err)
        return
    holed.keep("run-00002", "v")
    answer = call("delete", word, *_STORE)
    assert (2, True) == (answer.code, "v" in answer.err)
    assert 0 == call("delete", word, "--workflow", "v", *_STORE).code
    assert 0 == call("delete", word, *_STORE).code
    left = call("list", *_STORE)
    assert (True, False) == ("run-00003" in left.out, "left out" in left.err)
