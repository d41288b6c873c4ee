"""One change that somebody waits for, and how whoever waits is answered."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from execution_history.stores.sqlite.face import Later
from execution_history.stores.sqlite.transaction import WriteTransaction

_ROUND_SECONDS: Final = 0.001


@dataclass(slots=True)
class Operation:
    """A piece of work for the writer.

    ``record`` names the workflow and the execution that the caller relies on to be in the file, ``size`` is roughly
    how many bytes will be written, ``bounded`` says that it takes next to no time, ``tidies`` that there will be
    something to tidy, and ``outside`` that it runs outside a transaction.
    """

    work: Callable[[WriteTransaction], Any]
    loop: asyncio.AbstractEventLoop | None = None
    future: "asyncio.Future[Any] | None" = None
    record: tuple[str, str | None] | None = None
    size: int = 0
    bounded: bool = False
    tidies: bool = False
    outside: bool = False
    result: Any = None
    error: BaseException | None = None

    def waits_for(self, later: Later) -> bool:
        """Whether the file of this record's workflow will only show the record later."""
        if self.record is None or self.error is not None or self.record[0] not in later:
            return False
        waiting = later[self.record[0]]
        return waiting is None or self.record[1] in waiting


def answer(operations: Iterable[Operation]) -> None:
    """Wake those who wait, from any thread: one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Operation]] = {}
    for operation in operations:
        if operation.loop is not None:
            by_loop.setdefault(operation.loop, []).append(operation)
    for loop, answered in by_loop.items():
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, answered)


def resolve(operations: Iterable[Operation]) -> None:
    """Wake those who wait, on the thread of the event loop that is theirs."""
    for operation in operations:
        future = operation.future
        if future is None or future.done():
            continue
        if operation.error is not None:
            future.set_exception(operation.error)
        else:
            future.set_result(operation.result)


class Round:
    """What one event loop has asked for since it last came round.

    ``task`` is who asked first, ``is_shared`` says that others did too, and ``was_shared`` that they did the last time:
    then it is worth waiting for them. ``is_scheduled`` says that the loop will tell when it comes round.
    """

    __slots__ = ("began", "gathered", "is_scheduled", "is_shared", "task", "was_shared")

    def __init__(self) -> None:
        self.gathered: list[Operation] = []
        self.is_scheduled = self.is_shared = self.was_shared = False
        self.task: asyncio.Task[Any] | None = None
        self.began = 0.0

    def begin(self, now: float) -> None:
        """The first of this round asks."""
        self.is_scheduled = True
        self.was_shared, self.is_shared = self.is_shared, False
        self.began = now

    def is_alone(self, task: "asyncio.Task[Any] | None", now: float) -> bool:
        """Whether *task* is the only one that asks, and has not kept the loop from coming round for long."""
        if task is not self.task:
            self.is_shared = True
        return not (self.is_shared or self.was_shared or self.gathered) and now - self.began < _ROUND_SECONDS
