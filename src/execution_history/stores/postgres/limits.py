"""The limits that questions work with."""

from dataclasses import dataclass
from typing import Final

from execution_history.query import breakdown_plan
from execution_history.query.rollups import EXACT_RUNS


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows that are few, and sizes of steps.

    Attributes:
        few: rows that can be sorted, or tested one by one, in an imperceptible time.
        few_with_text: rows with a text that are faster found by it and sorted than met in their order.
        few_of_all: the same where all of them are read.
        window: rows that are looked at, in their order, to see whether a text is frequent.
        frequent: a text that so many rows of a window have is met quickly in the order of the rows.
        patience: rows of a portion in their order, of more of which the text is looked for first.
        portion: rows of the first portion whose documents are read; of each further one, four times as many.
        largest_portion: rows of the largest portion.
        counted: rows up to which a total is counted.
        exact_runs: runs up to which percentiles are exact, though rollups could count them.
        exact_grouped: the same of breakdowns by workflow.
        grouped: the newest runs that are counted by group where rollups cannot count them.
    """

    few: int = 4_000
    few_with_text: int = 6_000
    few_of_all: int = 50_000
    window: int = 100
    frequent: int = 2
    patience: int = 500
    portion: int = 50
    largest_portion: int = 10_000
    counted: int = 10_000
    exact_runs: int = EXACT_RUNS
    exact_grouped: int = breakdown_plan.EXACT_RUNS
    grouped: int = breakdown_plan.MOST_RUNS


USUAL: Final = Limits()
"""The defaults, found by measurement."""
