"""Any Python function recorded: what is kept of it, and that it stays what it is."""

# ruff: noqa: ARG001, ARG005 - functions here are there to be called, and their arguments to be recorded

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history import (
    ExecutionHistoryService,
    ExecutionRecord,
    current_run,
    record,
    recorded,
    run_sync,
    unrecorded,
)
from execution_history.errors import InvalidIdentifier, StoreFull
from execution_history.functions import Run
from execution_history.functions.messages import Messages
from execution_history.recording.recorder import Recorder
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from tests.examples import examples
from tests.faulty_store import FaultyStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


async def _all(service: ExecutionHistoryService, workflow_id: str = "w") -> list[ExecutionRecord]:
    """The runs of a workflow, oldest first, once all of them have ended; some endings are not waited for."""
    async with asyncio.timeout(60):
        while True:
            found = (await service.get_execution_history(workflow_id, page_size=100))["histories"][::-1]
            if all(each["execute_status"] != "running" for each in found):
                return found
            await asyncio.sleep(0.001)


async def _one(service: ExecutionHistoryService, workflow_id: str = "w") -> ExecutionRecord:
    [found] = await _all(service, workflow_id)
    return found


@dataclass
class _Point:
    x: int
    y: int | None = None


async def test_a_call_is_a_run(service: ExecutionHistoryService) -> None:
    """Arguments by name with their defaults, the result, how long it took, and what was said of it."""

    @recorded(
        "w", service=service, tags=["a", "b"], metadata={"k": _Point(1)}, bot_id="bot", conversation_id="conversation"
    )
    def place(first: int, *rest: int, point: _Point, scale: float = 1.5, **more: str) -> _Point:
        return _Point(first + sum(rest), None)

    assert _Point(6) == place(1, 2, 3, point=_Point(4), colour="red")
    found = await _one(service)
    assert {
        "first": 1, "rest": [2, 3], "point": {"x": 4, "y": None}, "scale": 1.5, "more": {"colour": "red"},
    } == found["input_parameters"]  # fmt: skip
    assert ("success", {"x": 6, "y": None}, 0, "bot", "conversation", None, None) == (
        found["execute_status"], found["output"], found["run_mode"], found["bot_id"], found["conversation_id"],
        found["error_code"], found["node_execute_status"],
    )  # fmt: skip
    metadata = found["metadata"]
    assert (["a", "b"], {"x": 1, "y": None}, "returned") == (metadata["tags"], metadata["k"], metadata["proof"])
    assert 0 <= metadata["duration_ms"] <= found["update_time"] - found["create_time"] + 5


async def test_the_record_is_there_before_the_function_runs(service: ExecutionHistoryService) -> None:
    """A function that takes the process with it is still known to have run."""

    @recorded("w", service=service)
    async def look() -> str:
        return (await service.get_execution_history("w"))["histories"][0]["execute_status"]

    assert "running" == await look()


async def test_an_error_is_kept_with_its_traceback(service: ExecutionHistoryService) -> None:
    """Type, message, and where it came from, as Python prints it from the function on; the caller gets the same one."""
    error = KeyError("missing")

    @recorded("w", service=service)
    def fail() -> NoReturn:
        raise error

    with pytest.raises(KeyError) as caught:
        fail()
    assert caught.value is error
    found = await _one(service)
    assert ("failed", "KeyError", "'missing'", "raised") == (
        found["execute_status"], found["error_code"], found["error_message"], found["metadata"]["proof"],
    )  # fmt: skip
    lines = found["metadata"]["traceback"].splitlines()
    assert ("Traceback (most recent call last):", "KeyError: 'missing'") == (lines[0], lines[-1])
    assert __file__ in lines[1]


class _OwnError(Exception):
    """Says nothing, and not even that without failing."""

    def __str__(self) -> str:
        raise RuntimeError("no")


