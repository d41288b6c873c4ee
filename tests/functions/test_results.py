"""What a function returns is followed to its real end, and stays what it was to the caller."""

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import inspect
import io
import itertools
import logging
import threading
import types
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from types import CoroutineType, GeneratorType
from typing import Any, Self

import httpx
import pytest
from hypothesis import given
from starlette._utils import is_async_callable
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from execution_history import ExecutionHistoryService, current_run, recorded
from tests.examples import examples
from tests.functions.test_recorded import _SHARED, _STEPS, _all, _aplay, _ascript, _one, _play, _script

pytestmark = pytest.mark.anyio

Ending = tuple[str, Any, int, Any]


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


async def _ending(service: ExecutionHistoryService) -> Ending:
    found = await _one(service)
    return found["execute_status"], found["output"], found["run_mode"], found["metadata"]["proof"]


async def _helper(x: int) -> dict[str, int]:
    await asyncio.sleep(0)
    if x < 0:
        raise ValueError("late failure")
    return {"x": x}


def _logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class _Callable:
    async def __call__(self, x: int) -> dict[str, int]:
        return await _helper(x)

    async def method(self, x: int) -> dict[str, int]:
        return await _helper(x)

    @staticmethod
    async def static(x: int) -> dict[str, int]:
        return await _helper(x)


async def _of_coroutine(x: int) -> Coroutine[Any, Any, dict[str, int]]:
    return _helper(x)


async def _twice(call: Callable[[int], Awaitable[Awaitable[Any]]], x: int) -> Any:
    return await (await call(x))


_ASYNCHRONOUS: dict[str, Callable[..., Any]] = {
    "a plain function": lambda x: _helper(x + 0),
    "a wrapper": _logged(_helper),
    "two wrappers": _logged(_logged(_helper)),
    "a partial": functools.partial(_helper),
    "a partial of a wrapper": functools.partial(_logged(_helper)),
    "an object": _Callable(),
    "a partial of an object": functools.partial(_Callable()),
    "a bound method": _Callable().method,
    "a static method": _Callable.static,
}


@pytest.mark.parametrize("kind", _ASYNCHRONOUS)
async def test_what_is_awaited_ends_with_its_result_or_its_error(service: ExecutionHistoryService, kind: str) -> None:
    """However the coroutine came about; the caller gets a real coroutine."""
    call = recorded("w", service=service)(_ASYNCHRONOUS[kind])
    made = call(1)
    assert isinstance(made, CoroutineType)
    assert inspect.isawaitable(made)
    assert {"x": 1} == await made
    with pytest.raises(ValueError, match="late failure"):
        await call(-1)
    done, failed = await _all(service)
    assert ("success", {"x": 1}, 0) == (done["execute_status"], done["output"], done["run_mode"])
    assert ("failed", None, "ValueError", "late failure") == (
        failed["execute_status"], failed["output"], failed["error_code"], failed["error_message"],
    )  # fmt: skip


async def test_a_coroutine_may_return_another(service: ExecutionHistoryService) -> None:
    """The run ends with the last of them."""
    call = recorded("w", service=service)(_of_coroutine)
    assert {"x": 1} == await _twice(call, 1)
    assert ("success", {"x": 1}, 0, "returned") == await _ending(service)


async def test_methods_may_stand_above_and_below(service: ExecutionHistoryService) -> None:
    """Either order of the decorators, with coroutines behind plain functions."""

    class Shop:
        @recorded("w", service=service)
        @classmethod
        def of(cls, x: int) -> Awaitable[dict[str, int]]:
            return _helper(x)

        @classmethod
        @recorded("w", service=service)
        def again(cls, x: int) -> Awaitable[dict[str, int]]:
            return _helper(x)

        @recorded("w", service=service)
        @staticmethod
        def still(x: int) -> Awaitable[dict[str, int]]:
            return _helper(x)

        def _both(self, x: int, y: int) -> Awaitable[dict[str, int]]:
            return _helper(x + y)

        three = recorded("w", service=service)(functools.partialmethod(_both, 2))  # type: ignore[type-var]  # a descriptor

    assert [{"x": n} for n in range(4)] == [
        await call for call in (Shop.of(0), Shop.again(1), Shop.still(2), Shop().three(1))
    ]
    assert [{"x": n} for n in range(4)] == [each["output"] for each in await _all(service)]


