"""Objects in the place of others that can be awaited, such as a client's requests: what is done with them is recorded.

Such an object may be a request, which is awaited or entered once, or a client, which has other uses too. Its stand-in
passes everything on, and ends the run when it was awaited, or when the block that it was entered for is left. With any
other use it is a value: the run ends at once, with the object as what was returned. Awaited again, or after that, it
awaits the object itself.

A stand-in is an instance of the same classes to ``isinstance`` and has every attribute and special method of the
object. Python does not ask the object for ``type(x)``, ``x is y``, weak references, the buffer of its bytes, and what
C code reads of a value of a built-in class past its methods, as ``b"" + x`` and ``"".join([x])`` do.

Comparing and hashing, as :func:`asyncio.gather` does before it awaits, and looking at special names do not end the run.
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any, Final, cast

from execution_history.functions.arguments import is_recording_possible
from execution_history.functions.run import Run

_Await = Callable[[Callable[[], Awaitable[Any]], Run], Coroutine[Any, Any, Any]]

_STEPS: Final = frozenset({"send", "throw", "close"})
_OWN: Final = _STEPS | {"__await__", "__aenter__", "__aexit__"}
_NOT_PASSED_ON: Final = _OWN | {
    "__class__", "__class_getitem__", "__del__", "__delattr__", "__getattr__", "__getattribute__", "__init__",
    "__init_subclass__", "__new__", "__setattr__", "__subclasshook__",
}  # fmt: skip
_GLANCES: Final = frozenset({"__eq__", "__hash__", "__ne__"})


def stand_in_for(inner: Awaitable[Any], run: Run, *, awaited: _Await) -> object:
    """Return the stand-in for *inner*; *awaited* makes the coroutine that awaits it within *run*."""
    return _class_for(type(inner))(_State(inner, run, awaited))


class _State:
    """What a stand-in stands for, and what was done with it."""

    def __init__(self, inner: Awaitable[Any], run: Run, awaited: _Await) -> None:
        self.inner, self.run = inner, run
        self.managers: list[AbstractAsyncContextManager[Any]] = []
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self._await = awaited
        self._is_followed = False

    def follow(self) -> bool:
        """Return whether the run goes on with what is done now: only with the first, while it has not ended."""
        if self._is_followed or self.run.is_over:
            return False
        self._is_followed = True
        return True

    def awaited(self, stand_in: object) -> Coroutine[Any, Any, Any]:
        """Return the coroutine that awaits the object within the run, and keeps *stand_in* until it is through."""
        self.coroutine = self._await(lambda: _state_of(stand_in).inner, self.run)
        return self.coroutine

    def used(self) -> None:
        """Take note of another use: unless the run goes on already, it ends."""
        if not self._is_followed and is_recording_possible():
            self.run.end_as(self.inner)

    def glanced_at(self) -> None:
        """Take note that somebody looked: if that stays all, the run ends so when the stand-in is gone."""
        if not self._is_followed and is_recording_possible():
            self.run.end_unused_as(self.inner)


@lru_cache(maxsize=256)
def _class_for(kind: type) -> Callable[[_State], object]:
    """Return the class of stand-ins for objects of *kind*: Python looks for special methods in the class only."""
    methods: dict[str, object] = {}
    for each in reversed(kind.__mro__):
        special = {name: value for name, value in vars(each).items() if _is_special(name)}
        methods |= {
            name: value and _passing(name) for name, value in special.items() if value is None or callable(value)
        }
    for name in _NOT_PASSED_ON:
        methods.pop(name, None)
    if hasattr(kind, "__aenter__"):
        methods |= {"__aenter__": _enter, "__aexit__": _exit}
    if issubclass(kind, Coroutine):  # to collections.abc: tasks drive such an object by these
        methods |= {name: _step(name) for name in _STEPS}
    return type(kind.__name__, (_StandIn,), {"__slots__": (), "__module__": kind.__module__, **methods})


class _StandIn:
    __slots__ = ("__weakref__", "_state")

    def __init__(self, state: _State) -> None:
        _STATE.__set__(self, state)

    def __getattribute__(self, name: str) -> object:
        if name == "__await__" or (name in _OWN and name in vars(type(self))):
            return object.__getattribute__(self, name)
        state = _state_of(self)
        if not _is_special(name):
            state.used()
        elif name != "__class__":  # which isinstance asks for
            state.glanced_at()
        return getattr(state.inner, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_used(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_used(self), name)

    def __await__(self) -> Generator[Any, Any, Any]:
        state = _state_of(self)
        return (state.awaited(self) if state.follow() else state.inner).__await__()


_STATE: Final = cast("Any", _StandIn.__dict__["_state"])


def _state_of(stand_in: object) -> _State:
    return cast("_State", _STATE.__get__(stand_in))


def _is_special(name: str) -> bool:
    return name[:2] == name[-2:] == "__"


def _used(stand_in: object, name: str = "") -> Any:
    state = _state_of(stand_in)
    (state.glanced_at if name in _GLANCES else state.used)()
    return state.inner


def _passing(name: str) -> Callable[..., object]:
    def passed(self: object, *arguments: object, **named: object) -> object:
        inner = _used(self, name)
        others = [_used(each, name) if issubclass(type(each), _StandIn) else each for each in arguments]
        return getattr(type(inner), name)(inner, *others, **named)

    return passed


def _step(name: str) -> Callable[..., object]:
    def step(self: object, *arguments: object) -> object:
        state = _state_of(self)
        coroutine = state.awaited(self) if name != "close" and state.follow() else state.coroutine
        is_done = coroutine is None or inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
        return getattr(state.inner if is_done else coroutine, name)(*arguments)

    return step


async def _enter(self: object) -> object:
    state = _state_of(self)
    inner = cast("AbstractAsyncContextManager[Any]", state.inner)
    manager = _inside(inner, state.run) if state.follow() else inner
    state.managers.append(manager)
    return await manager.__aenter__()


async def _exit(self: object, *error: Any) -> bool | None:
    return await _state_of(self).managers.pop().__aexit__(*error)


@contextlib.asynccontextmanager
async def _inside(inner: AbstractAsyncContextManager[Any], run: Run) -> AsyncIterator[Any]:
    async with run, inner as value:
        run.output = value
        yield value