async def test_an_error_that_cannot_be_told_is_told_by_its_name(service: ExecutionHistoryService) -> None:
    """With its module, where it is not one of Python's own."""

    @recorded("w", service=service)
    async def fail() -> None:
        raise _OwnError

    with pytest.raises(_OwnError):
        await fail()
    found = await _one(service)
    assert f"{__name__}._OwnError" == found["error_code"]
    assert str(found["error_message"]).startswith(f"{__name__}._OwnError")


async def test_a_cancelled_task_is_interrupted(service: ExecutionHistoryService) -> None:
    """It is cancelled at once, without waiting for the history."""
    begun = asyncio.Event()

    @recorded("w", service=service)
    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = await _one(service)
    assert ("interrupted", "The task was cancelled before the run ended.", "cancelled") == (
        found["execute_status"], found["error_message"], found["metadata"]["proof"],
    )  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_more_than_the_run_interrupts_it(
    service: ExecutionHistoryService, error: type[BaseException]
) -> None:
    """Ctrl-C and exits pass, with the reason in the record."""
    with pytest.raises(error), record("w", service=service):
        raise error
    found = await _one(service)
    assert "interrupted" == found["execute_status"]
    assert str(found["error_message"]).endswith((".",))


async def test_secrets_are_not_kept(service: ExecutionHistoryService) -> None:
    """Neither under the usual names, at any depth, nor under those that are named, nor in errors and results."""

    @recorded("w", service=service, redact=["pin"], exclude=["noise"])
    def login(user: str, apiKey: str, pin: int, headers: dict[str, str], noise: str, token_count: int) -> NoReturn:  # noqa: N803
        raise PermissionError(f"{user} was refused with {apiKey} and {headers['Authorization'].split()[1]}")

    with pytest.raises(PermissionError):
        login("ada", "key-12345", 1234, {"Authorization": "Bearer pat_abcdef", "Accept": "json"}, "hum", 7)
    found = await _one(service)
    assert {
        "user": "ada", "apiKey": "[redacted]", "pin": "[redacted]", "token_count": 7,
        "headers": {"Authorization": "[redacted]", "Accept": "json"},
    } == found["input_parameters"]  # fmt: skip
    assert "ada was refused with [redacted] and [redacted]" == found["error_message"]
    for secret in ("key-12345", "pat_abcdef", "1234", "hum"):
        assert secret not in str({**found, "execute_id": "", "create_time": 0, "update_time": 0, "metadata": 0})
    assert "pat_abcdef" not in found["metadata"]["traceback"].replace(inspect.getsource(login), "")

    with record("v", {"Password": "x"}, service=service, metadata={"secret": "s"}) as run:
        run.output = {"access_token": "pat_abcdef", "expires_in": 1, "next": [{"password": None}]}
    kept = await _one(service, "v")
    assert ({"access_token": "[redacted]", "expires_in": 1, "next": [{"password": None}]}, "[redacted]") == (
        kept["output"], kept["metadata"]["secret"],
    )  # fmt: skip


async def test_secrets_in_pairs_are_not_kept(service: ExecutionHistoryService) -> None:
    """Headers as servers have them, in bytes or text, and any list or tuple of names and values."""

    @recorded("w", service=service, redact=["pin"])
    def serve(scope: dict[str, Any], form: Any) -> NoReturn:
        raise PermissionError(f"not with {scope['headers'][0][1].decode()}")

    headers = [(b"authorization", b"Bearer pat_abcdef"), (b"accept", b"json"), [b"Cookie", b"id=secret-id"]]
    with pytest.raises(PermissionError):
        serve({"headers": headers}, (("pin", 1234), ["x-api-key", {"a": "key-12345"}], ("pin", 1, 2), "pin"))
    found = await _one(service)
    assert {
        "scope": {"headers": [["authorization", "[redacted]"], ["accept", "json"], ["Cookie", "[redacted]"]]},
        "form": [["pin", "[redacted]"], ["x-api-key", "[redacted]"], ["pin", 1, 2], "pin"],
    } == found["input_parameters"]
    assert "not with [redacted]" == found["error_message"]


