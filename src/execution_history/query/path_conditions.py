"""Comparisons of one value in a record, written ``input.city = "北京"``: parsed and tested. Pure.

    condition  = part, {step}, (operator, value | "exists")
    part       = "input" | "output" | "metadata"
    step       = "." key | "." quoted key | quoted key | "[" index "]"
    operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="
    conditions = condition, {"and", condition}

A bare key holds anything but spaces and ``. [ ] " = ! < >``; a quoted key is a JSON string. The value is JSON, a text
in single or typographic quotes, or a bare text without quotes: one that looks like a number, or holds what may be a
second condition, is refused. :class:`PathCondition` defines the comparisons.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, Final, Literal, cast

import orjson

from execution_history.errors import InvalidQuery, Message, quoted
from execution_history.query.hints import hint
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json

Part = Literal["input", "output", "metadata"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "exists"]

PARTS: Final[tuple[Part, ...]] = ("input", "output", "metadata")
OPERATORS: Final[tuple[Operator, ...]] = ("=", "!=", "<", "<=", ">", ">=", "exists")

MOST_CONDITIONS: Final = 20
"""Conditions that one question may have."""

_LONGEST: Final = 2_000
_DEEPEST: Final = 50
_LARGEST_INDEX: Final = 2**31
_PART: Final = re.compile(r"\s*([A-Za-z_]*)")
_STEP: Final = re.compile(r'\.?("(?:[^"\\]|\\.)*")|\.([^\s.\[\]"=!<>]+)|\[([0-9]{1,10})\]')
_OPERATOR: Final = re.compile(r"\s*(!=|<=|>=|==?|<|>)\s*|\s+exists\s*\Z")
_AND: Final = re.compile(
    # A quote that is not closed hides what follows, and no place is looked at twice.
    rf'"(?:[^"\\]|\\.)*+(?:"|\Z)|“[^“”]*+(?:”|\Z)|\s(?P<and>and|AND|&&)\s++(?=(?:{"|".join(PARTS)})(?:{_STEP.pattern})*+(?:\s*[=!<>]|\s+exists\b))'
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_TYPOGRAPHIC: Final = re.compile(r"[“”„]([^“”„]*)[“”]|[‘’‚]([^‘’‚]*)[‘’]")
_JOINT: Final = re.compile(r"\s(?:and|or|&&|\|\|)\s", re.IGNORECASE)
_COMPARED: Final = re.compile(r"[=<>]|\sexists\b", re.IGNORECASE)
_ANOTHER: Final = re.compile(
    r"\s(?:and|&&|\|\|)\Z|&&\Z|\A[-+0-9.]+\s*(?:and|or)\Z"
    rf"|[\s,;，；&|](?:{'|'.join(PARTS)})(?:{_STEP.pattern})*+\s*(?:[=<>]|!=|\sexists\b)",
    re.IGNORECASE | re.DOTALL,
)
_LIKE_A_NUMBER: Final = re.compile(
    r"-?\.[0-9]+(?:e[+-]?[0-9]+)?|-?[0-9]+\.|[+-]\s+[0-9.]+|[+-]?[0-9.]+\s*[,;，；、。]+|-?[0-9.]+e[+-]?[0-9]+",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,4000}(?:\.[0-9]{1,4000})?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_WORDS: Final = {"true": True, "false": False, "null": None}
_KEYS: Final[dict[Part, str]] = {"input": "input_parameters", "output": "output", "metadata": "metadata"}
_ORDERS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge}
_EXAMPLE: Final = Message('write for example input.city = "北京", output.score >= 90 or metadata.tags[0] exists')
MISSING: Final = object()
"""Stands for a value that is not there."""


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A comparison of one value in a record's input, output or metadata.

    ``path`` leads from that part to the value: a text is a key of an object, a number an index of a list, from 0.
    A path continues inside a text that is itself a JSON object or list, as Coze sends nested values.
    ``exists`` means present and not null. ``=`` compares numbers with numbers (1 equals 1.0, true is not a number),
    text with text, lists and objects whole; ``!=`` means present and not equal, whatever its type; the order
    comparisons hold between two numbers or two texts (by code point), and between nothing else. A text in the record
    that is a number in JSON counts as that number where *value* is one: ids, and what is too long for a number, are
    kept as texts. So it is with true, false and null; where *value* is a text, only texts are compared.
    """

    part: Part
    path: tuple[str | int, ...]
    operator: Operator
    value: object = None


def split_conditions(text: str) -> list[str]:
    """Return the conditions in *text*, which are joined by ``and``; one that is malformed stays as it is."""
    conditions: list[str] = []
    begin = 0
    for found in _AND.finditer(text[:_LONGEST]):
        if found["and"]:
            conditions.append(text[begin : found.start()])
            begin = found.end()
    return [*conditions, text[begin:]]


def parse_condition(text: str) -> PathCondition:
    """Parse *text* into a condition.

    Raises:
        InvalidQuery: it is not a condition; the message names the place and an example.
    """
    if len(text) > _LONGEST:
        raise InvalidQuery(
            "A condition has at most %(longest)s characters; this one has %(count)s.", longest=_LONGEST, count=len(text)
        )
    found = _PART.match(text)
    name, at = (found[1], found.end()) if found else ("", 0)
    if name not in PARTS:
        raise InvalidQuery(
            "The condition %(text)s does not begin with input, output or metadata: %(hint)s.",
            text=quoted(text),
            hint=hint(name, PARTS, _EXAMPLE),
        )
    path: list[str | int] = []
    while step := _STEP.match(text, at):
        path.append(_step(text, step))
        at = step.end()
    if len(path) > _DEEPEST:
        raise InvalidQuery(
            "The path of a condition has at most %(deepest)s steps; this one has %(count)s.",
            deepest=_DEEPEST,
            count=len(path),
        )
    operator = _OPERATOR.match(text, at)
    if operator is None:
        raise InvalidQuery(
            "The condition %(text)s has no comparison after its path, near %(place)s: %(example)s.",
            text=quoted(text),
            place=quoted(text[at : at + 20]),
            example=_EXAMPLE,
        )
    if operator[1] is None:
        return PathCondition(cast("Part", name), tuple(path), "exists")
    value = _value(text, text[operator.end() :].strip())
    return PathCondition(cast("Part", name), tuple(path), cast("Operator", operator[1].replace("==", "=")), value)


