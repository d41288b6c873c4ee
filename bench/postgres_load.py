"""A large history in PostgreSQL, loaded as quickly as that goes: rows by COPY from several processes, then the indexes.

The rows are those that the store writes, made by its own functions, with counters, rollups and the log of changes; only
the doors that it takes them through are others. What was cut short begins anew.
"""

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bench.fixture import CHUNK, Fixture, Progress
from bench.postgres_server import Postgres
from bench.programs import service_at

if TYPE_CHECKING:
    import psycopg

SCHEMA: Final = "large"
_SLOTS: Final = 32
_LARGE_TABLES: Final = ("executions", "nodes")


def load(server: Postgres, fixture: Fixture) -> str:
    """Load the records of *fixture*, unless they are there; the URL of their history."""
    import psycopg  # noqa: PLC0415 - an extra

    url, began = server.history(SCHEMA), time.monotonic()
    with contextlib.closing(psycopg.connect(server.url, autocommit=True)) as connection:
        found = asyncio.run(_counted(url))
        if found == fixture.runs and _is_whole(connection):
            return url
        if found:
            connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())
            asyncio.run(_counted(url))
        indexes = _drop_indexes(connection)
        _copy_all(server.url, fixture)
        print(f"rows: {time.monotonic() - began:,.0f} s", flush=True)
        connection.execute(f"SELECT setval('{SCHEMA}.arrivals', {fixture.runs})".encode())
        _tidied(url)
        _make_indexes(connection, indexes)
        _add_up(url)
    print(f"{fixture.runs:,} runs in PostgreSQL, {time.monotonic() - began:,.0f} s in all", flush=True)
    return url


async def _counted(url: str) -> int:
    """Return how many records there are; makes the tables where they are missing."""
    async with service_at(url) as service:
        return sum(each.total for each in await service.workflow_summaries())


def _tidied(url: str) -> None:
    """Do what a process does once an hour."""
    from execution_history.clock import now_ms  # noqa: PLC0415 - only this loads the store
    from execution_history.stores.postgres.connections import Connections  # noqa: PLC0415
    from execution_history.stores.postgres.location import location_of  # noqa: PLC0415
    from execution_history.stores.postgres.retention import tidy  # noqa: PLC0415

    with contextlib.closing(Connections(location_of(url))) as connections:
        tidy(connections, now_ms())


def _add_up(url: str) -> None:
    """Add up the days, as a process does behind its writes."""
    from execution_history.clock import now_ms  # noqa: PLC0415 - as above
    from execution_history.stores.postgres.connections import Connections  # noqa: PLC0415
    from execution_history.stores.postgres.location import location_of  # noqa: PLC0415
    from execution_history.stores.postgres.tasks import Tasks  # noqa: PLC0415

    with contextlib.closing(Connections(location_of(url))) as connections:
        Tasks(connections, "bench", 0).finish(now_ms())


def _is_whole(connection: "psycopg.Connection[Any]") -> bool:
    found = connection.execute(
        "SELECT 1 FROM pg_indexes WHERE schemaname = %s AND indexname = 'executions_terms'", [SCHEMA]
    )
    return found.fetchone() is not None


def _drop_indexes(connection: "psycopg.Connection[Any]") -> list[str]:
    """Drop the indexes of the large tables but for their primary keys; how they are made again."""
    found = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = ANY (%s) AND indexname NOT IN "
        "(SELECT conname FROM pg_constraint WHERE connamespace = %s::regnamespace)",
        [SCHEMA, list(_LARGE_TABLES), SCHEMA],
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {SCHEMA}.{name}".encode())
    return [definition for _, definition in found]


def _make_indexes(connection: "psycopg.Connection[Any]", definitions: list[str]) -> None:
    connection.execute("SET maintenance_work_mem = '1GB'")
    progress = Progress("indexes", len(definitions), 0)
    for definition in definitions:
        connection.execute(definition.encode())
        progress.add(1)
    progress.end()
    for table in _LARGE_TABLES:
        connection.execute(f"VACUUM (ANALYZE) {SCHEMA}.{table}".encode())
    connection.execute("ANALYZE")
    connection.execute("CHECKPOINT")


def _copy_all(dsn: str, fixture: Fixture) -> None:
    begins: Iterator[int] = iter(range(0, fixture.runs, CHUNK))
    processes = os.cpu_count() or 1
    progress = Progress("rows", fixture.runs, 0)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:

        def submitted(count: int) -> Iterator[Future[int]]:
            return (pool.submit(copy_chunk, dsn, fixture, begin, SCHEMA) for begin in islice(begins, count))

        ahead = deque(submitted(2 * processes))
        while ahead:
            progress.add(ahead.popleft().result())
            ahead.extend(submitted(1))
    progress.end()


def copy_chunk(dsn: str, fixture: Fixture, begin: int, schema: str) -> int:
    """Copy the chunk that begins with this number in one transaction; how many records it has."""
    import psycopg  # noqa: PLC0415 - as above

    from bench.postgres_rows import maker  # noqa: PLC0415 - only this loads the store
    from execution_history.stores.postgres.change_log import VERSIONS, Logged, log_changes  # noqa: PLC0415
    from execution_history.stores.postgres.commit import ADD_LONG_TEXTS  # noqa: PLC0415
    from execution_history.stores.postgres.deltas import Deltas  # noqa: PLC0415
    from execution_history.stores.postgres.queries import Statements, insert_rows  # noqa: PLC0415
    from execution_history.stores.postgres.record_rows import COLUMNS  # noqa: PLC0415

    statements, deltas, rows = Statements(schema), Deltas(begin // CHUNK % _SLOTS), []
    for document, row in maker().rows(fixture, begin):
        deltas.count(row.key.workflow_id, row.counted, 1)
        deltas.updated(row.key.workflow_id, document.update_time)
        rows.append(row)
    places = range(begin + 1, begin + 1 + len(rows))
    with contextlib.closing(psycopg.connect(dsn, autocommit=True)) as connection, connection.transaction():
        values = (row.values(place, place * VERSIONS, str) for row, place in zip(rows, places, strict=True))
        _copied(connection, f"{schema}.executions", COLUMNS, values)
        _copied(connection, f"{schema}.nodes", (), ((*row.key, *node) for row in rows for node in row.nodes))
        long = {key: text for row in rows for key, text in row.long_texts.items()}
        insert_rows(connection, statements, ADD_LONG_TEXTS, sorted(long.items()))
        deltas.write(connection, statements)
        logged = [Logged(*row.key, place * VERSIONS) for row, place in zip(rows, places, strict=True)]
        log_changes(connection, statements, logged, fixture.end, uuid4())
    return len(rows)


def _copied(connection: "psycopg.Connection[Any]", table: str, columns: tuple[str, ...], rows: Iterator[Any]) -> None:
    """Copy *rows* into a table's *columns*, or all of them in their order; as text, as which rows have their arrays."""
    listed = f" ({', '.join(columns)})" if columns else ""
    with connection.cursor() as cursor, cursor.copy(f"COPY {table}{listed} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)
