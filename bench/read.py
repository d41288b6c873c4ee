"""Reading and moving: first pages, single records, opening, memory and size; exports and imports."""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from bench.figures import Measure, Sample
from bench.machine import cpu_seconds
from bench.search import p50
from bench.setup import Code, Server, Setup, free_port, listening

_SMALL, _LARGE = "1,000 runs", "100,000 runs"
_STARLETTE: Final = "Starlette, same bytes"
_BARE: Final = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
content = open(sys.argv[1], "rb").read()
async def page(request):
    return Response(content, media_type="application/json")
app = Starlette(routes=[Route("/page", page)])
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False, http="h11", loop="asyncio")
"""
_KINDS: Final = {"first page": "ms", "get": "ms", "opening": "ms", "memory": "MB", "disk per byte": "bytes"}

READ: Final = (
    *(Measure(f"{kind}, {_LARGE}", unit, f"{kind}, {_SMALL}") for kind, unit in _KINDS.items()),
    Measure("first page over HTTP", "ms", _STARLETTE),
    *(Measure(f"{kind}, {_SMALL}", unit, is_detail=True) for kind, unit in _KINDS.items()),
    Measure(_STARLETTE, "ms", is_detail=True),
)
"""What a process of its own reads, at two sizes; the CPU time is in microseconds a call."""


def read(setup: Setup) -> Iterator[Sample]:
    """Measure reading at two sizes, and the first page over HTTP."""
    sizes = {_SMALL: setup.size(1_000, 200), _LARGE: setup.size(100_000, 1_000)}
    stores = {(code, size): setup.history(code, count) for code in setup.codes for size, count in sizes.items()}
    for (code, size), store in stores.items():
        yield Sample(f"disk per byte, {size}", store.database / store.json, code=code.name)
    for number in setup.turns():
        for (code, size), store in setup.in_turn(list(stores.items()), number):
            found = setup.call(code, "read", folder=store.folder, times=setup.size(2_000, 20))
            for kind, name in (("first page", "page"), ("get", "get")):
                yield Sample(f"{kind}, {size}", found[name]["p50"], found[name]["cpu"], code.name)
            yield Sample(f"opening, {size}", found["opening"] * 1000, code=code.name)
            yield Sample(f"memory, {size}", found["memory"], code=code.name)
    for code in setup.codes:
        yield from _over_http(setup, code, stores[code, _LARGE].folder)


def _over_http(setup: Setup, code: Code, store: Path) -> Iterator[Sample]:
    address, content, port = "/coze/workflows/large-0/history", setup.folder(), free_port()
    with setup.serving(code, store) as server:
        content.write_bytes(server.get(address))
        bare = [sys.executable, "-c", _BARE, str(content), str(port)]
        with listening(bare, setup.scratch, setup.variables(code), port) as other:
            for _ in setup.turns():
                yield _page(setup, server, address, "first page over HTTP", code.name)
                yield _page(setup, other, "/page", _STARLETTE, "")


def _page(setup: Setup, server: Server, address: str, name: str, code: str) -> Sample:
    connection, times, used = server.connection(), setup.size(500, 10), cpu_seconds(server.process)
    spent = p50(server, connection, address, times)
    connection.close()
    return Sample(name, spent, (cpu_seconds(server.process) - used) / (times + 1) * 1e6, code)


_EXPORTS: Final = {"JSON Lines": "all.jsonl", "CSV": "all.csv", "Parquet": "all.parquet", "a zip of JSON": "all.zip"}
_COPY, _ROWS = "copying the file", "sqlite3 rows"

TRANSFER: Final = (
    *(Measure(f"export: {kind}", "/s", _COPY if kind == "JSON Lines" else "export: JSON Lines") for kind in _EXPORTS),
    Measure("import, no JSON files", "/s", _ROWS),
    Measure("import, JSON files", "/s", _ROWS),
    Measure("import once more", "/s", "import, JSON files"),
    Measure(_COPY, "/s", is_detail=True),
    Measure(_ROWS, "/s", is_detail=True),
)
"""Records a second that commands move, from their start to their end."""


def transfer(setup: Setup) -> Iterator[Sample]:
    """Measure exports of a history of 50,000 runs, and imports of the JSON Lines."""
    count = setup.size(50_000, 200)
    stores = {code: setup.history(code, count).folder for code in setup.codes}
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            out = setup.folder()
            out.mkdir()
            for kind, file in _EXPORTS.items():
                found = setup.command(code, "export", "--store", stores[code], "--output", out / file)
                yield Sample(f"export: {kind}", count / found.wall, found.cpu / count * 1e6, code.name)
            copy, export = setup.folder(), out / "all.jsonl"
            for name, place, files in (
                ("import, no JSON files", setup.folder(), "false"),
                ("import, JSON files", copy, "true"),
                ("import once more", copy, "true"),
            ):
                variables = {"EXECUTION_HISTORY_JSON_FILES": files}
                found = setup.command(code, "import", "--store", place, export, **variables)
                yield Sample(name, count / found.wall, found.cpu / count * 1e6, code.name)
        if setup.has_baselines:
            yield _copied(export, count)
            yield _as_rows(export, setup.folder(), count)
        shutil.rmtree(out)


def _copied(path: Path, count: int) -> Sample:
    """Copy a file, and have it on the disk."""
    began, used, copy = time.perf_counter(), time.process_time(), path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return Sample(_COPY, count / (time.perf_counter() - began), (time.process_time() - used) / count * 1e6)


def _as_rows(path: Path, folder: Path, count: int) -> Sample:
    """Store the lines as they are with an id, five hundred in a transaction."""
    folder.mkdir()
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE r (id TEXT PRIMARY KEY, d)",
    ):
        connection.execute(statement)
    began, used = time.perf_counter(), time.process_time()
    with path.open("rb") as source:
        while lines := list(islice(source, 500)):
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO r VALUES (?, ?)", [(line[15:51], line) for line in lines])
            connection.execute("COMMIT")
    connection.close()
    return Sample(_ROWS, count / (time.perf_counter() - began), (time.process_time() - used) / count * 1e6)
