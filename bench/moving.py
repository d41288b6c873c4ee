"""``python -m bench.moving``: how quickly records leave a history and come into one, as a Markdown table.

The records are those of :mod:`bench.records`; each rate is of one run, and beside exports stands what it takes to copy
the file, beside imports what bare ``sqlite3`` takes for rows of the same bytes.
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path

from bench import ours
from bench.records import runs
from execution_history import ExecutionHistoryService
from execution_history.history.iteration import selected
from execution_history.query.fields import RecordFilter
from execution_history.stores import SQLiteStore
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import Export, export_to_path, import_history

_PATHS = ("execute_id", "workflow_id", "create_time", "execute_status", "output.score", "input.query")


async def _timed(work: Callable[[], Awaitable[int]]) -> tuple[int, float]:
    """How many records *work* moved, and how many that is per second."""
    began = time.perf_counter()
    records = await work()
    return records, records / (time.perf_counter() - began)


async def _exports(store: HistoryStore, out: Path) -> Iterator[str]:
    wide = RecordFilter(statuses=("success",))
    kinds = {
        "JSON Lines, everything": ("all.jsonl", Export()),
        "JSON Lines, the nine in ten that succeeded": ("some.jsonl", Export(record_filter=wide)),
        "CSV, ten default columns": ("all.csv", Export(format="csv")),
        "CSV, six columns, two of them paths": ("paths.csv", Export(format="csv", columns=_PATHS)),
        "Parquet": ("all.parquet", Export(format="parquet")),
        "JSON, a folder with a file for every workflow": ("folder", Export(format="json")),
        "JSON, a zip file of the same": ("all.zip", Export(format="json")),
    }
    # The first question to an index waits until that has followed; this is not the export's time.
    async for _ in selected(store, RecordFilter(workflow_ids=("none",)), descending=True):
        pass
    lines = []
    for name, (place, export) in kinds.items():
        path = out / place

        async def work(path: Path = path, export: Export = export) -> int:
            return (await export_to_path(ExecutionHistoryService(store), path, export)).records

        records, rate = await _timed(work)
        size = sum(each.stat().st_size for each in ([path] if path.is_file() else path.iterdir()))
        lines.append(f"| export: {name} | {rate:,.0f} | {records:,} records, {size / 1e6:,.0f} MB |")
    return iter(lines)


async def _imports(out: Path, folder: Path) -> Iterator[str]:
    lines = []
    for name, source, json_files in (
        ("JSON Lines, without JSON files", "all.jsonl", False),
        ("JSON Lines, with JSON files, until these are whole", "all.jsonl", True),
        ("JSON, the folder", "folder", False),
        ("a folder of ours (its database)", "../ours", False),
    ):
        place = folder / "copy"
        store = SQLiteStore(place, json_files=json_files)

        async def work(store: HistoryStore = store, source: str = source) -> int:
            return (await import_history(ExecutionHistoryService(store), [out / source])).added

        records, rate = await _timed(work)
        lines.append(f"| import: {name} | {rate:,.0f} | {records:,} records |")
        if source == "all.jsonl" and not json_files:
            began = time.perf_counter()
            again = (await import_history(ExecutionHistoryService(store), [out / source])).skipped
            rate = again / (time.perf_counter() - began)
            lines.append(
                f"| import: the same once more, where all is there already | {rate:,.0f} | {again:,} skipped |"
            )
        await store.aclose()
        shutil.rmtree(place)
    return iter(lines)


def _copy(path: Path) -> str:
    """Copying the file of JSON Lines, and having it on the disk."""
    began = time.perf_counter()
    with path.open("rb") as source, path.with_suffix(".copy").open("wb") as copy:
        shutil.copyfileobj(source, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())
    spent = time.perf_counter() - began
    path.with_suffix(".copy").unlink()
    with path.open("rb") as source:
        count = sum(1 for _ in source)
    return f"| beside it: copying the JSON Lines file | {count / spent:,.0f} | |"


def _bare(path: Path, folder: Path) -> str:
    """Bare ``sqlite3``: the lines as they are, with an id, five hundred in a transaction."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE runs (id TEXT PRIMARY KEY, document BLOB)",
    ):
        connection.execute(statement)
    began = time.perf_counter()
    count = 0
    with path.open("rb") as source:
        while lines := list(islice(source, 500)):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO runs VALUES (?, ?)", [(line[15:51], line) for line in lines])
            connection.execute("COMMIT")
            count += len(lines)
    spent = time.perf_counter() - began
    connection.close()
    return f"| beside it: bare sqlite3, the lines unparsed, 500 in a transaction | {count / spent:,.0f} | |"


async def measure(count: int, folder: Path) -> Iterator[str]:
    """Everything, as the lines of a Markdown table."""
    mine, out = folder / "ours", folder / "out"
    out.mkdir()
    await ours.preload(mine, runs(count))
    store = SQLiteStore(mine)
    await store.open()
    lines = [f"| {count:,} records | records per second | |", "|---|---|---|", *await _exports(store, out)]
    await store.aclose()
    lines.append(_copy(out / "all.jsonl"))
    lines += await _imports(out, folder)
    lines.append(_bare(out / "all.jsonl", folder))
    return iter(lines)


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(prog="python -m bench.moving", description=__doc__)
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
