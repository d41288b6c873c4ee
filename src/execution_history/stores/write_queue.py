"""The queue of a thread that writes: what was submitted since its last group becomes the next one.

Each caller of a group gets the result of its own work. A caller that stops waiting does not stop its work.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from execution_history.errors import StoreClosed
from execution_history.metrics import COMMIT_SECONDS, COMMIT_SIZE, QUEUE, Sample, watch

_log = logging.getLogger("execution_history.stores")

_LARGEST_GROUP: Final = 512


class Caller(NamedTuple):
    """Who waits for work: an event loop, and the future that gets the result there."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"

    @classmethod
    def here(cls) -> "Caller":
        """Return a caller in the event loop that is running."""
        loop = asyncio.get_running_loop()
        return cls(loop, loop.create_future())


class Queued(Protocol):
    """Work in the queue."""

    size: int
    """Roughly the number of bytes that will be written."""

    @property
    def is_alone(self) -> bool:
        """Whether it is a group of its own."""


class Answered(Protocol):
    """Work that has been done, or has failed."""

    @property
    def caller(self) -> Caller | None:
        """Who waits for it."""

    @property
    def result(self) -> Any:  # noqa: ANN401 - whatever the work returns
        """What its caller gets, unless there is an error."""

    @property
    def error(self) -> Exception | None:
        """What its caller gets instead."""


_Work = TypeVar("_Work", bound=Queued)
_Done = TypeVar("_Done")


class WriteQueue(Generic[_Work]):
    """Work that waits; any thread puts it in, one takes it out.

    Args:
        gather_seconds: how long is waited for callers that were answered together, since they call again together.
        largest_bytes: from which size on a group takes nothing more.
    """

    def __init__(self, gather_seconds: float, largest_bytes: int) -> None:
        self._gather_seconds = gather_seconds
        self._largest_bytes = largest_bytes
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._entrance = threading.Lock()
        self._has_ended = False
        self._carried: _Work | None = None
        self._expected = 1
        watch(self)

    def samples(self) -> Iterable[Sample]:
        """Return how much waits; see :class:`~execution_history.metrics.Source`."""
        yield Sample(QUEUE, self._queue.qsize())

    def put(self, work: _Work) -> None:
        """Add *work*.

        Raises:
            StoreClosed: the queue has ended.
        """
        with self._entrance:
            # Nothing may be queued after the end: it would never be done.
            if self._has_ended:
                raise StoreClosed("This history was closed; create a new service.")
            self._queue.put(work)

    def end(self) -> None:
        """Take nothing more in; what is there is still taken out."""
        with self._entrance:
            self._has_ended = True
            self._queue.put(None)

    def next_group(self, timeout: float | None) -> list[_Work]:
        """Return the next group; an empty one once the queue has ended and is empty.

        Args:
            timeout: seconds to wait for it; ``None`` for any time.

        Raises:
            queue.Empty: nothing came in that time.
        """
        first = self._carried or self._queue.get(timeout=timeout)
        if first is None:
            return []
        group, size, self._carried = [first], first.size, None
        deadline = time.monotonic() + self._gather_seconds
        while not first.is_alone and len(group) < _LARGEST_GROUP and size < self._largest_bytes:
            patience = 0.0 if len(group) >= self._expected else max(0.0, deadline - time.monotonic())
            try:
                following = self._queue.get(patience > 0, patience)
            except Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            if following.is_alone:
                self._carried = following
                break
            group.append(following)
            size += following.size
        self._expected = len(group)
        return group


def committed(run: Callable[[list[_Work]], _Done], group: list[_Work]) -> _Done:
    """Return what *run* returns for a group, and count how long that took."""
    began = time.perf_counter()
    done = run(group)
    COMMIT_SECONDS.observe(time.perf_counter() - began)
    COMMIT_SIZE.observe(len(group))
    return done


def answer(works: Iterable[Answered]) -> None:
    """Give each caller its result, from any thread: one call for each event loop. Never raises."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Answered]]] = {}
    for work in works:
        if work.caller is not None:
            by_loop.setdefault(work.caller.loop, []).append((work.caller.future, work))
    for loop, answered in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answered)
        except RuntimeError:
            pass  # on a closed loop nothing waits
        except BaseException:  # noqa: BLE001 - one loop that fails must not keep the others waiting
            _log.exception("The results of writes could not be delivered to an event loop")


def _resolve(answered: Iterable[tuple["asyncio.Future[Any]", Answered]]) -> None:
    for future, work in answered:
        if future.done():
            continue
        if work.error is not None:
            future.set_exception(work.error)
        else:
            future.set_result(work.result)
