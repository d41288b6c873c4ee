"""The events of the live feed, made from changes of the store. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import orjson

from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns
from execution_history.records.attributes import attributes_of
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.protocol import Change


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of a history.

    Attributes:
        kind: ``put`` for a record that was created or changed; ``delete`` for one that was deleted; ``reset`` when the
            feed cannot continue from the listener's place: it has to read the history anew and continues from here.
        revision: the place in the feed; passed as ``since`` later, it continues after this event.
        workflow_id: the record's workflow; ``None`` for a reset.
        execute_id: the record; ``None`` for a reset, and when the whole workflow was cleared.
        summary: for a ``put`` the JSON of :func:`~execution_history.records.summary.summary_of`, as the record is when
            the event is sent.
    """

    kind: Literal["put", "delete", "reset"]
    revision: int
    workflow_id: str | None = None
    execute_id: str | None = None
    summary: bytes | None = None

    def to_json(self) -> bytes:
        """Return ``{"event", "revision", "workflow_id", "execute_id", "summary"}``."""
        summary = None if self.summary is None else orjson.Fragment(self.summary)
        about = {"workflow_id": self.workflow_id, "execute_id": self.execute_id, "summary": summary}
        return orjson.dumps({"event": self.kind, "revision": self.revision, **about})


def events_of(changes: Iterable[Change]) -> list[LiveEvent]:
    """Return the events of changes to records."""
    return [
        LiveEvent("delete" if each.kind == "deleted" else "put", each.revision, each.workflow_id, each.execute_id)
        for each in changes
        if each.kind != "registry"
    ]


class Audience(NamedTuple):
    """Which events a listener gets: those of the workflows it names, or of all, that exist for it."""

    workflow_ids: frozenset[str] = frozenset()
    workflows: WorkflowPatterns = EVERY_WORKFLOW

    @property
    def is_everybody(self) -> bool:
        """Whether it gets every event."""
        return not self.workflow_ids and self.workflows.are_all

    def hears(self, event: LiveEvent) -> bool:
        """Return whether it gets *event*."""
        is_named = not self.workflow_ids or event.workflow_id in self.workflow_ids
        return is_named and self.workflows.match(event.workflow_id)


def events_for(events: Iterable[LiveEvent], audiences: Iterable[Audience]) -> list[LiveEvent]:
    """Return the events that one of the *audiences* gets."""
    heard = list(audiences)
    if any(each.is_everybody for each in heard):
        return list(events)
    return [event for event in events if any(each.hears(event) for each in heard)]


def with_summaries(events: Iterable[tuple[LiveEvent, bytes]]) -> dict[int, LiveEvent]:
    """Return the events with the summaries of their records, by revision."""
    records = [(event, outline_of(body)) for event, body in events]
    return {
        event.revision: replace(event, summary=summary_of(record, attributes_of(record))) for event, record in records
    }
