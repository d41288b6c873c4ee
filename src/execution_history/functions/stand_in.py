"""Objects in the place of others that can be awaited, such as a client's requests: what is done with them is recorded.

Such an object has other methods too, and is often an asynchronous context manager besides. Its stand-in passes
everything on, is an instance of the same classes to ``isinstance``, and ends the run when it was awaited, or when the
block that it was entered for is left.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any, Final, cast

from execution_history.functions.run import Run

_Await = Callable[[Awaitable[Any], Run], Coroutine[Any, Any, Any]]

_PASSED_ON: Final = (
    "__aiter__", "__anext__", "__bool__", "__call__", "__contains__", "__enter__", "__eq__", "__exit__", "__ge__",
    "__getitem__", "__gt__", "__hash__", "__iter__", "__le__", "__len__", "__lt__", "__ne__", "__next__", "__repr__",
    "__setitem__", "__str__",
)  # fmt: skip


def stand_in_for(inner: Awaitable[Any], run: Run, *, awaited: _Await) -> object:
    """Return the stand-in for *inner*; *awaited* makes the coroutine that awaits it within *run*."""
    return _class_for(type(inner))(inner, run, awaited)


@lru_cache(maxsize=256)
def _class_for(kind: type) -> Callable[[Awaitable[Any], Run, _Await], object]:
    """Return the class of stand-ins for objects of *kind*: Python looks for special methods in the class only."""
    names = [name for name in _PASSED_ON if getattr(kind, name, None) is not None]
    methods: dict[str, object] = {name: _passing(name) for name in names}
    if hasattr(kind, "__aenter__"):
        methods |= {"__aenter__": _enter, "__aexit__": _exit}
    # Tasks drive an object that is a coroutine to collections.abc by these.
    methods |= {name: _step(name) for name in ("send", "throw", "close") if hasattr(kind, name)}
    return type(kind.__name__, (_StandIn,), {"__slots__": (), "__module__": kind.__module__, **methods})


class _StandIn:
    __slots__ = ("__weakref__", "_awaited", "_coroutine", "_inner", "_manager", "_run")

    def __init__(self, inner: Awaitable[Any], run: Run, awaited: _Await) -> None:
        for name, value in (("_inner", inner), ("_run", run), ("_awaited", awaited), ("_coroutine", None)):
            object.__setattr__(self, name, value)

    @property  # type: ignore[misc]  # that is what isinstance asks
    def __class__(self) -> type:
        return type(_inner_of(self))

    def __getattr__(self, name: str) -> object:
        return getattr(_inner_of(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_inner_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_inner_of(self), name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return _coroutine_of(self).__await__()


def _inner_of(stand_in: object) -> Awaitable[Any]:
    return cast("Awaitable[Any]", object.__getattribute__(stand_in, "_inner"))


def _coroutine_of(stand_in: object) -> Coroutine[Any, Any, Any]:
    """Return the coroutine that awaits the object, made only now: one that is never awaited makes Python complain."""
    made: Coroutine[Any, Any, Any] | None = object.__getattribute__(stand_in, "_coroutine")
    if made is None:
        awaited: _Await = object.__getattribute__(stand_in, "_awaited")
        made = awaited(_inner_of(stand_in), object.__getattribute__(stand_in, "_run"))
        object.__setattr__(stand_in, "_coroutine", made)
    return made


def _passing(name: str) -> Callable[..., object]:
    def passed(self: object, *arguments: object) -> object:
        inner = _inner_of(self)
        return getattr(type(inner), name)(inner, *arguments)

    return passed


def _step(name: str) -> Callable[..., object]:
    def step(self: object, *arguments: object) -> object:
        return getattr(_coroutine_of(self), name)(*arguments)

    return step


async def _enter(self: object) -> object:
    manager = _inside(_inner_of(self), object.__getattribute__(self, "_run"))
    object.__setattr__(self, "_manager", manager)
    return await manager.__aenter__()


async def _exit(self: object, *error: Any) -> bool | None:
    manager: AbstractAsyncContextManager[Any] = object.__getattribute__(self, "_manager")
    return await manager.__aexit__(*error)


@contextlib.asynccontextmanager
async def _inside(inner: Any, run: Run) -> AsyncIterator[Any]:
    async with run, inner as value:
        run.output = value
        yield value
