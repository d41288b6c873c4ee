"""How a run ended is told by whether it raised, whatever can be read of what it raised or returned."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from execution_history import ExecutionHistoryService, record, recorded
from tests.functions.test_recorded import _all, _one
from tests.programs import histories, run

pytestmark = pytest.mark.anyio


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


class _ApiError(Exception):
    """Answers for attributes that it does not have with another error than is usual."""

    def __init__(self, payload: dict[str, object]) -> None:
        super().__init__(payload)
        self.payload = payload

    def __getattr__(self, name: str) -> object:
        return self.__dict__["payload"][name]


class _ClosedError(Exception):
    """None of its attributes can be read."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


class _ClasslessError(Exception):
    @property  # type: ignore[misc]  # that is what is tested
    def __class__(self) -> type:
        raise RuntimeError("not bound")


class _QuittingError(Exception):
    """Whoever asks what it says is told to leave."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class _ExitingError(Exception):
    def __str__(self) -> str:  # noqa: PLE0307 - that is what is tested
        sys.exit(3)


@dataclass(frozen=True)
class _FrozenError(Exception):
    """An error whose traceback cannot be set."""

    code: int


_ERRORS: dict[str, Callable[[], Exception]] = {
    "attributes of its own": lambda: _ApiError({"code": 5}),
    "a place that is none": lambda: SyntaxError("bad", cast("Any", ("f", "notint", "x", {}))),
    "no attributes": lambda: _ClosedError("x"),
    "no class": lambda: _ClasslessError("x"),
    "a text that interrupts": _QuittingError,
    "a text that exits": _ExitingError,
    "frozen": lambda: _FrozenError(7),
}


def _raised(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - whatever comes is compared
        return error
    return None


@pytest.mark.parametrize("kind", _ERRORS)
@pytest.mark.parametrize("way", ["function", "generator", "coroutine", "future"])
async def test_a_run_that_raised_has_failed(service: ExecutionHistoryService, kind: str, way: str) -> None:
    """Whatever comes of asking the error; the caller gets that very error, and the record its name and place."""
    error = _ERRORS[kind]()
    wrap = recorded("w", service=service)

    def fail(*_: object) -> NoReturn:
        raise error

    async def afail() -> NoReturn:
        raise error

    def steps() -> Iterator[int]:
        yield 1
        raise error

    def future() -> asyncio.Future[Any]:
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        made.set_exception(error)
        made.exception()
        return made

    if way == "coroutine":
        caught: BaseException | None = None
        try:
            await wrap(afail)()
        except Exception as raised:  # noqa: BLE001 - whatever comes is compared
            caught = raised
        assert caught is error
    elif way == "future":
        await asyncio.wait([wrap(future)()])
    else:
        assert _raised(wrap(fail) if way == "function" else lambda: list(wrap(steps)())) is error
    found = await _one(service)
    name = type(error).__qualname__
    assert ("failed", "raised") == (found["execute_status"], found["metadata"]["proof"])
    assert str(found["error_code"]).endswith(name)
    assert found["error_message"]
    if way != "future":
        assert found["metadata"]["traceback"].startswith("Traceback (most recent call last):\n")
        assert __file__ in found["metadata"]["traceback"]


class _Value:
    """A value of which nothing can be told, as looking at it raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__

    @property
    def nbytes(self) -> int:
        raise self._error

    @property
    def shown(self) -> str:
        raise self._error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)
async def test_a_value_that_raises_breaks_neither_the_run_nor_its_record(
    service: ExecutionHistoryService, error: BaseException
) -> None:
    """As argument, message, output, usage and metadata; what the run itself raised is kept all the same."""
    value = _Value(error)
    assert recorded("w", service=service)(lambda value: value)(value) is value
    with record("w", value, service=service, metadata={"a": value}) as run:
        run.output = run.usage = value
        run.metadata["b"] = value
        run.message(value)
    with pytest.raises(LookupError), record("w", service=service) as run:  # noqa: PT012 - the block is what is tested
        run.output = value
        raise LookupError("the reason")
    found = await _all(service)
    assert ["success", "success", "failed"] == [each["execute_status"] for each in found]
    assert "the reason" == found[-1]["error_message"]
    if not isinstance(error, Exception):
        assert f"[unreadable: {type(error).__name__}]" == found[1]["output"]


class _Slow:
    """A value that is still being looked at when somebody presses Ctrl-C."""

    def __str__(self) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1_000_000):
            pass
        return "slow"


def _slow() -> _Slow:
    return _Slow()


@pytest.mark.skipif(sys.platform == "win32", reason="signals end the process there")
def test_ctrl_c_while_a_value_is_looked_at_is_not_lost(service: ExecutionHistoryService) -> None:
    """It reaches the program, and the record is ended: the function had returned."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert isinstance(_raised(recorded("w", service=service)(_slow)), KeyboardInterrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    found = asyncio.run(_one(service))
    assert ("success", "returned") == (found["execute_status"], found["metadata"]["proof"])


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGTERM")
def test_an_exit_by_a_signal_while_a_value_is_looked_at_is_not_lost(service: ExecutionHistoryService) -> None:
    """Although the program's handler raises it as any code does."""

    def leave(*_: object) -> NoReturn:
        raise SystemExit(0)

    before = signal.signal(signal.SIGINT, leave)
    try:
        assert isinstance(_raised(recorded("w", service=service)(_slow)), SystemExit)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "success" == asyncio.run(_one(service))["execute_status"]


async def test_a_run_that_is_open_when_the_program_ends_keeps_what_it_said(tmp_path: Path) -> None:
    """Messages of a generator, output, usage and metadata of a block."""
    run(
        tmp_path,
        """
        from execution_history import record, recorded

        @recorded("w")
        def steps():
            yield "one "
            yield "two "
            yield "three"

        kept = steps()
        next(kept), next(kept)
        block = record("b").__enter__()
        block.output, block.usage = {"so": "far"}, {"token_count": 3}
        block.metadata["model"] = "m"
        """,
    )
    found = await histories(tmp_path)
    [stream], [block] = found["w"], found["b"]
    assert ("interrupted", "program_ended", "one two ", 1) == (
        stream["execute_status"], stream["metadata"]["proof"], stream["output"], stream["run_mode"],
    )  # fmt: skip
    assert 2 == stream["node_execute_status"]["steps"]["packet_count"]
    assert ("interrupted", {"so": "far"}, {"token_count": 3}, "m") == (
        block["execute_status"], block["output"], block["usage"], block["metadata"]["model"],
    )  # fmt: skip
