"""The last run of retention that removed something, and which rule took a run that is not there any more.

The last run of the job is overwritten by the next one, which mostly finds nothing.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from execution_history.query.model import RecordKey
from execution_history.stores.protocol import HistoryStore

_KIND: Final = "retention_removal"
_KEY: Final = "last"


class Removal(NamedTuple):
    """How a run went.

    Attributes:
        key: its ids.
        at: when that run of retention ended (milliseconds).
        rule: the name of the rule; that of the size limit is ``max_bytes``.
        action: ``remove``, or ``bin`` for one that had been deleted before and then left the bin.
    """

    key: RecordKey
    at: int
    rule: str
    action: str


async def keep_removal(store: HistoryStore, report: Mapping[str, Any]) -> None:
    """Keep the *report* of a run that removed something; it replaces the one before.

    Raises:
        StoreError: it could not be written.
    """
    if has_removed(report):
        await store.put_entry(_KIND, _KEY, orjson.dumps(report))


def has_removed(report: Mapping[str, Any]) -> bool:
    """Return whether a run of retention removed anything, as its *report* says."""
    return any(part["runs"] for part in report["parts"])


async def last_removal(store: HistoryStore) -> dict[str, Any] | None:
    """Return the report of the last run that removed something; ``None`` where there is none.

    Raises:
        StoreError: the store could not be read.
    """
    entry = await store.entry(_KIND, _KEY)
    try:
        report: dict[str, Any] = {} if entry is None else orjson.loads(entry.value)
        return report if isinstance(report["parts"], list) else None
    except (ValueError, TypeError, LookupError):
        return None  # whoever wrote it, no run did


async def removals_of(store: HistoryStore, execute_id: str, workflow_id: str | None = None) -> list[Removal]:
    """Return how runs with an id, or a beginning or an end of it, went, in one workflow or in all.

    Of each rule only the first 200 runs of the last removal are known.

    Raises:
        StoreError: the store could not be read.
    """
    report = await last_removal(store)
    if report is None:
        return []
    found: dict[RecordKey, Removal] = {}
    for part in report["parts"]:
        for each in part["listed"] if part["action"] != "contents" else ():
            key = RecordKey(each["workflow_id"], each["execute_id"])
            is_named = key.execute_id.startswith(execute_id) or key.execute_id.endswith(execute_id)
            if is_named and workflow_id in (None, key.workflow_id):
                found.setdefault(key, Removal(key, report["ended"], part["rule"], part["action"]))
    return list(found.values())
