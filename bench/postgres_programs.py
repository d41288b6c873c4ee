"""Programs of the bench that work on a PostgreSQL server: as :mod:`bench.programs`, each in a process of its own.

What is bare uses nothing of ours but the tables, which were made before, and the terms of its records, which are made
before the time is taken.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bench import programs
from bench.machine import family_seconds
from bench.records import Run, runs

if TYPE_CHECKING:
    import psycopg

_STATES: Final = ("running", "success", "failed", "interrupted")
_CREATE: Final = (
    "INSERT INTO executions (workflow_id, execute_id, seq, version, create_time, update_time, status, size, packing, "
    "has_output, pinned, bot, conversation, document) "
    "VALUES (%s, %s, %s, %s, %s, %s, 0, %s, 0, false, false, %s, %s, %s)"
)
_FINISH: Final = (
    "UPDATE executions SET version = version + 1, update_time = %s, status = %s, duration = %s, tokens = %s, size = %s, "
    "has_output = true, error_code = %s, terms = %s, document = %s WHERE workflow_id = %s AND execute_id = %s"
)


def _counted(count: int, began: tuple[float, float], server: int, used: float) -> dict[str, float]:
    """Return what :func:`bench.programs.rate_since` does, and microseconds of the server's CPU time for each."""
    found = programs.rate_since(count, began)
    return {**found, "server": (family_seconds(server) - used) / count * 1e6, "ended": time.time()}


async def tables(url: str) -> dict[str, Any]:
    """Make the tables of a history."""
    async with programs.service_at(url) as service:
        return {"workflows": len(await service.workflow_summaries())}


async def write(url: str, *, pairs: int, clients: int, seed: int, server: int, at: float) -> dict[str, float]:
    """Create and finish runs by so many callers at once, from the time *at* on; a tenth is written before that."""
    todo = list(runs(pairs + pairs // 10, seed=seed))
    async with programs.service_at(url) as service:
        await programs.pairs_by(service, todo[: pairs // 10], clients)
        await asyncio.sleep(max(0.0, at - time.time()))
        used, began = family_seconds(server), programs.now()
        await programs.pairs_by(service, todo[pairs // 10 :], clients)
        return _counted(pairs, began, server, used)


def bare_write(dsn: str, *, schema: str, pairs: int, per_commit: int, seed: int, server: int) -> dict[str, float]:
    """Do the same with psycopg: inserts in one transaction, and their updates in the next."""
    import psycopg  # noqa: PLC0415 - an extra

    from execution_history.stores.postgres.search_terms import terms_of  # noqa: PLC0415 - for what is made before

    todo = [(run, terms_of(run.record())) for run in runs(pairs + pairs // 10, seed=seed)]
    with psycopg.connect(dsn, options=f"-c search_path={schema}", autocommit=True) as connection:
        places = iter(range(1, 10**9))
        _bare_pairs(connection, todo[: pairs // 10], per_commit, places)
        used, began = family_seconds(server), programs.now()
        _bare_pairs(connection, todo[pairs // 10 :], per_commit, places)
        return _counted(pairs, began, server, used)


def _bare_pairs(
    connection: "psycopg.Connection[Any]", todo: Sequence[tuple[Run, list[int]]], per_commit: int, places: Iterator[int]
) -> None:
    for number in range(0, len(todo), per_commit):
        group = todo[number : number + per_commit]
        now = int(time.time() * 1000)
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_CREATE, [_created(run, next(places), now) for run, _ in group])
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_FINISH, [_finished(run, terms, now) for run, terms in group])


def _created(run: Run, place: int, now: int) -> tuple[Any, ...]:
    record = run.record() | {"create_time": now, "execute_status": "running", "output": None, "usage": None}
    body = json.dumps(record, ensure_ascii=False).encode()
    ids = run.workflow_id, run.execute_id
    return *ids, place, place << 20, now, now, len(body), run.bot_id, run.conversation_id, body


def _finished(run: Run, terms: list[int], now: int) -> tuple[Any, ...]:
    record = run.record() | {"create_time": now}
    body = json.dumps(record, ensure_ascii=False).encode()
    tokens = (run.usage or {}).get("token_count")
    values = now + 3_000, _STATES.index(run.status), 3_000, tokens, len(body), run.error_code, terms, body
    return *values, run.workflow_id, run.execute_id


def dbos_write(url: str, *, pairs: int, clients: int, seed: int, server: int) -> dict[str, float]:
    """Run durable workflows of one step with DBOS: the inputs are recorded, then the step's output, then the end."""
    from dbos import DBOS, DBOSConfig  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - an extra

    config: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config=config)

    @DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
    def step(record: dict[str, Any]) -> Any:
        return record["output"]

    @DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
    def workflow(record: dict[str, Any]) -> Any:
        return step(record)

    DBOS.launch()
    source = (run.record() for run in runs(pairs + pairs // 10, seed=seed))
    warm, todo = list(islice(source, pairs // 10)), list(source)
    with ThreadPoolExecutor(clients) as callers:
        list(callers.map(workflow, warm))
        used, began = family_seconds(server), programs.now()
        list(callers.map(workflow, todo))
        found = _counted(pairs, began, server, used)
    DBOS.destroy()
    return found


PROGRAMS: Final[dict[str, Callable[..., Any]]] = {
    each.__name__: each for each in (tables, write, bare_write, dbos_write)
}

if __name__ == "__main__":
    programs.main(PROGRAMS)
