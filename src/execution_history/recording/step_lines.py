"""One step of a record as one line of JSON, and back. Pure.

What a step holds stays as its bytes: a record of 100 MB is neither built as objects nor written anew.
"""

import codecs
from typing import TYPE_CHECKING, Any, Final

import orjson

from execution_history.recording.pending_writes import Key, Step
from execution_history.records.depth import IN_METADATA, IN_VALUE, LEVELS, cut
from execution_history.records.encoding import encode
from execution_history.records.identifiers import check_identifier
from execution_history.records.partial import members_of, outline_of
from execution_history.records.record import OPEN_STATUSES, Document, RecordChange, check_status

if TYPE_CHECKING:
    import msgspec

_PIECE: Final = 1024 * 1024


class BadLineError(ValueError):
    """A line that holds no step."""


class _Reading:
    """Raises whatever a line raises while it is read as a :class:`BadLineError`.

    A generator would leave a cycle that holds the line, which may be large, until the next garbage collection.
    """

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Raise the error as another."""
        if isinstance(error, Exception):
            raise BadLineError(str(error)) from error


def line_of(location: str, key: Key, step: Step, **more: object) -> bytes:
    """Return the line of one step; *more* comes first in it, and is skipped by whoever reads the step."""
    head = {**more, "store": location, "workflow_id": key[0], "execute_id": key[1]}
    if isinstance(step, Document):
        return encode({**head, "record": orjson.Fragment(step.body)}) + b"\n"
    change = {
        "now": step.now,
        "status": step.status,
        "fields": {name: orjson.Fragment(value) for name, value in step.fields.items()},
        "metadata": {name: orjson.Fragment(value) for name, value in step.metadata.items()},
        "only_from": sorted(OPEN_STATUSES if step.only_from is None else step.only_from),
        "only_while": None if step.only_while is None else dict(step.only_while),
    }
    return encode({**head, "change": change}) + b"\n"


def key_in(line: bytes) -> tuple[str, Key]:
    """Return the store and the record that a line is for, without reading its step.

    Raises:
        BadLineError: it is for none.
    """
    with _Reading():
        parts = members_of(line)
        workflow_id = check_identifier("workflow id", _value(parts["workflow_id"]))
        return str(_value(parts["store"])), (workflow_id, check_identifier("execute id", _value(parts["execute_id"])))


def text_in(line: bytes, name: str) -> str:
    """Return one text of those that came first in a line.

    Raises:
        BadLineError: it has none.
    """
    with _Reading():
        return str(_value(members_of(line)[name]))


def step_in(line: bytes) -> Step:
    """Return the step that a line holds.

    Raises:
        BadLineError: it holds none that a store could take.
    """
    with _Reading():
        _check_text(line)
        parts = members_of(line)
        if "record" in parts:
            return _document(parts)
        return _change(members_of(memoryview(parts["change"])))


def _document(parts: "dict[str, msgspec.Raw]") -> Document:
    body = cut(bytes(memoryview(parts["record"])), LEVELS)
    record = outline_of(body)
    if any(record[name] != _value(parts[name]) for name in ("workflow_id", "execute_id")):
        raise ValueError("the line and the record in it name different runs")
    check_status(record["execute_status"])
    if not (type(record["create_time"]) is type(record["update_time"]) is int):
        raise TypeError("a time is no integer")
    return Document.of(record, body)


def _change(parts: "dict[str, msgspec.Raw]") -> RecordChange:
    now, status, only_while = (_value(parts[name]) for name in ("now", "status", "only_while"))
    if type(now) is not int or not (only_while is None or isinstance(only_while, dict)):
        raise TypeError("a value has the wrong type")
    fields, metadata = (
        {name: cut(bytes(memoryview(value)), levels) for name, value in members_of(memoryview(parts[what])).items()}
        for what, levels in (("fields", IN_VALUE), ("metadata", IN_METADATA))
    )
    return RecordChange(
        now,
        None if status is None else check_status(status),
        fields,
        metadata,
        frozenset(map(check_status, _value(parts["only_from"]))),
        only_while,
    )


def _check_text(line: bytes) -> None:
    """See that the line is UTF-8, piece by piece: as one string it could take four times its size."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(line), _PIECE):
        decoder.decode(line[begin : begin + _PIECE], final=begin + _PIECE >= len(line))


def _value(raw: "msgspec.Raw") -> Any:  # noqa: ANN401 - any JSON value
    return orjson.loads(bytes(memoryview(raw)))
