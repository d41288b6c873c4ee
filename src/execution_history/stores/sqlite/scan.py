"""Reading a database that lies somewhere else from its first record to its last; it is only looked at."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import apsw

from execution_history.stores.jsonfiles.recovery import recovered_from
from execution_history.stores.protocol import Batch, ScanToken
from execution_history.stores.sqlite.connections import BUSY_MS, DATABASE, load_dictionaries
from execution_history.stores.sqlite.documents import Documents
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.queries import query

_AT_ONCE: Final = 1_000


def stored_elsewhere(folder: Path) -> Iterator[Batch]:
    """Return the records of the history in *folder* in the order in which they came, in batches; nothing is changed.

    A damaged record is taken from the JSON file beside the database, where it is there.

    Raises:
        StoreError: the database cannot be read, or is damaged as a whole; what was given before is whole.
    """
    with faults(folder), closing(_open_unchanged(folder / DATABASE)) as connection:
        documents = Documents(folder, load_dictionaries(connection), recovered_from(folder))
        after: ScanToken | None = None
        while True:
            batch = documents.scan(connection, after, _AT_ONCE)
            yield batch
            after = batch.next
            if after is None:
                return


def _open_unchanged(path: Path) -> apsw.Connection:
    """Return a connection that only reads; where nothing may be written beside the file, of the file as it is."""
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
