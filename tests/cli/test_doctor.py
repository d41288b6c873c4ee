"""The command ``doctor``: what it prints, what it does, and how it ends."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from bench.fault_damage import chance_of, flip, zero

from tests.cli.conftest import Call, History

_STORE = ("--store", "history")


def test_a_sound_history_ends_with_0(call: Call, history: History) -> None:
    """A line for each check; nothing is changed."""
    history.keep("a", execute_status="success")
    said = call("doctor", *_STORE)
    assert (0, "") == (said.code, said.err)
    assert "✓ Recorded runs 1 run read" in said.out
    assert said.out.endswith("\n\nNo problem was found.\n")
    assert all(len(line) <= 110 for line in said.out.splitlines())


def test_a_problem_ends_with_1_and_is_repaired_on_request(call: Call, history: History) -> None:
    """It says what to call, then what it did."""
    history.keep("a", execute_status="success")
    history.keep("b", "other", execute_status="success")
    flip(Path("history/w.json"), chance_of(2), 3)
    said = call("doctor", *_STORE)
    assert 1 == said.code
    assert "✗ JSON files" in said.out
    assert said.out.endswith("\n\n1 problem was found.\n")
    assert "To repair: execution-history doctor --repair --store history" in said.err
    said = call("doctor", "--repair", *_STORE)
    assert 0 == said.code
    assert "→ 1 JSON file was rewritten from the database." in said.out
    assert said.out.endswith("\n\n1 repair was made.\nNo problem is left.\n")
    assert 0 == call("doctor", *_STORE).code


def test_json_has_every_check(call: Call, history: History) -> None:
    """For programs that watch."""
    history.keep("a")
    flip(Path("history/w.json"), chance_of(2), 3)
    said = call("doctor", "--json", *_STORE)
    found = said.json()
    assert (1, "history", 1, 0) == (said.code, found["store"], found["problems"], found["repaired"])
    [files] = [check for check in found["checks"] if check["check"] == "files"]
    assert "problem" == files["verdict"]
    [finding] = files["findings"]
    assert (True, True) == (finding["problem"], finding["repairable"])
    assert "w.json" in finding["sentence"]


def test_it_works_where_no_command_can_open_the_history(call: Call, history: History) -> None:
    """The database is made anew, and the damaged one kept."""
    history.keep("a", execute_status="success")
    Path("history/history.db").write_bytes(b"no database" * 1000)
    assert 4 == call("list", *_STORE).code
    said = call("doctor", *_STORE)
    assert 1 == said.code
    assert "Not checked: the database has to be repaired first." in said.out
    said = call("doctor", "--repair", *_STORE)
    assert 0 == said.code
    assert "history.db was rebuilt" in said.out
    assert "a" in call("list", *_STORE).out


def test_what_a_repair_could_not_save_is_told_at_the_end(call: Call, history: History) -> None:
    """Of a run that was on a page of the database only, which is gone."""
    history.keep("a", execute_status="success")
    Path("history/w.json").unlink()
    with closing(sqlite3.connect("history/history.db")) as database:
        [(page,)] = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'executions'")
    zero(Path("history/history.db"), chance_of(0), 1, page - 1)
    said = call("doctor", "--repair", *_STORE)
    assert "1 run is lost" in said.out
    assert said.out.endswith("No problem is left.\nSomething was lost: see above.\n")


def test_it_speaks_chinese(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles, sentences and remedies."""
    history.keep("a")
    flip(Path("history/w.json"), chance_of(2), 3)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    said = call("doctor", *_STORE)
    assert "✗ JSON 文件" in said.out
    assert "与数据库不一致" in said.out
    assert "problem" not in said.out


def test_where_no_history_is_there_is_nothing_to_examine(call: Call) -> None:
    """Looking does not make one."""
    said = call("doctor", "--store", "nowhere")
    assert (5, "Error: There is no history in nowhere.\n") == (said.code, said.err)
    assert not Path("nowhere").exists()


def _in_place_of_the_database(kind: str) -> None:
    path = Path("history/history.db")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "another":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE notes (text)")
    else:
        path.touch()


@pytest.mark.parametrize(
    ("kind", "found", "is_repaired"),
    [
        ("empty", "✗ Database      history.db is empty.", True),
        ("folder", "✗ Database      history.db is a folder, where the database should be a file.", False),
        ("another", "✗ Database      history.db is another program's database.", False),
    ],
)
def test_what_stands_in_the_place_of_the_database_is_told(
    call: Call, history: History, kind: str, found: str, *, is_repaired: bool
) -> None:
    """What may be somebody else's is not replaced."""
    history.keep("a", execute_status="success")
    _in_place_of_the_database(kind)
    assert found in call("doctor", *_STORE).out
    said = call("doctor", "--repair", *_STORE)
    assert (0 if is_repaired else 1) == said.code
    assert is_repaired is bool(list(Path("history").glob("history.db.damaged-*")))


def test_json_files_that_follow_are_checked_where_they_are_named(call: Call, history: History) -> None:
    """And rewritten."""
    history.keep("a", execute_status="success")
    assert 0 == call("mirror", "files", "--once", *_STORE).code
    flip(Path("files/w.json"), chance_of(2), 3)
    said = call("doctor", "--mirror", "files", *_STORE)
    assert 1 == said.code
    assert "✗ Mirror" in said.out
    assert "✓ JSON files" in said.out
    assert 0 == call("doctor", "--mirror", "files", "--repair", *_STORE).code


def test_quick_and_thorough_exclude_each_other(call: Call, history: History) -> None:
    """One says what it left out."""
    history.keep("a", execute_status="success")
    assert (2, "Error: Use either --quick or --thorough.\n") == (
        (said := call("doctor", "--quick", "--thorough", *_STORE)).code,
        said.err,
    )
    assert "Only samples were read" in call("doctor", "--quick", *_STORE).err
    assert 0 == call("doctor", "--thorough", *_STORE).code