async def test_whose_token_a_call_had_is_not_claimed(service: ExecutionHistoryService) -> None:
    """A function has neither an account nor a caller at Coze, whatever its metadata say."""
    with record("w", service=service, metadata={"account": "a", "caller": "c"}) as run:
        run.metadata["upstream"] = "http://a.test"
    kept = (await _one(service))["metadata"]
    assert not {"account", "caller", "upstream"} & kept.keys()
    assert ("a", "c", "http://a.test") == (kept["caller.account"], kept["caller.caller"], kept["caller.upstream"])


async def test_what_cannot_be_read_twice_is_named(service: ExecutionHistoryService) -> None:
    """As output, as message, and inside other values: its address is of no use to anybody."""

    async def work() -> None: ...

    made = work()
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(made)

    @recorded("w", service=service)
    def steps() -> Iterator[Any]:
        yield made

    wrap = recorded("w", service=service)
    await wrap(lambda: future)()
    wrap(lambda: [made, iter([1])])()
    list(steps())
    with record("w", service=service) as run:
        run.output = made
    await made
    named = "[coroutine work]"
    assert [named, [named, "[list_iterator]"], named, named] == [each["output"] for each in await _all(service)]


async def test_input_and_output_can_be_left_out(service: ExecutionHistoryService) -> None:
    """Only that it ran is kept; of a stream also when it said how much."""

    @recorded("w", service=service, capture_input=False, capture_output=False)
    def call(text: str) -> Iterator[str]:
        yield text

    assert ["abc"] == list(call("abc"))
    found = await _one(service)
    assert ({}, None, "") == (
        found["input_parameters"],
        found["output"],
        found["node_execute_status"]["call"]["content"],
    )
    assert 1 == found["node_execute_status"]["call"]["packet_count"]


async def test_a_generator_says_its_output_piece_by_piece(service: ExecutionHistoryService) -> None:
    """Each text is a message with its time and size; together they are the output."""

    @recorded("w", service=service)
    def story(words: int) -> Generator[str, None, int]:
        for number in range(words):
            yield f"word {number} "
        return words

    assert ["word 0 ", "word 1 "] == list(story(2))
    found = await _one(service)
    assert ("success", "word 0 word 1 ", 1, 2) == (
        found["execute_status"], found["output"], found["run_mode"], found["metadata"]["return_value"],
    )  # fmt: skip
    told = found["node_execute_status"]["story"]
    assert ("word 0 word 1 ", 2, True, "generator") == (
        told["content"], told["packet_count"], told["is_finish"], told["node_type"],
    )  # fmt: skip
    assert [[1, 7], [2, 7]] == [[order, size] for order, _, size in told["packets"]]


async def test_an_asynchronous_generator_gives_a_list(service: ExecutionHistoryService) -> None:
    """Where not everything it yields is text; values are kept as they were when they were yielded."""

    @recorded("w", service=service)
    async def numbers() -> AsyncIterator[Any]:
        kept = [1]
        yield kept
        kept.append(2)
        yield "two"
        yield None

    assert [[1, 2], "two", None] == [value async for value in numbers()]
    found = await _one(service)
    assert [[1], "two", None] == found["output"]
    assert "[1]\ntwo\nnull" == found["node_execute_status"]["numbers"]["content"]


async def test_the_progress_of_a_stream_is_saved_while_it_runs(service: ExecutionHistoryService) -> None:
    """Somebody who looks sees what was said so far."""
    recorder = Recorder(service.store, progress_interval_ms=1)

    @recorded("w", recorder=recorder)
    def stream() -> Iterator[str]:
        yield "first"
        yield "second"

    steps = stream()
    next(steps)
    async with asyncio.timeout(60):
        while True:
            [found] = (await service.get_execution_history("w"))["histories"]
            if found["node_execute_status"]:
                break
            await asyncio.sleep(0.001)
    assert ("running", "first") == (found["execute_status"], found["node_execute_status"]["stream"]["content"])
    assert ["second"] == list(steps)


