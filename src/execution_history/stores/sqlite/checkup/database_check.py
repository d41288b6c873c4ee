"""Whether the database is sound: its log, its pages, its tables, and what SQLite says of them."""

import re
import struct
import time
from collections import deque
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from execution_history.errors import (
    N_,
    Message,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreTooNew,
    StoreUnwritable,
    message_of,
    quoted,
)
from execution_history.stores.jsonfiles.comparison import newest_in_files
from execution_history.stores.sqlite.checkup.view import HistoryView, limited
from execution_history.stores.sqlite.connections import altered_schema, applied_migrations
from execution_history.stores.sqlite.queries import migrations, query, rows
from execution_history.stores.sqlite.registry_copy import altered_entries
from execution_history.stores.sqlite.repaired_database import is_incomplete
from execution_history.stores.sqlite.salvage.log import read_log
from execution_history.stores.verification import Effort, Finding, counted, named

_MOST: Final = 100
_ATTEMPTS: Final = 10
_PAUSE_SECONDS: Final = 0.05
_SHOWN: Final = 3
_INDEX_HEADER: Final = 96  # two copies of 48 bytes
_ALL: Final = 1 << 32
_OF_INDEX: Final = re.compile(r"(?:row \d+ missing from|wrong # of entries in|non-unique entry in) index \w+")


class DatabaseFault(NamedTuple):
    """Something that is wrong with the database, and whether new indexes are all that it needs."""

    sentence: Message
    is_of_indexes: bool = False


def log_faults(view: HistoryView) -> list[DatabaseFault]:
    """Return what is wrong with the write-ahead log: SQLite reads it only up to what is damaged in it."""
    try:
        content = Path(f"{view.database}-wal").read_bytes()
    except FileNotFoundError:
        return []
    for attempt in range(_ATTEMPTS):
        known = None
        with suppress(StoreError), view.connection():  # SQLite has looked at all frames now
            known = _frames_read(Path(f"{view.database}-shm"), content)
        lost = read_log(content, known).lost_commits
        if not lost or known is None:
            break
        if attempt < _ATTEMPTS - 1:
            time.sleep(_PAUSE_SECONDS)  # somebody may be writing just this commit
    return _lost(lost)


