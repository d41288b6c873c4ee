"""The index that follows: crashes, damage, several processes, another history in its place."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from execution_history.errors import StoreClosed, StoreError, StoreUnwritable
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.plain_select import select_plainly
from execution_history.stores.sqlite.reader import Reader
from tests.resting_index import opened
from tests.sample_records import change, document, ids, page_of

pytestmark = pytest.mark.anyio

_ALL = RecordQuery(size=100, filter=RecordFilter(created_from=0))  # without a filter the counters would answer


async def _fill(store: SQLiteStore, count: int, workflow_id: str = "w") -> None:
    await store.merge([document(f"e{number:04d}", workflow_id, 1_000 + number) for number in range(count)])


@contextmanager
def _limited(folder: Path, store: SQLiteStore, text: TextIndex | None = None, **limits: float) -> Iterator[RecordIndex]:
    """An index of the store of its own, with these limits."""
    index = RecordIndex(folder, store._parts.reader, text or TextIndex(), Limits(**limits))  # type: ignore[arg-type]
    try:
        yield index
    finally:
        index.close()


async def _totals(store: SQLiteStore | RecordIndex) -> tuple[int, int]:
    """What is found by walking pages, and what is counted."""
    found, query = 0, _ALL
    while True:
        page = await store.select(query)
        if not page.reach.is_complete:
            continue  # this machine is busy
        found += len(page.documents)
        if page.next is None:
            break
        query = replace(_ALL, after=page.next)
    return found, (await store.statistics(StatisticsQuery())).totals.runs


@pytest.mark.parametrize("replaced_by", ["nobody", "another store"])
async def test_what_is_remembered_of_an_index_ends_with_it(tmp_path: Path, replaced_by: str) -> None:
    """Another file numbers its texts anew: answers stay right when it is removed, or made anew by somebody else."""
    async with opened(tmp_path) as store, opened(tmp_path) as other:
        for name in ("wa", "wb", "wc", "wd"):
            await _fill(store, 3, name)
        for number in range(3):
            await store.update("wa", f"e000{number}", change(9_000, "failed"))  # now they come last in the feed
        assert (12, 12) == await _totals(store)
        if replaced_by == "nobody":
            for file in tmp_path.glob("index.db*"):
                file.unlink()
        else:
            await other.rebuild_index()
        await _fill(store, 2, "we")
        await store.create(document("more", "wb", 5_000))
        for name, count in {"wa": 3, "wb": 4, "wc": 3, "wd": 3, "we": 2}.items():
            wanted = RecordFilter(workflow_ids=(name,), created_from=0)
            for each in (store, other):
                assert count == (await each.select(RecordQuery(filter=wanted))).total
        assert 15 == (await store.statistics(StatisticsQuery())).totals.runs


async def test_a_folder_in_the_place_of_the_index_is_named(tmp_path: Path) -> None:
    """Whoever put it there can move it away; then everything works. Until then, lists without filters do."""
    (tmp_path / "index.db").mkdir()
    async with opened(tmp_path) as store:
        await _fill(store, 3)
        with pytest.raises(StoreUnwritable, match=r"index\.db' is a folder"):
            await store.select(RecordQuery(filter=RecordFilter(statuses=("running",))))
        assert ["e0002", "e0001", "e0000"] == ids((await store.select(RecordQuery())).documents)
        assert "index.db' is a folder" in (await store.health()).problems[0]
        (tmp_path / "index.db").rmdir()
        assert (3, 3) == await _totals(store)
        assert () == (await store.health()).problems


def _fill_up(disk: Path) -> Path:
    """Take all the room that there is; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 512):
            pass
    return ballast


