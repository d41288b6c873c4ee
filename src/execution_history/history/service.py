"""The public service: what applications call to write and read histories.

Its constructor, methods and return values are those that existing deployments rely on. Its other parts stand in this
room: ``reader``, ``replication`` (copies and followers), ``names``, ``run_lookup``, ``prices`` and ``analysis``.
Records are plain dicts of the 19 keys of :class:`~execution_history.records.record.ExecutionRecord`.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from weakref import WeakKeyDictionary

from execution_history.access.audit import MOST_NOTED, Action, note
from execution_history.access.principals import Principal
from execution_history.clock import new_execute_id, now_ms
from execution_history.errors import InvalidInput
from execution_history.history.analysis import HistoryAnalysis
from execution_history.history.bin import RunBin
from execution_history.history.keyword_query import HistoryPage, pairs_of_ids
from execution_history.history.names import noting_names
from execution_history.history.reader import MAX_PAGE_SIZE
from execution_history.query.model import RecordKey
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.records.content_rules import ContentRules
from execution_history.records.metadata import WORKFLOW_NAME, of_caller
from execution_history.records.record import (
    Document,
    ExecutionRecord,
    RecordChange,
    check_identifier,
    may_exist,
    new_document,
)
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.stores.capabilities import flush, record_limit_of
from execution_history.stores.factory import store_at, store_of
from execution_history.stores.protocol import HistoryStore, MergeReport

if TYPE_CHECKING:
    from execution_history.history.annotations import Annotation, AnnotationReport
    from execution_history.history.bulk_changes import BulkChanges
    from execution_history.history.live_feed import FeedSubscription, LiveFeed
    from execution_history.history.views import Views

__all__ = ["MAX_PAGE_SIZE", "ExecutionHistoryService", "HistoryPage", "get_execution_history_service"]


class ExecutionHistoryService(HistoryAnalysis):
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
        super().__init__(storage_dir, clock)
        self._new_id = new_id
        self.rules: ContentRules = rules or ContentRules()
        self.record_limit_bytes: int = record_limit_of(storage_dir)
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

    async def note(self, action: Action, **details: object) -> None:
        """Write a line of the audit log about what is about to be done; see :mod:`execution_history.access.audit`.

        Raises:
            StoreError: it could not be written; then the act must not be done.
        """
        await note(await self._opened(), action, **details)

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

    @property
    def bin(self) -> RunBin:
        """Return the deleted runs, which can be restored for a while."""
        return RunBin(self.store)

    async def flush(self) -> None:
        """Return when everything that follows the calls answered so far is on the disk too."""
        await flush(await self._opened())

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """Bring records from elsewhere in; one that is there already is only replaced by a newer version.

        Args:
            documents: the records.
            settle: whether to flush too, as :meth:`flush` does.

        Raises:
            StoreError: the records could not be written.
        """
        naming: list[Document] = []
        report = await (await self._opened()).merge(noting_names(documents, naming), settle=settle)
        await self.learn_from(naming)
        return report

    async def create_execution_record(
        self,
        workflow_id: str,
        execute_id: str | None = None,
        parameters: object = None,
        bot_id: str | None = None,
        conversation_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> ExecutionRecord:
        """Begin a record with status ``running`` and return it.

        Args:
            workflow_id: which workflow; any non-empty string.
            execute_id: the record's id within the workflow; a UUIDv7 is made when none is given.
            parameters: the input; any value, see :mod:`execution_history.records.encoding` for its JSON form.
            bot_id: the bot it ran for.
            conversation_id: the conversation it belongs to.
            metadata: whatever else is worth keeping; a mapping. What only recorders may claim, such as ``proof``, is
                kept as ``caller.proof`` (:func:`execution_history.records.metadata.of_caller`).

        Raises:
            InvalidIdentifier: an id is empty, too long or not text.
            InvalidInput: *metadata* is not a mapping.
            ExecutionExists: the workflow has a record with this id.
            StoreError: the record could not be written.
        """
        check_identifier("workflow id", workflow_id)
        document = new_document(
            workflow_id=workflow_id,
            execute_id=self._new_id() if execute_id is None else check_identifier("execute id", execute_id),
            now=self._clock(),
            parameters=parameters,
            bot_id=bot_id,
            conversation_id=conversation_id,
            metadata=_mapping(metadata),
            largest=self.record_limit_bytes,
        )
        document = self.rules.of_run(workflow_id).document(document)
        await (await self._opened()).create(document)
        await self.learn_from([document])
        return cast("ExecutionRecord", document.plain())

    async def update_execution_record(
        self,
        workflow_id: str,
        execute_id: str,
        execute_status: str | None = None,
        output: object = None,
        error_code: int | str | None = None,
        error_message: str | None = None,
        debug_url: str | None = None,
        usage: object = None,
        node_execute_status: object = None,
        metadata: Mapping[str, object] | None = None,
    ) -> ExecutionRecord | None:
        """Change a record and return it; ``None`` when there is no such record.

        Arguments left at ``None`` change nothing, ``metadata`` is merged key by key, and ``update_time``
        moves. Only a running or interrupted record changes its status. In ``metadata``, ``account`` and ``upstream``
        are settled when a record begins; here they are kept as ``caller.account`` and ``caller.upstream``, as are
        claims such as ``proof``.

        Raises:
            InvalidIdentifier: an id is not text.
            IllegalTransition: the record has ended with another status.
            InvalidStatus: *execute_status* is none of the four.
            InvalidInput: *metadata* is not a mapping.
            RecordDamaged: the record cannot be read.
            StoreError: the change could not be written.
        """
        change = RecordChange.of(
            self._clock(),
            status=execute_status,
            metadata=_mapping(metadata, is_change=True),
            fields={
                "output": output,
                "error_code": error_code,
                "error_message": error_message,
                "debug_url": debug_url,
                "usage": usage,
                "node_execute_status": node_execute_status,
            },
            largest=self.record_limit_bytes,
        )
        if not may_exist(workflow_id=workflow_id, execute_id=execute_id):
            return None
        change = self.rules.of_run(workflow_id).change(change)
        made = await (await self._opened()).update(workflow_id, execute_id, change)
        if made is not None and WORKFLOW_NAME.name in change.metadata:
            await self.learn_from([made])
        return None if made is None else cast("ExecutionRecord", made.plain())

    async def delete_execution_record(self, workflow_id: str, execute_id: str, *, forever: bool = False) -> bool:
        """Remove one record; whether there was one. It can be restored for a while, unless it is removed *forever*.

        Raises:
            InvalidIdentifier: an id is not text.
            StoreError: the removal could not be written.
        """
        if not may_exist(workflow_id=workflow_id, execute_id=execute_id):
            return False
        await self.note(Action.DELETE, workflow_id=workflow_id, execute_id=execute_id)
        return bool(await self.bin.delete([RecordKey(workflow_id, execute_id)], forever=forever))

    async def delete_execution_records(
        self, keys: Iterable[tuple[str, str]], *, forever: bool = False
    ) -> list[RecordKey]:
        """Remove the records with these workflow and execute ids; return which of them there were.

        They can be restored for a while, unless they are removed *forever*.

        Raises:
            InvalidIdentifier: an id is not text.
            InvalidInput: one of *keys* is not a pair of ids.
            StoreError: the removal could not be written.
        """
        named = [key for key in pairs_of_ids(keys) if may_exist(**key._asdict())]
        await self.note(Action.DELETE, runs=len(named), first=named[:MOST_NOTED])
        return await self.bin.delete(named, forever=forever)

    async def clear_workflow_history(self, workflow_id: str, *, forever: bool = False) -> bool:
        """Remove all records of a workflow; whether there were any.

        They can be restored for a while, and are removed one after the other; with *forever* they go all at once.

        Raises:
            InvalidIdentifier: an id is not text.
            StoreError: the removal could not be written.
        """
        if not may_exist(workflow_id=workflow_id):
            return False
        await self.note(Action.CLEAR, workflow_id=workflow_id)
        return await self.bin.clear(workflow_id, forever=forever)

    async def annotate(self, workflow_id: str, execute_id: str, annotation: "Annotation") -> ExecutionRecord:
        """Note *annotation* about one run and return its record; what is so already is not written again.

        Raises:
            ExecutionNotFound: there is no such run.
            InvalidInput: it would have more than 50 tags, or its ``metadata.tags`` is not a list of texts.
            StoreError: the change could not be written.
        """
        from execution_history.history.annotations import annotate_execution  # noqa: PLC0415 - only who annotates waits

        return await annotate_execution(
            self.store, workflow_id, execute_id, annotation, clock=self._clock, rules=self.rules
        )

    async def annotate_many(self, keys: Iterable[tuple[str, str]], annotation: "Annotation") -> "AnnotationReport":
        """Note *annotation* about the runs with these workflow and execute ids, and report those that refuse it.

        Raises:
            InvalidIdentifier: an id is not text; nothing was annotated.
            InvalidInput: one of *keys* is not a pair of ids; nothing was annotated.
            StoreError: the store failed; what was annotated before stays so, and the call can be repeated.
        """
        from execution_history.history.annotations import annotate_executions  # noqa: PLC0415 - as above

        return await annotate_executions(self.store, keys, annotation, clock=self._clock, rules=self.rules)


"""How many of the runs that are named for deletion the audit log names."""

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


def _mapping(metadata: Mapping[str, object] | None, *, is_change: bool = False) -> dict[str, object] | None:
    """Return *metadata* as it is kept at the beginning of a record or with a change, where a caller passed a mapping.

    Raises:
        InvalidInput: it is something else.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise InvalidInput("metadata is a mapping of keys to values, not %(name)s.", name=type(metadata).__name__)
    return of_caller(metadata, is_change=is_change)