async def test_a_task_stays_the_same_task(service: ExecutionHistoryService) -> None:
    """It runs at once, its run ends when it is done; what nobody notices of its error, Python still complains of."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    made: list[asyncio.Task[Any]] = []

    @recorded("w", service=service)
    def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        made.append(asyncio.create_task(work))
        return made[-1]

    assert start(_helper(1)) is made[0]
    assert {"x": 1} == await made[0]
    start(wait())
    await started.wait()
    assert ["success", "running"] == [
        each["execute_status"] for each in (await service.get_execution_history("w"))["histories"][::-1]
    ]
    made[1].cancel()
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    start(_helper(-1))
    await asyncio.wait(made[1:])
    assert ["success", "interrupted", "failed"] == [each["execute_status"] for each in await _all(service)]
    made.clear()
    gc.collect()
    assert ["Task exception was never retrieved"] == complaints


async def test_a_future_of_a_thread_is_followed(service: ExecutionHistoryService) -> None:
    """Those of an executor end their run when the work does."""
    may_end = threading.Event()

    def wait() -> str:
        assert may_end.wait(60)
        return "done"

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call: Callable[..., Any] = recorded("w", service=service)(
            lambda: pool.submit(lambda: may_end.wait(60) and "done")
        )
        future = call()
        assert isinstance(future, concurrent.futures.Future)
        [found] = (await service.get_execution_history("w"))["histories"]
        assert "running" == found["execute_status"]
        may_end.set()
    assert ("success", "done", 0, "returned") == await _ending(service)


class _Request:
    """What a client's calls return: to be awaited, or entered, with methods of its own."""

    def __init__(self, result: object) -> None:
        self.result = result
        self.has_left = False

    def __await__(self) -> Generator[Any, Any, object]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def __aenter__(self) -> object:
        return self.result

    async def __aexit__(self, *_: object) -> None:
        self.has_left = True


async def test_an_object_that_is_awaited_keeps_its_class_and_its_methods(service: ExecutionHistoryService) -> None:
    """Its stand-in is an instance of the same class, is equal to it, and can be entered instead."""
    requests = [_Request("a"), _Request("b"), _Request(ValueError("no"))]
    left = iter(requests)
    call: Callable[..., Any] = recorded("w", service=service)(lambda: next(left))
    first = call()
    assert isinstance(first, _Request)
    assert inspect.isawaitable(first)
    assert first == requests[0]
    assert first in {requests[0]: "found by its hash"}
    assert "a" == await first
    async with call() as value:
        assert "b" == value
        assert current_run() is not None
    assert requests[1].has_left
    with pytest.raises(ValueError, match="no"):
        await asyncio.gather(call())
    assert [("success", "a"), ("success", "b"), ("failed", None)] == [
        (each["execute_status"], each["output"]) for each in await _all(service)
    ]


async def test_an_object_that_is_a_coroutine_of_its_own_kind_can_be_a_task(service: ExecutionHistoryService) -> None:
    """Those of aiohttp are such: tasks drive them by send and throw."""

    class Own(_Request, Coroutine[Any, Any, object]):
        def __init__(self) -> None:
            super().__init__("own")
            self._steps = self.__await__()

        def send(self, value: Any) -> Any:
            return self._steps.send(value)

        def throw(self, *error: Any) -> Any:
            return self._steps.throw(*error)

        def close(self) -> None:
            self._steps.close()

    assert "own" == await asyncio.create_task(recorded("w", service=service)(_logged(Own))())
    assert ("success", "own", 0, "returned") == await _ending(service)


async def test_a_returned_generator_is_read_to_its_end(service: ExecutionHistoryService) -> None:
    """As if the function were the generator: messages, the mode, the value that it returns, the error."""

    def pieces(stop: int) -> Generator[str, None, str]:
        for number in range(stop):
            yield f"{number} "
        if stop > 2:
            raise ValueError("too many")
        return "end"

    call: Callable[..., Any] = recorded("w", service=service)(_logged(pieces))
    made = call(2)
    assert isinstance(made, GeneratorType)
    assert "pieces" == made.__name__
    assert ["0 ", "1 "] == list(made)
    with pytest.raises(ValueError, match="too many"):
        list(call(3))
    done, failed = await _all(service)
    assert ("success", "0 1 ", 1, "end") == (
        done["execute_status"], done["output"], done["run_mode"], done["metadata"]["return_value"],
    )  # fmt: skip
    assert ("failed", "0 1 2 ", "too many") == (failed["execute_status"], failed["output"], failed["error_message"])
    assert 3 == next(iter(failed["node_execute_status"].values()))["packet_count"]


