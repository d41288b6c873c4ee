"""A copy of the registry beside the database: names, views, prices, rules and the hashes of keys, in ``.registry``.

Records have their JSON files, so that what a disk has damaged in the database comes back from there; the registry has
this one file. What decides who comes in is in it before the change is answered, everything else within a second; only
a repair reads it.
"""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import apsw
import orjson

from execution_history.errors import ExecutionHistoryError, quoted
from execution_history.stores.sqlite.queries import rows, value
from execution_history.stores.sqlite.reader import Reader

_log = logging.getLogger("execution_history.stores.sqlite")

COPY: Final = ".registry"
"""The name of the file."""

_LEAST_PAUSE: Final = 0.5
_PAUSE_PER_SECOND: Final = 20
"""Seconds without a copy for each that the last one took: many thousand names must not be all a process writes."""


class CopiedEntry(NamedTuple):
    """A row of the registry: a null value is a removed entry, the version a revision, the time milliseconds."""

    kind: str
    key: str
    value: bytes | None
    version: int
    changed_at: int


class RegistryCopy:
    """Keeps the copy current while a store is open. What cannot be written is logged: the change is made all the same.

    Args:
        folder: the store's folder.
        reader: reads the registry.
    """

    def __init__(self, folder: Path, reader: Reader) -> None:
        self._folder, self._reader = folder, reader
        self._saving, self._planning = threading.Lock(), threading.Lock()
        self._timer: threading.Timer | None = None
        self._pause = _LEAST_PAUSE
        self._is_closed = False

    def save(self) -> None:
        """Write the copy anew where the registry has changed since; not any more once this is closed."""
        with self._saving:
            if not self._is_closed:
                self._save()

    def save_soon(self) -> None:
        """Write it in a moment, with whatever else has changed by then."""
        with self._planning:
            if self._timer is None:
                self._timer = threading.Timer(self._pause, self._save_now)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Write what has changed, and nothing more."""
        with self._planning:
            if self._timer is not None:
                self._timer.cancel()
        with self._saving:
            self._save()
            self._is_closed = True

    def _save_now(self) -> None:
        with self._planning:
            self._timer = None
        self.save()

    def _save(self) -> None:
        began = time.monotonic()
        try:
            with self._reader.connection() as connection:
                save_copy(connection, self._folder)
        except (apsw.Error, OSError, ExecutionHistoryError) as error:
            _log.warning("The copy of the registry in %s could not be written: %s", quoted(self._folder), error)
        self._pause = max(_LEAST_PAUSE, _PAUSE_PER_SECOND * (time.monotonic() - began))


def save_copy(connection: apsw.Connection, folder: Path) -> None:
    """Write the copy anew where the registry has changed since.

    Raises:
        apsw.Error: the registry cannot be read.
        OSError: the file cannot be written.
    """
    path = folder / COPY
    [(newest,)] = rows(connection, "newest_entry")
    if newest == (_newest_of(path) or 0):
        return
    store = value(connection, "store_identity")
    found = [CopiedEntry(*row) for row in rows(connection, "whole_registry")]
    entries = orjson.dumps(
        [(*each[:2], None if each.value is None else each.value.decode(), *each[3:]) for each in found]
    )
    head = orjson.dumps({"store": store, "newest": newest, "checksum": crc32(entries)})
    beside = path.with_name(f"{COPY}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(head + b"\n" + entries + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_copy(folder: Path, store: str | None) -> list[CopiedEntry]:
    """Return the entries of the copy; none where there is no copy, a damaged one or one of another store.

    Args:
        folder: the store's folder.
        store: the identity of the store; ``None`` where that is not known.
    """
    try:
        head, entries, *_ = (folder / COPY).read_bytes().split(b"\n")
        known = orjson.loads(head)
        if known["checksum"] != crc32(entries) or store not in (None, known["store"]):
            return []
        return [
            CopiedEntry(
                str(kind), str(key), None if value is None else str(value).encode(), int(version), int(changed_at)
            )
            for kind, key, value, version, changed_at in orjson.loads(entries)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def altered_entries(connection: apsw.Connection, folder: Path) -> list[CopiedEntry]:
    """Return the entries of the copy that are not the same in the registry, although their version is.

    Raises:
        apsw.Error: the registry cannot be read.
    """
    store = value(connection, "store_identity")
    there = {entry.version: entry for entry in (CopiedEntry(*row) for row in rows(connection, "whole_registry"))}
    return [entry for entry in read_copy(folder, store) if there.get(entry.version, entry) != entry]


def _newest_of(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            return int(orjson.loads(file.readline())["newest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
