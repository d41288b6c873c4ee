"""Open a history and find runs in it, with or without a server running on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

import orjson

from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_, RecordDamaged, StoreError
from execution_history.history.overview import Overview
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.phrases import enumerated, remarked
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery, Selection, Statistics
from execution_history.records.record import ExecutionRecord, is_identifier
from execution_history.records.redaction import shown_store
from execution_history.stores.factory import store_of
from execution_history.stores.presence import holds_history

_Answer = TypeVar("_Answer", bound=Selection | Statistics | Overview)

SHORTEST_PREFIX: Final = 8
"""Characters of an id's beginning that are enough to name a run; fewer would often match several."""

_MOST_CANDIDATES: Final = 8
_INDEXING_SECONDS: Final = 2.0


class History:
    """An opened history, in which runs are found as people name them.

    Args:
        service: the history.
        place: its name, as it may be shown.
        listing: the command that lists its runs.
    """

    def __init__(self, service: ExecutionHistoryService, place: str, listing: str) -> None:
        self.service = service
        self.place = place
        self._listing = listing

    async def answer(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Return the answer of *ask*, after some time with the index where that is behind, if need be.

        Where no server runs on the history, only commands bring the index on.

        Raises:
            ExecutionHistoryError: whatever *ask* raises.
        """
        found = await ask()
        if found.reach.is_complete:
            return found
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(_INDEXING_SECONDS):
                await self.service.follow_index()
        return await ask()

    async def run(self, execute_id: str, workflow_id: str | None) -> ExecutionRecord:
        """Return the one record that *execute_id* names, in the workflow where one is named, else in any.

        Args:
            execute_id: the record's id, its beginning from 8 characters on, or the id that the run has at Coze.
            workflow_id: the workflow, where one is named.

        Raises:
            CommandFailed: there is none, or there are several; the message names them.
            StoreError: the store could not be read.
        """
        if workflow_id is not None:
            named = await self.service.get_execution_detail(workflow_id, execute_id)
            found = [] if named is None else [named]
        else:
            found = await self.service.find_execution(execute_id)
        if len(found) > 1:
            raise _ambiguous(execute_id, [record["workflow_id"] for record in found])
        record = found[0] if found else await _find_by_prefix(self.service, execute_id, workflow_id)
        if record is None:
            raise self._not_found(execute_id, workflow_id)
        return record

    async def key_of_run(self, execute_id: str, workflow_id: str | None) -> RecordKey:
        """Return the ids of the record that :meth:`run` returns, also where it cannot be read."""
        try:
            return _key_of(await self.run(execute_id, workflow_id))
        except RecordDamaged as error:
            key = RecordKey(error.workflow_id, error.execute_id)
        if workflow_id is None:
            record_filter = RecordFilter(execute_id_prefix=key.execute_id)
            alike = await self.service.select(RecordQuery(filter=record_filter, size=MAX_SIZE))
            keys = [*alike.damaged, *(_key_of(orjson.loads(body)) for body in alike.documents)]
            workflows = [each.workflow_id for each in keys if each.execute_id == key.execute_id]
            if len(workflows) > 1:
                raise _ambiguous(key.execute_id, workflows)
        return key

    def _not_found(self, execute_id: str, workflow_id: str | None) -> CommandFailed:
        if workflow_id is not None:
            sentence = N_("Workflow '%(workflow_id)s' has no run '%(execute_id)s' in %(store)s.")
        elif len(execute_id) < SHORTEST_PREFIX:
            sentence = N_(
                "There is no run '%(execute_id)s' in %(store)s, and the beginning of an id needs at least %(least)s "
                "characters; `%(command)s` lists the runs there are."
            )
        else:
            sentence = N_("There is no run '%(execute_id)s' in %(store)s; `%(command)s` lists the runs there are.")
        return CommandFailed(
            sentence,
            code=ExitCode.NOT_FOUND,
            workflow_id=workflow_id,
            execute_id=execute_id,
            store=self.place,
            command=self._listing,
            least=SHORTEST_PREFIX,
        )


@asynccontextmanager
async def open_history(session: Session) -> AsyncIterator[History]:
    """Yield the history that the settings name.

    A place that does not hold one is empty and stays as it is: looking into the wrong place leaves nothing there.

    Raises:
        SettingsError: a setting is wrong.
        StoreError: the store cannot be opened.
    """
    settings = session.settings()
    store = store_of(
        settings if await holds_history(settings.store) else settings.model_copy(update={"store": "memory:"})
    )
    async with ExecutionHistoryService(store) as service:
        yield History(service, place_of(settings.store), session.command("list"))


def place_of(store: str) -> str:
    """Return the address of a store as it may be shown: a URL without its password."""
    return shown_store(store)


async def _find_by_prefix(
    service: ExecutionHistoryService, text: str, workflow_id: str | None
) -> ExecutionRecord | None:
    """Return the record whose id begins with *text* or whose id at Coze is *text*; ``None`` where there is none.

    Raises:
        CommandFailed: several match.
        RecordDamaged: the one that matches cannot be read.
    """
    if len(text) < SHORTEST_PREFIX or not is_identifier(text):
        return None
    workflows = () if workflow_id is None or not is_identifier(workflow_id) else (workflow_id,)
    for record_filter in (
        RecordFilter(workflow_ids=workflows, execute_id_prefix=text),
        RecordFilter(workflow_ids=workflows, upstream_ids=(text,)),
    ):
        found = await service.select(RecordQuery(filter=record_filter, size=_MOST_CANDIDATES))
        if found.documents and not found.reach.is_complete:
            raise CommandFailed(
                "The index is still being built, so it is not known yet which runs begin with "
                "'%(beginning)s': write the whole id, or wait a moment.",
                beginning=text,
            )
        records: list[ExecutionRecord] = [orjson.loads(document) for document in found.documents]
        keys = [*(_key_of(record) for record in records), *found.damaged]
        if len(keys) > 1:
            candidates: list[str] = [remarked(key.execute_id, key.workflow_id) for key in keys]
            candidates += ["…"] if found.has_more else []
            raise CommandFailed(
                "'%(beginning)s' matches several runs: %(candidates)s. Write more of the id.",
                beginning=text,
                candidates=enumerated(candidates),
            )
        if records:
            return records[0]
        if found.damaged:
            return await service.get_execution_detail(*found.damaged[0])  # raises with what is wrong
    return None


def _key_of(record: ExecutionRecord) -> RecordKey:
    return RecordKey(record["workflow_id"], record["execute_id"])


def _ambiguous(execute_id: str, workflows: list[str]) -> CommandFailed:
    return CommandFailed(
        "Several workflows have a run '%(execute_id)s' (%(workflows)s): name one with --workflow.",
        execute_id=execute_id,
        workflows=enumerated(workflows),
    )
