r"""Any Python value as JSON: never an error, never a crash, always text that every parser accepts.

| value | its JSON |
|---|---|
| ``None``, bool, str, int, float, list, tuple, dict | themselves |
| an integer outside ``-2**63 .. 2**64-1`` | its digits, as a string (hexadecimal beyond 4 000 digits) |
| NaN and the infinities | ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` |
| half of a surrogate pair in a string | the visible escape, such as ``\ud800``; with its other half the character |
| a dict key that is no string | ``true``, ``null``, its digits, else its ``str``; a taken key gets ``" (2)"`` |
| set, frozenset, deque and other collections | a list; sets in the order of their JSON |
| named tuple, dataclass, pydantic model | an object of its fields |
| datetime, date, time | ISO 8601, with the offset it has |
| timedelta | seconds, a number |
| enum member | its value |
| UUID, Decimal, path | a string |
| bytes, bytearray, memoryview | the text when it is UTF-8, otherwise ``{"$base64": "…"}`` |
| exception | ``{"type": "ValueError", "message": "…"}`` |
| a coroutine, a generator, an asynchronous one | ``"[coroutine f]"``, ``"[generator f]"``, ``"[async_generator f]"`` |
| another iterator | its ``str``; ``"[list_iterator]"``, its class, where that would tell its address |
| an object with ``tolist`` (NumPy arrays and scalars) | what that returns |
| any other object | an object of its public attributes; without any, its ``str`` |
| an attribute, or a value, that raises when it is looked at | ``"[unreadable: RuntimeError]"`` |
| a value inside itself | ``"[circular]"`` |
| what lies deeper than it may (254 levels; 128 in a record) | its JSON as a string, cut after 100 million characters |
| what comes after five million values | ``"[too large]"`` |

Iterators, generators and coroutines are not consumed: reading history must not have effects.
"""

import base64
import contextlib
import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from gc import get_referents
from pathlib import PurePath
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Final
from uuid import UUID

import orjson

from execution_history.records.charset import with_joined_pairs
from execution_history.records.depth import LEAVES, WRITABLE, kinds_within
from execution_history.records.json_text import parse, read_json

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**64 - 1
_MOST_VALUES: Final = 5_000_000
_LONGEST_TAIL: Final = 100_000_000
_MOST_DIGITS_BITS: Final = 13_000
_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]")
_NAMED: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
_UNREAD: Final = (Iterator, CoroutineType, AsyncGeneratorType)


def encode(value: object, *, levels: int = WRITABLE) -> bytes:
    """Return *value* as compact UTF-8 JSON of at most *levels* levels of lists and objects, by the table above.

    Values that JSON holds as they are take a fast path; everything else costs a walk over the value.
    """
    kinds = _kinds_of(value, levels)
    if kinds is not None:
        try:
            document = orjson.dumps(value)
        except (TypeError, ValueError):
            pass  # a key that is no string, an integer of more than 64 bits, half of a surrogate pair
        else:
            if float not in kinds or b"null" not in document or not _holds_non_finite(value):
                return document
    return orjson.dumps(_Walk(levels).plain(value, 0))


def _kinds_of(value: object, levels: int) -> Collection[type] | None:
    """Return :func:`kinds_within`, sooner for leaves and for objects of leaves: orjson refuses keys but strings."""
    if type(value) in LEAVES:
        return (type(value),)
    if type(value) is dict and levels and (inside := set(map(type, value.values()))) <= LEAVES:
        return inside
    return kinds_within(value, levels)


def indent(document: bytes) -> bytes:
    """Return a JSON document of ours, indented by two spaces, for people."""
    try:
        return orjson.dumps(parse(document), option=orjson.OPT_INDENT_2)
    except (ValueError, TypeError):  # an older one may be nested more deeply than is written today
        return orjson.dumps(orjson.loads(encode(read_json(document))), option=orjson.OPT_INDENT_2)


def as_text(value: object) -> str:
    """Return *value* where a text is kept or sent: itself if it is one, "" for null, the JSON of everything else."""
    return value if isinstance(value, str) else "" if value is None else encode(value).decode()


def _holds_non_finite(value: object) -> bool:
    """Return whether a float that JSON cannot hold is in the plain *value*; orjson would have written null."""
    level: Sequence[object] = (value,)
    while level:
        if not all(map(math.isfinite, [item for item in level if type(item) is float])):
            return True
        level = get_referents(*level)
    return False


