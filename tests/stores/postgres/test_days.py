"""Sums of days by node: never behind, whoever writes, and rows that older processes left are filled for them."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import pytest

from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, StatisticsQuery
from execution_history.records.record import Document
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.memory import select as specification
from execution_history.stores.postgres.backfill import fill_next
from execution_history.stores.postgres.commit import ADD_NODES
from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.days import sum_day
from execution_history.stores.postgres.groups import breakdown
from execution_history.stores.postgres.limits import Limits
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.queries import DEFAULT_SCHEMA, insert_rows, migrations
from execution_history.stores.postgres.record_rows import COLUMNS, row_of
from execution_history.stores.postgres.tasks import Tasks
from tests.postgres_server import PostgresServer
from tests.sample_filters import BASE, HOUR
from tests.sample_records import changed, document, ids
from tests.stores.postgres.filled import empty_history, fill, sum_all
from tests.stores.postgres.test_schema import opened
from tests.stores.test_breakdown import untitled

pytestmark = pytest.mark.anyio

_DAY: Final = 24 * HOUR
_MANY: Final = Limits(exact_grouped=0)
_QUERY: Final = BreakdownQuery(filter=RecordFilter(workflow_ids=("w",)), by="node", bucket="day")
_LATER: Final = frozenset({"input_tokens", "output_tokens", "cost", "currency", "log_id", "failed_in", "filled"})
"""The columns that older processes do not know."""


def _run(name: str, hours: int = 0, *, status: str = "success", took: int = 40, node: str = "Ask") -> Document:
    """A run with one node that began so many hours after the beginning."""
    began = BASE + hours * HOUR
    timeline = {node: {"node_title": node, "node_type": "LLM", "start_time": began, "update_time": began + took}}
    made = document(name, now=began, metadata={"log_id": f"log-{name}"})
    usage = {"input_count": 4, "output_count": 1}
    return changed(made, began + 90, status, usage=usage, node_execute_status=timeline)


def _expected(records: list[Document], query: BreakdownQuery = _QUERY) -> Breakdown:
    runs = [(each.body, place) for place, each in enumerate(records)]
    return untitled(specification.breakdown(query, runs, IndexReach(0, 0), 0, 8_000))


def _found(connections: Connections, query: BreakdownQuery = _QUERY, limits: Limits = _MANY) -> Breakdown:
    return untitled(replace(breakdown(connections, query, has_text=False, limits=limits), reach=IndexReach(0, 0)))


@pytest.fixture(scope="module")
def history(postgres: PostgresServer) -> Iterator[Connections]:
    """A history that each test fills."""
    with postgres.new_history() as url, empty_history(url) as connections:
        yield connections


@pytest.mark.parametrize("until", [30, 2**40])
def test_a_window_takes_whole_days_from_their_sums(history: Connections, until: int) -> None:
    """And what it cuts off them from rows, as what began since they were added up."""
    records = [_run(f"e{n}", n * 5, status="failed" if n % 3 else "success", took=n * 700) for n in range(20)]
    fill(history, records)
    sum_all(history, BASE // HOUR + until)
    for wanted in (
        RecordFilter(workflow_ids=("w",)),
        RecordFilter(workflow_ids=("w",), created_from=BASE + 7 * HOUR),
        RecordFilter(workflow_ids=("w",), created_from=BASE + 7 * HOUR, created_before=BASE + 80 * HOUR + 1),
    ):
        for zone in ("UTC", "Asia/Shanghai", "Asia/Kolkata"):
            query = replace(_QUERY, filter=wanted, zone=zone)
            kept = [each for each in records if _is_within(each, wanted)]
            assert _expected(kept, query) == _found(history, query)


def _is_within(record: Document, wanted: RecordFilter) -> bool:
    begin, end = wanted.created_from or 0, wanted.created_before or 2**62
    return begin <= record.create_time < end


def test_a_day_is_read_from_its_sum(history: Connections) -> None:
    """Where nothing has changed, no row of a node is looked at: the sum says what the rows would."""
    fill(history, [_run("a"), _run("b", 1)])
    sum_all(history)
    with history.reading() as connection:
        connection.execute(history.statements.placed("UPDATE execution_history.nodes SET status = 2"))
    [node] = _found(history).groups
    assert 0 == node.figures.counts["failed"]


async def test_whoever_changes_a_run_takes_its_day_back(postgres_url: str) -> None:
    """Also where the counters stay as they are: a run that is replaced, and one that is deleted for another."""
    async with opened(postgres_url) as store:
        await store.merge([_run("a"), _run("b", 1)])
        await asyncio.to_thread(sum_all, store._connections)
        newer = changed(_run("a", took=90), BASE + 100)
        await store.merge([newer])
        assert _expected([newer, _run("b", 1)]) == _found(store._connections)
        await asyncio.to_thread(sum_all, store._connections)
        await store.delete("w", "b")
        await store.merge([_run("c", 1, node="Other")])
        assert _expected([newer, _run("c", 1, node="Other")]) == _found(store._connections)
        await asyncio.to_thread(sum_all, store._connections)
        assert _expected([newer, _run("c", 1, node="Other")]) == _found(store._connections)
        await store.clear("w")
        assert () == tuple(_found(store._connections).groups)


def test_a_run_of_an_older_process_is_counted_from_its_row(history: Connections) -> None:
    """It takes nothing back, and may leave the counters as they are."""
    fill(history, [_run("a")])
    sum_all(history)
    with history.reading() as connection:
        for change in (
            "UPDATE execution_history.executions SET version = version + 1",
            "UPDATE execution_history.nodes SET status = 2",
        ):
            connection.execute(history.statements.placed(change))
    [node] = _found(history).groups
    assert 1 == node.figures.counts["failed"]


def test_days_that_are_not_added_up_yet_are_left_out_and_named(history: Connections) -> None:
    """Of very many runs: the newest are counted, and the answer tells from when on, and how many are missing."""
    fill(history, [_run(f"e{n}", n * 24) for n in range(6)])
    first = BASE // _DAY * _DAY
    history.run(lambda each, _: sum_day(each, history.statements, "w", first // _DAY + 1, 2**40))
    found = breakdown(history, _QUERY, has_text=False, limits=replace(_MANY, unsummed=2))
    assert (3, first + 4 * _DAY, 3) == (found.groups[0].figures.runs, found.reach.since, found.reach.missing)
    assert not found.reach.is_complete
    sum_all(history)
    found = breakdown(history, _QUERY, has_text=False, limits=replace(_MANY, unsummed=2))
    assert (6, True) == (found.groups[0].figures.runs, found.reach.is_complete)


def test_nodes_that_are_named_anew_in_each_run_have_no_sums(history: Connections) -> None:
    """They would be as many as the runs: the newest runs are counted one by one."""
    records = [_run(f"e{n}", node=f"node-{n}") for n in range(202)]
    fill(history, records)
    Tasks(history, "a", 0).finish(BASE + 9 * _DAY)
    found = breakdown(history, replace(_QUERY, limit=1_000), has_text=False, limits=_MANY)
    assert (202, True) == (found.total_groups, found.percentiles_are_exact)


def _with_schema_of(connections: Connections, number: int) -> None:
    """Make the tables as the migrations up to *number* did."""
    statements = connections.statements
    with connections.connect() as connection:
        connection.execute(statements.placed(f"CREATE SCHEMA {DEFAULT_SCHEMA}.").replace(b".", b""))
        for step in migrations()[:number]:
            connection.execute(statements.placed(step.script))
            connection.execute(statements["add_migration"], (step.number, step.name, step.oldest_code))
        connection.execute(statements["add_dictionary"], (1, shipped_dictionary()))


def _written_by_older(connections: Connections, records: list[Document], columns: list[str]) -> None:
    """Write *records* as a process does that knows these columns only."""
    counts = ", ".join(f"count(*) FILTER (WHERE status = {number})" for number in range(5))
    marks, packer = ", ".join(["%s"] * len(columns)), Packer(shipped_dictionary())
    insert = f"INSERT INTO {DEFAULT_SCHEMA}.executions ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of ours
    statements = connections.statements
    with connections.connect() as connection:
        for each in records:
            row = row_of(each, packer, each.create_time)
            [(seq,)] = connection.execute(statements["arrivals"], (1,))
            values = dict(zip(COLUMNS, row.values(seq, seq << 20), strict=True))
            connection.execute(statements.placed(insert), [values[name] for name in columns])
            insert_rows(connection, statements, ADD_NODES, [(*row.key, *node[:-2]) for node in row.nodes])
        for table, sums in _OLD_SUMS.items():
            connection.execute(statements.placed(f"DELETE FROM {DEFAULT_SCHEMA}.{table}"))  # noqa: S608 - likewise
            source = f"WITH e AS (SELECT * FROM {DEFAULT_SCHEMA}.executions)"  # noqa: S608 - likewise
            connection.execute(
                statements.placed(f"INSERT INTO {DEFAULT_SCHEMA}.{table} {source} {sums}".format(counts=counts))
            )


_OLD_SUMS: Final = {
    "counters": "SELECT workflow_id, 1, {counts}, 0 FROM e GROUP BY 1",
    "total_counters": "SELECT 1, {counts} FROM e",
    "rollups": "SELECT workflow_id, create_time / 3600000, 1, {counts}, sum(tokens) FROM e GROUP BY 1, 2",
    "total_rollups": "SELECT create_time / 3600000, 1, {counts}, sum(tokens) FROM e GROUP BY 1",
}


async def test_runs_from_before_are_filled_and_added_up(postgres_url: str) -> None:
    """Tokens by direction, cost and log id, in the rows and in the sums; and nobody who follows is told of it."""
    cost: dict[str, Any] = {"metadata": {"cost": {"amount": 0.1, "currency": "CNY", "price": "1"}, "log_id": "log-a"}}
    records = [changed(_run("a"), BASE + 95, **cost), _run("b", 1, status="failed"), _run("c", 30)]
    columns = [each for each in COLUMNS if each not in _LATER]
    with closing(Connections(location_of(postgres_url))) as connections:
        _with_schema_of(connections, 3)
        _written_by_older(connections, records[:2], columns)
        async with opened(postgres_url) as store:
            revision = await store.revision()
            _written_by_older(connections, records[2:], columns)
            await asyncio.to_thread(Tasks(store._connections, "a", 0).finish, BASE + 9 * _DAY)
            expected = specification.statistics(
                StatisticsQuery(), [(each.body, place) for place, each in enumerate(records)], IndexReach(0, 0)
            )
            found = await store.statistics(StatisticsQuery())
            assert (expected.totals, expected.buckets) == (found.totals, found.buckets)
            for name in ("a", "c"):
                wanted = RecordQuery(filter=RecordFilter(log_ids=(f"log-{name}",)))
                assert [name] == ids((await store.select(wanted)).documents)
            assert _expected(records) == _found(store._connections)
            assert revision == await store.revision()
            assert not fill_next(store._connections, 0, BASE)


async def test_one_process_does_it_for_all(postgres_url: str) -> None:
    """The others leave it alone while it does."""
    async with opened(postgres_url) as store:
        await store.merge([_run("a")])
        connections = store._connections
        with connections.reading() as connection:
            take = connections.statements["take_task"]
            connection.execute(take, ("execution-history sums", "another process"))
            connection.execute(connections.statements.placed("UPDATE execution_history.executions SET filled = NULL"))
        assert not await asyncio.to_thread(Tasks(connections, "a", 0).go_on, BASE)
        assert [tuple(RecordKey("w", "a"))] == connections.rows("unfilled", 9)
