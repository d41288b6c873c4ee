"""Playing executions without a socket: time, memory, and callers who leave."""

import gc
import tracemalloc

import anyio
import anyio.lowlevel
import orjson
import pytest

from execution_history.sandbox import WORKFLOWS
from execution_history.sandbox.chats import Chats
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.errors import RefusedError
from execution_history.sandbox.executions import ExecuteStatus, Execution, Executions, Kept, RunMode
from execution_history.sandbox.ids import IdFactory
from execution_history.sandbox.requests import ResumeRequest, RunRequest, read_chat, read_run
from execution_history.sandbox.scripts import QUESTION_INTERRUPT
from execution_history.sandbox.steps import Finished, Packet, Pause

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
NOON = 1_767_268_800.5


def request(name: str, **parameters: object) -> RunRequest:
    """Read the request to run a workflow."""
    return read_run(orjson.dumps({"workflow_id": IDS[name], "parameters": parameters}))


def started(engine: Engine, name: str, **parameters: object) -> Execution:
    """Start a workflow that nobody listens to."""
    execution, _ = engine.start(request(name, **parameters), RunMode.ASYNC, "log")
    return execution


def pauses(execution: Execution) -> list[int]:
    """Return the pauses of an execution's next leg, in milliseconds."""
    return [step.ms for step in execution.leg() if isinstance(step, Pause)]


async def test_a_run_goes_on_when_nobody_listens() -> None:
    """An execution reaches its end though its caller has left."""
    engine = Engine(delay_ms=0, pace_ms=0)
    execution, outlet = engine.start(request("long_stream", packets=1_000), RunMode.STREAM, "log")
    outlet.abandon()
    with anyio.fail_after(10):
        while await outlet.get() is not None:
            pass

    assert execution.status is ExecuteStatus.SUCCESS


async def test_a_run_waits_for_a_reader_who_is_slow() -> None:
    """However long a stream is, only a few of its steps are held for a reader who has not come for them yet."""
    engine = Engine(delay_ms=0, pace_ms=0)
    _, outlet = engine.start(request("long_stream", packets=1_000), RunMode.STREAM, "log")
    first = await outlet.get()
    for _ in range(1_000):
        await anyio.lowlevel.checkpoint()

    assert isinstance(first, Packet)
    assert outlet._steps.qsize() == 64
    await engine.aclose()


async def test_closing_stops_what_is_played() -> None:
    """An execution that is stopped stays Running, and its outlet ends."""
    engine = Engine(delay_ms=600_000, pace_ms=0)
    execution, outlet = engine.start(request("slow_answer"), RunMode.STREAM, "log")
    await engine.aclose()

    assert await outlet.get() is None
    assert execution.status is ExecuteStatus.RUNNING


@pytest.mark.parametrize(("mode", "is_accepted"), [(None, True), (RunMode.SYNC, True), (RunMode.STREAM, False)])
async def test_a_run_is_resumed_the_way_it_was_started(mode: RunMode | None, *, is_accepted: bool) -> None:
    """An asynchronous run goes on when it is resumed like one, or when any way will do, as in Coze Studio."""
    engine = Engine(delay_ms=0, pace_ms=0)
    execution, outlet = engine.start(request("asks_a_question"), RunMode.ASYNC, "log")
    while await outlet.get() is not None:
        pass
    assert execution.interruption is not None
    answer = ResumeRequest(execution.workflow_id, execution.interruption.event_id, "Oslo", QUESTION_INTERRUPT)

    if is_accepted:
        _, outlet = engine.resume(answer, mode)
        while await outlet.get() is not None:
            pass
    else:
        with pytest.raises(RefusedError, match="the way it was started"):
            engine.resume(answer, mode)
    assert is_accepted == (execution.status is ExecuteStatus.SUCCESS)


async def test_a_slow_workflow_takes_the_delay_of_its_sandbox() -> None:
    """Without a setting of the caller, the slow workflows wait as long as the sandbox was told."""
    execution = started(Engine(delay_ms=7, pace_ms=0), "slow_answer")

    assert pauses(execution)[0] == 7


async def test_the_caller_can_set_delay_and_pace() -> None:
    """The caller's delay_ms comes before the first packet, and pace_ms after each one."""
    execution = started(Engine(delay_ms=7, pace_ms=50), "short_answer", delay_ms=3, pace_ms="2")

    assert pauses(execution) == [3, 2, 2]


async def test_a_quick_workflow_does_not_wait_at_first() -> None:
    """The sandbox's delay concerns the slow workflows only, its pace all of them."""
    execution = started(Engine(delay_ms=7, pace_ms=50), "short_answer")

    assert pauses(execution) == [0, 50, 50]


async def test_times_are_whole_seconds() -> None:
    """An execution's times come from the clock it was given, cut to seconds."""
    execution = started(Engine(delay_ms=0, pace_ms=0, now=lambda: NOON), "short_answer")

    assert (execution.create_time, execution.update_time) == (1_767_268_800, 1_767_268_800)


