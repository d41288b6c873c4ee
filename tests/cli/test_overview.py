"""``overview``: what failed lately, failing workflows first, and what is open now."""

import re
import time

import pytest
from rich.cells import cell_len

from execution_history.cli.output import Output
from execution_history.web.api.schemas.overview import OverviewAnswer
from tests.cli.conftest import Call, History

_STORE = ("--store", "history")
_HOUR = 3_600_000


@pytest.fixture
def lately(history: History) -> History:
    """Runs of the last hours: three failures of two kinds, a success, and one that goes on."""
    history.now = int(time.time() * 1_000) - 2 * _HOUR
    for number in range(2):
        history.keep(
            f"timeout-{number}", "ferry", after=1_500, execute_status="failed", error_code=5000,
            error_message="the plugin timed out",
            node_execute_status={"Find": {"node_title": "Find", "is_finish": False}},
        )  # fmt: skip
    history.keep("other", "ferry", after=50, execute_status="failed", error_message="no such harbour")
    history.keep("ok", "weather", after=50, execute_status="success")
    history.keep("on", "weather")
    return history


@pytest.mark.usefixtures("lately")
def test_what_failed_comes_first(call: Call) -> None:
    """With its mark, count, workflow and node; then what runs, and the workflows, the failing one first."""
    said = call("overview", *_STORE)
    assert 0 == said.code
    lines = said.out.splitlines()
    assert "3 of 5 runs failed since yesterday" == lines[0]
    assert re.fullmatch(r" *2× +2 h ago +ferry +Find: the plugin timed out \(5000\)", lines[1])
    assert re.fullmatch(r" *1× +2 h ago +ferry +no such harbour", lines[2])
    assert any(re.fullmatch(r"◐ Running now +1 +on · weather", line) for line in lines)
    assert said.out.index("WORKFLOW") < said.out.index("ferry  ", said.out.index("WORKFLOW"))
    assert [True, True] == [lines[-2].startswith("ferry"), lines[-1].startswith("weather")]


@pytest.mark.usefixtures("lately")
def test_nothing_is_wider_than_the_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns what failed stands on a line of its own, and columns are left out rather than wrapped."""
    monkeypatch.setattr(Output, "width", 60)
    lines = call("overview", *_STORE).out.splitlines()
    assert "  Find: the plugin timed out (5000)" in lines
    assert max(map(cell_len, lines)) <= 60


@pytest.mark.usefixtures("lately")
def test_json_is_that_of_the_api(call: Call) -> None:
    """Of any window."""
    said = call("overview", "--window", "7d", "--json", *_STORE)
    answer = OverviewAnswer.model_validate({"success": True, **said.json()})
    assert ("7d", 3, 5) == (answer.window, answer.failed.number, answer.runs)
    assert said.json()["failures"][0]["state"] is None


def test_an_empty_history_has_no_failures(call: Call, history: History) -> None:
    """And one whose runs went well says out of how many."""
    history.now = int(time.time() * 1_000) - _HOUR
    history.keep("ok", "weather", after=50, execute_status="success")
    assert "Nothing failed since yesterday (1 run)" in call("overview", *_STORE).out
    refused = call("overview", "--window", "1h", *_STORE)
    assert (2, "") == (refused.code, refused.out)
