"""A server that crashes under load: what was acknowledged is there, once."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.programs import begin, run
from tests.sample_records import change, document
from tests.stores.postgres.servers import own_server
from tests.stores.postgres.test_schema import opened

pytestmark = pytest.mark.anyio

_FORKS: Final = """
import asyncio, os
from execution_history import ExecutionHistoryService
async def main():
    service = ExecutionHistoryService(os.environ["PLACE"])
    await service.create_execution_record("w", "a")
    store = service.store
    under_way = [asyncio.ensure_future(store.clear("w")), asyncio.ensure_future(store.put_entry("view", "k", b"1"))]
    await asyncio.sleep(0)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    print(*(bool(each) for each in await asyncio.gather(*under_way)), flush=True)
    await service.create_execution_record("w", "b")
    await service.aclose()
asyncio.run(main())
"""

_WRITES: Final = """
import asyncio, os
from execution_history import ExecutionHistoryService
async def main():
    service = ExecutionHistoryService(os.environ["PLACE"])
    async def call(number):
        for made in range(100_000):
            name = f"{number}-{made}"
            await service.create_execution_record(f"w{number % 3}", name)
            await service.update_execution_record(f"w{number % 3}", name, execute_status="success")
            print(name, flush=True)
    await asyncio.gather(*map(call, range(8)))
asyncio.run(main())
"""


async def test_what_is_acknowledged_survives_crashes_of_the_server() -> None:
    """Of many callers, none loses a record or a change, and none is told of an error that passes."""
    with own_server() as server:
        async with opened(server.url) as store, opened(server.url) as other:
            is_over = asyncio.Event()
            done: Counter[str] = Counter()

            async def call(number: int) -> None:
                made = 0
                while not is_over.is_set():
                    name = f"{number}-{made}"
                    each = store if number % 2 else other
                    await each.create(document(name, f"w{number % 5}"))
                    made += 1
                    done["created"] += 1
                    assert await each.update(f"w{number % 5}", name, change(status="success")) is not None
                    done["ended"] += 1

            callers = [asyncio.create_task(call(number)) for number in range(24)]
            for _ in range(3):
                before = done["ended"]
                async with asyncio.timeout(60):
                    while done["ended"] < before + 100:
                        await asyncio.wait(callers, timeout=0.05)
                await asyncio.to_thread(server.crash)
                await asyncio.to_thread(server.start)
            is_over.set()
            await asyncio.gather(*callers)
            summaries = await store.workflows()
            assert done["created"] == sum(each.total for each in summaries)
            assert done["ended"] == sum(each.counts["success"] for each in summaries)
            feed = await other.changes(0, 1_000_000)
            assert done["created"] == len({(each.workflow_id, each.execute_id) for each in feed})


async def test_a_process_that_is_killed_leaves_whole_commits(postgres_url: str, tmp_path: Path) -> None:
    """What it had acknowledged is there, and the counters are right, wherever it was."""
    acknowledged: list[str] = []
    for number in range(3):
        with begin(tmp_path / str(number), _WRITES, PLACE=postgres_url) as program:
            assert program.stdout is not None
            acknowledged += [program.stdout.readline().strip() for _ in range(40)]
            program.kill()
            acknowledged += program.stdout.read().rsplit("\n", 1)[0].split()
        async with opened(postgres_url) as store:
            for each in {name for name in acknowledged if name}:
                body = await store.get(f"w{int(each[0]) % 3}", each)
                assert body is not None
                assert b'"execute_status":"success"' in body
            batch = await store.scan(None, 100_000)
            assert len(batch.documents) == sum(summary.total for summary in await store.workflows())
            ended = sum(b'"execute_status":"success"' in body for body in batch.documents)
            assert ended == sum(summary.counts["success"] for summary in await store.workflows())
            for workflow_id in ("w0", "w1", "w2"):
                await store.clear(workflow_id)
        acknowledged.clear()


async def test_a_fork_in_the_midst_of_work_stops_nobody(postgres_url: str, tmp_path: Path) -> None:
    """What was submitted before it is done."""
    out, _ = run(tmp_path, _FORKS, PLACE=postgres_url)
    assert "True True\n" == out
    async with opened(postgres_url) as store:
        assert [1, 1] == [len(await store.workflows()), len(await store.entries("view"))]
