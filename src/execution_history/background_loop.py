"""The one way from synchronous code into the house: a background thread whose event loop runs coroutines for it.

There is one bridge a process. It begins with the first use and ends while the interpreter ends, after everything
that it was given; a forked child makes its own. It works beside any other event loop, also under a running one
(Jupyter), because it never touches that one.
"""

import asyncio
import atexit
import contextlib
import functools
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

_log = logging.getLogger("execution_history.background_loop")
_Result = TypeVar("_Result")
_Finish = Callable[[], Coroutine[Any, Any, object]]

END_SECONDS: Final = 10.0
"""How long the end of the interpreter waits for what is under way."""

_CANCEL_SECONDS: Final = 0.5
_THREAD: Final = "execution-history-bridge"
_FIRST_TO_END: Final = 100


class Bridge:
    """A thread with an event loop, for callers that have none or whose own must not carry our work."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_ThreadEach())
        self._under_way: set[Future[Any]] = set()
        self._finishing: list[_Finish] = []
        self._ended = False
        self._kept: dict[Callable[[Bridge], Any], Any] = {}
        self._keeping = threading.RLock()
        # Its thread does not keep the interpreter alive: ``end`` does the waiting, and has a limit.
        self._thread = threading.Thread(target=self._serve, name=_THREAD, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> "Future[_Result]":
        """Begin *work* in the bridge's thread; its outcome comes with the future.

        Raises:
            RuntimeError: the bridge has ended, because the program is ending.
        """
        if self._ended:
            work.close()
            raise RuntimeError("The program is ending: nothing more can be done in the background.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run *work* to its end and return its result, or raise what it raises.

        Raises:
            RuntimeError: called from the bridge's own thread, which cannot wait for itself, or the bridge has ended.
        """
        if self.is_here():
            work.close()
            raise RuntimeError("A coroutine that runs on the bridge awaits others; it does not wait for them.")
        return self.submit(work).result()

    def is_here(self) -> bool:
        """Whether the caller runs in the bridge's own thread."""
        return threading.get_ident() == self._thread.ident

    def at_end(self, finish: _Finish) -> None:
        """Have *finish* awaited when the bridge ends and nothing else is under way; the last one given comes first."""
        self._finishing.append(finish)

    def kept(self, make: "Callable[[Bridge], _Result]") -> _Result:
        """Return the one object that *make* makes for this bridge; the first call makes it."""
        with self._keeping:
            if make not in self._kept:
                self._kept[make] = make(self)
            found: _Result = self._kept[make]
            return found

    def end(self, seconds: float = END_SECONDS) -> None:
        """Finish what is under way and what was given to :meth:`at_end`, then end the thread.

        Whatever takes longer than *seconds* is left, and the log says so. A second call does nothing.
        """
        if self._ended or self.is_here():
            return
        ending = asyncio.run_coroutine_threadsafe(self._finish(seconds), self._loop)
        try:
            # ``_finish`` keeps to the limit itself, unless something holds the whole loop up.
            ending.result(seconds + 1)
        except (TimeoutError, CancelledError):
            _log.error("The program ended before everything in the background was finished.")
        self._ended = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)

    async def _finish(self, seconds: float) -> None:
        end = self._loop.time() + seconds
        futures = [asyncio.wrap_future(future) for future in list(self._under_way)]
        with contextlib.suppress(TimeoutError):
            # What does not come to its end in time is cancelled, and has the chance to put its work aside.
            await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), seconds / 2)
        while self._finishing:
            finish = self._finishing.pop()
            try:
                await asyncio.wait_for(finish(), max(0.1, end - self._loop.time()))
            except TimeoutError:
                _log.error("The program ended before everything in the background was finished.")
            except Exception:  # noqa: BLE001 - one that fails must not keep the others from finishing
                _log.exception("What the program leaves behind could not be finished")

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=_CANCEL_SECONDS))
            self._loop.close()


class _ThreadEach(ThreadPoolExecutor):
    """A thread for each call. The standard pool refuses work as soon as the main thread has ended; these do not."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ANN401
        """See :meth:`concurrent.futures.Executor.submit`."""
        future: Future[Any] = Future()
        run = functools.partial(_run, future, functools.partial(work, *args, **kwargs))
        try:
            threading.Thread(target=run, name=f"{_THREAD}-work", daemon=True).start()
        except RuntimeError:  # the interpreter is ending and starts no more threads (Python 3.12)
            run()
        return future


def _run(future: "Future[Any]", work: Callable[[], object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
        future.set_exception(error)
    else:
        future.set_result(result)


_bridge: Bridge | None = None
_inherited: list[Bridge | None] = []
_making = threading.RLock()


def the_bridge() -> Bridge:
    """Return this process's bridge; the first call begins it."""
    global _bridge  # noqa: PLW0603 - one a process is the point
    if _bridge is None:
        with _making:
            if _bridge is None:
                _watch_this_process()
                _end_with_a_child()
                _bridge = Bridge()
    return _bridge


def run_sync(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine of this package for a synchronous caller: ``run_sync(service.get_execution_history("w"))``.

    It works in scripts, in threads, and in Jupyter, where an event loop is running already; it blocks the caller.

    Raises:
        RuntimeError: the program is ending.
    """
    return the_bridge().run(work)


@functools.cache
def _watch_this_process() -> None:
    """See to it, once, that the bridge ends in order and does not cross a fork."""
    # Stores close themselves by ``weakref.finalize``, whose exit hook is registered by the first use anywhere. Made
    # before ours it runs after ours, so that what waits finds its store open.
    weakref.finalize(Bridge, int)
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_to_the_parent)


def _end_with_a_child() -> None:
    """Register the bridge's end with multiprocessing: its children leave by ``os._exit`` and run only its own hooks."""
    library = sys.modules.get("multiprocessing")
    if library is not None and library.parent_process() is not None:
        from multiprocessing.util import Finalize  # noqa: PLC0415 - only where it is loaded already

        Finalize(None, _end, exitpriority=_FIRST_TO_END)


def _end() -> None:
    if _bridge is not None:
        _bridge.end()


def _leave_to_the_parent() -> None:
    """In a forked child: the thread stayed with the parent, and another one may have held the lock."""
    global _bridge, _making
    # Kept, because closing its loop would take the parent's loop its wake-up.
    _inherited.append(_bridge)
    _bridge, _making = None, threading.RLock()
