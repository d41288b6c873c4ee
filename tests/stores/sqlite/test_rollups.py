"""Hourly rollups: they are what a recount gives, and statistics of very many runs are answered from them."""

import asyncio
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.query.breakdown import BYS, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import StatisticsQuery
from execution_history.query.rollups import bucket_of, duration_of, percentiles_in
from execution_history.query.statistics import percentiles
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.memory import select
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.day_rollups import PricedDay
from execution_history.stores.sqlite.index.limits import Limits
from tests.examples import examples
from tests.sample_filters import BASE, HOUR, documents
from tests.sample_records import change, document
from tests.stores.test_breakdown import untitled

_TIMES = st.none() | st.integers(0, 240).map(lambda step: BASE + step * HOUR // 8)
_DURATIONS = st.integers(0, 100) | st.integers(0, 10**7) | st.integers(0, 2**62)


@given(st.lists(_DURATIONS, min_size=1, max_size=200))
def test_percentiles_of_a_histogram_are_within_two_percent(durations: list[int]) -> None:
    """Of those of the values themselves, however long they are; short ones are exact."""
    exact = percentiles(sorted(durations))
    for right, found in zip(exact, percentiles_in(Counter(map(bucket_of, durations))), strict=True):
        assert right is not None
        assert found is not None
        assert abs(found - right) <= 0.02 * right


def test_longer_durations_have_larger_buckets() -> None:
    """So that sorting buckets sorts durations; the middle of a bucket is in it."""
    values = [*range(5_000), *(2**power + step for power in range(13, 62) for step in (-1, 0, 1))]
    buckets = list(map(bucket_of, values))
    assert sorted(buckets) == buckets
    assert all(bucket == bucket_of(duration_of(bucket)) for bucket in buckets)
    assert percentiles_in({}) == (None, None, None)


@given(
    records=st.lists(documents(), max_size=60),
    workflow_ids=st.sampled_from([(), ("w",), ("w", "v", "w"), ("none",)]),
    times=st.tuples(_TIMES, _TIMES),
    bucket=st.sampled_from([None, "hour", "day", "week"]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Asia/Kolkata", "Australia/Lord_Howe"]),
    exact_runs=st.sampled_from([0, 5, 20]),
    statuses=st.sampled_from([(), (), ("failed", "interrupted")]),
    counts_only=st.booleans(),
    figures_only=st.booleans(),
)
@examples(13)
def test_statistics_from_rollups_are_those_of_the_specification(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[Document],
    workflow_ids: tuple[str, ...],
    times: tuple[int | None, int | None],
    bucket: Any,
    zone: str,
    exact_runs: int,
    statuses: tuple[str, ...],
    counts_only: bool,
    figures_only: bool,
) -> None:
    """The same counts, sums and percentiles of the same histograms, whole hours or not, and they say so."""
    wanted = RecordFilter(workflow_ids=workflow_ids, statuses=statuses, created_from=times[0], created_before=times[1])
    only = {"counts_only": counts_only, "figures_only": figures_only}
    query = StatisticsQuery(filter=wanted, bucket=bucket, zone=zone, **only)

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("h")
        store = SQLiteStore(folder, json_files=False)
        await store.open()
        await store.merge(records)
        index = RecordIndex(folder, store._parts.reader, None, Limits(exact_runs=exact_runs))
        found = await index.statistics(query)
        bodies = [(body, arrival) for arrival, body in enumerate((await store.scan(None, 100)).documents)]
        assert select.statistics(query, bodies, found.reach, exact_runs) == found
        index.close()
        await store.aclose()

    asyncio.run(compare())


@given(
    records=st.lists(documents(), max_size=60),
    wanted=st.builds(
        RecordFilter,
        workflow_ids=st.sampled_from([(), ("w",), ("w", "v", "w"), ("none",)]),
        created_from=_TIMES,
        created_before=_TIMES,
        accounts=st.sampled_from([(), ("x",), ("x", "y")]),
    ),
    by=st.sampled_from([*BYS, "workflow", "node"]),
    bucket=st.sampled_from([None, "hour", "day", "week"]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Asia/Kolkata", "Australia/Lord_Howe"]),
    sort=st.sampled_from(["runs", "p95", "cost"]),
    limits=st.sampled_from([(0, 1_000), (5, 1_000), (5, 12), (0, 4)]),
)
@examples(25)
def test_breakdowns_from_rollups_are_those_of_the_specification(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[Document],
    wanted: RecordFilter,
    by: Any,
    bucket: Any,
    zone: str,
    sort: Any,
    limits: tuple[int, int],
) -> None:
    """From days, hours and rows together, or from the newest rows: the same groups in the same order."""
    wanted = replace(wanted, workflow_ids=("w",)) if by == "node" else wanted
    query = BreakdownQuery(filter=wanted, by=by, bucket=bucket, zone=zone, sort=sort, limit=2)

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("h")
        store = SQLiteStore(folder, json_files=False)
        await store.open()
        for each in records:
            await store.merge([each])
        index = RecordIndex(folder, store._parts.reader, None, Limits(exact_grouped=limits[0], grouped=limits[1]))
        [found] = await index.breakdowns([query])
        bodies = [(body, arrival) for arrival, body in enumerate((await store.scan(None, 100)).documents)]
        assert untitled(select.breakdown(query, bodies, found.reach, *limits)) == untitled(found)
        index.close()
        await store.aclose()

    asyncio.run(compare())


_RECOUNT = """
SELECT w, create_time / 3600000, count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1),
    count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3), count(*) FILTER (WHERE status = 4),
    coalesce(sum(tokens), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
FROM (SELECT workflow AS w, * FROM facets UNION ALL SELECT 0 AS w, * FROM facets) GROUP BY 1, 2 ORDER BY 1, 2
"""


@pytest.mark.anyio
async def test_a_workflow_that_names_its_nodes_anew_is_counted_from_rows(tmp_path: Path) -> None:
    """All of them; their daily rollups, which would be as many as runs, are bounded, and nothing is left of them."""
    store = SQLiteStore(tmp_path, json_files=False)
    await store.open()
    index = RecordIndex(tmp_path, store._parts.reader, None, Limits(exact_grouped=0))
    for number in range(3):
        nodes = {f"{number}-{each}": {"node_title": "x"} for each in range(90)}
        await store.create(document(f"e{number}", now=BASE))
        await store.update("w", f"e{number}", change(BASE + 1, "success", node_execute_status=nodes))
    query = BreakdownQuery(filter=RecordFilter(workflow_ids=("w",)), by="node", limit=1_000)
    [found] = await index.breakdowns([query])
    assert (270, True) == (found.total_groups, found.percentiles_are_exact)
    days = "SELECT count(*) FROM days WHERE node > 0"
    assert 200 == await asyncio.to_thread(index.answer, lambda read, _h, _r: read.execute(days).fetchone()[0])
    for number in range(3):
        await store.delete("w", f"e{number}")
    assert 0 == (await index.breakdowns([query]))[0].total_groups
    assert 0 == await asyncio.to_thread(index.answer, lambda read, _h, _r: read.execute(days).fetchone()[0])
    index.close()
    await store.aclose()


_COSTS_RECOUNT = """
SELECT w, create_time / 3600000, currency, count(*), sum(cost)
FROM (SELECT workflow AS w, * FROM facets UNION ALL SELECT 0 AS w, * FROM facets)
WHERE cost IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@given(
    st.lists(
        st.tuples(st.sampled_from(["merge", "delete", "clear", "rebuild", "ask"]), documents(), st.booleans()),
        max_size=25,
    )
)
@examples(13)
def test_rollups_are_what_a_recount_gives(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """After any sequence of new records, changes, deletions and rebuilds, asked in between or not."""

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("h")
        store = SQLiteStore(folder, json_files=False)
        await store.open()
        index = RecordIndex(folder, store._parts.reader, TextIndex(), Limits(small=5, front=2, changes=3))
        later = itertools.count(1)
        for step, drawn, asks in steps:
            if step == "merge":
                record = orjson.loads(drawn.body)
                record["update_time"] = BASE + 1_000 * HOUR + next(later)
                await store.merge([Document.of(record, orjson.dumps(record))])
            elif step == "delete":
                await store.delete(drawn.workflow_id, drawn.execute_id)
            elif step == "clear":
                await store.clear(drawn.workflow_id)
            elif step == "rebuild":
                await index.rebuild()
            if asks:
                await index.statistics(StatisticsQuery())
        await index.follow()
        await asyncio.to_thread(index.answer, _recounted)
        index.close()
        await store.aclose()

    asyncio.run(compare())


def _recounted(index: Any, _history: Any, _reach: Any) -> None:
    assert index.execute(_RECOUNT).fetchall() == index.execute("SELECT * FROM rollups").fetchall()
    durations: Counter[tuple[int, int, int]] = Counter()
    for workflow, create_time, status, duration in index.execute(
        "SELECT workflow, create_time, status, duration FROM facets"
    ):
        if status in {1, 2}:
            for each in (workflow, 0):
                durations[each, create_time // HOUR, bucket_of(duration)] += 1
    assert durations == {tuple(row[:3]): row[3] for row in index.execute("SELECT * FROM durations")}
    assert _days_recounted(index) == {tuple(row[:3]): row[3:] for row in index.execute("SELECT * FROM days")}
    assert index.execute(_COSTS_RECOUNT).fetchall() == index.execute("SELECT * FROM costs").fetchall()


def _days_recounted(index: Any) -> dict[tuple[int, ...], tuple[Any, ...]]:
    """What the days of workflows and nodes have to hold, from the rows."""
    days: dict[tuple[int, int, int], PricedDay] = {}
    columns = "create_time, status, duration, tokens, input_tokens, output_tokens"
    sql = f"SELECT workflow, 0, {columns}, cost, currency FROM facets UNION ALL SELECT workflow, node, {columns}, NULL, NULL FROM nodes"  # noqa: S608, E501 - literals of ours
    for workflow, node, create_time, status, duration, *tokens, cost, currency in index.execute(sql):
        number, hour = divmod(create_time // HOUR, 24)
        day = days.setdefault((workflow, node, number), PricedDay())
        day.count(hour, status, tokens, 1)
        if status in {1, 2} and duration is not None:
            day.durations[bucket_of(duration)] += 1
        if cost is not None:
            day.costs[currency] += cost
    packed = {key: day.columns() for key, day in days.items()}
    return {key: (*row[:-2], bytes.fromhex(row[-2]), bytes.fromhex(row[-1])) for key, row in packed.items()}


async def _nodes(store: SQLiteStore) -> list[Any]:
    sql = (
        "SELECT w.text, n.node, t.text, y.text, n.status, n.duration, n.tokens FROM (SELECT nodes.*, i.text AS id "
        "FROM nodes JOIN texts i ON i.id = node) n JOIN texts w ON w.id = n.workflow "
        "JOIN texts t ON t.id = n.title LEFT JOIN texts y ON y.id = n.type ORDER BY n.seq, n.place"
    ).replace("n.node,", "n.id,")
    return await asyncio.to_thread(store._parts.index.answer, lambda index, _h, _r: index.execute(sql).fetchall())


@pytest.mark.anyio
async def test_every_node_of_a_run_that_has_ended_has_a_row(tmp_path: Path) -> None:
    """With its times and tokens where they are known; the rows change and go with the record."""
    nodes = {
        "Start": {"node_id": "1", "node_title": "Start", "node_type": "Start", "is_finish": True,
                  "start_time": BASE, "update_time": BASE + 5},
        "LLM": {"node_title": "LLM", "is_finish": False, "usage": {"token_count": 7}},
    }  # fmt: skip
    store = SQLiteStore(tmp_path, json_files=False)
    await store.open()
    await store.create(document("a"))
    await store.update("w", "a", change(3_000, node_execute_status=nodes))
    assert [] == await _nodes(store)
    await store.update("w", "a", change(3_500, "failed", node_execute_status=nodes))
    assert [("w", "1", "Start", "Start", 1, 5, None), ("w", "LLM", "LLM", None, 0, None, 7)] == await _nodes(store)
    nodes["LLM"]["error_message"] = "no"
    await store.update("w", "a", change(4_000, node_execute_status=nodes))
    assert [1, 2] == [row[4] for row in await _nodes(store)]
    await store.delete("w", "a")
    assert [] == await _nodes(store)
    await store.aclose()