def test_ids_grow_within_one_millisecond() -> None:
    """Ids differ and grow also when the clock stands still, or goes back."""
    clock = iter([NOON, NOON, NOON - 60])
    ids = IdFactory(lambda: next(clock))
    first, second, third = (int(ids.next_id()) for _ in range(3))

    assert (second, third) == (first + 1, first + 2)


def test_ids_of_a_later_sandbox_are_greater() -> None:
    """A sandbox that is started again does not repeat the ids of the one before."""
    before = IdFactory(lambda: NOON)
    latest = [int(before.next_id()) for _ in range(100)][-1]

    assert int(IdFactory(lambda: NOON + 0.001).next_id()) > latest


def test_kept_text_is_cut_between_characters() -> None:
    """The 1 MB that is kept ends with a whole character, and nothing is added after it."""
    kept = Kept()
    kept.add("中" * 349_526)
    kept.add("more")
    kept.add("")

    assert (kept.text(), kept.is_trimmed) == ("中" * 349_525, True)


def test_text_of_exactly_1_mb_is_kept_whole() -> None:
    """The limit itself is not exceeded by what just fits."""
    kept = Kept()
    kept.add("x" * 1_048_576)

    assert (len(kept.text()), kept.is_trimmed) == (1_048_576, False)


async def test_the_oldest_executions_are_forgotten() -> None:
    """Only the newest executions are kept."""
    engine = Engine(delay_ms=0, pace_ms=0)
    executions = Executions(most=2)
    one, two, three = (started(engine, "short_answer") for _ in range(3))
    for execution in (one, two, three):
        executions.keep(execution)

    kept = [executions.get(IDS["short_answer"], entry.execute_id) for entry in (one, two, three)]
    assert kept == [None, two, three]


async def test_large_executions_are_forgotten_sooner() -> None:
    """Executions that have grown push out older ones when memory runs short."""
    engine = Engine(delay_ms=0, pace_ms=0)
    executions = Executions(most_bytes=10_000)
    one, two = started(engine, "short_answer"), started(engine, "short_answer")
    executions.keep(one)
    executions.keep(two)
    two.take(Finished("x" * 9_500), 1)
    executions.weigh(two)

    kept = [executions.get(IDS["short_answer"], entry.execute_id) for entry in (one, two)]
    assert kept == [None, two]


async def test_what_a_run_puts_out_is_weighed() -> None:
    """A run that has put out a lot pushes out older ones as soon as it has ended."""
    engine = Engine(delay_ms=0, pace_ms=0, executions=Executions(most_bytes=100_000))
    older = started(engine, "short_answer")
    large, outlet = engine.start(request("large_output", size=200_000), RunMode.SYNC, "log")
    while await outlet.get() is not None:
        pass

    assert engine.find(IDS["large_output"], large.execute_id) is large
    with pytest.raises(RefusedError, match="no such execution"):
        engine.find(IDS["short_answer"], older.execute_id)


_OF_EXECUTIONS = [
    tracemalloc.Filter(inclusive=True, filename_pattern=pattern)
    for pattern in ("*/execution_history/sandbox/*", "*/pydantic/*", "*/uuid.py", "<string>")
]
"""What allocates for an execution; not a thread that another test has left, nor what is imported meanwhile."""


async def test_an_execution_weighs_what_it_takes() -> None:
    """A sandbox that is full takes the memory that it may, not several times that."""
    engine = Engine(delay_ms=0, pace_ms=0)

    async def ended(number: int) -> Execution:
        execution, outlet = engine.start(request("long_stream", n=number), RunMode.STREAM, "log")
        while await outlet.get() is not None:
            pass
        return execution

    await ended(0)
    tracemalloc.start()
    try:
        executions = [await ended(number) for number in range(100)]
        gc.collect()
        found = tracemalloc.take_snapshot().filter_traces(_OF_EXECUTIONS).statistics("filename")
    finally:
        tracemalloc.stop()
    taken = sum(each.size for each in found)
    assert taken <= sum(execution.weight() for execution in executions) <= 2 * taken


async def test_a_forgotten_execution_stays_forgotten() -> None:
    """The end of an execution that was pushed out does not bring it back."""
    engine = Engine(delay_ms=0, pace_ms=0)
    executions = Executions(most=1)
    one, two = started(engine, "short_answer"), started(engine, "short_answer")
    executions.keep(one)
    executions.keep(two)
    executions.weigh(one)

    assert executions.get(IDS["short_answer"], one.execute_id) is None


async def test_the_memory_of_a_sandbox_has_a_bound() -> None:
    """Whatever is run, and as a chat too: of large outputs it keeps about 16 MB, the newest."""
    engine = Engine(delay_ms=0, pace_ms=0)
    chats = Chats(engine)
    says = {"role": "user", "content": "Hello", "content_type": "text"}
    body = {"workflow_id": IDS["large_output"], "bot_id": "71", "additional_messages": [says]}
    tracemalloc.start()
    try:
        for number in range(14):
            asked = read_chat(orjson.dumps({**body, "parameters": {"size": 4_000_000, "n": number}}))
            turn, outlet = chats.with_workflow(asked, "log")
            while await outlet.get() is not None:
                pass
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 48 * 1024 * 1024
    assert chats.find(turn.conversation.conversation_id, turn.chat_id) is turn
