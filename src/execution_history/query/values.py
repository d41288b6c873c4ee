"""Values of filters: how people write them, and what programs may pass. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from execution_history.errors import InvalidInput, InvalidQuery, quoted
from execution_history.query.hints import hint
from execution_history.query.path_conditions import OPERATORS, PARTS, PathCondition, parse_condition
from execution_history.records.cost import MILLIONTHS
from execution_history.records.record import STATUSES
from execution_history.records.time_units import UNITS_MS
from execution_history.records.values import LAST_TIME, MILLISECONDS_BEGIN

FILTER_STATUSES: Final = (*STATUSES, "other")

MODE_NAMES: Final = {0: "sync", 1: "stream", 2: "async"}
"""What the filter calls the run modes."""

_MODES: Final = {word: mode for mode, name in MODE_NAMES.items() for word in (name, str(mode))}
FLAG_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""How people write the value of a filter that is true or false."""

_DURATION: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
_AGO: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(s|m|h|d|w)", re.ASCII)
_AMOUNT: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,18})?|\.[0-9]{1,18}", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CHINESE_DAY: Final = re.compile(r"(?:周|星期|礼拜)([一二三四五六日天])")
_CHINESE_PERIODS: Final = {"今天": "today", "昨天": "yesterday", "本周": "this week", "这周": "this week"} | {
    "本月": "this month", "这个月": "this month",
}  # fmt: skip
_DATE_LENGTH: Final = len("2026-11-01")
_LARGEST: Final = 2**62
_LONGEST_VALUE: Final = 1_000
_LONGEST_TEXT: Final = 2_000

_NODE: Final = re.compile(r"(.*?)\s*(?:>=|≥)\s*([0-9][0-9.]*\s*(?:ms|s|m|h|d))", re.ASCII | re.DOTALL)

Kind = Literal["node", "text", "id", "time", "duration", "number", "amount", "bool", "status", "mode", "condition"]


class NodeTime(NamedTuple):
    """A node of a run by its id, name or title, and how many milliseconds it took there at least, if that matters."""

    node: str
    least_ms: int | None = None


class Setting(NamedTuple):
    """The time (ms since the epoch) and the zone that values are read in."""

    now: int
    zone: tzinfo = UTC


class Values(NamedTuple):
    """One kind of value.

    Attributes:
        kind: its name for people, such as ``duration``.
        read: returns the value from the name of a filter and a written text; raises :class:`InvalidQuery` where the
            text is not such a value.
        check: raises :class:`InvalidQuery` where what a program passed for the filter of a name is not such a value.
    """

    kind: Kind
    read: Callable[[str, str, Setting], Any]
    check: Callable[[str, object], None]


