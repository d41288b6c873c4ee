"""How many statements an answer takes, counted by SQLite's trace: none for each row, none for each bucket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.path_conditions import parse_condition
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import TextIndex
from execution_history.stores.sqlite.index.select import select
from execution_history.stores.sqlite.index.statistics import statistics
from tests.sample_filters import BASE, HOUR
from tests.sample_records import document

pytestmark = pytest.mark.anyio

_LARGE = [{"part": number} for number in range(5_500)]


def _run(number: int) -> Document:
    began = BASE + number * HOUR
    new = document(f"e{number}", f"w{number % 3}", began, bot_id="b", metadata={"tags": [f"t{number % 4}"]})
    record = orjson.loads(new.body) | {
        "execute_status": "failed" if number % 2 else "success",
        "update_time": began + number,
        "output": _LARGE if number % 10 == 0 else "plain",
    }
    if number % 2:
        record |= {"error_code": number % 7, "error_message": "no " + "x" * (number % 20)}
    return Document.of(record, orjson.dumps(record))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """A store with 120 runs in five days: failures of many kinds, tags, and large records."""
    store = SQLiteStore(tmp_path, json_files=False)
    await store.open()
    await store.merge([_run(number) for number in range(120)])
    await store.rebuild_index()  # returns when it is whole
    yield store
    await store.aclose()


async def _count(store: SQLiteStore, ask: Callable[..., Any]) -> tuple[Any, int]:
    """The answer of *ask*, and how many statements it has read with."""
    statements: list[str] = []

    def trace(event: dict[str, Any]) -> None:
        # FTS5 reads its own tables by statements too, which the trace does not tell apart.
        if event["sql"].startswith(("SELECT", "WITH")) and "words_" not in event["sql"]:
            statements.append(event["sql"])

    def traced(index: apsw.Connection, history: Any, reach: Any) -> Any:
        connections = (index, history._connection)
        for connection in connections:
            connection.trace_v2(apsw.SQLITE_TRACE_STMT, trace)
        try:
            return ask(index, history, reach)
        finally:
            for connection in connections:
                connection.trace_v2(0, None)

    return await asyncio.to_thread(store._parts.index.answer, traced), len(statements)


_FILTERS = [
    RecordFilter(),
    RecordFilter(workflow_ids=("w0", "w1"), statuses=("failed", "success")),
    RecordFilter(bot_ids=("b", "none"), tags=("t1",), has_output=True),
    RecordFilter(error_codes=("1", "3"), duration_from=1, created_from=BASE + HOUR, created_before=BASE + 110 * HOUR),
    RecordFilter(text="pla"),
]
_IDS = ["all", "workflows", "tag", "errors", "text"]


@pytest.mark.parametrize("summaries", [True, False])
@pytest.mark.parametrize("wanted", _FILTERS, ids=_IDS)
async def test_a_page_takes_few_statements(store: SQLiteStore, wanted: RecordFilter, summaries: bool) -> None:
    """Far fewer than it has records, or summaries, which the index keeps of large records."""
    query = RecordQuery(filter=wanted, size=25, summaries=summaries)
    found, statements = await _count(
        store, lambda index, history, reach: select(index, history, query, TextIndex(), reach)
    )
    assert len(found.documents) > 12
    assert statements <= (12 if wanted.text else 6)


@pytest.mark.parametrize("condition", ["output = plain", "input.none exists"])
async def test_looking_into_documents_takes_a_statement_for_fifty(store: SQLiteStore, condition: str) -> None:
    """And one for the rows that they are looked for in; another chooses the index."""
    query = RecordQuery(filter=RecordFilter(conditions=(parse_condition(condition),)), size=100)
    _, statements = await _count(store, lambda index, history, reach: select(index, history, query, TextIndex(), reach))
    assert 2 * 3 + 1 >= statements


@pytest.mark.parametrize("wanted", _FILTERS, ids=_IDS)
async def test_statistics_take_six_statements(store: SQLiteStore, wanted: RecordFilter) -> None:
    """However many buckets, error codes and kinds of failures there are."""
    taken = []
    for bucket in ("month", "hour"):
        query = StatisticsQuery(filter=wanted, bucket=bucket, new_since=BASE + HOUR)
        found, statements = await _count(
            store, lambda index, history, reach, query=query: statistics(index, history, query, TextIndex(), reach)
        )
        taken.append(statements)
        assert found.totals.runs
    assert len(found.buckets) > 50
    assert all(statements <= 6 for statements in taken)
