"""A record without its documents, for lists. Pure."""

from collections.abc import Iterator, Mapping
from itertools import islice
from math import inf
from typing import Any, Final

import orjson

from execution_history.records.attributes import RunAttributes
from execution_history.records.encoding import encode
from execution_history.records.metadata import KEYS, Use, metadata_of
from execution_history.records.partial import LARGE, Unread

LONGEST_LINE: Final = 120
LONGEST_TEXT: Final = 1_000
LONGEST_ITEM: Final = 100
MOST_ITEMS: Final = 50

_LEFT_OUT: Final = frozenset({"input_parameters", "output", "node_execute_status", "metadata"})
_KEPT_METADATA: Final = tuple(key for key in KEYS.values() if Use.SUMMARISED in key.uses)
_LOOKED_AT: Final = 4 * LONGEST_LINE
_SMALL: Final = 4_000


def summary_of(record: Mapping[str, Any], facts: RunAttributes) -> bytes:
    """Return the JSON of *record*, or its outline, without input, output and timeline, with a little of its metadata.

    It is small whatever the record holds: a text ends after 1,000 characters with ``…``; of a list or an object with
    more than 4,000 bytes of JSON there are the first 50 items, texts among them with at most 100 characters, lists and
    objects among them as null; with more than 64 KiB it is null itself, unless it is ``tags`` or ``caller``. In place
    of what is left out stand ``duration_ms`` and ``tokens`` (numbers or null), ``waited_ms``, and ``input_line`` and
    ``output_line``: its beginning as one line of at most 120 characters, ``""`` for nothing.
    """
    metadata = metadata_of(record)
    summary = {key: _shortened(value) for key, value in record.items() if key not in _LEFT_OUT}
    summary["metadata"] = {
        key.name: _shortened(metadata[key.name], inf if Use.READ_WHOLE in key.uses else LARGE)
        for key in _KEPT_METADATA
        if key.name in metadata
    }
    summary["duration_ms"] = facts.duration_ms
    summary["waited_ms"] = facts.waited_ms
    summary["tokens"] = facts.tokens
    summary["input_line"] = line_of(record["input_parameters"])
    summary["output_line"] = line_of(record["output"])
    return encode(summary)


def line_of(value: object) -> str:
    """Return the beginning of any JSON value, read or unread, as one line of at most 120 characters."""
    if value in (None, "", {}, []):
        return ""
    if isinstance(value, Unread):
        text = value.beginning(_LOOKED_AT + 1)
    else:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
    line = " ".join(text[:_LOOKED_AT].split())
    is_whole = len(text) <= _LOOKED_AT and len(line) <= LONGEST_LINE
    return line if is_whole else line[: LONGEST_LINE - 1] + "…"


def _shortened(value: object, largest: float = LARGE) -> object:
    """Return *value* where it is small, the beginning of what is larger, null for what an outline leaves unread."""
    if isinstance(value, str):
        return _cut(value, LONGEST_TEXT)
    if not isinstance(value, (dict, list)):
        return None if isinstance(value, Unread) else value
    inner = value.values() if isinstance(value, dict) else value
    size = inf if any(isinstance(each, Unread) for each in inner) else len(orjson.dumps(value))
    if size <= _SMALL:
        return value
    if isinstance(value, dict):
        return dict(islice(_items(value), MOST_ITEMS)) if size <= largest else None
    return [_item(each) for each in value[:MOST_ITEMS]] if size <= largest else None


def _items(value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((_cut(key, LONGEST_ITEM), _item(inner)) for key, inner in value.items())


def _item(value: object) -> object:
    if isinstance(value, str):
        return _cut(value, LONGEST_ITEM)
    return None if isinstance(value, (dict, list, Unread)) else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
