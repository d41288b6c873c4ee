"""Several runs beside each other, each compared with one of them, the baseline. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from execution_history.history.diff.nodes import NodeRow, node_rows
from execution_history.history.diff.records import Comparison, compare_records
from execution_history.records.attributes import attributes_of

MOST_RUNS: Final = 6
"""How many runs are compared at once."""

_MOST_VALUES: Final = 20_000
_PARTS: Final = {"input": "input_parameters", "output": "output"}


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Which run a column is, and its figures; ``None`` is what a run does not have.

    Times are milliseconds, the cost is in millionths of its currency.
    """

    workflow_id: str
    execute_id: str
    create_time: int
    status: str
    duration_ms: int | None
    waited_ms: int
    tokens: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost: int | None
    currency: str | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class SeveralComparison:
    """How several runs compare with the first of them, the baseline.

    Attributes:
        runs: the runs, the baseline first.
        comparisons: of each other run with the baseline, in the same order.
        nodes: what each node did in every run.
        equal_values: how many single values of ``input`` and ``output`` are the same in all runs.
    """

    runs: tuple[RunFigures, ...]
    comparisons: tuple[Comparison, ...]
    nodes: tuple[NodeRow, ...]
    equal_values: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields above, each in its own JSON form."""
        return {
            "runs": [asdict(run) for run in self.runs],
            "comparisons": [each.to_json() for each in self.comparisons],
            "nodes": [asdict(row) for row in self.nodes],
            "equal_values": dict(self.equal_values),
        }


def compare_several(records: Sequence[Mapping[str, Any]]) -> SeveralComparison:
    """Return how *records*, of whatever content, compare with the first of them."""
    return SeveralComparison(
        tuple(map(_figures, records)),
        tuple(compare_records(records[0], record) for record in records[1:]),
        node_rows(records),
        {part: _count_equal([record[key] for record in records]) for part, key in _PARTS.items()},
    )


def _figures(record: Mapping[str, Any]) -> RunFigures:
    known = attributes_of(record)
    return RunFigures(
        record["workflow_id"],
        record["execute_id"],
        record["create_time"],
        str(record["execute_status"]),
        known.duration_ms,
        known.waited_ms,
        known.tokens,
        known.input_tokens,
        known.output_tokens,
        known.cost,
        known.currency,
        known.error_code,
    )


def _count_equal(values: Sequence[Any]) -> int:
    """Return how many texts, numbers and the like stand at the same place in all *values*, as far as it looks."""
    stack, equal, left = [list(values)], 0, _MOST_VALUES
    while stack and left > 0:
        left -= 1
        at = stack.pop()
        first = at[0]
        if any(type(each) is not type(first) for each in at):
            continue
        if isinstance(first, dict):
            stack += [[each[key] for each in at] for key in first if all(key in each for each in at)]
        elif isinstance(first, list):
            stack += [list(each) for each in zip(*at, strict=False)]
        elif all(each == first for each in at) and first is not None:
            equal += 1
    return equal
