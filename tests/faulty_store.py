"""A store that keeps the promise and has the faults that a disk has, switched on and off by a test."""

import asyncio
from collections.abc import Iterable

from execution_history.errors import StoreError, StoreFull
from execution_history.records.record import Document, RecordChange
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import MergeReport


class FaultyStore(MemoryStore):
    """The memory store, which raises ``fault`` while there is one, and stands still while it is not ``running``.

    ``asked`` counts the writing calls; the execution that ``poison`` names is always refused, with ``poisoned``, and
    those in ``held`` wait for their event.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault: BaseException | None = None
        self.poison: str | None = None
        self.poisoned: BaseException = StoreError("This record is too large.")
        self.held: dict[str, asyncio.Event] = {}
        self.running = asyncio.Event()
        self.running.set()
        self.asked = 0
        self.written: list[str] = []

    def fill(self) -> None:
        """From now on there is no space left."""
        self.fault = StoreFull("The disk is full.")

    async def create(self, document: Document) -> None:
        """See :meth:`HistoryStore.create`."""
        await self._check(document.execute_id)
        await super().create(document)
        self.written.append(f"{document.execute_id} {document.status}")

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """See :meth:`HistoryStore.update`."""
        await self._check(execute_id)
        made = await super().update(workflow_id, execute_id, change)
        self.written.append(f"{execute_id} {change.status}")
        return made

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`."""
        kept = list(documents)
        for document in kept:
            await self._check(document.execute_id)
        return await super().merge(kept, settle=settle)

    async def _check(self, execute_id: str) -> None:
        self.asked += 1
        await self.running.wait()
        if execute_id in self.held:
            await self.held[execute_id].wait()
        if self.fault is not None:
            raise self.fault
        if execute_id == self.poison:
            raise self.poisoned


class SharedFaultyStore(FaultyStore):
    """The same, as one that other processes could open too."""

    def __init__(self, location: str = "shared") -> None:
        super().__init__()
        self.location = location
