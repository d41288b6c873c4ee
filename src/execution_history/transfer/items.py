"""What reading a source gives, one after the other: a record, or what could not be taken and why. Pure."""

import contextlib
from dataclasses import dataclass
from typing import Any

from execution_history.errors import Message, message_of
from execution_history.records.adoption import adopt_record, whole_record
from execution_history.records.depth import LEVELS
from execution_history.records.encoding import decode, encode
from execution_history.records.json_text import parse
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import KEYS, Document, check_identifier


@dataclass(frozen=True, slots=True)
class Refused:
    """What was not taken.

    ``source`` is the file, ``place`` where in it (``line 12``, ``record 3`` or ``the file``), ``reason`` one sentence.
    """

    source: str
    place: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """``{"source", "place", "reason"}``."""
        return {"source": self.source, "place": self.place, "reason": self.reason}


Item = Document | Refused


def record_of_line(line: bytes, now: int, limits: ReadingLimits) -> Document | str:
    """Return the record that a line of JSON Lines holds, or why there is none.

    One in the form that this package writes keeps its bytes; any other is mended as the files of deployments are.

    Args:
        line: without its line break.
        now: milliseconds, for a record without a time of its beginning.
        limits: what reading it may take.
    """
    if not line.lstrip().startswith(b"{"):
        return Message("This is no JSON object, so it is no record.")
    return limits.fault_of_record(line) or record_of_text(line, now)


def record_of_text(line: bytes, now: int) -> Document | str:
    """Return the record that a JSON object of any size holds, or why there is none; see :func:`record_of_line`."""
    with contextlib.suppress(ValueError):
        document = whole_record(parse(line), line)
        if document is not None:
            return document
    try:
        record = decode(line)  # once more: it keeps integers exact that the fast way does not
    except ValueError as error:
        return message_of(error)
    return record_of(record, record.get("workflow_id"), now)


def record_of(found: dict[str, Any], workflow_id: object, now: int) -> Document | str:
    """Return the record that *found* is, in the workflow *workflow_id*, or why it is none."""
    if workflow_id is None:
        return Message("It has no workflow_id.")
    if not _is_like_an_id(workflow_id):
        return Message("Its workflow_id is neither a text nor a number.")
    if not _is_like_an_id(found.get("execute_id")):
        return Message("It has no usable execute_id.") if "execute_id" in found else Message("It has no execute_id.")
    try:
        workflow = check_identifier("workflow id", str(workflow_id))
    except ValueError as error:
        return message_of(error)
    document = None
    if tuple(found) == KEYS and found["workflow_id"] == workflow:
        body = encode(found, levels=LEVELS)
        document = whole_record(parse(body), body)
    document = document or adopt_record(found, workflow, now)
    return Message("It has no usable execute_id.") if document is None else document


def _is_like_an_id(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)