@given(number=..., steps=_STEPS)
@examples(8)
def test_a_returned_generator_answers_like_the_bare_one(number: bool, steps: list[str]) -> None:
    """To every order of next, send, throw and close."""
    wrapped = recorded("w", service=_SHARED)(_logged(_script))
    assert _play(_script, int(number), steps) == _play(wrapped, int(number), steps)


@given(number=..., steps=_STEPS)
@examples(8)
def test_a_returned_asynchronous_generator_answers_like_the_bare_one(number: bool, steps: list[str]) -> None:
    """To every order of anext, asend, athrow and aclose."""
    wrapped = recorded("w", service=_SHARED)(_logged(_ascript))

    async def both() -> None:
        assert await _aplay(_ascript, int(number), steps) == await _aplay(wrapped, int(number), steps)

    asyncio.run(both())


class _Ids:
    """Generators that others go on reading."""

    def __init__(self) -> None:
        self.all = (number for number in range(100))
        self.later = _ascript(0)


async def test_a_generator_that_others_hold_is_theirs_when_ours_is_gone(service: ExecutionHistoryService) -> None:
    """What was read is recorded, as of a reader who stops; the next call goes on where that stopped."""
    ids = _Ids()
    source: Callable[[], Any] = recorded("w", service=service)(lambda: ids.all)
    first = source()
    assert [0, 1] == [next(first), next(first)]
    del first
    again = source()
    assert 2 == next(again)
    again.close()
    with pytest.raises(StopIteration):
        next(ids.all)
    assert [("interrupted", [0, 1]), ("interrupted", [2])] == [
        (each["execute_status"], each["output"]) for each in await _all(service)
    ]


async def test_an_asynchronous_generator_that_others_hold_is_theirs(service: ExecutionHistoryService) -> None:
    """As with the other kind."""
    ids = _Ids()
    source: Callable[[], Any] = recorded("w", service=service)(lambda: ids.later)
    first = source()
    seen = [await anext(first), await anext(first)]
    del first
    gc.collect()
    await asyncio.sleep(0)
    seen.append(await anext(source()))
    bare = _ascript(0)
    assert [await anext(bare) for _ in range(3)] == seen
    assert seen[:2] == (await _all(service))[0]["output"]


async def test_a_generator_that_nobody_else_holds_is_closed_with_ours(service: ExecutionHistoryService) -> None:
    """Its clean-up runs in its run, as soon as nobody can read it any more."""

    @recorded("child", service=service)
    def child() -> None: ...

    def steps() -> Iterator[int]:
        try:
            yield 1
        finally:
            child()

    left = recorded("w", service=service)(_logged(steps))()
    next(left)
    del left
    gc.collect()
    [found] = await _all(service, "child")
    assert "w" == found["metadata"]["parent"]["workflow_id"]
    assert "closed_early" == (await _ending(service))[3]


async def test_a_coroutine_that_others_hold_is_theirs_when_ours_is_gone(service: ExecutionHistoryService) -> None:
    """It is not closed with the one that was returned in its place."""
    work = _helper(1)
    given: Any = recorded("w", service=service)(lambda: work)()
    with pytest.warns(RuntimeWarning, match="never awaited"):
        del given
    assert {"x": 1} == await work


@pytest.mark.parametrize("is_method", [True, False])
async def test_generators_that_are_coroutines_are_awaited(service: ExecutionHistoryService, is_method: bool) -> None:
    """Those below ``types.coroutine``."""

    class Old:
        @recorded("w", service=service)
        @types.coroutine
        def wait(self, x: int) -> Generator[Any, Any, dict[str, int]]:
            yield from asyncio.sleep(0).__await__()
            return {"x": x}

    @recorded("w", service=service)
    @types.coroutine
    def wait(x: int) -> Generator[Any, Any, dict[str, int]]:
        yield from asyncio.sleep(0).__await__()
        return {"x": x}

    assert {"x": 1} == await (Old().wait(1) if is_method else wait(1))
    assert ("success", {"x": 1}, 0, "returned") == await _ending(service)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_returned_manager_that_is_a_decorator_is_a_value(
    service: ExecutionHistoryService, is_async: bool
) -> None:
    """It makes a new manager for every call of what it decorates, which works as without us."""
    seen: list[str] = []

    @contextlib.contextmanager
    def opened() -> Iterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    @contextlib.asynccontextmanager
    async def aopened() -> AsyncIterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    async def acall() -> None:
        seen.append("call")

    manager: Any = recorded("w", service=service)(_logged(aopened if is_async else opened))()
    call = manager(acall if is_async else lambda: seen.append("call"))
    for _ in range(2):
        await call() if is_async else call()
    assert ["in", "call", "out"] * 2 == seen
    found = await _one(service)
    assert ("success", "returned") == (found["execute_status"], found["metadata"]["proof"])


