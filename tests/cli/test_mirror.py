"""The command ``mirror``, and JSON files that ``serve`` keeps beside a history of any store."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Call, History
from tests.cli.processes import PATIENCE, read_document, started, until


def _shown(folder: str = "files") -> dict[str, list[str]]:
    contents = [json.loads(path.read_bytes()) for path in Path(folder).glob("*.json")]
    return {each["workflow_id"]: [run["execute_id"] for run in each["histories"]] for each in contents}


def test_once_brings_the_files_up_to_date(call: Call, history: History) -> None:
    """One sentence says to which change; the next time only what is new is written."""
    history.keep("a")
    history.keep("b", "工作流")
    said = call("mirror", "files", "--once", "--store", "history")
    assert (0, "The JSON files in ") == (said.code, said.out[:18])
    assert "are up to date with change 2 of history." in said.out
    assert {"w": ["a"], "工作流": ["b"]} == _shown()
    history.keep("c")
    found = call("mirror", "files", "--once", "--json", "--store", "history").json()
    assert (3, 3, 0, "history") == (found["revision"], found["newest"], found["behind_ms"], found["store"])
    assert {"w": ["c", "a"], "工作流": ["b"]} == _shown()


def test_it_follows_until_it_is_stopped(history: History, tmp_path: Path) -> None:
    """Runs that other programs record are in the files soon; to be stopped is no fault."""
    history.keep("a")
    with started("mirror", "files", "--json", "--store", "history", folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["is_writing"]
        history.keep("b")
        until(process, lambda: _shown() == {"w": ["b", "a"]})
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE)
        assert b"Traceback" not in process.stderr.read()


def test_serve_keeps_them_too(history: History, tmp_path: Path) -> None:
    """With the option or the setting; it says where they are."""
    history.keep("a")
    with started(
        "serve", "--port=0", "--store", "history", folder=tmp_path, EXECUTION_HISTORY_MIRROR_FOLDER="files"
    ) as process:
        assert process.stderr is not None
        assert any(b"near the history, not current" in line for line in process.stderr)
        until(process, lambda: _shown() == {"w": ["a"]})
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)


def test_a_folder_that_cannot_be_the_one_is_a_wrong_call(call: Call, history: History, tmp_path: Path) -> None:
    """The folder of a history has files of its own, and those of other programs are not overwritten."""
    history.keep("a")
    call("run", "7000000000000000001", "--sandbox", "--store", "sqlite:embedded")
    said = call("mirror", "embedded", "--once", "--store", "history")
    assert (2, True) == (said.code, "holds a history" in said.err)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "package.json").write_text("{}")
    said = call("mirror", "others", "--store", "history")
    assert (2, True) == (said.code, "JSON files of another program" in said.err)
    with started("serve", "--port=0", "--mirror=others", "--store", "history", folder=tmp_path) as process:
        assert 2 == process.wait(PATIENCE)


def test_files_that_cannot_be_written_are_the_stores_trouble(call: Call, history: History, tmp_path: Path) -> None:
    """With --once, where nothing is tried again, in one sentence that promises nothing."""
    history.keep("a")
    (tmp_path / "files").write_text("in the way")
    said = call("mirror", "files", "--once", "--store", "history")
    assert (4, 1) == (said.code, said.err.count("the folder cannot be written"))
    assert 1 == len(said.err.splitlines())
    with started("mirror", "files", "--once", "--store", "history", folder=tmp_path) as process:
        _, err = process.communicate(timeout=PATIENCE)
        assert (4, 1) == (process.returncode, err.count(b"cannot be written"))


def test_files_that_cannot_be_written_are_told_once_until_they_can(history: History, tmp_path: Path) -> None:
    """By the command that follows on."""
    history.keep("a")
    (tmp_path / "files").write_text("in the way")
    with started("mirror", "files", "--json", "--store", "history", folder=tmp_path) as process:
        assert process.stderr is not None
        assert b"press Ctrl-C" in process.stderr.readline()
        assert b"cannot be written" in process.stderr.readline()
        (tmp_path / "files").unlink()
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["is_writing"]
        process.send_signal(signal.SIGTERM)
        assert (0, b"") == (process.wait(PATIENCE), process.stderr.read())


def test_a_folder_can_be_given_up(call: Call, history: History) -> None:
    """Its files stay."""
    history.keep("a")
    call("mirror", "files", "--once", "--store", "history")
    assert 0 == call("mirror", "files", "--forget", "--store", "history").code
    assert {"w": ["a"]} == _shown()


def test_the_files_of_another_history_are_left_alone(call: Call, history: History, tmp_path: Path) -> None:
    """Whether by ``mirror`` or by ``serve``, on an empty history or not; giving the folder up is the way on."""
    history.keep("a")
    call("mirror", "files", "--once", "--store", "history")
    before = {path.name: path.read_bytes() for path in Path("files").iterdir()}
    History(tmp_path / "other").keep("b")
    said = call("mirror", "files", "--once", "--store", "other")
    assert (2, True) == (said.code, "follow another history (" in said.err)
    with started("serve", "--port=0", "--mirror=files", "--store=sqlite:empty", folder=tmp_path) as process:
        assert 2 == process.wait(PATIENCE)
    assert before == {path.name: path.read_bytes() for path in Path("files").iterdir()}
    assert "They did not follow this one" in call("mirror", "files", "--forget", "--store", "other").err
    assert 0 == call("mirror", "files", "--once", "--store", "other").code
    assert {"w": ["b"]} == _shown()


@pytest.mark.parametrize("reading", [("list",), ("show", "aaaaaaaa"), ("stats",), ("export", "-o", "out.jsonl")])
def test_reading_a_folder_that_follows_leaves_it_as_it_is(call: Call, history: History, reading: list[str]) -> None:
    """One sentence names the history that it follows; importing the folder is possible."""
    history.keep("a")
    call("mirror", "files", "--once", "--store", "history")
    before = sorted(path.name for path in Path("files").iterdir())
    said = call(*reading, "--store", "sqlite:files")
    assert (2, True) == (said.code, "follow a history (" in said.err)
    assert before == sorted(path.name for path in Path("files").iterdir())
    assert 0 == call("import", "files", "--store", "sqlite:new").code
    assert 0 == call("mirror", "files", "--once", "--store", "history").code


def test_what_an_import_takes_from_a_folder_that_follows_is_in_its_files(call: Call, history: History) -> None:
    """A database there was made by an earlier version, and is older than they are."""
    history.keep("a")
    call("mirror", "files", "--once", "--store", "history")
    call("run", "7000000000000000001", "--sandbox", "--store", "sqlite:stale")
    Path("stale/history.db").rename("files/history.db")
    assert 0 == call("import", "files", "--store", "sqlite:new").code
    found = call("list", "--json", "--store", "sqlite:new").json()["histories"]
    assert ["a"] == [record["execute_id"] for record in found]


def test_the_files_are_in_a_folder(call: Call, history: History, tmp_path: Path) -> None:
    """A URL is not taken as the name of one."""
    history.keep("a")
    before = list(tmp_path.iterdir())
    said = call("mirror", "postgresql://me:geheim@db.example.com/history", "--once", "--store", "history")
    assert (2, True, False) == (said.code, "JSON files need a folder" in said.err, "geheim" in said.err)
    assert before == list(tmp_path.iterdir())


def test_without_a_history_nothing_is_made(call: Call, tmp_path: Path) -> None:
    """A misspelt folder is not a history."""
    assert 5 == call("mirror", "files", "--store", "elsewhere").code
    assert [] == list(tmp_path.iterdir())


def test_programs_learn_where_serve_keeps_them(history: History, tmp_path: Path) -> None:
    """The document with which it begins stays as it was."""
    history.keep("a")
    with started("serve", "--port=0", "--json", "--mirror=files", "--store", "history", folder=tmp_path) as process:
        assert {"url", "docs", "store", "sandbox"} <= set(read_document(process.stdout))
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)
