"""Objects that can be awaited: followed where they are, values where they are used otherwise, and themselves always."""

import copy
import gc
import os
import pickle
from collections.abc import Callable, Generator
from typing import Any, Self

import pytest

from execution_history import ExecutionHistoryService, record, recorded
from tests.functions.test_recorded import _all, _one

pytestmark = pytest.mark.anyio


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


class _Client:
    """A client that can be awaited to connect, as those of Redis and pools of connections; that gives itself."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __await__(self) -> Generator[Any, Any, "_Client"]:
        self.calls.append("await")
        return self
        yield

    async def __aenter__(self) -> Self:
        self.calls.append("enter")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.calls.append("exit")

    async def send(self, what: str) -> str:
        return f"sent {what}"

    async def close(self) -> None:
        self.calls.append("close")

    def filter(self, _: str) -> "_Client":
        return _Client()

    # Names that stand-ins might have themselves.
    _state = _inner = _run = "its own"


def _rich(service: ExecutionHistoryService, value: Any) -> Any:
    return recorded("w", service=service)(lambda: value)()


class _Path(int):
    """A number, a path, a callable and more, which can be awaited besides."""

    colour = "red"

    def __await__(self) -> Generator[Any, Any, int]:
        return int(self)
        yield

    def __fspath__(self) -> str:
        return f"/tmp/{int(self)}"

    def __or__(self, other: object) -> str:  # type: ignore[override]
        return f"or {other}"

    def __iadd__(self, other: int) -> Self:
        return type(self)(int(self) + other * 100)

    def __format__(self, spec: str) -> str:
        return f"<{int(self)}{spec}>"

    def __dir__(self) -> list[str]:
        return ["colour"]

    def __call__(self, *values: int, scale: int = 1) -> int:
        return sum(values) * scale

    def __missing__(self, key: str) -> str:
        return key

    def __matmul__(self, other: object) -> str:
        return "matmul"

    def __reversed__(self) -> list[int]:
        return [3, 2, 1]

    def __complex__(self) -> complex:
        return 2j


def _added(value: Any) -> Any:
    value += 1
    return value


_USES: dict[str, Callable[[Any], object]] = {
    "sum": lambda a: a + 1,
    "sum from the right": lambda a: 1 + a,
    "sum of itself": lambda a: a + a,
    "or": lambda a: a | 1,
    "in place": _added,
    "matrix": lambda a: a @ 1,
    "negative": lambda a: -a,
    "order": lambda a: (a < 8, a >= 8),
    "int": int,
    "float": float,
    "complex": complex,
    "index": lambda a: list(range(10))[a],
    "round": round,
    "bool": bool,
    "path": os.fspath,
    "format": lambda a: f"{a:x}",
    "text": str,
    "repr": repr,
    "directory": dir,
    "attributes": vars,
    "copy": lambda a: (copy.copy(a), type(copy.deepcopy(a))),
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),  # noqa: S301 - our own
    "call": lambda a: a(1, 2, scale=3),
    "reversed": reversed,
    "own names": lambda a: getattr(a, "_state", "none"),
    "document": lambda a: a.__doc__,
    "hash": hash,
    "equal": lambda a: (a == 7, a != 7, a == a),  # noqa: PLR0124 - its own comparison
}


@pytest.mark.parametrize("use", _USES)
async def test_a_stand_in_does_what_the_object_does(service: ExecutionHistoryService, use: str) -> None:
    """With all special methods of the object's class, and no names of its own."""
    assert _USES[use](_Path(7)) == _USES[use](_rich(service, _Path(7)))
    gc.collect()
    assert ("success", 7) == ((await _one(service))["execute_status"], (await _one(service))["output"])


async def test_a_client_from_a_coroutine_is_a_value(service: ExecutionHistoryService) -> None:
    """The caller has awaited what it had to: it gets the client itself."""
    client = _Client()

    @recorded("w", service=service)
    async def connect() -> _Client:
        return client

    assert await connect() is client
    assert await _rich(service, client) is client
    found = await _all(service)
    assert [("success", "returned")] * 2 == [(each["execute_status"], each["metadata"]["proof"]) for each in found]
    assert ["await"] == client.calls


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.filter("x"),
        lambda client: client.calls,
        lambda client: setattr(client, "calls", ["set"]),
        lambda client: client.send,
        str,
    ],
)
async def test_another_use_than_awaiting_ends_the_run_at_once(
    service: ExecutionHistoryService, use: Callable[[Any], object]
) -> None:
    """The client is what the function returned."""
    given = _rich(service, _Client())
    use(given)
    found = await _one(service)
    assert ("success", "returned", ["calls"]) == (
        found["execute_status"], found["metadata"]["proof"], list(found["output"]),
    )  # fmt: skip
    assert isinstance(given, _Client)


async def test_a_client_is_used_as_often_as_one_likes(service: ExecutionHistoryService) -> None:
    """Awaited and entered again and again, with methods that are called as those of coroutines are."""
    given = _rich(service, _Client())
    for _ in range(2):
        await given
    for _ in range(2):
        async with given as entered:
            assert isinstance(entered, _Client)
    assert "sent x" == await given.send("x")
    await given.close()
    assert [*["await"] * 2, *["enter", "exit"] * 2, "close"] == given.calls
    assert ("success", "returned") == (
        (await _one(service))["execute_status"],
        (await _one(service))["metadata"]["proof"],
    )


async def test_looking_at_an_argument_is_no_use(service: ExecutionHistoryService) -> None:
    """A request that another recorded function awaits ends with its result."""
    given = _rich(service, _Path(7))

    @recorded("v", service=service)
    async def wait(request: Any) -> Any:
        return await request

    with record("b", given, service=service) as run:
        run.output = given
        assert 7 == await wait(given)
    assert ("success", 7) == ((await _one(service))["execute_status"], (await _one(service))["output"])


async def test_only_what_nobody_touches_was_never_used(service: ExecutionHistoryService) -> None:
    """To ask for its class is not to use it; to compare it is, also when that stays all."""
    assert isinstance(_rich(service, _Client()), _Client)
    gc.collect()
    assert _rich(service, _Client()) != 1
    gc.collect()
    assert ["never_used", "returned"] == [each["metadata"]["proof"] for each in await _all(service)]
