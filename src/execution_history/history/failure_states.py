"""Whether a history reaches back far enough to say of a failure that it is new, back or more frequent."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson

from execution_history.query.fields import RecordFilter
from execution_history.query.model import FailureGroup, RecordQuery, Selection, Statistics, StatisticsQuery
from execution_history.query.statistics import period_before


async def with_known_states(
    found: Statistics, query: StatisticsQuery, select: Callable[[RecordQuery], Awaitable[Selection]]
) -> Statistics:
    """Return *found*, the answer to *query*, without what it says of the time before the window where that is unknown.

    It is known where the oldest run of these workflows began one window before the window or earlier, and the index
    has everything. *select* answers the query for that run.

    Raises:
        StoreError: the store could not be read.
    """
    period = period_before(query, max((group.last_seen for group in found.failures), default=0))
    if period is None or not any(group.is_new or group.before is not None for group in found.failures):
        return found
    if found.reach.since is None:
        of_workflows = RecordFilter(workflow_ids=query.filter.workflow_ids)
        oldest = await select(
            RecordQuery(filter=of_workflows, descending=False, size=1, summaries=True, wait_seconds=query.wait_seconds)
        )
        if any(orjson.loads(each)["create_time"] <= period[0] for each in oldest.documents):
            return found
    return replace(found, failures=[_without_state(group) for group in found.failures])


def _without_state(group: FailureGroup) -> FailureGroup:
    return replace(group, before=None, last_before=None, is_new=False)
