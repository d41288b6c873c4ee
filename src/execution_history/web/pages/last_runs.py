"""The last runs of each workflow, as the overview shows them: read again when the workflow has changed."""

import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.stores.protocol import WorkflowSummary
from execution_history.web.pages.run_row import RunLine, line_of_run
from execution_history.web.pages.sparkline import RUNS

_REMEMBERED: Final = 500
_FRESH: Final = 10_000
_READING_SECONDS: Final = 0.03


class _Kept(NamedTuple):
    """The last runs of a workflow, which were read at ``read_at`` (milliseconds)."""

    summary: WorkflowSummary
    lines: Sequence[RunLine]
    read_at: int


@dataclass(slots=True)
class LastRuns:
    """The last runs of workflows, newest first.

    Args:
        service: where the records are.
    """

    service: ExecutionHistoryService
    _kept: "OrderedDict[str, _Kept]" = field(default_factory=OrderedDict)

    async def of(self, workflow_ids: Collection[str], now: int) -> list[Sequence[RunLine]]:
        """Return the last runs of each of the workflows, none of one that is unknown.

        While an import changes all workflows, not all are read again at once.

        Raises:
            StoreError: the store could not be read.
        """
        summaries = {each.workflow_id: each for each in await self.service.workflow_summaries()}
        end, found = time.monotonic() + _READING_SECONDS, []
        for workflow_id in workflow_ids:
            summary, age = summaries.get(workflow_id), _FRESH // 2 if time.monotonic() > end else 0
            found.append([] if summary is None else await self._of_one(summary, now, age))
        return found

    async def _of_one(self, summary: WorkflowSummary, now: int, age: int) -> Sequence[RunLine]:
        """Return the last runs of a workflow; unless it has changed they are those of before.

        The same where they were read less than *age* milliseconds ago.
        """
        key = summary.workflow_id
        known = self._kept.get(key)
        if known is not None and (known.summary == summary or now - known.read_at < age):
            self._kept.move_to_end(key)
            return known.lines
        found = await self.service.select(
            RecordQuery(filter=RecordFilter(workflow_ids=(key,)), size=RUNS, summaries=True)
        )
        lines = [line_of_run(each, now) for each in found.documents]
        self._kept[key] = _Kept(summary, lines, now)
        while len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)
        return lines