async def test_a_generator_that_is_left_early_is_interrupted(service: ExecutionHistoryService) -> None:
    """Whether it is closed, forgotten, or closes quietly; what it had said is kept. One that never began never ran."""

    @recorded("w", service=service)
    def count() -> Iterator[int]:
        yield from range(10)

    @recorded("w", service=service)
    def quiet() -> Iterator[int]:
        with contextlib.suppress(GeneratorExit):
            yield 0

    @recorded("w", service=service)
    async def acount() -> AsyncGenerator[int, None]:
        yield 0
        yield 1

    count()
    for value in count():
        if value == 1:
            break
    steps = quiet()
    assert 0 == next(steps)
    steps.close()  # type: ignore[attr-defined]  # it is declared as an iterator
    stream = acount()
    assert 0 == await anext(stream)
    await stream.aclose()
    found = await _all(service)
    assert [("interrupted", [0, 1]), ("interrupted", [0]), ("interrupted", [0])] == [
        (each["execute_status"], each["output"]) for each in found
    ]
    assert {"The caller stopped reading before the run ended."} == {each["error_message"] for each in found}


async def test_methods_of_all_kinds_are_recorded(service: ExecutionHistoryService) -> None:
    """Without the object they belong to."""

    class Shop:
        name = "shop"

        @recorded("w", service=service)
        def sell(self, what: str) -> str:
            return f"{self.name} sells {what}"

        @classmethod
        @recorded("w", service=service)
        def of(cls, what: str) -> str:
            return f"{cls.name} of {what}"

        @staticmethod
        @recorded("w", service=service)
        def close(what: str) -> str:
            return f"no {what}"

        @recorded("w", service=service)
        @staticmethod
        def reopen(what: str) -> str:
            return f"more {what}"

    shop = Shop()
    said = [shop.sell("tea"), Shop.of("tea"), shop.close("tea"), Shop.reopen("tea")]
    assert ["shop sells tea", "shop of tea", "no tea", "more tea"] == said
    found = await _all(service)
    assert said == [each["output"] for each in found]
    assert [{"what": "tea"}] * 4 == [each["input_parameters"] for each in found]


async def test_context_managers_are_recorded_from_entry_to_exit(service: ExecutionHistoryService) -> None:
    """What happens inside belongs to them; what they suppress is no failure."""

    @recorded("inner", service=service)
    def inner() -> None: ...

    @recorded("w", service=service)
    @contextlib.contextmanager
    def opened(name: str) -> Iterator[str]:
        with contextlib.suppress(LookupError):
            yield f"open {name}"

    @recorded("w", service=service)
    @contextlib.asynccontextmanager
    async def aopened(name: str) -> AsyncIterator[str]:
        yield f"open {name}"

    with opened("door") as said:
        assert "open door" == said
        inner()
        raise LookupError
    with pytest.raises(ValueError, match="no"):
        async with aopened("gate"):
            raise ValueError("no")
    found = await _all(service)
    assert [("success", "open door", 0), ("failed", "open gate", 0)] == [
        (each["execute_status"], each["output"], each["run_mode"]) for each in found
    ]
    assert found[0]["execute_id"] == (await _one(service, "inner"))["metadata"]["parent"]["execute_id"]


