"""The limits that the index works with."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows that are few, and sizes of steps.

    Attributes:
        few: rows that can be sorted, or read one by one, in an imperceptible time.
        few_with_text: rows with a text that are faster sorted than found in order: of more, twenty are close together.
        at_once: rows of a portion whose documents are read.
        changes: changes of the feed that one transaction writes.
        cleared: rows of a cleared workflow that one transaction removes.
        wait_seconds: how long a query waits until the index has caught up.
    """

    few: int = 4_000
    few_with_text: int = 6_000
    at_once: int = 50
    changes: int = 1_000
    cleared: int = 2_000
    wait_seconds: float = 2.0


USUAL: Final = Limits()
"""The defaults, found by measurement."""
