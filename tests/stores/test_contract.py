"""The promise of a store, sentence by sentence, on every store."""

import asyncio
import threading
from dataclasses import replace

import orjson
import pytest

from execution_history.errors import ExecutionExists, IllegalTransition, InvalidCursor, StoreClosed
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.records.contents import prune_contents
from execution_history.records.replacement import Replacement
from execution_history.stores.capabilities import Bin, Watched, flush
from execution_history.stores.protocol import Batch, HistoryStore, MergeReport, ScanToken
from tests.sample_records import change, changed, document, ids, page_of

pytestmark = pytest.mark.anyio


async def test_a_created_record_is_read_back_byte_for_byte(store: HistoryStore) -> None:
    """What a reader gets is what was stored."""
    made = document("a", parameters={"文": "字\u2028"})
    await store.create(made)
    assert made.body == await store.get("w", "a")


async def test_a_missing_record_is_none(store: HistoryStore) -> None:
    """Neither an unknown workflow nor an unknown id is an error."""
    await store.create(document("a"))
    assert [None, None] == [await store.get("w", "b"), await store.get("v", "a")]


async def test_an_id_is_taken_once_in_a_workflow_and_free_in_another(store: HistoryStore) -> None:
    """The second create with an id is refused, and leaves the first record as it was."""
    await store.create(document("a", parameters={"n": 1}))
    with pytest.raises(ExecutionExists):
        await store.create(document("a", parameters={"n": 2}))
    await store.create(document("a", "v"))
    kept = await store.get("w", "a")
    assert kept is not None
    assert {"n": 1} == orjson.loads(kept)["input_parameters"]