@pytest.mark.parametrize("is_open", [True, False])
async def test_on_a_full_disk_questions_are_answered_with_what_the_index_has(small_disk: Path, is_open: bool) -> None:
    """Lists, filters and statistics, which say how far they go; where no index can be opened, lists without filters."""
    folder = small_disk / "h"
    running = RecordQuery(filter=RecordFilter(statuses=("running",)), size=100)
    async with opened(folder) as store:
        await _fill(store, 50)
        await store.select(_ALL)
    async with opened(folder) as store:
        if is_open:
            await store.select(_ALL)
            store._parts.index.follower.closing.set()  # the thread rests, so that the index is behind
            await asyncio.to_thread(store._parts.index.follower.thread.join)  # type: ignore[union-attr]
            store._parts.index.follower.closing.clear()
        await store.merge(
            [document(f"later{number}", now=9_000, parameters={"t": "x" * 3_000}) for number in range(40)]
        )
        ballast = _fill_up(small_disk)
        found = await store.select(_ALL if is_open else RecordQuery(size=100))
        if is_open:
            assert (50, False) == (len(found.documents), found.reach.is_complete)
            assert ["e0049", "e0048"] == ids((await store.select(running)).documents)[:2]
            assert 50 == (await store.statistics(StatisticsQuery())).totals.runs
        else:
            assert (90, True) == (len(found.documents), found.reach.is_complete)
        assert 90 == (await page_of(store, "w", 1, 1)).total
        assert "no space left" in " ".join((await store.health()).problems) or not is_open
        assert 90 == (await store.index_reach()).newest
        with pytest.raises(StoreError):
            await store.rebuild_index()
        ballast.unlink()
        assert (90, 90) == await _totals(store)


async def test_an_index_that_may_not_be_written_answers_with_what_it_has(tmp_path: Path) -> None:
    """Somebody else's, say."""
    async with opened(tmp_path) as store:
        await _fill(store, 5)
        await store.select(_ALL)
    index = str(tmp_path / "index.db")
    if subprocess.run(["mount", "--bind", index, index], capture_output=True, check=False).returncode:
        pytest.skip("a file can only be bound by root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", index], check=True)
        async with opened(tmp_path) as store:
            await store.create(document("new", now=5_000))
            found = await store.select(RecordQuery(filter=RecordFilter(statuses=("running",))))
            assert (5, 5, 6) == (len(found.documents), found.reach.revision, found.reach.newest)
            assert "cannot be written" in " ".join((await store.health()).problems)
    finally:
        subprocess.run(["umount", "-l", index], check=True)
    async with opened(tmp_path) as store:
        assert (6, 6) == await _totals(store)


class _Failing(Reader):
    """A reader that fails in a way that nobody has thought of, as long as it is ``broken``."""

    def __init__(self, folder: Path, other: Reader) -> None:
        super().__init__(folder, {})
        self.stored = other.stored
        self.broken = False
        self.failed = threading.Event()

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """A connection, or the fault."""
        if self.broken:
            self.failed.set()
            raise ZeroDivisionError
        with super().connection() as connection:
            yield connection


