"""How a status is stored: as a small number."""

from typing import Final

from execution_history.query.statistics import ENDED
from execution_history.records.record import OPEN_STATUSES

STATUS_NAMES: Final = ("running", "success", "failed", "interrupted", "other")

STATUS_NUMBERS: Final = {name: number for number, name in enumerate(STATUS_NAMES)}

OPEN_NUMBERS: Final = frozenset(STATUS_NUMBERS[name] for name in OPEN_STATUSES)
"""The statuses of records that can still change."""

ENDED_NUMBERS: Final = frozenset(STATUS_NUMBERS[status] for status in ENDED)
"""The statuses of runs whose durations count."""


def status_number(status: str) -> int:
    """Return the number of a status, which may be one that adopted records alone have."""
    return STATUS_NUMBERS.get(status, STATUS_NUMBERS["other"])
