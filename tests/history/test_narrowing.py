"""Whoever may see some workflows only gets the answers of a history that has no others, on every store."""

import asyncio
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput, NotAllowed
from execution_history.history.live_events import LiveEvent
from execution_history.history.narrowed_capabilities import narrowed
from execution_history.query.breakdown import BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.query.workflow_patterns import WorkflowPatterns
from execution_history.records.record import Document
from execution_history.stores import store_at
from execution_history.stores.capabilities import Bin, Indexed, Priced
from execution_history.stores.memory.store import MemoryStore
from execution_history.stores.protocol import HistoryStore
from tests.sample_filters import documents, filters
from tests.sample_records import change, changed, document, ids

pytestmark = pytest.mark.anyio

MINE = WorkflowPatterns.of(["order-*", "stock"])
_WORKFLOWS = ("order-1", "order-2", "stock", "secret", "orders", "Stock")


def _records() -> list[Document]:
    found = []
    for number in range(30):
        workflow_id = _WORKFLOWS[number % len(_WORKFLOWS)]
        begun = document(f"e{number:02}", workflow_id, 1_000 + number, parameters={"city": "Paris"})
        status = ("success", "failed", "running")[number % 3]
        error = {"error_code": 4000, "error_message": "it failed"} if status == "failed" else {}
        found.append(begun if status == "running" else changed(begun, 2_000 + number * 7, status, **error))
    return found


@pytest.fixture
async def pair(store: HistoryStore) -> tuple[HistoryStore, HistoryStore]:
    """The narrowed store, and one that holds nothing but what can be seen."""
    records = _records()
    await store.merge(records)
    alone = MemoryStore()
    await alone.merge([each for each in records if MINE.match(each.workflow_id)])
    return narrowed(store, MINE), alone


_FILTERS = [
    RecordFilter(),
    RecordFilter(statuses=("failed",)),
    RecordFilter(workflow_ids=("order-2", "secret")),
    RecordFilter(workflow_ids=("secret",)),
    RecordFilter(created_from=1_010, created_before=1_020),
    RecordFilter(execute_id_prefix="e1"),
]


@pytest.mark.parametrize("record_filter", _FILTERS)
async def test_every_query_is_answered_as_if_there_were_no_other_workflow(
    pair: tuple[HistoryStore, HistoryStore], record_filter: RecordFilter
) -> None:
    """Lists page by page, totals, statistics and breakdowns."""
    for size in (2, 100):
        pages: list[list[list[str]]] = []
        for store in pair:
            after, found = None, []
            while True:
                page = await store.select(RecordQuery(filter=record_filter, size=size, after=after))
                found.append(ids(page.documents))
                after = page.next
                if after is None:
                    break
            pages.append([*found, [str(page.total)] if page.total_is_exact else []])
        assert pages[1] == pages[0]
    mine, alone = [await each.statistics(StatisticsQuery(filter=record_filter, new_since=1_015)) for each in pair]
    assert (alone.totals, alone.buckets, alone.failures) == (mine.totals, mine.buckets, mine.failures)
    mine_by, alone_by = [await each.breakdown(BreakdownQuery(filter=record_filter)) for each in pair]
    assert (alone_by.groups, alone_by.total_groups) == (mine_by.groups, mine_by.total_groups)


async def test_what_is_hidden_cannot_be_read_by_its_id_or_found_in_the_feed(
    pair: tuple[HistoryStore, HistoryStore],
) -> None:
    """Neither one by one, nor in a whole, nor among the changes."""
    mine, alone = pair
    assert None is await mine.get("secret", "e03")
    assert [] == await mine.find("e03") == await mine.find_upstream("e03")
    keys = [RecordKey(each.workflow_id, each.execute_id) for each in _records()]
    assert (await alone.get_many(keys)).documents == (await mine.get_many(keys)).documents
    expected = sorted(ids((await alone.scan(None, 100)).documents))
    assert expected == sorted(ids((await mine.scan(None, 100)).documents))
    feed = []
    since = 0
    while changes := await mine.changes(since, 3):
        feed += [each.execute_id for each in changes]
        since = changes[-1].revision
    assert expected == sorted(filter(None, feed))
    names = [each.workflow_id for each in await mine.workflows()]
    assert [each.workflow_id for each in await alone.workflows()] == names
    assert names[:1] == [each.workflow_id for each in await mine.workflows(limit=1)]
    assert expected == sorted(ids(await mine.open_records(frozenset({"running", "success", "failed"}), 100)))