async def test_runs_know_those_around_them(service: ExecutionHistoryService) -> None:
    """Across coroutines, tasks, threads that were given the context, and generators between their steps."""

    @recorded("leaf", service=service)
    def leaf(where: str) -> str:
        return where

    @recorded("stream", service=service)
    def stream() -> Iterator[int]:
        leaf("in the stream")
        yield 1

    @recorded("middle", service=service)
    async def middle() -> None:
        await asyncio.gather(asyncio.create_task(_in_task()), asyncio.to_thread(leaf, "in a thread"))
        thread = threading.Thread(target=contextvars.copy_context().run, args=(leaf, "in a bare thread"))
        thread.start()
        thread.join()
        for _ in stream():
            leaf("between steps")

    async def _in_task() -> None:
        leaf("in a task")

    async with record("root", service=service) as root:
        assert current_run() is root
        await middle()
    assert current_run() is None
    leaf("outside")
    ids = {name: (await _one(service, name))["execute_id"] for name in ("root", "middle", "stream")}
    found = {each["output"]: each["metadata"] for each in await _all(service, "leaf")}
    parents = {where: metadata.get("parent") for where, metadata in found.items()}
    in_middle = {"workflow_id": "middle", "execute_id": ids["middle"]}
    assert {
        "in a task": in_middle, "in a thread": in_middle, "in a bare thread": in_middle, "between steps": in_middle,
        "in the stream": {"workflow_id": "stream", "execute_id": ids["stream"]}, "outside": None,
    } == parents  # fmt: skip
    assert [{"workflow_id": "root", "execute_id": ids["root"]}] * 5 == [
        metadata["root"] for where, metadata in found.items() if where != "outside"
    ]
    assert "root" not in found["outside"]


async def test_a_block_says_what_it_did(service: ExecutionHistoryService) -> None:
    """Output, usage, metadata and messages; what it had said before it failed is kept."""
    with record("w", {"q": 1}, service=service) as run:
        assert isinstance(run, Run)
        run.metadata["model"] = "m"
        run.usage = {"token_count": 3}
        run.output = {"a": None}
    with pytest.raises(ValueError, match="half"):  # noqa: PT012 - the block is what is tested
        async with record("w", service=service, streams=True) as run:
            run.message("half ")
            run.message("way")
            raise ValueError("half")
    done, failed = await _all(service)
    assert ({"q": 1}, {"a": None}, {"token_count": 3}, "m", 0) == (
        done["input_parameters"], done["output"], done["usage"], done["metadata"]["model"], done["run_mode"],
    )  # fmt: skip
    assert ("failed", "half way", 1) == (failed["execute_status"], failed["output"], failed["run_mode"])
    assert failed["node_execute_status"]["w"]["is_finish"] is False


async def test_a_function_adds_to_its_own_record(service: ExecutionHistoryService) -> None:
    """By the run that is around it."""

    @recorded("w", service=service)
    def call() -> str:
        run = current_run()
        assert run is not None
        run.usage, run.metadata["model"] = {"token_count": 1}, "m"
        return run.execute_id

    execute_id = call()
    found = await _one(service)
    assert (execute_id, {"token_count": 1}, "m") == (found["execute_id"], found["usage"], found["metadata"]["model"])


def test_a_block_is_recorded_once(service: ExecutionHistoryService) -> None:
    """One object, one run."""
    block = record("w", service=service)
    with block:
        pass
    with pytest.raises(RuntimeError, match="once"), block:
        pass


def test_the_function_stays_what_it_is(service: ExecutionHistoryService) -> None:
    """Name, documentation, signature, and kind, for people, type checkers and frameworks."""

    def call(a: int, *, b: str = "x") -> float:
        """What it does."""
        return a / len(b)

    async def acall() -> int:
        return 1

    def gen() -> Iterator[int]:
        yield 1

    async def agen() -> AsyncIterator[int]:
        yield 1

    wrap = recorded("w", service=service)
    wrapped = wrap(call)
    assert_type(wrapped(1, b="yz"), float)
    if TYPE_CHECKING:  # called, it would record into the history of the folder that the tests run in
        assert_type(recorded(call)(1), float)
    assert ("call", "What it does.", inspect.signature(call), call.__qualname__, call.__annotations__) == (
        wrapped.__name__, wrapped.__doc__, inspect.signature(wrapped), wrapped.__qualname__, wrapped.__annotations__,
    )  # fmt: skip
    assert 0.5 == wrapped(1, b="yz")
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        wrapped(1, c=2)  # type: ignore[call-arg]  # that is what is tested
    for function, kind in (
        (acall, inspect.iscoroutinefunction),
        (gen, inspect.isgeneratorfunction),
        (agen, inspect.isasyncgenfunction),
    ):
        assert kind(wrap(function))


