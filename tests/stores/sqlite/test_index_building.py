"""An index that is far behind: the newest records first, the present at once, and what is missing is said."""

import asyncio
import contextlib
import itertools
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.errors import StoreBusy
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery, StatisticsQuery
from execution_history.records.attributes import attributes_of
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.text_writer import TextWriter
from tests.examples import examples
from tests.resting_index import LITTLE, fill, opened, resting
from tests.sample_filters import BASE, HOUR, documents
from tests.sample_records import change, document, ids

pytestmark = pytest.mark.anyio

_ALL = RecordQuery(size=100, filter=RecordFilter(created_from=0))
_TEXT = RecordQuery(size=100, filter=RecordFilter(text='"word"'))


async def test_the_newest_records_are_taken_first(tmp_path: Path) -> None:
    """The answer has them, and says from when on it has all and how many it lacks."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with resting(tmp_path, store) as index:
            while index.follower._step():
                pass
            found = await index.select(_ALL)
            assert [f"e{number:04d}" for number in range(59, 49, -1)] == ids(found.documents)
            reach = found.reach
            assert (60, 60, BASE + 51, 50) == (reach.revision, reach.newest, reach.since, reach.missing)
            assert not reach.is_complete
            assert index.follower.build(with_texts=False)
            found = await index.select(_ALL)
            assert (60, True) == (len(found.documents), found.reach.is_complete)


async def test_clearing_a_large_workflow_loses_no_changes_before_it(tmp_path: Path) -> None:
    """A step that ends in the middle of it has not taken them, and begins with them again."""
    async with opened(tmp_path) as store:
        await fill(store, range(15))
        with resting(tmp_path, store, replace(LITTLE, cleared=4)) as index:
            while index.follower._step():
                pass
            for number in range(3):
                await store.create(document(f"b{number}", "other", BASE + 100 + number))
            await store.clear("w")
            while index.follower._step():
                pass
            found = await index.select(_ALL)
    assert (["b2", "b1", "b0"], True) == (ids(found.documents), found.reach.is_complete)


async def test_what_happens_meanwhile_is_there_at_once(tmp_path: Path) -> None:
    """New records, however old they are, changes and deletions; an old record's as well as a new one's."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with resting(tmp_path, store) as index:
            while index.follower._step():
                pass
            await store.create(document("new", now=BASE + 1_000))
            await store.create(document("old", now=BASE - 1_000))
            await store.update("w", "e0003", change(BASE + 2_000, "success"))
            await store.delete("w", "e0058")
            await store.delete("w", "e0002")
            found = await index.select(_ALL)
            assert ["new", "e0059", "e0057"] == ids(found.documents)[:3]
            assert ["e0003", "old"] == ids(found.documents)[-2:]
            assert index.follower.build(with_texts=False)
            found = await index.select(_ALL)
            assert (60, True) == (len(found.documents), found.reach.is_complete)
            assert {"e0002", "e0058"}.isdisjoint(ids(found.documents))
            counted = await index.statistics(StatisticsQuery())
            assert {"running": 59, "success": 1} == {k: v for k, v in counted.totals.counts.items() if v}


async def test_an_import_is_taken_newest_first_too(tmp_path: Path) -> None:
    """Into the index that there is; records that come meanwhile do not wait for it."""
    async with opened(tmp_path) as store:
        await fill(store, range(10), begins=500)
        with resting(tmp_path, store, Limits(changes=5, far_behind=15, a_second=0)) as index:
            await index.follow()
            await store.merge([document(f"i{number:04d}", now=BASE + number) for number in range(40)])
            while index.follower.state().revision < 50:
                index.follower._step()
            await store.create(document("new", now=BASE + 1_000))
            found = await index.select(_ALL)
            assert ["new", "e0009"] == ids(found.documents)[:2]
            assert found.reach.since is not None
            imported = [name for name in ids(found.documents) if name.startswith("i")]
            assert imported == [f"i{number:04d}" for number in range(39, 39 - len(imported), -1)]
            assert 40 - len(imported) == found.reach.missing
            await index.follow()
            assert 51 == len((await index.select(_ALL)).documents)


