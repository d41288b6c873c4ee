"""Records for tests, made the way the service makes them."""

from typing import Any

import orjson

from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, Selection
from execution_history.records.record import Document, RecordChange, new_document
from execution_history.stores.protocol import HistoryStore


def document(execute_id: str, workflow_id: str = "w", now: int = 1_000, **fields: Any) -> Document:
    """A record that has just begun."""
    return new_document(workflow_id=workflow_id, execute_id=execute_id, now=now, **fields)


def change(now: int = 2_000, status: str | None = None, **fields: Any) -> RecordChange:
    """What an update asks for."""
    metadata = fields.pop("metadata", None)
    only_from, only_while = fields.pop("only_from", None), fields.pop("only_while", None)
    return RecordChange.of(now, status, metadata, only_from, fields, only_while)


def changed(record: Document, now: int, status: str | None = None, **fields: Any) -> Document:
    """What *record* becomes by a change."""
    made = change(now, status, **fields).apply(record.body)
    assert made is not None
    return made


def ids(documents: Any) -> list[str]:
    """The execute ids of stored documents."""
    return [orjson.loads(body)["execute_id"] for body in documents]


async def page_of(store: HistoryStore, workflow_id: str | None, size: int, index: int) -> Selection:
    """Page *index* of *size* records of one workflow, or of all, newest first."""
    wanted = RecordFilter(workflow_ids=() if workflow_id is None else (workflow_id,))
    return await store.select(RecordQuery(filter=wanted, size=size, index=index))
