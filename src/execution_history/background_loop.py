"""The bridge from synchronous code to coroutines: a background thread whose event loop runs them.

There is one bridge per process. It starts with its first use and ends while the interpreter ends, after the work that
was submitted to it; a forked child makes its own. It works beside any other event loop, even inside a running one
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
"""How long the end of the interpreter waits for work that is under way."""

_CANCEL_SECONDS: Final = 0.5
_THREAD: Final = "execution-history-bridge"
_EXIT_PRIORITY: Final = 100


class Bridge:
    """A thread with an event loop, for callers that have none or whose own must not run our coroutines."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_ThreadEach())
        self._under_way: set[Future[Any]] = set()
        self._finishing: list[_Finish] = []
        self._ended = False
        self._kept: dict[Callable[[Bridge], Any], Any] = {}
        self._keeping = threading.RLock()
        # A daemon, because ``end`` waits for the work itself, and has a limit.
        self._thread = threading.Thread(target=self._serve, name=_THREAD, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _Result]) -> "Future[_Result]":
        """Start *work* in the bridge's thread; return the future of its outcome.

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
        """Return whether the caller runs in the bridge's own thread."""
        return threading.get_ident() == self._thread.ident

    def at_end(self, finish: _Finish) -> None:
        """Await *finish* when the bridge ends and nothing else is under way; the last one registered comes first."""
        self._finishing.append(finish)

    def kept(self, make: "Callable[[Bridge], _Result]") -> _Result:
        """Return the object that *make* returns for this bridge; only the first call makes it."""
        with self._keeping:
            if make not in self._kept:
                self._kept[make] = make(self)
            found: _Result = self._kept[make]
            return found

    def end(self, seconds: float = END_SECONDS) -> None:
        """Finish the work that is under way and what :meth:`at_end` registered, then end the thread.

        What takes longer than *seconds* is left and logged. A second call does nothing.
        """
        if self._ended or self.is_here():
            return
        ending = asyncio.run_coroutine_threadsafe(self._finish(seconds), self._loop)
        try:
            # ``_finish`` keeps to the limit itself, unless something blocks the whole loop.
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
            # Work that does not end in time is cancelled, and can still save its state.
            await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), seconds / 2)
        while self._finishing:
            finish = self._finishing.pop()
            try:
                await asyncio.wait_for(finish(), max(0.1, end - self._loop.time()))
            except TimeoutError:
                _log.error("The program ended before everything in the background was finished.")
            except Exception:  # noqa: BLE001 - one that fails must not keep the others from finishing
                _log.exception("Work in the background could not be finished at the end of the program")

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
    except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
        future.set_exception(error)
    else:
        future.set_result(result)


_bridge: Bridge | None = None
_inherited: list[Bridge | None] = []
_making = threading.RLock()


def the_bridge() -> Bridge:
    """Return this process's bridge; the first call starts it."""
    global _bridge  # noqa: PLW0603 - there is one per process
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
    """Register, once, the hooks that end the bridge in order and keep it from crossing a fork."""
    # Stores close themselves by ``weakref.finalize``, whose exit hook is registered by its first use anywhere.
    # Registered before ours it runs after ours, so that waiting work finds its store open.
    weakref.finalize(Bridge, int)
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_to_the_parent)


def _end_with_a_child() -> None:
    """Register the bridge's end with multiprocessing: its children leave by ``os._exit`` and run only its own hooks."""
    library = sys.modules.get("multiprocessing")
    if library is not None and library.parent_process() is not None:
        from multiprocessing.util import Finalize  # noqa: PLC0415 - only where it is loaded already

        Finalize(None, _end, exitpriority=_EXIT_PRIORITY)


def _end() -> None:
    if _bridge is not None:
        _bridge.end()


def _leave_to_the_parent() -> None:
    """Forget the bridge in a forked child: its thread stayed with the parent, and the lock may be held there."""
    global _bridge, _making
    # Kept, because closing its loop would close the wake-up socket of the parent's loop.
    _inherited.append(_bridge)
    _bridge, _making = None, threading.RLock()
