"""A copy of the registry beside the database: names, views, prices, rules and the hashes of keys, in ``.registry``.

Records have their JSON files, so that what a disk has damaged in the database comes back from there; the registry has
this one file. It is written when a store is closed, and by a server now and then; only a repair reads it.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import apsw
import orjson

from execution_history.stores.sqlite.queries import rows

COPY: Final = ".registry"
"""The name of the file."""


class CopiedEntry(NamedTuple):
    """A row of the registry: a null value is a removed entry, the version a revision, the time milliseconds."""

    kind: str
    key: str
    value: bytes | None
    version: int
    changed_at: int


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
    [(store,)] = rows(connection, "store_identity")
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
    [(store,)] = rows(connection, "store_identity")
    there = {entry.version: entry for entry in (CopiedEntry(*row) for row in rows(connection, "whole_registry"))}
    return [entry for entry in read_copy(folder, store) if there.get(entry.version, entry) != entry]


def _newest_of(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            return int(orjson.loads(file.readline())["newest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
