"""Coze Studio's tables ``workflow_execution`` and ``node_execution`` as records. Pure: rows in, records out.

The numbers in its rows, as its source (coze-dev/coze-studio) uses them:

| column | number |
|---|---|
| ``workflow_execution.status`` | 1 running, 2 success, 3 failed, 4 cancelled (ours: failed), 5 interrupted |
| ``workflow_execution.sync_pattern`` | 1 sync, 2 async, 3 stream (ours: 0, 2, 1) |
| ``workflow_execution.mode`` | 1 debug, 2 release, 3 node debug |
| ``node_execution.status`` | 1 waiting, 2 running, 3 success, 4 failed |

The comment in its schema calls 4 interrupted; the program writes 4 for a cancelled run and 5 for an interrupt. Times
and durations are milliseconds. The original number is kept in ``metadata.imported_from``.

Studio writes 0 for unknown values: an id 0 is none, and tokens of which both are 0 are unknown. Inputs and outputs are
JSON objects, or any text where a workflow ends with an answer; a text is parsed as JSON only if it is an object or a
list, and ``"123"`` stays a text.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any, Final

from execution_history.errors import Message
from execution_history.records.adoption import as_written, fault_of_status, fault_of_times
from execution_history.records.encoding import as_text
from execution_history.records.json_text import read_json
from execution_history.records.metadata import COZE_EXECUTE_ID, ENDED_AT, IMPORTED_FROM, LOG_ID, PARENT
from execution_history.records.status_words import status_of
from execution_history.records.timeline import Node, timeline_of
from execution_history.records.values import LAST_TIME, moment, time

EXECUTION_COLUMNS: Final = frozenset({"id", "workflow_id", "created_at", "status"})
"""Without these it is not the table ``workflow_execution``."""

NODE_COLUMNS: Final = frozenset({"id", "execute_id", "node_id", "node_name", "created_at", "status"})
"""Without these it is not the table ``node_execution``."""

MOST_NODES: Final = 2_000
"""The number of nodes of a run that are kept; ``metadata.imported_from`` has the number of further ones."""

_OPEN: Final = frozenset({"running", "interrupted"})
_RUN_MODES: Final = {1: 0, 2: 2, 3: 1}
_TIMES: Final = ("created_at", "updated_at")
_MODES: Final = {1: "debug", 2: "release", 3: "node_debug"}
_NODE_STATUSES: Final = {1: "waiting", 2: "running", 3: "success", 4: "failed"}
_NODE_ENDED: Final = frozenset({3, 4})
_CANCELLED: Final = 4
_DURATION: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_KEPT_IDS: Final = ("space_id", "operator_id", "app_id")
_KEPT_TEXTS: Final = ("version", "node_count", "commit_id", "parent_node_id")

Row = Mapping[str, Any]


def record_of_execution(row: Row, nodes: Sequence[Row], left_out: int = 0, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the record of a row of ``workflow_execution``, with its rows of ``node_execution`` in their order.

    Args:
        row: columns to values, numbers perhaps as text, without those that are NULL.
        nodes: the rows of its nodes, at most :data:`MOST_NODES`.
        left_out: the number of further nodes.
        zone: of times without an offset.
    """
    created, status = moment(row.get("created_at"), zone), row.get("status")
    shown, duration = status_of(status) or "interrupted", duration_of(row) or 0
    updated = moment(row.get("updated_at"), zone)
    if created is None and updated is not None:
        created = max(1, updated - duration)
    record: dict[str, Any] = {
        "execute_id": identifier(row.get("id")),
        "create_time": created,
        "update_time": updated or (None if created is None else created + duration),
        "execute_status": shown,
        "error_code": _number_or_text(row.get("error_code")),
        "error_message": _text(row.get("fail_reason")),
        "output": _value(row.get("output")),
        "input_parameters": _value(row.get("input")),
        "bot_id": identifier(row.get("agent_id")),
        "run_mode": _RUN_MODES.get(number(row.get("sync_pattern")) or 0),
        "usage": _usage(row),
        "metadata": _metadata(row, created, duration, shown, left_out),
        "connector_id": identifier(row.get("connector_id")),
        "connector_uid": _text(row.get("connector_uid")),
        "node_execute_status": timeline_of(map(_node, nodes)),
    }
    if number(status) == _CANCELLED and record["error_message"] is None:
        record["error_message"] = "The run was cancelled."
    return record


