"""``python -m bench database FOLDER``: the same history in PostgreSQL and in the embedded store, and the same questions.

Both are made where they are missing, in FOLDER and beside each other, without JSON files. The servers of both answer over
HTTP and take turns.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from bench import fixture as fixtures
from bench import questions
from bench.figures import Goal, Measure, Sample
from bench.fixture import Fixture
from bench.postgres_load import load
from bench.postgres_server import Postgres, served
from bench.search import asked
from bench.setup import Code, Server, Setup

_SHARED, _EMBEDDED = "", ", SQLite"
_TWICE: Final = Goal(of="ratio", at_most=2)
_NAMES: Final = Fixture(100, 0)
_KINDS: Final = tuple(
    f"{kind}, {at}"
    for kind in ("filter", "condition", "text", "text, one hit", "statistics")
    for at in ("median", "slowest")
)
_QUESTIONS: Final = (
    *(f"filter: {name}" for name in questions.filters(_NAMES)),
    *(f"condition: {name}" for name in questions.conditions(_NAMES)),
    *(f"text: {name}" for name in questions.texts()),
    *(f"statistics: {name}" for name in questions.statistics(_NAMES)),
)
_CALLS: Final = ("first page", "get", "counts of all workflows")


def _row(name: str, goal: Goal | None = _TWICE, *, is_detail: bool = False) -> tuple[Measure, Measure]:
    return Measure(name, "ms", name + _EMBEDDED, goal, is_detail), Measure(name + _EMBEDDED, "ms", is_detail=True)


DATABASE: Final = (
    Measure("first page", "ms", goal=Goal(at_most=2)),
    *(row for name in _CALLS for row in _row(name, _TWICE if name.startswith("counts") else None)),
    *(row for name in _KINDS for row in _row(name)),
    *(row for name in _QUESTIONS for row in _row(name, is_detail=True)),
)
"""Median milliseconds: of calls in a process of its own, and of questions over HTTP. What has no mark is PostgreSQL."""


def database(setup: Setup, folder: Path, runs: int, *, is_short: bool) -> Iterator[Sample]:
    """Measure reading and questions in both."""
    fixture, code = fixtures.begun(folder, runs, is_short=is_short), setup.codes[0]
    with served(folder / "pg", "stop") as server:
        stores: dict[str, Path | str] = {_SHARED: _made(server, folder, fixture), _EMBEDDED: folder / "history"}
        _check_that_they_agree(setup, code, list(stores.values()), fixture)
        for number in setup.turns():
            for name, store in setup.in_turn(list(stores.items()), number):
                yield from (replace(each, name=each.name + name) for each in _turn(setup, code, store, fixture))


def _made(server: Postgres, folder: Path, fixture: Fixture) -> str:
    """Make both at once, as the embedded one keeps a single core busy; the URL of the other."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        embedded = pool.submit(_make_embedded, folder, fixture)
        url = load(server, fixture)
        embedded.result()
    return url


def _make_embedded(folder: Path, fixture: Fixture) -> None:
    asyncio.run(fixtures.make(folder, fixture.runs, is_short=fixture.is_short, json_files=False))


def _check_that_they_agree(setup: Setup, code: Code, stores: Sequence[Path | str], fixture: Fixture) -> None:
    """Ask both for their counts, pages and statistics.

    Raises:
        SystemExit: they answer differently.
    """
    asked_for = {"counts": "/coze/workflows", **questions.filters(fixture), **questions.statistics(fixture)}
    asked_for |= questions.texts()
    found = []
    for store in stores:
        with _serving(setup, code, store) as server:
            found.append({name: orjson.loads(server.get(address)) for name, address in asked_for.items()})
    differing = [name for name in asked_for if _decided(found[0][name]) != _decided(found[1][name])]
    if differing:
        raise SystemExit(f"The two histories differ in: {', '.join(differing)}.")


def _decided(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the total of a page, which may be a lower bound."""
    return {name: value for name, value in answer.items() if name not in {"total", "total_is_exact"}}


def _serving(setup: Setup, code: Code, store: Path | str) -> AbstractContextManager[Server]:
    return setup.serving(code, store, EXECUTION_HISTORY_JSON_FILES="false")


def _turn(setup: Setup, code: Code, store: Path | str, fixture: Fixture) -> Iterator[Sample]:
    found = setup.call(code, "read", folder=store, times=setup.size(500, 20), json_files=False)
    for name, key in zip(_CALLS, ("page", "get", "counts"), strict=True):
        yield Sample(name, found[key]["p50"], found[key]["cpu"], code.name)
    with _serving(setup, code, store) as server:
        server.get("/coze/workflows")
        began = time.monotonic()
        yield from asked(server, fixture, setup.size(5, 2), code.name)
        print(f"  questions: {time.monotonic() - began:,.0f} s", flush=True)
