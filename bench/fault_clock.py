"""A clock that jumps backwards, by a millisecond or by years, under programs that follow each other on one folder.

The memory store is told the same by the same clock: the lists of both have to be alike, however wrong the times are.
"""

import asyncio
import itertools
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.fault_damage import chance_of, copy_folder, examined, opened, problems_of
from bench.fault_load import WORKFLOWS, Known, Load
from bench.fault_results import Row
from execution_history.clock import now_ms
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.stores import MemoryStore, SQLiteStore
from execution_history.stores.administration import Administration
from execution_history.stores.protocol import HistoryStore

PROGRAMS: Final = 3

_SUBJECTS: Final = 48
_JUMPS: Final = (1, 1_000, 60_000, 3_600_000, 86_400_000, 40 * 86_400_000, 3 * 365 * 86_400_000)
_SHARE: Final = 0.05
_LEASE_MS: Final = 60_000


@dataclass
class JumpingClock:
    """A clock that now and then goes back, and never forward.

    Attributes:
        chance: decides when, and how far.
        time: what it shows (milliseconds).
        jumps: how often it has gone back.
    """

    chance: random.Random
    time: int
    jumps: int = 0

    def __call__(self) -> int:
        """Return the time; the next call may return an earlier one."""
        if self.chance.random() < _SHARE:
            self.time -= self.chance.choice(_JUMPS)
            self.jumps += 1
        return self.time


async def lists(store: HistoryStore) -> list[Any]:
    """Return what lists show: the runs of each workflow in their order, and the figures of the workflows."""
    shown: list[Any] = []
    for number in range(WORKFLOWS):
        query = RecordQuery(filter=RecordFilter(workflow_ids=(f"w{number}",)), size=100)
        shown.append([bytes(body) for body in (await store.select(query)).documents])
    figures = [(each.workflow_id, each.total, each.counts, each.last_create_time) for each in await store.workflows()]
    return [*shown, sorted(figures, key=repr)]


async def leases_hold(store: Administration, clock: JumpingClock) -> list[str]:
    """Return what is wrong with leases that are taken before the clock goes back, and looked at afterwards."""
    await store.renew_lease("recorder", _LEASE_MS)
    await store.lease("job", "holder", _LEASE_MS)
    clock.time -= max(_JUMPS)
    remaining = (await store.leases()).get("recorder", 0)
    found = [] if 0 < remaining <= _LEASE_MS else [f"a lease of {_LEASE_MS} ms has {remaining} ms left"]
    if await store.lease("job", "another", _LEASE_MS):
        found.append("a lease has two holders")
    await store.lease("job", "holder", 0)
    return found


async def one_round(folder: Path, seed: int, number: int, row: Row) -> None:
    """Have programs follow each other, each left without an end, by a clock that goes back."""
    chance = chance_of(f"{seed} {number}")
    start, known, jumps = now_ms(), Known(), 0
    same = JumpingClock(random.Random(), start)
    memory = MemoryStore(clock=lambda: same.time)
    for program in (f"p{place}" for place in range(PROGRAMS)):
        clock = JumpingClock(chance_of(f"{seed} {number} {program}"), start)
        same.chance, same.time = chance_of(f"{seed} {number} {program}"), start
        store = SQLiteStore(folder, clock=lambda clock=clock: clock.time)  # type: ignore[misc]
        await store.open()
        load, twin = Load(program, clock=clock), Load(program, clock=same)
        await load.run(store, range(_SUBJECTS), 1)
        await twin.run(memory, range(_SUBJECTS), 1)
        found = await known.learn(store, program, load.answered)
        if await lists(store) != await lists(memory):
            found.append("the lists are not those of the memory store")
        found += await leases_hold(store, clock)
        row.add([f"{program}: {each}" for each in found], load.odd)
        row.calls += load.calls
        jumps += clock.jumps
        copy_folder(folder, folder.with_name("killed"))
        await store.aclose()
        copy_folder(folder.with_name("killed"), folder)
        start = clock.time - chance.choice(_JUMPS)
    async with opened(folder) as again:
        found = await known.compare(again)
    found += await asyncio.to_thread(known.compare_files, folder)
    row.add([*found, *problems_of(await examined(folder))])
    row.faults += jumps
    row.rounds += 1


def rounds(folder: Path, seed: int, first: int) -> Iterator[Row]:
    """Yield a row for each round."""
    for number in itertools.count(first):
        row = Row("clock", "clock jumps backwards", seed, number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with row.timed():
            asyncio.run(one_round(folder / "h", seed, number, row))
        yield row
