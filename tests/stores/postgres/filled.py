"""Histories in PostgreSQL that are filled row by row, for what reads them."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from uuid import UUID

from execution_history.records.record import Document
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.postgres import schema
from execution_history.stores.postgres.commit import ADD_LONG_TEXTS, ADD_NODES
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.days import sum_day, unsummed_days
from execution_history.stores.postgres.deltas import Deltas
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.queries import DEFAULT_SCHEMA, Statements, insert_rows
from execution_history.stores.postgres.record_rows import COLUMNS, row_of

_TABLES = (
    "executions", "nodes", "long_texts", "counters", "rollups", "durations", "costs", "total_counters",
    "total_rollups", "total_durations", "total_costs", "days", "day_stamps",
)  # fmt: skip


@contextmanager
def empty_history(url: str) -> Iterator[Connections]:
    """Yield the connections to a new history without records."""
    with closing(Connections(location_of(url))) as connections:
        with connections.connect() as connection:
            schema.prepare(connection, connections.statements)
        yield connections


def fill(connections: Connections, documents: Iterable[Document]) -> None:
    """Put *documents* in the place of what is there; of two with the same ids the later one stays, where it arrived."""
    kept = {(document.workflow_id, document.execute_id): document for document in documents}
    statements, packer, deltas = connections.statements, Packer(shipped_dictionary()), Deltas(0)
    marks = ", ".join(["%s"] * len(COLUMNS))
    insert = f"INSERT INTO {DEFAULT_SCHEMA}.executions ({', '.join(COLUMNS)}) VALUES ({marks})"  # noqa: S608 - names of ours
    with connections.connect() as connection:
        for table in _TABLES:
            connection.execute(statements.placed(f"DELETE FROM {DEFAULT_SCHEMA}.{table}"))  # noqa: S608 - likewise
        for seq, document in enumerate(kept.values(), 1):
            row = row_of(document, packer, document.create_time)
            connection.execute(statements.placed(insert), row.values(seq, seq << 20))
            insert_rows(connection, statements, ADD_LONG_TEXTS, sorted(row.long_texts.items()))
            insert_rows(connection, statements, ADD_NODES, [(*row.key, *node) for node in row.nodes])
            deltas.count(row.key.workflow_id, row.counted, 1)
        deltas.write(connection, statements)


def sum_all(connections: Connections, hour: int = 2**40) -> None:
    """Add up all days before *hour* by node."""
    for day in unsummed_days(connections, hour, 0):
        connections.run(partial(_sum, connections.statements, day, hour))


def _sum(statements: Statements, day: tuple[str, int], hour: int, connection: Connection, _: UUID) -> None:
    sum_day(connection, statements, *day, hour)
