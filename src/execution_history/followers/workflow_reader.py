"""The documents of a workflow, read for a thread by the event loop of a follower."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordQuery

_Result = TypeVar("_Result")


class Stopped(Exception):  # noqa: N818 - a signal between two threads
    """The follower ends, so that nothing more is read."""


class WorkflowReader:
    """Reads workflows; made in the event loop, called in any thread but the loop's.

    Args:
        service: the history.
        stop: set when the follower ends.
    """

    def __init__(self, service: ExecutionHistoryService, stop: asyncio.Event) -> None:
        self._service = service
        self._stop = stop
        self._loop = asyncio.get_running_loop()

    def read(self, workflow_id: str) -> tuple[int, Iterator[bytes]]:
        """Return a revision, and the documents that a workflow has then or later, newest first.

        A record that changes meanwhile is as it was before or after, and the feed has the change.

        Raises:
            Stopped: the follower ends.
            StoreError: the history cannot be read.
        """
        return self._wait_for(self._service.revision()), self._documents(workflow_id)

    def _documents(self, workflow_id: str) -> Iterator[bytes]:
        after: str | None = None
        record_filter = RecordFilter(workflow_ids=(workflow_id,))
        while True:
            query = RecordQuery(filter=record_filter, size=MAX_SIZE, after=after)
            page = self._wait_for(self._service.select(query))
            yield from page.documents
            after = page.next
            if after is None:
                return

    def _wait_for(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._stop.is_set():
            work.close()
            raise Stopped
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