def _frames_read(index: Path, log: bytes) -> int | None:
    """Return how many frames of the *log* SQLite reads (sqlite.org/walformat.html, section 2); ``None``: not known."""
    try:
        content = index.read_bytes()[:_INDEX_HEADER]
    except OSError:
        return None
    if len(content) < _INDEX_HEADER or content[: _INDEX_HEADER // 2] != content[_INDEX_HEADER // 2 :]:
        return None
    # Another salt: the log has begun anew, or does so with the next commit, and what was in it is in the database.
    return struct.unpack_from("=I", content, 16)[0] if content[32:40] == log[16:24] else _ALL


def _lost(commits: int) -> list[DatabaseFault]:
    if not commits:
        return []
    one = N_("The log history.db-wal is damaged: the last commit in it is not read any more.")
    several = N_("The log history.db-wal is damaged: the last %(count)s commits in it are not read any more.")
    return [DatabaseFault(counted(commits, one, several))]


def version_fault(view: HistoryView) -> StoreTooNew | None:
    """Return the error of a database that a newer version of this package has written; ``None`` for any other."""
    with suppress(StoreError), view.connection() as connection:
        if applied_migrations(connection) > len(migrations()):
            return StoreTooNew(
                "The history in %(folder)s was written by a newer version of execution-history: upgrade this one.",
                folder=quoted(view.folder),
            )
    return None


def misfit(view: HistoryView) -> Finding | None:
    """Return that what is in the place of the history is none, and is left alone; ``None`` where it may be one."""
    path = view.database
    if view.folder.exists() and not view.folder.is_dir():
        sentence = Message(
            "%(folder)s is a file, where the folder of the history should be.", folder=quoted(view.folder)
        )
        return Finding(sentence, Message("Name another folder with --store, or move this file away."))
    if path.is_dir():
        sentence = Message("history.db is a folder, where the database should be a file.")
        return Finding(sentence, Message("Move it away; then --repair builds the database from the JSON files."))
    with suppress(apsw.Error), closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if names and not names & {"executions", "migrations", "feed"}:
            sentence = Message("history.db is another program's database.")
            return Finding(sentence, Message("Name another folder with --store, or move this file away."))
    return None


def page_faults(view: HistoryView, effort: Effort) -> tuple[list[DatabaseFault], bool]:
    """Return what SQLite finds on the pages of the database, and whether it has read all of them.

    Raises:
        StoreBusy: another process kept it locked.
        StoreUnwritable: it cannot be opened.
    """
    if is_incomplete(view.folder):
        return [DatabaseFault(Message("A repair of history.db was ended before its last step."))], False
    if not view.database.stat().st_size:
        return [DatabaseFault(Message("history.db is empty."))], False
    try:
        with view.connection() as connection:
            if names := altered_schema(connection):
                return [
                    DatabaseFault(Message("The schema of history.db is damaged: %(names)s.", names=named(names)))
                ], True
            said = []
            with limited(connection, effort) as limit:
                pragma = "quick_check" if effort == "quick" else "integrity_check"
                said += [str(text) for (text,) in connection.execute(f"PRAGMA {pragma}({_MOST})")]
            return [] if said in ([], ["ok"]) else [_integrity(said)], not limit.is_reached
    except (StoreBusy, StoreFull, StoreUnwritable):
        raise  # that is not about its pages
    except StoreError as error:
        return [DatabaseFault(_unreadable(error))], False


def _unreadable(error: StoreError) -> Message:
    cause = error.__cause__
    if isinstance(cause, apsw.CorruptError | apsw.NotADBError):  # the sentence of the error has the remedy as well
        return Message("SQLite cannot read history.db (%(reason)s).", reason=str(cause))
    return Message("SQLite cannot read history.db: %(reason)s", reason=message_of(error))


def content_faults(view: HistoryView, effort: Effort) -> list[DatabaseFault]:
    """Return what in the tables contradicts itself and cannot be counted anew."""
    found = []
    is_quick = effort == "quick"
    in_files = newest_in_files(view.folder) if view.json_files and not is_quick else 0  # first: files follow
    strays = broken = 0
    with view.connection() as connection:
        [(newest, revision)] = rows(connection, "newest_revisions")
        if not is_quick:
            try:
                deque(connection.execute(query("all_texts")), 0)
            except UnicodeDecodeError:
                return [DatabaseFault(Message("history.db has texts that are not UTF-8."))]
            [(strays,)] = rows(connection, "count_stray_rows")
            [(broken,)] = rows(connection, "broken_entries")
            broken += len(altered_entries(connection, view.folder))
    if strays:
        found.append(Message("%(count)s runs belong to a workflow that is not in history.db.", count=strays))
    if newest > revision:
        found.append(
            Message(
                "The change feed ends with revision %(revision)s, and there are changes up to %(newest)s.",
                revision=revision,
                newest=newest,
            )
        )
    if in_files > revision:
        found.append(
            Message(
                "history.db ends with change %(revision)s and the JSON files with %(newest)s: it lacks what came "
                "between.",
                revision=revision,
                newest=in_files,
            )
        )
    if broken:
        one = N_("1 entry of the registry or the audit log is damaged.")
        found.append(counted(broken, one, N_("%(count)s entries of the registry or the audit log are damaged.")))
    return list(map(DatabaseFault, found))


def size_of(view: HistoryView) -> int:
    """Return the bytes of the database and its log."""
    paths = [view.database, Path(f"{view.database}-wal")]
    return sum(path.stat().st_size for path in paths if path.exists())


def _integrity(said: list[str]) -> DatabaseFault:
    lines = [line for text in said for line in text.splitlines()]
    more = len(lines) - _SHOWN
    shown = "; ".join(lines[:_SHOWN])
    count = Message("%(count)s or more", count=len(lines)) if len(lines) >= _MOST else str(len(lines))
    sentence = N_("SQLite finds %(count)s faults in history.db: %(shown)s …")
    if more <= 0:
        sentence = N_("SQLite finds faults in history.db: %(shown)s.")
    return DatabaseFault(Message(sentence, count=count, shown=shown), all(_OF_INDEX.fullmatch(line) for line in lines))
