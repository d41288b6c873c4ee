"""What an embedded store takes of its disk; see :class:`~execution_history.stores.capabilities.Sized`."""

import asyncio
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import apsw
import orjson

from execution_history.query.model import RecordKey
from execution_history.stores.capabilities import DiskUse
from execution_history.stores.database_files import DATABASE, INDEX_DATABASE
from execution_history.stores.sqlite.bin_pieces import drop_lost_pieces
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.lifecycle import EmbeddedStore
from execution_history.stores.sqlite.queries import rows

_INDEX_SECONDS: Final = 1.0
_PER_RUN: Final = 1_000
"""About how many bytes a run takes besides its document: columns, the rows of the index and figures."""

_BREATH: Final = 0.005
_USUAL_GAPS: Final = 0.15
_LEAST_GAPS: Final = 0.05
"""Shares of a JSON file that gaps may be, beyond those that every file has (``FileSizes.gap``)."""
PARTS: Final = ("database", "log", "index", "files", "other")
"""What the files in a folder are parts of: the fields of :class:`DiskUse`."""

_BEGINNINGS: Final = (
    (f"{INDEX_DATABASE}.new", "log"),  # one that is being built takes the place of the other
    (f"{DATABASE}-", "log"), (DATABASE, "database"), (f"{INDEX_DATABASE}-", "log"), (INDEX_DATABASE, "index"),
)  # fmt: skip


class SQLiteSpace(EmbeddedStore):
    """The part of the embedded store that knows its size."""

    log_room = 32 * 1024 * 1024  # two logs, of history and index, which are copied from 4,000 pages on

    async def disk_use(self) -> DiskUse:
        """See :meth:`Sized.disk_use`."""

        def read(connection: apsw.Connection) -> DiskUse:
            [(documents, runs)] = rows(connection, "size_of_all")
            sizes = self._sizes_of_files()
            free = _settled(sizes, "database", connection)
            with self._index_pages() as index:
                free += 0 if index is None else _settled(sizes, "index", index)
            return DiskUse(**sizes, free=free, documents=documents, lines=runs * _PER_RUN, runs=runs)

        return await self._parts.reader.in_thread(read)

    async def sizes_of(self, keys: Collection[RecordKey]) -> dict[RecordKey, int]:
        """See :meth:`Sized.sizes_of`."""
        pairs = orjson.dumps([tuple(key) for key in keys]).decode()
        return {RecordKey(*row[:2]): row[2] for row in await self._rows("sizes_by_key", pairs)}

    async def give_back(self, workflow_ids: Collection[str] = (), *, is_thorough: bool = False) -> bool:
        """See :meth:`Sized.give_back`."""
        parts = self._parts
        while await parts.writer.submit(lambda t: drop_lost_pieces(t.connection, t.clock())):
            pass
        has_more = True
        while has_more:
            has_more = await parts.writer.submit_alone(parts.writer.give_back)
            await asyncio.sleep(_BREATH)  # whoever writes meanwhile comes first
        await parts.mirror.give_back(workflow_ids, _LEAST_GAPS if is_thorough else _USUAL_GAPS)
        is_complete = True
        if self._folder.joinpath(INDEX_DATABASE).exists():
            is_complete = await parts.index.give_back(_INDEX_SECONDS)
        # Last: whoever follows for the index reads the log, which cannot be emptied meanwhile.
        with faults(self._folder):
            await asyncio.to_thread(parts.writer.empty_log)
        return is_complete

    def _sizes_of_files(self) -> dict[str, int]:
        """Return the bytes of the files in the folder, by the fields of :class:`DiskUse`."""
        sizes = dict.fromkeys(PARTS, 0)
        with faults(self._folder), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it was moved meanwhile
                    if entry.is_file(follow_symlinks=False):
                        sizes[_part_of(entry.name)] += entry.stat(follow_symlinks=False).st_size
        return sizes

    @contextmanager
    def _index_pages(self) -> Iterator[apsw.Connection | None]:
        """Open the index; ``None`` where there is none, or one that is unfit and is made anew."""
        path, found = self._folder / INDEX_DATABASE, None
        with suppress(apsw.Error):
            found = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE) if path.exists() else None
        try:
            yield found
        finally:
            if found is not None:
                found.close()


def _part_of(name: str) -> str:
    for beginning, part in _BEGINNINGS:
        if name.startswith(beginning):
            return part
    return "files" if name.endswith(".json") and not name.startswith(".") else "other"


def _settled(sizes: dict[str, int], part: str, connection: apsw.Connection) -> int:
    """Count for a database the pages it has, some of them in the log only as yet; return the bytes of free ones."""
    try:
        count, free, size = (_number(connection, name) for name in ("page_count", "freelist_count", "page_size"))
    except apsw.Error:
        return 0  # an index that is unfit is made anew
    moved = min(count * size - sizes[part], sizes["log"])
    sizes[part] += moved
    sizes["log"] -= moved
    return free * size


def _number(connection: apsw.Connection, pragma: str) -> int:
    value: Any = connection.pragma(pragma)
    return int(value)