def _script(number: int) -> Generator[int, Any, str]:
    """A generator that answers to everything that can be done to one."""
    got: Any = None
    while number < 12:
        try:
            got = yield number
        except LookupError:
            number += 10
        except GeneratorExit:
            if number % 2:
                return "closed"
            raise
        number += 1 + (got or 0)
        if number % 7 == 0:
            raise ValueError(number)
    return f"done at {number}"


_STEPS = st.lists(
    st.sampled_from(["next", "send", "throw", "throw other", "close"]) | st.just("next"), min_size=1, max_size=12
)


def _play(make: Callable[[int], Generator[int, Any, str]], start: int, steps: list[str]) -> list[object]:
    generator = make(start)
    seen: list[object] = []
    acts: dict[str, Callable[[], object]] = {
        "next": lambda: next(generator),
        "send": lambda: generator.send(2),
        "throw": lambda: generator.throw(LookupError("x")),
        "throw other": lambda: generator.throw(OSError("y")),
        "close": generator.close,
    }
    for step in steps:
        try:
            seen.append(acts[step]())
        except StopIteration as stop:
            seen.append(("stop", stop.value))
        except Exception as error:  # noqa: BLE001 - both sides must raise the same
            seen.append((type(error), str(error)))
    return seen


@given(st.integers(0, 8), _STEPS)
@examples(13)
def test_a_recorded_generator_answers_like_the_bare_one(start: int, steps: list[str]) -> None:
    """To every order of next, send, throw and close."""
    wrapped = recorded("w", service=_SHARED)(_script)
    assert _play(_script, start, steps) == _play(wrapped, start, steps)


async def _ascript(number: int) -> AsyncGenerator[int, Any]:
    got: Any = None
    while number < 12:
        try:
            got = yield number
        except LookupError:
            number += 10
        number += 1 + (got or 0)
        await asyncio.sleep(0)
        if number % 7 == 0:
            raise ValueError(number)


async def _aplay(make: Callable[[int], AsyncGenerator[int, Any]], start: int, steps: list[str]) -> list[object]:
    generator = make(start)
    seen: list[object] = []
    acts: dict[str, Callable[[], Any]] = {
        "next": lambda: anext(generator),
        "send": lambda: generator.asend(2),
        "throw": lambda: generator.athrow(LookupError("x")),
        "throw other": lambda: generator.athrow(OSError("y")),
        "close": generator.aclose,
    }
    for step in steps:
        try:
            seen.append(await acts[step]())
        except StopAsyncIteration:
            seen.append("stop")
        except Exception as error:  # noqa: BLE001 - both sides must raise the same
            seen.append((type(error), str(error)))
    await generator.aclose()
    return seen


@given(st.integers(0, 8), _STEPS)
@examples(13)
def test_a_recorded_asynchronous_generator_answers_like_the_bare_one(start: int, steps: list[str]) -> None:
    """To every order of anext, asend, athrow and aclose."""
    wrapped = recorded("w", service=_SHARED)(_ascript)

    async def both() -> None:
        assert await _aplay(_ascript, start, steps) == await _aplay(wrapped, start, steps)

    asyncio.run(both())


_SHARED = ExecutionHistoryService("memory:")


async def test_a_function_goes_by_its_qualified_name() -> None:
    """Where no workflow id is given."""

    class Inside:
        @recorded
        def method(self) -> None: ...

    assert "method" in Inside.method.__qualname__
    service = ExecutionHistoryService("memory:")

    @recorded(service=service)
    def call() -> None: ...

    call()
    expected = f"{__name__}.test_a_function_goes_by_its_qualified_name.call"
    assert [expected] == await service.get_all_workflows()


