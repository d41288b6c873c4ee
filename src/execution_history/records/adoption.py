"""Records that others wrote, or that come back: taken as they are, or brought to our form. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final

import orjson

from execution_history.errors import InvalidIdentifier, Message, quoted, shortened
from execution_history.records.depth import LEVELS, cut
from execution_history.records.encoding import encode
from execution_history.records.identifiers import check_identifier, is_identifier
from execution_history.records.json_text import read_json
from execution_history.records.metadata import ADOPTED_FIELDS, ENDED_AT, IMPORTED_FROM
from execution_history.records.record import DEFAULTS, KEYS, Document
from execution_history.records.status_words import status_of
from execution_history.records.values import SECONDS_BEGIN, identifier, moment, time

_TIMES: Final = ("create_time", "update_time")
_UNKNOWN_END: Final = "The record that was taken in does not say how the run ended."


def whole_record(record: dict[str, Any], body: bytes) -> Document | None:
    """Return the document of a record that is exactly as we write it, with *body* as its bytes; ``None`` if it is not.

    *record* is *body* as values. Nothing is mended here: :func:`adopt_record` does that.
    """
    if (
        tuple(record) != KEYS
        or not isinstance(record["metadata"], dict)
        or not isinstance(record["execute_status"], str)
    ):
        return None
    if not is_identifier(record["workflow_id"]) or not is_identifier(record["execute_id"]):
        return None
    times = record["create_time"], record["update_time"]
    if None in map(time, times) or times[0] > times[1]:
        return None
    if record["input_parameters"] is None or record["run_mode"] is None or record["is_output_trimmed"] is None:
        return None
    return Document.of(record, body) if _is_written_so(record, body) else None


def _is_written_so(record: dict[str, Any], body: bytes) -> bool:
    return cut(body, LEVELS) is body and orjson.dumps(record) == body


def has_plain_times(document: Document) -> bool:
    """Return whether the times of a whole record are milliseconds: those of 1970 may be seconds of today."""
    return all(0 < at < SECONDS_BEGIN or moment(at) == at for at in (document.create_time, document.update_time))


def fault_of_times(found: Mapping[str, Any], zone: tzinfo = UTC, names: Sequence[str] = _TIMES) -> str | None:
    """Return why no run can be placed in time by what *found* says, as a sentence; ``None`` where one can.

    Args:
        found: a record that somebody else wrote.
        zone: of times without an offset.
        names: what its times are called, the first one first.
    """
    if all(found.get(name) is None for name in names):
        return Message("It has no %(name)s.", name=names[0])
    for name in names:
        if found.get(name) is not None and _time_of(found, name, zone) is None:
            return Message(
                "Its %(name)s is %(value)s, which is not understood: write a time in ISO 8601, or seconds, "
                "milliseconds, micro- or nanoseconds since 1970.",
                name=name,
                value=as_written(found[name]),
            )
    return None


def fault_of_status(found: Mapping[str, Any], name: str = "execute_status") -> str | None:
    """Return why *found* does not say what became of the run, as a sentence; ``None`` where it does.

    Args:
        found: a record that somebody else wrote.
        name: what its status is called.
    """
    written = found.get(name)
    if written is None:
        return Message("It has no %(name)s.", name=name)
    if status_of(written) is None:
        return Message(
            "Its %(name)s is %(value)s, which is not understood: write running, success, failed or interrupted.",
            name=name,
            value=as_written(written),
        )
    return None


def as_written(value: object) -> str:
    """Return a value of JSON as a sentence shows it: texts in quotes, everything else as JSON writes it."""
    return quoted(value) if isinstance(value, str) else shortened(encode(value).decode())


def differs_in_times_only(one: bytes, other: bytes) -> bool:
    """Return whether two versions of a record are the same but for when it began and changed, and what came of that."""
    return _without_times(one) == _without_times(other)


def _without_times(body: bytes) -> dict[str, Any]:
    record: dict[str, Any] = read_json(body)
    metadata = {name: value for name, value in record["metadata"].items() if name != ADOPTED_FIELDS.name}
    return {name: value for name, value in record.items() if name not in _TIMES} | {"metadata": metadata}


def note_charset(record: dict[str, Any], charset: str) -> None:
    """Keep the name of the charset in which *record* was found, where its metadata are an object."""
    metadata = {} if record.get("metadata") is None else record["metadata"]
    if isinstance(metadata, dict):
        known = metadata.get(IMPORTED_FROM.name)
        kept = {**(known if isinstance(known, dict) else {}), "charset": charset}
        record["metadata"] = {**metadata, IMPORTED_FROM.name: kept}


def adopt_record(
    found: dict[str, Any], workflow_id: str, now: int, zone: tzinfo = UTC, *, is_ours: bool = False
) -> Document | None:
    """Return a record that somebody else wrote, brought to the 19 keys; ``None`` when it has no usable id.

    What is missing gets its default, and times in other forms become milliseconds
    (:func:`~execution_history.records.values.moment`). Of two times, one that is not understood is the other one, and
    of none *now*; an end before its beginning is the beginning. A status in another word becomes ours
    (:func:`~execution_history.records.status_words.status_of`); one that is missing or not understood is
    ``interrupted``, as nobody knows the end of the run. The workflow is the one whose file held the record, whatever
    the record says of itself. What was replaced so, and keys that are not ours, move to
    ``metadata["adopted_fields"]``: nothing is dropped.

    Args:
        found: the record.
        workflow_id: the workflow.
        now: milliseconds since the epoch.
        zone: of times without an offset.
        is_ours: whether this package wrote it, which keeps the word of its status: earlier versions took any.
    """
    execute_id = _execute_id(found.get("execute_id"))
    if execute_id is None:
        return None
    record: dict[str, Any] = {key: found.get(key, default) for key, default in DEFAULTS.items()}
    record["execute_id"], record["workflow_id"] = execute_id, workflow_id
    extra = {key: value for key, value in found.items() if key not in DEFAULTS}
    if found.get("workflow_id") is not None and identifier(found["workflow_id"]) != workflow_id:
        extra["workflow_id"] = found["workflow_id"]
    extra |= _set_times(record, {key: _time_of(found, key, zone) for key in _TIMES}, now)
    if not (is_ours and isinstance(found.get("execute_status"), str)):
        extra |= _set_status(record, found.get("execute_status"))
    for key in ("input_parameters", "run_mode", "metadata", "is_output_trimmed"):
        if record[key] is None:
            record[key] = DEFAULTS[key]
    if not isinstance(record["metadata"], dict):
        extra["metadata"], record["metadata"] = record["metadata"], {}
    metadata = record["metadata"]
    if (ended := moment(metadata.get(ENDED_AT.name), zone)) is not None:
        record["metadata"] = metadata | {ENDED_AT.name: ended}
    if extra:
        extra = {**(ADOPTED_FIELDS.of(record) or {}), **extra}
        record["metadata"] = record["metadata"] | {ADOPTED_FIELDS.name: extra}
    body = encode(record, levels=LEVELS)
    return Document.of(record, body)


def _execute_id(stated: object) -> str | None:
    number = isinstance(stated, int) and not isinstance(stated, bool)
    try:
        return check_identifier("execute id", str(stated) if number else stated)
    except InvalidIdentifier:
        return None


def _time_of(found: Mapping[str, Any], name: str, zone: tzinfo) -> int | None:
    """Return a time in milliseconds; a small number under all our keys is of a machine whose clock was not set."""
    value = found.get(name)
    is_of_1970 = type(value) is int and 0 < value < SECONDS_BEGIN and tuple(found) == KEYS
    return time(value) if is_of_1970 else moment(value, zone)


def _set_times(record: dict[str, Any], times: dict[str, int | None], now: int) -> dict[str, Any]:
    """Set the times of *record*, and return what it had in the place of those that are not its own."""
    created, updated = times["create_time"], times["update_time"]
    begin = next(at for at in (created, updated, now) if at is not None)
    end = begin if updated is None else max(begin, updated)
    is_lost = {
        "create_time": created is None,
        "update_time": (updated is None and record["update_time"] is not None) or (updated or end) < begin,
    }
    replaced = {key: record[key] for key, lost in is_lost.items() if lost}
    record["create_time"], record["update_time"] = begin, end
    return replaced


def _set_status(record: dict[str, Any], written: object) -> dict[str, Any]:
    """Set the status of *record*, and return the word that it had in its place, where that was another one."""
    status = status_of(written)
    record["execute_status"] = status or "interrupted"
    if status is None and record["error_message"] is None:
        record["error_message"] = _UNKNOWN_END
    return {} if written == status else {"execute_status": written}
