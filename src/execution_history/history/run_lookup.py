"""Runs as people name them: by an id that is shown somewhere, or by a part of one."""

from dataclasses import dataclass
from typing import Final

import orjson

from execution_history.errors import RecordDamaged
from execution_history.history.names import HistoryNaming
from execution_history.history.workflow_lookup import SHORTEST_PART
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery, Selection
from execution_history.query.values import bare_id
from execution_history.records.identifiers import is_identifier

MOST_FOUND: Final = 8


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that was named: its ids, when it began (milliseconds) and its status; ``None`` where it is damaged."""

    workflow_id: str
    execute_id: str
    create_time: int | None = None
    status: str | None = None

    @property
    def key(self) -> RecordKey:
        """The key of its record."""
        return RecordKey(self.workflow_id, self.execute_id)


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that a text names, newest first and not all of very many.

    ``is_certain`` is false while an index is behind, so that more runs may be named so.
    """

    runs: tuple[FoundRun, ...] = ()
    has_more: bool = False
    is_certain: bool = True


class RunLookup(HistoryNaming):
    """The part of a history that finds runs by what people write of their ids."""

    async def find_runs(
        self, text: str, workflow_id: str | None = None, *, wait_seconds: float | None = None
    ) -> FoundRuns:
        """Return the runs that *text* names: those of the first kind in this list that any run has.

        The record's id; the id at Coze; the beginning of the record's id, 8 characters at least; its end, 8 characters
        at least; the log id at Coze. A ``…`` before it, as pages and commands print ids, does not matter.

        Args:
            text: what a person wrote.
            workflow_id: the only workflow to look in.
            wait_seconds: how long each query may wait for an index that follows; ``None``: until it has everything.

        Raises:
            StoreError: the store could not be read.
        """
        found = await self._runs_called(text, workflow_id, wait_seconds)
        bare = bare_id(text)
        return await self._runs_called(bare, workflow_id, wait_seconds) if not found.runs and bare != text else found

    async def _runs_called(self, text: str, workflow_id: str | None, wait_seconds: float | None) -> FoundRuns:
        if not is_identifier(text) or (workflow_id is not None and not is_identifier(workflow_id)):
            return FoundRuns()
        if found := await self._with_id(text, workflow_id):
            return FoundRuns(found)
        workflows = () if workflow_id is None else (workflow_id,)
        filters = [RecordFilter(workflow_ids=workflows, upstream_ids=(text,))]
        if len(text) >= SHORTEST_PART:
            filters += [
                RecordFilter(workflow_ids=workflows, execute_id_prefix=text),
                RecordFilter(workflow_ids=workflows, execute_id_suffix=text),
            ]
        filters.append(RecordFilter(workflow_ids=workflows, log_ids=(text,)))
        is_certain = True
        for record_filter in filters:
            query = RecordQuery(filter=record_filter, size=MOST_FOUND, summaries=True, wait_seconds=wait_seconds)
            selection = await self.select(query)
            is_certain = is_certain and selection.reach.is_complete
            if runs := _runs(selection):
                return FoundRuns(runs, selection.has_more, is_certain)
        return FoundRuns(is_certain=is_certain)

    async def _with_id(self, execute_id: str, workflow_id: str | None) -> tuple[FoundRun, ...]:
        """Return the runs with exactly this id, which no index is needed for."""
        try:
            if workflow_id is None:
                return tuple(_found(body) for body in await self.store.find(execute_id))
            body = await self.detail_bytes(workflow_id, execute_id)
        except RecordDamaged as error:
            damaged = FoundRun(error.workflow_id, error.execute_id)
            if workflow_id is not None:
                return (damaged,)
            # Other workflows may have a run with this id, which were not read any more.
            query = RecordQuery(filter=RecordFilter(execute_id_prefix=execute_id), size=MAX_SIZE, summaries=True)
            alike = [run for run in _runs(await self.select(query)) if run.execute_id == execute_id]
            return tuple(dict.fromkeys(run if run.key != damaged.key else damaged for run in (*alike, damaged)))
        return () if body is None else (_found(body),)


def _runs(selection: Selection) -> tuple[FoundRun, ...]:
    return (*map(_found, selection.documents), *(FoundRun(*key) for key in selection.damaged))


def _found(body: bytes) -> FoundRun:
    record = orjson.loads(body)
    return FoundRun(record["workflow_id"], record["execute_id"], record["create_time"], record["execute_status"])
