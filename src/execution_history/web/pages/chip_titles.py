"""What people know the values of filters by that are ids: the title of a kind of failure, and that of a node."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.web.pages.list_state import ListState

_MOST: Final = 4
_TITLED: Final = {"fingerprint": "fingerprints", "failed_node": "failed_nodes"}


async def titles_of(
    service: ExecutionHistoryService, state: ListState, record_filter: RecordFilter, wait_seconds: float | None
) -> Mapping[tuple[str, str], str]:
    """Return the titles of the first few such values of a list, by filter and value, as their newest runs have them.

    Raises:
        StoreError: the store could not be read.
    """
    titles = {}
    like = RecordFilter(
        workflow_ids=record_filter.workflow_ids,
        fingerprints=record_filter.fingerprints,
        failed_nodes=record_filter.failed_nodes,
    )
    # Ids of nodes are unique within a workflow only: over all of them, one has no title of its own.
    is_narrow = len(like.workflow_ids) == 1 or bool(like.fingerprints)
    titled = [pair for pair in state.pairs if pair[0] == "fingerprint" or (pair[0] == "failed_node" and is_narrow)]
    for name, value in titled[:_MOST]:
        having = replace(like, **cast("dict[str, Any]", {_TITLED[name]: (value,)}))
        query = RecordQuery(filter=having, size=1, wait_seconds=wait_seconds)
        for document in (await service.select(query)).documents:
            known = attributes_of(outline_of(document))
            if title := known.error_title if name == "fingerprint" else known.failed_node:
                titles[name, value] = title
    return titles