async def test_changes_that_take_longer_than_a_query_waits_are_not_waited_for(tmp_path: Path) -> None:
    """They are left to the thread that follows; the answer says how far it is."""
    async with opened(tmp_path) as store:
        await fill(store, range(10))
        with resting(tmp_path, store, Limits(a_second=20, few_changes=0)) as index:
            await index.follow()
            await store.merge([document(f"i{number:04d}", now=BASE + number) for number in range(101)])
            for seconds, revision in ((5.0, 10), (10.0, 111)):
                found = await index.select(RecordQuery(size=100, filter=_ALL.filter, wait_seconds=seconds))
                assert (revision, 111) == (found.reach.revision, found.reach.newest)


async def test_writing_texts_ends_early_when_it_is_stopped(tmp_path: Path) -> None:
    """With the transaction that has begun; the other texts stay due."""
    async with opened(tmp_path) as store:
        await fill(store, range(20))
        with resting(tmp_path, store, LITTLE) as index:
            follower = index.follower
            while (state := follower.state()).due[1] < 20:
                assert follower._step()
            is_stopped = iter([False, True]).__next__
            writer = TextWriter(TextIndex(), LITTLE, follower.precedence, is_stopped)
            with follower.history() as history, follower.index().connection() as connection:
                assert writer.step(connection, history)
            assert (20, 20 - LITTLE.texts) == (state.due[1], follower.state().due[1])
            while follower._step_of_texts():
                pass
            assert (20, True) == ((await index.select(_TEXT)).total, follower.state().due[1] == 0)


async def test_texts_follow_behind_the_rows(tmp_path: Path) -> None:
    """A filter does not wait for them; a search says which it lacks, and finds the newest first."""
    async with opened(tmp_path) as store:
        await fill(store, range(30))
        with resting(tmp_path, store, Limits(texts=4, text_portions=1, texts_with_rows=2, a_second=0)) as index:
            while index.follower._step():
                pass
            assert (await index.select(_ALL)).reach.is_complete
            found = await index.select(_TEXT)
            assert ([], BASE + 30, 30) == (ids(found.documents), found.reach.since, found.reach.missing)
            index.follower._step_of_texts()
            found = await index.select(_TEXT)
            assert ["e0029", "e0028", "e0027", "e0026"] == ids(found.documents)
            assert (BASE + 26, 26) == (found.reach.since, found.reach.missing)
            await store.update("w", "e0027", change(BASE + 100, output="changed"))
            await store.delete("w", "e0028")
            await index.follow()
            assert 29 == len((await index.select(_TEXT)).documents)
            changed = RecordQuery(filter=RecordFilter(text='"changed"'))
            assert ["e0027"] == ids((await index.select(changed)).documents)


async def test_a_text_that_changes_while_it_waits_is_found_as_it_is(tmp_path: Path) -> None:
    """Never by what it was: until its texts are written it is missing."""
    async with opened(tmp_path) as store:
        await fill(store, range(30))
        with resting(tmp_path, store, Limits(texts=4, texts_with_rows=0, a_second=0)) as index:
            await index.follow()
            assert 30 == len((await index.select(_TEXT)).documents)
            await store.merge(
                [document(f"e{n:04d}", now=BASE + n, parameters={"t": "else"}, metadata={}) for n in range(5)]
            )
            for number in range(5):
                await store.update("w", f"e{number:04d}", change(BASE + 9_000, metadata={"note": "noted"}))
            found = await index.select(_TEXT)
            assert (25, 5, BASE + 5) == (len(found.documents), found.reach.missing, found.reach.since)
            await index.follow()
            noted = RecordQuery(filter=RecordFilter(text='"noted"'))
            assert 5 == len((await index.select(noted)).documents)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["merge", "merge", "import", "delete", "clear", "step", "step", "texts", "build", "rebuild"]),
        documents(),
        st.integers(0, 20),
    ),
    max_size=30,
)


