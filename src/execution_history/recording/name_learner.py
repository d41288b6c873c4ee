"""Names of workflows, learned beside the runs: from upstreams' answers, and from the metadata of runs.

Learning never delays or breaks a call: it goes on beside it, and what goes wrong is logged once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from execution_history.errors import StoreError
from execution_history.history.name_book import OF_RUNS
from execution_history.history.names import HistoryNaming, UpstreamName, name_in
from execution_history.records.record import Document
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")

_MOST_AT_ONCE: Final = 8


class NameLearner:
    """Keeps what upstreams and callers call workflows.

    Args:
        store: where the names are kept; opened when needed.
        clock: milliseconds since the epoch.
    """

    def __init__(self, store: HistoryStore, clock: Callable[[], int]) -> None:
        self._names = HistoryNaming(store, clock)
        self._learning: set[asyncio.Task[None]] = set()
        self._hindrance: str | None = None

    async def learn(self, named: Iterable[UpstreamName], source: str) -> None:
        """Keep the names that are new or changed. Never raises for what the store does."""
        try:
            await self._names.learn_names(named, source)
        except StoreError as error:
            if str(error) != self._hindrance:
                _log.warning("The names of workflows could not be kept: %s", error)
            self._hindrance = str(error)
        else:
            self._hindrance = None

    def learn_soon(self, named: Iterable[UpstreamName], source: str) -> None:
        """Keep them beside whatever goes on; names that come while too many others are being kept come again."""
        if len(self._learning) < _MOST_AT_ONCE:
            task = asyncio.create_task(self.learn(named, source))
            self._learning.add(task)
            task.add_done_callback(self._learning.discard)

    def learn_from(self, document: Document) -> None:
        """Keep the name that a run gives its workflow, if it gives one."""
        if name := name_in(document):
            self.learn_soon([(document.workflow_id, name, None)], OF_RUNS)

    async def aclose(self, seconds: float) -> None:
        """Finish what is under way, in *seconds* at most."""
        if self._learning:
            await asyncio.wait(self._learning, timeout=seconds)
            for task in self._learning:
                task.cancel()
