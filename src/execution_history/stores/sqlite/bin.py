"""Deleted records that ``history.db`` keeps for a while; see :class:`~execution_history.stores.capabilities.Bin`."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final

from execution_history.query.model import RecordKey
from execution_history.stores.capabilities import Binned
from execution_history.stores.listeners import Watchers
from execution_history.stores.sqlite.bin_transaction import BinTransaction
from execution_history.stores.sqlite.queries import query
from execution_history.stores.sqlite.store_parts import StoreParts

_FROM_THE_BEGINNING: Final = RecordKey("", "")


class SQLiteBin:
    """The part of the embedded store that keeps deleted records."""

    _watchers: Watchers
    _clock: Callable[[], int]

    @property
    @abstractmethod
    def _parts(self) -> StoreParts:
        """The parts of the open store."""

    async def discard(self, keys: Iterable[RecordKey], keep_ms: int) -> list[RecordKey]:
        """See :meth:`Bin.discard`."""
        return await self._by_workflow(keys, lambda t, each: t.discard(each, keep_ms))

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        return await self._by_workflow(keys, lambda t, each: t.restore(each))

    async def binned(self, after: RecordKey = _FROM_THE_BEGINNING, limit: int | None = None) -> list[Binned]:
        """See :meth:`Bin.binned`."""
        values = (self._clock(), *after, -1 if limit is None else limit)
        rows: list[Any] = await self._parts.reader.in_thread(lambda c: c.execute(query("binned"), values).fetchall())
        return [Binned(RecordKey(*row[:2]), *row[2:]) for row in rows]

    async def empty_bin(self, keys: Iterable[RecordKey]) -> None:
        """See :meth:`Bin.empty_bin`."""
        named = list(keys)
        await self._parts.writer.submit(lambda transaction: transaction.bin.drop(named), makes_room=True)

    async def _by_workflow(
        self, keys: Iterable[RecordKey], work: Callable[[BinTransaction, list[RecordKey]], list[RecordKey]]
    ) -> list[RecordKey]:
        """Do *work* in one transaction for each workflow; its file is current when this returns."""
        groups: dict[str, list[RecordKey]] = {}
        for key in dict.fromkeys(keys):
            groups.setdefault(key.workflow_id, []).append(key)
        done = await asyncio.gather(
            *(
                self._parts.writer.submit(lambda t, group=group: work(t.bin, group), (workflow_id, None))  # type: ignore[misc]
                for workflow_id, group in groups.items()
            )
        )
        self._watchers.tell()
        return [key for group in done for key in group]
