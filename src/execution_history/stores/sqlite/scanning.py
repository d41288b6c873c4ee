"""Reading a database from its first record to its last: ours, or one that lies somewhere else and is only looked at."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw
import zstandard

from execution_history.errors import StoreDamaged, quoted
from execution_history.store import Batch
from execution_history.stores.sqlite.database import BUSY_MS, DATABASE, load_dictionaries
from execution_history.stores.sqlite.faults import faults
from execution_history.stores.sqlite.packing import Unpacker
from execution_history.stores.sqlite.queries import query

_LARGEST_BATCH: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 1_000


def scan_batch(connection: apsw.Connection, unpack: Callable[[int, bytes], bytes], after: int, limit: int) -> Batch:
    """At most *limit* records behind the place *after*, fewer when they are large."""
    documents: list[bytes] = []
    size = 0
    # Closed when left early, or the connection would keep looking at this moment.
    with closing(connection.execute(query("scan_documents"), (after, limit))) as rows:
        for seq, packing, document in rows:
            body = unpack(packing, document)
            documents.append(body)
            size += len(body)
            if size >= _LARGEST_BATCH or len(documents) == limit:
                return Batch(documents, seq)
    return Batch(documents, None)


def stored_elsewhere(folder: Path) -> Iterator[list[bytes]]:
    """The records of the history in *folder* in the order in which they came, in batches; nothing in it is changed.

    Raises:
        StoreError: the database cannot be read, or is damaged; what was given before is whole.
    """
    with faults(folder), closing(_open_unchanged(folder / DATABASE)) as connection:
        unpacker = Unpacker(load_dictionaries(connection))
        after: int | None = 0
        while after is not None:
            try:
                batch = scan_batch(connection, unpacker.unpack, after, _AT_ONCE)
            except (KeyError, zstandard.ZstdError) as error:
                raise StoreDamaged(
                    f"A record of the history in {quoted(folder)} cannot be unpacked: its database is damaged."
                ) from error
            yield list(batch.documents)
            after = batch.next


def _open_unchanged(path: Path) -> apsw.Connection:
    """A connection that only reads; one that may not even write beside the file takes the file as it lies there."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = apsw.Connection(f"file:{quote(str(path.absolute()))}?{mode}", flags=flags)
        connection.set_busy_timeout(BUSY_MS)
        try:
            connection.execute(query("feed_revision")).fetchall()
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection.close()
            if "immutable" in mode:
                raise
        else:
            return connection
    raise AssertionError  # the second way either works or raises
