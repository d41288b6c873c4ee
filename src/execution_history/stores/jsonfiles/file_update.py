"""What a commit asks of a workflow's JSON file."""

from dataclasses import dataclass
from typing import NamedTuple

from execution_history.records.record import Document


@dataclass(slots=True)
class FaceState:
    """What a workflow's JSON file says of itself: its records' number, its revision and its time."""

    total: int
    revision: int
    updated_at: int


class FaceChange(NamedTuple):
    """One record that the JSON file has to show, or, without a body, has to lose.

    ``document`` is where the body comes from, when that is known: it may have been read already.
    """

    execute_id: str
    create_time: int
    body: bytes | None
    new: bool = False
    document: Document | None = None


@dataclass(slots=True)
class FaceWork:
    """What one commit asks of one JSON file: from which state to which, by which changes.

    ``cleared`` says that the history is gone, ``anew`` that it was cleared and begun again, ``bulk`` that the changes
    are many and come from elsewhere.
    """

    workflow_id: str
    before: FaceState
    after: FaceState
    changes: list[FaceChange]
    cleared: bool
    anew: bool
    bulk: bool
