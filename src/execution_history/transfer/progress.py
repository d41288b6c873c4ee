"""The progress of a long piece of work, and how its blocking steps are run in threads."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

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
