"""A build of an index beside the one that answers: who waits for it, and what happens when either file is damaged."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from execution_history.errors import StoreDamaged
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.connections import IndexUnfit
from execution_history.stores.sqlite.index.precedence import Precedence
from tests.late_index import build_held_up
from tests.resting_index import LITTLE, fill, opened, resting, stepped
from tests.sample_filters import BASE

pytestmark = pytest.mark.anyio

_ALL = RecordQuery(size=100, filter=RecordFilter(created_from=0))


class _BadDisk(TextIndex):
    """Where a file that is built beside cannot be read."""

    def create_tables(self, connection: apsw.Connection) -> None:
        """Fail as SQLite does."""
        if connection.filename.endswith(".new"):
            raise apsw.CorruptError("database disk image is malformed")
        super().create_tables(connection)


class _Interference(Precedence):
    """Lets the index go on between the look at how far it is and the answer, as another thread or process may."""

    def __init__(self, step: Callable[[], bool]) -> None:
        super().__init__()
        self._step = step

    @contextmanager
    def query(self) -> Iterator[None]:
        """Take all steps first."""
        while self._step():
            pass
        with super().query():
            yield


async def test_an_answer_says_how_far_the_index_is_that_it_is_from(tmp_path: Path) -> None:
    """Also where that has changed since it was waited for."""
    async with opened(tmp_path) as store:
        await fill(store, range(10))
        with resting(tmp_path, store) as index:
            await index.follow()
            await fill(store, range(10), begins=100)
            index.follower.precedence = _Interference(index.follower._step)
            words = RecordQuery(size=100, filter=RecordFilter(text='"word"'), wait_seconds=0)
            found = await index.select(words)
            assert ([], BASE + 110, 10) == (found.documents, found.reach.since, found.reach.missing)


async def test_any_number_may_wait_for_a_build(tmp_path: Path) -> None:
    """More than there are threads: queries are answered meanwhile, and whoever gives up keeps nothing."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with build_held_up(tmp_path):
            index = RecordIndex(tmp_path, store._parts.reader, TextIndex(), LITTLE)
            loop, looks, all_wait = asyncio.get_running_loop(), set[int](), asyncio.Event()

            async def wait(number: int) -> None:
                def seen(_: IndexReach) -> None:
                    looks.add(number)
                    if len(looks) == 40:
                        loop.call_soon_threadsafe(all_wait.set)

                await index.follow(seen)

            waiting = [asyncio.create_task(wait(number)) for number in range(40)]
            try:
                async with asyncio.timeout(60):
                    await all_wait.wait()
                    assert 10 == len((await index.select(replace(_ALL, wait_seconds=5))).documents)
                    for each in waiting:
                        each.cancel()
                    await asyncio.gather(*waiting, return_exceptions=True)
                    assert 10 == len((await index.select(replace(_ALL, wait_seconds=5))).documents)
            finally:
                index.close()


async def test_an_error_of_the_index_that_answers_is_not_one_of_the_build(tmp_path: Path) -> None:
    """What is built beside a damaged file stays, and goes on where it was."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with resting(tmp_path, store) as index:
            follower = index.follower
            while follower._step():
                pass
            steps: list[float] = []

            def on_step(left: float) -> None:
                steps.append(left)
                if len(steps) == 6:
                    raise IndexUnfit("file is not a database")

            with pytest.raises(IndexUnfit, match="not a database"):
                follower.builder().build(on_step, lambda _: None, with_texts=False)
            assert follower.builder().path.exists()
            (tmp_path / "garbage").write_bytes(b"garbage" * 4_000)
            (tmp_path / "garbage").replace(tmp_path / "index.db")
            assert follower.tried(lambda: follower.build(with_texts=False))
            found = await index.select(_ALL)
            assert (60, True) == (len(found.documents), found.reach.is_complete)


async def test_a_rebuild_on_a_bad_disk_ends(tmp_path: Path) -> None:
    """After a few tries that is said."""
    async with opened(tmp_path) as store:
        await fill(store, range(10))
        index = RecordIndex(tmp_path, store._parts.reader, _BadDisk(), LITTLE)
        try:
            await index.follow()
            async with asyncio.timeout(60):
                with pytest.raises(StoreDamaged, match=r"fails again \(.*malformed.*\): check that disk"):
                    await index.rebuild()
            assert 10 == len((await index.select(_ALL)).documents)
        finally:
            index.close()


async def test_what_is_missing_during_a_build_becomes_less_step_by_step(tmp_path: Path) -> None:
    """Never more than the file lacks that answers; its secondary indexes are a part of the work too."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with resting(tmp_path, store) as index:
            follower = index.follower
            while follower._step():
                pass
            seen = [follower.state().missing]

            def on_step(left: float) -> None:
                follower.note_left(left)
                seen.append(follower.state().missing)

            follower.builder().build(on_step, follower.index().install, with_texts=False)
            assert 50 == seen[0]
            assert sorted(seen, reverse=True) == seen
            after_rows = seen[60 // LITTLE.changes + 1]
            assert 50 > after_rows > seen[-1] > 0


async def test_the_progress_of_whoever_waits_only_grows(tmp_path: Path) -> None:
    """One total for rows and texts, in a build and after it."""
    async with opened(tmp_path) as store:
        await fill(store, range(1_000))
        index = RecordIndex(tmp_path, store._parts.reader, TextIndex(), LITTLE)
        seen: list[int] = []
        await index.follow(lambda reach: seen.append(reach.newest - reach.revision + reach.missing))
        assert 0 == seen[-1]
        assert sorted(seen, reverse=True) == seen
        index.close()


async def test_who_needs_no_texts_does_not_wait_for_them(tmp_path: Path) -> None:
    """They are due when everything else is there."""
    async with opened(tmp_path) as store:
        await fill(store, range(20))
        with resting(tmp_path, store) as index:
            await index.follow(has_texts=False)
            assert ((await index.reach(has_texts=False)).missing, (await index.reach()).missing) == (0, 20)


async def test_an_earlier_version_answers_until_this_one_is_built(tmp_path: Path) -> None:
    """Where its tables serve; it has everything, what happens now too, and is replaced in one moment."""
    async with opened(tmp_path) as store:
        await fill(store, range(60))
        with resting(tmp_path, store) as index:
            while index.follower._once():
                pass
        with closing(apsw.Connection(str(tmp_path / "index.db"))) as connection:
            connection.execute("UPDATE state SET version = 'earlier'")
        await fill(store, range(60, 63))
        index = RecordIndex(tmp_path, store._parts.reader, TextIndex(), LITTLE, frozenset({"earlier"}))
        with stepped(index):
            found = await index.select(_ALL)
            assert (63, True, "earlier") == (
                len(found.documents), found.reach.is_complete, index.follower.state().version
            )  # fmt: skip
            while index.follower._once():
                pass
            assert index.follower.builder().form.version == index.follower.state().version
            found = await index.select(replace(_ALL, filter=RecordFilter(text='"word"')))
            assert (63, True, 1) == (len(found.documents), found.reach.is_complete, index.follower.index().replacements)