def check_number(name: str, value: object) -> None:
    """Raise :class:`InvalidQuery` unless *value* is a whole number, which true is not."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidQuery("%(name)s is a whole number, not %(value)s.", name=name, value=quoted(value))


def read_time(name: str, value: str, *, now: int, zone: tzinfo = UTC) -> int:
    """Return the time (ms) of *value*, read like a value of ``since``, for the parameter *name*.

    Raises:
        InvalidQuery: it cannot be read as a time.
    """
    return _time(name, value.strip(), Setting(now, zone))


def read_until(name: str, value: str, *, now: int, zone: tzinfo = UTC) -> int:
    """Return the time (ms) before which *value* ends, read like a value of ``until``: a date alone includes its day.

    Raises:
        InvalidQuery: it cannot be read as a time.
    """
    return _until(name, value.strip(), Setting(now, zone))


def read_age(value: object) -> int:
    """Return the milliseconds of an age such as ``30d``, ``12h`` or ``6w``.

    Raises:
        InvalidInput: it is no age.
    """
    found = _AGO.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidInput("An age is written as 12h, 30d or 6w, not %(value)s.", value=quoted(value))
    return min(round(float(found[1]) * UNITS_MS[found[2]]), _LARGEST)


def age_text(milliseconds: int) -> str:
    """Return an age as :func:`read_age` reads it, in the largest unit that it has a whole number of."""
    units = sorted((each for each in UNITS_MS.items() if each[0] not in ("ms", "w")), key=lambda each: -each[1])
    for name, length in units:
        if milliseconds % length == 0 and milliseconds:
            return f"{milliseconds // length}{name}"
    return f"{milliseconds / UNITS_MS['s']:g}s"


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidQuery("%(name)s is true or false, not %(value)s.", name=name, value=quoted(value))


def _check_status(_name: str, value: object) -> None:
    if value not in FILTER_STATUSES:
        raise InvalidQuery(
            "%(value)s is not a status: %(hint)s.", value=quoted(value), hint=hint(str(value), FILTER_STATUSES)
        )


def _check_condition(_name: str, value: object) -> None:
    if not isinstance(value, PathCondition) or value.operator not in OPERATORS or value.part not in PARTS:
        raise InvalidQuery("A condition is a PathCondition, not %(value)s.", value=quoted(value))


def _check_id(name: str, value: object) -> None:
    _check_text(name, value, _LONGEST_VALUE)


def _check_text(name: str, value: object, longest: int = _LONGEST_TEXT) -> None:
    if not isinstance(value, str):
        raise InvalidQuery("%(name)s takes text, not %(value)s.", name=name, value=quoted(value))
    if len(value) > longest:
        raise InvalidQuery(
            "%(name)s takes text of at most %(longest)s characters; this one has %(count)s.",
            name=name,
            longest=longest,
            count=len(value),
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery("%(name)s holds half of a surrogate pair, which no record does.", name=name) from None


def bare_id(text: str) -> str:
    """Return what a person wrote of an id, without the ``…`` beside one that is shown shortened."""
    return text.strip().strip("…").removeprefix("...").removesuffix("...").strip()


def _text(_name: str, value: str, _setting: Setting) -> str:
    return value


def _part_of_id(_name: str, value: str, _setting: Setting) -> str:
    return bare_id(value) or value


def _mode(_name: str, value: str, _setting: Setting) -> int:
    if value not in _MODES:
        raise InvalidQuery("%(value)s is not a run mode: write sync, stream or async (0, 1 or 2).", value=quoted(value))
    return _MODES[value]


def _flag(name: str, value: str, _setting: Setting) -> bool:
    if value.lower() not in FLAG_WORDS:
        raise InvalidQuery(
            "The filter %(name)s is true or false, not %(value)s.", name=quoted(name), value=quoted(value)
        )
    return FLAG_WORDS[value.lower()]


def _number(name: str, value: str, _setting: Setting) -> int:
    if not _INTEGER.fullmatch(value):
        raise InvalidQuery(
            "The filter %(name)s takes a whole number, not %(value)s.", name=quoted(name), value=quoted(value)
        )
    return int(value)


def _amount(name: str, value: str, _setting: Setting) -> int:
    """Return an amount of money in millionths."""
    if not _AMOUNT.fullmatch(value):
        raise InvalidQuery(
            "The filter %(name)s takes an amount such as 0.05 or 12, not %(value)s.",
            name=quoted(name),
            value=quoted(value),
        )
    return round(Decimal(value) * MILLIONTHS)


def _duration(name: str, value: str, _setting: Setting) -> int:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise InvalidQuery(
            "The filter %(name)s takes a duration such as 200ms, 1.5s, 2m or 1h, not %(value)s.",
            name=quoted(name),
            value=quoted(value),
        )
    return min(round(float(found[1]) * UNITS_MS[found[2] or "ms"]), _LARGEST)


def _node(name: str, value: str, setting: Setting) -> NodeTime:
    found = _NODE.fullmatch(value)
    return NodeTime(value) if found is None else NodeTime(found[1], _duration(name, found[2], setting))


def _check_node(name: str, value: object) -> None:
    if not isinstance(value, NodeTime):
        raise InvalidQuery("%(name)s is a NodeTime, not %(value)s.", name=name, value=quoted(value))
    _check_id(name, value.node)
    if value.least_ms is not None:
        check_number(name, value.least_ms)


def _condition(_name: str, value: str, _setting: Setting) -> PathCondition:
    return parse_condition(value)


def _period(words: str, today: date) -> tuple[date, date] | None:
    """Return the first day of the period that people call so, and the day after it; ``None`` for any other words.

    The name of a weekday means the last such day, which may be today.
    """
    words = " ".join(words.lower().split())
    if chinese := _CHINESE_DAY.fullmatch(words):
        words = _WEEKDAYS["一二三四五六日".find(chinese[1].replace("天", "日"))]
    words = _CHINESE_PERIODS.get(words, words)
    monday = today - timedelta(days=today.weekday())
    if words in _WEEKDAYS:
        found = today - timedelta(days=(today.weekday() - _WEEKDAYS.index(words)) % 7)
        return found, found + timedelta(days=1)
    return {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this week": (monday, monday + timedelta(days=7)),
        "this month": (today.replace(day=1), (today.replace(day=1) + timedelta(days=31)).replace(day=1)),
    }.get(words)


def _until(name: str, value: str, setting: Setting) -> int:
    return _time(name, value, setting, days=1)


def _time(name: str, value: str, setting: Setting, days: int = 0) -> int:
    """Return the time of *value*; a date alone is its first moment, or that of the day so many *days* later.

    Of a period such as ``yesterday`` it is the first moment, or the one behind it.
    """
    if ago := _AGO.fullmatch(value):
        return max(0, setting.now - round(float(ago[1]) * UNITS_MS[ago[2]]))
    if value.isascii() and value.isdigit():
        number = int(value[: _DATE_LENGTH + 10])
        if not MILLISECONDS_BEGIN <= number <= LAST_TIME:
            raise InvalidQuery(
                "The filter %(name)s takes milliseconds since 1970 (13 digits today), not %(value)s.",
                name=quoted(name),
                value=quoted(value),
            )
        return number
    try:
        if period := _period(value, datetime.fromtimestamp(setting.now / 1000, setting.zone).date()):
            return round(datetime.combine(period[min(days, 1)], time(), setting.zone).timestamp() * 1000)
        found = datetime.fromisoformat(value)
        if len(value) <= _DATE_LENGTH:
            found += timedelta(days=days)
        moment = found if found.tzinfo is not None else found.replace(tzinfo=setting.zone)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise InvalidQuery(
            "The filter %(name)s takes a time such as 2h, 7d, yesterday, monday, this week, 2026-11-01, "
            "2026-11-01T08:00 or milliseconds, not %(value)s.",
            name=quoted(name),
            value=quoted(value),
        ) from None


TEXT: Final = Values("text", _text, _check_text)
ID: Final = Values("id", _text, _check_id)
PREFIX: Final = Values("id", _part_of_id, _check_text)
SINCE: Final = Values("time", _time, check_number)
UNTIL: Final = Values("time", _until, check_number)
DURATION: Final = Values("duration", _duration, check_number)
NUMBER: Final = Values("number", _number, check_number)
AMOUNT: Final = Values("amount", _amount, check_number)
FLAG: Final = Values("bool", _flag, _check_flag)
STATUS: Final = Values("status", _text, _check_status)
MODE: Final = Values("mode", _mode, check_number)
NODE: Final = Values("node", _node, _check_node)
CONDITION: Final = Values("condition", _condition, _check_condition)
