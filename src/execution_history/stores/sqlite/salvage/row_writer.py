"""The rows of a damaged database, checked and written into a new one; of several versions of a row the newest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Final

import apsw
import orjson

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.records.record import KEYS, Document
from execution_history.stores.compression import CURRENT, StoredRecord, Unpacker, Unreadable, packed, shipped_dictionary
from execution_history.stores.jsonfiles.import_foreign_files import REPAIRED
from execution_history.stores.sqlite.queries import Value, query, rows
from execution_history.stores.sqlite.registry_copy import CopiedEntry
from execution_history.stores.sqlite.salvage.cells import Row
from execution_history.stores.sqlite.salvage.tables import RECORDS, Column, DamagedTables, FoundRow
from execution_history.stores.status_numbers import status_number

_LEFT_OUT: Final = frozenset({"migrations", "leases", "named_leases"})
_VERSIONS: Final = {"registry": "version", "bin": "deleted_at"}
_JSON: Final = {"registry": "value", "audit": "details"}
_KEYS_OF_RECORDS: Final = "executions_by_id"
_KEYS_OF_REGISTRY: Final = "sqlite_autoindex_registry_1"
_KEYS_OF_BIN: Final = "sqlite_autoindex_bin_1"
_MOST_NAMED: Final = 1_000
_AT_ONCE: Final = 5_000
_MOST_LINES: Final = 10_000_000
_MOST_WORK: Final = 50_000_000_000
"""Of turning bits round, a few minutes: after that, damaged records are read from their JSON files alone."""


@dataclass(slots=True)
class OtherLosses:
    """What became of what is not a record.

    Attributes:
        copied: entries of the registry that were taken from its copy.
        entries: lost entries of the registry, by kind and key.
        binned: how many deleted records were lost that could have been restored.
        lines: how many lines of the audit log were lost.
        uncertain: the tables, ``bin`` and ``audit``, of which pages were damaged and nothing tells what they had.
    """

    copied: int = 0
    entries: Sequence[tuple[str, str]] = ()
    binned: int = 0
    lines: int = 0
    uncertain: frozenset[str] = frozenset()


class RowWriter:
    """Writes into a new database.

    Args:
        connection: of that.
        tables: the columns of its tables.
        newest: a change that is known to have been made.

    Attributes:
        records: how many records were written, once it has finished.
        expected: how many records the damaged database counted; ``None`` where its counters were not found.
        lost: records that are known to have been there, at most a thousand.
        broken: how many rows were no use.
        others: what became of everything but records.
        store: the identity of the store; ``None`` as long as it was not found.
    """

    def __init__(self, connection: apsw.Connection, tables: Mapping[str, list[Column]], newest: int = 0) -> None:
        self.records = 0
        self.expected: int | None = None
        self.lost: list[RecordKey] = []
        self.broken = 0
        self.others = OtherLosses()
        self.store: str | None = None
        self._connection = connection
        self._names = {table: [column.name for column in columns] for table, columns in tables.items()}
        self._unpacker = Unpacker({CURRENT: shipped_dictionary()}, _MOST_WORK)
        self._old_names: dict[int, str | None] = {}
        self._workflows: dict[str, int] = {}
        self._states: dict[str, tuple[int, int]] = {}
        self._feed = (newest, 0)
        self._insert = {table: _insertion(table, names) for table, names in self._names.items()}
        self._written = 0
        self._older: set[int] = set()  # places of records that were not found in their tree
        self._later: set[int] = set()  # and revisions of such deletions
        self._connection.execute("BEGIN IMMEDIATE")

    def add(self, row: FoundRow) -> None:
        """Write a row, unless a newer version of it is there already."""
        values = dict(zip(self._names[row.table], row.values, strict=True))
        match row.table:
            case table if table == RECORDS:
                self._add_record(values, is_current=row.is_current)
            case "deletions":
                self._add_other(row.table, values)
                if not row.is_current:
                    self._later.add(_int(values["revision"]))
            case "workflows":
                self._note_workflow(values)
            case "feed":
                self._feed = (max(self._feed[0], _int(values["revision"])), max(self._feed[1], _int(values["floor"])))
            case "identity":
                self.store = str(values["store"])
                self._connection.execute("UPDATE identity SET store = ?", (self.store,))
            case table if table not in _LEFT_OUT:
                self._add_other(table, values)
        self._written += 1
        if not self._written % _AT_ONCE:
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN IMMEDIATE")

    def add_lost(self, tables: DamagedTables) -> None:
        """Write the records of which no row was found, but a frame, and note the lost ones.

        A record was there where the index over the ids has it, or where no deletion of it is remembered.
        """
        self.lost = list(islice(self._lost_records(tables), _MOST_NAMED))
        found: dict[RecordKey, Document] = {}
        for frame in tables.frames():
            body = self._unpacker.unpack_beginning(frame)
            document = None if body is None else _document_of(body)
            if document is not None:
                key = RecordKey(document.workflow_id, document.execute_id)
                found[key] = max(found.get(key, document), document, key=attrgetter("update_time"))
        for key, document in found.items():
            known = (key.execute_id, self._workflow(key.workflow_id))
            was_there = key in self.lost or not rows(self._connection, "has_deletion", *key)
            if was_there and not rows(self._connection, "has_execution", *known):
                packing, content = packed(document.body)
                values: dict[str, Value] = {"seq": None, "revision": self._feed[0], "first_revision": 0}
                values |= {"size": len(document.body), "packing": packing, "document": content}
                self._insert_record(values, document)
        self.lost = [key for key in self.lost if key not in found]

    def add_copied(self, entries: Sequence[CopiedEntry]) -> None:
        """Write entries of the copy of the registry that are missing, or that may be damaged: it has a checksum."""
        before = self._connection.total_changes()
        statement = self._insert["registry"].replace(" > ", " >= ") + " AND excluded.value IS NOT registry.value"
        for entry in entries:
            self._connection.execute(query("drop_altered_entry"), entry)
            self._connection.execute(statement, entry)
        self.others.copied = self._connection.total_changes() - before

    def note_losses(self, found: DamagedTables) -> None:
        """Note what is lost besides records, as far as *found* tells what there was."""
        connection = self._connection
        there = set(connection.execute("SELECT kind, key FROM registry"))
        names = {*found.keys(_KEYS_OF_REGISTRY)}
        if len(names) > len(there):  # otherwise it is names that are damaged
            self.others.entries = sorted((str(kind), str(key)) for kind, key in names - there)
        binned = set(connection.execute("SELECT workflow_id, execute_id FROM bin"))
        self.others.binned = len({*found.keys(_KEYS_OF_BIN)} - binned)
        numbers: Any = connection.execute("SELECT coalesce(max(number), 0), count(*) FROM audit").fetchone()
        last, noted = numbers[0], found.last_number("audit")
        last = noted if last < noted < last + _MOST_LINES else last  # unless it is damaged
        self.others.lines = last - numbers[1] if last - numbers[1] < _MOST_LINES else 0
        known = {"bin": self.others.binned, "audit": self.others.lines}
        self.others.uncertain = frozenset(table for table in found.damaged if known.get(table) == 0)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'audit'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('audit', ?)", (last,))  # no number is used twice

    def _lost_records(self, found: DamagedTables) -> Iterator[RecordKey]:
        if not (self.broken or found.broken):
            return
        for execute_id, number in found.keys(_KEYS_OF_RECORDS):
            name = self._old_names.get(_int(number))
            key = (execute_id, self._workflows.get(name or ""))
            if name is not None and not self._connection.execute(query("has_execution"), key).fetchall():
                yield RecordKey(name, str(execute_id))

    def finish(self) -> None:
        """Remove what was deleted later, count the rows, and have the JSON files read at the next opening."""
        connection = self._connection
        self._drop_deleted()
        for name, *found in rows(connection, "counted_rows"):
            counts, size, newest, updated_at, number = found[:5], found[5], found[6] or 0, found[7] or 0, found[-1]
            if not any(counts):
                connection.execute(query("drop_workflow"), (number,))
                continue
            revision, time = self._states.get(name, (0, 0))
            values = (*counts, size, max(revision, newest), max(time, updated_at), number)
            connection.execute(query("save_counted"), values)
            self.records += sum(counts)
        [(newest, _)] = rows(connection, "newest_revisions")
        newest = max(newest, self._feed[0])
        for (place,) in rows(connection, "impossible_places", newest):
            connection.execute(query("move_execution"), (newest, place))
        connection.execute(query("save_feed_revision"), (newest,))
        connection.execute(query("save_feed_floor"), (self._feed[1],))
        connection.execute(query("save_feed_safety"), (REPAIRED, 0))
        connection.execute("COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _drop_deleted(self) -> None:
        """Remove records that were deleted later.

        Where both are in their trees, something in the row of the deletion is damaged, and the record stays.
        """
        for place, revision in rows(self._connection, "deleted_rows"):
            if place in self._older or revision in self._later:
                self._connection.execute(query("drop_execution"), (place,))
            else:
                self._connection.execute(query("drop_deletion"), (revision,))

    def _note_workflow(self, values: dict[str, Value]) -> None:
        name, number = values["workflow_id"], _int(values["id"])
        self._old_names[number] = None if name is None else str(name)
        if name is not None:
            state = (_int(values["revision"]), _int(values["updated_at"]))
            if str(name) not in self._states:
                counters = ("running", "success", "failed", "interrupted", "other")
                self.expected = (self.expected or 0) + sum(_int(values[counter]) for counter in counters)
            self._states[str(name)] = max(state, self._states.get(str(name), state))

    def _add_record(self, values: dict[str, Value], *, is_current: bool) -> None:
        if is_current and self._old_names.get(_int(values["workflow"]), "") is None:
            return  # of a workflow that was cleared, whose rows go in small steps
        document = self._document(values)
        if document is None:
            return
        self._insert_record(values, document)
        if not is_current:
            self._older.add(_int(values["seq"]))

    def _insert_record(self, values: dict[str, Value], document: Document) -> None:
        number = self._workflow(document.workflow_id)
        status = status_number(document.status)
        values |= {
            "workflow": number,
            "execute_id": document.execute_id,
            "create_time": document.create_time,
            "update_time": document.update_time,
            "status": status,
            "upstream_id": document.upstream_id,
        }
        try:
            self._connection.execute(self._insert[RECORDS], self._row_of(values))
        except apsw.ConstraintError:
            self._add_version(values)

    def _add_version(self, values: dict[str, Value]) -> None:
        """Write a record of which another version, or whose place another record has already."""
        key = (values["execute_id"], values["workflow"])
        connection = self._connection
        found: list[Any] = connection.execute(
            "SELECT seq, revision FROM executions WHERE execute_id = ? AND workflow = ?", key
        ).fetchall()
        if found and found[0][1] >= _int(values["revision"]):
            return
        for seq, _ in found:
            connection.execute(query("drop_execution"), (seq,))
        values["seq"] = found[0][0] if found else None
        connection.execute(self._insert[RECORDS], self._row_of(values))
        values["seq"] = connection.last_insert_rowid()

    def _row_of(self, values: dict[str, Value]) -> Row:
        return tuple(values[name] for name in self._names[RECORDS])

    def _document(self, values: dict[str, Value]) -> Document | None:
        """Return the record of a row; ``None`` where its document is damaged."""
        name = self._old_names.get(_int(values["workflow"]))
        columns = ("execute_id", "create_time", "update_time", "status", "size", "packing", "document")
        row: tuple[Any, ...] = (name, *(values[column] for column in columns))
        try:
            document = _document_of(self._unpacked(StoredRecord(*row), values))
        except Unreadable:
            document = None
        self.broken += document is None
        return document

    def _unpacked(self, stored: StoredRecord, values: dict[str, Value]) -> bytes:
        """Return the JSON bytes of a row; where these had to be mended, *values* become those of a sound one."""
        try:
            return self._unpacker.unpack(stored)
        except Unreadable:
            body = self._unpacker.mend(stored)
            if body is None:
                raise
        packing, document = packed(body)
        values |= {"size": len(body), "packing": packing, "document": document}
        return body

    def _workflow(self, name: str) -> int:
        """Return the number that a workflow has in the new database."""
        number = self._workflows.get(name)
        if number is None:
            self._connection.execute(query("add_workflow"), (name,))
            number = self._workflows[name] = self._connection.last_insert_rowid()
        return number

    def _add_other(self, table: str, values: dict[str, Value]) -> None:
        text = values.get(_JSON.get(table, ""))
        if isinstance(text, bytes):
            try:
                orjson.loads(text)
            except ValueError:
                self.broken += 1
                return
        self._connection.execute(self._insert[table], tuple(values.values()))


def _insertion(table: str, names: list[str]) -> str:
    """Return the statement that adds a row to *table*, or replaces an older one."""
    marks = ", ".join("?" * len(names))
    if table == RECORDS:
        return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of our own schema
    version = _VERSIONS.get(table)
    if version is None:
        return f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - as above
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) "  # noqa: S608 - as above
        f"ON CONFLICT DO UPDATE SET {changes} WHERE excluded.{version} > {table}.{version}"
    )


def _document_of(body: bytes) -> Document | None:
    try:
        record = outline_of(body)
        return Document.of(record, body) if tuple(record) == KEYS else None
    except (ValueError, KeyError):
        return None


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
