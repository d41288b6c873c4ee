"""Whether the rows of records and of their nodes are those that the documents give, and how they are mended."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores.compression import Packer, StoredRecord, shipped_dictionary
from execution_history.stores.postgres.commit import ADD_LONG_TEXTS, ADD_NODES
from execution_history.stores.postgres.connections import Connection, Connections
from execution_history.stores.postgres.days import forget_days
from execution_history.stores.postgres.long_texts import restored
from execution_history.stores.postgres.queries import Statements, insert_rows
from execution_history.stores.postgres.record_rows import COLUMNS, RecordRow, row_of
from execution_history.stores.postgres.search_terms import terms_of
from execution_history.stores.verification import Effort

_AT_ONCE: Final = 500
_MOST: Final = 1_000
_STORED: Final = ("workflow_id", "execute_id", "create_time", "update_time", "status", "size", "packing", "document")
_PLACES: Final = [COLUMNS.index(name) for name in _STORED]
_VERSION, _FILLED, _TERMS = (COLUMNS.index(name) for name in ("version", "filled", "terms"))
_COMPARED: Final = tuple(
    name for name in COLUMNS if name not in {*_STORED[:2], "seq", "version", "packing", "document", "filled"}
)
"""The columns that a document decides: those of the attributes of a record, and what rows have besides."""

_COMPARED_AT: Final = [COLUMNS.index(name) for name in _COMPARED]
_LISTED: Final = ", ".join(COLUMNS)
_ALL: Final = f"SELECT {_LISTED} FROM execution_history.executions"  # noqa: S608 - columns of ours
_AT: Final = f"{_ALL} WHERE seq = ANY(%s)"
_MEND: Final = (
    f"UPDATE execution_history.executions SET {', '.join(f'{name} = %s' for name in _COMPARED)}, filled = version "  # noqa: S608 - columns of ours
    "WHERE workflow_id = %s AND execute_id = %s AND version = %s"
)


@dataclass(slots=True)
class RowFaults:
    """What is wrong with the rows; of each kind at most a thousand are named.

    Attributes:
        count: how many were read.
        lost: records that cannot be read.
        misplaced: whose ids are others than their rows say.
        differing: the columns and tables that differ, by the ids as columns have them.
    """

    count: int = 0
    lost: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    differing: dict[RecordKey, list[str]] = field(default_factory=dict)


class RowCheck:
    """Compares the rows of one moment with their documents.

    Args:
        connections: has the statements.
        connection: reads the moment.
        effort: how much is read; the terms of large records only by a thorough check.
        now: milliseconds since the epoch.
    """

    def __init__(self, connections: Connections, connection: Connection, effort: Effort, now: int) -> None:
        self._connections, self._connection, self._effort, self._now = connections, connection, effort, now
        self._packer = _NoPacker(shipped_dictionary())
        [(place, goal)] = connection.execute(connections.statements["backfilled"]).fetchall()
        self._is_filled = place >= goal
        self.faults = RowFaults()

    def compare(self, rows: Iterable[tuple[Any, ...]], tell: Callable[[int], None]) -> RowFaults:
        """Compare *rows*, which have :data:`~.record_rows.COLUMNS`; *tell* gets how many were compared."""
        for some in _portions(rows):
            self._compare(some)
            tell(self.faults.count)
        return self.faults

    def _compare(self, rows: Sequence[tuple[Any, ...]]) -> None:
        nodes = self._nodes([RecordKey(*row[:2]) for row in rows])
        for row in rows:
            self.faults.count += 1
            stored = StoredRecord(*(row[place] for place in _PLACES))
            body = self._connections.body(self._connection, stored)
            texts = restored(self._connection, self._connections.statements, stored.key)
            key = RecordKey(texts[stored.workflow_id], texts[stored.execute_id])
            if body is None:
                _note(self.faults.lost, "/".join(key))
                continue
            made = row_of(Document.of(outline_of(body), body), self._packer, self._now)
            if made.key != stored.key:
                _note(self.faults.misplaced, "/".join(key))
                continue
            names = self._differences(row, made, body, nodes.get(stored.key, set()))
            if names and len(self.faults.differing) < _MOST:
                self.faults.differing[stored.key] = names

    def _differences(
        self, row: tuple[Any, ...], made: RecordRow, body: bytes, nodes: set[tuple[Any, ...]]
    ) -> list[str]:
        if row[_FILLED] != row[_VERSION] and not (row[_FILLED] == 0 and self._is_filled):
            return []  # an older process has written it: it is filled behind the writes
        terms = made.columns[_TERMS]
        if terms is None and self._effort == "thorough":
            terms = terms_of(outline_of(body))
        names = [
            name
            for name, at in zip(_COMPARED, _COMPARED_AT, strict=True)
            if at != _TERMS and row[at] != made.columns[at]
        ]
        names += ["terms"] if row[_TERMS] is not None and terms is not None and row[_TERMS] != terms else []
        return names + (["nodes"] if nodes != set(made.nodes) else [])

    def _nodes(self, keys: Sequence[RecordKey]) -> dict[RecordKey, set[tuple[Any, ...]]]:
        found: dict[RecordKey, set[tuple[Any, ...]]] = {}
        values = [list(each) for each in zip(*keys, strict=True)]
        for workflow_id, execute_id, *node in self._connection.execute(
            self._connections.statements["stored_nodes"], values
        ):
            found.setdefault(RecordKey(workflow_id, execute_id), set()).add(tuple(node))
        return found


def mend_rows(connections: Connections, keys: Sequence[RecordKey], now: int, connection: Connection, _: UUID) -> int:
    """Write columns and nodes of *keys*, as columns have them, anew from their documents; return of how many.

    The records stay as they are, and so do their versions: nobody who follows the history is told of it. Nothing is
    counted: sums are compared with the rows afterwards.

    Raises:
        psycopg.Error: it could not be done.
    """
    statements, packer = connections.statements, _NoPacker(shipped_dictionary())
    made: dict[RecordKey, tuple[RecordRow, int]] = {}
    values = [list(each) for each in zip(*keys, strict=True)]
    for row in connection.execute(statements["rows_to_mend"], values):
        stored, version = StoredRecord(*row[:-1]), row[-1]
        body = connections.body(connection, stored)
        if body is not None:
            made[stored.key] = row_of(Document.of(outline_of(body), body), packer, now), version
    days = set[tuple[str, int]]()
    for key, (row, version) in made.items():
        mended = [row.columns[at] for at in _COMPARED_AT]
        connection.execute(statements.placed(_MEND), (*mended, *key, version))
        days |= {(key.workflow_id, row.counted.create_time)}
    ids = [list(each) for each in zip(*made, strict=True)]
    if ids:
        connection.execute(statements["drop_nodes"], ids)
    nodes = sorted((*key, *node) for key, (row, _) in made.items() for node in row.nodes)
    insert_rows(connection, statements, ADD_NODES, nodes)
    long = {key: text for row, _ in made.values() for key, text in row.long_texts.items()}
    insert_rows(connection, statements, ADD_LONG_TEXTS, sorted(long.items()))
    forget_days(connection, statements, days)
    return len(made)


def all_rows(statements: Statements) -> bytes:
    """Return the statement that reads every row."""
    return statements.placed(_ALL)


def rows_at(statements: Statements) -> bytes:
    """Return the statement that reads the rows at some places in the order of arrival."""
    return statements.placed(_AT)


class _NoPacker(Packer):
    """Packs nothing: only what stands beside a document is compared."""

    def pack(self, body: bytes, *, will_change: bool = False) -> tuple[int, bytes]:
        """Return nothing in the place of the packed *body*."""
        del body, will_change
        return 0, b""


def _portions(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    some: list[tuple[Any, ...]] = []
    for row in rows:
        some.append(row)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _note(names: list[str], name: str) -> None:
    if len(names) < _MOST:
        names.append(name)
