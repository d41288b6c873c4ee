"""The overview: everything that failed in a window, each workflow's figures in it, and what is open now."""

import json
from typing import Any, Final

import orjson
import pytest

from execution_history.errors import InvalidQuery
from execution_history.history.answers import json_of
from execution_history.history.overview import (
    SORTS,
    WINDOWS,
    Count,
    Overview,
    OverviewQuery,
    WorkflowInWindow,
    WorkflowSort,
    sorted_workflows,
)
from execution_history.history.overview_reader import spread
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import StatisticsQuery
from execution_history.query.statistics import Sums
from execution_history.records.record import Document
from execution_history.stores.protocol import HistoryStore, StoreHealth
from tests.sample_records import changed, document

pytestmark = pytest.mark.anyio

_NOW: Final = 1_764_000_000_000
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_TIMED_OUT: Final = {"error_code": "4000", "error_message": "the plugin timed out"}


@pytest.fixture
def service(store: HistoryStore) -> ExecutionHistoryService:
    """A history in a store of each kind, whose clock stands still."""
    return ExecutionHistoryService(store, clock=lambda: _NOW)


def _ended(execute_id: str, ago: int, status: str = "failed", workflow_id: str = "w", **fields: Any) -> Document:
    """A run that began *ago* milliseconds ago, and took a second."""
    began = _NOW - ago
    return changed(document(execute_id, workflow_id, began), began + 1_000, status, **fields)


async def _overview(service: ExecutionHistoryService, **words: Any) -> Overview:
    """The overview, once the index has everything."""
    await service.follow_index()
    return await service.overview(OverviewQuery(**words))


async def test_every_failure_of_the_window_is_in_a_group(service: ExecutionHistoryService) -> None:
    """Sixty in a row of a kind that was there before count as much as a new kind, and agree with the total."""
    await service.merge([
        _ended("old", 40 * _HOUR, **_TIMED_OUT),
        *(_ended(f"e{number}", number * 60_000, **_TIMED_OUT) for number in range(60)),
        _ended("new", _HOUR, error_message="no such city"),
        _ended("ok", _HOUR, "success"),
        _ended("before", 30 * _DAY, error_message="something else"),
    ])  # fmt: skip
    found = await _overview(service)
    assert [("the plugin timed out", 60, "more"), ("no such city", 1, "new")] == [
        (group.title, group.count, group.state) for group in found.failures
    ]
    assert (61, True, 62) == (found.failed.number, found.failed.is_exact, found.runs)
    week = await _overview(service, window="7d")
    assert (62, 63) == (week.failed.number, week.runs)
    assert (63, 64) == ((await _overview(service, window="30d")).failed.number, week.runs + 1)


async def test_a_group_has_a_real_message_where_its_title_has_placeholders(service: ExecutionHistoryService) -> None:
    """That of its newest run; charts' statistics have it too. A title without placeholders is the message."""
    await service.merge([
        *(_ended(f"e{n}", n * _HOUR, error_message=f"node '{n}' answered\n{500 + n}") for n in (1, 2)),
        _ended("plain", _HOUR, error_message="a < b"), _ended("none", _HOUR),
    ])  # fmt: skip
    expected = {
        "node <value> answered <n>": ("node '1' answered 501", "node '1' answered 501"),
        "a < b": (None, "a < b"), "": (None, ""),
    }  # fmt: skip
    for groups in (
        (await _overview(service)).failures, (await service.statistics(StatisticsQuery())).failures
    ):  # fmt: skip
        assert expected == {group.title: (group.example, group.message) for group in groups}


async def test_pinned_runs_are_counted(service: ExecutionHistoryService) -> None:
    """However old they are."""
    await service.merge([_ended("old", 300 * _DAY, metadata={"pinned": True}), _ended("new", _HOUR)])
    assert Count(1, is_exact=True) == (await _overview(service)).pinned


async def test_a_kind_that_was_away_is_back(service: ExecutionHistoryService) -> None:
    """One that occurred in the period before is still there."""
    await service.merge([
        _ended("ten-days-ago", 10 * _DAY, error_message="a"), _ended("now", _HOUR, error_message="a"),
        _ended("yesterday", 30 * _HOUR, error_message="b"), _ended("today", 2 * _HOUR, error_message="b"),
    ])  # fmt: skip
    found = await _overview(service)
    assert {"a": "back", "b": "still"} == {group.title: group.state for group in found.failures}


