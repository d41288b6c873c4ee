"""What of a record is searched, and the name of the field that each text comes from."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from execution_history.jsonvalue import encode
from execution_history.outlines import Unread

MOST_CHARACTERS: Final = 10_000_000
"""So much of a record is searched; what comes later, in the order of :func:`texts_of`, is not."""

_EACH: Final = 8  # what a text counts beside its characters: millions of short ones cost more than a long one

_BOOKKEEPING: Final = frozenset({"recorder", "proof", "transition"})
"""Keys of ``metadata`` in which recorders note what nobody would search for."""

_NODE_TEXTS: Final = ("node_title", "content", "error_message")


class FieldText(NamedTuple):
    """One text of a record; *field* is the path of keys to it, as far as it names a field: ``metadata.note``."""

    field: str
    text: str


def texts_of(record: Mapping[str, Any]) -> Iterator[FieldText]:
    """The texts of *record*, or of its outline, that are searched, in this order.

    ``error_message`` and ``error_code``; every key, text and number in ``input_parameters`` and ``output``; the titles
    of the nodes and what they said, unless that is already part of the output; what stands in ``metadata``: note,
    tags, account, caller, ids and whatever else, except what recorders note for themselves. JSON within a text is
    text. ``true``, ``false`` and ``null`` are not searched. At most :data:`MOST_CHARACTERS` are given, where every
    text counts as eight more than it has.
    """
    left = MOST_CHARACTERS
    for text in _all_texts(record):
        if len(text.text) >= left:
            yield FieldText(text.field, text.text[: max(0, left)])
            return
        left -= len(text.text) + _EACH
        yield text


def _all_texts(record: Mapping[str, Any]) -> Iterator[FieldText]:
    for field in ("error_message", "error_code", "input_parameters"):
        for text in _texts(record.get(field)):
            yield FieldText(field, text)
    output: set[str] = set()
    for text in _texts(record.get("output")):
        output.add(text)
        yield FieldText("output", text)
    yield from _node_texts(record.get("node_execute_status"), output)
    metadata = record.get("metadata")
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if key not in _BOOKKEEPING:
            field = f"metadata.{key}"
            for text in _texts(value):
                yield FieldText(field, text)


def _node_texts(nodes: object, output: set[str]) -> Iterator[FieldText]:
    if not isinstance(nodes, dict):
        for text in _texts(nodes):
            yield FieldText("node_execute_status", text)
        return
    for name, node in nodes.items():
        field = f"node_execute_status.{name}"
        yield FieldText(field, str(name))
        said = [node.get(key) for key in _NODE_TEXTS] if isinstance(node, dict) else [node]
        for text in _texts(said):
            if text != name and text not in output:
                yield FieldText(field, text)


def _texts(value: object) -> Iterator[str]:
    """The keys, texts and numbers in *value*, in the order of its JSON; without recursion, at any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Unread):
            yield from item.texts()
        elif isinstance(item, dict):
            for key, inner in reversed(item.items()):
                stack += (inner, key)
        elif isinstance(item, (list, tuple)):
            stack += reversed(item)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            yield encode(item).decode().strip('"')
