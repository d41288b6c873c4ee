"""Run what may raise anything, or never return, without raising or waiting for ever oneself."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
_GRACE_SECONDS: Final = 0.25


async def attempt(
    work: Coroutine[Any, Any, _Result], seconds: float | None = None
) -> tuple[_Result | None, BaseException | None]:
    """Run *work* as a task of its own, for at most *seconds*.

    The caller's own cancellation cancels *work* and is raised as ever; one that comes out of *work* is an error.

    Returns:
        its result and ``None``, or ``None`` and what it raised: ``TimeoutError`` where it took too long. It is then
        cancelled, and may go on if it does not care.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(error_of)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        is_late = not task.done()
        task.cancel()
    if is_late:
        await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        return None, TimeoutError("That took too long.")
    error = error_of(task)
    return (task.result() if error is None else None), error


async def in_thread(work: Callable[..., _Result], *arguments: object) -> _Result:
    """Run *work* in a thread; a caller who is cancelled goes when it has ended, so that nothing is done behind it."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    task.add_done_callback(error_of)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def error_of(task: "asyncio.Task[Any]") -> BaseException | None:
    """Return what a task that is done has raised."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()
