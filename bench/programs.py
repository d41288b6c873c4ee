"""Programs of the bench that run with a checkout under test, each in a process of its own.

``python -m bench.programs NAME OPTIONS`` runs one with options in JSON, and prints what it found as JSON. They use what
any program may: :class:`execution_history.ExecutionHistoryService`. What is bare uses nothing of ours.
"""

import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.fixture import Fixture
from bench.machine import memory_mb, sync_ms
from bench.records import Run, runs
from bench.retention import program as retention

if TYPE_CHECKING:
    from execution_history import ExecutionHistoryService

_STATES: Final = ("running", "success", "failed", "interrupted")
_BARE_TABLE: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "CREATE TABLE runs (w text, id text, t int, s int, d text)",
    "CREATE UNIQUE INDEX by_id ON runs (w, id)",
    "CREATE INDEX by_time ON runs (w, t DESC)",
    "CREATE INDEX by_status ON runs (w, s, t DESC)",
)
_PER_COMMIT: Final = 50


def service_at(folder: str, **options: Any) -> "ExecutionHistoryService":
    from execution_history import ExecutionHistoryService  # noqa: PLC0415 - bare programs load none of it

    return ExecutionHistoryService(folder, **options)


def rate_since(count: int, work_began: tuple[float, float]) -> dict[str, float]:
    """Return how many a second, and microseconds of CPU time for each, since *work_began*."""
    wall, cpu = time.perf_counter() - work_began[0], time.process_time() - work_began[1]
    return {"rate": count / wall, "cpu": cpu / count * 1e6}


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


async def pairs_by(service: "ExecutionHistoryService", todo: Sequence[Run], clients: int) -> dict[str, float]:
    remaining = iter(todo)

    async def client() -> None:
        for run in remaining:
            key = (run.workflow_id, run.execute_id)
            await service.create_execution_record(*key, run.parameters, run.bot_id, run.conversation_id)
            ended = None if run.status == "running" else run.status
            await service.update_execution_record(
                *key,
                ended,
                run.output,
                run.error_code,
                run.error_message,
                run.debug_url,
                run.usage,
                run.node_execute_status,
            )

    began = now()
    await asyncio.gather(*(client() for _ in range(clients)))
    return rate_since(len(todo), began)


