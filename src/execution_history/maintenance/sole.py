"""Work on a history that one process does at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from execution_history.errors import BackupFailed, Message
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.history.replication import HistoryReplication

LEASE_MS: Final = 20_000
"""How long others wait after a process that was killed (milliseconds)."""


@asynccontextmanager
async def sole(service: HistoryReplication, work: str, refusal: Message) -> AsyncIterator[None]:
    """Keep other processes from the same work within this block.

    Args:
        service: the history, which has the lease.
        work: the name of the work.
        refusal: the message where another process is doing it.

    Raises:
        BackupFailed: another process is doing it now.
        StoreError: the store could not be written.
    """
    keeper = LeaseKeeper(service, LEASE_MS, lambda: None)
    await keeper.keep(work)
    try:
        if keeper.trouble is not None:
            raise keeper.trouble
        if not keeper.is_held:
            raise BackupFailed(refusal)
        yield
    finally:
        await keeper.release()
