"""A run that has been left is no parent any more, in whatever order runs are entered and left."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from execution_history import ExecutionHistoryService, current_run, record, recorded
from tests.functions.test_recorded import _all

pytestmark = pytest.mark.anyio


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


def _child(where: str) -> str:
    return where


async def _parents(service: ExecutionHistoryService, workflow_id: str = "child") -> dict[Any, str | None]:
    found = await _all(service, workflow_id)
    return {each["output"]: each["metadata"].get("parent", {}).get("workflow_id") for each in found}


async def test_blocks_that_overlap_are_left_one_by_one(service: ExecutionHistoryService) -> None:
    """The first may end first; what is inside of the others stays theirs."""
    one, two, three = (record(name, service=service) for name in ("one", "two", "three"))
    child = recorded("child", service=service)(_child)
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    child("in two")
    three.__enter__()
    two.__exit__(None, None, None)
    child("in three")
    three.__exit__(None, None, None)
    child("outside")
    assert current_run() is None
    assert {"in two": "two", "in three": "three", "outside": None} == await _parents(service)


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_blocks_in_generators_that_take_turns(service: ExecutionHistoryService, is_recorded: bool) -> None:
    """Once both are through nothing is around; in recorded ones a block is only around its own generator."""
    child = recorded("child", service=service)(_child)

    def steps(name: str) -> Iterator[None]:
        with record(f"block-{name}", service=service):
            yield
            child(name)
            yield

    make = recorded("g", service=service)(steps) if is_recorded else steps
    a, b = make("a"), make("b")
    for _ in range(2):
        next(a), next(b)
        child("between")
    assert [[], []] == [list(a), list(b)]
    assert current_run() is None
    child("outside")
    parents = await _parents(service)
    assert parents["outside"] is None
    if is_recorded:
        assert {"a": "block-a", "b": "block-b", "between": None, "outside": None} == parents


async def test_a_block_that_a_call_leaves_open_is_not_around_its_caller(service: ExecutionHistoryService) -> None:
    """The call takes it along."""

    @recorded("w", service=service)
    def leave_open() -> None:
        record("open", service=service).__enter__()

    leave_open()
    assert current_run() is None


async def test_a_block_that_is_left_in_another_thread_is_left(service: ExecutionHistoryService) -> None:
    """Where it was entered, it is no parent either."""
    block = record("w", service=service)
    block.__enter__()
    thread = threading.Thread(target=block.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert current_run() is None


async def test_a_task_that_goes_on_belongs_to_the_run_that_began_it(service: ExecutionHistoryService) -> None:
    """Also when that has ended, and after each of the task's own runs."""
    may_go_on = asyncio.Event()
    child = recorded("child", service=service)(_child)
    began: list[asyncio.Task[None]] = []

    async def work() -> None:
        await may_go_on.wait()
        child("first")
        child("second")

    @recorded("w", service=service)
    async def begin() -> None:
        began.append(asyncio.create_task(work()))

    await begin()
    may_go_on.set()
    await began[0]
    assert {"first": "w", "second": "w"} == await _parents(service)
