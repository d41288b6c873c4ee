"""Who reads: in which language, theme and zone, as cookies and headers say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from execution_history.presentation.page_translator import LANGUAGES, Speech, language_of

THEMES: Final = ("auto", "light", "dark")
COOKIES: Final = ("language", "theme", "zone")

_LONGEST_ZONE: Final = 64


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader at one moment; ``now`` is in milliseconds, ``zone`` is UTC where the browser has not said."""

    say: Speech
    theme: str
    zone: tzinfo
    now: int


def reader_of(cookies: Mapping[str, str], accept_language: str, now: int) -> Reader:
    """The reader whom these *cookies* and this ``Accept-Language`` header describe; anything odd is ignored."""
    language = cookies.get("language", "")
    theme = cookies.get("theme", "")
    return Reader(
        Speech(language if language in LANGUAGES else language_of(accept_language)),
        theme if theme in THEMES else "auto",
        zone_of(cookies.get("zone", "")),
        now,
    )


def zone_of(name: str) -> tzinfo:
    """The zone with this IANA *name*, UTC when there is none."""
    if not name or len(name) > _LONGEST_ZONE:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
