"""What a function returned: a value, or something with which the function goes on, and its run with it.

| returned | what the caller gets | the run ends |
|---|---|---|
| a coroutine, or another awaitable of Python's own | a coroutine | when that has ended, with its result |
| a task, a future (also of :mod:`concurrent.futures`) | the same object | when it is done, with its result |
| an object with ``__await__`` | a stand-in (:mod:`~execution_history.functions.stand_in`) | when awaited or used |
| such an object, where a coroutine or another such object gave it | the same object | at once, with it as the value |
| a generator, an asynchronous generator | such a generator | when it has ended or was closed; messages are its output |
| ``map``, ``filter``, ``zip``, ``enumerate``, most of :mod:`itertools` | a generator | as with a generator |
| a manager that :mod:`contextlib` made of a generator | the same object | when its block is left |
| a response with a generator as its ``body_iterator``, as Starlette's | the same object | when its body has been sent |
| anything else | the same object | at once, with it as the value |

What runs the function's own code later belongs to its run. Files, locks, connections and cursors have
``__enter__`` or ``__next__`` too, but they are what the function was called for: it has done its work, they may live as
long as the program, and in a wrapper they would lose their other methods. So they are values. Shared iterators such as
:func:`itertools.count` are also left alone, as a generator may not be read by two threads at once.

What nobody uses ends as interrupted once it is collected (:attr:`Proof.NEVER_USED`).
"""

import asyncio
import concurrent.futures
import contextlib
import inspect
import itertools
import sys
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any, Final, cast

from execution_history.functions.foreign import attempt
from execution_history.functions.generators import async_generator, generator
from execution_history.functions.run import Run
from execution_history.functions.stand_in import stand_in_for

_LAZY: Final = (
    map, filter, zip, enumerate, itertools.accumulate, itertools.chain, itertools.compress, itertools.dropwhile,
    itertools.filterfalse, itertools.groupby, itertools.islice, itertools.pairwise, itertools.starmap,
    itertools.takewhile, itertools.zip_longest,
)  # fmt: skip
_FUTURES: Final = (asyncio.Future, concurrent.futures.Future)

_BODY: Final = "body_iterator"

_Future = asyncio.Future[Any] | concurrent.futures.Future[Any]
_Follow = Callable[[Any, Run], object]


def returned(result: object, run: Run, *, is_awaited: bool = False) -> Any:
    """Return what the caller gets in the place of *result*, with which *run* goes on; a value is the run's output.

    To be called in the block of the run.

    Args:
        result: what the function returned.
        run: its run.
        is_awaited: whether it was awaited already: a client that can be awaited once more is what was asked for.
    """
    follow = attempt(lambda: _follow_of(result, is_awaited=is_awaited), None)
    with run.unseen():
        if follow is not None:
            given = follow(result, run)
            run.go_on()
            with contextlib.suppress(TypeError):  # a class may leave no room for it
                weakref.finalize(given, run.leave).atexit = False
            return given
    run.output = result
    return result


def _follow_of(result: object, *, is_awaited: bool) -> _Follow | None:
    kind = type(result)
    if isinstance(result, _FUTURES) or asyncio.isfuture(result):
        return _followed_future
    if inspect.isasyncgen(result):
        return _followed_async_generator
    if kind in _MANAGERS:
        return _MANAGERS[kind]
    if inspect.isgenerator(result) and not inspect.isawaitable(result):
        return _followed_generator
    if kind in _LAZY:
        return _followed_iterator
    if inspect.isawaitable(result) and not isinstance(result, type):
        if kind.__module__ in {"builtins", "types"}:
            return _awaited_of
        return None if is_awaited else partial(stand_in_for, awaited=_awaited)
    # Looked up in the object only: a foreign attribute may do anything when it is read.
    own = getattr(result, "__dict__", None)
    return _followed_response if isinstance(own, dict) and inspect.isasyncgen(own.get(_BODY)) else None


async def _awaited(taken: Callable[[], Awaitable[Any]], run: Run) -> Any:
    async with run:
        return returned(await taken(), run, is_awaited=True)


def _awaited_of(inner: Awaitable[Any], run: Run) -> object:
    kept = [inner]
    coroutine = _named(_awaited(kept.pop, run), inner)
    if inspect.iscoroutine(inner):
        weakref.finalize(coroutine, _close_unused, kept).atexit = False
    return coroutine


