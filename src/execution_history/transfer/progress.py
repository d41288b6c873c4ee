"""What a long piece of work tells while it runs, and how its blocking steps are run in threads."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work has come.

    ``records`` and ``size`` (bytes) count what has been written or read; the totals are ``None`` where nobody knows.
    """

    records: int
    size: int
    total_records: int | None = None
    total_size: int | None = None


Tell = Callable[[Progress], None]
"""Called now and then, in the event loop's thread; must not block."""


def no_progress(_: Progress) -> None:
    """Tell nobody."""


async def in_thread(
    work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Return the result of *work*, run in a thread. A caller that is cancelled still waits for the thread to be done.

    So nothing is cleared away that a thread is still writing to.
    """
    return await to_its_end(asyncio.to_thread(work, *arguments, **named))


async def to_its_end(work: Coroutine[object, object, _Result]) -> _Result:
    """Return the result of *work*. A caller that is cancelled meanwhile gets its cancellation when that is done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, or asyncio would complain that nobody did
        raise
