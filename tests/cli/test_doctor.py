"""The command ``doctor``: what it prints, what it does, and how it ends."""

from pathlib import Path

import pytest
from bench.fault_damage import chance_of, flip

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
    assert "1 problem is left." in said.out
    assert "To repair: execution-history doctor --repair --store history" in said.err
    said = call("doctor", "--repair", *_STORE)
    assert 0 == said.code
    assert "→ 1 JSON file was rewritten from the database." in said.out
    assert "1 repair was made." in said.out
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
