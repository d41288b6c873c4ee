"""The records of any store, once it is open, as JSON files are compared with them."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar

from execution_history.errors import FeedExpired
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.records.partial import outline_of
from execution_history.stores.mirror_port import FileState, Part
from execution_history.stores.protocol import HistoryStore

_Result = TypeVar("_Result")
_CHANGES_AT_ONCE: Final = 500
_PAGE: Final = 100


class OpenStoreSource:
    """Reads a store for a thread; see :class:`~execution_history.stores.capabilities.ExaminedRecords`.

    It is made in the event loop that reads.

    Args:
        store: the store.
        states: the state that the file of every workflow should have.
        newest: the newest revision.
        cursors: how far followers have come.
    """

    def __init__(
        self, store: HistoryStore, states: Mapping[str, FileState], newest: int, cursors: Mapping[str, int]
    ) -> None:
        self._store, self._states, self._newest, self._cursors = store, states, newest, cursors
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def of(cls, store: HistoryStore, since: int) -> Self:
        """Return the source, in whose states workflows without changes after the revision *since* have that one.

        Raises:
            StoreError: the store cannot be read.
        """
        await store.open()
        changed, newest = await _changes_after(store, since)
        states = {
            each.workflow_id: FileState(each.total, changed.get(each.workflow_id, since), each.updated_at)
            for each in await store.workflows()
        }
        if newest is None:  # the feed has forgotten some, so any may have changed
            newest = await store.revision()
            states = {workflow_id: state._replace(revision=newest) for workflow_id, state in states.items()}
        return cls(store, states, newest, await store.cursors())

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Yield the records as they are when they are read."""
        yield self

    def revision(self) -> int:
        """Return the newest revision."""
        return self._newest

    def states(self) -> dict[str, FileState]:
        """Return the state that the file of every workflow should have."""
        return dict(self._states)

    def state(self, workflow_id: str) -> FileState | None:
        """Return the state that a workflow's file should have."""
        return self._states.get(workflow_id)

    def cursors(self) -> dict[str, int]:
        """Return how far followers have come."""
        return dict(self._cursors)

    def part(self, workflow_id: str, before: int | None, size: int) -> Part:
        """See :meth:`ComparedSnapshot.part`."""
        return self._wait_for(self._part(workflow_id, before, size))

    async def _part(self, workflow_id: str, before: int | None, size: int) -> Part:
        bodies: dict[str, bytes | None] = {}
        read, oldest, cursor = 0, None, None
        where = RecordFilter(workflow_ids=(workflow_id,), created_before=before)
        while True:
            page = await self._store.select(RecordQuery(filter=where, size=_PAGE, after=cursor))
            bodies |= {key.execute_id: None for key in page.damaged}
            for body in page.documents:
                record = outline_of(body)
                if read >= size and record["create_time"] != oldest:
                    return Part(bodies, oldest, read)
                bodies[record["execute_id"]] = body
                read, oldest = read + len(body), record["create_time"]
            cursor = page.next
            if cursor is None:
                return Part(bodies, None, read)

    def _wait_for(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _changes_after(store: HistoryStore, since: int) -> tuple[dict[str, int], int | None]:
    """Return the last changes of workflows after *since*, and the newest change; ``None`` where some are forgotten."""
    found: dict[str, int] = {}
    try:
        while changes := await store.changes(since, _CHANGES_AT_ONCE):
            found |= {each.workflow_id: each.revision for each in changes if each.workflow_id is not None}
            since = changes[-1].revision
    except FeedExpired:
        return found, None
    return found, since
