"""``history.db`` as checks read it: through connections that change nothing."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from execution_history.stores.database_files import DATABASE
from execution_history.stores.jsonfiles.recovery import recovered_from
from execution_history.stores.sqlite.connections import load_dictionaries, one_moment, open_unchanged
from execution_history.stores.sqlite.documents import Documents, nowhere
from execution_history.stores.sqlite.error_mapping import as_store_error, faults
from execution_history.stores.sqlite.queries import rows
from execution_history.stores.sqlite.reader import MirrorSnapshot
from execution_history.stores.verification import Effort

_QUICK_SECONDS: Final = 1.0
_STEPS: Final = 10_000


@dataclass(slots=True)
class Limit:
    """Whether what was done in a block of :func:`limited` was cut short."""

    is_reached: bool = False


@contextmanager
def limited(connection: apsw.Connection, effort: Effort, seconds: float = _QUICK_SECONDS) -> Iterator[Limit]:
    """End what the block does on *connection* after so many *seconds*, where that is to be quick."""
    limit, until = Limit(), time.monotonic() + seconds
    if effort == "quick":
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield limit
    except apsw.InterruptError:
        limit.is_reached = True
    finally:
        connection.set_progress_handler(None)


class HistoryView:
    """The history in a folder, read without changing it.

    Args:
        folder: the store's folder.
        json_files: whether it keeps JSON files.
    """

    def __init__(self, folder: Path, *, json_files: bool) -> None:
        self.folder = folder
        self.json_files = json_files
        self._documents: Documents | None = None  # one, which tells of each damaged record once

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.folder / DATABASE

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Yield a connection that only reads.

        Raises:
            StoreError: the database cannot be read.
        """
        try:
            with faults(self.folder), closing(open_unchanged(self.database)) as connection:
                yield connection
        except UnicodeDecodeError as error:  # a text column is not UTF-8: SQLite does not check
            raise as_store_error(apsw.CorruptError(str(error)), self.folder) from error

    @contextmanager
    def documents(self) -> Iterator[tuple[apsw.Connection, Documents]]:
        """Yield such a connection, and what reads documents from it.

        Raises:
            StoreError: the database cannot be read.
        """
        with self.connection() as connection:
            if self._documents is None:
                recover = recovered_from(self.folder) if self.json_files else nowhere
                self._documents = Documents(self.folder, load_dictionaries(connection), recover)
            yield connection, self._documents

    @contextmanager
    def snapshot(self) -> Iterator[MirrorSnapshot]:
        """See :class:`~execution_history.stores.mirror_port.RecordSource`."""
        with self.documents() as (connection, documents), one_moment(connection):
            yield MirrorSnapshot(documents, connection)

    def cursors(self) -> dict[str, int]:
        """See :class:`~execution_history.stores.capabilities.ExaminedRecords`."""
        with self.connection() as connection:
            return dict(rows(connection, "cursors"))
