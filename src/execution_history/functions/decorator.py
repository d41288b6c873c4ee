"""``recorded``: every call of a function is a run in the history, and the function stays what it is."""

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from execution_history.errors import quoted
from execution_history.functions.arguments import Arguments, is_recording_possible, names
from execution_history.functions.generators import async_generator, generator
from execution_history.functions.options import named, plan_for, workflow_of
from execution_history.functions.plan import MODE_CALL, MODE_STREAM, Plan
from execution_history.functions.results import ASYNC_MANAGER_CODE, MANAGER_CODE, returned
from execution_history.functions.run import Begin, Run

if TYPE_CHECKING:
    from execution_history.history.service import ExecutionHistoryService
    from execution_history.recording.recorder import Recorder

_Function = TypeVar("_Function", bound=Callable[..., object])


@overload
def recorded(workflow_id: _Function, /) -> _Function: ...


@overload
def recorded(
    workflow_id: str | None = None,
    /,
    *,
    service: "ExecutionHistoryService | None" = None,
    recorder: "Recorder | None" = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, object] | None = None,
    redact: Iterable[str] = (),
    exclude: Iterable[str] = (),
    capture_input: bool = True,
    capture_output: bool = True,
    record: bool | Callable[[], bool] = True,
    bot_id: str | None = None,
    conversation_id: str | None = None,
) -> Callable[[_Function], _Function]: ...


def recorded(  # noqa: D417 - the overload above has the options
    workflow_id: Any = None, /, *, redact: Iterable[str] = (), exclude: Iterable[str] = (), **options: Any
) -> Any:
    """Record every call of the function below, with or without parentheses.

    It may be a function, a method or an object that can be called, a coroutine function, a generator of either kind, or
    a context manager made by :mod:`contextlib`; its signature, results, exceptions and protocol stay as they are. Input
    is the arguments by name, output the return value; what a generator yields are messages, and together its output.
    Where a function returns a coroutine, a task, a generator or the like, its run ends with that
    (:mod:`execution_history.functions.results`). A run that raises is ``failed``, one that is cancelled, closed early
    or never used ``interrupted``. Put it above other decorators, but below ``@property``.

    Args:
        workflow_id: the history that its runs belong to; the function's module and qualified name when not given.
        service: whose store the runs go to; the shared one when not given.
        recorder: what records, instead of *service*; it has to be started and closed by the caller.
        tags: words to find the runs by, in ``metadata.tags``.
        metadata: what else to keep with every run.
        redact: names, besides the usual ones, whose values are secret, at any depth.
        exclude: arguments that are not recorded at all.
        capture_input: whether arguments are kept.
        capture_output: whether results are kept.
        record: whether a call is recorded at all, or what says so when it begins.
        bot_id: the bot it runs for.
        conversation_id: the conversation it belongs to.

    Raises:
        InvalidIdentifier: the workflow id cannot be one.
        TypeError: what is decorated is not a function.
    """
    if callable(workflow_id):
        return recorded()(workflow_id)
    hidden, left_out = names(redact), names(exclude)

    def decorate(function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(decorate(function.__func__))
        if isinstance(function, functools.partialmethod):
            return functools.partialmethod(decorate(function.func), *function.args, **function.keywords)
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"@recorded records functions, not {quoted(function)}.")
        workflow = workflow_of(function) if workflow_id is None else workflow_id
        title = named(function).__name__
        plan = plan_for(workflow, title=title, kind="function", run_mode=MODE_CALL, redact=hidden, **options)
        return _wrapped(function, plan, Arguments(function, left_out))

    return decorate


def _wrapped(function: Callable[..., Any], plan: Plan, arguments: Arguments) -> Callable[..., Any]:
    streaming, body = replace(plan, run_mode=MODE_STREAM, kind="generator"), _body_of(function)
    if inspect.isasyncgenfunction(body):
        return async_generator(function, _beginning(streaming, arguments))
    if inspect.isgeneratorfunction(body) and not _is_awaited(body):
        return generator(function, _beginning(streaming, arguments))
    code = getattr(body, "__code__", None)
    if code is MANAGER_CODE:
        return _manager(function, _beginning(replace(plan, kind="context manager"), arguments))
    if code is ASYNC_MANAGER_CODE:
        return _async_manager(function, _beginning(replace(plan, kind="context manager"), arguments))
    if inspect.iscoroutinefunction(body) or _is_awaited(body):
        return _coroutine(function, _beginning(plan, arguments))
    return _call(function, _beginning(plan, arguments))


def _body_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function or method that a call runs, whose kind is that of *function*."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _is_awaited(body: Callable[..., Any]) -> bool:
    """Return whether *body* is a generator function that :func:`types.coroutine` has made a coroutine function."""
    return bool(getattr(getattr(body, "__code__", None), "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE)


def _beginning(plan: Plan, arguments: Arguments) -> Begin:
    def begin(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Run | None:
        if not is_recording_possible() or not plan.is_recorded():
            return None
        return Run(plan, arguments.of(args, kwargs) if plan.capture_input else None)

    return begin


def _call(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = begin(args, kwargs)
        if run is None:
            return function(*args, **kwargs)
        with run:
            return returned(function(*args, **kwargs), run)

    return call


def _coroutine(function: Callable[..., Awaitable[Any]], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = begin(args, kwargs)
        if run is None:
            return await function(*args, **kwargs)
        async with run:
            return returned(await function(*args, **kwargs), run, is_awaited=True)

    return call


def _manager(function: Callable[..., AbstractContextManager[Any]], begin: Begin) -> Callable[..., Any]:
    @contextlib.contextmanager
    @functools.wraps(function)
    def manage(*args: Any, **kwargs: Any) -> Iterator[Any]:
        run = begin(args, kwargs)
        if run is None:
            with function(*args, **kwargs) as value:
                yield value
            return
        with run, function(*args, **kwargs) as value:
            run.output = value
            yield value

    return manage


def _async_manager(function: Callable[..., AbstractAsyncContextManager[Any]], begin: Begin) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    @functools.wraps(function)
    async def manage(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        run = begin(args, kwargs)
        if run is None:
            async with function(*args, **kwargs) as value:
                yield value
            return
        async with run, function(*args, **kwargs) as value:
            run.output = value
            yield value

    return manage