async def test_the_thread_that_follows_survives_whatever_happens(tmp_path: Path) -> None:
    """And follows the next change; the log has it once, and the health as long as it lasts."""
    async with opened(tmp_path) as store:
        await _fill(store, 3)
        reader = _Failing(tmp_path, store._parts.reader)
        index = RecordIndex(tmp_path, reader)
        assert 3 == (await index.select(_ALL)).total
        reader.broken = True
        assert await asyncio.to_thread(reader.failed.wait, 30)
        assert "ZeroDivisionError" in " ".join(index.problems())
        reader.broken = False
        await store.create(document("new"))
        async with asyncio.timeout(60):
            while not (await index.reach()).is_complete:
                await asyncio.sleep(0.01)
        assert () == index.problems()
        index.close()
        reader.close()


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("workflow_ids", [(), ("w",), ("none",)])
async def test_a_list_without_an_index_is_the_one_with_it(
    tmp_path: Path, workflow_ids: tuple[str, ...], descending: bool
) -> None:
    """The same pages, totals and cursors, so that a list goes on from the one to the other."""
    async with opened(tmp_path) as store:
        for workflow_id in ("w", "v"):
            await store.merge([document(f"e{n}", workflow_id, 1_000 + n // 3) for n in range(9)])
        queries = [
            RecordQuery(filter=RecordFilter(workflow_ids=workflow_ids), descending=descending, size=4, **more)
            for more in ({}, {"index": 2}, {"index": 9}, {"summaries": True})
        ]
        index = store._parts.index
        right = [await index.select(query) for query in queries]
        if right[0].next is not None:
            queries.append(replace(queries[0], after=right[0].next))
            right.append(await index.select(queries[-1]))
        assert right == [await select_plainly(store._parts.reader, query) for query in queries]


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100, None, "half", "page"])
async def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes | str | None) -> None:
    """Empty, foreign, gone, cut in half or overwritten in the middle: the caller sees nothing of it."""
    async with opened(tmp_path) as store:
        await _fill(store, 300)
        assert (300, 300) == await _totals(store)
    path = tmp_path / "index.db"
    if damage is None:
        path.unlink()
    elif damage == "half":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "page":
        content = bytearray(path.read_bytes())
        content[8192:] = os.urandom(len(content) - 8192)
        path.write_bytes(content)
    else:
        assert isinstance(damage, bytes)
        path.write_bytes(damage)
    async with opened(tmp_path) as store:
        assert (300, 300) == await _totals(store)


async def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    """Older or newer."""
    async with opened(tmp_path) as store:
        await _fill(store, 3)
        await store.select(_ALL)
    connection = apsw.Connection(str(tmp_path / "index.db"))
    connection.execute("UPDATE state SET version = '0'; DELETE FROM facets")
    connection.close()
    async with opened(tmp_path) as store:
        assert (3, 3) == await _totals(store)


async def test_another_history_in_its_place_is_seen(tmp_path: Path) -> None:
    """A different one, and an older copy of the same one, whether it has grown beyond the index or not."""
    async with opened(tmp_path / "a") as store:
        await _fill(store, 20)
        await store.select(_ALL)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    async with opened(tmp_path / "a") as store:
        await store.delete("w", "e0001")
        await store.create(document("new"))
        await store.select(_ALL)
    async with opened(tmp_path / "b") as store:
        await _fill(store, 7, "other")
    for history, expected in ((tmp_path / "copy", 20), (tmp_path / "b", 7)):
        shutil.copy(history / "history.db", tmp_path / "a" / "history.db")
        async with opened(tmp_path / "a") as store:
            assert (expected, expected) == await _totals(store)


async def test_an_older_copy_that_has_grown_on_is_seen(tmp_path: Path) -> None:
    """Its revisions are beyond the index's, but the records are others."""
    async with opened(tmp_path / "a") as store:
        await _fill(store, 5)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    async with opened(tmp_path / "a") as store:
        await store.create(document("lost"))
        await store.select(_ALL)
    async with opened(tmp_path / "copy") as store:
        for number in range(5):
            await store.update("w", f"e{number:04d}", change())
    shutil.copy(tmp_path / "copy" / "history.db", tmp_path / "a" / "history.db")
    async with opened(tmp_path / "a") as store:
        assert (5, 5) == await _totals(store)


async def test_a_place_that_was_used_again_belongs_to_its_new_record(tmp_path: Path) -> None:
    """The newest record is deleted and another takes its row; the index learns both at once, or one by one."""
    async with opened(tmp_path) as store:
        await _fill(store, 3)
        await store.select(_ALL)
        await store.delete("w", "e0002")
        await store.create(document("other", "v", 5_000))
        assert ["other", "e0001", "e0000"] == ids((await store.select(_ALL)).documents)
        await store.delete("v", "other")
        await store.select(_ALL)
        await store.create(document("e0002", now=6_000))
        assert ["e0002", "e0001", "e0000"] == ids((await store.select(_ALL)).documents)