def _close_unused(kept: list[Any]) -> None:
    """Close a coroutine that nobody can await any more: Python warns of its wrapper, and once is enough."""
    if kept:
        coroutine, probe = kept.pop(), object()
        if sys.getrefcount(coroutine) <= sys.getrefcount(probe):
            coroutine.close()


def _followed_generator(inner: Generator[Any, Any, Any], run: Run) -> object:
    run.become_stream()
    return _named(_wrapped(generator, inner, run), inner)


def _followed_iterator(inner: Iterator[Any], run: Run) -> object:
    run.become_stream()
    return generator(lambda: (each for each in inner), lambda *_: run)()


def _followed_async_generator(inner: AsyncGenerator[Any, Any], run: Run) -> object:
    run.become_stream()
    return _named(_wrapped(async_generator, inner, run), inner)


def _wrapped(wrap: Callable[..., Callable[[], Any]], inner: object, run: Run) -> object:
    """Return *inner* recorded by *wrap*: the wrapper alone holds it, and closes it where it is closed itself only."""
    # A weak reference is cleared before what it refers to is finalised.
    made: list[Callable[[], object]] = []
    wrapper = wrap([inner].pop, lambda *_: run, lambda: made[0]() is None)()
    made.append(weakref.ref(wrapper))
    return wrapper


def _followed_future(future: _Future, run: Run) -> object:
    def done(ended: _Future) -> None:
        error: BaseException | None = None
        with run.unseen():
            if ended.cancelled():
                error = asyncio.CancelledError()
            else:
                # Asked by its method, a future counts its error as noticed, and would not complain when nobody else
                # notices.
                error = ended._exception if hasattr(ended, "_exception") else ended.exception()  # noqa: SLF001 - as said
            if error is None:
                run.output = ended.result()
        run.end_soon(error)

    future.add_done_callback(done)
    return future


def _followed_response(response: Any, run: Run) -> object:
    setattr(response, _BODY, _followed_async_generator(getattr(response, _BODY), run))
    return response


@contextlib.contextmanager
def _a_manager() -> Iterator[None]:
    yield


@contextlib.asynccontextmanager
async def _an_async_manager() -> AsyncIterator[None]:
    yield


# What contextlib makes of a generator function is a plain function; all of them share one code.
MANAGER_CODE: Final = cast("Any", _a_manager).__code__
"""The code of every function that :func:`contextlib.contextmanager` has made."""

ASYNC_MANAGER_CODE: Final = cast("Any", _an_async_manager).__code__
"""The code of every function that :func:`contextlib.asynccontextmanager` has made."""


class _RecordedManager(type(_a_manager())):  # type: ignore[misc]  # contextlib has no public name for it
    """A manager with which a run goes on; as a decorator it makes a new one for each call, and is only a value."""

    def __call__(self, function: Any) -> Any:
        self._recorded_run.end_as(self)
        return super().__call__(function)


class _RecordedAsyncManager(type(_an_async_manager())):  # type: ignore[misc]  # as above
    """The same for ``async with``."""

    def __call__(self, function: Any) -> Any:
        self._recorded_run.end_as(self)
        return super().__call__(function)


def _followed_manager(manager: Any, run: Run) -> object:
    manager.gen = _named(_inside(manager.gen, run), manager.gen)
    vars(manager)["_recorded_run"] = run
    manager.__class__ = _RecordedManager
    return manager


def _inside(inner: Generator[Any, Any, Any], run: Run) -> Iterator[Any]:
    with run, contextlib.contextmanager(lambda: inner)() as value:
        run.output = value
        yield value


def _followed_async_manager(manager: Any, run: Run) -> object:
    manager.gen = _named(_ainside(manager.gen, run), manager.gen)
    vars(manager)["_recorded_run"] = run
    manager.__class__ = _RecordedAsyncManager
    return manager


async def _ainside(inner: AsyncGenerator[Any, Any], run: Run) -> AsyncIterator[Any]:
    async with run, contextlib.asynccontextmanager(lambda: inner)() as value:
        run.output = value
        yield value


def _named(made: Any, inner: object) -> object:
    for name in ("__name__", "__qualname__"):
        with contextlib.suppress(AttributeError, TypeError):
            setattr(made, name, getattr(inner, name))
    return made


_MANAGERS: Final[dict[type, _Follow]] = {
    type(_a_manager()): _followed_manager,
    type(_an_async_manager()): _followed_async_manager,
}
