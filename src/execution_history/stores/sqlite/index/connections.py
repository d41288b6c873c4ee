"""The file ``index.db``: opened, made, checked and replaced."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NamedTuple

import apsw
import orjson

from execution_history.errors import N_, StoreError
from execution_history.stores.database_files import INDEX_DATABASE
from execution_history.stores.sqlite.connections import LOG_BYTES, open_file
from execution_history.stores.sqlite.error_mapping import as_store_error, faults
from execution_history.stores.sqlite.index.text_index import TextIndex
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.queries import statements

_PACKAGE: Final = "execution_history.stores.sqlite.index"
VERSION: Final = "11"
"""The form of the file, raised when the definition of a column changes."""

SERVING: Final[frozenset[str]] = frozenset()
"""Earlier versions whose tables take this one's queries and steps: such a file answers while another is built beside.

None of those before 6 has such tables.
"""
_CACHE_KIB: Final = 8 * 1024  # a connection keeps that much for as long as it is open
_CHECKPOINT_PAGES: Final = 4_000  # rows are spread over the indexes: a page is written less often
_MOST_IDLE: Final = 4
_LOCK_FILE: Final = ".index-lock"

BROKEN: Final = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, apsw.SchemaChangeError)
_ONLY_WRITING: Final = (apsw.FullError, apsw.ReadOnlyError)
_NOT_OUR_TABLES: Final = ("no such table", "no such column", "no such index", "malformed")


class IndexUnfit(Exception):  # noqa: N818 - a signal within this room: the file has to be rebuilt
    """This ``index.db`` is damaged, another version's, or follows another store."""


class IndexOutdated(IndexUnfit):
    """This ``index.db`` is sound, but of another version: it is rebuilt without a warning."""


class IndexBusy(Exception):  # noqa: N818 - a signal within this room
    """Somebody else is writing ``index.db``, and that is not to be waited for."""


class IndexUnusable(Exception):  # noqa: N818 - a signal within this room
    """``index.db`` cannot be opened or written, such as on a full disk; ``error`` has the reason."""

    def __init__(self, error: StoreError) -> None:
        self.error = error
        super().__init__(str(error))


def statement(name: str) -> str:
    """Return the fixed statement called *name*."""
    return statements(_PACKAGE)[name]


def rows(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a statement; the schema has the types of their columns."""
    return connection.execute(sql, values).fetchall()


def texts_at(connection: apsw.Connection, numbers: Collection[int | None]) -> dict[int | None, str]:
    """Return the texts that records share by their *numbers*; there is none for ``None``."""
    listed = [number for number in numbers if number is not None]
    sql = "SELECT id, text FROM texts WHERE id IN (SELECT value FROM json_each(?))"
    return dict(rows(connection, sql, (orjson.dumps(listed).decode(),))) if listed else {}


def add_rows(connection: apsw.Connection, sql: str, found: Sequence[tuple[Any, ...]]) -> None:
    """Run *sql*, which inserts the rows of a JSON list, for *found*, if there are any.

    It is one step of SQLite: between two another thread may take the interpreter, for 5 ms each time.

    Raises:
        TypeError: a text has half of a surrogate pair.
        apsw.Error: a row cannot be inserted; then none is, or only some.
    """
    if found:
        connection.execute(sql, (orjson.dumps(found).decode(),))


@contextmanager
def committed(index: apsw.Connection, forget: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Commit the transaction of *index* at the end of the block; after an error call *forget* and undo it."""
    try:
        yield
        index.execute("COMMIT")
    except BaseException:
        forget()
        if index.in_transaction:
            index.execute("ROLLBACK")
        raise


def _names_tables(error: apsw.SQLError) -> bool:
    """Return whether a statement failed because the tables have another form."""
    return any(sign in str(error) for sign in _NOT_OUR_TABLES)


class Beginning(NamedTuple):
    """What a history has when an index of it begins: its newest revision and create time (ms), and its size."""

    revision: int
    newest_time: int | None
    total: int


@dataclass(frozen=True, slots=True)
class IndexForm:
    """The form of an index, and the history that it follows.

    Args:
        store: the identity of the ``history.db`` that is followed.
        text: the text index of the file, if there is one.
        begin: reads what that history has now.
        serving: versions of files that answer until one of this form is built.
    """

    store: str
    text: TextIndex | None
    begin: Callable[[], Beginning]
    serving: frozenset[str] = SERVING

    @property
    def version(self) -> str:
        """What files of this form have as their version."""
        return VERSION if self.text is None else f"{VERSION};text={self.text.version}"

    def opened(self, path: Path, stops_at: Callable[[int], int], *, is_beside: bool) -> apsw.Connection:
        """Return a connection to the index at *path*, which is made where it is missing or empty.

        Args:
            path: the file.
            stops_at: how many of so many records are left to a file that is filled beside.
            is_beside: whether this is that file: it has exactly this form, and no secondary indexes at the beginning.

        Raises:
            IndexUnfit: the file has to be replaced.
            StoreError: a folder is in its place.
            apsw.Error: SQLite could not open it.
        """
        connection = open_file(
            path,
            N_("%(path)s is a folder, where the index should be a file: move it away."),
            **({} if _is_made(path) else {"auto_vacuum": 2}),  # older files are made anew when much of them is free
            journal_mode="wal",
            synchronous=1,
            cache_size=-_CACHE_KIB,
            wal_autocheckpoint=_CHECKPOINT_PAGES,
            journal_size_limit=LOG_BYTES,
        )
        try:
            if not rows(connection, "SELECT 1 FROM sqlite_schema LIMIT 1"):
                self._make(connection, stops_at, has_indexes=not is_beside)
            self._check(connection, frozenset() if is_beside else self.serving)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self, connection: apsw.Connection, stops_at: Callable[[int], int], *, has_indexes: bool) -> None:
        beginning = self.begin()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_script("schema.sql"))
        for each in secondary_indexes() if has_indexes else ():
            connection.execute(each)
        if self.text is not None:
            self.text.create_tables(connection)
        revision, newest, total = beginning
        place = (None, 0, 0) if newest is None else (newest + 1, total, stops_at(total))
        values = (self.version, self.store, token_hex(16), revision, revision, *place)
        connection.execute(statement("begin_state"), values)
        connection.execute("COMMIT")

    def _check(self, connection: apsw.Connection, serving: frozenset[str]) -> None:
        """Check that the tables have this version, or one of those *serving*, and are of this store."""
        state = rows(connection, "SELECT version, store FROM state")  # all versions have these
        if [store for _, store in state] != [self.store]:
            raise IndexUnfit("it belongs to another history.db")
        if state[0][0] not in {self.version, *serving}:
            raise IndexOutdated("it has the form of another version")