def _holds_another(written: str) -> bool:
    """Return whether another condition, or its beginning, follows a value, outside of quotes."""
    plain = _STRING.sub("", written)
    joint = _JOINT.search(plain)
    return bool(joint and _COMPARED.search(plain, joint.end())) or _ANOTHER.search(plain) is not None


def _step(text: str, step: "re.Match[str]") -> str | int:
    if step[1] is not None:
        try:
            return str(orjson.loads(step[1]))
        except ValueError:
            raise InvalidQuery(
                "The key %(step)s in %(text)s is not a valid JSON string.", step=quoted(step[1]), text=quoted(text)
            ) from None
    if step[2] is not None:
        return str(step[2])
    index = int(step[3])
    if index >= _LARGEST_INDEX:
        raise InvalidQuery("The index %(index)s in %(text)s is larger than any list.", index=index, text=quoted(text))
    return index


def _value(text: str, written: str) -> object:
    if not written:
        raise InvalidQuery(
            "The condition %(text)s has no value after its comparison: %(example)s.",
            text=quoted(text),
            example=_EXAMPLE,
        )
    if written[0] in "[{" and written.count("[") + written.count("{") > _DEEPEST:
        raise InvalidQuery(
            "The value in %(text)s has more than %(deepest)s lists and objects: compare its parts.",
            text=quoted(text),
            deepest=_DEEPEST,
        )
    try:
        found = read_json(written)
    except ValueError:
        is_closed = _TYPOGRAPHIC.fullmatch(written) or written[0] not in '"[{“”„‘’‚'
        if not is_closed and not _holds_another(written):
            raise InvalidQuery(
                "The value %(written)s in %(text)s is not valid JSON: close its quotes and brackets, "
                "or leave them out for a plain text.",
                written=quoted(written),
                text=quoted(text),
            ) from None
        return _bare_text(text, written)
    if isinstance(found, str) and written[0] != '"':
        _check_bare(text, written)  # a number beyond those of a double
    # The form that a record has for it; integers of any size are compared as such.
    return found if isinstance(found, int) else orjson.loads(encode(found))


def _bare_text(text: str, written: str) -> str:
    """Return the text that is written without double quotes, unless it looks like something else."""
    if len(written) > 1 and written[0] == written[-1] == "'" and "'" not in written[1:-1]:
        return written[1:-1]
    if in_quotes := _TYPOGRAPHIC.fullmatch(written):
        return in_quotes[1] or in_quotes[2] or ""
    if written[0] in "=<>!~":
        raise InvalidQuery(
            "The condition %(text)s uses an unknown comparison near %(place)s: there are =, !=, <, <=, > and >=; put a "
            "text that begins so in double quotes.",
            text=quoted(text),
            place=quoted(written[:20]),
        )
    if _holds_another(written):
        raise InvalidQuery(
            "The condition %(text)s compares more than one value: join such conditions with and, each beginning with "
            "input, output or metadata, or put a text with these words in double quotes.",
            text=quoted(text),
        )
    _check_bare(text, written)
    return written


def _check_bare(text: str, written: str) -> None:
    if _LIKE_A_NUMBER.fullmatch(written):
        raise InvalidQuery(
            "The value %(written)s in %(text)s is no number that can be compared: write one as in -1, 0.5 or 1e9, or "
            "put a text in double quotes.",
            written=quoted(written),
            text=quoted(text),
        )


def holds(condition: PathCondition, record: Mapping[str, Any]) -> bool:
    """Return whether *record*, a parsed document, fulfils *condition*."""
    found = value_at(record.get(_KEYS[condition.part], MISSING), condition.path)
    if found is MISSING:
        return False
    expected: Any = condition.value
    if condition.operator == "exists":
        return found is not None
    if isinstance(found, str) and (expected is None or isinstance(expected, (bool, int, float))):
        found = _scalar_in(found)
    if condition.operator in {"=", "!="}:
        return _equal(found, expected) is (condition.operator == "=")
    comparable = (_is_number(found) and _is_number(expected)) or (isinstance(found, str) and isinstance(expected, str))
    return comparable and bool(_ORDERS[condition.operator](found, expected))


def value_at(value: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at *path* within *value*, through texts that are themselves JSON; or :data:`MISSING`."""
    for step in path:
        inside = _inside(value) if isinstance(value, str) else value
        is_key = isinstance(step, str) and isinstance(inside, dict) and step in inside
        if not is_key and not (isinstance(step, int) and isinstance(inside, list) and step < len(inside)):
            return MISSING
        value = cast("Any", inside)[step]
    return value


def _inside(text: str) -> object:
    """Return the object or list that *text* contains as JSON; the text itself when there is none."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


def _scalar_in(text: str) -> object:
    """Return the number, true, false or null that *text* is in JSON; the text itself when it is none."""
    if not _NUMBER.fullmatch(text):
        return _WORDS.get(text, text)
    try:
        found = read_json(text)
    except ValueError:  # zeros before a number, as in many ids
        return text
    return Decimal(text) if isinstance(found, str) else found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _equal(one: object, other: object) -> bool:
    """Return whether two values are equal; true is not 1, at any depth."""
    if _is_number(one) and _is_number(other):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other
