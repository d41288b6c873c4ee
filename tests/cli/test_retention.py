"""``retention``, ``prune`` and ``bin``."""

import asyncio
from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.maintenance.retention import Retention, RetentionSettings
from tests.chosen_store import CHOSEN
from tests.cli.conftest import Call, History


def _some(history: History) -> None:
    """Three old runs, one of which is pinned; the clock of the command line is years ahead."""
    for number in range(3):
        history.keep(f"run-{number}", execute_status="success", metadata={"pinned": True} if number == 0 else {})


def test_rules_are_set_shown_and_removed(call: Call, history: History) -> None:
    """Without any the command says how to set one; a second removal finds nothing."""
    history.keep()
    empty = call("retention", "--store", "history")
    assert 0 == empty.code
    assert "retention set --status success --older-than 30d" in empty.err
    assert "The history takes" in empty.out
    call("retention", "set", "old", "--older-than", "30d", "--status", "success,failed", "--store", "history")
    said = call("retention", "set", "--workflow", "w", "--keep-runs", "10", "--contents", "--store", "history")
    assert "old" in said.out
    assert "all but the newest 10 per workflow" in said.out
    known = call("retention", "--json", "--store", "history").json()
    assert ["old", "workflow=w keep_runs=10 action=contents"] == [rule["name"] for rule in known["rules"]]
    assert ("registry", None, None) == (known["source"], known["max_bytes"], known["last_run"])
    assert known["disk"]["total"] > 0
    assert 0 == call("retention", "remove", "old", "--store", "history").code
    again = call("retention", "remove", "old", "--store", "history")
    assert (5, "Error: There is no rule called 'old'.\n") == (again.code, again.err)


@pytest.mark.parametrize(
    "wrong", [("set",), ("remove",), ("set", "--older-than", "soon"), ("--keep-runs", "3"), ("set", "--keep-runs", "x")]
)
def test_a_call_that_says_too_little_is_refused(call: Call, history: History, wrong: tuple[str, ...]) -> None:
    """With the exit code of a wrong call."""
    history.keep()
    assert 2 == call("retention", *wrong, "--store", "history").code


def test_a_dry_run_names_what_would_go_and_what_stays(call: Call, history: History) -> None:
    """And changes nothing; the run itself does as much, and its report can be read later."""
    _some(history)
    call("retention", "set", "old", "--older-than", "30d", "--store", "history")
    dry = call("prune", "--dry-run", "--store", "history")
    assert (0, "") == (dry.code, dry.err)
    assert "2 runs would be removed." in dry.out
    assert "1 pinned" in dry.out
    assert 3 == call("list", "--json", "--store", "history").json()["total"]
    said = call("prune", "--store", "history")
    assert "2 runs removed. The space is freed when" in said.out
    assert "leave the bin, 24 hours after" in said.out
    assert 1 == call("list", "--json", "--store", "history").json()["total"]
    last = call("retention", "--json", "--store", "history").json()["last_run"]
    assert ("done", 2) == (last["outcome"], last["report"]["runs"])
    assert "Last run" in call("retention", "--store", "history").out
    nothing = call("prune", "--store", "history")
    assert "every run that matches is protected" in nothing.out
    known = call("retention", "--runs", "--store", "history").out
    assert "every run that matches is protected" in known.split("Last removal")[0]
    assert ["run-1", "run-2"] == [line.split()[0] for line in known.splitlines() if line.startswith("run-")]
    removal = call("retention", "--json", "--store", "history").json()["last_removal"]
    assert last["report"] == removal
    unknown = call("prune", "--rule", "x", "--store", "history")
    assert (2, "Error: There is no rule called 'x'.\n") == (unknown.code, unknown.err)


