"""The limits that the index works with."""

from dataclasses import dataclass
from typing import Final

from execution_history.query import breakdown_plan
from execution_history.query.rollups import EXACT_RUNS


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of rows that are few, and sizes of steps.

    Attributes:
        few: rows that can be sorted, or read one by one, in an imperceptible time.
        few_with_text: rows with a text that are faster sorted than found in order: of more, twenty are close together.
        at_once: rows of a portion whose documents are read.
        changes: records that one transaction writes.
        cleared: rows of a cleared workflow that one transaction removes.
        far_behind: changes of the feed of which it is only noted which records they are, to take the newest first.
        small: records up to which an index is made in its place; a larger one is filled beside.
        front: the newest records that answer meanwhile.
        texts: texts that one transaction writes.
        text_portions: transactions of a step, each of which writes while the next is prepared.
        texts_with_rows: texts that are written together with their rows; those of more follow.
        few_changes: changes that every query takes itself: what was recorded just now.
        exact_runs: runs up to which percentiles are exact, though rollups could count them.
        exact_grouped: the same of breakdowns by workflow or node.
        grouped: the newest runs that are counted by group where rollups cannot count them.
        wait_seconds: how long a query waits until the index has caught up.
        standstill_seconds: how long an index that does not go on is waited for.
        a_second: records for which a query waits a second, rather than answer at once that they are missing.
    """

    few: int = 4_000
    few_with_text: int = 6_000
    at_once: int = 50
    changes: int = 1_000
    cleared: int = 2_000
    far_behind: int = 5_000
    small: int = 10_000
    front: int = 2_500
    texts: int = 2_000
    text_portions: int = 8
    texts_with_rows: int = 50
    few_changes: int = 100
    exact_runs: int = EXACT_RUNS
    exact_grouped: int = breakdown_plan.EXACT_RUNS
    grouped: int = breakdown_plan.MOST_RUNS
    wait_seconds: float = 2.0
    standstill_seconds: float = 20.0
    a_second: int = 4_000


USUAL: Final = Limits()
"""The defaults, found by measurement."""
