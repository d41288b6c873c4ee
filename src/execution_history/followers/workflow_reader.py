"""The documents of a workflow, read for a thread by the event loop of a follower."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from execution_history.history.replication import HistoryReplication
from execution_history.query.fields import RecordFilter
from execution_history.stores.protocol import Batch

_Result = TypeVar("_Result")


class Stopped(Exception):  # noqa: N818 - a signal between two threads
    """The follower ends, so that nothing more is read."""


class WorkflowReader:
    """Reads workflows; made in the event loop, called in any thread but the loop's.

    Args:
        service: the history.
        stop: set when the follower ends.
    """

    def __init__(self, service: HistoryReplication, stop: asyncio.Event) -> None:
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
        batches = self._service.batches(RecordFilter(workflow_ids=(workflow_id,)), descending=True)

        async def following() -> Batch | None:
            return await anext(batches, None)

        while (batch := self._wait_for(following())) is not None:
            yield from batch.documents

    def _wait_for(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._stop.is_set():
            work.close()
            raise Stopped
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
