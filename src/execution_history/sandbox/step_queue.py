"""The way from a run that is being played to the answer that reports it."""

import asyncio

from execution_history.sandbox.executions import Interruption
from execution_history.sandbox.steps import Cut, Failure, Finished, Hush, Packet, Ping, Raw

StreamStep = Packet | Interruption | Failure | Finished | Ping | Raw
"""What the events of a stream are made of."""

Shown = StreamStep | Cut | Hush

_AHEAD = 64


class Outlet:
    """The steps of one leg, on their way to one reader who may be slow or leave.

    A run gets at most 64 steps ahead of its reader and then waits, so that a long stream does not fill the
    memory; once the reader has left, it goes on alone.
    """

    def __init__(self) -> None:
        self._steps: asyncio.Queue[Shown | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)
        self._is_abandoned = False

    async def put(self, step: Shown) -> None:
        """Hand ``step`` on, when there is room; drop it when nobody reads any more."""
        if self._is_abandoned:
            await asyncio.sleep(0)  # a long run that nobody reads must not hold up the others
            return
        await self._room.acquire()
        self._steps.put_nowait(step)

    async def get(self) -> Shown | None:
        """Return the next step; ``None`` when the leg is over or was stopped."""
        step = await self._steps.get()
        self._room.release()
        return step

    def abandon(self) -> None:
        """Leave: what comes from now on is dropped."""
        self._is_abandoned = True
        self._room.release()

    def end(self) -> None:
        """Tell the reader that nothing will follow."""
        self._steps.put_nowait(None)
