"""Filters as people and programs write them: ``status=failed``, ``since=2h``, ``min_duration=1.5s``. Pure.

``FILTER_WORDS`` is this table for what generates options and documentation from it:

| name | values |
|---|---|
| ``workflow`` | a workflow id; repeatable |
| ``status`` | running, success, failed, interrupted, other; several, with commas |
| ``since``, ``until`` | ``2h`` ago (s, m, h, d, w), ``2026-11-01T08:00``, milliseconds, ``2026-11-01`` |
| ``min_duration``, ``max_duration`` | ``200ms``, ``1.5s``, ``2m``, ``1h``; milliseconds without a unit |
| ``mode`` | sync, stream, async, or 0, 1, 2; several |
| ``bot``, ``conversation``, ``error``, ``upstream``, ``fingerprint`` | an id or code; several |
| ``account``, ``caller``, ``parent`` | a name or id; repeatable |
| ``tag`` | a tag; repeatable: all of them |
| ``min_tokens``, ``max_tokens``, ``min_rating``, ``max_rating`` | a whole number |
| ``has_output``, ``pinned`` | true or false |
| ``id`` | how the execute id begins |
| ``where`` | a condition such as ``input.city = "北京"``; repeatable |
| ``q`` | text to search for |

A blank value counts as not given. A time without an offset is in the zone that is passed in. A date alone means its
first moment, as ``until`` that of the next day: the day is included.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from typing import Any, Final, Literal

from execution_history.errors import InvalidQuery, Message, quoted, shortened
from execution_history.query.model import FILTER_STATUSES, RecordFilter
from execution_history.query.path_conditions import parse_condition

_MODES: Final = {"sync": 0, "stream": 1, "async": 2, "0": 0, "1": 1, "2": 2}
_FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
_AGO: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(s|m|h|d|w)", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DATE_LENGTH: Final = len("2026-11-01")
_MILLISECONDS_BEGIN: Final = 100_000_000_000  # a smaller number can only be seconds
_LAST_TIME: Final = 253_402_300_799_999
_LARGEST: Final = 2**62
LIKENESS: Final = 0.75
"""How alike a name and a word must be for the one to be a slip of the other, as :mod:`difflib` measures it."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """The clock and the zone that words are read in."""

    now: int
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class _Word:
    """What a name sets in a filter: its field, how its text is read, what it means and how many values it takes."""

    field: str
    read: Callable[[str, str, _Setting], Any]
    meaning: str
    several: Literal["no", "repeated", "commas"] = "no"


FilterKind = Literal["text", "id", "time", "duration", "number", "bool", "status", "mode", "condition"]


@dataclass(frozen=True, slots=True)
class FilterWord:
    """A filter as it is offered: its name, what it means in English, what it takes, and whether it is repeatable."""

    name: str
    meaning: str
    kind: FilterKind
    is_repeatable: bool


def filter_of(
    words: Mapping[str, str | Sequence[str]], *, now: int, zone: tzinfo = UTC, workflow_id: str | None = None
) -> RecordFilter:
    """The filter that *words* (names to one text or several) ask for.

    Args:
        words: see the table above.
        now: the time that ``2h`` ago is counted from, in milliseconds since the epoch.
        zone: where times without an offset are local.
        workflow_id: the one workflow that is asked about, when it is known otherwise.

    Raises:
        InvalidQuery: a name is unknown, or a value cannot be read; the message names it and what would be right.
    """
    setting = _Setting(now, zone)
    fields: dict[str, Any] = {} if workflow_id is None else {"workflow_ids": (workflow_id,)}
    for name, given in words.items():
        word = _WORDS.get(name)
        if word is None:
            raise InvalidQuery("There is no filter %(name)s: %(nearest)s.", name=quoted(name), nearest=_nearest(name))
        values = _values(word, given)
        if not values:
            continue
        if word.several == "no" and len(values) > 1:
            raise InvalidQuery(
                "The filter %(name)s takes one value, not %(count)s.", name=quoted(name), count=len(values)
            )
        read = tuple(word.read(name, value, setting) for value in values)
        fields[word.field] = read[0] if word.several == "no" else fields.get(word.field, ()) + read
    return RecordFilter(**fields)


def read_time(name: str, value: str, *, now: int, zone: tzinfo = UTC) -> int:
    """The time (ms) that ``since`` would mean by *value*, for the parameter *name*.

    Raises:
        InvalidQuery: it cannot be read as a time.
    """
    return _since(name, value.strip(), _Setting(now, zone))


def nearest_filter(name: str) -> str | None:
    """The filter that *name* is most likely a slip of; ``None`` where it is nothing like one."""
    return next(iter(get_close_matches(shortened(name), _WORDS, n=1, cutoff=LIKENESS)), None)


def is_filter_word(name: str) -> bool:
    """Whether *name* is one that :func:`filter_of` knows."""
    return name in _WORDS


def _values(word: _Word, given: str | Sequence[str]) -> list[str]:
    texts = [given] if isinstance(given, str) else list(given)
    if word.several == "commas":
        texts = [part for text in texts for part in text.split(",")]
    return [text.strip() for text in texts if text.strip()]


def _nearest(name: str) -> str:
    near = get_close_matches(shortened(name), _WORDS, n=1)
    return (
        Message("perhaps %(near)s is meant", near=near[0])
        if near
        else Message("there are %(names)s", names=", ".join(sorted(_WORDS)))
    )


def _text(_name: str, value: str, _setting: _Setting) -> str:
    return value


def _status(_name: str, value: str, _setting: _Setting) -> str:
    if value not in FILTER_STATUSES:
        near = get_close_matches(shortened(value), FILTER_STATUSES, n=1)
        hint = (
            Message("perhaps %(near)s is meant", near=near[0])
            if near
            else Message("there are %(names)s", names=", ".join(FILTER_STATUSES))
        )
        raise InvalidQuery("%(value)s is not a status: %(hint)s.", value=quoted(value), hint=hint)
    return value


def _mode(_name: str, value: str, _setting: _Setting) -> int:
    if value not in _MODES:
        raise InvalidQuery("%(value)s is not a run mode: write sync, stream or async (0, 1 or 2).", value=quoted(value))
    return _MODES[value]


def _flag(name: str, value: str, _setting: _Setting) -> bool:
    if value.lower() not in _FLAGS:
        raise InvalidQuery(
            "The filter %(name)s is true or false, not %(value)s.", name=quoted(name), value=quoted(value)
        )
    return _FLAGS[value.lower()]


def _integer(name: str, value: str, _setting: _Setting) -> int:
    if not _INTEGER.fullmatch(value):
        raise InvalidQuery(
            "The filter %(name)s takes a whole number, not %(value)s.", name=quoted(name), value=quoted(value)
        )
    return int(value)


def _duration(name: str, value: str, _setting: _Setting) -> int:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise InvalidQuery(
            "The filter %(name)s takes a duration such as 200ms, 1.5s, 2m or 1h, not %(value)s.",
            name=quoted(name),
            value=quoted(value),
        )
    return min(round(float(found[1]) * _UNITS_MS[found[2] or "ms"]), _LARGEST)


def _since(name: str, value: str, setting: _Setting) -> int:
    return _time(name, value, setting, time.min)


def _until(name: str, value: str, setting: _Setting) -> int:
    return _time(name, value, setting, None)


def _time(name: str, value: str, setting: _Setting, of_day: time | None) -> int:
    """The time that *value* means; a date alone means its first moment, or for ``None`` that of the next day."""
    if ago := _AGO.fullmatch(value):
        return max(0, setting.now - round(float(ago[1]) * _UNITS_MS[ago[2]]))
    if value.isascii() and value.isdigit():
        number = int(value[: _DATE_LENGTH + 10])
        if not _MILLISECONDS_BEGIN <= number <= _LAST_TIME:
            raise InvalidQuery(
                "The filter %(name)s takes milliseconds since 1970 (13 digits today), not %(value)s.",
                name=quoted(name),
                value=quoted(value),
            )
        return number
    try:
        found = datetime.fromisoformat(value)
        if len(value) <= _DATE_LENGTH and of_day is None:
            found += timedelta(days=1)
        moment = found if found.tzinfo is not None else found.replace(tzinfo=setting.zone)
        return max(0, round(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise InvalidQuery(
            "The filter %(name)s takes a time such as 2h, 7d, 2026-11-01, 2026-11-01T08:00 or "
            "milliseconds, not %(value)s.",
            name=quoted(name),
            value=quoted(value),
        ) from None


_WORDS: Final[dict[str, _Word]] = {
    "workflow": _Word("workflow_ids", _text, "Runs of this workflow.", "repeated"),
    "status": _Word(
        "statuses", _status, "In this status: running, success, failed, interrupted or other; several with commas.",
        "commas",
    ),
    "since": _Word("created_from", _since, "Begun since: 2h or 7d ago, 2026-11-01, 2026-11-01T08:00 or milliseconds."),
    "until": _Word("created_before", _until, "Begun before then; a date alone includes its day."),
    "min_duration": _Word("duration_from", _duration, "Took at least this long: 200ms, 1.5s, 2m or 1h."),
    "max_duration": _Word("duration_to", _duration, "Took at most this long."),
    "mode": _Word("run_modes", _mode, "Run this way: sync, stream or async; several with commas.", "commas"),
    "bot": _Word("bot_ids", _text, "Run for this bot.", "commas"),
    "conversation": _Word("conversation_ids", _text, "Run in this conversation.", "commas"),
    "account": _Word("accounts", _text, "Run with this Coze account.", "repeated"),
    "caller": _Word("callers", _text, "Called by this program.", "repeated"),
    "error": _Word("error_codes", _text, "Ended with this error code.", "commas"),
    "min_tokens": _Word("tokens_from", _integer, "Took at least so many tokens."),
    "max_tokens": _Word("tokens_to", _integer, "Took at most so many tokens."),
    "has_output": _Word("has_output", _flag, "Whether there is an output: true or false."),
    "tag": _Word("tags", _text, "With this tag; given several times, with all of them.", "repeated"),
    "pinned": _Word("pinned", _flag, "Whether it is pinned: true or false."),
    "min_rating": _Word("rating_from", _integer, "Rated at least this, 1 to 5."),
    "max_rating": _Word("rating_to", _integer, "Rated at most this."),
    "upstream": _Word("upstream_ids", _text, "With this id at Coze.", "commas"),
    "fingerprint": _Word("fingerprints", _text, "Failed in this way, as the statistics name it.", "commas"),
    "parent": _Word("parents", _text, "Begun within this run.", "repeated"),
    "id": _Word("execute_id_prefix", _text, "Whose execute id begins so."),
    "where": _Word(
        "conditions", lambda _name, value, _setting: parse_condition(value),
        'Of which this holds: input.city = "北京", output.score >= 90, metadata.tags[0] exists.', "repeated",
    ),
    "q": _Word("text", _text, 'With these words: timeout, "out of memory", time*, 北京, -retry.'),
}  # fmt: skip

_KINDS: Final[dict[str, FilterKind]] = {
    "since": "time", "until": "time", "min_duration": "duration", "max_duration": "duration", "min_tokens": "number",
    "max_tokens": "number", "min_rating": "number", "max_rating": "number", "has_output": "bool", "pinned": "bool",
    "status": "status", "mode": "mode", "where": "condition", "q": "text",
}  # fmt: skip

FILTER_WORDS: Final = tuple(
    FilterWord(name, word.meaning, _KINDS.get(name, "id"), word.several != "no") for name, word in _WORDS.items()
)
"""Every filter there is; what HTTP documents and the command line offers is made from it."""
