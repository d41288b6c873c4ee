"""Bringing in what Coze Studio has recorded, from dumps of two of its tables."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from execution_history.clock import now_ms
from execution_history.jsonvalue import encode
from execution_history.store import HistoryStore
from execution_history.upkeep.dumps import Dump
from execution_history.upkeep.importing import ImportReport, merge_sources
from execution_history.upkeep.items import Item, record_of
from execution_history.upkeep.progress import Tell, no_progress
from execution_history.upkeep.sources import Source, modified
from execution_history.upkeep.studio import (
    EXECUTION_COLUMNS,
    MOST_NODES,
    NODE_COLUMNS,
    fault_of_execution,
    identifier,
    milliseconds,
    number,
    record_of_execution,
)

_NODES_AT_ONCE: Final = 1_000


async def import_studio(
    store: HistoryStore,
    executions: Path,
    nodes: Path | None = None,
    *,
    tell: Tell = no_progress,
    clock: Callable[[], int] = now_ms,
) -> ImportReport:
    """Merge Coze Studio's executions into *store*; idempotent, as :func:`~execution_history.upkeep.import_history`.

    What is there with the same ``updated_at`` is skipped, so the nodes come in with their runs or not at all.

    Args:
        store: where they come in, under the execute ids that they have in Studio.
        executions: a dump of its table ``workflow_execution``, CSV or JSON Lines, with the names of the columns.
        nodes: a dump of its table ``node_execution``, in any order, when the node timelines are wanted. The two may
            also be given the other way round: their columns tell which is which.
        tell: is told how far it has come.
        clock: the time, in milliseconds, for rows that do not say theirs.

    Raises:
        ImportFailed: a dump is missing, or is not one of that table; nothing was imported.
        StoreError: the store failed; running the import again goes on.
    """
    first = Dump(Path(executions))
    second = None if nodes is None else Dump(Path(nodes))
    if second is not None and first.columns >= NODE_COLUMNS:
        first, second = second, first
    first.require(EXECUTION_COLUMNS, "workflow_execution")
    if second is not None:
        second.require(NODE_COLUMNS, "node_execution")
    return await merge_sources(store, [StudioSource(first, second)], tell=tell, clock=clock)


class StudioSource(Source):
    """The two tables. The nodes are sorted in a temporary database: a dump has them in any order, at any size."""

    def __init__(self, executions: Dump, nodes: Dump | None) -> None:
        super().__init__(str(executions.path), executions.total + (0 if nodes is None else nodes.total))
        self._executions = executions
        self.written = modified(executions.path)
        self._nodes = nodes

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """First what is wrong with the nodes, then every execution with its nodes."""
        with tempfile.TemporaryDirectory() as folder, closing(_open_nodes(Path(folder))) as sorted_nodes:
            yield from self._sort(sorted_nodes)
            for row in self._executions.rows():
                self.size = self._executions.size + (0 if self._nodes is None else self._nodes.size)
                place = f"line {row.number}"
                if fault := row.fault or fault_of_execution(row.values):
                    yield self.refused(place, fault)
                    continue
                nodes, left_out = _nodes_of(sorted_nodes, identifier(row.values.get("id")))
                found = record_of_execution(row.values, nodes, left_out)
                item = record_of(found, identifier(row.values.get("workflow_id")), clock())
                yield self.refused(place, item) if isinstance(item, str) else item

    def _sort(self, database: sqlite3.Connection) -> Iterator[Item]:
        if self._nodes is None:
            return
        rows = self._nodes.rows()
        while group := list(islice(rows, _NODES_AT_ONCE)):
            self.size = self._nodes.size
            values = []
            for row in group:
                run = identifier(row.values.get("execute_id"))
                if row.fault is None and run is not None:
                    began, order = milliseconds(row.values.get("created_at")) or 0, number(row.values.get("id")) or 0
                    values.append((run, began, str(order).zfill(20), encode(row.values)))
                else:
                    reason = row.fault or "Its execute_id is not a whole number above 0."
                    yield self.refused(f"line {row.number} of {self._nodes.path}", reason)
            database.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?)", values)
        database.execute("CREATE INDEX nodes_by_run ON nodes (run, began, number)")


def _open_nodes(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "nodes.db", isolation_level=None, check_same_thread=False)
    for statement in (
        "PRAGMA journal_mode = OFF",
        "PRAGMA synchronous = OFF",
        "CREATE TABLE nodes (run TEXT, began INTEGER, number TEXT, facts BLOB)",
        "BEGIN",
    ):
        database.execute(statement)
    return database


def _nodes_of(database: sqlite3.Connection, run: str | None) -> tuple[list[dict[str, Any]], int]:
    """The nodes of a run by time, and how many more there are than are kept."""
    if run is None:
        return [], 0
    found = database.execute(
        "SELECT facts FROM nodes WHERE run = ? ORDER BY began, number LIMIT ?", (run, MOST_NODES)
    ).fetchall()
    (count,) = database.execute("SELECT count(*) FROM nodes WHERE run = ?", (run,)).fetchone()
    return [orjson.loads(facts) for (facts,) in found], count - len(found)
