"""Breakdowns: what each group counts, on every store, and all stores always agree."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.errors import InvalidQuery
from execution_history.query.breakdown import BYS, GROUP_SORTS, Breakdown, BreakdownQuery, By
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, StatisticsQuery
from execution_history.records.record import Document
from execution_history.stores.memory import select
from execution_history.stores.protocol import HistoryStore
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.sample_filters import BASE, HOUR, documents, filters
from tests.sample_records import change, document
from tests.stores_under_test import OTHERS, beside_specification

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", OTHERS)
@given(
    records=st.lists(documents(), max_size=40),
    wanted=filters(),
    by=st.sampled_from(BYS),
    sort=st.sampled_from(GROUP_SORTS),
    bucket=st.none() | st.sampled_from(["hour", "day", "week"]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Australia/Lord_Howe"]),
    limit=st.sampled_from([1, 2, 100]),
    most_runs=st.sampled_from([None, 1, 5]),
    counts_only=st.booleans(),
)
@examples(15)
def test_every_store_groups_like_the_specification(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    records: list[Document],
    wanted: RecordFilter,
    by: Any,
    sort: Any,
    bucket: Any,
    zone: str,
    limit: int,
    most_runs: int | None,
    counts_only: bool,
) -> None:
    """Groups, their figures, order, trends and number, for any records and filter."""
    if by == "node":  # not every store has rollups of nodes, so one counts all and another the newest
        wanted, most_runs = replace(wanted, workflow_ids=("w",)), None
    query = BreakdownQuery(
        filter=wanted, by=by, sort=sort, bucket=bucket, zone=zone, limit=limit, most_runs=most_runs,
        counts_only=counts_only,
    )  # fmt: skip

    async def compare() -> None:
        async with beside_specification(kind, tmp_path_factory.mktemp("h"), postgres) as (model, store):
            for each in (model, store):
                await each.merge(records)
            expected, found = await model.breakdown(query), await store.breakdown(query)
            assert untitled(expected) == untitled(replace(found, reach=expected.reach))

    asyncio.run(compare())


def untitled(found: Breakdown) -> Breakdown:
    """What was *found* without the titles of nodes: of two runs of one time either may give it."""
    return replace(found, groups=[replace(each, title="", type=None) for each in found.groups])


async def test_the_newest_runs_are_counted_whether_they_are_in_a_group_or_not() -> None:
    """So that what nobody has is not looked for in all runs; the older ones are left out, and it says so."""
    bodies = [document(f"e{n}", now=BASE + n, metadata={"account": "a"} if n < 3 else {}).body for n in range(4)]
    runs = [(body, arrival) for arrival, body in enumerate(bodies)]
    query = BreakdownQuery(by="account")
    found = [select.breakdown(query, runs, IndexReach(4, 4), most=most) for most in (1, 2, 4)]
    assert found[1] == select.breakdown(replace(query, most_runs=2), runs, IndexReach(4, 4))
    assert [([], 1), ([1], 2), ([3], None)] == [([g.figures.runs for g in each.groups], each.covers) for each in found]


@pytest.mark.parametrize("by", ["account", "tag"])
async def test_only_runs_that_are_left_out_make_it_say_how_many_were_counted(store: HistoryStore, by: By) -> None:
    """A history of just as many runs as are counted has been counted as a whole."""
    await _filled(store)
    within = RecordFilter(workflow_ids=("w",))
    found = [await store.breakdown(BreakdownQuery(filter=within, by=by, most_runs=most)) for most in (3, 4, 5)]
    assert [3, None, None] == [each.covers for each in found]


async def _filled(store: HistoryStore) -> None:
    """Two workflows: of one four runs an hour apart, the first failed and the last still running; of the other one."""
    nodes = {
        "Ask": {"node_id": "1", "node_title": "Ask", "node_type": "LLM", "start_time": BASE, "update_time": BASE + 40},
        "End": {"node_id": "2", "node_title": "End", "is_finish": True},
    }
    failed = {"Ask": {**nodes["Ask"], "error_message": "no"}}
    for number, status in enumerate(["failed", "success", "success", "running"]):
        await store.create(document(f"e{number}", now=BASE + number * HOUR, metadata={"account": "a", "tags": ["t"]}))
        if status != "running":
            error = {"error_code": 7, "error_message": "no"} if status == "failed" else {}
            timeline = failed if status == "failed" else nodes
            usage = {"input_count": 4, "output_count": 1}
            end = BASE + number * HOUR + 100 * (number + 1)
            await store.update(
                "w", f"e{number}", change(end, status, usage=usage, node_execute_status=timeline, **error)
            )
    await store.create(document("x", workflow_id="v", now=BASE + HOUR))


async def test_workflows_are_counted_with_their_trends(store: HistoryStore) -> None:
    """By hand: counts, rate, percentiles, tokens read and written, the last run, and a point for each hour."""
    await _filled(store)
    found = await store.breakdown(BreakdownQuery(bucket="hour"))
    large, small = found.groups
    assert (["w", "v"], 2, None, True) == (
        [large.key, small.key], found.total_groups, found.covers, found.percentiles_are_exact,
    )  # fmt: skip
    figures = large.figures
    assert (4, 1, 2, 1) == (
        figures.runs,
        figures.counts["failed"],
        figures.counts["success"],
        figures.counts["running"],
    )
    assert (2 / 3, 200, 15, 12, 3) == (
        figures.success_rate, figures.p50, figures.tokens, figures.input_tokens, figures.output_tokens,
    )  # fmt: skip
    assert BASE + 3 * HOUR == large.last_run
    assert [(1, 1), (1, 0), (1, 0), (1, 0)] == [(point.runs, point.failed) for point in large.trend]
    assert [0, 1, 0, 0] == [point.runs for point in small.trend]
    assert 5 == len(found.bucket_edges)


async def test_nodes_are_counted_within_a_workflow(store: HistoryStore) -> None:
    """Of runs that have ended: how often each ran and failed, how long, and of how many that is known."""
    await _filled(store)
    found = await store.breakdown(BreakdownQuery(filter=RecordFilter(workflow_ids=("w",)), by="node"))
    ask, end = found.groups
    assert ("1", "Ask", "LLM", 3, 1, 40, 3) == (
        ask.key, ask.title, ask.type, ask.figures.runs, ask.figures.counts["failed"], ask.figures.p50, ask.timed,
    )  # fmt: skip
    assert ("2", 2, None, 0) == (end.key, end.figures.runs, end.figures.p50, end.timed)
    with pytest.raises(InvalidQuery, match="within one workflow"):
        BreakdownQuery(by="node")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("account", {"a": 4}), ("tag", {"t": 4}), ("error", {"7": 1}), ("failed_node", {"Ask": 1}), ("caller", {}),
        ("status", {"failed": 1, "success": 2, "running": 2}), ("mode", {"stream": 5}), ("bot", {}),
    ],
)  # fmt: skip
async def test_runs_are_counted_by_what_they_have(store: HistoryStore, by: Any, expected: dict[str, int]) -> None:
    """Each under the name that the filter takes; a run without it is in no group."""
    await _filled(store)
    found = await store.breakdown(BreakdownQuery(by=by))
    assert expected == {each.key: each.figures.runs for each in found.groups}


async def test_costs_are_added_up_by_currency(store: HistoryStore) -> None:
    """Exactly, by group and by bucket, and found by amount."""
    for number, (amount, currency) in enumerate([(0.1, "CNY"), (0.2, "CNY"), (1, "USD")]):
        cost = {"amount": amount, "currency": currency, "price": "1"}
        await store.merge([document(f"e{number}", now=BASE + number * HOUR, metadata={"cost": cost})])
    expected = {"CNY": 0.3, "USD": 1.0}
    statistics = await store.statistics(StatisticsQuery(bucket="hour"))
    assert (expected, [{"CNY": 0.1}, {"CNY": 0.2}, {"USD": 1.0}]) == (
        statistics.totals.costs, [bucket.figures.costs for bucket in statistics.buckets],
    )  # fmt: skip
    (group,) = (await store.breakdown(BreakdownQuery())).groups
    assert expected == group.figures.costs
    dear = StatisticsQuery(filter=RecordFilter(cost_from=200_000))
    assert {"CNY": 0.2, "USD": 1.0} == (await store.statistics(dear)).totals.costs
    await store.delete("w", "e0")
    assert {"CNY": 0.2, "USD": 1.0} == (await store.statistics(StatisticsQuery())).totals.costs


@pytest.mark.parametrize(
    ("times", "expected"),
    [([], ("new", 0, None)), ([-50], ("back", 0, -50)), ([-50, -20, -2], ("still", 2, -2)), ([-1], ("more", 1, -1))],
)
async def test_a_failure_is_compared_with_the_period_before(
    store: HistoryStore, times: list[int], expected: tuple[str, int, int | None]
) -> None:
    """New, back, more than usual or still; with its node, and as often as in each bucket."""
    nodes = {"LLM": {"node_title": "Answer", "error_message": "no"}}
    for hours in [*times, 1, 2, 2, 24]:
        name = f"{hours}-{len(times)}"
        if await store.get("w", name) is not None:
            name += "b"
        await store.create(document(name, now=BASE + hours * HOUR))
        error = {"error_code": 7, "error_message": "no", "node_execute_status": nodes}
        await store.update("w", name, change(BASE + hours * HOUR + 5, "failed", **error))
    query = StatisticsQuery(filter=RecordFilter(created_from=BASE), bucket="hour", now=BASE + 25 * HOUR)
    (group,) = (await store.statistics(query)).failures
    last = None if expected[2] is None else BASE + expected[2] * HOUR
    assert (expected[0], expected[1], last, "Answer", 4) == (
        group.state, group.before, group.last_before, group.failed_node, group.count,
    )  # fmt: skip
    assert ([1, 2], 1, 4) == (list(group.buckets[:2]), group.buckets[-1], sum(group.buckets))


async def test_without_a_window_nothing_is_compared(store: HistoryStore) -> None:
    """A failure then has no state."""
    await store.create(document("e", now=BASE))
    await store.update("w", "e", change(BASE + 5, "failed", error_message="no"))
    (group,) = (await store.statistics(StatisticsQuery())).failures
    assert (None, None, None) == (group.state, group.before, group.last_before)


async def test_buckets_span_what_matches_not_what_is_grouped(store: HistoryStore) -> None:
    """The first run alone failed in a node; the trend goes on to the last one."""
    await _filled(store)
    found = await store.breakdown(
        BreakdownQuery(filter=RecordFilter(workflow_ids=("w",)), by="failed_node", bucket="hour")
    )
    assert ([(1, 1), (0, 0), (0, 0), (0, 0)], 5) == (
        [(point.runs, point.failed) for point in found.groups[0].trend], len(found.bucket_edges),
    )  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
@given(
    records=st.lists(documents(), max_size=20),
    wanted=filters(),
    bucket=st.none() | st.just("day"),
    most_runs=st.sampled_from([None, 3]),
    counts_only=st.booleans(),
)
@examples(5)
def test_several_breakdowns_are_those_of_each_alone(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    records: list[Document],
    wanted: RecordFilter,
    bucket: Any,
    most_runs: int | None,
    counts_only: bool,
) -> None:
    """Whatever they count by, of the same runs or of others, in one read or in several."""
    bys = [by for by in BYS if by != "node"]
    query = BreakdownQuery(filter=wanted, bucket=bucket, most_runs=most_runs, limit=2, counts_only=counts_only)
    queries = [replace(query, by=by) for by in bys]
    queries += [replace(query, filter=RecordFilter(), wait_seconds=1.0) for query in queries[::3]]

    async def compare() -> None:
        async with beside_specification(kind, tmp_path_factory.mktemp("h"), postgres) as (model, store):
            for each in (model, store):
                await each.merge(records)
            expected, found = [await model.breakdown(query) for query in queries], await store.breakdowns(queries)
            assert expected == [replace(each, reach=alone.reach) for each, alone in zip(found, expected, strict=True)]

    asyncio.run(compare())