def test_what_cannot_be_recorded_is_said_at_once() -> None:
    """When the module is imported, not when the function runs."""
    with pytest.raises(InvalidIdentifier):
        recorded("")(lambda: None)
    with pytest.raises(TypeError, match="functions"):
        recorded("w")(dict)
    with pytest.raises(TypeError, match="list such as"):
        recorded("w", redact="pin")
    with pytest.raises(TypeError, match="list such as"):
        recorded("w", tags="a")(lambda: None)


class _Chatty:
    """A value whose text is itself a recorded function's result."""

    def __init__(self, service: ExecutionHistoryService) -> None:
        @recorded("w", service=service)
        def tell() -> str:
            return "told"

        self.tell = tell

    def __str__(self) -> str:
        return self.tell()

    __slots__ = ("tell",)


async def test_what_runs_only_because_we_look_is_not_recorded(service: ExecutionHistoryService) -> None:
    """Capturing a value may call functions of it."""
    recorded("w", service=service)(lambda value: None)(_Chatty(service))
    assert {"value": "told"} == (await _one(service))["input_parameters"]


class _Array:
    """A large array, whose elements nobody must look at."""

    nbytes = 1 << 40

    def tolist(self) -> NoReturn:
        """Fail the test."""
        raise AssertionError


async def test_a_huge_buffer_is_only_described(service: ExecutionHistoryService) -> None:
    """Its JSON would take minutes."""
    recorded("w", service=service)(lambda data: data)(_Array())
    found = await _one(service)
    described = "[_Array of 1099511627776 bytes]"
    assert ({"data": described}, described) == (found["input_parameters"], found["output"])


def test_messages_are_bounded() -> None:
    """An endless stream does not fill the memory: packets are counted together, content beyond the limit is cut."""
    messages = Messages("m", "generator", 0, largest=LARGEST_RECORD)
    piece = b'"' + b"x" * 1_000_000 + b'"'
    for number in range(100):
        messages.add(piece, number)
    for number in range(3_000):
        messages.add(b'"y"', number)
    timeline = messages.timeline()
    assert timeline is not None
    assert (True, 3_100, 2_000) == (messages.is_cut, timeline["m"]["packet_count"], len(timeline["m"]["packets"]))
    assert 64 * 1024 * 1024 >= len(timeline["m"]["content"])
    assert 100_003_000 == sum(size for _, _, size in timeline["m"]["packets"])


async def test_what_a_run_says_is_kept_up_to_the_limit_of_its_store() -> None:
    """Whole messages, as many as fit: more than a record may have is not held in memory."""
    service = ExecutionHistoryService("memory:", record_limit_bytes=LEAST_LIMIT)

    @recorded("w", service=service)
    def tell() -> Iterator[str]:
        for letter in "abcdef":
            yield letter * 300_000

    assert 6 == len(list(tell()))
    found = await _one(service)
    assert "".join(letter * 300_000 for letter in "abc") == found["output"]
    assert 6 * 300_002 == found["metadata"]["recording_is_cut"]["output"]


async def test_a_run_goes_on_while_the_store_is_full() -> None:
    """Its result is the same, its record is written when there is room; the parent is known all the same."""
    store = FaultyStore()
    service = ExecutionHistoryService(store)

    @recorded("w", service=service)
    async def call(number: int) -> int:
        return number

    store.fill()
    with record("parent", service=service) as parent:
        assert [0, 1, 2] == [await call(number) for number in range(3)]
    assert [] == await service.get_all_workflows()
    store.fault = None
    async with asyncio.timeout(60):
        while len(await service.get_all_workflows()) < 2 or len(await _all(service)) < 3:
            await asyncio.sleep(0.01)
    found = await _all(service)
    assert [0, 1, 2] == [each["output"] for each in found]
    assert [parent.execute_id] * 3 == [each["metadata"]["parent"]["execute_id"] for each in found]


