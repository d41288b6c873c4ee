"""Generators whose every step is recorded, and which keep their protocol: send, throw, close and the return value."""

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

from execution_history.functions.run import Begin, Run
from execution_history.records.metadata import RETURN_VALUE


def generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin, is_collected: Callable[[], bool] = bool
) -> Callable[..., Any]:
    """Return *function*, a generator function, recorded from its first step on.

    Args:
        function: what makes the generator.
        begin: what makes the run of a call.
        is_collected: whether nobody has the recorded generator any more. Then its generator, which others may go on
            reading, is left alone; by default it is closed, as by ``close``.
    """

    @functools.wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        run = begin(args, kwargs)
        if run is None:
            return (yield from function(*args, **kwargs))
        return (yield from _drive(function(*args, **kwargs), run, is_collected))

    return generate


def _drive(inner: Generator[Any, Any, Any], run: Run, is_collected: Callable[[], bool]) -> Generator[Any, Any, Any]:
    run.start()
    step: Callable[[Any], Any] = inner.send
    sent: Any = None
    closing: GeneratorExit | None = None
    try:
        while True:
            # Only while it runs: between two steps the caller's runs are not its children.
            with run.place:
                value = step(sent)
            run.message(value)
            try:
                sent, step = (yield value), inner.send
            except BaseException as error:
                if is_collected():
                    with run.place:
                        del inner, step
                    raise
                sent, step = error, inner.throw
                closing = error if isinstance(error, GeneratorExit) else closing
    except StopIteration as stop:
        with run.unseen():
            if stop.value is not None:
                run.metadata[RETURN_VALUE.name] = stop.value
        run.finish(closing)
        return stop.value
    except BaseException as error:
        run.finish(error)
        raise


def async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin, is_collected: Callable[[], bool] = bool
) -> Callable[..., Any]:
    """Return *function*, an asynchronous generator function, recorded from its first step on: :func:`generator`."""

    @functools.wraps(function)
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        run = begin(args, kwargs)
        inner = function(*args, **kwargs)
        if run is not None:
            await run.astart()
        step: Callable[[Any], Awaitable[Any]] = inner.asend
        sent: Any = None
        closing: GeneratorExit | None = None
        try:
            while True:
                value = await _step(step, sent, run)
                try:
                    sent, step = (yield value), inner.asend
                except BaseException as error:
                    if is_collected():
                        del inner, step
                        raise
                    sent, step = error, inner.athrow
                    closing = error if isinstance(error, GeneratorExit) else closing
        except StopAsyncIteration:
            if run is not None:
                await run.afinish(closing)
        except BaseException as error:
            if run is not None:
                await run.afinish(error)
            raise

    return generate


async def _step(step: Callable[[Any], Awaitable[Any]], sent: object, run: Run | None) -> Any:
    if run is None:
        return await step(sent)
    with run.place:
        value = await step(sent)
    run.message(value)
    return value
