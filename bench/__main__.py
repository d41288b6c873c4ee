"""``python -m bench``: all measurements in one run, printed as Markdown tables with their ratios."""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from bench import ours, over_http
from bench.baselines import BareSQLite, WholeFileJSON
from bench.records import runs
from execution_history import ExecutionHistoryService

_LARGEST_WHOLE_FILE = 10_000


@dataclass
class Row:
    """What was measured at one number of stored runs."""

    stored: int
    one: float = 0
    bare_one: float = 0
    many: float = 0
    bare_many: float = 0
    page: float = 0
    five: float = 0
    get: float = 0
    whole_file: float | None = None
    opened: float = 0
    memory: float = 0
    bytes_per_byte: float = 0
    http: float = 0
    bare_http: float = 0


async def measure(stored: int, work: int, rounds: int, folder: Path) -> Row:
    """Everything at one size; ours and theirs take turns."""
    row = Row(stored)
    source = runs(stored + work * rounds * 12)
    mine, bare = folder / "ours", BareSQLite(folder / "bare")
    size = await ours.preload(mine, islice(source, stored))
    bare.preload(runs(stored))
    row.bytes_per_byte = ours.database_bytes(mine) / size
    row.opened, row.memory = ours.fresh_process(mine)
    async with ExecutionHistoryService(mine) as service:
        ids = sorted(await service.get_all_workflows())
        row.page, row.five, row.get = await ours.reads(service, ids)
        one, bare_one, many, bare_many = [], [], [], []
        for _ in range(rounds):
            batch, large = list(islice(source, work)), list(islice(source, work * 5))
            one.append(await ours.create_and_finish(service, batch, 1))
            bare_one.append(bare.create_and_finish(batch, 1))
            many.append(await ours.create_and_finish(service, large, 64))
            bare_many.append(bare.create_and_finish(large, 50))
        row.one, row.bare_one, row.many, row.bare_many = map(median, (one, bare_one, many, bare_many))
    if stored <= _LARGEST_WHOLE_FILE:
        whole = WholeFileJSON(folder / "whole")
        whole.preload(runs(stored))
        row.whole_file = whole.create_and_finish(list(islice(source, 200)))
    row.http, row.bare_http = over_http.first_page(mine, ids[0], folder)
    bare.close()
    return row


def table(rows: list[Row]) -> Iterator[str]:
    """The measurements of all sizes, one column each."""
    yield "| stored runs | " + " | ".join(f"{row.stored:,}" for row in rows) + " |"
    yield "|---" * (len(rows) + 1) + "|"
    lines = {
        "create+finish per second, one client": [
            f"{r.one:,.0f} ({r.one / r.bare_one:.2f} of bare SQLite)" for r in rows
        ],
        "the same, 64 clients": [f"{r.many:,.0f} ({r.many / r.bare_many:.2f} of bare, 50 per commit)" for r in rows],
        "bare SQLite, one per commit / 50 per commit": [f"{r.bare_one:,.0f} / {r.bare_many:,.0f}" for r in rows],
        "whole-file JSON": ["–" if r.whole_file is None else f"{r.whole_file:,.0f}" for r in rows],
        "first page of 20 as bytes, p50": [f"{r.page:.3f} ms" for r in rows],
        "get, p50": [f"{r.get:.3f} ms" for r in rows],
        "opening": [f"{r.opened:.3f} s" for r in rows],
        "memory of a process": [f"{r.memory:.0f} MB" for r in rows],
        "bytes on disk per byte of JSON": [f"{r.bytes_per_byte:.2f}" for r in rows],
        "first page over HTTP, per second": [
            f"{r.http:,.0f} ({r.http / r.bare_http:.2f} of bare Starlette)" for r in rows
        ],
        # A thousand runs of a hundred workflows have pages of ten: what grows is told by pages that all sizes fill.
        "a page of 5, get: beside the smallest size": [
            f"{r.five / rows[0].five:.2f} × / {r.get / rows[0].get:.2f} ×" for r in rows
        ],
        "writes beside the smallest size": [
            f"{rows[0].one / r.one:.2f} × / {rows[0].many / r.many:.2f} ×" for r in rows
        ],
    }
    for name, cells in lines.items():
        yield f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure the sizes that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000", help="stored runs, separated by commas")
    parser.add_argument("--work", type=int, default=1000, help="runs written in a round by one client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when not given")
    options = parser.parse_args()
    rows = []
    for stored in map(int, options.sizes.split(",")):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            rows.append(asyncio.run(measure(stored, options.work, options.rounds, folder)))
        finally:
            shutil.rmtree(folder)
        print(f"{stored:,} done", flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
