"""The limits that questions work with."""

from dataclasses import dataclass, replace
from math import isqrt
from typing import Final

from execution_history.query import breakdown_plan
from execution_history.query.rollups import EXACT_RUNS


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows that are few, and sizes of steps.

    Attributes:
        few: rows that can be sorted, or tested one by one, in an imperceptible time.
        page: of a condition that more rows fulfil, so many are met in the order of all before as many are walked.
        runs: about how many there are in the history.
        most_with_text: rows that are read at most of those that a text index finds: more cannot be expected.
        few_of_all: the same where all of them are read.
        window: rows that are looked at, in their order, to see whether a text is frequent; then four times as many.
        row: what it takes to walk a row, where to find one by the text and sort it takes 1.
        portion: rows of the first portion whose documents are read; of each further one, four times as many.
        largest_portion: rows of the largest portion.
        counted: rows up to which a total is counted.
        tested: rows that are tested at most for a total, where an index alone does not tell it.
        exact_runs: runs up to which percentiles are exact, though rollups could count them.
        exact_grouped: the same of breakdowns by workflow.
        unsummed: runs whose nodes are counted from rows where their days are not added up yet; of more the newest.
        grouped: the newest runs that are counted by group where rollups cannot count them.
    """

    few: int = 4_000
    page: int = 21
    runs: int = 0
    most_with_text: int = 50_000
    few_of_all: int = 50_000
    window: int = 100
    row: float = 1.0
    portion: int = 50
    largest_portion: int = 10_000
    counted: int = 10_000
    tested: int = 5_000
    exact_runs: int = EXACT_RUNS
    exact_grouped: int = breakdown_plan.EXACT_RUNS
    unsummed: int = 20_000
    grouped: int = breakdown_plan.MOST_RUNS

    def of(self, runs: int) -> "Limits":
        """Return the limits of a history with about so many runs.

        The fewer rows fulfil a condition, the more are walked to find a page of them, and the fewer sorted: these are
        as many as those at the square root of the product.
        """
        return replace(self, runs=runs, few=max(self.few, isqrt(self.page * runs)))


USUAL: Final = Limits()
"""The defaults, found by measurement."""
