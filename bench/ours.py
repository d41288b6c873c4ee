"""What is measured of the service itself, through its public methods."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.records import Run
from execution_history import ExecutionHistoryService


async def preload(folder: Path, runs: Iterator[Run]) -> int:
    """Store finished runs; the bytes of their JSON."""
    size = 0

    def documents() -> Iterator[object]:
        nonlocal size
        for run in runs:
            document = run.document()
            size += len(document.body)
            yield document

    async with ExecutionHistoryService(folder) as service:
        await service.store.merge(documents())  # type: ignore[arg-type]
    return size


async def create_and_finish(service: ExecutionHistoryService, runs: Sequence[Run], clients: int) -> float:
    """Runs per second, with so many callers at once."""
    remaining = iter(runs)

    async def client() -> None:
        for run in remaining:
            await service.create_execution_record(
                run.workflow_id, run.execute_id, run.parameters, run.bot_id, run.conversation_id
            )
            await service.update_execution_record(
                run.workflow_id,
                run.execute_id,
                None if run.status == "running" else run.status,
                run.output,
                run.error_code,
                run.error_message,
                run.debug_url,
                run.usage,
                run.node_execute_status,
            )

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(runs) / (time.perf_counter() - began)


async def p50(ask: Callable[[int], Awaitable[object]], times: int = 2_000) -> float:
    """The median time of a call, in milliseconds."""
    spent = []
    for number in range(times):
        began = time.perf_counter()
        await ask(number)
        spent.append(time.perf_counter() - began)
    return median(spent) * 1000


async def reads(service: ExecutionHistoryService, workflow_ids: Sequence[str]) -> tuple[float, float, float]:
    """The first page of twenty, of five, and one record, as bytes: median milliseconds."""
    page = await p50(lambda number: service.page_bytes(workflow_ids[number % len(workflow_ids)]))
    five = await p50(lambda number: service.page_bytes(workflow_ids[number % len(workflow_ids)], 5))
    ids = []
    for workflow_id in workflow_ids:
        found = await service.get_execution_history(workflow_id, 5)
        ids += [(workflow_id, record["execute_id"]) for record in found["histories"]]
    get = await p50(lambda number: service.detail_bytes(*ids[number % len(ids)]))
    return page, five, get


_FRESH = """
import asyncio, sys, time
from pathlib import Path
from execution_history import ExecutionHistoryService
async def main():
    service = ExecutionHistoryService(sys.argv[1])
    began = time.perf_counter()
    await service.store.open()
    opened = time.perf_counter() - began
    for summary in (await service.workflow_summaries())[:50]:
        for index in range(1, 11):
            await service.page_bytes(summary.workflow_id, 20, index)
    for number in range(2000):
        made = await service.create_execution_record("memory", parameters={"n": number, "t": "text " * 200})
        await service.update_execution_record("memory", made["execute_id"], "success", {"t": "text " * 200})
    await service.clear_workflow_history("memory")
    # Not ru_maxrss: that remembers the process which started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(opened, int(peak.split()[1]) / 1024)
    await service.aclose()
asyncio.run(main())
"""


def fresh_process(folder: Path) -> tuple[float, float]:
    """Seconds to open the store, and the most memory (MB) of a new process that works with it a little."""
    found = subprocess.run([sys.executable, "-c", _FRESH, str(folder)], capture_output=True, text=True, check=True)
    opened, memory = found.stdout.split()
    return float(opened), float(memory)


def database_bytes(folder: Path) -> int:
    """The size of the database after an orderly closing."""
    return sum(path.stat().st_size for path in folder.glob("history.db*"))