def _metadata(row: Row, created: int | None, duration: int, status: str, left_out: int) -> dict[str, Any]:
    source: dict[str, Any] = {"system": "coze_studio", "status": _number_or_text(row.get("status"))}
    mode = number(row.get("mode"))
    if mode is not None:
        source["mode"] = _MODES.get(mode, mode)
    kept = {name: identifier(row.get(name)) for name in _KEPT_IDS} | {
        name: _text(row.get(name)) for name in _KEPT_TEXTS
    }
    source |= {name: value for name, value in kept.items() if value is not None}
    if left_out:
        source["nodes_left_out"] = left_out
    metadata: dict[str, Any] = {COZE_EXECUTE_ID.name: identifier(row.get("id")), IMPORTED_FROM.name: source}
    if log_id := _text(row.get("log_id")):
        metadata[LOG_ID.name] = log_id
    root = identifier(row.get("root_execution_id"))
    if root and root != identifier(row.get("id")):
        metadata[PARENT.name] = root
    if status not in _OPEN and created is not None and duration:
        metadata[ENDED_AT.name] = created + duration
    return metadata


def _node(node: Row) -> Node:
    """Return a node in the form of a stream's nodes, with what only Studio has."""
    began = milliseconds(node.get("created_at")) or 0
    inner, status = _text(node.get("parent_node_id")), number(node.get("status"))
    known = {
        "status": _NODE_STATUSES.get(status or 0),
        "input": _text(node.get("input")),
        "raw_output": _text(node.get("raw_output")),
        "error_message": _text(node.get("error_info")),
        "error_level": _text(node.get("error_level")),
        # Studio writes 0 for nodes outside of loops too.
        "loop_index": None if inner is None else number(node.get("composite_node_index")),
        "loop_items": None if inner is None else _text(node.get("composite_node_items")),
        "parent_node_id": inner,
        "sub_execute_id": identifier(node.get("sub_execute_id")),
    }
    return Node(
        node_id=_text(node.get("node_id")),
        node_title=_text(node.get("node_name")) or _text(node.get("node_id")) or "node",
        node_type=_text(node.get("node_type")),
        node_execute_uuid=identifier(node.get("id")),
        is_finish=status in _NODE_ENDED,
        start_time=began,
        update_time=milliseconds(node.get("updated_at")) or began + (duration_of(node) or 0),
        content=_text(node.get("output")) or "",
        usage=_usage(node),
        others={key: value for key, value in known.items() if value is not None},
    )


def _usage(row: Row) -> dict[str, int] | None:
    read, written = number(row.get("input_tokens")) or 0, number(row.get("output_tokens")) or 0
    if not read and not written:
        return None
    return {"input_count": read, "output_count": written, "token_count": read + written}


def fault_of_execution(row: Row, zone: tzinfo = UTC) -> str | None:
    """Return the reason why a row of ``workflow_execution`` cannot be taken; ``None`` where it can."""
    for name in ("id", "workflow_id"):
        if identifier(row.get(name)) is None:
            return Message(
                "Its %(name)s is not a whole number above 0; perhaps a spreadsheet has rounded it.", name=name
            )
    times = {name: row.get(name) for name in _TIMES if number(row.get(name)) != 0}
    # A number that Studio does not have, or none, is kept as it is: such a run counts as interrupted.
    is_number = row.get("status") is None or number(row["status"]) is not None
    fault = fault_of_times(times, zone, _TIMES) or fault_of_duration(row)
    return fault or (None if is_number else fault_of_status(row, "status"))


def fault_of_duration(row: Row) -> str | None:
    """Return why it is not known how long *row* took, as a sentence; ``None`` where it is, or the row does not say."""
    if row.get("duration") is None or duration_of(row) is not None:
        return None
    return Message(
        "Its duration is %(value)s, which is not understood: write milliseconds.", value=as_written(row["duration"])
    )


def duration_of(row: Row) -> int | None:
    """Return how long *row* took, in whole milliseconds, however its number is written; ``None`` for no such number."""
    written = str(row.get("duration")).strip()
    if not _DURATION.fullmatch(written):
        return None
    duration = Decimal(written)
    return int(duration) if 0 <= duration <= LAST_TIME else None


def number(value: object) -> int | None:
    """Return a whole number, which a dump may hold as text; ``None`` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:  # noqa: PLR2004 - 64 bits
        return int(value)
    return None


def milliseconds(value: object) -> int | None:
    """Return a time or a duration in milliseconds; ``None`` for one beyond the year 9999."""
    return time(number(value))


def identifier(value: object) -> str | None:
    """Return an id as text with all its digits; ``None`` for 0, which means none, and for no whole number."""
    found = number(value)
    return str(found) if found is not None and found > 0 else None


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return as_text(value)


def _number_or_text(value: object) -> int | str | None:
    found = number(value)
    return found if found is not None else _text(value)


def _value(found: object) -> object:
    """Return an input or output: parsed where it is a JSON object or list, the text as it is otherwise."""
    text = _text(found) if isinstance(found, str) else None
    if text is None or not text.lstrip().startswith(("{", "[")):
        return text if isinstance(found, str) else found
    try:
        return read_json(text)
    except ValueError:
        return text
