"""``python -m bench.searching``: text search, its index and its price, beside ``grep`` and DuckDB on an export.

The records are those of :mod:`bench.records`: half of them Chinese, nouns by Zipf's law. Words are chosen by their rank: the
first noun of a language stands in about every second record of that language, the 200th in one of a hundred, the
15 000th in a few of a hundred thousand.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import apsw
import orjson

from bench.finding import _duckdb, _p50
from bench.ours import create_and_finish
from bench.records import nouns, runs
from execution_history import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.query.text import parse_search, searched_text, snippets
from execution_history.records.record import Document
from execution_history.stores.sqlite.index import TextIndex

_TRANSACTION = 1_000


def _questions(number: str) -> dict[str, RecordQuery]:
    en, zh = nouns(chinese=False), nouns(chinese=True)
    texts = {
        "frequent word": en[0],
        "frequent word, whole": f'"{en[0]}"',
        "word of one record in a hundred": en[200],
        "rare word": en[15_000],
        "rare word, whole": f'"{en[15_000]}"',
        "absent word": "zyzzyva",
        "number of one record": number,
        "prefix": "sens*",
        "part of a word": "epor",
        "part of rare words": en[15_000][2:],
        "two frequent words": f"{en[0]} {en[1]}",
        "frequent and rare word": f"{en[0]} {en[15_000]}",
        "phrase": '"what was planned"',
        "without a word": f"{en[0]} -{en[1]}",
        "Chinese, one frequent character": "的",
        "Chinese, one rarer character": "疫" if "疫" in "".join(zh[:40]) else zh[40][0],
        "Chinese word, frequent": zh[0],
        "Chinese word, rare": zh[15_000],
        "Chinese phrase": "安静的" + zh[1],
        "Chinese, not beside each other": f"{zh[0]} {zh[300]}",
        "both languages": f"percent {zh[0]}",
    }
    found = {f"{name}: {text}": RecordQuery(filter=RecordFilter(text=text)) for name, text in texts.items()}
    failed = RecordFilter(text=en[0], statuses=("failed",))
    found["frequent word, failed"] = RecordQuery(filter=failed)
    found["frequent word, by duration"] = RecordQuery(filter=RecordFilter(text=en[0]), sort="duration")
    return found


def _index_alone(count: int, folder: Path) -> Iterator[str]:
    """What adding costs, and how large the tables are."""
    index, connection = TextIndex(), apsw.Connection(str(folder / "text.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 1)
    index.create_tables(connection)
    source, spent, size, characters = runs(count), 0.0, 0, 0
    rowid = 0
    while batch := [run.document().body for run in islice(source, _TRANSACTION)]:
        records = [orjson.loads(body) for body in batch]
        size += sum(map(len, batch))
        characters += sum(len(searched_text(record).encode()) for record in records)
        began = time.perf_counter()
        with connection:
            for record in records:
                rowid += 1
                index.put(connection, rowid, index.prepare(record))
        spent += time.perf_counter() - began
    connection.pragma("wal_checkpoint", "truncate")
    connection.close()
    disk = (folder / "text.db").stat().st_size
    yield f"| added, {_TRANSACTION:,} in a transaction | {spent / count * 1e6:.1f} µs a record |"
    yield f"| on disk per byte of JSON / of searched text | {disk / size:.3f} / {disk / characters:.3f} |"
    (folder / "text.db").unlink()


async def measure(count: int, folder: Path) -> Iterator[str]:
    """Everything, as the lines of a Markdown table."""
    export, number = folder / "export.jsonl", ""

    def documents() -> Iterator[Document]:
        nonlocal number
        with export.open("wb") as file:
            for run in runs(count):
                document = run.document()
                if not number and "order" in run.parameters:
                    number = str(run.parameters["order"]["id"])
                file.write(document.body + b"\n")
                yield document

    lines = [f"| {count:,} records | |", "|---|---|", *_index_alone(count, folder)]
    async with ExecutionHistoryService(folder / "h", json_files=False) as service:
        await service.store.merge(documents())
        began = time.perf_counter()
        await service.rebuild_index()
        lines.append(f"| index.db built, texts and facets | {count / (time.perf_counter() - began):,.0f} records/s |")
        for name, query in _questions(number).items():
            began = time.perf_counter()
            page = await service.select(query)
            first = (time.perf_counter() - began) * 1000
            spent = await _p50(lambda query=query: service.select(query), 15)  # type: ignore[misc]
            exact = "" if page.total_is_exact else "at least "
            lines.append(f"| {name} ({exact}{page.total:,}) | {spent:.2f} ms, first {first:.1f} ms |")
        lines.append(f"| snippets of a page of 20 | {_snippets(page.documents, nouns(chinese=False)[0]):.2f} ms |")
    lines += _others(export)
    lines += await _writer_cost(folder, min(count, 3_000))
    return iter(lines)


def _snippets(documents: object, text: str) -> float:
    records = [orjson.loads(body) for body in documents]  # type: ignore[attr-defined]
    search, spent = parse_search(text), []
    for _ in range(50):
        began = time.perf_counter()
        assert all(snippets(record, search) for record in records)
        spent.append(time.perf_counter() - began)
    return median(spent) * 1000


def _others(export: Path) -> Iterator[str]:
    """``grep`` and DuckDB on the export; neither folds case or width, neither sorts."""
    words = (nouns(chinese=False)[0], nouns(chinese=False)[15_000], nouns(chinese=True)[0])
    for word in words:
        began = time.perf_counter()
        subprocess.run(["grep", "-cF", word, str(export)], check=False, capture_output=True)  # noqa: S607
        yield f"| grep -c: {word} | {(time.perf_counter() - began) * 1000:,.0f} ms |"
    duckdb = _duckdb()
    if duckdb is None:
        yield "| DuckDB | not installed: pip install '.[bench]' |"
        return
    table = f"read_csv('{export}', columns={{line: 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false, max_line_size=20000000)"
    for word in words:
        began = time.perf_counter()
        duckdb.connect().execute(f"SELECT count(*) FROM {table} WHERE line LIKE '%{word}%'").fetchall()  # noqa: S608
        yield f"| DuckDB LIKE: {word} | {(time.perf_counter() - began) * 1000:,.0f} ms |"


async def _writer_cost(folder: Path, work: int) -> Iterator[str]:
    """Create and finish per second by one client: nobody asks, the facets follow, facets and texts follow."""
    kinds = {"nobody asks": None, "facets follow": False, "facets and texts follow": True}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    source = runs(work * 15, seed=3)
    for _ in range(5):
        for name, search in kinds.items():
            async with ExecutionHistoryService(folder / name, json_files=False, search=bool(search)) as service:
                if search is not None:
                    await service.select(RecordQuery())
                rates[name].append(await create_and_finish(service, list(islice(source, work)), 1))
    rate = {name: median(found) for name, found in rates.items()}
    most = max(rate.values())
    return iter(f"| create+finish per second, one client, {n} | {r:,.0f} ({r / most:.0%}) |" for n, r in rate.items())


def main() -> None:
    """Measure one size."""
    parser = argparse.ArgumentParser(prog="python -m bench.searching", description=__doc__)
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