def test_a_run_that_went_for_the_size_limit_says_so(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words of everywhere: it is not named like a rule, and a run that lost its contents first counts once."""
    _some(history)
    call("delete", "run-2", "--store", "history")
    call("name", "w", "Orders", "--store", "history")
    call("prune", "--store", "history")
    asyncio.run(_shrunk(history.folder))
    monkeypatch.setenv("EXECUTION_HISTORY_MAX_BYTES", "1GB")
    assert "Last removal" not in call("retention", "--store", "history").out
    call("prune", "--store", "history")
    said = call("retention", "--runs", "--store", "history").out
    rows = [" ".join(line.split()[:7]) for line in said.splitlines() if line.startswith("run-")]
    assert ["run-2 size limit the run in the", "run-1 size limit the run"] == [rows[0], " ".join(rows[1].split()[:5])]
    assert "Last removal" in said
    assert "Orders" in said
    assert "1 run removed from the bin" in said.replace("\n", " ")
    assert "contents of" not in said
    assert "max_bytes" not in said
    gone = [" ".join(call("show", run, "--store", "history").err.split()) for run in ("run-1", "run-2")]
    assert "The size limit removed run 'run-1' at 2" in gone[0]
    assert "Run 'run-2' was in the bin, which the size limit emptied at 2" in gone[1]
    assert all("restore FOLDER --missing --removed" in each for each in gone)
    history.keep("bare", metadata={"pruned": {"at": 1, "bytes": 5, "rule": "max_bytes"}})
    assert "by the size limit." in " ".join(call("show", "bare", "--store", "history").out.split())


async def _shrunk(folder: Path) -> None:
    """A limit smaller than the settings allow removes everything."""
    async with ExecutionHistoryService(CHOSEN.location(folder)) as service:
        await Retention(service, RetentionSettings((), 1)).prune()


def test_a_rule_was_not_there_for_the_run_before(call: Call, history: History) -> None:
    """Of which the command says so, next to the rule."""
    history.keep()
    call("prune", "--store", "history")
    assert "there are no rules and no limit" in call("retention", "--store", "history").out
    said = call("retention", "set", "--older-than", "30d", "--store", "history").out
    assert "Nothing was removed: that was before there was a rule or a limit." in " ".join(said.split())


def test_rules_of_the_settings_win(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are shown, and cannot be changed; a wrong one is named with its number."""
    _some(history)
    monkeypatch.setenv("EXECUTION_HISTORY_RETENTION", '[{"name": "s", "keep_runs": 1}]')
    said = call("retention", "--store", "history")
    assert "The rules are in the settings" in said.err
    refused = call("retention", "set", "--older-than", "30d", "--store", "history")
    assert 2 == refused.code
    assert 1 == call("prune", "--dry-run", "--json", "--store", "history").json()["runs"]
    monkeypatch.setenv("EXECUTION_HISTORY_RETENTION", '[{"keep_runs": 1}, {"name": "x"}]')
    wrong = call("prune", "--store", "history")
    assert 2 == wrong.code
    assert "Rule 2 of the setting retention is wrong: A rule needs a limit" in wrong.err
    monkeypatch.setenv("EXECUTION_HISTORY_RETENTION", "[]")
    monkeypatch.setenv("EXECUTION_HISTORY_MAX_BYTES", "much")
    assert "500MB or 20GB" in call("prune", "--store", "history").err


def test_deleted_runs_are_listed_restored_and_removed(call: Call, history: History) -> None:
    """By ids, by their beginnings or ends, by workflow or all."""
    _some(history)
    call("delete", "run-1", "--store", "history")
    call("clear", "w", "--yes", "--store", "history")
    said = call("bin", "--store", "history")
    assert "3 runs are in the bin" in said.err
    assert {"run-0", "run-1", "run-2"} == {
        entry["execute_id"] for entry in call("bin", "--json", "--store", "history").json()["entries"]
    }
    assert "Restored 1 run." in call("bin", "restore", "…-1", "--store", "history").out
    assert 2 == call("bin", "restore", "run-", "--store", "history").code
    assert 5 == call("bin", "restore", "run-1", "--store", "history").code
    assert 2 == call("bin", "empty", "--store", "history").code
    assert {"restored": 2, "matches": 2} == call(
        "bin", "restore", "--workflow", "w", "--json", "--store", "history"
    ).json()
    call("delete", "run-1", "--store", "history")
    assert "Removed 1 run for good." in call("bin", "empty", "--all", "--store", "history").out
    lines = call("audit", "--json", "--store", "history").json()["lines"]
    assert all(line["actor"].startswith("local:") for line in lines)
    assert "The bin is empty." in call("bin", "--store", "history").err


def test_without_a_bin_runs_are_deleted_at_once(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the setting says."""
    _some(history)
    monkeypatch.setenv("EXECUTION_HISTORY_BIN_HOURS", "0")
    call("delete", "run-1", "--store", "history")
    assert "The bin is empty." in call("bin", "--store", "history").err


def test_show_says_which_rule_removed_a_run(call: Call, history: History) -> None:
    """And how to restore it; of a run that people deleted, when that was."""
    _some(history)
    call("retention", "set", "few", "--older-than", "30d", "--store", "history")
    call("prune", "--store", "history")
    by_rule = call("show", "run-1", "--store", "history")
    assert 5 == by_rule.code
    assert "The rule 'few' of retention removed run 'run-1' at 2" in by_rule.err
    assert "bin restore run-1 --store history` restores it" in " ".join(by_rule.err.split())
    assert "few" in call("bin", "--store", "history").out
    again = " ".join(call("bin", "restore", "run-1", "--store", "history").err.split())
    assert "With its next run the rule 'few' removes this again, unless it is pinned, rated or tagged keep" in again
    assert "tag run-1 --pin" in again
    call("prune", "--store", "history")
    call("bin", "empty", "--all", "--store", "history")
    by_rule = call("show", "run-1", "--store", "history")
    assert 5 == by_rule.code
    assert "The rule 'few' of retention removed run 'run-1' at 2" in by_rule.err
    assert "restore FOLDER --missing --removed" in " ".join(by_rule.err.split())
    call("delete", "run-0", "--store", "history")
    assert "Run 'run-0' was deleted at 2" in call("show", "run-0", "--store", "history").err
