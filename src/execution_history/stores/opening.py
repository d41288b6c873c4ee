"""Open a store whose database may still be starting, as that of a server which starts beside it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from execution_history.errors import StoreBusy
from execution_history.stores.protocol import HistoryStore

_PAUSE_SECONDS: Final = 1.0


async def open_when_there(store: HistoryStore, seconds: float, tell: Callable[[StoreBusy], None]) -> None:
    """Open *store*; while it is busy, as a database that cannot be reached is, try again for so many *seconds*.

    Args:
        store: opened.
        seconds: how long to wait.
        tell: called once, with what is wrong, before the wait.

    Raises:
        StoreBusy: it is busy still.
        StoreError: it cannot be opened for a reason that waiting does not change.
    """
    end, is_told = time.monotonic() + seconds, False
    while True:
        try:
            return await store.open()
        except StoreBusy as error:
            if time.monotonic() >= end:
                raise
            if not is_told:
                is_told = True
                tell(error)
        await asyncio.sleep(min(_PAUSE_SECONDS, seconds))
