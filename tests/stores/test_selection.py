"""Questions to a store: what each filter, order and cursor gives, on every store, and all stores always agree."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.errors import InvalidCursor, InvalidQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery, Selection, StatisticsQuery
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.capabilities import follow_index, reach_of
from execution_history.stores.protocol import HistoryStore
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.sample_filters import BASE, HOUR, documents, filters
from tests.sample_records import change, document, ids
from tests.stores_under_test import OTHERS, beside_specification

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", OTHERS)
@given(
    records=st.lists(documents(), max_size=40),
    wanted=filters(),
    sort=st.sampled_from(["create_time", "duration", "tokens", "cost"]),
    descending=st.booleans(),
    size=st.integers(1, 7),
    summaries=st.booleans(),
)
@examples(15)
def test_every_store_gives_the_pages_of_the_specification(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    records: list[Document],
    wanted: RecordFilter,
    sort: Any,
    descending: bool,
    size: int,
    summaries: bool,
) -> None:
    """By cursor and by number, for any records, filter and order, and never a record twice or left out."""
    query = RecordQuery(filter=wanted, sort=sort, descending=descending, size=size, summaries=summaries)

    async def compare() -> None:
        async with beside_specification(kind, tmp_path_factory.mktemp("h"), postgres) as (model, store):
            for each in (model, store):
                for record in records:
                    await each.merge([record])
            expected, found = await _all_pages(model, query), await _all_pages(store, query)
            assert _documents(expected) == _documents(found)
            for theirs, mine in zip(expected, found, strict=True):
                assert theirs.total == mine.total if mine.total_is_exact else theirs.total >= mine.total
                assert mine.reach.is_complete
            numbered = replace(query, index=2)
            assert _documents([await model.select(numbered)]) == _documents([await store.select(numbered)])

    asyncio.run(compare())


@pytest.mark.parametrize("kind", OTHERS)
@given(
    records=st.lists(documents(), max_size=40),
    wanted=filters(),
    bucket=st.sampled_from(["hour", "day", "week", "month"]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Australia/Lord_Howe", "America/Sao_Paulo"]),
    new_since=st.none() | st.integers(0, 30).map(lambda step: BASE + step * HOUR),
)
@examples(10)
def test_every_store_counts_like_the_specification(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    records: list[Document],
    wanted: RecordFilter,
    bucket: Any,
    zone: str,
    new_since: int | None,
) -> None:
    """Totals, buckets, percentiles, error codes and groups of failures."""
    query = StatisticsQuery(filter=wanted, bucket=bucket, zone=zone, new_since=new_since)

    async def compare() -> None:
        async with beside_specification(kind, tmp_path_factory.mktemp("h"), postgres) as (model, store):
            for each in (model, store):
                await each.merge(records)
            expected, found = await model.statistics(query), await store.statistics(query)
            assert replace(expected, reach=found.reach) == found

    asyncio.run(compare())


async def test_pages_follow_each_other_without_gap_or_repetition(store: HistoryStore) -> None:
    """While records come in at the newest end, and where many have one time."""
    for number in range(25):
        await store.create(document(f"e{number:02d}", now=BASE + number // 4))
    seen: list[str] = []
    query = RecordQuery(size=4)
    for step in range(7):
        page = await store.select(query)
        seen += ids(page.documents)
        await store.create(document(f"late{step}", now=BASE + 100 + step))
        if page.next is None:
            break
        query = replace(query, after=page.next)
    assert [f"e{number:02d}" for number in reversed(range(25))] == seen


async def test_an_index_is_followed_to_the_present(store: HistoryStore) -> None:
    """Whoever has imported waits for it, and sees how far it is; a store without an index is there already."""
    await store.merge([document(f"e{number}", now=BASE + number) for number in range(30)])
    seen: list[IndexReach] = []
    await follow_index(store, seen.append)
    assert (await reach_of(store)).is_complete
    assert all(reach.newest == 30 for reach in seen)
    assert 30 == (await store.select(RecordQuery(filter=RecordFilter(statuses=("running",)), wait_seconds=0))).total


async def test_a_question_sees_every_answered_change(store: HistoryStore) -> None:
    """Created, finished, tagged, deleted, cleared and begun again."""
    running = RecordQuery(filter=RecordFilter(statuses=("running",)))
    await store.create(document("a"))
    assert ["a"] == ids((await store.select(running)).documents)
    await store.update("w", "a", change(status="success", metadata={"tags": ["good"]}))
    assert [] == ids((await store.select(running)).documents)
    tagged = RecordQuery(filter=RecordFilter(tags=("good",)))
    assert ["a"] == ids((await store.select(tagged)).documents)
    await store.delete("w", "a")
    assert ([], 0) == (ids((await store.select(tagged)).documents), (await store.select(RecordQuery())).total)
    await store.create(document("a"))
    await store.create(document("b"))
    await store.clear("w")
    await store.create(document("b"))
    found = await store.select(RecordQuery())
    assert (["b"], 1, True) == (ids(found.documents), found.total, found.total_is_exact)


@pytest.mark.parametrize("index", [2, 10**6, 2**63, 10**30])
async def test_a_page_behind_the_last_is_empty(store: HistoryStore, index: int) -> None:
    """However large its number is."""
    await store.create(document("w", "e"))
    for chosen in (RecordFilter(), RecordFilter(text="x"), RecordFilter(statuses=("running",))):
        assert [] == list((await store.select(RecordQuery(filter=chosen, index=index))).documents)


@pytest.mark.parametrize("broken", ["x", "", "%%%", "W10", "a" * 600, "é", "W251bGwsMSwyLCJ4Il0"])
async def test_a_broken_cursor_is_refused(store: HistoryStore, broken: str) -> None:
    """With one sentence, whatever it is."""
    with pytest.raises(InvalidCursor, match="The cursor"):
        await store.select(RecordQuery(after=broken))


async def test_a_cursor_fits_its_own_question_only(store: HistoryStore) -> None:
    """Neither another filter nor another order takes it."""
    for number in range(5):
        await store.create(document(f"e{number}", now=BASE + number))
    cursor = (await store.select(RecordQuery(size=2))).next
    for other in (
        RecordQuery(sort="duration"),
        RecordQuery(descending=False),
        RecordQuery(filter=RecordFilter(tags=("x",))),
    ):
        with pytest.raises(InvalidCursor, match="belongs to another question"):
            await store.select(replace(other, after=cursor))
    assert ["e2", "e1"] == ids((await store.select(RecordQuery(size=2, after=cursor))).documents)


async def test_figures_count_what_they_say(store: HistoryStore) -> None:
    """By hand: counts, the rate over ended runs, percentiles, tokens, buckets without a gap, failures alike."""
    for number, status in enumerate(["success", "success", "failed", "failed", "interrupted", "running"]):
        await store.create(document(f"e{number}", now=BASE + number * 12 * HOUR))
        if status != "running":
            failed = {"error_code": 7, "error_message": f"timed out after {number} s"} if status == "failed" else {}
            ended = change(BASE + number * 12 * HOUR + 100 * number + 10, status, usage={"token_count": 5}, **failed)
            await store.update("w", f"e{number}", ended)
    query = StatisticsQuery(bucket="day", new_since=BASE + 30 * HOUR)
    found = await store.statistics(query)
    totals = found.totals
    assert (6, 0.5, 25) == (totals.runs, totals.success_rate, totals.tokens)
    assert {"running": 1, "success": 2, "failed": 2, "interrupted": 1, "other": 0} == totals.counts
    assert (110, 210, 210) == (totals.p50, totals.p95, totals.p99)
    assert {"7": 2} == found.error_codes
    (group,) = found.failures
    assert ("timed out after <n> s", "7", 2, "w", "e3", False) == (
        group.title, group.error_code, group.count, group.workflow_id, group.execute_id, group.is_new,
    )  # fmt: skip
    assert (BASE + 24 * HOUR, BASE + 36 * HOUR) == (group.first_seen, group.last_seen)
    assert all(one.end == other.start for one, other in itertools.pairwise(found.buckets))
    assert 6 == sum(bucket.figures.runs for bucket in found.buckets)
    (fresh,) = (await store.statistics(replace(query, new_since=BASE))).failures
    assert fresh.is_new


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (("LLM",), ["unfinished", "error"]),
        (("LLM_2",), ["unfinished"]),
        (("100002",), ["error"]),
        (("100002", "100001"), ["unfinished", "error"]),
        (("End",), []),
    ],
)
async def test_runs_are_found_by_the_node_they_failed_in(
    store: HistoryStore, wanted: tuple[str, ...], expected: list[str]
) -> None:
    """By its name in the timeline, its title or its id; counted so too. Runs that did not fail have no such node."""
    end = {"node_title": "End", "node_id": "900001", "is_finish": True}
    broken = {"node_title": "LLM", "node_id": "100002", "error_message": "no"}
    waits = {"node_title": "LLM", "node_id": "100001", "is_finish": False}
    for number, (execute_id, status, nodes) in enumerate(
        [
            ("error", "failed", {"End": end, "LLM": broken}),
            ("asks", "interrupted", {"LLM": waits}),
            ("unfinished", "failed", {"End": end, "LLM_2": waits}),
            ("somewhere", "failed", {"End": end}),
            ("fine", "success", {"LLM": broken}),
        ]
    ):
        await store.create(document(execute_id, now=BASE + number))
        await store.update("w", execute_id, change(BASE + number + 5, status, node_execute_status=nodes))
    query = RecordFilter(failed_nodes=wanted)
    assert expected == ids((await store.select(RecordQuery(filter=query, summaries=True))).documents)
    assert len(expected) == (await store.statistics(StatisticsQuery(filter=query))).totals.runs


async def test_a_summary_has_no_documents(store: HistoryStore) -> None:
    """But a line of each, the figures, and what people have noted."""
    await store.create(document("a", parameters={"q": "x" * 500}, metadata={"tags": ["t"], "recorder": "r"}))
    await store.update("w", "a", change(3_000, "success", output="done\nwell", usage={"token_count": 9}))
    (body,) = (await store.select(RecordQuery(summaries=True))).documents
    summary = orjson.loads(body)
    assert {"input_parameters", "output", "node_execute_status"}.isdisjoint(summary)
    assert ({"tags": ["t"]}, 2_000, 9, "done well") == (
        summary["metadata"], summary["duration_ms"], summary["tokens"], summary["output_line"],
    )  # fmt: skip
    assert 120 == len(summary["input_line"])


async def test_days_become_weeks_or_months_where_they_are_too_many(store: HistoryStore) -> None:
    """One run with a time of long ago does not take the statistics away from who has not asked for days."""
    await store.merge([document("now", now=BASE), document("lately", now=BASE - 20 * 24 * HOUR)])
    assert 21 == len((await store.statistics(StatisticsQuery())).buckets)
    await store.create(document("old", now=1))
    assert 2_900 < len((await store.statistics(StatisticsQuery())).buckets) < 3_000
    with pytest.raises(InvalidQuery, match="larger bucket"):
        await store.statistics(StatisticsQuery(bucket="day"))


async def test_the_summary_of_a_large_record_is_of_its_newest_version(store: HistoryStore) -> None:
    """Also before and after the index has taken a change in, and when a small version follows a large one."""
    large = [{"part": number} for number in range(10_000)]
    await store.create(document("a", parameters={"q": "?"}))
    for output, line in (
        (large, '[{"part":0}'),
        (large[1:], '[{"part":1}'),
        ("small", "small"),
        (large, '[{"part":0}'),
    ):
        await store.update("w", "a", change(3_000, output=output))
        for _ in range(2):
            (body,) = (await store.select(RecordQuery(summaries=True))).documents
            assert orjson.loads(body)["output_line"].startswith(line)
    assert len((await store.select(RecordQuery())).documents[0]) > 100_000
    await store.delete("w", "a")
    assert not (await store.select(RecordQuery(summaries=True))).documents


async def test_text_is_refused_where_the_search_is_off(tmp_path: Path) -> None:
    """By both kinds of question, with the setting that switches it on; everything else is answered."""
    store = SQLiteStore(tmp_path / "h", search=False)
    await store.open()
    await store.create(document("a"))
    assert ["a"] == ids((await store.select(RecordQuery())).documents)
    for ask in (
        store.select(RecordQuery(filter=RecordFilter(text="x"))),
        store.statistics(StatisticsQuery(filter=RecordFilter(text="x"))),
    ):
        with pytest.raises(InvalidQuery, match="set the setting search"):
            await ask
    await store.aclose()


async def test_an_explanation_names_the_index_or_says_that_it_scans(tmp_path: Path) -> None:
    """In sentences; without being asked there is none."""
    store = SQLiteStore(tmp_path / "h")
    await store.open()
    await store.create(document("a", bot_id="b"))
    assert () == (await store.select(RecordQuery())).explain
    for wanted, sentence in (
        (RecordFilter(bot_ids=("b",)), "by_bot"),
        (RecordFilter(workflow_ids=("w",), statuses=("running",)), "by_workflow_status"),
        (RecordFilter(failed_nodes=("LLM",)), "the rarest tag or failed node"),
        (RecordFilter(has_output=True), "it scans the rows in order"),
        (RecordFilter(bot_ids=("b",), has_output=True), "Tests each row for: has output."),
    ):
        explain = (await store.select(RecordQuery(filter=wanted, explain=True))).explain
        assert sentence in " ".join(explain)
    await store.aclose()


async def _all_pages(store: HistoryStore, query: RecordQuery) -> list[Selection]:
    pages = [await store.select(query)]
    while (cursor := pages[-1].next) is not None:
        assert pages[-1].has_more
        pages.append(await store.select(replace(query, after=cursor)))
    assert not pages[-1].has_more
    return pages


def _documents(pages: Sequence[Selection]) -> list[list[bytes]]:
    return [[bytes(body) for body in page.documents] for page in pages]