async def test_a_refused_operation_does_not_disturb_its_neighbours(store: HistoryStore) -> None:
    """Of operations that are under way together each gets its own answer."""
    await store.create(document("a"))
    results = await asyncio.gather(
        store.create(document("b")),
        store.create(document("a")),
        store.update("w", "a", change(status="success")),
        return_exceptions=True,
    )
    assert [False, True, False] == [isinstance(result, ExecutionExists) for result in results]
    assert ["b", "a"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_an_update_changes_what_it_names_and_nothing_else(store: HistoryStore) -> None:
    """Metadata is merged key by key, everything else replaced."""
    await store.create(document("a", parameters={"n": 1}, metadata={"x": 1, "y": 1}))
    made = await store.update("w", "a", change(5_000, "success", output=[1], metadata={"y": 2, "z": 3}))
    assert made is not None
    assert made.body == await store.get("w", "a")
    record = orjson.loads(made.body)
    assert record == made.plain()
    assert {"x": 1, "y": 2, "z": 3} == record["metadata"]
    assert ("success", [1], {"n": 1}, 1_000, 5_000) == (
        record["execute_status"],
        record["output"],
        record["input_parameters"],
        record["create_time"],
        record["update_time"],
    )


async def test_an_update_of_nothing_is_none(store: HistoryStore) -> None:
    """An update never makes a record."""
    assert await store.update("w", "a", change(status="success")) is None
    assert 0 == (await page_of(store, "w", 10, 1)).total


async def test_update_time_rises_with_every_update(store: HistoryStore) -> None:
    """Even within one millisecond, and with a clock that goes back."""
    await store.create(document("a", now=1_000))
    first = await store.update("w", "a", change(1_000))
    second = await store.update("w", "a", change(10))
    assert first is not None
    assert second is not None
    assert [1_001, 1_002] == [first.update_time, second.update_time]


@pytest.mark.parametrize("ending", ["success", "failed"])
async def test_an_ending_is_final(store: HistoryStore, ending: str) -> None:
    """A finished record keeps its status; the error names both."""
    await store.create(document("a"))
    await store.update("w", "a", change(status=ending))
    for wanted in {"running", "success", "failed", "interrupted"} - {ending}:
        with pytest.raises(IllegalTransition, match=f"'{ending}' and cannot become '{wanted}'"):
            await store.update("w", "a", change(status=wanted))
    assert await store.update("w", "a", change(status=ending, usage={"token_count": 1})) is not None


async def test_an_interrupted_record_can_run_on_and_end(store: HistoryStore) -> None:
    """Interrupted is not an ending."""
    await store.create(document("a"))
    for status in ("interrupted", "running", "interrupted", "success"):
        assert await store.update("w", "a", change(status=status)) is not None


async def test_a_replacement_takes_the_place_of_the_version_it_was_made_of(store: HistoryStore) -> None:
    """It may shorten a finished record; a version that nobody has seen yet stays, and so does another status."""
    await store.create(first := document("a", parameters={"secret": "x" * 200}))
    ended = await store.update("w", "a", change(3_000, "success", output="y" * 200))
    assert ended is not None
    shorter = prune_contents(ended, 4_000, "r")
    assert shorter is not None
    stale = Replacement.by(replace(shorter, status="running"), ended.update_time)
    assert [None, None] == [
        await store.update("w", "a", Replacement.by(shorter, first.update_time)),
        await store.update("w", "a", stale),
    ]
    assert await store.update("w", "a", Replacement.by(shorter, ended.update_time)) is not None
    assert shorter.body == await store.get("w", "a")
    assert await store.update("w", "a", Replacement.by(shorter, ended.update_time)) is None


async def test_compare_and_set_leaves_another_status_alone(store: HistoryStore) -> None:
    """A change that is only for running records does nothing to a finished one."""
    await store.create(document("a"))
    finished = await store.update("w", "a", change(status="success"))
    late = change(status="interrupted", only_from=frozenset({"running"}))
    assert await store.update("w", "a", late) is None
    assert finished is not None
    assert finished.body == await store.get("w", "a")


async def test_pages_are_newest_first_and_together_the_whole(store: HistoryStore) -> None:
    """Every page from either end, with the exact total and whether more follows."""
    for number in range(25):
        await store.create(document(f"e{number:02d}", now=1_000 + number // 3))
    seen: list[str] = []
    for index in range(1, 6):
        page = await page_of(store, "w", 6, index)
        assert 25 == page.total
        assert (index < 5) == page.has_more
        seen += ids(page.documents)
    assert [f"e{number:02d}" for number in reversed(range(25))] == seen
    beyond = await page_of(store, "w", 6, 6)
    assert ([], 25, False) == (list(beyond.documents), beyond.total, beyond.has_more)


async def test_a_late_record_takes_its_place_by_time(store: HistoryStore) -> None:
    """Order is by create time; a later arrival with the same time is the newer."""
    for execute_id, now in (("a", 10), ("b", 30), ("c", 20), ("d", 20), ("e", 5)):
        await store.create(document(execute_id, now=now))
    assert ["b", "d", "c", "a", "e"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_the_page_of_all_workflows_is_in_one_order(store: HistoryStore) -> None:
    """Without a workflow the records of all are mixed by time."""
    for execute_id, workflow_id, now in (("a", "v", 1), ("b", "w", 2), ("c", "v", 3)):
        await store.create(document(execute_id, workflow_id, now))
    page = await page_of(store, None, 2, 1)
    assert (["c", "b"], 3, True) == (ids(page.documents), page.total, page.has_more)
    assert ["a"] == ids((await page_of(store, None, 2, 2)).documents)
    assert ([], 3) == (ids((await page_of(store, None, 2, 3)).documents), (await page_of(store, None, 2, 3)).total)


async def test_a_record_is_found_by_its_id_alone(store: HistoryStore) -> None:
    """In whichever workflows it is, newest first."""
    await store.create(document("a", "v", 1))
    await store.create(document("a", "w", 2))
    assert ["w", "v"] == [orjson.loads(body)["workflow_id"] for body in await store.find("a")]
    assert [] == await store.find("b")


async def test_records_are_found_by_the_id_that_their_run_has_upstream(store: HistoryStore) -> None:
    """Whether it was known at the beginning or learned later, in any workflow, newest first."""
    await store.create(document("a", now=1, metadata={"coze_execute_id": "111"}))
    await store.create(document("b", "v", now=2))
    await store.create(document("c", now=3, metadata={"coze_execute_id": 111}))
    assert ["a"] == ids(await store.find_upstream("111"))
    await store.update("v", "b", change(metadata={"coze_execute_id": "111"}))
    await store.update("v", "b", change(status="success"))
    assert ["b", "a"] == ids(await store.find_upstream("111"))
    await store.update("v", "b", change(metadata={"coze_execute_id": "222"}))
    await store.delete("w", "a")
    assert [[], ["b"], []] == [ids(await store.find_upstream(each)) for each in ("111", "222", "")]


async def test_a_change_applies_only_while_the_metadata_says_what_it_expects(store: HistoryStore) -> None:
    """Compare-and-set on metadata: of two who want the same record one gets it."""
    await store.create(document("a", metadata={"recorder": "dead"}))
    takes = [change(metadata={"recorder": name}, only_while={"recorder": "dead"}) for name in ("x", "y")]
    taken = [await store.update("w", "a", take) for take in takes]
    assert [True, False] == [body is not None for body in taken]
    kept = await store.get("w", "a")
    assert kept is not None
    assert "x" == orjson.loads(kept)["metadata"]["recorder"]


async def test_delete_removes_one_record_once(store: HistoryStore) -> None:
    """And says whether there was one; a workflow without records is none."""
    await store.create(document("a"))
    await store.create(document("b"))
    assert [True, False, False] == [
        await store.delete("w", "a"),
        await store.delete("w", "a"),
        await store.delete("v", "b"),
    ]
    assert ["b"] == ids((await page_of(store, "w", 10, 1)).documents)
    assert await store.delete("w", "b")
    assert [] == await store.workflows()


async def test_many_records_are_deleted_at_once_by_their_ids(store: HistoryStore) -> None:
    """Those that are there, once each, at most so many; the feed names every one."""
    for name in ("a", "b", "c"):
        await store.create(document(name))
        await store.create(document(name, "v"))
    seen = await store.revision()
    keys = [RecordKey("w", "a"), RecordKey("v", "b"), RecordKey("w", "missing"), RecordKey("w", "a")]
    assert {RecordKey("w", "a"), RecordKey("v", "b")} == set(await store.delete_many(keys, 10))
    assert {("deleted", "w", "a"), ("deleted", "v", "b")} == {
        (entry.kind, entry.workflow_id, entry.execute_id) for entry in await store.changes(seen, 10)
    }
    assert [] == await store.delete_many(keys, 10)
    assert 1 == len(await store.delete_many([RecordKey("w", "b"), RecordKey("w", "c")], 1))
    assert [1, 2] == [(await page_of(store, name, 10, 1)).total for name in ("w", "v")]


async def test_what_a_filter_means_is_deleted_the_oldest_first(store: HistoryStore) -> None:
    """In steps, until nothing of it is left; other records stay."""
    for number in range(5):
        await store.create(document(f"e{number}", "wv"[number % 2], now=1_000 + number))
        await store.update("wv"[number % 2], f"e{number}", change(status="failed"))
    await store.create(document("running"))
    wanted = RecordFilter(statuses=("failed",))
    assert ["e0", "e1"] == sorted(key.execute_id for key in await store.delete_many(wanted, 2))
    assert ["e2", "e3", "e4"] == sorted(key.execute_id for key in await store.delete_many(wanted, 100))
    assert [] == await store.delete_many(wanted, 100)
    assert ["running"] == ids((await page_of(store, None, 10, 1)).documents)


async def test_clear_removes_a_whole_history_and_lets_it_begin_again(store: HistoryStore) -> None:
    """Even when both happen together, with the same ids."""
    for number in range(30):
        await store.create(document(f"e{number}"))
    cleared, _ = await asyncio.gather(store.clear("w"), store.create(document("e1", now=7)))
    assert cleared
    page = await page_of(store, "w", 10, 1)
    assert (["e1"], 1) == (ids(page.documents), page.total)
    assert await store.clear("w")
    assert not await store.clear("w")


async def test_workflows_are_listed_with_exact_counts(store: HistoryStore) -> None:
    """Per status, the one with the newest record first."""
    await store.create(document("a", "v", 1))
    await store.create(document("b", "v", 2))
    await store.create(document("c", "w", 3))
    await store.update("v", "a", change(9, "failed"))
    newest, older = await store.workflows()
    assert ("w", 1, 3) == (newest.workflow_id, newest.total, newest.last_create_time)
    assert {"running": 1, "success": 0, "failed": 1, "interrupted": 0, "other": 0} == older.counts
    assert (2, 9) == (older.last_create_time, older.updated_at)


async def test_the_size_of_a_workflow_is_that_of_its_documents(store: HistoryStore) -> None:
    """Whatever is created, changed, merged, deleted and restored; a history that begins again begins at nothing."""

    async def sizes() -> tuple[dict[str, int], dict[str, int]]:
        known = {each.workflow_id: each.size for each in await store.workflows()}
        read = dict.fromkeys(known, 0)
        for body in (await store.scan(None, 100)).documents:
            read[orjson.loads(body)["workflow_id"]] += len(body)
        return known, read

    for number in range(4):
        await store.create(document(f"e{number}", f"w{number % 2}", parameters={"text": "x" * 100 * number}))
    await store.update("w1", "e1", change(20, "success", output="y" * 999))
    await store.update("w1", "e1", change(30, metadata={"tags": ["a"]}))
    await store.merge([changed(document("e0", "w0"), 99), document("m", "v", parameters={"n": 1})])
    known, read = await sizes()
    assert known == read
    await store.delete("w1", "e3")
    if isinstance(store, Bin):
        await store.discard([RecordKey("w0", "e0"), RecordKey("w1", "e1")], 60_000)
        await store.restore([RecordKey("w1", "e1")])
    await store.clear("v")
    await store.create(document("again", "v"))
    known, read = await sizes()
    assert {"v", "w0", "w1"} == set(known)
    assert known == read


async def test_open_records_are_found_oldest_first(store: HistoryStore) -> None:
    """By status, at most so many."""
    for number in range(4):
        await store.create(document(f"e{number}", f"w{number % 2}", 10 - number))
    await store.update("w1", "e1", change(status="success"))
    await store.update("w0", "e2", change(status="interrupted"))
    assert ["e3", "e0"] == ids(await store.open_records(frozenset({"running"}), 10))
    assert ["e3", "e2"] == ids(await store.open_records(frozenset({"running", "interrupted"}), 2))
    assert ["e1"] == ids(await store.open_records(frozenset({"success"}), 10))


async def test_merge_is_idempotent_and_the_newer_version_wins(store: HistoryStore) -> None:
    """Records from elsewhere come in by their id."""
    await store.create(document("a", now=100, parameters={"n": 1}))
    newer = change(300, "success", output="x").apply(document("a", now=100).body)
    older = document("a", now=50, parameters={"n": 0})
    assert newer is not None
    assert MergeReport(1, 1, 1) == await store.merge([newer, older, document("b", now=70)])
    assert MergeReport(0, 0, 2) == await store.merge([newer, document("b", now=70)])
    assert newer.body == await store.get("w", "a")
    assert ["a", "b"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_a_merged_record_with_another_create_time_moves(store: HistoryStore) -> None:
    """A newer version says where it stands, and its file says the same."""
    await store.create(document("a", now=100))
    await store.create(document("b", now=200))
    moved = change(900).apply(document("a", now=300).body)
    assert moved is not None
    await store.merge([moved])
    assert ["a", "b"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_the_change_feed_gives_the_last_change_of_each_in_order(store: HistoryStore) -> None:
    """Deletions and clearings are told; a reader can go on where it stopped."""
    for execute_id in ("a", "b", "c"):
        await store.create(document(execute_id))
    await store.update("w", "a", change(status="success"))
    await store.delete("w", "b")
    await store.create(document("x", "v"))
    await store.clear("v")
    feed = await store.changes(0, 100)
    assert [
        ("created", "w", "c", "running"),
        ("created", "w", "a", "success"),
        ("deleted", "w", "b", None),
        ("deleted", "v", None, None),
    ] == [(entry.kind, entry.workflow_id, entry.execute_id, entry.status) for entry in feed]
    revisions = [entry.revision for entry in feed]
    assert sorted(set(revisions)) == revisions
    assert feed[2:] == await store.changes(revisions[1], 100)
    assert feed[:2] == await store.changes(0, 2)


async def test_the_change_feed_tells_what_is_new_from_what_has_changed(store: HistoryStore) -> None:
    """New is what came after the place from which the feed is read; a record that came back is new."""
    await store.create(document("a"))
    await store.create(document("b"))
    seen = await store.revision()
    await store.update("w", "a", change(status="success"))
    await store.merge([changed(document("b"), 9_000), document("c")])
    await store.delete("w", "b")
    await store.create(document("b"))
    feed = await store.changes(seen, 100)
    assert [("updated", "a"), ("created", "c"), ("deleted", "b"), ("created", "b")] == [
        (entry.kind, entry.execute_id) for entry in feed
    ]
    assert feed[-1].revision == await store.revision()
    assert [] == await store.changes(await store.revision(), 100)


async def test_the_change_feed_brings_the_documents_where_they_are_asked_for(store: HistoryStore) -> None:
    """As they are now, and nothing of what is gone; a follower needs no second question."""
    await store.create(document("a"))
    await store.create(document("b"))
    made = await store.update("w", "a", change(status="success", output="o"))
    assert made is not None
    await store.delete("w", "b")
    assert [made.body, None] == [entry.document for entry in await store.changes(0, 10, documents=True)]
    assert [None, None] == [entry.document for entry in await store.changes(0, 10)]


async def test_the_change_feed_tells_in_which_order_records_came(store: HistoryStore) -> None:
    """Also of those that have changed since; one that was deleted and created again came later."""
    for name in ("a", "b", "c"):
        await store.create(document(name))
    await store.merge([document("d"), document("e")])
    await store.update("w", "b", change(2_000))
    await store.delete("w", "a")
    await store.create(document("a"))
    places = {each.execute_id: each.arrival for each in await store.changes(0, 100) if each.kind != "deleted"}
    assert ["b", "c", "d", "e", "a"] == sorted(places, key=lambda name: places[name] or 0)
    assert 5 == len({*places.values()} - {None})


async def test_large_documents_make_an_answer_of_the_feed_shorter_and_nothing_is_left_out(store: HistoryStore) -> None:
    """Whoever goes on from the last revision gets the rest."""
    text = "x" * 3_000_000
    for number in range(5):
        await store.create(document(f"e{number}", parameters={"t": text}))
    found: list[str | None] = []
    since = 0
    while batch := await store.changes(since, 100, documents=True):
        found += [entry.execute_id for entry in batch]
        since = batch[-1].revision
    assert [f"e{number}" for number in range(5)] == found


async def test_many_records_are_read_at_once(store: HistoryStore) -> None:
    """Those that are there, by their ids, whatever these are."""
    made = [document("a"), document("a", "v"), document('"\n\0文', "n\0l"), document("c")]
    for each in made:
        await store.create(each)
    keys = [RecordKey(each.workflow_id, each.execute_id) for each in made[:3]]
    found = await store.get_many([*keys, RecordKey("w", "missing"), RecordKey("missing", "a")])
    assert ({key: each.body for key, each in zip(keys, made, strict=False)}, ()) == (
        dict(found.documents),
        found.damaged,
    )
    assert {} == dict((await store.get_many([])).documents)


async def test_workflows_are_listed_page_by_page_and_by_their_beginning(store: HistoryStore) -> None:
    """The one with the newest record first; of equally new ones the first id."""
    for workflow_id, now in (("b", 5), ("a", 5), ("ab", 7), ("a\U0010ffff", 1), ("B", 2)):
        await store.create(document("e", workflow_id, now))
    whole = await store.workflows()
    assert ["ab", "a", "b", "B", "a\U0010ffff"] == [summary.workflow_id for summary in whole]
    paged, after = [], None
    while page := await store.workflows(after=after, limit=2):
        assert len(page) <= 2
        paged += page
        after = page[-1]
    assert whole == paged
    assert ["ab", "a", "a\U0010ffff"] == [summary.workflow_id for summary in await store.workflows("a")]
    assert ["a\U0010ffff"] == [summary.workflow_id for summary in await store.workflows("a\U0010ffff")]
    assert ["ab"] == [summary.workflow_id for summary in await store.workflows("a", limit=1)]


async def test_a_large_document_is_kept_whole(store: HistoryStore) -> None:
    """Five megabytes of output, in a page and alone."""
    text = "".join(f"{number:07d} 结果 " for number in range(300_000))
    await store.create(document("a"))
    made = await store.update("w", "a", change(status="success", output={"text": text}))
    assert made is not None
    assert made.body == await store.get("w", "a")
    assert [made.body] == list((await page_of(store, "w", 20, 1)).documents)


@pytest.mark.parametrize(
    "workflow_id", ["../../etc/passwd", "a/b", "CON", "长" * 300, "😀", "A", "a", ".x", "n\0l", "%", "a~b"]
)
async def test_any_workflow_id_is_safe(store: HistoryStore, workflow_id: str) -> None:
    """Ids are data, never paths."""
    await store.create(document("e", workflow_id))
    assert await store.update(workflow_id, "e", change(status="success")) is not None
    assert [workflow_id] == [summary.workflow_id for summary in await store.workflows()]
    assert await store.get(workflow_id, "e") is not None


async def test_many_callers_at_once_are_all_answered(store: HistoryStore) -> None:
    """From several event loops in several threads, while this one works too."""

    async def run(name: str) -> None:
        for number in range(20):
            await store.create(document(f"{name}-{number}", f"w{number % 3}"))
            await store.update(f"w{number % 3}", f"{name}-{number}", change(status="success"))

    threads = [threading.Thread(target=lambda name=name: asyncio.run(run(name))) for name in ("t1", "t2", "t3")]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(run(name) for name in ("a", "b", "c", "d")))
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert {"success": 140} == {
        status: sum(summary.counts[status] for summary in await store.workflows()) for status in ("success",)
    }


async def test_a_closed_store_says_so(store: HistoryStore) -> None:
    """In one sentence; closing twice is fine."""
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreClosed):
        await store.create(document("a"))
    with pytest.raises(StoreClosed):
        await page_of(store, "w", 1, 1)


async def test_closing_while_others_call_leaves_nobody_waiting(store: HistoryStore) -> None:
    """Each is answered, with a result or with the sentence that the store is closed."""

    async def run(name: str) -> int:
        for number in range(200):
            try:
                await store.create(document(f"{name}-{number}"))
            except StoreClosed:
                return number
        return 200

    async with asyncio.timeout(60):
        calls = [asyncio.create_task(run(name)) for name in "abcd"]
        threads = [asyncio.create_task(asyncio.to_thread(asyncio.run, run(name))) for name in "wxyz"]
        await asyncio.sleep(0.02)
        await asyncio.gather(store.aclose(), store.aclose())
        assert all(isinstance(number, int) for number in await asyncio.gather(*calls, *threads))


async def test_a_healthy_store_has_no_problems(store: HistoryStore) -> None:
    """Until it is closed."""
    assert () == (await store.health()).problems
    await store.aclose()
    assert 1 == len((await store.health()).problems)


async def test_a_scan_gives_every_record_in_the_order_in_which_they_came(store: HistoryStore) -> None:
    """Batch after batch, over all workflows, whatever their times; a changed record keeps its place."""
    for number in range(7):
        await store.create(document(f"e{number}", "wv"[number % 2], now=1_000 - number))
    await store.update("w", "e2", change(status="success"))
    await store.delete("v", "e3")
    await store.create(document("c", "cleared"))
    await store.clear("cleared")

    found: list[str] = []
    batch = await store.scan(None, 2)
    while batch.next is not None:
        assert len(batch.documents) <= 2
        found += ids(batch.documents)
        batch = await store.scan(batch.next, 2)
    found += ids(batch.documents)

    assert ["e0", "e1", "e2", "e4", "e5", "e6"] == found


async def test_a_scan_goes_on_from_its_own_tokens_only(store: HistoryStore) -> None:
    """One that was cut, changed or made up is refused, so that nobody takes a part of the store for the whole."""
    for name in "abc":
        await store.create(document(name))
    token = (await store.scan(None, 1)).next
    assert isinstance(token, str)
    assert ["b", "c"] == ids((await store.scan(token, 10)).documents)
    for broken in ("", "0", "2", token[:-1], token + "=", token.swapcase(), token[::-1], "文", "A" * 16):
        with pytest.raises(InvalidCursor, match="broken"):
            await store.scan(ScanToken(broken), 10)


async def test_a_scan_of_an_empty_store_ends_at_once(store: HistoryStore) -> None:
    """There is no batch behind the first."""
    assert Batch([], None) == await store.scan(None, 10)


async def test_merging_without_settling_is_as_safe(store: HistoryStore) -> None:
    """The records are there when the call returns; what follows them comes with the next flush."""
    assert MergeReport(1, 0, 0) == await store.merge([document("a")], settle=False)
    assert ["a"] == ids((await page_of(store, "w", 10, 1)).documents)
    await flush(store)


async def test_nothing_is_called_damaged_that_is_not(store: HistoryStore) -> None:
    """Answers about whole records name none."""
    for number in range(3):
        await store.create(document(f"e{number}"))
    answers = (
        await page_of(store, "w", 10, 1),
        await page_of(store, None, 10, 1),
        await store.scan(None, 10),
        await store.select(RecordQuery()),
    )
    assert [((), 3)] * 4 == [(answer.damaged, len(answer.documents)) for answer in answers]
    assert () == (await store.statistics(StatisticsQuery())).damaged
    assert () == (await store.health()).problems


async def test_the_feed_steps_over_what_has_changed_again(store: HistoryStore) -> None:
    """A follower with the smallest step misses nothing between changes of one entry, nor behind many of them."""
    for number in range(3):
        await store.put_entry("view", "k", b"%d" % number)
        await store.create(document(f"e{number}"))
    for number in range(260):
        await store.put_entry("view", "k", b"%d" % number)
    await store.create(document("last"))
    seen: list[str | None] = []
    since = 0
    while found := await store.changes(since, 1):
        seen += [each.execute_id for each in found if each.entry is None]
        since = found[-1].revision
    assert ["e0", "e1", "e2", "last"] == seen
    assert await store.revision() == since


async def test_a_listener_that_fails_disturbs_nobody(store: HistoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The change is made, the other listeners hear of it, and the log has the error."""
    assert isinstance(store, Watched)
    heard = threading.Event()
    end = [store.on_change(lambda: 1 // 0), store.on_change(heard.set)]  # type: ignore[arg-type]
    await store.create(document("a"))
    assert await asyncio.to_thread(heard.wait, 30)
    for each in end:
        each()
    await store.create(document("b"))
    assert ["b", "a"] == ids((await page_of(store, "w", 10, 1)).documents)
    assert "A listener of a history has failed." in caplog.text
