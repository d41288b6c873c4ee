"""Numbers of bytes as people write them: ``500MB``, ``20 GB``, ``1.5GiB``. Pure."""

import re
from typing import Final

from execution_history.errors import InvalidInput, quoted

_UNITS: Final = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30,
    "tib": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([kmgt]i?b|b)?", re.ASCII | re.IGNORECASE)
_LARGEST: Final = 2**62


def written(count: int) -> str:
    """Return *count* bytes as people write them, such as ``16 MB`` or ``1 MiB``: :func:`bytes_of` reads just that."""
    exact = [(count // size, unit) for unit, size in _UNITS.items() if size > 1 and not count % size]
    number, unit = min(exact, default=(count, "b"))
    return f"{number} {unit.upper().replace('I', 'i')}"


def bytes_of(value: object) -> int:
    """Return a number of bytes that was written as a whole number or a text; a kilobyte has a thousand, a KiB 1,024.

    Raises:
        InvalidInput: it is no such number.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = None if found is None else round(float(found[1]) * _UNITS[(found[2] or "").lower()])
    if size is None or size > _LARGEST:
        raise InvalidInput("A size is a number of bytes such as 500MB or 20GB, not %(value)s.", value=quoted(value))
    return size
