"""The stored records, as those who record runs read and complete them."""

from typing import Any

import orjson

from execution_history.records.content_rules import ContentRules
from execution_history.records.record import Document, RecordChange
from execution_history.stores.protocol import HistoryStore


class StoredRecords:
    """Reads and writes whole records, parsed; the store's errors are raised.

    Args:
        store: opened when needed.
        limit: how many bytes a record has at most.
        rules: what of a run's contents is kept.
    """

    def __init__(self, store: HistoryStore, limit: int, rules: ContentRules) -> None:
        self._store = store
        self._limit = limit
        self._rules = rules

    async def get(self, workflow_id: str, execute_id: str) -> dict[str, Any] | None:
        """Return a stored record; ``None`` where there is none.

        Raises:
            StoreError: the store cannot be read.
        """
        await self._store.open()
        body = await self._store.get(workflow_id, execute_id)
        return None if body is None else dict(orjson.loads(body))

    async def find_upstream(self, workflow_id: str | None, upstream_id: str) -> list[dict[str, Any]]:
        """Return the workflow's records of the run with this id upstream, the newest first.

        Raises:
            StoreError: the store cannot be read.
        """
        await self._store.open()
        found: list[dict[str, Any]] = [orjson.loads(body) for body in await self._store.find_upstream(upstream_id)]
        return [record for record in found if record["workflow_id"] == workflow_id]

    async def find(self, workflow_id: str, execute_id: str) -> dict[str, Any] | None:
        """Return the record with this id upstream, or with this id of its own; ``None`` where there is neither.

        Raises:
            StoreError: the store cannot be read.
        """
        found = await self.find_upstream(workflow_id, execute_id)
        return found[0] if found else await self.get(workflow_id, execute_id)

    async def create(self, document: Document) -> dict[str, Any]:
        """Store the record of a run that happened elsewhere, within the store's limit, and return it.

        Raises:
            StoreError: it could not be written.
        """
        document = self._rules.of_run(document.workflow_id).document(document).fitted(self._limit)
        await self._store.create(document)
        stored = await self._store.get(document.workflow_id, document.execute_id)  # with what it cost
        return dict(orjson.loads(document.body if stored is None else stored))

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> dict[str, Any] | None:
        """Change a record now and return it; ``None`` where there is none, or *change* does not apply to it.

        Raises:
            StoreError: the change could not be written.
        """
        change = self._rules.of_run(workflow_id).change(change)
        changed = await self._store.update(workflow_id, execute_id, change)
        return None if changed is None else changed.plain()