def _is_made(path: Path) -> bool:
    """Return whether there is a database already."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False


def secondary_indexes() -> list[str]:
    """Return the statements that make the secondary indexes."""
    return [each for each in _script("indexes.sql").split(";") if each.strip()]


def _script(name: str) -> str:
    return files(_PACKAGE).joinpath(name).read_text("utf-8")


class IndexDatabase:
    """The file and its connections; for any number of threads.

    Args:
        folder: the store's folder.
        form: the form of the index.
        stops_at: how many of so many records a new file leaves to one that is filled beside.
    """

    def __init__(self, folder: Path, form: IndexForm, stops_at: Callable[[int], int]) -> None:
        self._path = folder / INDEX_DATABASE
        self._lock_path = folder / _LOCK_FILE
        self._form = form
        self._stops_at = stops_at
        self._idle: deque[tuple[tuple[int, int], apsw.Connection]] = deque()
        self._making = threading.Lock()
        self._closed = False
        self.replacements = 0

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Yield a connection to an index of this store, for the time of a ``with`` block.

        Raises:
            IndexUnfit: the file has to be replaced.
            IndexUnusable: it cannot be used for another reason, such as a full disk.
            StoreError: something else in the block has failed.
        """
        connection: apsw.Connection | None = None
        try:
            identity, connection = self._take()
            yield connection
        except BaseException as error:
            if connection is not None:
                # A connection that cannot write can still read; a new one would need space on the disk too.
                self._give_back(identity, connection, is_usable=isinstance(error, _ONLY_WRITING))
            if isinstance(error, BROKEN) or (isinstance(error, apsw.SQLError) and _names_tables(error)):
                raise IndexUnfit(str(error)) from error
            if isinstance(error, (apsw.Error, OSError)):
                raise IndexUnusable(as_store_error(error, self._path.parent)) from error
            if isinstance(error, StoreError) and connection is None:
                raise IndexUnusable(error) from error
            raise
        self._give_back(identity, connection, is_usable=True)

    def _give_back(self, identity: tuple[int, int], connection: apsw.Connection, *, is_usable: bool) -> None:
        if self._closed or not is_usable or connection.in_transaction or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append((identity, connection))

    def replace(self, unfit: IndexUnfit, replacements: int) -> bool:
        """Delete an unfit file, unless somebody has done so meanwhile; the next connection makes it anew.

        Other processes that have the old one open notice that before their next query.

        Args:
            unfit: what is wrong with it.
            replacements: how many files this process had replaced when it was found unfit.

        Returns:
            Whether it was deleted.
        """
        with self._locked():
            if replacements != self.replacements or (isinstance(unfit, IndexOutdated) and self._is_fit()):
                return False
            self._remove()
            return True

    def install(self, path: Path) -> None:
        """Put a whole index in the place of the present one; nothing has it open."""
        with self._locked():
            self._remove()
            path.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with faults(self._path.parent), self._making, closing(ProcessLock(self._lock_path)) as lock:
            lock.acquire()
            self._close_idle()
            yield

    def _is_fit(self) -> bool:
        with contextlib.suppress(IndexUnfit, apsw.Error, OSError):
            self._open().close()
            return True
        return False

    def _remove(self) -> None:
        self.replacements += 1
        remove_database(self._path)

    def close(self) -> None:
        """Close the idle connections, and each busy one when it is returned."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.popleft()[1].close()

    def _take(self) -> tuple[tuple[int, int], apsw.Connection]:
        present = self._file_identity()
        while present is not None:
            try:
                identity, connection = self._idle.pop()
            except IndexError:
                break
            if identity == present:
                return identity, connection
            connection.close()
        with self._making, closing(ProcessLock(self._lock_path)) as lock:
            lock.acquire()
            connection = self._open()
            opened = self._file_identity()
        return opened or (0, 0), connection

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return (found.st_dev, found.st_ino)

    def _open(self) -> apsw.Connection:
        return self._form.opened(self._path, self._stops_at, is_beside=False)


def remove_database(path: Path) -> None:
    """Delete a database that may be there."""
    # The journal is deleted first: a new database must never have an old one's.
    for suffix in ("-wal", "-shm", "-journal", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
