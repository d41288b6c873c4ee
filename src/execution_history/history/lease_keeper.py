"""The keeper of a lease: of all processes that could do a piece of work one does it, and another goes on when it ends.

A lease is a promise of the store that nobody else is given it for a while, counted from a moment that its owner does
not know: some time between the call and the answer. So the keeper counts from the call, and lets go of it first.
"""

import asyncio
import contextlib
import math
import time
import uuid
from collections.abc import Callable

from execution_history.errors import StoreBusy, StoreClosed, StoreError
from execution_history.history.replication import HistoryReplication
from execution_history.stores.protocol import HistoryStore


class LeaseKeeper:
    """Takes the lease of some work as soon as no other process has it, and renews it until it is released.

    Args:
        service: the history, or its opened store, that has the lease.
        ttl_ms: how long another process waits after this one has died (milliseconds). It is renewed three times in
            that time, and a call that takes longer than a third has failed.
        on_try: called in the event loop after each try, with whatever outcome; must not block.
        clock: seconds on a clock that is never set.

    Attributes:
        name: the work; empty before there was any.
        is_elsewhere: whether another process had the lease when it was tried last.
        trouble: why the last try failed; ``None`` where the store answered.
    """

    def __init__(
        self,
        service: HistoryReplication | HistoryStore,
        ttl_ms: int,
        on_try: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name: str = ""
        self.is_elsewhere: bool = False
        self.trouble: Exception | None = None
        self._service, self._ttl_ms, self._on_try, self._clock = service, ttl_ms, on_try, clock
        self._owner = uuid.uuid4().hex
        self._held_until = -math.inf
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process has the lease now, and no other one."""
        return self._clock() < self._held_until

    async def keep(self, name: str) -> None:
        """Keep the lease of *name* from now on, rather than of another name; return after the first try of it.

        Never raises; see :attr:`trouble`.
        """
        if name == self.name and self._task is not None and not self._task.done():
            return
        await self.release()
        self.name, self.is_elsewhere, self._stop = name, False, asyncio.Event()
        await self._try()
        self._task = asyncio.create_task(self._renew(self._stop))

    async def release(self) -> None:
        """Let go of the lease, so that another process has it at once; without an answer, when its time has passed."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait({self._task})
            self._task = None
        was_held, self._held_until = self.is_held, -math.inf
        if was_held:
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(self._third):
                    await self._service.lease(self.name, self._owner, 0)

    @property
    def _third(self) -> float:
        return self._ttl_ms / 3000

    async def _renew(self, stop: asyncio.Event) -> None:
        began = self._clock()
        while not isinstance(self.trouble, StoreClosed):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(began + self._third - self._clock()):
                    await stop.wait()
            if stop.is_set():
                return
            began = self._clock()
            await self._try()

    async def _try(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(self._third):
                is_held = await self._service.lease(self.name, self._owner, self._ttl_ms)
        except TimeoutError:
            seconds = f"{self._third:g}"
            self.trouble = StoreBusy("The history has not answered for %(seconds)s seconds.", seconds=seconds)
        except Exception as error:  # noqa: BLE001 - the work is told, and the next try may succeed
            self.trouble = error
        else:
            self._held_until = began + self._ttl_ms / 1000 if is_held else -math.inf
            self.is_elsewhere, self.trouble = not is_held, None
        self._on_try()
