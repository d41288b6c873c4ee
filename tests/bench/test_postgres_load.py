"""A large history in PostgreSQL is loaded past the store, and is what the store would have made of it."""

from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from bench.fixture import CHUNK, TEXTS, Fixture
from bench.postgres_load import copy_chunk
from bench.postgres_rows import RowMaker

from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.records.record import Document
from execution_history.stores import store_at
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio

_QUESTIONS = (
    RecordFilter(),
    RecordFilter(statuses=("failed",)),
    RecordFilter(workflow_ids=("large-0",), tags=("tag-3",)),
    RecordFilter(text="planned"),
)


@pytest.mark.parametrize("is_short", [False, True])
async def test_a_loaded_history_answers_like_one_that_was_merged(
    postgres: PostgresServer, postgres_url: str, *, is_short: bool
) -> None:
    """Pages, searches, statistics, the counts of workflows and the log of changes; and it can be written on."""
    fixture = Fixture(300, 1_764_000_000_000, is_short)
    documents = [Document.of(record, orjson.dumps(record)) for record in fixture.records()]
    store, model = store_at(postgres_url), store_at("memory:")
    await store.open()
    (schema,) = parse_qs(urlsplit(postgres_url).query)["schema"]
    assert 300 == copy_chunk(postgres.url, fixture, 0, schema)
    await model.merge(documents)
    for wanted in _QUESTIONS:
        found, expected = [await each.select(RecordQuery(filter=wanted, size=100)) for each in (store, model)]
        assert [*map(bytes, expected.documents)] == [*map(bytes, found.documents)]
        assert found.total == expected.total if found.total_is_exact else found.total <= expected.total
        counted = [await each.statistics(StatisticsQuery(filter=wanted, bucket="day")) for each in (store, model)]
        assert counted[0] == counted[1]
    summaries = [sorted(await each.workflows(), key=lambda summary: summary.workflow_id) for each in (store, model)]
    assert summaries[0] == summaries[1]
    assert 300 == len(await store.changes(0, 1_000))
    assert await store.delete(documents[0].workflow_id, documents[0].execute_id)
    await store.aclose()


def test_the_row_of_a_repeated_run_is_the_one_that_the_store_makes() -> None:
    """Whether or not the run that it repeats was seen before."""
    fixture = Fixture(TEXTS + CHUNK, 1_764_000_000_000, is_short=True)
    maker = RowMaker()
    firsts = list(maker.rows(fixture, 0))
    repeated = list(maker.rows(fixture, TEXTS))
    assert CHUNK == len(firsts)
    assert list(RowMaker().rows(fixture, TEXTS)) == repeated
