"""Single values of a record that anybody may have written: each is of the type that is expected, or not there. Pure."""

import re
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from typing import Final

LAST_TIME: Final = 253_402_300_799_999
"""The end of the year 9999 in milliseconds since the epoch; no later number is a time."""

MILLISECONDS_BEGIN: Final = 100_000_000_000
"""A smaller number that stands for a time of today counts seconds: those of this number end in the year 5138."""

SECONDS_BEGIN: Final = 100_000_000
"""The smallest number that is read as a time of somebody else's: seconds, in the year 1973."""

_LARGEST: Final = 2**63 - 1
_NUMBER: Final = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,9})?", re.ASCII)
_LONGEST_TIME: Final = 64
_SPACE_BEFORE_OFFSET: Final = re.compile(r"\s+(?=[+-][0-9:]+\Z|Z\Z)")
_UTC: Final = re.compile(r" UTC\Z")
_UNITS: Final = ((SECONDS_BEGIN, 1_000), (10**11, 1), (10**14, Fraction("1e-3")), (10**17, Fraction("1e-6")))
_MOST_COUNTED: Final = 10**12
_LONGEST_TEXT: Final = 1_000


def text(value: object) -> str | None:
    """Return *value* when it is a text of 1 to 1,000 characters."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT else None


def identifier(value: object) -> str | None:
    """Return an id or a code as text; some write it as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def integer(value: object) -> int | None:
    """Return *value* when it is a whole number of 64 bits; true and false are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST else None


def count(value: object) -> int | None:
    """Return *value* as a whole number when it counts something: 0 to 10¹², so that sums of it stay exact."""
    number = integer(int(value) if isinstance(value, float) and value.is_integer() else value)
    return number if number is not None and 0 <= number <= _MOST_COUNTED else None


def time(value: object) -> int | None:
    """Return *value* when it is a time in milliseconds since the epoch, from 1970 to :data:`LAST_TIME`."""
    number = integer(value)
    return number if number is not None and 0 <= number <= LAST_TIME else None


def moment(value: object, zone: tzinfo = UTC) -> int | None:
    """Return a time as others write it, in milliseconds since the epoch; ``None`` for what is none.

    | written | read as |
    |---|---|
    | a number of 9 or 10 digits before the point, or its text | seconds |
    | 12 or 13 digits | milliseconds |
    | 15 or 16 digits | microseconds |
    | 18 or 19 digits | nanoseconds |
    | ISO 8601, a blank in the place of its ``T`` or before its offset too | that time; without an offset in *zone* |

    A number's ranges are the years 1973 to 2286 in each unit, so ``20251031091221`` and the days of a spreadsheet are
    none; nor are 0 and what lies before, which programs write where they know no time.
    """
    if isinstance(value, str):
        written = value.strip()
        if len(written) > _LONGEST_TIME:
            return None
        return _of_number(Fraction(written)) if _NUMBER.fullmatch(written) else _of_iso(written, zone)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 100 * _UNITS[-1][0]:
        return None
    return _of_number(Fraction(repr(value)))


def _of_number(number: Fraction) -> int | None:
    for least, factor in _UNITS:
        if least <= number < 100 * least:
            return int(number * factor)
    return None


def _of_iso(text: str, zone: tzinfo) -> int | None:
    normal = _SPACE_BEFORE_OFFSET.sub("", _UTC.sub("Z", text.upper()))
    try:
        found = datetime.fromisoformat(normal)
        number = round((found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number <= LAST_TIME else None
