"""The public service: what applications call to write and read histories.

Its constructor, methods and return values are those that existing deployments rely on; what reads stands in
:mod:`execution_history.history.reader`. Records are plain dicts of the 19 keys of
:class:`~execution_history.records.record.ExecutionRecord`.
"""

import threading
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from execution_history.clock import new_execute_id, now_ms
from execution_history.errors import InvalidInput
from execution_history.history.keyword_query import HistoryPage
from execution_history.history.reader import MAX_PAGE_SIZE, HistoryReading, could_exist, parsed
from execution_history.records.record import ExecutionRecord, RecordChange, check_identifier, new_document
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.settings import load_settings
from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore, record_limit_of

__all__ = ["MAX_PAGE_SIZE", "ExecutionHistoryService", "HistoryPage", "get_execution_history_service"]


class ExecutionHistoryService(HistoryReading):
    """The history of workflow executions in one store, ready to use at once.

    The store is opened by the first call. One service may be used from several event loops and
    threads, one after the other and at once.

    Args:
        storage_dir: a folder, a store URL (``sqlite:folder``, ``memory:``) or a store of your own.
        json_files: whether ``{workflow_id}.json`` files are kept beside the embedded database.
        search: whether an embedded store can be searched for texts.
        record_limit_bytes: how many bytes of JSON a record has at most; the largest values of a larger one are cut
            (:mod:`execution_history.records.size_limit`). A store of your own may say it itself.
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
        clock: Callable[[], int] = now_ms,
        new_id: Callable[[], str] = new_execute_id,
    ) -> None:
        if isinstance(storage_dir, (str, PathLike)):
            place = storage_dir if isinstance(storage_dir, str) else Path(fspath(storage_dir))
            storage_dir = store_at(place, json_files=json_files, search=search, record_limit_bytes=record_limit_bytes)
        super().__init__(storage_dir, clock)
        self._new_id = new_id
        self._record_limit = record_limit_of(storage_dir)

    async def __aenter__(self) -> Self:
        """Open the store now rather than at the first call."""
        await self.store.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish what is under way and close the store; a second call does nothing."""
        await self.store.aclose()

    async def flush(self) -> None:
        """Return when everything that follows the calls answered so far is on the disk too."""
        await self.store.open()
        await self.store.flush()

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
            metadata: whatever else is worth keeping; a mapping.

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
            largest=self._record_limit,
        )
        await self.store.open()
        await self.store.create(document)
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
        moves. Only a running or interrupted record changes its status.

        Raises:
            IllegalTransition: the record has ended with another status.
            InvalidStatus: *execute_status* is none of the four.
            InvalidInput: *metadata* is not a mapping.
            RecordDamaged: the record cannot be read.
            StoreError: the change could not be written.
        """
        change = RecordChange.of(
            self._clock(),
            status=execute_status,
            metadata=_mapping(metadata),
            fields={
                "output": output,
                "error_code": error_code,
                "error_message": error_message,
                "debug_url": debug_url,
                "usage": usage,
                "node_execute_status": node_execute_status,
            },
            largest=self._record_limit,
        )
        if not (could_exist(workflow_id) and could_exist(execute_id)):
            return None
        await self.store.open()
        body = await self.store.update(workflow_id, execute_id, change)
        if body is None:
            return None
        made = change.made  # what the store may have read already
        return cast("ExecutionRecord", made.plain()) if made is not None and made.body is body else parsed(body)

    async def delete_execution_record(self, workflow_id: str, execute_id: str) -> bool:
        """Remove one record; whether there was one.

        Raises:
            StoreError: the removal could not be written.
        """
        if not (could_exist(workflow_id) and could_exist(execute_id)):
            return False
        await self.store.open()
        return await self.store.delete(workflow_id, execute_id)

    async def clear_workflow_history(self, workflow_id: str) -> bool:
        """Remove all records of a workflow; whether there were any.

        Raises:
            StoreError: the removal could not be written.
        """
        if not could_exist(workflow_id):
            return False
        await self.store.open()
        return await self.store.clear(workflow_id)


_shared: ExecutionHistoryService | None = None
_shared_lock = threading.Lock()


def get_execution_history_service() -> ExecutionHistoryService:
    """The one service that this process shares, on the store that the settings name.

    Raises:
        SettingsError: a setting is wrong.
    """
    global _shared  # noqa: PLW0603 - existing callers rely on one instance a process
    with _shared_lock:
        if _shared is None:
            settings = load_settings()
            _shared = ExecutionHistoryService(
                settings.store,
                json_files=settings.json_files,
                search=settings.search,
                record_limit_bytes=settings.record_limit_bytes,
            )
        return _shared


def _mapping(metadata: Any) -> Any:  # noqa: ANN401 - what callers pass is what is checked here
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidInput("metadata is a mapping of keys to values, not %(name)s.", name=type(metadata).__name__)
    return metadata