async def test_an_asynchronous_generator_from_a_coroutine_is_read_to_its_end(service: ExecutionHistoryService) -> None:
    """One that is left early is interrupted when it is closed."""

    async def numbers(stop: int) -> AsyncIterator[int]:
        for number in range(stop):
            yield number

    @recorded("w", service=service)
    async def call(stop: int) -> AsyncGenerator[int, None]:
        return numbers(stop)  # type: ignore[return-value]  # it is declared as an iterator

    assert [0, 1, 2] == [number async for number in await call(3)]
    async with contextlib.aclosing(await call(100)) as left:
        assert 0 == await anext(left)
    assert [("success", [0, 1, 2], 1, "returned"), ("interrupted", [0], 1, "closed_early")] == [
        (each["execute_status"], each["output"], each["run_mode"], each["metadata"]["proof"])
        for each in await _all(service)
    ]


@pytest.mark.parametrize(
    ("make", "output"),
    [
        (lambda: map(str, range(2)), "01"),
        (lambda: filter(None, range(3)), [1, 2]),
        (lambda: zip("ab", "cd", strict=True), [["a", "c"], ["b", "d"]]),
        (lambda: enumerate("a"), [[0, "a"]]),
        (lambda: itertools.chain([1], [2]), [1, 2]),
        (lambda: (x * x for x in range(3)), [0, 1, 4]),
    ],
)
async def test_what_runs_while_it_is_read_is_read_as_a_generator(
    service: ExecutionHistoryService, make: Callable[[], Iterator[Any]], output: object
) -> None:
    """The function's own code runs in it, and may fail there."""
    assert list(make()) == list(recorded("w", service=service)(make)())
    assert ("success", output, 1, "returned") == await _ending(service)


async def test_a_manager_of_a_generator_is_recorded_to_the_end_of_its_block(service: ExecutionHistoryService) -> None:
    """Behind a plain function; it stays the same object, and runs in its block are its children."""

    @recorded("inner", service=service)
    def inner() -> None: ...

    @contextlib.contextmanager
    def opened(name: str) -> Iterator[str]:
        with contextlib.suppress(LookupError):
            yield f"open {name}"

    @contextlib.asynccontextmanager
    async def aopened(name: str) -> AsyncIterator[str]:
        yield f"open {name}"

    door = opened("door")
    call: Callable[..., Any] = recorded("w", service=service)(lambda: door)
    assert call() is door
    with door as said:
        assert "open door" == said
        inner()
        [found] = (await service.get_execution_history("w"))["histories"]
        assert "running" == found["execute_status"]
        raise LookupError
    assert current_run() is None
    with pytest.raises(ValueError, match="no"):
        async with recorded("w", service=service)(_logged(aopened))("gate"):
            raise ValueError("no")
    done, failed = await _all(service)
    assert ("success", "open door", "failed", "open gate") == (
        done["execute_status"], done["output"], failed["execute_status"], failed["output"],
    )  # fmt: skip
    assert done["execute_id"] == (await _one(service, "inner"))["metadata"]["parent"]["execute_id"]


@pytest.mark.parametrize(
    "value",
    [io.StringIO("text"), threading.Lock(), contextlib.ExitStack(), itertools.count(), iter([1]), {"a": 1}, "text"],
    ids=lambda value: type(value).__name__,
)
async def test_what_a_function_was_called_for_is_a_value(service: ExecutionHistoryService, value: object) -> None:
    """Files, locks and shared iterators are returned untouched, and the run ends when the function does."""
    assert recorded("w", service=service)(lambda: value)() is value
    assert "success" == (await _one(service))["execute_status"]


class _Elusive:
    """A value that cannot even be asked for its class."""

    @property  # type: ignore[misc]  # that is what is tested
    def __class__(self) -> type:
        raise RuntimeError("not bound")


async def test_a_value_that_cannot_be_looked_at_is_returned(service: ExecutionHistoryService) -> None:
    """Whatever looking raises."""
    value = _Elusive()
    assert recorded("w", service=service)(lambda: value)() is value
    assert "success" == (await _one(service))["execute_status"]