async def test_what_is_hidden_cannot_be_changed(pair: tuple[HistoryStore, HistoryStore], store: HistoryStore) -> None:
    """Whoever tries is refused, or told that there is no such run."""
    mine, _ = pair
    before = await store.revision()
    for record in (document("new", "secret"), document("e03", "secret")):
        with pytest.raises(NotAllowed):
            await mine.create(record)
        with pytest.raises(NotAllowed):
            await mine.merge([document("new", "stock"), record])
    assert None is await mine.update("secret", "e05", change(status="success"))
    assert not await mine.delete("secret", "e03")
    assert not await mine.clear("secret")
    assert [] == await mine.delete_many([RecordKey("secret", "e03")], 10)
    assert [] == await mine.delete_many(RecordFilter(workflow_ids=("secret",)), 10)
    if isinstance(mine, Bin):
        assert [] == await mine.discard([RecordKey("secret", "e03")], 1_000)
    assert before == await store.revision()
    gone = await mine.delete_many(RecordFilter(), 100)
    assert {"order-1", "order-2", "stock"} == {key.workflow_id for key in gone}
    assert {"secret", "orders", "Stock"} == {each.workflow_id for each in await store.workflows()}


async def test_a_narrowed_store_can_do_what_the_whole_one_can(
    pair: tuple[HistoryStore, HistoryStore], store: HistoryStore
) -> None:
    """No capability is lost, and none is invented."""
    for kind in (Bin, Indexed, Priced):
        assert isinstance(store, kind) is isinstance(pair[0], kind)


async def test_a_page_goes_on_when_a_workflow_was_added(store: HistoryStore) -> None:
    """A cursor belongs to the patterns, not to the workflows that matched them at the time."""
    await store.merge([document(f"e{number}", "order-1", number) for number in range(1, 5)])
    mine = narrowed(store, MINE)
    first = await mine.select(RecordQuery(size=2))
    await store.merge([document("early", "order-0", 0)])
    second = await mine.select(RecordQuery(size=10, after=first.next))
    assert ["e4", "e3", "e2", "e1", "early"] == ids([*first.documents, *second.documents])


async def test_more_workflows_than_a_filter_can_name_are_narrowed_too(store: HistoryStore) -> None:
    """A hundred values are the limit of what people write, not of what a pattern matches."""
    await store.merge([document(f"e{number}", f"order-{number}", number) for number in range(130)])
    await store.merge([document("hidden", "secret", 500)])
    mine = narrowed(store, MINE)
    assert 130 == (await mine.select(RecordQuery())).total
    assert 130 == (await mine.statistics(StatisticsQuery(new_since=1))).totals.runs
    assert 130 == (await mine.breakdown(BreakdownQuery())).total_groups


async def test_names_views_and_changes_are_those_of_the_same_patterns(store: HistoryStore) -> None:
    """What people with other patterns saved or did is not there; whoever sees everything sees all of it."""
    whole = ExecutionHistoryService(store)
    mine, theirs = whole.within(MINE), whole.within(WorkflowPatterns.of(["secret"]))
    await whole.merge([document("a", "order-1"), document("b", "secret")])
    await whole.name_workflow("secret", name="Hidden")
    await mine.name_workflow("order-1", name="Orders")
    assert ["order-1"] == list(await mine.names())
    assert None is await mine.known_workflow("Hidden")
    await whole.views.save("all failed", [("workflow", "secret")])
    await mine.views.save("mine", [("status", "failed")])
    assert ["mine"] == [view.name for view in await mine.views.all()]
    assert [] == await theirs.views.all()
    assert {"all failed", "mine"} == {view.name for view in await whole.views.all()}

    deletion = await mine.bulk.delete(RecordFilter())
    done = await mine.bulk.wait(deletion.id)
    assert done is not None
    assert ("done", 1) == (done.state, done.changed)
    assert [] == await theirs.bulk.all()
    assert None is await theirs.bulk.find(deletion.id)
    [seen] = await whole.bulk.all()
    assert seen.id.endswith(deletion.id)
    with pytest.raises(InvalidInput):
        await whole.bulk.resume(seen.id)
    assert ["secret"] == await whole.get_all_workflows()
    if seen.can_be_undone(seen.updated):
        await whole.bulk.wait((await whole.bulk.undo(seen.id)).id)
        assert ["order-1"] == await mine.get_all_workflows()
    await whole.aclose()


