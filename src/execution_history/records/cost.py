"""What a run has cost, as it was priced when it ended. Pure."""

import re
from typing import Any, Final, NamedTuple

MILLIONTHS: Final = 1_000_000
"""How many of them make one unit of a currency; amounts are added up as whole numbers."""

_LARGEST: Final = 1_000_000
_CURRENCY: Final = re.compile("[A-Z]{1,12}")


class Cost(NamedTuple):
    """An amount in millionths of a currency."""

    amount: int
    currency: str


def cost_of(value: Any) -> Cost | None:  # noqa: ANN401 - whatever a record has there
    """Return the cost in *value*, the object ``metadata.cost``: ``amount`` in units of the ``currency``.

    It is ``None`` where the amount is no number from 0 to 1,000,000, or the currency no name (1 to 12 capital letters).
    """
    if not isinstance(value, dict):
        return None
    amount, currency = value.get("amount"), value.get("currency")
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount <= _LARGEST:
        return None
    if not isinstance(currency, str) or _CURRENCY.fullmatch(currency) is None:
        return None
    return Cost(round(amount * MILLIONTHS), currency)


def units_of(millionths: int) -> float:
    """Return an amount in units of its currency."""
    return millionths / MILLIONTHS
