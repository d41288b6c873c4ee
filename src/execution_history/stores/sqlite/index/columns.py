"""How the columns of ``facets`` have what records are found by."""

from typing import Any, Final

from execution_history.query.fields import ATTRIBUTES
from execution_history.query.predicates import Attribute
from execution_history.stores.status_numbers import STATUS_NUMBERS

STORED: Final = tuple(attribute for attribute in ATTRIBUTES if attribute.column is not None)
"""The attributes that have a column."""

LARGEST: Final = 2**63 - 1
_HALF: Final = 2**63


def as_stored(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401 - whatever a record may have
    """Return *value* as the attribute's column has it, shared texts aside; ``None`` where no column can have it."""
    if attribute.stored_as == "status":
        return STATUS_NUMBERS[value]
    if attribute.stored_as == "fingerprint" and value is not None:
        return fingerprint_number(value)
    return None if isinstance(value, int) and abs(value) > LARGEST else value


def fingerprint_number(fingerprint: str) -> int | None:
    """Return a fingerprint as the signed number that the index keeps; ``None`` for a text that is none."""
    try:
        number = int(fingerprint, 16)
    except ValueError:
        return None
    return number - _HALF if 0 <= number < 2 * _HALF and fingerprint == f"{number:016x}" else None


def fingerprint_text(number: int) -> str:
    """Return the fingerprint that the index keeps as *number*."""
    return f"{number + _HALF:016x}"
