"""One change that somebody waits for, and how whoever waits is answered."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from execution_history.stores.mirror_port import PendingFiles
from execution_history.stores.sqlite.write_transaction import WriteTransaction

_log = logging.getLogger("execution_history.stores.sqlite")

_MOST_TRIES: Final = 20
_PAUSE: Final = 0.05


@dataclass(slots=True)
class Operation:
    """A piece of work for the writer.

    ``record`` names the workflow and the execution (``None``: whichever) that the file has to show to the caller,
    ``size`` is roughly how many bytes will be written, ``makes_room`` says that the work removes something, so that
    there will be something to tidy, and ``outside`` that it runs outside a transaction, in which case ``failed`` is
    called if it could not run. ``is_durable`` is set once the work is committed: an error after that is not the
    operation's.
    """

    work: Callable[[WriteTransaction], Any]
    loop: asyncio.AbstractEventLoop | None = None
    future: "asyncio.Future[Any] | None" = None
    record: tuple[str, str | None] | None = None
    size: int = 0
    makes_room: bool = False
    outside: bool = False
    failed: Callable[[Exception], None] | None = None
    is_durable: bool = False
    tries: int = 0
    result: Any = None
    error: Exception | None = None

    def has_another_try(self) -> bool:
        """Wait a moment for space that others, such as a file that is being made anew, take only for a while.

        Returns:
            Whether it is worth another try: after a second it is not.
        """
        self.tries += 1
        if self.tries > _MOST_TRIES:
            return False
        time.sleep(_PAUSE)
        return True

    def waits_for(self, later: PendingFiles) -> bool:
        """Return whether the file of this record's workflow will only show the record later."""
        if self.record is None or self.error is not None or self.record[0] not in later:
            return False
        waiting = later[self.record[0]]
        return waiting is None or self.record[1] is None or self.record[1] in waiting


def answer(operations: Iterable[Operation]) -> None:
    """Wake those who wait, from any thread: one call for each event loop. Never raises."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Operation]] = {}
    for operation in operations:
        if operation.loop is not None:
            by_loop.setdefault(operation.loop, []).append(operation)
    for loop, answered in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answered)
        except RuntimeError:
            pass  # a loop that is closed has nobody left who waits
        except BaseException:  # noqa: BLE001 - one loop that fails must not keep the others from their answers
            _log.exception("An event loop could not be given its answers")


def _resolve(operations: Iterable[Operation]) -> None:
    """Wake those who wait, on the thread of the event loop that is theirs."""
    for operation in operations:
        future = operation.future
        if future is None or future.done():
            continue
        if operation.error is not None:
            future.set_exception(operation.error)
        else:
            future.set_result(operation.result)
