"""What a function returned: a value, or something with which the function goes on, and its run with it.

| returned | what the caller gets | the run ends |
|---|---|---|
| a coroutine, or another awaitable of Python's own | a coroutine | when that has ended, with its result |
| a task, a future (also of :mod:`concurrent.futures`) | the same object | when it is done, with its result |
| an object with ``__await__`` | a stand-in for it (:mod:`execution_history.functions.stand_in`) | when it was awaited |
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
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any, Final

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


def returned(result: object, run: Run) -> Any:
    """Return what the caller gets in the place of *result*, with which *run* goes on; a value is the run's output.

    To be called in the block of the run.
    """
    given = result
    with run.unseen():
        follow = _follow_of(result)
        if follow is None:
            run.output = result
            return result
        given = follow(result, run)
        run.go_on()
        with contextlib.suppress(TypeError):  # a class may leave no room for it
            weakref.finalize(given, run.leave).atexit = False
    return given


def _follow_of(result: object) -> _Follow | None:
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
        is_own = kind.__module__ in {"builtins", "types"}
        return _awaited_of if is_own else partial(stand_in_for, awaited=_awaited)
    # Looked up in the object only: a foreign attribute may do anything when it is read.
    own = getattr(result, "__dict__", None)
    return _followed_response if isinstance(own, dict) and inspect.isasyncgen(own.get(_BODY)) else None


async def _awaited(inner: Awaitable[Any], run: Run) -> Any:
    async with run:
        return returned(await inner, run)


def _awaited_of(inner: Awaitable[Any], run: Run) -> object:
    coroutine = _named(_awaited(inner, run), inner)
    if inspect.iscoroutine(inner):
        # Python warns of every coroutine that is never awaited; of these two, once is enough.
        weakref.finalize(coroutine, inner.close).atexit = False
    return coroutine


def _followed_generator(inner: Generator[Any, Any, Any], run: Run) -> object:
    run.become_stream()
    return _named(generator(lambda: inner, lambda *_: run)(), inner)


def _followed_iterator(inner: Iterator[Any], run: Run) -> object:
    run.become_stream()
    return generator(lambda: (each for each in inner), lambda *_: run)()


def _followed_async_generator(inner: AsyncGenerator[Any, Any], run: Run) -> object:
    run.become_stream()
    return _named(async_generator(lambda: inner, lambda *_: run)(), inner)


def _followed_future(future: _Future, run: Run) -> object:
    def done(ended: _Future) -> None:
        if ended.cancelled():
            run.end_soon(asyncio.CancelledError())
            return
        # Asked by its method, a future counts its error as noticed, and would not complain when nobody else notices.
        error = ended._exception if hasattr(ended, "_exception") else ended.exception()  # noqa: SLF001 - as said
        if error is None and _follow_of(result := ended.result()) is None:
            run.output = result
        run.end_soon(error)

    future.add_done_callback(done)
    return future


def _followed_response(response: Any, run: Run) -> object:
    setattr(response, _BODY, _followed_async_generator(getattr(response, _BODY), run))
    return response


def _followed_manager(manager: Any, run: Run) -> object:
    manager.gen = _inside(manager.gen, run)
    return manager


def _inside(inner: Generator[Any, Any, Any], run: Run) -> Iterator[Any]:
    with run, contextlib.contextmanager(lambda: inner)() as value:
        run.output = value
        yield value


def _followed_async_manager(manager: Any, run: Run) -> object:
    manager.gen = _ainside(manager.gen, run)
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


@contextlib.contextmanager
def _a_manager() -> Iterator[None]:
    yield


@contextlib.asynccontextmanager
async def _an_async_manager() -> AsyncIterator[None]:
    yield


_MANAGERS: Final[dict[type, _Follow]] = {
    type(_a_manager()): _followed_manager,
    type(_an_async_manager()): _followed_async_manager,
}
