"""How things are shown to people: times, durations, statuses, and text from runs made harmless."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from rich.text import Text

SHAPES: Final = {
    "success": ("●", "green"),
    "running": ("◐", "blue"),
    "failed": ("✕", "red"),
    "interrupted": ("◇", "yellow"),
}
"""A shape and a colour for each status: never the colour alone."""

_SECOND: Final = 1_000
_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """*text* without what a terminal would obey: control characters are shown, not sent.

    Line breaks and tabs stay; everything else below a space, C1 controls, and marks that reverse the direction of text
    become visible escapes.
    """
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def status_text(status: str) -> Text:
    """A status as a shape and its word."""
    shape, colour = SHAPES.get(status, ("?", "magenta"))
    return Text(f"{shape} {harmless(status)}", style=colour)


def local_time(milliseconds: int, *, short: bool = False) -> str:
    """A time in the reader's zone, to the second; *short* leaves the year out."""
    form = "%m-%d %H:%M:%S" if short else "%Y-%m-%d %H:%M:%S"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime(form)


def duration(milliseconds: int) -> str:
    """``840 ms``, ``12.4 s``, ``3 min 07 s``, ``2 h 05 min``."""
    if milliseconds < _SECOND:
        return f"{milliseconds} ms"
    if milliseconds < _MINUTE:
        return f"{milliseconds / _SECOND:.1f} s"
    if milliseconds < _HOUR:
        return f"{milliseconds // _MINUTE} min {milliseconds % _MINUTE // _SECOND:02d} s"
    return f"{milliseconds // _HOUR} h {milliseconds % _HOUR // _MINUTE:02d} min"


def took(record: dict[str, Any]) -> str:
    """How long a run took; of one that goes on, how long it has."""
    return duration(record["update_time"] - record["create_time"])


def tokens(record: dict[str, Any]) -> str:
    """The tokens a run used, when that is known."""
    usage = record["usage"]
    count = usage.get("token_count", usage.get("tokens")) if isinstance(usage, dict) else None
    return f"{count:,}".replace(",", "\u202f") if isinstance(count, int) else ""


def one_line(value: object, most: int = 200) -> str:
    """A value as one short line."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = " ".join(harmless(text[: most * 4]).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def size(count: int) -> str:
    """Bytes as ``840 B``, ``12.4 KB``, ``5.0 MB``."""
    kilo = 1024
    if count < kilo:
        return f"{count} B"
    return f"{count / kilo:.1f} KB" if count < kilo * kilo else f"{count / kilo / kilo:.1f} MB"
