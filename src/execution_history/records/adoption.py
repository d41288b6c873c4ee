"""Records that others wrote, or that come back: taken as they are, or brought to our form. Pure."""

from typing import Any

import orjson

from execution_history.errors import InvalidIdentifier
from execution_history.records.depth import LEVELS, cut
from execution_history.records.encoding import encode
from execution_history.records.metadata import ADOPTED_FIELDS
from execution_history.records.record import DEFAULTS, KEYS, Document, check_identifier, is_identifier
from execution_history.records.values import MILLISECONDS_BEGIN, time


def whole_record(record: dict[str, Any], body: bytes) -> Document | None:
    """Return the document of a record that is exactly as we write it, with *body* as its bytes; ``None`` if it is not.

    *record* is what *body* says. Nothing is mended here: :func:`adopt_record` does that.
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


def adopt_record(found: dict[str, Any], workflow_id: str, now: int) -> Document | None:
    """Return a record that somebody else wrote, brought to the 19 keys; ``None`` when it has no usable id.

    What is missing gets its default, times that are not milliseconds are mended, and keys that are not
    ours move to ``metadata["adopted_fields"]``: nothing is dropped. The workflow is the one whose file
    held the record, whatever the record says of itself.
    """
    execute_id = found.get("execute_id")
    if isinstance(execute_id, int) and not isinstance(execute_id, bool):
        execute_id = str(execute_id)
    try:
        execute_id = check_identifier("execute id", execute_id)
    except InvalidIdentifier:
        return None
    record: dict[str, Any] = {key: found.get(key, default) for key, default in DEFAULTS.items()}
    record["execute_id"], record["workflow_id"] = execute_id, workflow_id
    created = _milliseconds(found.get("create_time"))
    updated = _milliseconds(found.get("update_time"))
    record["create_time"] = created if created is not None else updated if updated is not None else now
    record["update_time"] = max(record["create_time"], updated or 0)
    for key in ("execute_status", "input_parameters", "run_mode", "metadata", "is_output_trimmed"):
        if record[key] is None:
            record[key] = DEFAULTS[key]
    extra = {key: value for key, value in found.items() if key not in DEFAULTS}
    if not isinstance(record["metadata"], dict):
        extra["metadata"], record["metadata"] = record["metadata"], {}
    if not isinstance(record["execute_status"], str):
        extra["execute_status"], record["execute_status"] = record["execute_status"], "interrupted"
    if extra:
        record["metadata"] = {**record["metadata"], ADOPTED_FIELDS.name: extra}
    body = encode(record, levels=LEVELS)
    return Document.of(record, body)


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(float(value)) if not isinstance(value, int) else value
    except (ValueError, OverflowError):
        return None
    if 0 < number < MILLISECONDS_BEGIN:
        number *= 1000
    return time(number)