class _Walk:
    """One careful walk over a value, which remembers where it is and how much it has seen."""

    def __init__(self, levels: int) -> None:
        self._levels = levels
        self._inside: set[int] = set()
        self._seen = 0

    def plain(self, value: object, depth: int) -> object:
        """Return *value* as what orjson takes: plain values, lists and dicts."""
        self._seen += 1
        if self._seen > _MOST_VALUES:
            return "[too large]"
        if value is None or value is True or value is False:
            return value
        try:
            scalar = _scalar(value)
        except RecursionError:  # which whoever has left so little of the stack deals with
            raise
        except Exception as error:  # noqa: BLE001 - a foreign class may raise anything when it is asked for
            return f"[unreadable: {type(error).__name__}]"
        is_too_deep = depth >= self._levels
        if scalar is not _NOT_SCALAR:
            return orjson.dumps(scalar).decode() if is_too_deep and isinstance(scalar, dict) else scalar
        if id(value) in self._inside:
            return "[circular]"
        if is_too_deep:
            return _tail(value)
        self._inside.add(id(value))
        try:
            return self._compound(value, depth + 1)
        except RecursionError:  # the caller has left little of the stack
            return _tail(value)
        finally:
            self._inside.discard(id(value))

    def _compound(self, value: object, depth: int) -> object:
        content = _content(value)
        if isinstance(content, Mapping):
            return self._object(content.items(), depth)
        if isinstance(content, list):
            items = [self.plain(item, depth) for item in content]
            return sorted(items, key=orjson.dumps) if isinstance(value, AbstractSet) else items
        return self.plain(content, depth) if content is not value else _text_of(value)

    def _object(self, items: Iterable[tuple[object, object]], depth: int) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, item in items:
            name = _key(key)
            number = 2
            while name in result:
                name = f"{_key(key)} ({number})"
                number += 1
            result[name] = self.plain(item, depth)
        return result


_NOT_SCALAR: Final = object()  # says that a value has parts


def _scalar(value: object) -> object:  # noqa: PLR0911 - one line for each row of the table
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, Enum):
        return _NOT_SCALAR
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else _non_finite(number)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal, PurePath)):
        return _clean(str(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes(bytes(value))
    if isinstance(value, (type, *_UNREAD)) or callable(value):
        return _unread(value) if isinstance(value, _UNREAD) else _text_of(value)
    return _NOT_SCALAR


def _unread(value: object) -> str:
    """Return what is said of a value that would be consumed by reading it."""
    text = _text_of(value)
    if _ADDRESS.search(text) is None:
        return text
    name = getattr(value, "__name__", None) if isinstance(value, _NAMED) else None
    return _clean(f"[{type(value).__name__} {name}]" if name else f"[{type(value).__name__}]")


def _integer(value: int) -> int | str:
    number = int(value)
    if _SMALLEST <= number <= _LARGEST:
        return number
    # Python refuses to write very long integers in decimal (sys.set_int_max_str_digits).
    return str(number) if number.bit_length() <= _MOST_DIGITS_BITS else hex(number)


def _non_finite(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _bytes(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"$base64": base64.b64encode(value).decode("ascii")}


def _clean(text: str) -> str:
    plain = str.__str__(text)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return with_joined_pairs(plain).encode("utf-8", "backslashreplace").decode()
    return plain


def _key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, Enum):
        return _key(key.value)
    scalar = _scalar(key)
    return scalar if isinstance(scalar, str) else _text_of(key)


def _text_of(value: object) -> str:
    try:
        return _clean(str(value))
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and history must not fail for it
        return f"<{type(value).__name__}>"


def _content(value: object) -> object:
    """Return the parts of a compound value: a mapping, a list, or another value that stands for it."""
    if isinstance(value, Mapping):
        return value
    try:
        return _foreign_content(value)
    except Exception:  # noqa: BLE001 - foreign attributes may raise anything, and history must not fail for it
        return _attributes(value)


def _foreign_content(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=False))
    if isinstance(value, (list, tuple)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": _text_of(value)}
    for method in ("model_dump", "tolist"):
        convert = getattr(type(value), method, None)
        if callable(convert):
            converted = convert(value)
            if type(converted) is not type(value):
                return converted
    if isinstance(value, Collection):
        return list(value)
    return _attributes(value)


def _attributes(value: object) -> object:
    names: list[str] = []
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    with contextlib.suppress(TypeError):  # it has slots only, or nothing
        names += list(vars(value))
    found: dict[str, object] = {}
    for name in names:
        if not name.startswith("_") and name not in found:
            try:
                attribute = getattr(value, name)
            except AttributeError:  # a slot that was never set
                continue
            except Exception as error:  # noqa: BLE001 - a foreign attribute may raise anything; the record names it
                attribute = f"[unreadable: {type(error).__name__}]"
            if not callable(attribute):
                found[name] = attribute
    return found or _text_of(value)


def _tail(value: object) -> str:
    """Return what lies too deep, as JSON text, written without recursion."""
    parts: list[str] = []
    length = 0
    stack: list[object] = [value]
    while stack and length < _LONGEST_TAIL:
        item = stack.pop()
        if isinstance(item, _Token):
            text = item
        elif isinstance(item, Mapping):
            named = ((_Token(orjson.dumps(_key(key)).decode() + ":"), inner) for key, inner in item.items())
            stack += _reversed("{", named, "}")
            continue
        elif isinstance(item, (list, tuple)):
            stack += _reversed("[", ((inner,) for inner in item), "]")
            continue
        else:
            scalar = item if item is None or isinstance(item, bool) else _scalar(item)
            text = _Token(orjson.dumps(_text_of(item) if scalar is _NOT_SCALAR else scalar).decode())
        parts.append(text)
        length += len(text)
    return "".join(parts) + ("…" if stack else "")


class _Token(str):
    """A piece of JSON text among values."""

    __slots__ = ()


def _reversed(opening: str, items: Iterable[tuple[object, ...]], closing: str) -> list[object]:
    """Return what a list or an object consists of, the last first."""
    tokens: list[object] = [_Token(opening)]
    for number, item in enumerate(items):
        tokens += (_Token(","), *item) if number else item
    return [*tokens, _Token(closing)][::-1]