@pytest.mark.parametrize(
    "make",
    [lambda: _helper(1), lambda: _script(1), lambda: _ascript(1), lambda: _Request(1), lambda: map(str, "a")],
    ids=["coroutine", "generator", "asynchronous generator", "awaitable", "map"],
)
@pytest.mark.filterwarnings("ignore:coroutine '_helper' was never awaited")
async def test_what_nobody_uses_does_not_stay_running(
    service: ExecutionHistoryService, make: Callable[[], object]
) -> None:
    """It is interrupted as soon as nobody can use it any more, and says so."""
    recorded("w", service=service)(make)()
    gc.collect()
    found = await _one(service)
    assert ("interrupted", "never_used", "The function returned, but the caller never used what it returned.") == (
        found["execute_status"], found["metadata"]["proof"], found["error_message"],
    )  # fmt: skip


@pytest.mark.filterwarnings("error")
async def test_a_coroutine_that_is_closed_unawaited_does_not_stay_running(service: ExecutionHistoryService) -> None:
    """Python, which is told of it by the closing, complains of none of the two coroutines."""
    recorded("w", service=service)(_logged(_helper))(1).close()
    gc.collect()
    assert "never_used" == (await _ending(service))[3]


async def test_generators_that_take_turns_keep_their_own_children(service: ExecutionHistoryService) -> None:
    """A child belongs to the generator whose step it runs in, however the steps are mixed."""

    @recorded("child", service=service)
    def child(name: str) -> str:
        return name

    def steps(name: str) -> Iterator[str]:
        yield child(name)
        yield child(name)

    async def asteps(name: str) -> AsyncIterator[str]:
        yield child(name)
        await asyncio.sleep(0)
        yield child(name)

    wrap = recorded("w", service=service)
    a, b = wrap(_logged(steps))("a"), wrap(_logged(steps))("b")
    for _ in range(2):
        next(a), next(b)
    assert [[], []] == [list(a), list(b)]

    async def read(name: str) -> None:
        assert [name, name] == [each async for each in wrap(_logged(asteps))(name)]

    await asyncio.gather(read("c"), read("d"))
    names = {each["execute_id"]: each["input_parameters"]["name"] for each in await _all(service)}
    children = await _all(service, "child")
    assert 8 == len(children)
    assert all(each["output"] == names[each["metadata"]["parent"]["execute_id"]] for each in children)


async def test_frameworks_see_the_kind_of_an_object_that_is_called(service: ExecutionHistoryService) -> None:
    """Starlette runs what it takes for a plain function in a thread, where a coroutine would be lost."""
    wrap = recorded("w", service=service)
    assert is_async_callable(wrap(_Callable()))
    assert is_async_callable(wrap(functools.partial(_Callable())))
    assert not is_async_callable(wrap(lambda: None))


@pytest.mark.parametrize("returns", ["generator", "response"])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_response_that_streams_is_recorded_to_its_end(
    service: ExecutionHistoryService, is_async: bool, returns: str
) -> None:
    """Starlette reads it, in threads or in its own task; runs in it are its children."""

    @recorded("child", service=service)
    def child(text: str) -> str:
        return text

    def numbers() -> Iterator[str]:
        yield from map(child, "123")

    async def anumbers() -> AsyncIterator[str]:
        for each in "123":
            yield child(each)

    content: Callable[[], Any] = anumbers if is_async else numbers
    wrap = recorded("w", service=service)

    async def endpoint(_: object) -> StreamingResponse:
        return StreamingResponse(content() if returns == "response" else wrap(_logged(content))())

    app = Starlette(routes=[Route("/", wrap(endpoint) if returns == "response" else endpoint)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        assert "123" == (await client.get("/")).text
    assert ("success", "123", 1, "returned") == await _ending(service)
    parents = [each["metadata"]["parent"]["workflow_id"] for each in await _all(service, "child")]
    assert ["w"] * 3 == parents


async def test_a_response_whose_reader_leaves_is_interrupted(service: ExecutionHistoryService) -> None:
    """As a generator is that is left early; one that is never sent was never used."""

    async def endless() -> AsyncIterator[str]:
        while True:
            yield "again "

    call: Callable[[], Any] = recorded("w", service=service)(lambda: StreamingResponse(endless()))
    response = call()
    async with contextlib.aclosing(response.body_iterator) as body:
        assert "again " == await anext(body)
    call()
    gc.collect()
    assert [("again ", "closed_early"), ([], "never_used")] == [
        (each["output"], each["metadata"]["proof"]) for each in await _all(service)
    ]


async def test_looking_at_a_result_is_no_reason_to_log(
    service: ExecutionHistoryService, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of all this is an error of recording."""

    class Own:
        def me(self) -> Self:
            return self

    with caplog.at_level(logging.WARNING):
        recorded("w", service=service)(Own().me)()
        await recorded("w", service=service)(_logged(_helper))(1)
    assert [] == caplog.messages