async def test_a_store_that_raises_anything_does_not_break_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """Also what it does not promise to raise."""

    class Broken(FaultyStore):
        is_broken = True

        async def open(self) -> None:
            if self.is_broken:
                raise ZeroDivisionError("a fault of the store")

    store = Broken()
    service = ExecutionHistoryService(store)
    assert 1 == recorded("w", service=service)(lambda: 1)()
    assert any("fault of the store" in message for message in caplog.messages)
    store.is_broken = False
    async with asyncio.timeout(60):
        while not await service.get_all_workflows():
            await asyncio.sleep(0.01)
    assert 1 == (await _one(service))["output"]


async def test_a_run_is_refused_where_recording_is_required() -> None:
    """Before it begins, for functions of all kinds."""
    store = FaultyStore()
    recorder = Recorder(store, require_recording=True)
    began: list[str] = []

    @recorded("w", recorder=recorder)
    def call() -> None:
        began.append("call")

    @recorded("w", recorder=recorder)
    async def acall() -> None:
        began.append("acall")

    @recorded("w", recorder=recorder)
    def gen() -> Iterator[int]:
        began.append("gen")
        yield 1

    @recorded("w", recorder=recorder)
    async def agen() -> AsyncIterator[int]:
        began.append("agen")
        yield 1

    store.fill()
    with pytest.raises(StoreFull):
        call()
    with pytest.raises(StoreFull):
        await acall()
    with pytest.raises(StoreFull):
        next(gen())
    with pytest.raises(StoreFull):
        await anext(agen())
    with pytest.raises(StoreFull), record("w", recorder=recorder):
        began.append("block")
    assert [] == began
    store.fault = None
    call()
    assert ["success"] == [each["execute_status"] for each in await _all(ExecutionHistoryService(store))]


def test_a_setting_that_is_wrong_does_not_break_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names it."""
    monkeypatch.setenv("EXECUTION_HISTORY_LEASE_SECONDS", "soon")
    assert 1 == recorded("w", service=ExecutionHistoryService("memory:"))(lambda: 1)()
    assert any("lease_seconds" in message for message in caplog.messages)


def test_many_threads_record_at_once(service: ExecutionHistoryService) -> None:
    """Each run is its own."""

    @recorded("w", service=service)
    def echo(number: int) -> int:
        return number

    threads = [threading.Thread(target=lambda: [echo(number) for number in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = run_sync(service.get_execution_history("w", page_size=100))
    assert 160 == page["total"]
    assert {"success"} == {each["execute_status"] for each in page["histories"]}


async def test_what_is_not_to_be_recorded_is_called_all_the_same(service: ExecutionHistoryService) -> None:
    """By the decorator, by what it asks when a call begins, by the block around it."""
    is_on = False

    @recorded("never", service=service, record=False)
    def never() -> int:
        return 1

    @recorded("sometimes", service=service, record=lambda: is_on)
    def sometimes() -> Iterator[int]:
        yield 2

    @recorded("here", service=service)
    def here() -> int:
        return 3

    def call() -> list[object]:
        with unrecorded(), record("block", service=service) as run:
            run.output = 4
            found = [never(), list(sometimes()), here()]
        with record("other", service=service, is_recorded=False):
            return [*found, never(), list(sometimes())]

    assert [1, [2], 3, 1, [2]] == await asyncio.to_thread(call)
    assert [] == await service.get_all_workflows()
    is_on = True
    await asyncio.to_thread(lambda: list(sometimes()))
    assert (await _one(service, "sometimes"))["output"] == [2]


async def test_results_are_redacted_by_the_same_rules(service: ExecutionHistoryService) -> None:
    """A secret of an argument is taken out of what comes back, and the caller gets it."""

    @recorded("w", service=service)
    def login(password: str, note: str) -> dict[str, str]:
        return {"said": f"{note} for pat_{'Ab1' * 8}", "token": "x", "echo": password}

    assert "hunter2x" == (await asyncio.to_thread(login, "hunter2x", "hi"))["echo"]
    found = await _one(service)
    assert found["input_parameters"] == {"password": "[redacted]", "note": "hi"}
    assert found["output"] == {"said": "hi for [redacted]", "token": "[redacted]", "echo": "[redacted]"}
