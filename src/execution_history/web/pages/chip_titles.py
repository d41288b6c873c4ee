"""What people know the values of filters by that are ids: the title of a kind of failure, and that of a node."""

from collections.abc import Mapping
from typing import Final

from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.web.pages.list_state import ListState

_MOST: Final = 4
_TITLED: Final = {"fingerprint": "fingerprints", "failed_node": "failed_nodes"}


async def titles_of(
    service: ExecutionHistoryService, state: ListState, workflow_ids: tuple[str, ...], wait_seconds: float | None
) -> Mapping[tuple[str, str], str]:
    """Return the titles of the first few such values of a list, by filter and value, as their newest runs have them.

    Raises:
        StoreError: the store could not be read.
    """
    titles = {}
    for name, value in [pair for pair in state.pairs if pair[0] in _TITLED][:_MOST]:
        having = RecordFilter(workflow_ids=workflow_ids, **{_TITLED[name]: (value,)})  # type: ignore[arg-type]
        query = RecordQuery(filter=having, size=1, wait_seconds=wait_seconds)
        for document in (await service.select(query)).documents:
            known = attributes_of(outline_of(document))
            if title := known.error_title if name == "fingerprint" else known.failed_node:
                titles[name, value] = title
    return titles
