"""Import of Coze Studio's runs, from dumps of two of its tables."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

import orjson

from execution_history.errors import ImportFailed, Message, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.records.adoption import note_charset
from execution_history.records.charset import UTF_8
from execution_history.records.encoding import encode
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.transfer.coze_studio.mapping import (
    EXECUTION_COLUMNS,
    MOST_NODES,
    NODE_COLUMNS,
    fault_of_duration,
    fault_of_execution,
    identifier,
    milliseconds,
    number,
    record_of_execution,
)
from execution_history.transfer.coze_studio.table_dump import Dump, Row
from execution_history.transfer.importer import ImportReport, merge_sources
from execution_history.transfer.progress import OnProgress, in_thread, no_progress
from execution_history.transfer.sources import Item, Source, record_of

_PAGE: Final = 4_096


async def import_studio(
    service: ExecutionHistoryService,
    executions: Path,
    nodes: Path | None = None,
    *,
    on_progress: OnProgress = no_progress,
    zone: tzinfo = UTC,
    limits: ReadingLimits | None = None,
    redact: bool = False,
) -> ImportReport:
    """Merge Coze Studio's executions into *service*; idempotent, as :func:`~execution_history.transfer.import_history`.

    A run that is there with the same ``updated_at`` is skipped, so nodes come in together with their run or not at all.

    Args:
        service: the history they are merged into, under the execute ids that they have in Studio.
        executions: a dump of its table ``workflow_execution``, CSV or JSON Lines, with the names of the columns.
        nodes: a dump of its table ``node_execution``, in any order, for the node timelines. The two may also be passed
            the other way round: they are recognised by their columns.
        on_progress: called with the progress, now and then.
        zone: of times that have no offset.
        limits: what reading them may take; what exceeds them is refused. Without it a record may be as large as in
            the store.
        redact: whether the rules in force are applied to the records.

    Raises:
        ImportFailed: a dump is missing, is not one of that table, or has more nodes than may be kept on
            the disk meanwhile; nothing was imported.
        StoreError: the store failed; running the import again continues it.
    """
    source = await in_thread(
        _source,
        Path(executions),
        None if nodes is None else Path(nodes),
        limits or ReadingLimits(service.record_limit_bytes),
    )
    return await merge_sources(service, [source], on_progress=on_progress, zone=zone, redact=redact)


def _source(executions: Path, nodes: Path | None, limits: ReadingLimits) -> "StudioSource":
    first = Dump(executions, limits)
    second = None if nodes is None else Dump(nodes, limits)
    if second is not None and first.columns >= NODE_COLUMNS:
        first, second = second, first
    first.require(EXECUTION_COLUMNS, "workflow_execution")
    if second is not None:
        second.require(NODE_COLUMNS, "node_execution")
    return StudioSource(first, second, limits)


class StudioSource(Source):
    """The two tables. Nodes are sorted in a temporary database: a dump has them in any order and may be of any size."""

    def __init__(self, executions: Dump, nodes: Dump | None, limits: ReadingLimits) -> None:
        super().__init__(str(executions.path), executions.total + (0 if nodes is None else nodes.total))
        self._executions = executions
        self._nodes = nodes
        self._limits = limits

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield the faults of the nodes, then every execution with its nodes.

        Raises:
            ImportFailed: there is no room for the nodes.
        """
        with tempfile.TemporaryDirectory() as folder, closing(_open_nodes(Path(folder), self._limits)) as sorted_nodes:
            yield from self._sort(sorted_nodes)
            for row in self._executions.rows():
                self.size = self._executions.size + (0 if self._nodes is None else self._nodes.size)
                found = self._record(row, sorted_nodes, zone)
                yield self.item(Message("line %(number)s", number=row.number), found)

    def _record(self, row: Row, sorted_nodes: sqlite3.Connection, zone: tzinfo) -> Document | str:
        if fault := row.fault or fault_of_execution(row.values, zone):
            return fault
        nodes, left_out = _nodes_of(sorted_nodes, identifier(row.values.get("id")), self._limits.record // 2)
        found = record_of_execution(row.values, nodes, left_out, zone)
        charsets = (row.charset, UTF_8 if self._nodes is None or not nodes else self._nodes.charset)
        if charset := next((each for each in charsets if each != UTF_8), None):
            note_charset(found, charset)
        item = record_of(found, identifier(row.values.get("workflow_id")), zone)
        return item if isinstance(item, str) else self._limits.fault_of(item.body) or item

    def _sort(self, database: sqlite3.Connection) -> Iterator[Item]:
        if self._nodes is None:
            return
        try:
            for row in self._nodes.rows():
                self.size = self._nodes.size
                run = identifier(row.values.get("execute_id"))
                fault = row.fault or fault_of_duration(row.values)
                if fault is None and run is not None:
                    began, order = milliseconds(row.values.get("created_at")) or 0, number(row.values.get("id")) or 0
                    columns = (run, began, str(order).zfill(20), encode(row.values))
                    database.execute("INSERT INTO nodes VALUES (?, ?, ?, ?)", columns)
                else:
                    reason = fault or Message("Its execute_id is not a whole number above 0.")
                    place = Message("line %(number)s of %(path)s", number=row.number, path=self._nodes.path)
                    yield self.item(place, reason)
            database.execute("CREATE INDEX nodes_by_run ON nodes (run, began, number)")
        except sqlite3.Error as error:
            limit = f"{self._limits.temporary} bytes (the setting import_temporary_bytes)"
            reason = Message(
                "sorting its nodes takes more than %(most)s, or than there is room for: %(reason)s",
                most=limit,
                reason=error,
            )
            raise ImportFailed(
                "%(path)s cannot be imported: %(reason)s.", path=quoted(self._nodes.path), reason=reason
            ) from error


def _open_nodes(folder: Path, limits: ReadingLimits) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "nodes.db", isolation_level=None, check_same_thread=False)
    for statement in (
        "PRAGMA journal_mode = OFF",
        "PRAGMA synchronous = OFF",
        f"PRAGMA page_size = {_PAGE}",
        f"PRAGMA max_page_count = {max(1, limits.temporary // _PAGE)}",
        "CREATE TABLE nodes (run TEXT, began INTEGER, number TEXT, body BLOB)",
        "BEGIN",
    ):
        database.execute(statement)
    return database


def _nodes_of(database: sqlite3.Connection, run: str | None, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Return the nodes of a run by time, about *limit* bytes of them, and the number of those left out."""
    if run is None:
        return [], 0
    found: list[dict[str, Any]] = []
    size = 0
    rows = database.execute(
        "SELECT body FROM nodes WHERE run = ? ORDER BY began, number LIMIT ?", (run, MOST_NODES)
    )  # fmt: skip
    for (body,) in rows:
        size += len(body)
        if size > limit:
            break
        found.append(orjson.loads(body))
    (count,) = database.execute("SELECT count(*) FROM nodes WHERE run = ?", (run,)).fetchone()
    return found, count - len(found)