@given(_STEPS)
@examples(13)
def test_the_promise_of_reach_holds_at_any_moment(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """Every record from ``since`` on is found, as it is or to be tested anew; at the end every record."""

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("h")
        async with opened(folder) as store:
            await fill(store, range(30))
            with resting(folder, store) as index:
                later = itertools.count(1)
                for step, drawn, number in steps:
                    await _take(store, index, step, drawn, number, later)
                    await _promised(store, index, RecordFilter(created_from=0))
                    await _promised(store, index, RecordFilter(text="x"))
                await _finish(index)
                for wanted in (RecordFilter(created_from=0), RecordFilter(text="x")):
                    assert (await _promised(store, index, wanted)).is_complete

    asyncio.run(compare())


async def _take(store: SQLiteStore, index: RecordIndex, step: str, drawn: Document, number: int, later: Any) -> None:
    record = orjson.loads(drawn.body)
    follower = index.follower
    if step in {"merge", "import"}:
        records = []
        for each in range(number if step == "import" else 1):
            name = record["execute_id"] if step == "merge" else f"i{each}"
            new = record | {"execute_id": name, "create_time": BASE + (number - each) * HOUR}
            new["update_time"] = BASE + 1_000 * HOUR + next(later)
            records.append(Document.of(new, orjson.dumps(new)))
        await store.merge(records)
    elif step == "delete":
        await store.delete("w", f"e{number:04d}")
    elif step == "clear":
        await store.clear(record["workflow_id"])
    elif step == "step":
        follower.tried(follower._step)
    elif step == "texts":
        follower.tried(follower._step_of_texts)
    elif step == "build":
        if follower.state().needs_another:
            assert follower.build(with_texts=bool(number % 2))
    else:
        assert follower.build(with_texts=bool(number % 2))


async def _finish(index: RecordIndex) -> None:
    while (state := index.follower.state()).needs_another or state.lacks_rows or not (await index.reach()).is_complete:
        index.follower._once()


async def _promised(store: SQLiteStore, index: RecordIndex, wanted: RecordFilter) -> IndexReach:
    found: set[tuple[str, str]] = set()
    query = RecordQuery(filter=wanted, size=100, wait_seconds=0)
    while True:
        page = await index.select(query)
        found |= {(each["workflow_id"], each["execute_id"]) for each in map(orjson.loads, page.documents)}
        if page.next is None:
            break
        query = RecordQuery(filter=wanted, size=100, wait_seconds=0, after=page.next)
    reach = page.reach
    if reach.revision < reach.newest:
        return reach
    predicate = wanted.predicate()
    for body in (await store.scan(None, 1_000)).documents:
        record = orjson.loads(body)
        key = (record["workflow_id"], record["execute_id"])
        matches = predicate.holds(record, attributes_of(record))
        assert matches or key not in found
        assert not matches or key in found or (reach.since is not None and record["create_time"] < reach.since)
    assert (reach.since is None) == (reach.missing == 0)
    return reach


async def test_whoever_waits_is_told_how_far_it_is(tmp_path: Path) -> None:
    """What is missing becomes less, and is nothing at the end."""
    async with opened(tmp_path) as store:
        await fill(store, range(200))
        index = RecordIndex(tmp_path, store._parts.reader, TextIndex(), LITTLE)
        seen: list[IndexReach] = []
        await index.follow(seen.append)
        assert seen[-1].is_complete
        assert seen[0].newest == 200
        assert 100 == len((await index.select(_ALL)).documents)
        assert (await index.select(_TEXT)).reach.is_complete
        index.close()


async def test_a_query_does_not_wait_until_a_large_workflow_is_removed(tmp_path: Path) -> None:
    """It answers without the records, and says that it is behind; who follows the index waits for the end."""
    async with opened(tmp_path) as store:
        await fill(store, range(100))
        with resting(tmp_path, store, Limits(cleared=4, standstill_seconds=0.0)) as index:
            await index.follow()
            await store.clear("w")
            found = await index.select(RecordQuery(filter=_ALL.filter, wait_seconds=30))
            assert [] == found.documents
            assert found.reach.revision < found.reach.newest
            await index.follow()
            assert (await index.select(_ALL)).reach.is_complete


async def test_an_index_that_does_not_go_on_is_said(tmp_path: Path) -> None:
    """Rather than that it is waited for without end."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with (
            resting(tmp_path, store, replace(LITTLE, standstill_seconds=0.0)) as index,
            pytest.raises(StoreBusy, match="has stopped at change 60 of 60"),
        ):
            await index.follow()


async def test_two_threads_make_one_index(tmp_path: Path) -> None:
    """Of an outdated one: whoever comes second finds it made already."""
    async with opened(tmp_path) as store:
        await fill(store, range(5))
        await store.select(_ALL)
    with contextlib.closing(apsw.Connection(str(tmp_path / "index.db"))) as connection:
        connection.execute("UPDATE state SET version = '0'")
    async with opened(tmp_path) as store, opened(tmp_path) as other:
        found = await asyncio.gather(*(each.select(_ALL) for each in (store, other) for _ in range(4)))
        assert {5} == {len(page.documents) for page in found}
        assert 1 == sum(each._parts.index.follower.index().replacements for each in (store, other))


_BUILDER = """
import asyncio, sys
from pathlib import Path
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
async def main():
    store = SQLiteStore(Path(sys.argv[1]), json_files=False)
    await store.open()
    index = RecordIndex(Path(sys.argv[1]), store._parts.reader, TextIndex(), Limits(small=20, front=10, changes=5))
    print("building", flush=True)
    await index.follow()
    print((await index.reach()).is_complete, flush=True)
    index.close()
    await store.aclose()
asyncio.run(main())
"""


def _building(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _BUILDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "building\n" == process.stdout.readline()
    return process


async def test_a_build_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    """kill -9 while the file beside is filled: nothing is lost, and nothing stays behind."""
    async with opened(tmp_path) as store:
        await fill(store, range(3_000))
    process = _building(tmp_path)
    while not (tmp_path / "index.db.new-wal").exists():
        await asyncio.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    async with opened(tmp_path) as store:
        await store.follow_index()
        assert (3_000, True) == ((await store.statistics(StatisticsQuery())).totals.runs, await _is_whole(store))
    assert [] == list(tmp_path.glob("index.db.new*"))


async def test_two_processes_build_one_index(tmp_path: Path) -> None:
    """One builds and the other waits for it; both have all of it, and so has whoever comes after."""
    async with opened(tmp_path) as store:
        await fill(store, range(2_000))
    processes = [_building(tmp_path) for _ in range(2)]
    assert ["True\n", "True\n"] == [process.communicate(timeout=120)[0] for process in processes]
    async with opened(tmp_path) as store:
        assert (2_000, True) == ((await store.statistics(StatisticsQuery())).totals.runs, await _is_whole(store))


async def _is_whole(store: SQLiteStore) -> bool:
    return (await store.index_reach()).is_complete


async def test_the_present_index_answers_while_another_is_built(tmp_path: Path) -> None:
    """A rebuild takes nothing away meanwhile, and leaves nothing behind."""
    async with opened(tmp_path) as store:
        await fill(store, range(50))
        index = RecordIndex(tmp_path, store._parts.reader, TextIndex(), LITTLE)
        await index.follow()
        rebuilding = asyncio.create_task(index.rebuild())
        while not rebuilding.done():
            assert 50 == len((await index.select(_TEXT)).documents)
        await rebuilding
        assert 50 == len((await index.select(_TEXT)).documents)
        assert [] == list(tmp_path.glob("index.db.new*"))
        index.close()


async def test_what_a_killed_rebuild_has_left_is_deleted(tmp_path: Path) -> None:
    """By whoever has a whole index; it is as large as the index itself."""
    async with opened(tmp_path) as store:
        await fill(store, range(5))
        (tmp_path / "index.db.new").write_bytes(b"half")
        await store.select(_ALL)
        async with asyncio.timeout(60):
            while (tmp_path / "index.db.new").exists():
                await asyncio.sleep(0.01)
        assert 5 == len((await store.select(_ALL)).documents)
