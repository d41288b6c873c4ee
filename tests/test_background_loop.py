"""The bridge between synchronous code and ours, in threads, under event loops, across forks and at the very end."""

import asyncio
import contextvars
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService, recorded, run_sync
from execution_history.background_loop import Bridge
from tests.programs import begin, histories, run, statuses

pytestmark = pytest.mark.anyio

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_a_synchronous_caller_gets_the_result_or_the_exception() -> None:
    """As if it had awaited."""

    async def fail() -> None:
        raise LookupError("not there")

    assert 42 == run_sync(_double(21))
    with pytest.raises(LookupError, match="not there"):
        run_sync(fail())


def test_threads_share_one_bridge() -> None:
    """Whoever comes first begins it."""
    with ThreadPoolExecutor(16) as pool:
        assert [2 * number for number in range(200)] == list(pool.map(lambda n: run_sync(_double(n)), range(200)))
    assert 1 == sum(thread.name == "execution-history-bridge" for thread in threading.enumerate())


async def test_it_works_under_a_running_event_loop() -> None:
    """As in Jupyter, whose cells run inside one."""
    async with ExecutionHistoryService("memory:") as service:
        await service.create_execution_record("w", "1")
        page = run_sync(service.get_execution_history("w"))
    assert 1 == page["total"]


def test_the_bridge_does_not_wait_for_itself() -> None:
    """That would be for ever."""

    async def wait_for_itself() -> None:
        work = _double(1)
        run_sync(work)

    with pytest.raises(RuntimeError, match="awaits"):
        run_sync(wait_for_itself())


def test_a_bridge_finishes_what_is_under_way_and_then_takes_no_more() -> None:
    """In order: the work, then what was left for the end, the last first, also when one of those fails."""
    bridge, order = Bridge(), []
    go_on = threading.Event()

    async def work() -> None:
        await asyncio.to_thread(go_on.wait)
        order.append("work")

    async def finish(name: str) -> None:
        order.append(name)
        raise LookupError(name)

    bridge.at_end(lambda: finish("first"))
    bridge.at_end(lambda: finish("last"))
    future = bridge.submit(work())
    go_on.set()
    bridge.end()
    bridge.end()
    assert ["work", "last", "first"] == order
    assert future.done()
    with pytest.raises(RuntimeError, match="ending"):
        bridge.submit(_double(1))


def test_a_bridge_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """What takes too long is left, and the log says so."""
    bridge = Bridge()
    bridge.at_end(lambda: asyncio.Event().wait())
    endless = bridge.submit(asyncio.Event().wait())
    bridge.end(seconds=0.01)
    assert endless.cancelled()
    assert any("before everything" in message for message in caplog.messages)


async def test_several_event_loops_record_at_once() -> None:
    """One after the other, and beside each other in threads; every run is there when its call returns."""
    service = ExecutionHistoryService("memory:")
    double = recorded("double", service=service)(_double)

    async def some() -> list[int]:
        return await asyncio.gather(*(double(number) for number in range(20)))

    with ThreadPoolExecutor(4) as pool:
        results = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(pool, asyncio.run, some()) for _ in range(4))
        )
    assert [[2 * number for number in range(20)]] * 4 == results
    assert 80 == (await service.get_execution_history("double"))["total"]


async def test_nothing_is_lost_when_the_interpreter_ends_after_the_last_run(tmp_path: Path) -> None:
    """Also not the runs whose ending nobody waits for."""
    run(
        tmp_path,
        """
        import asyncio
        from execution_history import record, recorded

        @recorded
        def call(): return 1

        @recorded
        def numbers():
            yield 1
            yield 2

        @recorded
        async def cancelled(): await asyncio.sleep(60)

        async def main():
            task = asyncio.create_task(cancelled())
            await asyncio.sleep(0.2)
            task.cancel()

        stream = numbers()
        next(stream)
        asyncio.run(main())
        call()
        """,
    )
    assert {
        "program.call": ["success"],
        "program.numbers": ["interrupted"],
        "program.cancelled": ["interrupted"],
    } == await statuses(tmp_path)


