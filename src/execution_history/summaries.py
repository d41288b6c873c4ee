"""A record without its documents, for lists. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from execution_history.facts import Facts
from execution_history.record import UPSTREAM_KEY

LONGEST_LINE: Final = 120

_LEFT_OUT: Final = frozenset({"input_parameters", "output", "node_execute_status", "metadata"})
_KEPT_METADATA: Final = ("account", "caller", "tags", "pinned", "rating", "note", "proof", UPSTREAM_KEY)
_LOOKED_AT: Final = 4 * LONGEST_LINE


def summary_of(record: Mapping[str, Any], facts: Facts) -> bytes:
    """The JSON of *record* without input, output and node timeline, and with a little of its metadata.

    In their place stand ``duration_ms`` and ``tokens`` (numbers or null), and ``input_line`` and ``output_line``: the
    beginning of what was left out as one line of at most 120 characters, ``""`` for nothing.
    """
    metadata = record["metadata"] if isinstance(record["metadata"], dict) else {}
    summary = {key: value for key, value in record.items() if key not in _LEFT_OUT}
    summary["metadata"] = {key: metadata[key] for key in _KEPT_METADATA if key in metadata}
    summary["duration_ms"] = facts.duration_ms
    summary["tokens"] = facts.tokens
    summary["input_line"] = line_of(record["input_parameters"])
    summary["output_line"] = line_of(record["output"])
    return orjson.dumps(summary)


def line_of(value: object) -> str:
    """The beginning of any JSON value as one line of at most 120 characters."""
    if value in (None, "", {}, []):
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    line = " ".join(text[:_LOOKED_AT].split())
    is_whole = len(text) <= _LOOKED_AT and len(line) <= LONGEST_LINE
    return line if is_whole else line[: LONGEST_LINE - 1] + "…"