async def write(folder: str, *, json_files: bool, pairs: int, clients: int) -> dict[str, float]:
    """Create and finish runs of a hundred workflows, by so many callers at once; the first tenth is not counted."""
    source = runs(pairs + pairs // 10)
    warm, todo = list(islice(source, pairs // 10)), list(source)
    options = {} if folder == "memory:" else {"json_files": json_files}
    async with service_at(folder, **options) as service:
        await pairs_by(service, warm, clients)
        return await pairs_by(service, todo, clients)


async def end_together(folder: str, *, count: int) -> dict[str, float]:
    """Begin runs of one workflow, and end all of them at once; milliseconds and CPU time of each end."""
    todo = list(runs(count))
    async with service_at(folder) as service:
        for run in todo:
            await service.create_execution_record("one", run.execute_id, run.parameters)
        began = now()
        await asyncio.gather(
            *(
                service.update_execution_record("one", run.execute_id, "success", run.output or "x" * 900)
                for run in todo
            )
        )
        spent = rate_since(count, began)
    return {"ms": 1000 / spent["rate"], "cpu": spent["cpu"]}


def sync(folder: str) -> dict[str, float]:
    """Return the milliseconds of a sync as programs of the bench have it."""
    Path(folder).mkdir()
    return {"ms": sync_ms(Path(folder))}


def bare_write(folder: str, *, pairs: int, per_commit: int = _PER_COMMIT) -> dict[str, float]:
    """Do the same with Python's ``sqlite3``: inserts in one transaction, and their updates in the next."""
    Path(folder).mkdir(parents=True)
    connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    for statement in _BARE_TABLE:
        connection.execute(statement)
    source = runs(pairs + pairs // 10)
    warm, todo = list(islice(source, pairs // 10)), list(source)
    _bare_pairs(connection, warm, per_commit)
    began = now()
    _bare_pairs(connection, todo, per_commit)
    return rate_since(pairs, began)


def _bare_pairs(connection: sqlite3.Connection, todo: Sequence[Run], per_commit: int) -> None:
    for number in range(0, len(todo), per_commit):
        group = todo[number : number + per_commit]
        connection.execute("BEGIN IMMEDIATE")
        for run in group:
            record = run.record() | {"execute_status": "running", "output": None, "usage": None}
            text = json.dumps(record, ensure_ascii=False)
            row = (run.workflow_id, run.execute_id, run.create_time, 0, text)
            connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        for run in group:
            text = json.dumps(run.record(), ensure_ascii=False)
            change = (_STATES.index(run.status), text, run.workflow_id, run.execute_id)
            connection.execute("UPDATE runs SET s = ?, d = ? WHERE w = ? AND id = ?", change)
        connection.execute("COMMIT")


def _documents(records: Iterator[dict[str, Any]]) -> Iterator[Any]:
    from execution_history.records.record import Document  # noqa: PLC0415 - as above

    return (Document.of(record, orjson.dumps(record)) for record in records)


async def preload(folder: str, *, stored: int, end: int, json_files: bool = True, index: bool = True) -> dict[str, Any]:
    """Store the records of a fixture; the bytes of their JSON and of the database."""
    fixture, size = Fixture(stored, end), 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal size
        for record in fixture.records():
            size += len(orjson.dumps(record))
            yield record

    async with service_at(folder, json_files=json_files) as service:
        source = _documents(counted())
        while group := list(islice(source, 1_000)):
            await service.merge(group, settle=False)
        await service.flush()
        if index:
            await service.rebuild_index()
    return {"json": size, "database": (Path(folder) / "history.db").stat().st_size}


async def rebuild(folder: str, *, search: bool) -> dict[str, float]:
    """Make the index anew, with or without texts; seconds of the clock and of CPU time."""
    async with service_at(folder, json_files=False, search=search) as service:
        began = now()
        await service.rebuild_index()
        return {"wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}


async def deletes(folder: str, *, stored: int, times: int) -> dict[str, Any]:
    """Delete the oldest and the newest runs of a workflow one by one; milliseconds of each."""
    chosen = [run.record() | {"workflow_id": "one"} for run in runs(stored)]
    async with service_at(folder) as service:
        await service.merge(_documents(iter(chosen)))
        spent: dict[str, list[float]] = {"oldest": [], "newest": []}
        began = time.process_time()
        for old, new in zip(chosen[:times], chosen[: -times - 1 : -1], strict=True):
            for kind, record in (("oldest", old), ("newest", new)):
                moment = time.perf_counter()
                assert await service.delete_execution_record("one", record["execute_id"])
                spent[kind].append((time.perf_counter() - moment) * 1000)
        cpu = (time.process_time() - began) / times / 2 * 1e6
    return {kind: _percentiles(times) for kind, times in spent.items()} | {"cpu": cpu}


def _percentiles(spent: Sequence[float]) -> dict[str, float]:
    return {"p50": median(spent), "p99": quantiles(spent, n=100)[98], "max": max(spent)}


async def _p50(ask: Callable[[int], Awaitable[object]], times: int) -> dict[str, float]:
    spent, began = [], time.process_time()
    for number in range(times):
        moment = time.perf_counter()
        await ask(number)
        spent.append(time.perf_counter() - moment)
    return {"p50": median(spent) * 1000, "cpu": (time.process_time() - began) / times * 1e6}


async def read(folder: str, *, times: int, json_files: bool = True) -> dict[str, Any]:
    """Open a history, look at first pages and single records, and at the memory of this process."""
    service = service_at(folder, json_files=json_files)
    moment = time.perf_counter()
    await service.open()
    found: dict[str, Any] = {"opening": time.perf_counter() - moment}
    async with service:
        # Those fill a page at every size; a hundredth of 1,000 runs does not.
        summaries = sorted(await service.workflow_summaries(), key=lambda each: -each.total)[:5]
        ids = [each.workflow_id for each in summaries]
        pages = [await service.get_execution_history(workflow_id, 20) for workflow_id in ids]
        keys = [(each["workflow_id"], each["execute_id"]) for page in pages for each in page["histories"]]
        found["page"] = await _p50(lambda number: service.page_bytes(ids[number % len(ids)]), times)
        found["get"] = await _p50(lambda number: service.detail_bytes(*keys[number % len(keys)]), times)
        found["counts"] = await _p50(lambda _: service.workflow_summaries(), max(1, times // 10))
        found["memory"] = memory_mb(os.getpid())
    return found


async def write_to(folder: str, *, pairs: int, clients: int, seed: int) -> dict[str, float]:
    """Create and finish runs in a history that is there; those runs are deleted again."""
    todo = list(runs(pairs + pairs // 10, seed=seed))
    async with service_at(folder) as service:
        await pairs_by(service, todo[: pairs // 10], clients)
        found = await pairs_by(service, todo[pairs // 10 :], clients)
        await service.delete_execution_records([(run.workflow_id, run.execute_id) for run in todo])
        return found


async def sizes(folder: str) -> dict[str, int]:
    """Return how many runs each workflow has."""
    async with service_at(folder) as service:
        return {each.workflow_id: each.total for each in await service.workflow_summaries()}


async def clear(folder: str, *, workflow_id: str, seconds: float) -> dict[str, float]:
    """Delete a workflow while another caller writes; milliseconds of it, and the longest that a write took meanwhile.

    Meanwhile is while it is deleted and for so many *seconds* after that, in which its rows are removed when nobody
    writes: there are pauses of two milliseconds.
    """
    async with service_at(folder) as service:
        source, longest = runs(2**40, seed=99), 0.0

        async def put() -> float:
            moment = time.perf_counter()
            run = next(source)
            await service.create_execution_record("beside", run.execute_id, run.parameters)
            return time.perf_counter() - moment

        for _ in range(500):
            await put()
        began = time.perf_counter()
        clearing = asyncio.ensure_future(service.store.clear(workflow_id))
        while not clearing.done():
            longest = max(longest, await put())
        assert await clearing
        spent = time.perf_counter() - began
        while time.perf_counter() < began + seconds:
            longest = max(longest, await put())
            await asyncio.sleep(0.002)
        await service.store.clear("beside")
    return {"spent": spent * 1000, "hold": longest * 1000}


PROGRAMS: Final[dict[str, Callable[..., Any]]] = {
    each.__name__: each
    for each in (write, end_together, sync, bare_write, preload, rebuild, deletes, read, write_to, sizes, clear)
} | {"retention": retention}


def main(programs: Mapping[str, Callable[..., Any]] = PROGRAMS) -> None:
    """Run one program; what it runs must be the checkout that was meant."""
    found = programs[sys.argv[1]](**orjson.loads(sys.argv[2]))
    if asyncio.iscoroutine(found):
        found = asyncio.run(found)
    package = sys.modules.get("execution_history")
    assert package is None or Path(str(package.__file__)).is_relative_to(os.environ["BENCH_CODE"]), package
    print(orjson.dumps(found).decode())


if __name__ == "__main__":
    main()
