"""Questions to PostgreSQL: whichever rows are few and whichever many, answers are those of the specification."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.errors import InvalidQuery
from execution_history.query.breakdown import BYS, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection, StatisticsQuery
from execution_history.records.record import Document
from execution_history.stores.memory import select as specification
from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.groups import breakdown
from execution_history.stores.postgres.limits import USUAL, Limits
from execution_history.stores.postgres.select import keys_of, select
from execution_history.stores.postgres.statistics import statistics
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.sample_filters import BASE, HOUR, documents, filters
from tests.sample_records import changed, document
from tests.stores.postgres.filled import empty_history, fill, sum_all
from tests.stores.test_breakdown import untitled

_LIMITS = st.sampled_from(
    [
        USUAL,
        Limits(few=-1, page=0, most_with_text=-1, few_of_all=-1, window=3, portion=2, counted=3),
        Limits(few=-1, page=0, window=2, row=0.0, portion=2, largest_portion=3, exact_runs=5),
        Limits(few=2, page=0, most_with_text=2, window=2, row=99.0, portion=2, exact_runs=0),
    ]
)
_RECORDS = st.lists(documents(), max_size=25)


@pytest.fixture(scope="module")
def history(postgres: PostgresServer) -> Iterator[Connections]:
    """A history that each test fills."""
    with postgres.new_history() as url, empty_history(url) as connections:
        yield connections


def _pages(answer: Any, query: RecordQuery) -> list[Selection]:
    pages = [answer(query)]
    while (following := pages[-1].next) is not None:
        pages.append(answer(replace(query, after=following)))
    return pages


def _bodies(pages: Sequence[Selection]) -> list[bytes]:
    return [bytes(body) for page in pages for body in page.documents]


def _arrived(records: Sequence[Document]) -> list[tuple[bytes, int]]:
    kept = {(record.workflow_id, record.execute_id): record for record in records}
    return [(record.body, place) for place, record in enumerate(kept.values(), 1)]


@given(
    records=_RECORDS,
    wanted=filters(),
    sort=st.sampled_from(["create_time", "duration", "tokens"]),
    descending=st.booleans(),
    size=st.integers(1, 7),
    summaries=st.booleans(),
    limits=_LIMITS,
)
@examples(13)
def test_pages_are_those_of_the_specification(
    history: Connections,
    records: list[Document],
    wanted: RecordFilter,
    sort: Any,
    descending: bool,
    size: int,
    summaries: bool,
    limits: Limits,
) -> None:
    """By cursor and by number, for any records, filter and order, and never a record twice or left out."""
    fill(history, records)
    arrived = _arrived(records)
    query = RecordQuery(filter=wanted, sort=sort, descending=descending, size=size, summaries=summaries)
    expected = _pages(lambda q: specification.select(q, arrived, IndexReach(0, 0)), query)
    found = _pages(lambda q: select(history, q, has_text=True, limits=limits), query)
    assert _bodies(expected) == _bodies(found)
    for page in found:
        assert page.total == expected[0].total if page.total_is_exact else page.total <= expected[0].total
        assert page.reach.is_complete
    for index in (2, 3):
        numbered = replace(query, index=index)
        theirs = specification.select(numbered, arrived, IndexReach(0, 0))
        assert _bodies([theirs]) == _bodies([select(history, numbered, has_text=True, limits=limits)])


@given(
    records=_RECORDS,
    text=st.sampled_from(["北", "x", "tim*", "imed", "timed -40", "weird", "x 北"]),
    statuses=st.just(()) | st.just(("running", "success", "failed")),
    sort=st.sampled_from(["create_time", "duration", "tokens"]),
    descending=st.booleans(),
    limits=st.sampled_from([Limits(few=-1, page=0, window=1, row=99.0, portion=2), Limits(few=30, portion=2)]),
)
@examples(8)
def test_a_rare_text_is_found_in_every_order(
    history: Connections,
    records: list[Document],
    text: str,
    statuses: tuple[str, ...],
    sort: Any,
    descending: bool,
    limits: Limits,
) -> None:
    """Also in runs that go on, whose tokens are not known yet, and in those without a value to sort by."""
    fill(history, records)
    query = RecordQuery(filter=RecordFilter(text=text, statuses=statuses), sort=sort, descending=descending, size=2)
    expected = _pages(lambda q: specification.select(q, _arrived(records), IndexReach(0, 0)), query)
    assert _bodies(expected) == _bodies(_pages(lambda q: select(history, q, has_text=True, limits=limits), query))


@given(
    records=_RECORDS,
    wanted=filters(),
    bucket=st.sampled_from(["hour", "day", "week", "month"]),
    new_since=st.none() | st.integers(0, 30).map(lambda step: BASE + step * HOUR),
    limits=_LIMITS,
)
@examples(13)
def test_counts_are_those_of_the_specification(
    history: Connections,
    records: list[Document],
    wanted: RecordFilter,
    bucket: Any,
    new_since: int | None,
    limits: Limits,
) -> None:
    """Totals, buckets, percentiles, from rows or from rollups, error codes and groups of failures."""
    fill(history, records)
    query = StatisticsQuery(filter=wanted, bucket=bucket, new_since=new_since)
    counted = specification.statistics(query, _arrived(records), IndexReach(0, 0))
    found = statistics(history, query, has_text=True, limits=limits)
    if counted.percentiles_are_exact and found.percentiles_are_exact:
        assert replace(counted, reach=found.reach) == found
        return
    assert _without_percentiles(counted) == _without_percentiles(found)


@given(
    records=_RECORDS,
    wanted=filters(),
    by=st.sampled_from([*BYS, "workflow"]),
    sort=st.sampled_from(["runs", "p95", "cost"]),
    bucket=st.sampled_from([None, "hour", "day"]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Asia/Kolkata"]),
    limits=st.sampled_from(
        [
            USUAL,
            Limits(exact_grouped=0),
            Limits(few=-1, page=0, exact_grouped=3, grouped=12),
            Limits(exact_grouped=0, grouped=4),
        ]
    ),
    summed=st.booleans(),
)
@examples(15)
def test_groups_are_those_of_the_specification(
    history: Connections,
    records: list[Document],
    wanted: RecordFilter,
    by: Any,
    sort: Any,
    bucket: Any,
    zone: str,
    limits: Limits,
    summed: bool,
) -> None:
    """From rollups of hours, sums of days, or the newest rows."""
    fill(history, records)
    if by == "node":
        wanted = replace(wanted, workflow_ids=("w",))
    if summed:
        sum_all(history)
    query = BreakdownQuery(filter=wanted, by=by, sort=sort, bucket=bucket, zone=zone, limit=2)
    reach, numbers = IndexReach(0, 0), (limits.exact_grouped, limits.grouped)
    counted = specification.breakdown(query, _arrived(records), reach, *numbers)
    found = breakdown(history, query, has_text=True, limits=limits)
    assert untitled(counted) == untitled(replace(found, reach=reach))


def _without_percentiles(found: Any) -> Any:
    def cut(figures: Any) -> Any:
        return replace(figures, p50=None, p95=None, p99=None)

    return (
        cut(found.totals),
        [replace(bucket, figures=cut(bucket.figures)) for bucket in found.buckets],
        found.error_codes,
        found.failures,
    )


@given(records=_RECORDS, wanted=filters(), limit=st.integers(1, 30), limits=_LIMITS)
@examples(8)
def test_the_oldest_records_that_match_are_named(
    history: Connections, records: list[Document], wanted: RecordFilter, limit: int, limits: Limits
) -> None:
    """In their order, with their update times, and none that only might match."""
    fill(history, records)
    updated = {(record.workflow_id, record.execute_id): record.update_time for record in records}
    expected = specification.keys_of(wanted, _arrived(records))[:limit]
    assert [(key, updated[key]) for key in expected] == keys_of(history, wanted, limit, has_text=True, limits=limits)


def test_a_frequent_text_fills_a_large_page(history: Connections) -> None:
    """However many of the rows that were looked at first have it."""
    fill(history, [changed(document(f"e{n}", now=n), n, "success", output="xerox") for n in range(1, 91)])
    query = RecordQuery(filter=RecordFilter(text="xerox"), size=85)
    found = select(history, query, has_text=True, limits=Limits(few=-1, page=0, window=15, row=0.0))
    assert (85, True) == (len(found.documents), found.has_more)


def test_a_text_is_refused_where_texts_are_not_searched(history: Connections) -> None:
    """In pages and in statistics, by the name of the setting."""
    wanted = RecordFilter(text="x")
    with pytest.raises(InvalidQuery, match="EXECUTION_HISTORY_SEARCH"):
        select(history, RecordQuery(filter=wanted), has_text=False)
    with pytest.raises(InvalidQuery, match="EXECUTION_HISTORY_SEARCH"):
        statistics(history, StatisticsQuery(filter=wanted), has_text=False)


def test_texts_that_a_column_has_shortened_are_answered_whole(history: Connections) -> None:
    """The ids, the code and the title of a failure, also with a character that PostgreSQL has no place for."""
    workflow, execution, code, message = "流" * 500, "e\0\x01" * 300, "c" * 900, "很糟" * 90
    failed = changed(document(execution, workflow), 2_000, "failed", error_code=code, error_message=message)
    fill(history, [failed, document("e", workflow)])
    wanted = RecordFilter(workflow_ids=(workflow,))
    found = statistics(history, StatisticsQuery(filter=wanted), has_text=True)
    [group] = found.failures
    assert (workflow, execution, code, message) == (group.workflow_id, group.execute_id, group.error_code, group.title)
    assert {code: 1} == found.error_codes
    assert (2, True) == (found.totals.runs, found.percentiles_are_exact)
    assert [(RecordKey(workflow, execution), 2_000)] == keys_of(
        history, RecordFilter(execute_id_prefix=execution[:400]), 5, has_text=True
    )


def test_a_damaged_record_is_named_and_counted(history: Connections) -> None:
    """By its whole ids, on the page that it belongs to."""
    fill(history, [document("e" * 900, now=1_000), document("whole", now=2_000)])
    with history.reading() as connection:
        damage = "UPDATE execution_history.executions SET document = '\\x00' WHERE create_time = 1000"
        connection.execute(history.statements.placed(damage))
    found = select(history, RecordQuery(), has_text=True)
    assert [RecordKey("w", "e" * 900)] == list(found.damaged)
    assert (1, 2) == (len(found.documents), found.total)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (RecordFilter(bot_ids=("b",)), "executions_by_bot"),
        (RecordFilter(workflow_ids=("w",), statuses=("running",)), "Walks a range of the index executions_by_"),
        (RecordFilter(has_output=True), "it scans the rows in order"),
        (RecordFilter(bot_ids=("b",), has_output=True), "Tests each row for: has output."),
        (RecordFilter(text="x"), "reads and tests the documents"),
    ],
)
def test_an_explanation_names_the_index_or_says_that_it_scans(
    history: Connections, wanted: RecordFilter, sentence: str
) -> None:
    """In sentences; without being asked there is none."""
    fill(history, [document(f"e{number}", now=number, bot_id=f"b{number}") for number in range(1, 200)])
    with history.reading() as connection:
        connection.execute(history.statements.placed("ANALYZE execution_history.executions"))
    assert sentence in " ".join(select(history, RecordQuery(filter=wanted, explain=True), has_text=True).explain)
    assert () == select(history, RecordQuery(filter=wanted), has_text=True).explain
