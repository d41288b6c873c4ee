"""``kill -9`` at random moments under load: what was answered before has to be there, in the database and in the files.

Programs are forked from a server that has imported everything, write what they were answered into a file, which the
death of a process does not harm, and are killed while they open the history, write, or read.
"""

import asyncio
import itertools
import logging
import multiprocessing
import os
import random
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

from bench.fault_damage import examined, opened, problems_of
from bench.fault_load import Answers, Known, Load, disturb
from bench.fault_results import Row
from execution_history.stores import SQLiteStore, store_at

CHAIN: Final = 12
"""How many programs are killed on a folder, one after the other, until all of it is examined."""

CALLERS: Final = 32
"""How many callers a program has."""

_LONGEST: Final = 0.6
_EARLY: Final = 0.12
_EARLY_SHARE: Final = 0.15
_ENTRY: Final = struct.Struct("<IB")
_PATIENCE: Final = 60.0


@cache
def forked() -> ForkServerContext:
    """Return what starts programs quickly."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.fault_kill", "execution_history.stores.postgres.store"])
    return context


async def _write_for_ever(place: Path | str, name: str, log: Path) -> None:
    store = store_at(place)
    await store.open()
    answers = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    refusals = os.open(log.with_suffix(".refused"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    load = Load(
        name,
        note=lambda number, steps: os.write(answers, _ENTRY.pack(number, steps)),
        refuse=lambda error: os.write(refusals, f"{error!r}\n".encode()),
    )
    callers = load.run(store, itertools.count(), CALLERS, 0.05)
    if isinstance(store, SQLiteStore) and name[-1] in "02468":
        await asyncio.gather(callers, disturb(store))
    await callers


def write_for_ever(place: Path | str, name: str, log: Path) -> None:
    """Write into the history at *place* until the process is killed; *log* gets what was answered."""
    logging.disable()  # what is logged of each fault is expected
    # Whoever was to kill it may have been killed.
    asyncio.run(asyncio.wait_for(_write_for_ever(place, name, log), 2 * _PATIENCE))


@dataclass
class Writing:
    """What a program that was killed has written.

    Attributes:
        program: its name.
        answered: what it was answered.
        refused: the errors that it got.
    """

    program: str
    answered: Answers = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def read(self, log: Path) -> None:
        """Read what was answered, but for an entry that is not whole."""
        data = log.read_bytes() if log.exists() else b""
        for number, steps in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]):
            self.answered[number] = max(steps, self.answered.get(number, 0))
        refused = log.with_suffix(".refused")
        self.refused = refused.read_text().splitlines() if refused.exists() else []
        # The first call of others may have been under way, and a caller that is refused goes on with another subject.
        for number in range(max(self.answered, default=-1) + 1 + CALLERS + len(self.refused)):
            self.answered.setdefault(number, 0)

    @property
    def calls(self) -> int:
        """How many were answered for."""
        return sum(self.answered.values())


def killed(
    place: Path | str,
    name: str,
    chance: random.Random,
    *,
    at_least: float = 0.0,
    log: Path,
    look: Callable[[Path], None] = lambda _: None,
) -> Writing:
    """Start a program that writes, kill it at a random moment, and return what it was answered.

    Args:
        place: of its history: a folder, or the URL of a store.
        name: of the program.
        chance: decides when: sometimes while it opens the history, else after its first answer.
        at_least: so many seconds after its first answer, at the earliest.
        log: the file that gets the answers, which is removed.
        look: called now and then with the file that gets the errors.
    """
    is_early = not at_least and chance.random() < _EARLY_SHARE
    process = forked().Process(target=write_for_ever, args=(place, name, log), daemon=True)
    process.start()
    began = time.monotonic()
    end = began + chance.random() * _EARLY if is_early else began + _PATIENCE
    while process.is_alive() and (now := time.monotonic()) < end:
        if end == began + _PATIENCE and log.exists() and log.stat().st_size:
            end = now + at_least + chance.random() * _LONGEST
        look(log.with_suffix(".refused"))
        time.sleep(min(0.005, max(0.0, end - now)))
    has_ended = not process.is_alive()
    process.kill()
    process.join()
    written = Writing(name)
    written.read(log)
    if has_ended:
        written.refused.append(f"the program ended by itself, with {process.exitcode}")
    for each in (log, log.with_suffix(".refused")):
        each.unlink(missing_ok=True)
    return written


@dataclass
class Chain:
    """Programs that are killed on one folder, one after the other."""

    folder: Path
    length: int = CHAIN
    known: Known = field(default_factory=Known)
    rounds: int = 0

    def round(self, number: int, seed: int) -> tuple[Writing, list[str]]:
        """Kill the next program; return what it was answered, and what is wrong afterwards."""
        name = f"p{number}"
        written = killed(self.folder, name, random.Random(f"{seed} {number}"), log=self.folder.with_name(f"{name}.log"))
        self.rounds += 1
        wrong = asyncio.run(self._learn(written))
        if self.rounds == self.length:
            wrong += asyncio.run(self._examine())
            self.begin_anew()
        return written, [*wrong, *written.refused]

    def begin_anew(self) -> None:
        """Go on with an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.known, self.rounds = Known(), 0

    async def _learn(self, written: Writing) -> list[str]:
        async with opened(self.folder) as store:
            wrong = await self.known.learn(store, written.program, written.answered)
            wrong += (await store.health()).problems
        return wrong

    async def _examine(self) -> list[str]:
        async with opened(self.folder) as store:
            wrong = await self.known.compare(store)
            await store.follow_index()
        wrong += await asyncio.to_thread(self.known.compare_files, self.folder)
        return wrong + list(problems_of(await examined(self.folder)))


def rounds(folder: Path, seed: int, first: int, length: int = CHAIN) -> Iterator[Row]:
    """Yield a row for each chain of so many programs."""
    chain = Chain(folder / "h", length)
    for begin in itertools.count(first - first % length, length):
        row = Row("kill", "kill -9 under load", seed, begin)
        with row.timed():
            for number in range(begin, begin + length):
                written, wrong = chain.round(number, seed)
                row.add(wrong)
                row.rounds, row.faults, row.calls = row.rounds + 1, row.faults + 1, row.calls + written.calls
        yield row
