"""The public service: what applications call to write and read histories.

Its constructor, methods and return values are those that existing deployments rely on. Its other parts stand in this
room: ``writer``, ``reader``, ``replication`` (copies and followers), ``names``, ``run_lookup``, ``prices`` and
``analysis``.
Records are plain dicts of the 19 keys of :class:`~execution_history.records.record.ExecutionRecord`.
"""

import asyncio
import threading
from collections.abc import Callable, Collection
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from execution_history.access.principals import Principal
from execution_history.clock import new_execute_id, now_ms
from execution_history.history.keyword_query import HistoryPage
from execution_history.history.reader import MAX_PAGE_SIZE
from execution_history.history.writer import HistoryWriter
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.records.content_rules import ContentRules
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.stores.factory import store_at, store_of
from execution_history.stores.protocol import HistoryStore

if TYPE_CHECKING:
    from execution_history.history.bulk_changes import BulkChanges
    from execution_history.history.live_feed import FeedSubscription, LiveFeed
    from execution_history.history.views import Views

__all__ = ["MAX_PAGE_SIZE", "ExecutionHistoryService", "HistoryPage", "get_execution_history_service"]


class ExecutionHistoryService(HistoryWriter):
    """The history of workflow executions in one store, ready to use at once.

    The store is opened by the first call. One service may be used from several event loops and
    threads, one after the other and at once.

    Args:
        storage_dir: a folder, a store URL (``sqlite:folder``, ``postgresql://user@host/database``, ``memory:``) or a
            store of your own.
        json_files: whether ``{workflow_id}.json`` files are kept beside the embedded database.
        search: whether texts can be searched for in a store on a disk.
        record_limit_bytes: how many bytes of JSON a record has at most; the largest values of a larger one are cut
            (:mod:`execution_history.records.size_limit`). A store of your own may say it itself.
        rules: what of a run's contents is kept; secrets are taken out unless they say otherwise.
        clock: where times come from, in milliseconds since the epoch.
        new_id: where execute ids come from.
    """

    def __init__(
        self,
        storage_dir: str | PathLike[str] | HistoryStore = "data/execution_history",
        *,
        json_files: bool = True,
        search: bool = True,
        record_limit_bytes: int = LARGEST_RECORD,
        rules: ContentRules | None = None,
        clock: Callable[[], int] = now_ms,
        new_id: Callable[[], str] = new_execute_id,
    ) -> None:
        if isinstance(storage_dir, (str, PathLike)):
            place = storage_dir if isinstance(storage_dir, str) else Path(fspath(storage_dir))
            storage_dir = store_at(place, json_files=json_files, search=search, record_limit_bytes=record_limit_bytes)
        super().__init__(storage_dir, clock, new_id, rules or ContentRules())
        self._feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, LiveFeed] = WeakKeyDictionary()
        self._bulk: BulkChanges | None = None
        self._whole: ExecutionHistoryService = self
        self._workflows: WorkflowPatterns = EVERY_WORKFLOW
        self._parts: dict[WorkflowPatterns, ExecutionHistoryService] = {}

    def for_principal(self, principal: Principal) -> "ExecutionHistoryService":
        """Return the service as it is for *principal*: workflows that are not theirs do not exist there.

        It is open as long as this one, which closes it.
        """
        return self.within(principal.workflows)

    def within(self, workflows: WorkflowPatterns) -> "ExecutionHistoryService":
        """Return the service for these *workflows* alone; the service itself where they are all."""
        if workflows.are_all or workflows == self._workflows:
            return self
        if workflows not in self._parts:
            from execution_history.history.narrowed_capabilities import narrowed  # noqa: PLC0415 - for keys with patterns

            part = ExecutionHistoryService(
                narrowed(self.store, workflows), rules=self.rules, clock=self._clock, new_id=self._new_id
            )
            part._whole, part._workflows = self._whole, workflows
            self._parts[workflows] = part
        return self._parts[workflows]

    async def open(self) -> Self:
        """Open the store now rather than at the first call; return the service."""
        await self.store.open()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End whoever follows or changes many runs in this event loop, finish what is under way and close the store.

        A second call does nothing.
        """
        for part in self._parts.values():
            await part.aclose()
        for each in (self._bulk, self._recalculations):
            if each is not None:
                await each.aclose()
        feed = self._feeds.pop(asyncio.get_running_loop(), None)
        if feed is not None:
            await feed.aclose()
        await self.store.aclose()

    @property
    def live(self) -> "LiveFeed":
        """Return the change feed of this event loop, which all of its subscriptions share.

        Raises:
            RuntimeError: no event loop is running.
        """
        from execution_history.history.live_feed import LiveFeed  # noqa: PLC0415 - only who follows waits

        if self._whole is not self:
            return self._whole.live
        return self._feeds.setdefault(asyncio.get_running_loop(), LiveFeed(self.store))

    @property
    def bulk(self) -> "BulkChanges":
        """Return what changes everything that matches a filter, in the background."""
        if self._bulk is None:
            from execution_history.history.bulk_changes import BulkChanges  # noqa: PLC0415 - only who changes many waits

            self._bulk = BulkChanges(self.store, self._clock, self.with_workflow_ids)
        return self._bulk

    @property
    def views(self) -> "Views":
        """Return the saved views of lists."""
        from execution_history.history.views import Views  # noqa: PLC0415 - as above

        return Views(self.store, self._clock, self.with_workflow_ids)

    def follow(self, since: int | None = None, workflow_ids: Collection[str] = ()) -> "FeedSubscription":
        """Return a subscription to the changes of the history, made by this process or another.

            async with service.follow() as events:
                async for event in events:
                    ...

        Args:
            since: the revision to go on behind; 0 for everything there is, ``None`` for what is new.
            workflow_ids: the workflows to follow; all of them unless given.

        Raises:
            InvalidIdentifier: a workflow id is not text.
            InvalidInput: *since* is no whole number from 0 on, or *workflow_ids* is one text.
            RuntimeError: no event loop is running.
        """
        return self.live.follow(since, workflow_ids, self._workflows)


_shared: ExecutionHistoryService | None = None
_shared_lock = threading.Lock()


def get_execution_history_service() -> ExecutionHistoryService:
    """Return the one service that this process shares, on the store that the settings name.

    Raises:
        SettingsError: a setting is wrong.
    """
    global _shared  # noqa: PLW0603 - existing callers rely on one instance a process
    with _shared_lock:
        if _shared is None:
            # pydantic takes as long to import as the rest; who names the folder in the program needs no settings.
            from execution_history.settings import load_settings  # noqa: PLC0415

            settings = load_settings()
            _shared = ExecutionHistoryService(store_of(settings), rules=settings.content_rules)
        return _shared
