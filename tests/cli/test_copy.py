"""The command ``copy``: its sentence, its exit codes, and that it can be stopped and started again."""

import signal
from pathlib import Path

import apsw
import pytest

from tests.cli.conftest import Call, History
from tests.cli.processes import PATIENCE, started, until


def test_it_says_in_one_sentence_what_was_compared(call: Call, history: History) -> None:
    """The number of runs, both places and the checksum of both."""
    history.keep("a")
    history.keep("b", output="x")
    said = call("copy", "history", "sqlite:new")
    assert (0, 1) == (said.code, len(said.out.splitlines()))
    assert said.out.startswith("2 runs (")
    assert " are the same in history and in sqlite:new, byte for byte: both have the checksum " in said.out
    assert "2 added, 0 replaced" in said.out
    assert ["b", "a"] == [each["execute_id"] for each in History(Path("new")).read("w")]
    assert "0 added" in call("copy", "history", "new").out


def test_programs_get_counts_and_digests_of_both_sides(call: Call, history: History) -> None:
    """One document, and nothing beside it."""
    history.keep("a")
    said = call("copy", "history", "new", "--json")
    found = said.json()
    assert (0, "", True) == (said.code, said.err, found["equal"])
    assert found["source"] == found["target"]
    assert (1, 64, 1) == (found["source"]["records"], len(found["source"]["digest"]), found["added"])


def test_a_difference_is_an_error_that_names_runs(call: Call, history: History) -> None:
    """Of two runs of one id and one time with other content none is overwritten."""
    history.keep("a", output=1)
    History(Path("new")).keep("a", output=2)
    said = call("copy", "history", "new")
    assert (1, "") == (said.code, said.out)
    assert "Error: history and new differ: a (w) (runs that are missing in the target: 0; with other" in said.err
    assert "content there: 1; compared: 1 with the checksum" in said.err
    assert 1 == call("copy", "history", "new", "--json").code


def test_damaged_runs_are_named_and_the_others_copied(call: Call, history: History) -> None:
    """As an export does it: exit code 1, since something was left out."""
    history.keep("a")
    history.keep("b")
    for file in Path("history").glob("*.json"):
        file.unlink()
    connection = apsw.Connection("history/history.db")
    connection.execute("UPDATE executions SET document = zeroblob(40) WHERE execute_id = 'a'")
    connection.close()
    said = call("copy", "history", "new")
    assert 1 == said.code
    assert "1 run is left out because its data is damaged: a." in said.err
    assert said.out.startswith("1 run (")


def test_what_else_is_to_be_known_is_said(call: Call, history: History) -> None:
    """Further runs of the target, and newer ones."""
    history.keep("a")
    call("copy", "history", "new")
    newer = History(Path("new"))
    newer.keep("own")
    newer.now += 5_000
    call("tag", "a", "--workflow", "w", "x", "--store", "new")
    said = call("copy", "history", "new")
    assert 0 == said.code
    assert "1 run is newer in new and stays so: a (w)." in said.err
    assert "new has 1 further run, which history does not have." in said.err


def test_without_a_source_nothing_is_made(call: Call, tmp_path: Path) -> None:
    """A misspelt folder is not a history."""
    said = call("copy", "elsewhere", "new")
    assert (5, "Error: There is no history in elsewhere.\n") == (said.code, said.err)
    assert [] == list(tmp_path.iterdir())


def test_a_history_is_not_copied_onto_itself(call: Call, history: History) -> None:
    """The call is wrong, and nothing happens."""
    history.keep("a")
    said = call("copy", "history", "sqlite:history")
    assert 2 == said.code
    assert "are the same history" in said.err


def test_ctrl_c_is_said_and_the_next_call_continues(call: Call, history: History, tmp_path: Path) -> None:
    """However far it was."""
    for number in range(3):
        history.keep(f"run-{number}", parameters={"x": "y" * 1_000_000})
    with started("copy", "history", "new", folder=tmp_path) as process:
        until(process, lambda: process.poll() is not None or (tmp_path / "new" / "history.db").exists())
        process.send_signal(signal.SIGINT)
        # The last is the answer of an interpreter that is ending already.
        assert process.wait(PATIENCE) in (0, 130, -signal.SIGINT)
    assert 0 == call("copy", "history", "new").code
    assert 3 == len(History(Path("new")).read("w"))


@pytest.mark.parametrize(
    "target", ["host=127.0.0.1 password=geheim dbname=history", "history:geheim@db.example.com:5432/history"]
)
def test_an_address_without_its_scheme_is_no_folder(call: Call, history: History, target: str, tmp_path: Path) -> None:
    """The sentence shows how it is written, and no password."""
    history.keep("a")
    said = call("copy", "history", target)
    assert (2, "") == (said.code, said.out)
    assert "write postgresql://user@host:port/database" in said.err
    assert "geheim" not in said.err
    assert ["history"] == [path.name for path in tmp_path.iterdir()]
