"""The command ``mirror``, and JSON files that ``serve`` keeps beside a history of any store."""

import json
import signal
from pathlib import Path

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
    assert "are up to date with change 2." in said.out
    assert {"w": ["a"], "工作流": ["b"]} == _shown()
    history.keep("c")
    found = call("mirror", "files", "--once", "--json", "--store", "history").json()
    assert (3, 3, 0) == (found["revision"], found["newest"], found["behind_ms"])
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
    said = call("mirror", "history", "--once", "--store", "history")
    assert (2, True) == (said.code, "holds a history" in said.err)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "package.json").write_text("{}")
    said = call("mirror", "others", "--store", "history")
    assert (2, True) == (said.code, "JSON files of another program" in said.err)
    with started("serve", "--port=0", "--mirror=others", "--store=history", folder=tmp_path) as process:
        assert 2 == process.wait(PATIENCE)


def test_files_that_cannot_be_written_are_the_stores_trouble(call: Call, history: History, tmp_path: Path) -> None:
    """With --once, where nothing is tried again."""
    history.keep("a")
    (tmp_path / "files").write_text("in the way")
    said = call("mirror", "files", "--once", "--store", "history")
    assert (4, True) == (said.code, "the folder cannot be written" in said.err)


def test_a_folder_can_be_given_up(call: Call, history: History) -> None:
    """Its files stay."""
    history.keep("a")
    call("mirror", "files", "--once", "--store", "history")
    assert 0 == call("mirror", "files", "--forget", "--store", "history").code
    assert {"w": ["a"]} == _shown()


def test_without_a_history_nothing_is_made(call: Call, tmp_path: Path) -> None:
    """A misspelt folder is not a history."""
    assert 5 == call("mirror", "files", "--store", "elsewhere").code
    assert [] == list(tmp_path.iterdir())


def test_programs_learn_where_serve_keeps_them(history: History, tmp_path: Path) -> None:
    """The document with which it begins stays as it was."""
    history.keep("a")
    with started("serve", "--port=0", "--json", "--mirror=files", "--store=history", folder=tmp_path) as process:
        assert {"url", "docs", "store", "sandbox"} <= set(read_document(process.stdout))
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)
