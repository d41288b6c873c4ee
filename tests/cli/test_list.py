"""``list`` and ``workflows``: what they show to people and to programs."""

import re
import shlex
from pathlib import Path

import orjson
import pytest
from rich.cells import cell_len

from tests.cli.conftest import Call, History


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that shows no colours."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")


def test_a_line_shows_what_became_of_a_run(call: Call, history: History) -> None:
    """Status, start, duration, tokens, workflow, id and output stand on one line when nothing limits it."""
    history.keep(after=12_449, execute_status="success", output={"output": "the answer"}, usage={"token_count": 1_920})
    said = call("list", "--store", "history")
    assert "● success  2023-11-14 22:13:20    12.4 s   1 920  w         run-1   the answer" == said.out.splitlines()[1]


@pytest.mark.parametrize(
    ("status", "mark"),
    [("success", "● success"), ("failed", "✕ failed"), ("interrupted", "◇ interrupted"), (None, "◐ running")],
)
def test_every_status_has_a_shape_and_a_word(call: Call, history: History, status: str | None, mark: str) -> None:
    """Nobody needs colours to tell them apart."""
    history.keep(execute_status=status)
    assert call("list", "--store", "history").out.splitlines()[1].startswith(mark + "  ")


def test_a_failed_run_shows_its_error(call: Call, history: History) -> None:
    """Message and code stand where the output would."""
    history.keep(execute_status="failed", error_message="plugin timed out", error_code=720702017)
    assert call("list", "--store", "history").out.rstrip().endswith("plugin timed out (720702017)")


def test_json_is_the_stored_page(call: Call, history: History) -> None:
    """One document with the records as they are stored, the total, and whether there is more."""
    for number in range(3):
        history.keep(f"run-{number}", parameters={"n": number})
    said = call("list", "w", "--page-size", "2", "--json", "--store", "history")
    assert {"histories": history.read("w")[:2], "total": 3, "has_more": True} == said.json()
    assert "" == said.err


def test_a_page_says_what_it_is_of_and_where_the_next_is(call: Call, history: History) -> None:
    """The next page is a call that can be copied, on the same store and of the same size."""
    for number in range(3):
        history.keep(f"run-{number}")
    said = call("list", "w", "--page-size", "2", "--store", "history")
    assert [
        "Runs 1 to 2 of 3, page 1 of 2.",
        "Next: execution-history list w --page 2 --page-size 2 --store history",
    ] == said.err.splitlines()
    last = call("list", "w", "--page-size", "2", "--page", "2", "--store", "history")
    assert ["Runs 3 to 3 of 3, page 2 of 2."] == last.err.splitlines()


def test_the_next_call_is_right_for_an_id_with_a_dash(call: Call, history: History) -> None:
    """It is not taken for an option."""
    for number in range(3):
        history.keep(f"run-{number}", "-dash")
    said = call("list", "--page-size", "2", "--store", "history", "--", "-dash").err.splitlines()[-1]
    assert "Next: execution-history list --page 2 --page-size 2 --store history -- -dash" == said
    assert "run-0" in call(*shlex.split(said)[2:]).out


def test_a_page_past_the_end_says_so(call: Call, history: History) -> None:
    """It is no error, and the last page is named."""
    history.keep()
    said = call("list", "--page", "9", "--store", "history")
    assert (0, "", "There is no page 9; the last one is 1.\n") == (said.code, said.out, said.err)


def test_an_empty_history_says_what_to_do_first(call: Call) -> None:
    """The lines can be copied; nothing is on the standard output."""
    said = call("list", "--store", "history")
    assert (0, "") == (said.code, said.out)
    assert "execution-history run 7000000000000000002 -p city=Paris --sandbox --store history" in said.err


def test_an_empty_history_is_an_empty_document(call: Call) -> None:
    """Programs get the same shape as ever."""
    assert {"histories": [], "total": 0, "has_more": False} == call("list", "--json").json()
    assert {"workflows": [], "total": 0} == call("workflows", "--json").json()


def test_a_workflow_without_runs_says_where_there_are_some(call: Call, history: History) -> None:
    """A mistyped workflow id is noticed."""
    history.keep()
    said = call("list", "v", "--store", "history")
    sentence = "Workflow 'v' has no runs in history; `execution-history workflows --store history` lists the workflows"
    assert (0, f"{sentence} that have.\n") == (said.code, said.err)


@pytest.mark.parametrize("command", [["list"], ["workflows"], ["show", "run-1"], ["clear", "w", "--yes"]])
def test_looking_into_the_wrong_place_leaves_nothing_there(call: Call, tmp_path: Path, command: list[str]) -> None:
    """Neither a folder nor a database appears where there was no history, and foreign files keep their names."""
    (tmp_path / "other").mkdir()
    settings = '{\n  // a comment, which JSON does not have\n  "strict": true\n}\n'
    (tmp_path / "other" / "tsconfig.json").write_text(settings)
    call(*command, "--store", "missing")
    call(*command, "--store", "other")
    assert ["other"] == [each.name for each in tmp_path.iterdir()]
    assert ["tsconfig.json"] == [each.name for each in (tmp_path / "other").iterdir()]