async def test_a_group_says_of_how_many_workflows_it_is(service: ExecutionHistoryService) -> None:
    """A failure that a nested run hands on counts in both."""
    await service.merge([
        _ended("inner", _HOUR, workflow_id="fetch", error_message="a"),
        _ended("outer", 2 * _HOUR, workflow_id="sync", error_message="a"), _ended("b", _HOUR, error_message="b"),
    ])  # fmt: skip
    found = await _overview(service)
    assert {"a": 2, "b": 1} == {group.title: group.workflows for group in found.failures}


@pytest.mark.parametrize(("oldest", "state"), [(30 * _HOUR, None), (2 * _DAY - 1, None), (2 * _DAY, "new")])
async def test_nothing_is_new_where_the_history_began_too_late(
    service: ExecutionHistoryService, oldest: int, state: str | None
) -> None:
    """Unless it reaches one window further back than the window; the charts' statistics say the same."""
    await service.merge([_ended("old", oldest, "success"), _ended("now", _HOUR, error_message="a")])
    (group,) = (await _overview(service)).failures
    assert (state, state == "new") == (group.state, group.is_new)
    window = RecordFilter(created_from=_NOW - _DAY, created_before=_NOW + 1)
    (counted,) = (await service.statistics(StatisticsQuery(filter=window))).failures
    assert state == counted.state
    week = await _overview(service, window="7d")
    assert [None] == [each.state for each in week.failures]


async def test_runs_that_an_error_interrupted_have_failed_too(service: ExecutionHistoryService) -> None:
    """They are counted apart as well, and are not among the runs that wait."""
    question = {"event_id": "1/2", "type": 2, "data": "Which city?"}
    await service.merge([
        _ended("broke", _HOUR, "interrupted", error_message="the recorder ended"),
        _ended("failed", _HOUR, error_message="no"),
        _ended("asks", 2 * _HOUR, "interrupted", metadata={"interrupt": question}),
        _ended("asks-again", 3 * _HOUR, "interrupted", metadata={"interrupt": question}, error_message="refused"),
        document("runs", now=_NOW - 60_000),
    ])  # fmt: skip
    found = await _overview(service)
    assert 2 <= found.failed.number == sum(group.count for group in found.failures)
    assert found.failed.number - 1 == found.broke_off
    assert [("asks", "Which city?"), ("asks-again", "refused")] == [
        (run.execute_id, run.gist) for run in found.waiting.runs
    ]
    assert (["runs"], 1) == ([run.execute_id for run in found.running.runs], found.running.total.number)


async def test_the_bars_of_a_group_cover_the_window(service: ExecutionHistoryService) -> None:
    """Each bucket of the window has a count, also those before the first failure."""
    await service.merge([_ended("a", _HOUR, error_message="no"), _ended("b", 3 * _HOUR, error_message="no")])
    for window in WINDOWS:
        found = await _overview(service, window=window)
        assert (2, len(found.bucket_edges) - 1) == (sum(found.failures[0].buckets), len(found.failures[0].buckets))
        assert found.bucket_edges[0] <= found.since < found.until < found.bucket_edges[-1]


async def test_figures_are_those_of_the_window(service: ExecutionHistoryService) -> None:
    """A workflow without runs in it is there too, and counts nothing; its last run is that of all time."""
    await service.merge([
        _ended("a", _HOUR, "success", usage={"tokens": 5}), _ended("b", 2 * _HOUR, error_message="no"),
        _ended("c", 3 * _DAY, "success", usage={"tokens": 7}), _ended("d", 3 * _DAY, "success", "quiet"),
    ])  # fmt: skip
    w, quiet = (await _overview(service)).workflows
    assert w.figures is not None
    assert quiet.figures is not None
    assert ("w", 2, 1, 5, 0.5, 1_000) == (
        w.workflow_id, w.figures.runs, w.figures.counts["failed"], w.figures.tokens, w.figures.success_rate,
        w.figures.p95,
    )  # fmt: skip
    assert ("quiet", 0, None, _NOW - 3 * _DAY) == (
        quiet.workflow_id, quiet.figures.runs, quiet.figures.p95, quiet.last_run,
    )  # fmt: skip
    assert [12, 0] == [
        each.figures and each.figures.tokens for each in (await _overview(service, window="7d")).workflows
    ]


