"""The shared store on a PostgreSQL server: writing beside psycopg alone and DBOS, and the gateway beside that on SQLite.

All work on one server with durable settings, in schemas of their own, and take turns.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench import http_load
from bench.figures import Goal, Measure, Sample
from bench.gateway import RECORDED, Proxy, account_at, round_of, upstream_server
from bench.machine import allow_many_files
from bench.postgres_server import Postgres, served
from bench.setup import Code, Setup

_PROGRAMS: Final = "bench.postgres_programs"
_MANY, _ALONE = "64 callers", "1 caller"
_PROCESSES: Final = {2: "64 callers in each of 2 processes", 4: "64 callers in each of 4 processes"}
_BARE, _BARE_ALONE = "psycopg, 50 a commit", "psycopg, 1 a commit"
_DBOS, _DBOS_ALONE = "DBOS, 64 callers", "DBOS, 1 caller"
_SERVER: Final = "server's CPU"
_KINDS: Final = ("run", "stream_run")
_SHARED, _EMBEDDED = "on PostgreSQL", "on SQLite"
_GATEWAY_GOAL: Final = Goal(of="ratio", at_least=0.8)
_WRITERS: Final = (_MANY, _ALONE, *_PROCESSES.values(), _BARE, _BARE_ALONE, _DBOS, _DBOS_ALONE)

POSTGRES: Final = (
    Measure(_MANY, "/s", _BARE, Goal(of="ratio", at_least=0.5)),
    Measure(_MANY, "/s", _DBOS),
    *(Measure(name, "/s", _MANY) for name in _PROCESSES.values()),
    Measure(_ALONE, "/s", _BARE_ALONE),
    Measure(_ALONE, "/s", _DBOS_ALONE),
    Measure(f"{_SERVER}, {_MANY}", "µs", f"{_SERVER}, {_BARE}"),
    Measure(f"{_SERVER}, {_ALONE}", "µs", f"{_SERVER}, {_BARE_ALONE}"),
    *(Measure(f"{_SERVER}, {name}", "µs", f"{_SERVER}, {_MANY}") for name in _PROCESSES.values()),
    Measure(f"{_SERVER}, {_DBOS}", "µs", f"{_SERVER}, {_BARE}"),
    *(Measure(f"{kind}, {_SHARED}", "/s", f"{kind}, {_EMBEDDED}", _GATEWAY_GOAL) for kind in _KINDS),
    *(Measure(f"{_SERVER}, {kind}, {_SHARED}", "µs") for kind in _KINDS),
    *(
        Measure(f"first byte {at}, {_SHARED}", "ms", f"first byte {at}, {_EMBEDDED}")
        for at in ("p50", "p99")
    ),
    *(Measure(name, "/s", is_detail=True) for name in (_BARE, _BARE_ALONE, _DBOS, _DBOS_ALONE)),
    *(Measure(f"{_SERVER}, {name}", "µs", is_detail=True) for name in (_BARE, _BARE_ALONE, _DBOS, _DBOS_ALONE)),
    *(Measure(f"{name}, {_EMBEDDED}", unit, is_detail=True)
      for name, unit in (("run", "/s"), ("stream_run", "/s"), ("first byte p50", "ms"), ("first byte p99", "ms"))),
)  # fmt: skip
"""Pairs of create and finish, and runs that pass a gateway; CPU times are microseconds for each, of our processes or the
one that is compared with; those of the server stand beside them."""


def postgres(setup: Setup) -> Iterator[Sample]:
    """Measure writing and the gateway; nothing where there is no server."""
    allow_many_files()
    with server_for(setup) as server:
        if server is not None:
            yield from _written(setup, server)
            yield from _passed(setup, server)


@contextlib.contextmanager
def server_for(setup: Setup) -> Iterator[Postgres | None]:
    """Start a server for this run; ``None`` with a remark where the package is missing."""
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    try:
        with contextlib.ExitStack() as stack:
            try:
                server = stack.enter_context(served(folder / "data"))
            except ImportError as error:
                setup.remark(f"PostgreSQL was left out ({error.name} is missing): pip install '.[bench]' installs it.")
                server = None
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(setup: Setup, server: Postgres) -> Iterator[Sample]:
    many, few = setup.size(6_000, 100), setup.size(600, 20)
    for number in setup.turns():
        contestants: list[tuple[str, Code | None]] = [(name, code) for name in _WRITERS[:4] for code in setup.codes] + [
            (name, None) for name in _WRITERS[4:] if setup.has_baselines
        ]
        for name, code in setup.in_turn(contestants, number):
            count = few if name in {_ALONE, _BARE_ALONE, _DBOS_ALONE} else many
            found = _round(setup, server, name, code, count, number)
            if found is not None:
                label = code.name if code else ""
                yield Sample(name, found["rate"], found["cpu"], label)
                yield Sample(f"{_SERVER}, {name}", found["server"], code=label)


def _round(
    setup: Setup, server: Postgres, name: str, code: Code | None, count: int, number: int
) -> dict[str, float] | None:
    """Let one contestant write so many pairs into new tables."""
    schema = f"round_{number}_{abs(hash((name, code and code.name))):x}"[:60]
    url, seed = server.history(schema), 1_000 * (number + 1)
    clients = 1 if name in {_ALONE, _BARE_ALONE, _DBOS_ALONE} else 64
    options: dict[str, Any] = {"module": _PROGRAMS, "seed": seed, "server": server.process}
    if name in {_DBOS, _DBOS_ALONE}:
        try:
            return setup.call(
                None, "dbos_write", url=_database(server, schema), pairs=count, clients=clients, **options
            )
        except SystemExit:
            setup.remark("DBOS was left out: pip install '.[bench]' installs it.")
            return None
    setup.call(code, "tables", module=_PROGRAMS, url=url)
    if name in {_BARE, _BARE_ALONE}:
        per_commit = 1 if name == _BARE_ALONE else 50
        return setup.call(
            None, "bare_write", dsn=server.url, schema=schema, pairs=count, per_commit=per_commit, **options
        )
    processes = next((each for each, of in _PROCESSES.items() if of == name), 1)
    at = time.time() + setup.size(8, 2) + 2 * processes

    def written(place: int) -> dict[str, float]:
        more = options | {"seed": seed + place}
        return setup.call(code, "write", url=url, pairs=count // processes, clients=clients, at=at, **more)

    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(written, range(processes)))
    pairs = count // processes * processes
    spent = max(each["ended"] for each in found) - at
    return {
        "rate": found[0]["rate"] if processes == 1 else pairs / spent,
        "cpu": sum(each["cpu"] for each in found) / processes,
        # Each has seen what the server did for all of them.
        "server": sum(each["server"] for each in found) / processes / processes,
    }


def _database(server: Postgres, name: str) -> str:
    """Make a database; its URL."""
    import psycopg  # noqa: PLC0415 - an extra

    with contextlib.closing(psycopg.connect(server.url, autocommit=True)) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.url.replace("/postgres?", f"/{name}?", 1)


def _passed(setup: Setup, server: Postgres) -> Iterator[Sample]:
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(upstream_server())
        proxies: list[Proxy] = []
        for code in setup.codes:
            stores: dict[str, Path | str] = {
                _SHARED: server.history(f"gateway_{len(proxies)}"),
                _EMBEDDED: setup.folder(),
            }
            for name, store in stores.items():
                serving = stack.enter_context(setup.serving(code, store, **account_at(upstream)))
                proxies.append(Proxy(name, code.name, serving, RECORDED))
        for proxy in proxies:
            for kind in _KINDS:
                http_load.rate(proxy.server.port, proxy.call(kind), 16, most=setup.size(300, 20))
        for number in setup.turns():
            for proxy in setup.in_turn(proxies, number):
                used = server.cpu_seconds()
                for sample in round_of(setup, proxy):
                    yield sample
                    if sample.name.partition(",")[0] in _KINDS and proxy.name == _SHARED:
                        spent, used = server.cpu_seconds() - used, server.cpu_seconds()
                        runs = sample.value * setup.size(30, 2) / 10
                        yield replace(sample, name=f"{_SERVER}, {sample.name}", value=spent / runs * 1e6, cpu=None)
