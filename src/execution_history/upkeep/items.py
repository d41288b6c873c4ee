"""What reading a source gives, one after the other: a record, or what could not be taken and why. Pure."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from execution_history.adopted import adopt_record, whole_record
from execution_history.jsonvalue import decode, encode
from execution_history.nesting import LEVELS
from execution_history.record import KEYS, Document, check_identifier

LONGEST_LINE: Final = 100 * 1024 * 1024
"""A record of more bytes in one line is refused without being read into memory."""


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


def record_of_line(line: bytes, now: int) -> Document | str:
    """The record that a line of JSON Lines holds, or why there is none.

    One that is as we write it keeps its bytes; any other is mended as the files of deployments are.

    Args:
        line: without its line break.
        now: milliseconds, for a record that does not say when it began.
    """
    try:
        record = orjson.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict):
        document = whole_record(record, line)
        if document is not None:
            return document
    try:
        record = decode(line)  # once more: it keeps integers exact that the fast way does not
    except ValueError as error:
        return str(error)
    if not isinstance(record, dict):
        return "This is not an object, so it is no record."
    return record_of(record, record.get("workflow_id"), now)


def record_of(found: dict[str, Any], workflow_id: object, now: int) -> Document | str:
    """The record that *found* is, in the workflow *workflow_id*, or why it is none."""
    if isinstance(workflow_id, int) and not isinstance(workflow_id, bool):
        workflow_id = str(workflow_id)
    try:
        workflow = check_identifier("workflow id", workflow_id)
    except ValueError as error:
        return "It has no workflow_id." if workflow_id is None else str(error)
    document = None
    if tuple(found) == KEYS and found["workflow_id"] == workflow:
        body = encode(found, levels=LEVELS)
        document = whole_record(orjson.loads(body), body)
    document = document or adopt_record(found, workflow, now)
    if document is None:
        return "It has no usable execute_id." if "execute_id" in found else "It has no execute_id."
    return document
