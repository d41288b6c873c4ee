"""Whether ``index.db`` is sound, and has what the history has."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw

from execution_history.errors import Message, quoted
from execution_history.stores.database_files import INDEX_DATABASE
from execution_history.stores.sqlite.checkup.view import HistoryView
from execution_history.stores.sqlite.connections import BUSY_MS
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.index.connections import VERSION, statement
from execution_history.stores.sqlite.index.state import IndexState
from execution_history.stores.sqlite.queries import query, rows

_SHOWN: Final = 3


class IndexFaults:
    """What the check has found.

    Attributes:
        fault: what is wrong with the index; ``None`` where it is sound.
        behind: how many changes it has not followed yet; what is not known of them is not compared.
        records: how many it has.
        exists: whether there is one: the first question that needs it makes it.
    """

    def __init__(self) -> None:
        self.fault: Message | None = None
        self.behind = self.records = 0
        self.exists = False


def index_faults(view: HistoryView) -> IndexFaults:
    """Return what is wrong with the index.

    Raises:
        StoreError: the history cannot be read.
    """
    found = IndexFaults()
    path = view.folder / INDEX_DATABASE
    found.exists = path.exists()
    if not found.exists:
        return found
    try:
        with closing(_opened(path)) as index, faults(view.folder), view.connection() as history:
            _compare(index, history, found)
    except apsw.SQLError:
        found.behind = 1  # another version's, with other tables
    except apsw.Error as error:
        found.fault = Message("SQLite cannot read index.db: %(reason)s.", reason=str(error))
    return found


def _opened(path: Path) -> apsw.Connection:
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    index = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    index.set_busy_timeout(BUSY_MS)
    return index


def _compare(index: apsw.Connection, history: apsw.Connection, found: IndexFaults) -> None:
    said = [str(text) for (text,) in index.execute("PRAGMA integrity_check(10)")]
    if said != ["ok"]:
        found.fault = Message("SQLite finds faults in index.db: %(shown)s.", shown="; ".join(said[:_SHOWN]))
        return
    index.execute("BEGIN")  # both of one moment, the index first: it never has what the history has not yet
    try:
        state = IndexState.read(index)
        [(store,)] = rows(history, "store_identity")
        history.execute("BEGIN")
        [(revision,)] = rows(history, "feed_revision")
        if state.store != store or state.version.partition(";")[0] != VERSION:
            found.behind = revision  # it is another history's, or another version's, and made anew
            return
        found.records = int(index.execute("SELECT count(*) FROM facets").get)
        found.behind = max(0, revision - state.revision) + state.missing * (state.behind is not None)
        if not found.behind and not state.lacks_rows:
            found.fault = _difference(index, history)
    finally:
        index.execute("COMMIT")
        if history.in_transaction:
            history.execute("COMMIT")


def _difference(index: apsw.Connection, history: apsw.Connection) -> Message | None:
    """Return the first record that is not the same in both, which are walked side by side."""
    indexed = index.execute(statement("all_facets"))
    for stored in history.execute(query("indexed_columns")):
        row: Any = indexed.fetchone()
        if row != stored:
            name = stored[0] if row is None or stored[1] <= row[1] else row[0]
            return Message("Run %(run)s differs between index.db and history.db.", run=quoted(name))
    if (row := indexed.fetchone()) is not None:
        return Message("Run %(run)s is in index.db and not in history.db.", run=quoted(row[0]))
    return None
