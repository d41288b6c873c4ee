"""Work that may raise anything, or never end, harms nobody who has it done."""

import asyncio
import threading

import pytest

from execution_history.recording.attempts import attempt, in_thread

pytestmark = pytest.mark.anyio


class _Odd(BaseException):
    """What is no exception."""


async def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [ValueError(), _Odd(), asyncio.CancelledError()], ids=lambda each: type(each).__name__
)
async def test_what_is_raised_comes_back(error: BaseException) -> None:
    """Also what would end a task."""
    result, found = await attempt(_raise(error))
    assert (None, type(error)) == (result, type(found))
    assert ("done", None) == await attempt(asyncio.sleep(0, "done"))


async def test_what_takes_too_long_is_cancelled_and_left() -> None:
    """Even where it does not let itself be cancelled."""
    go_on, cancelled = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                cancelled.set()

    _, error = await attempt(stubborn(), 0)
    assert isinstance(error, TimeoutError)
    assert cancelled.is_set()
    go_on.set()


async def test_who_is_cancelled_is_cancelled() -> None:
    """And the work too."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(attempt(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended.wait()


async def test_a_cancelled_caller_goes_when_its_thread_has_ended() -> None:
    """Nothing is opened, or written, behind its back."""
    begun, go_on = threading.Event(), threading.Event()
    ended = []

    def work() -> None:
        begun.set()
        go_on.wait()
        ended.append("work")

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["work"] == ended
