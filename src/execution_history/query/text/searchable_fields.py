"""The texts of a record that are searched, and the name of the field that each comes from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from execution_history.records.encoding import encode
from execution_history.records.metadata import KEYS, Use, uses_of
from execution_history.records.partial import Unread

MOST_CHARACTERS: Final = 10_000_000
"""How many characters of a record are searched; later texts, in the order of :func:`texts_of`, are not."""

_EACH: Final = 8  # added to the size of each text: millions of short ones cost more than a long one

_NODE_TEXTS: Final = ("node_title", "content", "error_message")

_NOT_SEARCHED: Final = frozenset(name for name in KEYS if Use.SEARCHED not in uses_of(name))


class FieldText(NamedTuple):
    """One text of a record; *field* is the path of keys to it, as far as it names a field: ``metadata.note``."""

    field: str
    text: str


def texts_of(record: Mapping[str, Any]) -> Iterator[FieldText]:
    """Return the texts of *record*, or of its outline, that are searched, in this order.

    ``error_message`` and ``error_code``; every key, text and number in ``input_parameters`` and ``output``; the titles
    of the nodes and their messages, unless those are already part of the output; everything in ``metadata``: note,
    tags, account, caller, ids and so on, except the recorders' own notes. JSON within a text is text. ``true``,
    ``false`` and ``null`` are not searched. At most :data:`MOST_CHARACTERS` are returned, where every text counts eight
    more than it has.
    """
    for field, texts in fields_of(record):
        for text in texts:
            yield FieldText(field, text)


def fields_of(record: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    """Return the texts of :func:`texts_of`, those of a field together; a field may come several times."""
    left = MOST_CHARACTERS
    for field, texts in _all_fields(record):
        size = sum(map(len, texts)) + _EACH * len(texts)
        if size >= left:
            yield field, list(_cut(texts, left))
            return
        left -= size
        yield field, texts


def _cut(texts: Iterable[str], left: int) -> Iterator[str]:
    for text in texts:
        if len(text) >= left:
            yield text[: max(0, left)]
            return
        left -= len(text) + _EACH
        yield text


def _all_fields(record: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for field in ("error_message", "error_code", "input_parameters"):
        yield field, _texts(record.get(field))
    output = _texts(record.get("output"))
    yield "output", output
    yield from _node_fields(record.get("node_execute_status"), set(output))
    metadata = record.get("metadata")
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if key not in _NOT_SEARCHED:
            yield f"metadata.{key}", _texts(value)


def _node_fields(nodes: object, output: set[str]) -> Iterator[tuple[str, Sequence[str]]]:
    if not isinstance(nodes, dict):
        yield "node_execute_status", _texts(nodes)
        return
    for name, node in nodes.items():
        node_texts = _texts([node.get(key) for key in _NODE_TEXTS] if isinstance(node, dict) else node)
        yield (
            f"node_execute_status.{name}",
            [name, *(text for text in node_texts if text != name and text not in output)],
        )


def _texts(value: object) -> Sequence[str]:
    """Return the keys, texts and numbers in *value*, in the order of its JSON; without recursion, at any depth."""
    if isinstance(value, str):
        return (value,)
    if value is None:
        return ()
    found: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            for key, inner in reversed(item.items()):
                stack += (inner, key)
        elif isinstance(item, (list, tuple)):
            stack += reversed(item)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            found.append(encode(item).decode().strip('"'))
        elif isinstance(item, Unread):
            found += islice(item.texts(), MOST_CHARACTERS // _EACH)
    return found