async def test_failing_workflows_come_first(service: ExecutionHistoryService) -> None:
    """Then starred ones; hidden ones come last, and all have their names. Any other order is that alone."""
    await service.merge([
        _ended("a", 3 * _HOUR, "success", "fine"), _ended("b", 2 * _HOUR, error_message="no"),
        _ended("c", _HOUR, "success", "finer"), _ended("d", _HOUR, workflow_id="hidden", error_message="no"),
        _ended("e", 9 * _DAY, "success", "starred"),
    ])  # fmt: skip
    await service.name_workflow("hidden", hidden=True)
    await service.name_workflow("starred", name="My favourite", starred=True)
    found = (await _overview(service)).workflows
    assert ["w", "starred", "finer", "fine", "hidden"] == [each.workflow_id for each in found]
    by_runs = (await _overview(service, sort="last_run")).workflows
    assert ["finer", "w", "fine", "starred", "hidden"] == [each.workflow_id for each in by_runs]
    assert ([None, "My favourite"], [False, True]) == (
        [each.name for each in found[:2]], [found[0].hidden, found[-1].hidden],
    )  # fmt: skip


def _workflow(workflow_id: str, **counts: int) -> WorkflowInWindow:
    sums = Sums({"success": 0, **counts}, tokens=counts.get("failed", 0))
    return WorkflowInWindow(
        workflow_id=workflow_id, name=None, starred=False, hidden=False, figures=sums.figures(), last_run=1
    )


@pytest.mark.parametrize("sort", SORTS)
def test_workflows_without_a_value_come_last_in_both_directions(sort: WorkflowSort) -> None:
    """Whatever they are sorted by, so that one finds what there is."""
    none = WorkflowInWindow(
        workflow_id="none", name=None, starred=False, hidden=False, figures=None, last_run=0
    )  # fmt: skip
    some = [_workflow("few", failed=1, success=3), none, _workflow("many", failed=5, success=2)]
    for descending in (True, False):
        ordered = [each.workflow_id for each in sorted_workflows(some, sort, descending=descending)]
        if sort in {"runs", "failed", "tokens"}:
            assert [*(["many", "few"] if descending else ["few", "many"]), "none"] == ordered
        elif sort == "success_rate":
            assert [*(["few", "many"] if descending else ["many", "few"]), "none"] == ordered
        else:
            assert {"few", "many", "none"} == set(ordered)


async def test_it_is_whole_only_where_nothing_is_missing(service: ExecutionHistoryService) -> None:
    """A store with a problem may have lost what failed."""
    await service.merge([_ended("a", _HOUR, "success")])
    await service.follow_index()
    assert (await service.overview(health=StoreHealth())).is_whole
    assert not (await service.overview(health=StoreHealth(("The disk is full.",)))).is_whole


async def test_debug_pages_that_expire_are_counted(service: ExecutionHistoryService) -> None:
    """Those of runs that failed six days ago, where they have an address at Coze."""
    ago = 6 * _DAY + _HOUR
    await service.merge([
        _ended("with", ago, debug_url="https://www.coze.cn/work_flow?execute_id=1"), _ended("without", ago),
    ])  # fmt: skip
    assert 1 == (await _overview(service)).expiring.number


async def test_it_is_json_as_it_is(service: ExecutionHistoryService) -> None:
    """Plain values, with the state of each group, and without what is missing where nothing is."""
    await service.merge([_ended("a", _HOUR, error_message="no"), _ended("b", 3 * _DAY, "success")])
    said = json.loads(orjson.dumps(json_of(await _overview(service))))
    assert ("24h", 1, "new") == (said["window"], said["failed"]["number"], said["failures"][0]["state"])
    assert not {"reach", "damaged"} & said.keys()


@pytest.mark.parametrize(("sort", "first"), [("name", "a"), ("success_rate", "b"), ("runs", "b"), ("failed", "b")])
async def test_each_order_begins_with_what_one_looks_for(
    service: ExecutionHistoryService, sort: WorkflowSort, first: str
) -> None:
    """Names and success rates with the smallest, everything else with the largest."""
    await service.merge([
        _ended("a1", _HOUR, "success", workflow_id="a"),
        _ended("b1", _HOUR, workflow_id="b"), _ended("b2", _HOUR, "success", workflow_id="b"),
    ])  # fmt: skip
    assert first == (await _overview(service, sort=sort)).workflows[0].workflow_id


@pytest.mark.parametrize("words", [{"window": "1h"}, {"sort": "colour"}, {"zone": "Nowhere"}])
async def test_what_there_is_not_is_refused(service: ExecutionHistoryService, words: dict[str, Any]) -> None:
    """With a sentence that has what there is."""
    with pytest.raises(InvalidQuery, match=r"there are|perhaps|write a name"):
        await service.overview(OverviewQuery(**words))


def test_counts_are_spread_over_the_window() -> None:
    """Where no bucket of the answer is, nothing was counted."""
    assert (0, 4, 5, 0) == spread([4, 5], [10, 20], [0, 10, 20, 30, 40])
