"""``redact``: rules, a trial, and what the history has already."""

import pytest

from tests.cli.conftest import Call, History

TOKEN = "pat_" + "Ab1" * 8


@pytest.fixture
def filled(history: History) -> History:
    """Two runs with secrets, as a version recorded them that took none out."""
    for name, workflow in (("run-1", "w"), ("run-2", "v")):
        history.keep(name, workflow, parameters={"password": "hunter2x"}, output=f"use {TOKEN}")
    return history


def test_the_rules_in_force_are_shown(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in ones and those of the settings, of redaction and of recording."""
    history.keep()
    monkeypatch.setenv("EXECUTION_HISTORY_REDACTION", '[{"key": "phone*", "action": "remove", "workflow": "w*"}]')
    monkeypatch.setenv("EXECUTION_HISTORY_RECORDING", '[{"record": "sample", "share": 0.1, "largest_bytes": 5000}]')
    said = call("redact", "--rules", "--store", "history")
    assert 0 == said.code
    assert "Tokens of Coze" in said.out
    assert ["phone*", "w*", "removed"] == next(
        line.split()[:3] for line in said.out.splitlines() if line.startswith("phone")
    )
    assert "10% of the runs, and all that do not succeed, each value up to 5.0 KB" in said.out
    rules = call("redact", "--rules", "--json", "--store", "history").json()
    assert {"name": "phone*", "key": "phone*", "workflow": "w*", "action": "remove", "built_in": False} == (
        rules["redaction"][-1]
    )
    assert [{"workflow": "*", "record": "sample", "share": 0.1, "largest_bytes": 5000}] == rules["recording"]


def test_a_trial_reports_and_the_command_redacts(call: Call, filled: History) -> None:
    """Of the named workflows, or of all; a record says what was taken out of it, and a second time finds nothing."""
    del filled
    trial = call("redact", "--dry-run", "--store", "history")
    assert trial.out.startswith("To be redacted: 4 values in 2 of 2 records.")
    assert "use [redacted]" in trial.out
    assert "hunter2x" not in trial.out
    done = call("redact", "v", "--json", "--store", "history").json()
    assert (1, {"v": 1}, {"secret_names": 1, "coze_token": 1}) == (
        done["changed"], done["workflows"], done["values"],
    )  # fmt: skip
    rest = call("redact", "--store", "history")
    assert rest.out.startswith("Redacted: 2 values in 1 of 2 records.")
    assert "Exports and copies that were made before" in rest.err
    shown = call("show", "run-1", "--workflow", "w", "--store", "history").out
    assert "2 values were redacted" in shown
    assert "hunter2x" not in shown
    assert call("redact", "--store", "history").out.startswith("Nothing to redact in 2 records.")
    assert call("redact", "v", "--store", "history").out.startswith("Nothing to redact in 1 record.")


def test_a_rule_that_is_none_is_said_before_anything_is_done(
    call: Call, filled: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with every setting."""
    del filled
    monkeypatch.setenv("EXECUTION_HISTORY_REDACTION", '[{"detector": "phones"}]')
    said = call("redact", "--store", "history")
    assert 2 == said.code
    assert "There is no detector 'phones'" in said.err
