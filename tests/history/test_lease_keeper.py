"""The keeper of a lease believes that it has it only while the store gives it to nobody else."""

import asyncio
from collections.abc import Callable

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import StoreBusy, StoreClosed, StoreError, StoreFull
from execution_history.history.lease_keeper import LeaseKeeper
from execution_history.stores import MemoryStore

pytestmark = pytest.mark.anyio

_WORK = "mirror:x"
_LONG = 600_000
"""Milliseconds; no test waits for a part of it."""


class _Store(MemoryStore):
    """A store whose leases end by a clock of the test, which answers late, with an error or not at all."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        super().__init__(uptime=lambda: int(self.seconds * 1000))
        self.late = 0.0
        self.fault: Exception | None = None
        self.answers = True

    async def lease(self, name: str, owner: str, ttl_ms: int) -> bool:
        """See :meth:`Administration.lease`."""
        if not self.answers:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        has_it = await super().lease(name, owner, ttl_ms)
        self.seconds += self.late
        return has_it

    def keeper(self, ttl_ms: int = _LONG, on_try: Callable[[], None] = lambda: None) -> LeaseKeeper:
        """A keeper of a lease of this store, by the same clock."""
        return LeaseKeeper(ExecutionHistoryService(self), ttl_ms, on_try, lambda: self.seconds)


async def test_one_of_two_has_the_lease_and_the_other_gets_it_at_its_end() -> None:
    """The second one says that it is elsewhere."""
    store = _Store()
    first, second = store.keeper(), store.keeper()
    await first.keep(_WORK)
    await second.keep(_WORK)
    assert (True, False, False, True) == (first.is_held, second.is_held, first.is_elsewhere, second.is_elsewhere)
    await first.release()
    await second.release()
    await second.keep(_WORK)
    assert (False, True, False) == (first.is_held, second.is_held, second.is_elsewhere)
    await second.release()


async def test_a_lease_is_renewed_until_it_is_released() -> None:
    """Three times in the time that it lasts."""
    store, tries = _Store(), asyncio.Queue[None]()
    keeper = store.keeper(30, lambda: tries.put_nowait(None))
    await keeper.keep(_WORK)
    for _ in range(5):
        store.seconds += 0.02
        async with asyncio.timeout(120):
            await tries.get()
    assert keeper.is_held
    await keeper.release()
    assert not keeper.is_held
    assert await store.lease(_WORK, "another", 1)


async def test_the_time_counts_from_the_call_not_from_its_answer() -> None:
    """An answer that came late is of a lease that another process may have by now."""
    store = _Store()
    store.late = _LONG / 1000 + 1
    keeper = store.keeper()
    await keeper.keep(_WORK)
    store.late = 0
    assert not keeper.is_held
    assert await store.lease(_WORK, "another", _LONG)
    assert not keeper.is_held
    await keeper.release()


async def test_a_lease_whose_time_has_passed_is_not_held_although_nothing_was_heard() -> None:
    """As when the process or the network stood still."""
    store = _Store()
    keeper = store.keeper()
    await keeper.keep(_WORK)
    store.seconds += _LONG / 1000 - 1
    assert keeper.is_held
    store.seconds += 1
    assert not keeper.is_held
    await keeper.release()


async def test_a_store_that_does_not_answer_is_given_up_long_before_the_end() -> None:
    """The call is ended, and the next one follows."""
    store = _Store()
    store.answers = False
    keeper = store.keeper(30)
    async with asyncio.timeout(120):
        await keeper.keep(_WORK)
    assert isinstance(keeper.trouble, StoreBusy)
    assert not keeper.is_held
    store.answers = True
    async with asyncio.timeout(120):
        while not keeper.is_held:
            await asyncio.sleep(0.001)
    assert keeper.trouble is None
    store.answers = False
    async with asyncio.timeout(120):
        await keeper.release()


@pytest.mark.parametrize("fault", [StoreFull("The disk is full."), StoreClosed("It was closed."), ValueError("a bug")])
async def test_an_error_is_kept_and_nothing_is_raised(fault: Exception) -> None:
    """The lease that was held stays so until its time has passed."""
    store, tries = _Store(), asyncio.Queue[None]()
    keeper = store.keeper(30, lambda: tries.put_nowait(None))
    await keeper.keep(_WORK)
    store.fault = fault
    async with asyncio.timeout(120):
        while keeper.trouble is None:
            await tries.get()
    assert fault is keeper.trouble
    assert keeper.is_held
    store.seconds += 1
    assert not keeper.is_held
    await keeper.release()


async def test_another_name_means_another_lease() -> None:
    """The first one is free at once."""
    store = _Store()
    keeper = store.keeper()
    await keeper.keep(_WORK)
    await keeper.keep("mirror:y")
    assert ("mirror:y", True) == (keeper.name, keeper.is_held)
    assert await store.lease(_WORK, "another", 1)
    assert not await store.lease("mirror:y", "another", 1)
    await keeper.release()


async def test_a_release_that_fails_is_left_to_the_time() -> None:
    """Nothing is raised."""
    store = _Store()
    keeper = store.keeper()
    await keeper.keep(_WORK)
    store.fault = StoreError("It has gone.")
    await keeper.release()
    store.fault = None
    assert not keeper.is_held
    assert not await store.lease(_WORK, "another", 1)
