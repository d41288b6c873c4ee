"""Backups: how long one makes a writer wait, and how quickly a history is backed up, verified and restored.

``python -m bench backup`` runs it. Writers begin and end runs all the time; the longest call while a backup is made, by
another process and by the same one, stands beside the longest one in as much time without a backup.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bench.figures import Measure, Sample
from bench.programs import main, service_at
from bench.records import runs
from bench.setup import Setup

if TYPE_CHECKING:
    from execution_history import ExecutionHistoryService

_CLIENTS: Final = 4
_CALM: Final = "longest wait of a writer without a backup"
_BESIDE: Final = "longest wait of a writer, backup by another process"
_WITHIN: Final = "longest wait of a writer, backup by the same process"

BACKUP: Final = (
    Measure(_BESIDE, "ms", _CALM),
    Measure(_WITHIN, "ms", _CALM),
    Measure(_CALM, "ms", is_detail=True),
    Measure("runs backed up, full", "/s"),
    Measure("runs verified", "/s"),
    Measure("runs restored, with JSON files", "/s"),
    Measure("backup per byte of records", "bytes"),
    Measure("incremental backup of 1 % new runs", "ms"),
)
"""Of a history of 100,000 runs, while four writers write into it as quickly as they can."""


def backup(setup: Setup) -> Iterator[Sample]:
    """Measure backups of a history that is in use, and what is made of them."""
    count = setup.size(100_000, 500)
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            store, places = setup.folder(), setup.folder()
            shutil.copytree(setup.history(code, count).folder, store)
            waits = setup.call(code, "waits", module="bench.backup", folder=store, places=places)
            for name, wait in ((_CALM, "calm"), (_BESIDE, "beside"), (_WITHIN, "within")):
                yield Sample(name, waits[wait], code=code.name)
            found = setup.call(code, "quiet", module="bench.backup", folder=store, place=setup.folder())
            yield Sample("runs backed up, full", found["full"], code=code.name)
            yield Sample("runs verified", found["verified"], code=code.name)
            yield Sample("runs restored, with JSON files", found["restored"], code=code.name)
            yield Sample("backup per byte of records", found["size"], code=code.name)
            yield Sample("incremental backup of 1 % new runs", found["incremental"], code=code.name)
            setup.tidy()


async def waits(folder: str, places: str) -> dict[str, float]:
    """Return the longest waits of writers (milliseconds): without a backup, beside one, and within its process."""
    from execution_history.maintenance.backup import back_up, target_at  # noqa: PLC0415 - of the checkout under test

    async with service_at(folder) as service:
        source = runs(2**40, workflows=10, seed=7)

        async def elsewhere() -> None:
            command = (sys.executable, "-m", "execution_history", "backup", f"{places}-a", "--store", folder, "--json")
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            assert await process.wait() == 0

        async def here() -> None:
            await back_up(service, target_at(f"{places}-b"))

        beside, seconds = await _longest_during(service, source, elsewhere)
        within, _ = await _longest_during(service, source, here)
        calm, _ = await _longest_during(service, source, lambda: asyncio.sleep(seconds))
    return {"calm": calm, "beside": beside, "within": within}


async def quiet(folder: str, place: str) -> dict[str, float]:
    """Return how quickly a history that nobody changes is backed up, verified and restored; how large the backup is."""
    from execution_history.maintenance.backup import back_up, restore, target_at, verify  # noqa: PLC0415 - as above
    from execution_history.settings import Settings  # noqa: PLC0415 - as above

    target = target_at(place)
    async with service_at(folder) as service:
        full = await back_up(service, target)
        began = time.perf_counter()
        checked = await verify(target)
        verified = checked.records / (time.perf_counter() - began)
        for run in islice(runs(2**40, workflows=10, seed=8), max(1, checked.records // 100)):
            await service.create_execution_record("new", run.execute_id, run.parameters)
        incremental = await back_up(service, target)
    began = time.perf_counter()
    restored = await restore(target, Settings(store=f"{place}-restored"))
    shutil.rmtree(f"{place}-restored")
    return {
        "full": full.manifest.records / full.seconds,
        "verified": verified,
        "restored": restored.records / (time.perf_counter() - began),
        "size": full.manifest.size / checked.size,
        "incremental": incremental.seconds * 1000,
    }


async def _longest_during(
    service: "ExecutionHistoryService", source: Iterator[Any], work: Callable[[], Awaitable[object]]
) -> tuple[float, float]:
    """Return the longest call of the writers while *work* is done (milliseconds), and how long that took (seconds)."""
    began = time.perf_counter()
    async with _writers(service, source) as longest:
        await work()
    return longest[0] * 1000, time.perf_counter() - began


@asynccontextmanager
async def _writers(service: "ExecutionHistoryService", source: Iterator[Any]) -> AsyncIterator[list[float]]:
    """Yield the longest wait so far (seconds) of clients that begin and end runs within the block."""
    longest, has_ended = [0.0], asyncio.Event()

    async def timed(step: Awaitable[object]) -> None:
        moment = time.perf_counter()
        await step
        longest[0] = max(longest[0], time.perf_counter() - moment)

    async def client() -> None:
        while not has_ended.is_set():
            run = next(source)
            await timed(service.create_execution_record("beside", run.execute_id, run.parameters))
            await timed(service.update_execution_record("beside", run.execute_id, "success", output=run.output))

    clients = [asyncio.create_task(client()) for _ in range(_CLIENTS)]
    try:
        yield longest
    finally:
        has_ended.set()
        await asyncio.gather(*clients)


if __name__ == "__main__":
    main({each.__name__: each for each in (waits, quiet)})
