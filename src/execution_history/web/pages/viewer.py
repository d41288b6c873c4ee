"""The viewer of a page: language, theme and time zone, from cookies and headers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from execution_history.errors import N_
from execution_history.presentation.translator import LANGUAGES, Languages, Translator
from execution_history.query.time_buckets import LONGEST_ZONE

THEMES: Final = {"auto": N_("Auto"), "light": N_("Light"), "dark": N_("Dark")}
COOKIES: Final = ("language", "theme", "zone")


@dataclass(frozen=True, slots=True)
class Viewer:
    """One viewer at one moment; ``now`` is in milliseconds, ``zone`` is UTC where the browser sent none."""

    translate: Translator
    theme: str
    zone: ZoneInfo
    now: int


def viewer_of(cookies: Mapping[str, str], accept_language: str, now: int, languages: Languages = LANGUAGES) -> Viewer:
    """Return the viewer that these *cookies* and this ``Accept-Language`` describe; invalid values are ignored."""
    theme = cookies.get("theme", "")
    return Viewer(
        languages.find([cookies.get("language", "")]) or languages.of_header(accept_language),
        theme if theme in THEMES else "auto",
        zone_of(cookies.get("zone", "")),
        now,
    )


def zone_of(name: str) -> ZoneInfo:
    """Return the zone with this IANA *name*, UTC when there is none."""
    try:
        return ZoneInfo(name if 0 < len(name) <= LONGEST_ZONE else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