async def test_runs_of_threads_that_go_on_after_the_main_one_are_recorded(tmp_path: Path) -> None:
    """The interpreter waits for such a thread, and so do we; what still runs in a daemon thread is said to be cut."""
    run(
        tmp_path,
        """
        import threading, time
        from execution_history import recorded

        begun = threading.Event()

        @recorded
        def endless():
            begun.set()
            time.sleep(600)

        @recorded
        def late(): return "late"

        def after_main():
            threading.main_thread().join()
            late()

        threading.Thread(target=endless, daemon=True).start()
        begun.wait()
        threading.Thread(target=after_main).start()
        """,
    )
    found = await histories(tmp_path)
    assert ["success"] == [each["execute_status"] for each in found["program.late"]]
    [endless] = found["program.endless"]
    assert ("interrupted", "program_ended") == (endless["execute_status"], endless["metadata"]["proof"])


async def test_an_exit_handler_of_the_program_is_recorded(tmp_path: Path) -> None:
    """When it was registered after our first use; any other runs all the same."""
    out, _ = run(
        tmp_path,
        """
        import atexit
        from execution_history import recorded

        @recorded
        def early(): print("early")

        @recorded
        def late(): print("late")

        atexit.register(early)
        recorded("first")(lambda: 0)()
        atexit.register(late)
        """,
    )
    assert "late\nearly\n" == out
    found = await statuses(tmp_path)
    assert (["success"], ["success"]) == (found["first"], found["program.late"])


async def test_a_program_that_is_interrupted_says_so(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a run."""
    with begin(
        tmp_path,
        """
        import signal, time
        from execution_history import recorded

        # A shell that has put these tests into the background has told its children to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        @recorded
        def sleeps():
            print("sleeping", flush=True)
            while True:  # a signal just before one long sleep would be handled after it
                time.sleep(0.01)

        sleeps()
        """,
    ) as program:
        assert program.stdout is not None
        assert "sleeping\n" == program.stdout.readline()
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)
    [found] = (await histories(tmp_path))["program.sleeps"]
    assert ("interrupted", "cancelled") == (found["execute_status"], found["metadata"]["proof"])


@needs_fork
async def test_forked_workers_have_a_bridge_of_their_own(tmp_path: Path) -> None:
    """As under gunicorn with an application that was loaded, and used, before the fork."""
    run(
        tmp_path,
        """
        import os, sys
        from execution_history import record, recorded

        @recorded
        def call(who): return who

        call("parent, before")
        with record("around the fork") as outer:
            children = []
            for number in range(3):
                child = os.fork()
                if child == 0:
                    call(f"child {number}")
                    sys.exit(0)
                children.append(child)
            call("parent, after")
            codes = [os.waitpid(child, 0)[1] for child in children]
        assert codes == [0, 0, 0], codes
        """,
    )
    found = await histories(tmp_path)
    expected = {"parent, before", "parent, after", "child 0", "child 1", "child 2"}
    assert expected == {each["output"] for each in found["program.call"]}
    assert {"success"} == {each["execute_status"] for each in found["program.call"]}
    [outer] = found["around the fork"]
    assert "success" == outer["execute_status"]
    inside = [each for each in found["program.call"] if each["output"] != "parent, before"]
    assert {outer["execute_id"]} == {each["metadata"]["parent"]["execute_id"] for each in inside}


@pytest.mark.parametrize("method", ["fork", "spawn"])
async def test_children_of_multiprocessing_lose_nothing(tmp_path: Path, method: str) -> None:
    """They leave without the interpreter's exit hooks, also in the middle of a stream."""
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    run(
        tmp_path,
        """
        import multiprocessing, os
        from execution_history import recorded

        @recorded("numbers")
        def numbers():
            yield 1
            yield 2

        @recorded("call")
        def call(number): return number

        kept = []

        def work(number):
            call(number)
            stream = numbers()
            next(stream)
            stream.close()

        if __name__ == "__main__":
            call(-1)
            context = multiprocessing.get_context(os.environ["METHOD"])
            children = [context.Process(target=work, args=(number,)) for number in range(2)]
            for child in children: child.start()
            for child in children: child.join()
            assert [0, 0] == [child.exitcode for child in children]
        """,
        METHOD=method,
    )
    found = await statuses(tmp_path)
    assert {"call": ["success"] * 3, "numbers": ["interrupted"] * 2} == found


def test_the_context_of_the_caller_is_not_touched() -> None:
    """A run that has ended leaves nothing behind."""
    before = dict(contextvars.copy_context())
    recorded("w", service=ExecutionHistoryService("memory:"))(lambda: 1)()
    after = dict(contextvars.copy_context())
    assert before == {variable: value for variable, value in after.items() if value is not None and value is not False}