async def test_a_cleared_workflow_that_begins_again_has_its_new_records_only(tmp_path: Path) -> None:
    """Also where it takes several steps to forget the old ones."""
    async with opened(tmp_path) as store:
        with _limited(tmp_path, store, cleared=7, changes=10) as index:
            await _fill(store, 50)
            await _fill(store, 5, "v")
            assert (55, 55) == await _totals(index)
            await store.clear("w")
            await _fill(store, 3)
            assert (8, 8) == await _totals(index)
            for number in range(25):
                await store.create(document(f"x{number}"))
                await store.delete("w", f"x{number}")
            assert (8, 8) == await _totals(index)


class _Interrupting(TextIndex):
    """A part that is interrupted once, in the middle of a step."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared = 0

    def prepare(self, record: Mapping[str, Any]) -> str:
        """The same, but for the twentieth."""
        self.prepared += 1
        if self.prepared == 20:
            raise KeyboardInterrupt
        return super().prepare(record)


async def test_a_step_that_fails_in_the_middle_leaves_nothing_half_done(tmp_path: Path) -> None:
    """The next question takes all of it in."""
    async with opened(tmp_path) as store:
        await _fill(store, 30)
        with _limited(tmp_path, store, _Interrupting()) as index:
            with pytest.raises(KeyboardInterrupt):
                index.follower._step()
            assert 30 == index.follower.state().missing
            assert (30, 30) == await _totals(index)


async def test_a_long_build_answers_with_what_it_has_and_goes_on_behind(tmp_path: Path) -> None:
    """The first answer says that it is not whole; a rebuild waits until it is."""
    async with opened(tmp_path) as store:
        await _fill(store, 500)
        with _limited(tmp_path, store, changes=10, wait_seconds=0.0) as index:
            first = await index.select(_ALL)
            assert (False, 500) == (first.reach.is_complete, first.reach.newest)
            while not (await index.reach()).is_complete:
                await asyncio.sleep(0.001)
            assert 100 == len((await index.select(_ALL)).documents)
        with _limited(tmp_path, store, changes=10) as index:
            await index.rebuild()
            assert (await index.reach()).is_complete
            assert (500, 500) == await _totals(index)


async def test_two_processes_follow_at_once(tmp_path: Path) -> None:
    """Each writes and asks; both find everything, and so does whoever comes after."""
    program = (
        "import asyncio, sys\n"
        "from execution_history import ExecutionHistoryService\n"
        "async def main():\n"
        "    async with ExecutionHistoryService(sys.argv[1], json_files=False) as s:\n"
        "        for n in range(60):\n"
        "            name = sys.argv[2] + str(n)\n"
        "            await s.create_execution_record(sys.argv[2], name, metadata={'tags': [name]})\n"
        "            page = await s.get_execution_history(None, tag=name)\n"
        "            assert [name] == [r['execute_id'] for r in page['histories']], (name, page)\n"
        "asyncio.run(main())\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in ("a", "b")]
    assert [0, 0] == [process.wait(60) for process in started]
    async with opened(tmp_path) as store:
        assert (120, 120) == await _totals(store)


async def test_a_process_killed_while_it_builds_leaves_a_usable_index(tmp_path: Path) -> None:
    """kill -9 between its commits; the next process goes on."""
    async with opened(tmp_path) as store:
        await _fill(store, 3_000)
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from execution_history.stores import SQLiteStore\n"
        "from execution_history.stores.sqlite.index import RecordIndex, TextIndex\n"
        "from execution_history.stores.sqlite.index.limits import Limits\n"
        "async def main():\n"
        "    store = SQLiteStore(Path(sys.argv[1]), json_files=False)\n"
        "    await store.open()\n"
        "    index = RecordIndex(Path(sys.argv[1]), store._parts.reader, TextIndex(), Limits(changes=5))\n"
        "    print('building', flush=True)\n"
        "    await index.rebuild()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not (tmp_path / "index.db-wal").exists():
        await asyncio.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    async with opened(tmp_path) as store:
        assert (3_000, 3_000) == await _totals(store)


async def test_an_index_that_another_process_replaced_is_left_behind(tmp_path: Path) -> None:
    """Whoever has the old file open sees that it is gone before the next answer."""
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        await _fill(one, 5)
        assert (5, 5) == await _totals(one) == await _totals(other)
        await other.rebuild_index()
        await one.create(document("new"))
        assert (6, 6) == await _totals(one) == await _totals(other)


async def test_texts_follow_with_the_index(tmp_path: Path) -> None:
    """Additions, changes and removals reach them; an index without them, or with another version, is made anew."""
    newer = TextIndex()
    newer.version = "another"
    async with opened(tmp_path) as store:
        await store.create(document("a", now=1, parameters={"city": "北京"}))
        await store.create(document("b", now=2, parameters={"city": "北京"}))
        reader = store._parts.reader
        query = RecordQuery(filter=RecordFilter(text="北京", statuses=("running",)), explain=True)
        for text in (None, TextIndex(), newer):
            with closing(RecordIndex(tmp_path, reader, text)) as index:
                assert 2 == (await index.select(_ALL)).total
                if text is None:
                    continue
                page = await index.select(query)
                assert (["b", "a"], 2) == (ids(page.documents), page.total)
                assert "Reads the rows with the text from the text index." in page.explain
                assert 2 == (await index.statistics(StatisticsQuery(filter=query.filter))).totals.runs
        with closing(RecordIndex(tmp_path, reader, newer)) as index:
            await store.delete("w", "b")
            assert ["a"] == ids((await index.select(query)).documents)


@pytest.mark.parametrize(("is_damaged", "level"), [(False, logging.INFO), (True, logging.WARNING)])
async def test_only_a_damaged_index_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_damaged: bool, level: int
) -> None:
    """An index of another version is rebuilt without one: there is nothing to do about it."""
    async with opened(tmp_path) as store:
        await store.create(document("a"))
        with closing(RecordIndex(tmp_path, store._parts.reader, None)) as index:
            await index.select(_ALL)
        if is_damaged:
            (tmp_path / "index.db").write_bytes(b"no database" * 1_000)
        caplog.set_level(logging.INFO)
        with closing(RecordIndex(tmp_path, store._parts.reader, TextIndex())) as index:
            assert 1 == (await index.select(_ALL)).total
    assert {level} == {each.levelno for each in caplog.records if "is rebuilt" in each.message}


async def test_a_closed_store_answers_nothing(tmp_path: Path) -> None:
    """And leaves no thread behind."""
    store = SQLiteStore(tmp_path)
    await store.open()
    await store.select(_ALL)
    thread = store._parts.index.follower.thread
    await store.aclose()
    assert thread is not None
    assert not thread.is_alive()
    with pytest.raises(StoreClosed):
        await store.select(_ALL)


async def test_the_service_filters_by_keywords(tmp_path: Path) -> None:
    """The dict that callers know, with a cursor; without a filter it is exactly as before."""
    async with ExecutionHistoryService(tmp_path) as service:
        for number in range(5):
            await service.create_execution_record("w", f"e{number}", {"n": number}, bot_id="b" if number % 2 else None)
        assert {"histories", "total", "has_more"} == set(await service.get_execution_history("w"))
        page = await service.get_execution_history("w", 1, bot="b", where="input.n >= 1")
        assert ("e3", True) == (page["histories"][0]["execute_id"], page["has_more"])
        following = await service.get_execution_history(
            "w", 1, cursor=page["next_cursor"], bot="b", where="input.n >= 1"
        )
        assert ("e1", None) == (following["histories"][0]["execute_id"], following["next_cursor"])
        everywhere = await service.get_execution_history(None, status="running")
        assert (5, True) == (everywhere["total"], everywhere["total_is_exact"])
