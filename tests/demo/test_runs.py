"""The runs of the demo: varied, believable, and the same ones each time."""

from collections import Counter
from pathlib import Path

import pytest

from execution_history.application import open_application
from execution_history.demo.history import playable
from execution_history.demo.runs import DAYS, DemoRuns
from execution_history.demo.workflows import FUNCTIONS, WORKFLOWS
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import PARENT
from execution_history.records.record import STATUSES
from execution_history.sandbox.errors import Refusal
from execution_history.sandbox.steps import Inputs, Packet, Usage
from execution_history.settings import load_settings

pytestmark = pytest.mark.anyio

_NOW = 1_796_086_735_831
_DAY = 86_400_000
_PRICES = {each.workflow_id: "2026-12" for each in WORKFLOWS}


def test_the_demo_is_the_same_each_time() -> None:
    """So that pictures and texts about it stay true."""
    first, second = ([each.body for each in DemoRuns(_NOW, "http://up", _PRICES).documents()] for _ in range(2))
    assert first == second
    assert 1_500 < len(first) < 3_000
    assert sum(map(len, first)) < 10_000_000


def test_the_demo_has_everything_there_is_to_look_at() -> None:
    """Statuses, ways to run, accounts, callers, nested runs, tags, ratings, pins, costs, chats, tracebacks."""
    records = [each.plain() for each in DemoRuns(_NOW, "http://up", _PRICES).documents()]
    known = [attributes_of(each) for each in records]
    assert set(STATUSES) - {"running"} == {each["execute_status"] for each in records}
    assert {0, 1, 2} == {each["run_mode"] for each in records}
    assert {each.workflow_id for each in WORKFLOWS} | set(FUNCTIONS) == {each["workflow_id"] for each in records}
    assert 2 == len({each.account for each in known if each.account})
    assert 4 == len({each.caller for each in known if each.caller})
    for name in ("tags", "rating", "pinned", "note", "parent", "root", "traceback", "interrupt", "cost", "log_id"):
        assert any(name in each["metadata"] for each in records), name
    assert any(each["conversation_id"] for each in records)
    assert any(len(str(each["output"])) > 20_000 for each in records)
    assert all("cost" in each["metadata"] for each in records if "account" in each["metadata"])
    ids = {each["execute_id"] for each in records}
    assert {parent for each in records if (parent := PARENT.of(each))} <= ids


def test_one_failure_is_new_one_is_back_and_others_go_on() -> None:
    """Within the last day, the days before it, and the weeks before those."""
    days: dict[str, Counter[int]] = {}
    for document in DemoRuns(_NOW, "http://up", _PRICES).documents():
        record = document.plain()
        assert 0 <= _NOW - record["create_time"] < (DAYS + 1) * _DAY
        if record["execute_status"] == "failed":
            days.setdefault(str(record["error_message"]), Counter())[(_NOW - record["create_time"]) // _DAY] += 1
    new = next(found for message, found in days.items() if "HTTP 502" in message)
    back = next(found for message, found in days.items() if "overloaded" in message)
    still = next(found for message, found in days.items() if "dpi" in message)
    assert (new[0] > 5, max(new) == 0) == (True, True)
    assert (back[0] > 0, max(back) > 15, [day for day in back if 1 <= day < 15]) == (True, True, [])
    assert len(still) > 8


def test_a_run_that_is_played_says_at_its_end_what_all_of_it_has_used() -> None:
    """As Coze does; the record of the run, and its cost, have the sum over its nodes."""
    for workflow in WORKFLOWS:
        script = playable()[workflow.workflow_id].behaviour
        assert not isinstance(script, Refusal)
        inputs = Inputs(workflow.inputs[0], {"pace_ms": 0}, ("yes",) if workflow.asks else ())
        said = [step.usage for step in script(inputs) if isinstance(step, Packet) and step.usage is not None]
        read, written = map(sum, zip(*(node.tokens for node in workflow.nodes), strict=True))
        assert Usage(read, written) == said[-1]


async def test_a_demo_leaves_nothing_behind_and_touches_no_store(tmp_path: Path) -> None:
    """Its folder is its own; the one that the settings name is not even made."""
    settings = load_settings(store=str(tmp_path / "history"))
    async with open_application(settings, demo=True) as application:
        folder = Path(application.settings.store)
        assert folder.exists()
        assert {"default", "china"} == set(application.upstream.account_names)
        names = await application.service.names()
        assert "Order triage" == names[WORKFLOWS[0].workflow_id].name
    assert not folder.parent.exists()
    assert [] == list(tmp_path.iterdir())
