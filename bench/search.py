"""Questions to a history of 100,000 runs: filters, texts, statistics, and the pages that people look at."""

import importlib
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from bench import questions
from bench.figures import Goal, Measure, Sample
from bench.fixture import Fixture
from bench.machine import cpu_seconds
from bench.records import nouns
from bench.setup import Server, Setup

_DUCKDB, _GREP = "DuckDB on an export", "grep on an export"
_FLOOR: Final = "no question"
_NAMES: Final = Fixture(100, 0)


@dataclass(frozen=True, slots=True)
class _Set:
    """Questions of one kind: their addresses, the bound on each, and what else answers one of them."""

    name: str
    addresses: Mapping[str, str]
    most: float | None


def _sets(fixture: Fixture) -> tuple[_Set, ...]:
    return (
        _Set("filter", questions.filters(fixture), 10),
        _Set("condition", questions.conditions(fixture), None),
        _Set("text", questions.texts(), 50),
        _Set("text, one hit", questions.texts(page_size=1), 50),
        _Set("statistics", questions.statistics(fixture), None),
    )


def _rows_of(kind: _Set) -> Iterator[Measure]:
    goal = None if kind.most is None else Goal(at_most=kind.most)
    for at in ("median", "slowest"):
        yield Measure(f"{kind.name}, {at}", "ms", _FLOOR, goal if at == "slowest" else None)
        if kind.name == "text":
            yield Measure(f"{kind.name}, {at}", "ms", _GREP)
            yield Measure(f"{kind.name}, {at}", "ms", _DUCKDB)
    for name in kind.addresses:
        yield Measure(f"{kind.name}: {name}", "ms", is_detail=True)


QUESTIONS: Final = (
    *(row for kind in _sets(_NAMES) for row in _rows_of(kind)),
    *(Measure(name, "ms", is_detail=True) for name in (_FLOOR, _GREP, _DUCKDB)),
)
"""Median milliseconds of a question over HTTP; the CPU time is that of the server, in microseconds a question."""


def search(setup: Setup) -> Iterator[Sample]:
    """Measure questions to a history of 100,000 runs, and what other tools take for one of them."""
    fixture = setup.fixture(setup.size(100_000, 1_000))
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            with setup.serving(code, setup.history(code, fixture.runs).folder) as server:
                yield from asked(server, fixture, setup.size(30, 2), code.name)
    if setup.has_baselines:
        export = setup.folder().with_suffix(".jsonl")
        fixture.write(export)
        for _ in setup.turns(3):
            yield from _others(setup, export)


def asked(server: Server, fixture: Fixture, times: int, code: str) -> Iterator[Sample]:
    """Put every question to a server several times, and once before that counts."""
    connection = server.connection()
    yield Sample(_FLOOR, p50(server, connection, "/healthz", times))
    for kind in _sets(fixture):
        spent = {}
        used = cpu_seconds(server.process)
        for name, address in kind.addresses.items():
            spent[name] = p50(server, connection, address, times)
            yield Sample(f"{kind.name}: {name}", spent[name], code=code)
        cpu = (cpu_seconds(server.process) - used) / len(spent) / (times + 1) * 1e6
        yield Sample(f"{kind.name}, median", median(spent.values()), cpu, code)
        yield Sample(f"{kind.name}, slowest", max(spent.values()), code=code)
    connection.close()


def p50(server: Server, connection: Any, address: str, times: int) -> float:
    """Return the median milliseconds of an address."""
    return median(_times(server, connection, address, times))


def _times(server: Server, connection: Any, address: str, times: int) -> list[float]:
    server.get(address, connection)
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        server.get(address, connection)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def _others(setup: Setup, export: Path) -> Iterator[Sample]:
    """Count the records with a frequent word by other tools, which neither fold case or width, nor sort."""
    word = nouns(chinese=False)[0]
    began = time.perf_counter()
    subprocess.run(["grep", "-cF", word, str(export)], check=False, capture_output=True)  # noqa: S607 - whichever is there
    yield Sample(_GREP, (time.perf_counter() - began) * 1000)
    try:
        duckdb = importlib.import_module("duckdb")
    except ImportError:
        setup.remark("DuckDB was left out: pip install '.[bench]' installs it.")
        return
    table = f"read_csv('{export}', columns={{line: 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false, max_line_size=20000000)"
    began, used = time.perf_counter(), time.process_time()
    duckdb.connect().execute(f"SELECT count(*) FROM {table} WHERE line LIKE '%{word}%'").fetchall()  # noqa: S608 - the word is ours
    yield Sample(_DUCKDB, (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1e6)


def _page_rows() -> Iterator[Measure]:
    for name in questions.pages(Fixture(1_000, 0)):
        yield Measure(f"{name}, p50", "ms", _FLOOR)
        yield Measure(f"{name}, p95", "ms", is_detail=True)
        yield Measure(f"{name}, with all it loads", "KB", is_detail=True)


PAGES: Final = (*_page_rows(), Measure(_FLOOR, "ms", is_detail=True))
"""Milliseconds of the server for a page at 100,000 runs, and its weight on the wire, compressed."""


def pages(setup: Setup) -> Iterator[Sample]:
    """Measure the pages of a history of 100,000 runs."""
    fixture = setup.fixture(setup.size(100_000, 1_000))
    addresses = questions.pages(fixture)
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            with setup.serving(code, setup.history(code, fixture.runs).folder) as server:
                connection = server.connection()
                yield Sample(_FLOOR, p50(server, connection, "/healthz", 30))
                for name, address in addresses.items():
                    used = cpu_seconds(server.process)
                    spent = _times(server, connection, address, setup.size(50, 3))
                    cpu = (cpu_seconds(server.process) - used) / (len(spent) + 1) * 1e6
                    yield Sample(f"{name}, p50", median(spent), cpu, code.name)
                    yield Sample(f"{name}, p95", quantiles(spent, n=20)[18], code=code.name)
                    yield Sample(f"{name}, with all it loads", _weight(server, address), code=code.name)


def _weight(server: Server, address: str) -> float:
    """Return the kilobytes of a page and of what it loads, as browsers get them."""
    connection = server.connection()

    def size(of: str) -> int:
        connection.request("GET", of, headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
        return len(connection.getresponse().read())

    text = server.get(address).decode()
    loaded = set(re.findall(r"/assets/[0-9a-f]{12}/[a-z.]+", text))
    total = size(address) + sum(map(size, loaded))
    connection.close()
    return total / 1000
