"""Single values of a record that anybody may have written: each is of the type that is expected, or not there. Pure."""

from typing import Final

LAST_TIME: Final = 253_402_300_799_999
"""The end of the year 9999 in milliseconds since the epoch; no later number is a time."""

MILLISECONDS_BEGIN: Final = 100_000_000_000
"""A smaller number that stands for a time of today counts seconds: those of this number end in the year 5138."""

_LARGEST: Final = 2**63 - 1
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
