"""What lists, the index and the search need of a record, without building the objects of a very large one. Pure.

A record of 70 MB can hold millions of small objects: parsing it takes seconds and gigabytes, and a list of runs shows
120 characters of it. :mod:`msgspec` steps over a value without building it at about a gigabyte per second.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from execution_history.records.json_text import HUGE, parse
from execution_history.records.metadata import KEYS, Use

if TYPE_CHECKING:
    import msgspec

LARGE: Final = 64 * 1024
"""Lists and objects of more bytes of JSON are left unread, in documents of more bytes."""

_DEEPER: Final = {"usage": 1, "metadata": 1, "node_execute_status": 2}
_ALWAYS_READ: Final = frozenset(name for name, key in KEYS.items() if Use.READ_WHOLE in key.uses)
_ATOMS: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)"|(-?[0-9][0-9.eE+-]*)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unread:
    """A list or an object that was too large to be read; *json* is its compact UTF-8 JSON."""

    json: bytes

    def beginning(self, characters: int) -> str:
        """Return the first *characters* of its JSON."""
        return self.json[: 4 * characters].decode(errors="ignore")[:characters]

    def texts(self) -> Iterator[str]:
        """Yield its keys, texts and numbers, in the order of the JSON."""
        for found in _ATOMS.finditer(self.json):
            text, number = found.groups()
            if text is None:
                yield number.decode()
            else:
                yield orjson.loads(found[0]) if b"\\" in text else text.decode()


def outline_of(body: bytes) -> dict[str, Any]:
    """Return the record whose stored bytes are *body*, with :class:`Unread` in the place of large lists and objects.

    Records up to :data:`LARGE` are read whole. Of a larger one every text is read, and so are usage, metadata with its
    tags and caller, and the timeline with its nodes, but for the large values in them.

    Raises:
        ValueError: these are not the bytes of a record.
    """
    if len(body) <= LARGE:
        record: dict[str, Any] = orjson.loads(body)
        return record
    return {key: _outlined(value, _DEEPER.get(key, 0)) for key, value in members_of(body).items()}


def members_of(json: "bytes | memoryview") -> "dict[str, msgspec.Raw]":
    """Return the members of a JSON object, their values unread.

    Raises:
        ValueError: it is none.
    """
    return _objects().decode(json)


def read_record(body: bytes) -> dict[str, Any]:
    """Return a record as plain values, however many."""
    record: dict[str, Any] = parse(body)
    return record


def parts_of(body: bytes) -> dict[str, Any]:
    """Return a record as a change of it is written from: of a huge one, huge values but its metadata stay JSON."""
    if len(body) <= HUGE:
        return read_record(body)
    documents = {key: bytes(memoryview(value)) for key, value in members_of(body).items()}
    return {
        key: orjson.Fragment(json) if len(json) > HUGE and key != "metadata" else orjson.loads(json)
        for key, json in documents.items()
    }


@cache
def _objects() -> "msgspec.json.Decoder[dict[str, msgspec.Raw]]":
    import msgspec  # noqa: PLC0415 - 20 ms that whoever meets no large record need not wait for

    return msgspec.json.Decoder(dict[str, msgspec.Raw])


def _outlined(raw: "msgspec.Raw", depth: int) -> Any:  # noqa: ANN401 - any JSON value
    with memoryview(raw) as view:
        size, first = len(view), bytes(view[:1])
        json = bytes(view)
    if size <= LARGE or first not in b"[{":
        return orjson.loads(json)
    if first == b"{" and depth:
        return {
            key: orjson.loads(bytes(memoryview(value))) if key in _ALWAYS_READ else _outlined(value, depth - 1)
            for key, value in members_of(json).items()
        }
    return Unread(json)
