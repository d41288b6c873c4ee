"""Numbers, sizes, times and ids as the page shows them. Pure."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000
_DAY: Final = 86_400_000
_LONG_AGO: Final = 60 * _DAY
_DISTANCES: Final = (
    (_DAY, (N_("%(count)s d ago"), N_("in %(count)s d"))),
    (_HOUR, (N_("%(count)s h ago"), N_("in %(count)s h"))),
    (_MINUTE, (N_("%(count)s min ago"), N_("in %(count)s min"))),
)
_THIN: Final = "\u202f"
_UNITS: Final = ("KB", "MB", "GB", "TB")
_TAIL: Final = 8
_SHORT: Final = 12
_LONGEST_NAME: Final = 32
_IDENTIFIER: Final = re.compile(r"[0-9a-fA-F-]+")


def thin(number: int | None) -> str:
    """``12 345``, its groups kept together by narrow spaces; nothing for ``None``."""
    return "" if number is None else f"{number:,}".replace(",", _THIN)


def size(count: int) -> str:
    """Bytes as ``840 B``, ``12.4 KB``, ``3.2 MB``; a kilobyte has a thousand."""
    if count < 1_000:  # noqa: PLR2004 - where the next unit begins
        return f"{count} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= 1_000
        if amount < 999.95 or unit == _UNITS[-1]:  # noqa: PLR2004 - what would be rounded up to the next unit
            return f"{amount:.1f} {unit}"
    raise AssertionError


def percent(part: int, whole: int) -> str:
    """``98.4 %``; nothing of nothing is nothing. Only all of it is 100, only none of it 0."""
    if whole <= 0:
        return ""
    if part in {0, whole}:
        return "100 %" if part else "0 %"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f} %"


def ago(_: Translator, moment: int, now: int) -> str:
    """How long ago *moment* was, or how soon it will be; both in milliseconds. A date when it is long ago."""
    past = now - moment
    if abs(past) < _MINUTE:
        return _("just now")
    if abs(past) > _LONG_AGO:
        return day(moment, UTC)
    for unit, sentences in _DISTANCES:
        count = round(abs(past) / unit - 0.49)
        if count:
            return _(sentences[0 if past > 0 else 1], count=count)
    raise AssertionError


def day(moment: int, zone: tzinfo) -> str:
    """Return the date in *zone*, as ``2026-11-24``."""
    found = _moment(moment, zone)
    return str(moment) if found is None else f"{found:%Y-%m-%d}"


def clock(moment: int, zone: tzinfo) -> str:
    """Date and time to the second in *zone*, as ``2026-11-24 09:30:12``."""
    found = _moment(moment, zone)
    return str(moment) if found is None else f"{found:%Y-%m-%d %H:%M:%S}"


def exact(moment: int, zone: tzinfo) -> str:
    """Return the time to the millisecond with its offset, as ``2026-11-24 09:30:12.345 +08:00``."""
    found = _moment(moment, zone)
    if found is None:
        return str(moment)
    offset = f"{found:%z}"
    return f"{found:%Y-%m-%d %H:%M:%S}.{moment % 1000:03d} {offset[:3]}:{offset[3:5]}"


def machine(moment: int) -> str:
    """Return the time as HTML's ``datetime`` has it, in UTC; empty when it is beyond the calendar."""
    found = _moment(moment, UTC)
    return "" if found is None else f"{found:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03d}Z"


def _moment(milliseconds: int, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return None


def short_id(identifier: str) -> str:
    """Return the last eight characters of an id that is digits; a name as it is, cut where it is long."""
    if len(identifier) > _SHORT and _IDENTIFIER.fullmatch(identifier):
        return "…" + identifier[-_TAIL:]
    return identifier if len(identifier) <= _LONGEST_NAME else identifier[: _LONGEST_NAME - 1] + "…"