def test_a_folder_in_the_old_format_is_listed(call: Call, tmp_path: Path) -> None:
    """JSON files that a deployment left are a history."""
    (tmp_path / "old").mkdir()
    record = {"execute_id": "e", "workflow_id": "w", "create_time": 1_700_000_000_000, "execute_status": "success"}
    content = {"workflow_id": "w", "total": 1, "histories": [record], "updated_at": 1_700_000_000_000}
    (tmp_path / "old" / "w.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    assert ["e"] == [each["execute_id"] for each in call("list", "--json", "--store", "old").json()["histories"]]


@pytest.mark.usefixtures("narrow")
def test_on_a_narrow_terminal_a_run_takes_one_line(call: Call, history: History) -> None:
    """Its id is in short, which other commands take, the name and the output are cut, and the heading is one line."""
    execute_id, workflow_id = "01a20dba-b801-7732-a3b5-fd1635d97bad", "7000000000000000002"
    history.keep(execute_id, workflow_id, after=840, execute_status="success", output="中文 " * 50)
    call("name", workflow_id, "A workflow with a rather long name", "--store", "history")
    lines = [line.rstrip() for line in call("list", "--store", "history").out.splitlines()]
    assert 2 == len(lines)
    assert ["● success", "…35d97bad"] == [lines[1][:9], next(each for each in lines[1].split() if each[0] == "…")]
    assert lines[1].endswith("…")
    assert 80 >= max(map(cell_len, lines))
    assert execute_id == call("show", "…35d97bad", "--json", "--store", "history").json()["execute_id"]


@pytest.mark.usefixtures("narrow")
def test_columns_that_are_left_out_are_named(call: Call, history: History) -> None:
    """Beside the answer, where the terminal is too narrow for them."""
    cost = {"amount": 0.008, "currency": "CNY", "price": "v1"}
    history.keep("a", "A workflow with quite a long id", after=12_345, execute_status="success",
                 usage={"token_count": 1_234_567}, metadata={"cost": cost})  # fmt: skip
    said = call("stats", "--by", "workflow", "--store", "history")
    assert "Not shown at 80 columns: " in said.err
    assert "COST" in said.out or "cost" in said.err


def test_workflows_are_counted_by_status(call: Call, history: History) -> None:
    """Each has a line with its runs and its last one; an absent status leaves its place empty."""
    history.keep("a", "w", execute_status="success")
    history.keep("b", "w", execute_status="failed")
    history.keep("c", "v", after=1)
    lines = call("workflows", "--store", "history").out.splitlines()
    assert "WORKFLOW  RUNS  ◐ running  ● success  ✕ failed  ◇ interrupted   SIZE  LAST RUN" == lines[0]
    rows = [" ".join(line.split()) for line in lines]
    assert any(re.fullmatch(r"w 2 1 1 \d+ B 2023-11-14 22:13:20", row) for row in rows)
    assert any(re.fullmatch(r"v 1 1 \d+ B 2023-11-14 22:13:20", row) for row in rows)


def test_workflows_as_json(call: Call, history: History) -> None:
    """The summaries as the service gives them."""
    history.keep("a", "w", execute_status="success")
    said = call("workflows", "--json", "--store", "history").json()
    assert 1 == said["total"]
    assert ("w", 1, 1) == (
        said["workflows"][0]["workflow_id"],
        said["workflows"][0]["total"],
        said["workflows"][0]["counts"]["success"],
    )


@pytest.mark.usefixtures("narrow")
def test_on_a_narrow_terminal_the_heads_of_workflows_are_shapes(call: Call, history: History) -> None:
    """What does not fit is explained in a last line instead of being cut."""
    history.keep("a", "7000000000000000002", execute_status="success")
    lines = [line.rstrip() for line in call("workflows", "--store", "history").out.splitlines()]
    assert "WORKFLOW             RUNS  ◐  ●  ✕  ◇  LAST RUN" == lines[0]
    assert "◐ running  ● success  ✕ failed  ◇ interrupted" == lines[-1]


def test_a_filter_that_is_true_or_false_needs_no_value(call: Call, history: History) -> None:
    """`--pinned` alone is true, wherever it stands; a workflow or an option behind it is not taken for its value."""
    history.keep("plain", execute_status="success")
    history.keep("kept", execute_status="success", metadata={"pinned": True})
    store = ("--store", "history", "--json")
    for words in (
        ["--pinned"],
        ["w", "--pinned"],
        ["--pinned", "w"],
        ["--pinned", "--page-size", "5"],
        ["--pinned", "yes"],
    ):
        found = call("list", *words, *store).json()["histories"]
        assert ["kept"] == [record["execute_id"] for record in found], words
    assert 1 == call("list", "--pinned=false", *store).json()["total"]