async def test_a_listener_hears_of_its_workflows_only(store: HistoryStore) -> None:
    """Also where the same feed serves others, and from the store when it is behind."""
    whole = ExecutionHistoryService(store)
    mine = whole.within(MINE)
    async with whole.follow(0) as everything, mine.follow(0) as some:
        await store.create(document("b", "secret"))
        await store.create(document("a", "order-1"))
        heard: list[LiveEvent] = []
        seen: list[LiveEvent] = []
        while len(heard) < 2:
            heard += await everything.take(5)
        while not seen:
            seen += await some.take(5)
        assert ["order-1"] == [event.workflow_id for event in seen]
        with pytest.raises(InvalidInput):
            mine.follow(-1)
    await whole.aclose()


def test_patterns_are_those_of_a_shell() -> None:
    """They match whole ids, capital letters differ, and a star alone means everything."""
    assert WorkflowPatterns.of(["*", "a"]).are_all
    assert [True, False, False, True] == [MINE.match(each) for each in ("order-7", "order", "Order-7", "stock")]
    assert WorkflowPatterns.of(["[ab]?"]).match("b1")
    assert not MINE.match(None)
    for wrong in ("", " ", "x" * 1_001):
        with pytest.raises(InvalidInput):
            WorkflowPatterns.of([wrong])


async def test_a_price_for_others_is_not_shown(store: HistoryStore) -> None:
    """Those for all workflows are, and none can be set."""
    whole = ExecutionHistoryService(store)
    for workflow in ("*", "order-1", "secret"):
        await whole.set_price({"workflow": workflow, "input": 1, "output": 2})
    mine = whole.within(MINE)
    assert ["*", "order-1"] == sorted(line.price.workflow for line in (await mine.price_list()).lines)
    with pytest.raises(NotAllowed):
        await mine.set_price({"workflow": "order-1", "input": 5, "output": 2})
    assert b"secret" not in orjson.dumps((await mine.price_list()).to_json())
    await whole.aclose()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_no_filter_finds_more_than_can_be_seen(kind: str) -> None:
    """Whatever the records and the filter: the same page, total and figures as in a history without the others."""
    patterns = WorkflowPatterns.of(["[wx]", "v?"])

    @settings(max_examples=15, deadline=None)
    @given(st.lists(documents(), max_size=12, unique_by=lambda each: (each.workflow_id, each.execute_id)), filters())
    def check(records: list[Document], record_filter: RecordFilter) -> None:
        async def compare() -> None:
            with TemporaryDirectory() as folder:
                store = store_at("memory:" if kind == "memory" else folder, json_files=False)
                alone = MemoryStore()
                await store.open()
                await store.merge(records)
                await alone.merge([each for each in records if patterns.match(each.workflow_id)])
                mine = narrowed(store, patterns)
                pages = [await each.select(RecordQuery(filter=record_filter, size=100)) for each in (mine, alone)]
                figures = [await each.statistics(StatisticsQuery(filter=record_filter)) for each in (mine, alone)]
                await store.aclose()
                assert pages[1].documents == pages[0].documents
                assert (pages[1].total, figures[1].totals) == (pages[0].total, figures[0].totals)

        asyncio.run(compare())

    check()
