"""What ``history.db`` keeps that is not a record; see :mod:`execution_history.stores.bookkeeping`."""

from abc import abstractmethod
from typing import Any

from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.store_parts import StoreParts

_AT_ONCE = 500


class SQLiteBookkeeping:
    """The half of the embedded store that keeps what is not a record."""

    @property
    @abstractmethod
    def _parts(self) -> StoreParts:
        """The parts of the open store."""

    async def save_cursor(self, name: str, revision: int | None) -> None:
        """See :meth:`Bookkeeping.save_cursor`."""
        await self._run("drop_cursor", name) if revision is None else await self._run("save_cursor", name, revision)

    async def cursors(self) -> dict[str, int]:
        """See :meth:`Bookkeeping.cursors`."""
        return dict(await self._rows("cursors"))

    async def prune(self) -> int:
        """See :class:`~execution_history.stores.capabilities.Prunable`."""
        while await self._parts.writer.submit(lambda transaction: transaction.prune(_AT_ONCE)):
            pass
        return int((await self._rows("feed_floor"))[0][0])

    async def _run(self, name: str, *values: int | str | bytes | None) -> None:
        await self._parts.writer.submit(lambda transaction: transaction.run(name, *values))

    async def _rows(self, name: str, *values: int | str | bytes | None) -> list[tuple[Any, ...]]:
        return await self._parts.reader.in_thread(lambda c: c.execute(query(name), values).fetchall())
