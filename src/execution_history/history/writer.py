"""What writes a history: records begun, changed, removed, annotated and merged."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, cast

from execution_history.access.audit import MOST_NOTED, Action, note
from execution_history.errors import InvalidInput
from execution_history.history.analysis import HistoryAnalysis
from execution_history.history.bin import RunBin
from execution_history.history.keyword_query import pairs_of_ids
from execution_history.history.names import noting_names
from execution_history.query.model import RecordKey
from execution_history.records.content_rules import ContentRules
from execution_history.records.identifiers import check_identifier, may_exist
from execution_history.records.metadata import WORKFLOW_NAME, of_caller
from execution_history.records.record import Document, ExecutionRecord, RecordChange, new_document
from execution_history.stores.capabilities import flush, record_limit_of
from execution_history.stores.protocol import HistoryStore, MergeReport

if TYPE_CHECKING:
    from execution_history.history.annotations import Annotation, AnnotationReport


class HistoryWriter(HistoryAnalysis):
    """The part of the service that changes its history.

    Args:
        store: the history.
        clock: where times come from, in milliseconds since the epoch.
        new_id: where execute ids come from.
        rules: what of a run's contents is kept.
    """

    def __init__(
        self, store: HistoryStore, clock: Callable[[], int], new_id: Callable[[], str], rules: ContentRules
    ) -> None:
        super().__init__(store, clock)
        self._new_id = new_id
        self.rules: ContentRules = rules
        self.record_limit_bytes: int = record_limit_of(store)

    async def note(self, action: Action, **details: object) -> None:
        """Write a line of the audit log about what is about to be done; see :mod:`execution_history.access.audit`.

        Raises:
            StoreError: it could not be written; then the act must not be done.
        """
        await note(await self._opened(), action, **details)

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
