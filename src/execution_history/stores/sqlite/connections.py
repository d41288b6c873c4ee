"""Connections to ``history.db``: the file, the pragmas, the migrations."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw
import orjson

from execution_history.clock import now_ms
from execution_history.errors import N_, StoreTooNew, StoreUnwritable, quoted
from execution_history.records.metadata import COZE_EXECUTE_ID
from execution_history.records.record import Document
from execution_history.stores import compression
from execution_history.stores.database_files import DATABASE
from execution_history.stores.sqlite.queries import migrations, query

BUSY_MS: Final = 30_000
LOG_BYTES: Final = 64 * 1024 * 1024
"""The size to which an empty write-ahead log is truncated."""

_CACHE_KIB: Final = 4 * 1024  # a connection keeps that much for as long as it is open
_UPSTREAM_IDS: Final = 2
_MIGRATIONS: Final = (
    "CREATE TABLE IF NOT EXISTS migrations "
    "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
)
_COMMENT_OR_BLANKS: Final = re.compile(r"--[^\n]*|\s+")


def open_file(path: Path, misplaced: str, **pragmas: int | str) -> apsw.Connection:
    """Return a connection to the database *path*; a missing one is made, readable by its owner only.

    Args:
        path: the file.
        misplaced: the message for a folder in its place.
        pragmas: settings of the connection, in order.

    Raises:
        StoreUnwritable: a folder is in its place.
        apsw.Error: SQLite could not open it.
        OSError: it could not be made.
    """
    if path.is_dir():
        raise StoreUnwritable(misplaced, path=quoted(path))
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return _connect(path, pragmas)


def _connect(path: Path, pragmas: Mapping[str, int | str]) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_MS)
        for name, value in pragmas.items():
            connection.pragma(name, value)
    except BaseException:
        connection.close()
        raise
    return connection


def open_writer(folder: Path) -> apsw.Connection:
    """Return the one connection that writes, with the newest schema.

    Raises:
        StoreTooNew: a newer version of this package made the database.
        StoreUnwritable: there is a folder in its place.
        apsw.Error: SQLite could not open it.
    """
    connection = open_file(
        folder / DATABASE,
        N_("%(path)s is a folder, where the database should be a file: move it away."),
        # Only an empty database accepts this; with it the space of deleted records is freed in small steps.
        auto_vacuum=2,
        journal_mode="wal",
        synchronous=2,
        cache_size=-_CACHE_KIB,
        journal_size_limit=LOG_BYTES,
        recursive_triggers=1,  # a row of the bin that another replaces takes its pieces with it
    )
    plan_once(connection)
    _migrate(connection, folder)
    return connection


def open_reader(folder: Path) -> apsw.Connection:
    """Return a connection that only reads.

    Raises:
        apsw.Error: SQLite could not open the database.
    """
    connection = _connect(folder / DATABASE, {"query_only": 1, "cache_size": -_CACHE_KIB})
    plan_once(connection)
    return connection


def open_unchanged(path: Path) -> apsw.Connection:
    """Return a read-only connection; where nothing can be written beside the file, to the file as it is.

    Raises:
        apsw.Error: SQLite could not open the database, or it has not our tables.
    """
    try:
        return _open_to_read(path, "mode=ro")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        return _open_to_read(path, "mode=ro&immutable=1")


def _open_to_read(path: Path, mode: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(path.absolute()))}?{mode}", flags=flags)
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.execute(query("feed_revision")).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def plan_once(connection: apsw.Connection) -> None:
    """Keep SQLite from planning a statement again for every value, which it would do for partial indexes."""
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


@contextmanager
def one_moment(connection: apsw.Connection) -> Iterator[None]:
    """Make all reads in the block see one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def load_dictionaries(connection: apsw.Connection) -> dict[int, bytes]:
    """Return the dictionaries of the store's documents, by number."""
    rows: list[Any] = connection.execute(query("dictionaries")).fetchall()
    found = {number: content for number, content in rows if isinstance(content, bytes)}
    # The store's copy is for other versions: if it were damaged, every record would be.
    return found | {compression.CURRENT: compression.shipped_dictionary()}


def is_current(connection: apsw.Connection, place: Path) -> bool:
    """Return whether the database has the newest schema.

    Raises:
        StoreTooNew: a newer version of this package made it.
        apsw.Error: it could not be read.
    """
    applied, known = applied_migrations(connection), len(migrations())
    if applied > known:
        raise StoreTooNew(
            "The history in %(folder)s was written by a newer version of execution-history: upgrade this one.",
            folder=quoted(place),
        )
    return applied == known


def write_in_one_file(connection: apsw.Connection) -> None:
    """Leave the database without a write-ahead log and without gaps, so that its one file is all of it.

    Raises:
        apsw.Error: it could not be written.
    """
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    connection.execute("VACUUM")


def _migrate(connection: apsw.Connection, folder: Path) -> None:
    """Run the missing migrations and note them, in one transaction."""
    if is_current(connection, folder):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_MIGRATIONS)
        is_current(connection, folder)  # raises where another process has gone further meanwhile
        for number, name, script in migrations()[applied_migrations(connection) :]:
            connection.execute(script)
            if number == _UPSTREAM_IDS:
                _fill_upstream_ids(connection)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, name, now_ms()))
        connection.execute(query("add_dictionary"), (compression.CURRENT, compression.shipped_dictionary()))
    except BaseException as error:
        connection.execute("ROLLBACK")
        if isinstance(error, apsw.SQLError):  # the tables are not those of the migrations
            raise apsw.CorruptError(str(error)) from error
        raise
    connection.execute("COMMIT")


def _fill_upstream_ids(connection: apsw.Connection) -> None:
    """Copy the upstream ids of the existing records into the column that migration 2 adds."""
    unpacker = compression.Unpacker(load_dictionaries(connection))
    key = orjson.dumps(COZE_EXECUTE_ID.name)
    last: Any = 0
    while rows := connection.execute(query("scan_documents"), (last, 500)).fetchall():
        row: tuple[Any, ...]
        for row in rows:
            last = row[0]
            with contextlib.suppress(compression.Unreadable):  # reading it raises
                body = unpacker.unpack(compression.StoredRecord(*row[1:]))
                if key in body:
                    record = orjson.loads(body)
                    found = Document.of(record, body).upstream_id
                    connection.execute("UPDATE executions SET upstream_id = ? WHERE seq = ?", (found, last))


def altered_schema(connection: apsw.Connection) -> list[str]:
    """Return the names of the tables, indexes and triggers that are not as the applied migrations have made them.

    Triggers that they have not made are among them, since SQLite runs these with every write; tables, views and indexes
    that somebody has added are not.

    Raises:
        apsw.Error: the database could not be read.
    """
    with contextlib.closing(apsw.Connection(":memory:")) as made:
        made.execute(_MIGRATIONS)
        for _, _, script in migrations()[: applied_migrations(connection)]:
            made.execute(script)
        expected, found = _schema(made), _schema(connection)
    altered = {name for name, definition in expected.items() if found.get(name) != definition}
    return sorted(altered | {name for name in found.keys() - expected.keys() if found[name][0] == "trigger"})


def _schema(connection: apsw.Connection) -> dict[str, tuple[Any, ...]]:
    """Return by their names what a database has, each with its kind, table and definition."""
    return {
        str(name): (kind, table, _COMMENT_OR_BLANKS.sub(" ", str(definition)))
        for kind, name, table, definition in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
    }


def applied_migrations(connection: apsw.Connection) -> int:
    """Return the number of the last migration that a database has had; 0 for one that is not ours."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").fetchall():
        return 0
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM migrations").get)
