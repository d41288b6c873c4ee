"""The numbers that the index works with."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """How many are few, and how much is done at once.

    Attributes:
        few: rows that can be sorted, or looked at one by one, without anybody noticing.
        few_with_text: rows with a text that are faster sorted than found along the order: with more, twenty stand
            close together.
        at_once: rows of a portion whose documents are looked into.
        changes: of the feed that one transaction takes in.
        cleared: rows of a cleared workflow that one transaction removes.
        wait_seconds: for which an answer waits until the index has caught up.
    """

    few: int = 4_000
    few_with_text: int = 6_000
    at_once: int = 50
    changes: int = 1_000
    cleared: int = 2_000
    wait_seconds: float = 2.0


USUAL: Final = Limits()
"""Measured to be good."""
