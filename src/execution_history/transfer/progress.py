"""The progress of a long piece of work, how its blocking steps are run in threads, and how it ends on the disk."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from execution_history.errors import StoreError
from execution_history.history.service import ExecutionHistoryService

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work has come.

    ``records`` and ``size`` (bytes) count what was written or read; the totals are ``None`` where they are unknown.
    """

    records: int
    size: int
    total_records: int | None = None
    total_size: int | None = None


OnProgress = Callable[[Progress], None]
"""Called now and then, in the event loop's thread; must not block."""


def no_progress(_: Progress) -> None:
    """Show no progress."""


async def in_thread(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Return the result of *work*, run in a thread. A caller that is cancelled still waits until the thread is done.

    Nothing is cleared away while the thread is still writing to it.
    """
    return await to_its_end(asyncio.to_thread(work, *arguments, **named))


async def to_its_end(work: Coroutine[object, object, _Result]) -> _Result:
    """Return the result of *work*. The cancellation of a caller is raised once *work* has ended."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log that it never was
        raise


async def read_ahead(batches: AsyncGenerator[_Result]) -> AsyncGenerator[_Result]:
    """Yield *batches*, none of which is ``None``, reading the next one meanwhile."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        await asyncio.wait({following})
        if not following.cancelled():
            following.exception()  # retrieved, or asyncio would log that it never was
        await batches.aclose()


@contextlib.asynccontextmanager
async def flushed(service: ExecutionHistoryService) -> AsyncGenerator[None]:
    """Merge into *service* within this block, after which everything is on the disk too.

    Also after one that failed or was cancelled: later changes to its workflows rely on their files having been
    rewritten.

    Raises:
        StoreError: the files of a block that did not fail could not be written.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreError):
            await to_its_end(service.flush())
        raise
    await service.flush()
