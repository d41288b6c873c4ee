"""Long pieces of work end on the disk, however they end."""

import asyncio

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import StoreError, StoreFull
from execution_history.stores import MemoryStore
from execution_history.transfer.progress import flushed

pytestmark = pytest.mark.anyio


class _Flushing(ExecutionHistoryService):
    """Counts how often it was flushed, and may fail to."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__(MemoryStore())
        self.count, self.fault = 0, fault

    async def flush(self) -> None:
        """See :meth:`ExecutionHistoryService.flush`."""
        self.count += 1
        if self.fault is not None:
            raise self.fault


@pytest.mark.parametrize("error", [None, ValueError("broken"), asyncio.CancelledError()])
async def test_what_was_merged_is_flushed_also_after_a_failure(error: BaseException | None) -> None:
    """And the failure is raised."""
    service = _Flushing()
    raised: BaseException | None = None
    try:
        async with flushed(service):
            if error is not None:
                raise error
    except (ValueError, asyncio.CancelledError) as found:
        raised = found
    assert (1, error) == (service.count, raised)


async def test_of_two_failures_the_first_is_raised() -> None:
    """A flush that fails after everything was merged is a failure too."""
    service = _Flushing(StoreFull("The disk is full."))
    with pytest.raises(StoreFull):
        async with flushed(service):
            pass
    with pytest.raises(StoreError, match="This came first"):
        async with flushed(service):
            raise StoreError("This came first.")
