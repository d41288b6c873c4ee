"""The state of a history at the moment of a backup, folded from the chain that ends with it.

What changed is sorted in a temporary database; the records of the full backup pass by, each as it became, in the order
of creation.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from execution_history.maintenance.backup.lines import AuditLine, Deletion, EntryRemoval, EntryValue, Put, read_line
from execution_history.maintenance.backup.manifest import Manifest
from execution_history.maintenance.backup.segments import damaged, read_segments
from execution_history.maintenance.backup.target import BackupTarget
from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.records.record import Document
from execution_history.stores.administration import EntryName

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE changed (workflow BLOB, execute BLOB, arrival INTEGER, is_new INTEGER, is_placed INTEGER DEFAULT 0,
    body BLOB, PRIMARY KEY (workflow, execute)) STRICT;
CREATE TABLE cleared (workflow BLOB PRIMARY KEY) STRICT;
CREATE TABLE audit (number INTEGER PRIMARY KEY, at INTEGER, actor TEXT, action TEXT, details BLOB) STRICT;
BEGIN;
"""

_PUT: Final = """
INSERT INTO changed (workflow, execute, arrival, is_new, body)
VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM cleared WHERE workflow = ?1), ?4)
ON CONFLICT DO UPDATE SET arrival = excluded.arrival, is_new = is_new OR body IS NULL, body = excluded.body
"""
"""A record that was deleted before is another one: it comes where it was created again."""

_DELETE: Final = """
INSERT INTO changed (workflow, execute, is_new) VALUES (?1, ?2, 0) ON CONFLICT DO UPDATE SET body = NULL
"""


class ChainState:
    """The records, entries and lines of the audit log at the moment of the last backup of *chain*.

    Not for several threads at once; everything blocks.

    Args:
        target: where the chain is.
        chain: its manifests, the full one first.
        folder: an empty one for the temporary database.

    Attributes:
        entries: the entries of the registry, once :meth:`fold` has returned.
    """

    def __init__(self, target: BackupTarget, chain: Sequence[Manifest], folder: Path) -> None:
        self.entries: dict[EntryName, bytes] = {}
        self._target, self._chain = target, chain
        self._database = sqlite3.connect(folder / "changes.db", isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._packer, self._unpacker = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()

    def close(self) -> None:
        """Close the temporary database."""
        self._database.close()

    def fold(self) -> None:
        """Read all changes of the chain.

        Raises:
            BackupDamaged: a file is missing, or not what its manifest says.
            BackupFailed: one cannot be read.
        """
        for manifest in self._chain:
            for lines in read_segments(self._target, manifest, "changes"):
                for line in lines:
                    try:
                        self._apply(line)
                    except (msgspec.MsgspecError, ValueError, LookupError, TypeError, OverflowError) as error:
                        raise damaged(manifest.id, error) from error

    def _apply(self, text: bytes) -> None:
        run = self._database.execute
        match read_line(text):
            case Put(arrival=arrival, record=record):
                body = bytes(record)
                key = _stored(_document(body))
                run(_PUT, (*key, arrival, self._packer.compress(body)))
            case Deletion(workflow_id=workflow_id, execute_id=None):
                run("DELETE FROM changed WHERE workflow = ?", (workflow_id.encode(),))
                run("INSERT OR IGNORE INTO cleared VALUES (?)", (workflow_id.encode(),))
            case Deletion(workflow_id=workflow_id, execute_id=str(execute_id)):
                run(_DELETE, (workflow_id.encode(), execute_id.encode()))
            case EntryValue(kind=kind, key=name, value=value):
                self.entries[EntryName(kind, name)] = bytes(value)
            case EntryRemoval(kind=kind, key=name):
                self.entries.pop(EntryName(kind, name), None)
            case AuditLine(at=at, actor=actor, action=action, details=details):
                values = (at, actor, action, bytes(details))
                run("INSERT INTO audit (at, actor, action, details) VALUES (?, ?, ?, ?)", values)

    def records(self) -> Iterator[Document]:
        """Yield the records in the order of creation; once.

        Raises:
            BackupDamaged: a file is missing, or not what its manifest says.
            BackupFailed: one cannot be read.
        """
        cleared = {bytes(row[0]) for row in self._database.execute("SELECT workflow FROM cleared")}
        for lines in read_segments(self._target, self._chain[0], "records"):
            for line in lines:
                try:
                    document = _document(line)
                except (ValueError, LookupError, TypeError) as error:
                    raise damaged(self._chain[0].id, error) from error
                if (kept := self._as_it_became(document, cleared)) is not None:
                    yield kept
        created = "SELECT body FROM changed WHERE body IS NOT NULL AND NOT is_placed ORDER BY arrival"
        with closing(self._database.execute(created)) as rows:
            for (packed,) in rows:
                yield _document(self._unpacker.decompress(packed))

    def _as_it_became(self, document: Document, cleared: set[bytes]) -> Document | None:
        """Return what a record of the full backup became, ``None`` where it is gone or comes later."""
        key = _stored(document)
        found = self._database.execute(
            "SELECT is_new, body FROM changed WHERE workflow = ? AND execute = ?", key
        ).fetchone()
        if found is None:
            return None if key[0] in cleared else document
        is_new, packed = found
        if is_new or packed is None:
            return None
        self._database.execute("UPDATE changed SET is_placed = 1 WHERE workflow = ? AND execute = ?", key)
        return _document(self._unpacker.decompress(packed))

    def audit(self) -> Iterator[tuple[int, str, str, bytes]]:
        """Yield the lines of the audit log in their order: when, who, what, details."""
        yield from self._database.execute("SELECT at, actor, action, details FROM audit ORDER BY number")


def _document(body: bytes) -> Document:
    return Document.of(outline_of(body), body)


def _stored(document: Document) -> tuple[bytes, bytes]:
    return document.workflow_id.encode(), document.execute_id.encode()


def key_of(document: Document) -> RecordKey:
    """Return the ids of a record."""
    return RecordKey(document.workflow_id, document.execute_id)
