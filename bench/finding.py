"""``python -m bench.finding``: pages by filter, statistics and the index itself, beside DuckDB and ``grep`` on an export.

The records are those of :mod:`bench.records`, spread over 30 days and with more to find them by: three in five runs are
streamed, one in twenty asynchronous; five accounts and eight calling programs, each half as frequent as the one before;
a conversation has three runs; durations are lognormal around 3 s; two in a hundred have one of twenty tags, one in a
thousand a pin, one in a hundred a rating; nineteen in twenty know their id upstream.
"""

import argparse
import asyncio
import importlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.ours import create_and_finish
from bench.records import runs
from execution_history import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.path_conditions import parse_condition
from execution_history.records.record import Document

_START = 1_761_900_000_000
_DAYS = 30 * 86_400_000
_CALLERS = [f"program-{number}" for number in range(8)]
_ACCOUNTS = [f"account-{number}" for number in range(5)]
_HALVES = [2.0**-number for number in range(8)]


def varied(count: int) -> Iterator[dict[str, Any]]:
    """*count* records in the order of their time."""
    chance = random.Random(7)
    for number, run in enumerate(runs(count)):
        record = run.record()
        record["create_time"] = _START + number * _DAYS // count
        record["update_time"] = record["create_time"] + int(chance.lognormvariate(8, 1))
        record["run_mode"] = chance.choices((1, 0, 2), (60, 35, 5))[0]
        if record["conversation_id"] is not None:
            record["conversation_id"] = str(7_500_000_000_000_000_000 + number // 12)
        metadata: dict[str, Any] = {
            "account": chance.choices(_ACCOUNTS, _HALVES[:5])[0],
            "caller": {"name": chance.choices(_CALLERS, _HALVES)[0]},
        }
        if chance.random() < 0.95:
            metadata["coze_execute_id"] = str(7_600_000_000_000_000_000 + number)
        if chance.random() < 0.02:
            metadata["tags"] = [f"tag-{chance.randrange(20)}"]
        if chance.random() < 0.001:
            metadata["pinned"] = True
        if chance.random() < 0.01:
            metadata["rating"] = chance.randrange(1, 6)
        record["metadata"] = metadata
        yield record


async def _p50(ask: Callable[[], Awaitable[object]], times: int) -> float:
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        await ask()
        spent.append(time.perf_counter() - began)
    return median(spent) * 1000


def _filters(some: dict[str, Any]) -> dict[str, tuple[RecordFilter, dict[str, Any]]]:
    """The questions by name: a filter, and further fields of the query."""
    workflow = (some["workflow_id"],)
    middle = _START + _DAYS // 2
    return {
        "all, newest": (RecordFilter(), {}),
        "workflow": (RecordFilter(workflow_ids=workflow), {}),
        "status failed": (RecordFilter(statuses=("failed",)), {}),
        "workflow, failed or interrupted": (RecordFilter(workflow_ids=workflow, statuses=("failed", "interrupted")), {}),
        "one hour": (RecordFilter(created_from=middle, created_before=middle + 3_600_000), {}),
        "duration from 60 s": (RecordFilter(duration_from=60_000), {}),
        "by duration": (RecordFilter(), {"sort": "duration"}),
        "workflow, by tokens, ascending": (RecordFilter(workflow_ids=workflow), {"sort": "tokens", "descending": False}),
        "mode async": (RecordFilter(run_modes=(2,)), {}),
        "bot": (RecordFilter(bot_ids=("7400000000000000003",)), {}),
        "conversation": (RecordFilter(conversation_ids=(some["conversation_id"],)), {}),
        "account": (RecordFilter(accounts=("account-4",)), {}),
        "caller and failed": (RecordFilter(callers=("program-7",), statuses=("failed",)), {}),
        "error code": (RecordFilter(error_codes=("5000",)), {}),
        "error code, by duration": (RecordFilter(error_codes=("5000",)), {"sort": "duration"}),
        "tokens from 6 000": (RecordFilter(tokens_from=6_000), {}),
        "tag": (RecordFilter(tags=("tag-3",)), {}),
        "pinned": (RecordFilter(pinned=True), {}),
        "rating from 5": (RecordFilter(rating_from=5), {}),
        "upstream id": (RecordFilter(upstream_ids=("7600000000000000077",)), {}),
        "execute id prefix": (RecordFilter(execute_id_prefix=some["execute_id"][:13]), {}),
        "no output (no index)": (RecordFilter(has_output=False), {}),
        "page 50 of a workflow": (RecordFilter(workflow_ids=workflow), {"index": 50}),
        "summaries of a workflow": (RecordFilter(workflow_ids=workflow), {"summaries": True}),
        "condition output.score >= 0.99 in a workflow": (
            RecordFilter(workflow_ids=workflow, conditions=(parse_condition("output.score >= 0.99"),)), {}),
    }  # fmt: skip


async def measure(count: int, folder: Path) -> Iterator[str]:
    """Everything, as the lines of a Markdown table."""
    size = 0
    some: dict[str, Any] = {}
    export = folder / "export.jsonl"

    def documents() -> Iterator[Document]:
        nonlocal size, some
        with export.open("wb") as file:
            for record in varied(count):
                body = orjson.dumps(record)
                size += len(body)
                file.write(body + b"\n")
                if record["conversation_id"] is not None and len(some) == 0:
                    some = record
                yield Document.of(record, body)

    lines = ["| what | |", "|---|---|"]
    async with ExecutionHistoryService(folder / "h", json_files=False) as service:
        await service.store.merge(documents())
        lines.append(f"| records, bytes of JSON | {count:,}, {size:,} |")
        began = time.perf_counter()
        await service.rebuild_index()
        spent = time.perf_counter() - began
        lines.append(f"| index built | {count / spent:,.0f} records/s, {spent / count * 1e6:.1f} µs a record |")
    disk = (folder / "h" / "index.db").stat().st_size
    lines.append(f"| index.db per byte of JSON | {disk / size:.3f} ({disk / count:.0f} bytes a record) |")
    async with ExecutionHistoryService(folder / "h", json_files=False) as service:
        began = time.perf_counter()
        await service.select(RecordQuery())
        lines.append(f"| first question after opening | {(time.perf_counter() - began) * 1000:.1f} ms |")
        for name, (wanted, more) in _filters(some).items():
            query = RecordQuery(filter=wanted, **more)
            found = await service.select(query)
            spent = await _p50(lambda query=query: service.select(query), 100)  # type: ignore[misc]
            exact = "" if found.total_is_exact else "at least "
            lines.append(f"| {name} ({exact}{found.total:,}) | {spent:.2f} ms |")
        month = RecordFilter(workflow_ids=(some["workflow_id"],), created_from=_START, created_before=_START + _DAYS)
        for name, wanted in (("one workflow", month), ("all workflows", RecordFilter())):
            asked = StatisticsQuery(filter=wanted, bucket="day", zone="Asia/Shanghai", new_since=_START + _DAYS // 2)
            spent = await _p50(lambda asked=asked: service.statistics(asked), 7)  # type: ignore[misc]
            lines.append(f"| statistics by day of 30 days, {name} | {spent:.1f} ms |")
    lines += _others(export, some)
    lines += await _writer_cost(folder, min(count, 4_000))
    return iter(lines)


def _duckdb() -> Any:
    """DuckDB where the extra ``bench`` is installed; otherwise ``None``."""
    try:
        return importlib.import_module("duckdb")
    except ImportError:
        return None


def _others(export: Path, some: dict[str, Any]) -> list[str]:
    """DuckDB and grep on the export."""
    lines = []
    table = f"read_json('{export}', format='newline_delimited', columns={{execute_id: 'VARCHAR', workflow_id: 'VARCHAR', create_time: 'BIGINT', update_time: 'BIGINT', execute_status: 'VARCHAR', usage: 'JSON'}})"
    questions = {
        "DuckDB: workflow and failed, newest 20": f"SELECT * FROM {table} WHERE workflow_id = '{some['workflow_id']}' AND execute_status = 'failed' ORDER BY create_time DESC LIMIT 20",  # noqa: S608
        "DuckDB: statistics by day of one workflow": f"SELECT create_time // 86400000, execute_status, count(*), quantile_disc(update_time - create_time, [0.5, 0.95, 0.99]) FROM {table} WHERE workflow_id = '{some['workflow_id']}' GROUP BY 1, 2",  # noqa: S608
    }
    for name, sql in questions.items():
        duckdb = _duckdb()
        if duckdb is None:
            lines.append(f"| {name} | not installed: pip install '.[bench]' |")
            continue
        began = time.perf_counter()
        duckdb.connect().execute(sql).fetchall()
        lines.append(f"| {name} | {(time.perf_counter() - began) * 1000:,.0f} ms |")
    began = time.perf_counter()
    pattern = f'"workflow_id":"{some["workflow_id"]}".*"execute_status":"failed"'
    subprocess.run(["grep", "-c", pattern, str(export)], check=True, capture_output=True)  # noqa: S607
    lines.append(f"| grep: workflow and failed | {(time.perf_counter() - began) * 1000:,.0f} ms |")
    return lines


async def _writer_cost(folder: Path, work: int) -> list[str]:
    """Create and finish per second by one client, without anybody asking and while the index follows."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    source = list(runs(work * 6, seed=3))
    for number in range(6):
        is_followed = bool(number % 2)
        async with ExecutionHistoryService(folder / f"writer{is_followed}", json_files=False) as service:
            if is_followed:
                await service.select(RecordQuery())
            batch = source[number * work : (number + 1) * work]
            rates[is_followed].append(await create_and_finish(service, batch, 1))
    alone, followed = median(rates[False]), median(rates[True])
    return [
        f"| create+finish per second, one client: nobody asks / the index follows | {alone:,.0f} / {followed:,.0f} |",
        f"| cost to the writer | {1 - followed / alone:.1%} |",
    ]


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(prog="python -m bench.finding", description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        print("\n".join(asyncio.run(measure(options.runs, folder))))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
