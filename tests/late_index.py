"""An index that has only the newest records of a history, for as long as a test holds up the build of the others."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from execution_history.history.service import ExecutionHistoryService
from execution_history.records.record import Document
from execution_history.stores.sqlite.index.builder import BUILD_LOCK_FILE
from execution_history.stores.sqlite.index.limits import USUAL
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.sample_records import changed, document

COUNT: Final = USUAL.small + 50
"""Records of which an index is built beside."""
MISSING: Final = COUNT - USUAL.front
"""How many of them are left to the build."""
_STEP: Final = 60_000


def records(newest: int) -> Iterator[Document]:
    """A record a minute, the last one at *newest* (milliseconds); the first ten of all have failed."""
    for number in range(COUNT):
        began = newest - (COUNT - 1 - number) * _STEP
        status = "failed" if number < 10 else "success"
        yield changed(document(f"e{number:05d}", "forecast", began, parameters={"n": number}), began + 500, status)


def since(newest: int) -> int:
    """The time from which on the index has all of :func:`records`."""
    return newest - (USUAL.front - 1) * _STEP + 1


@contextmanager
def build_held_up(folder: Path) -> Iterator[None]:
    """Hold up the build of the index in *folder*, as another process that is at it does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(folder / BUILD_LOCK_FILE)
    assert lock.try_acquire()
    try:
        yield
    finally:
        lock.close()


async def settled(service: ExecutionHistoryService) -> None:
    """Return when the index has what it can have while its build is held up."""
    while (reach := await service.index_reach()).missing != MISSING or reach.revision < reach.newest:
        await asyncio.sleep(0.01)
