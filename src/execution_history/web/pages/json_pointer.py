"""Pointers into a record: addresses of its parts, and the values there. Pure.

A pointer is a JSON pointer (RFC 6901) into the record, with two more kinds of steps: ``~j`` goes from a text into the
JSON that it holds, which Coze likes to nest, and ``~k7`` to the value of an object's eighth key, where that key is too
long for an address. RFC 6901 leaves both undefined, so that no key can be mistaken for them.
"""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from execution_history.records.encoding import encode
from execution_history.records.json_text import parse, read_json

EMBEDDED: Final = "~j"
_KEY_NUMBER: Final = re.compile(r"~k([0-9]{1,9})", re.ASCII)
_LONGEST_KEY: Final = 200
_MOST_STEPS: Final = 200
_LONGEST_EMBEDDED: Final = 4_000_000
_INDEX: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NoSuchPart(LookupError):  # noqa: N818 - named for what happened, as all our errors are
    """The record has nothing at this pointer."""


@dataclass(frozen=True, slots=True)
class Part:
    """One value in a record: its pointer, the jq filter that returns it, and itself."""

    pointer: str
    filter: str
    value: Any

    @property
    def path(self) -> str:
        """The filter in jq's syntax."""
        return self.filter.removesuffix(" | ") or "."

    def child(self, key: str | int, value: object, number: int = 0) -> "Part":
        """Return the part of this one under *key*, its child with this *number*, counted from 0."""
        if isinstance(key, int):
            return Part(f"{self.pointer}/{key}", f"{_indexed(self.filter)}[{key}]", value)
        if len(key) > _LONGEST_KEY:
            return Part(f"{self.pointer}/~k{number}", f"{self.filter or '.'} | to_entries[{number}].value | ", value)
        step = key.replace("~", "~0").replace("/", "~1")
        return Part(f"{self.pointer}/{step}", _keyed(self.filter, key), value)

    def embedded(self, value: object) -> "Part":
        """Return the part for the JSON *value* in this part's text."""
        return Part(f"{self.pointer}/{EMBEDDED}", f"{self.filter or '.'} | fromjson | ", value)


def root(record: object) -> Part:
    """Return the whole record as a part."""
    return Part("", "", record)


def find_part(record: object, pointer: str) -> Part:
    """Return the part that *pointer* points to.

    Raises:
        NoSuchPart: nothing is there.
    """
    if pointer and not pointer.startswith("/"):
        raise NoSuchPart(pointer)
    steps = pointer.split("/")[1:]
    if len(steps) > _MOST_STEPS:
        raise NoSuchPart(pointer)
    part = root(record)
    for step in steps:
        part = _step(part, step)
    return part


def embedded_json(text: str) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return the object or array that *text* holds as JSON, in the form of records; ``None`` when it holds none."""
    if len(text) > _LONGEST_EMBEDDED or text[:1] not in {"{", "["} or text[-1:] not in {"}", "]", "\n", " "}:
        return None
    try:
        found = parse(encode(read_json(text)))
    except ValueError:
        return None
    return found if isinstance(found, (dict, list)) and found else None


def _step(part: Part, step: str) -> Part:
    value = part.value
    if step == EMBEDDED and isinstance(value, str):
        found = embedded_json(value)
        if found is not None:
            return part.embedded(found)
    elif isinstance(value, dict):
        number = _KEY_NUMBER.fullmatch(step)
        key = step.replace("~1", "/").replace("~0", "~") if number is None else _key(value, int(number[1]))
        # A long key has its number as its only address, so that each part has one address.
        if key is not None and key in value and (number is not None or len(key) <= _LONGEST_KEY):
            return part.child(key, value[key], 0 if number is None else int(number[1]))
    elif isinstance(value, list) and _INDEX.fullmatch(step) and (index := int(step)) < len(value):
        return part.child(index, value[index], index)
    raise NoSuchPart(step)


def _key(value: dict[str, Any], number: int) -> str | None:
    """Return the key with this number, too long to be named, as :meth:`Part.child` counts; ``None`` without one."""
    key = next(islice(value, number, None), None)
    return key if key is not None and len(key) > _LONGEST_KEY else None


def _keyed(base: str, key: str) -> str:
    return f"{base}.{key}" if _WORD.fullmatch(key) else f"{_indexed(base)}[{orjson.dumps(key).decode()}]"


def _indexed(base: str) -> str:
    """Return *base* so that a bracket can follow it: jq needs a dot before one where a filter begins."""
    return f"{base}." if not base or base.endswith("| ") else base
