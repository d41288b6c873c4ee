"""A work that is done with a history while its disk fails; and what has to be there afterwards.

A work has a template, a folder that is copied for each round: ``h`` is the history. What it raises has to be clear;
whatever it raises, afterwards nothing is lost, and the same work succeeds. :mod:`bench.fault_works` has them all.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw

from bench.fault_damage import copy_folder, examined, opened, problems_of
from bench.fault_load import Known, Load, is_clear
from execution_history.stores import SQLiteStore

_SUBJECTS: Final = 24
_CALLERS: Final = 4
_PATIENCE: Final = 30.0
_BUSY_MS: Final = 10_000


@dataclass
class Doing:
    """One round of a work.

    Attributes:
        base: its folder.
        known: what the history has.
        load: what was recorded in the round.
        done: how many parts of the work were answered for.
        refused: how many raised an error.
        said: what the last error said.
        odd: the errors that are not clear.
    """

    base: Path
    known: Known
    load: Load = field(default_factory=lambda: Load("new"))
    done: int = 0
    refused: int = 0
    said: str = ""
    odd: list[str] = field(default_factory=list)

    @property
    def history(self) -> Path:
        """The folder of the history."""
        return self.base / "h"

    async def part(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do a part of the work; return whether it was answered for."""
        try:
            await asyncio.wait_for(work(), _PATIENCE)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self.refused += 1
            self.said = repr(error)
            if not is_clear(error):
                self.odd.append(f"{getattr(work, '__name__', work)}: {error!r}")
            return False
        self.done += 1
        return True


Run = Callable[[Doing], Awaitable[None]]
Look = Callable[[Doing], Awaitable[list[str]]]


async def _nothing(_: Doing) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Work:
    """A work.

    Attributes:
        name: for people.
        run: does it, part by part.
        prepare: changes the template, which has a history of some runs.
        look: returns what is wrong afterwards, beyond the history itself; the disk works again.
        is_damaged: whether the template is, which the work repairs.
    """

    name: str
    run: Run
    prepare: Callable[[Path], Awaitable[None]] | None = None
    look: Look = _nothing
    is_damaged: bool = False


async def template(folder: Path, work: Work) -> Known:
    """Make the template of a work in *folder*; return what its history has."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    store, load, known = SQLiteStore(folder / "h"), Load("old"), Known()
    await store.open()
    await load.run(store, range(_SUBJECTS), _CALLERS)
    assert not load.refused
    await known.learn(store, "old", load.answered)
    await store.follow_index()
    await store.flush()
    copy_folder(folder / "h", folder / "killed")
    await store.aclose()
    shutil.rmtree(folder / "h")
    (folder / "killed").rename(folder / "h")
    if work.prepare is not None:
        await work.prepare(folder)
    return known


def _wait_for_leases(folder: Path) -> None:
    """Have it be later than every lease of work that one process does at a time, such as an archive, lasts."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.set_busy_timeout(_BUSY_MS)
        connection.execute("DELETE FROM named_leases")


async def wrong(work: Work, doing: Doing) -> list[str]:
    """Return what is wrong after a round; the disk works again."""
    if not work.is_damaged:
        _wait_for_leases(doing.history)
    found = list(await work.look(doing))
    async with opened(doing.history) as store:
        if doing.load.answered:
            found += await doing.known.learn(store, "new", doing.load.answered)
        found += await doing.known.compare(store)
        found += (await store.health()).problems
    found += await asyncio.to_thread(doing.known.compare_files, doing.history)
    return found + list(problems_of(await examined(doing.history)))


async def again(run: Run, doing: Doing) -> None:
    """Do it once more on the disk that works.

    Raises:
        AssertionError: it did not succeed.
    """
    once_more = Doing(doing.base, doing.known)
    await run(once_more)
    assert not once_more.refused, f"the next call failed too: {once_more.said}"


async def compared(folder: Path, doing: Doing) -> list[str]:
    """Return what a history in another folder has not as it was noted."""
    async with opened(folder) as store:
        return await doing.known.compare(store)
