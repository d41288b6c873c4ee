"""What two runs have in common and where they part: values, texts, node timelines, durations and tokens. Pure."""

from execution_history.history.diff.nodes import NodeRow, NodeState, node_rows
from execution_history.history.diff.records import Comparison, Measure, RunReference, compare_records
from execution_history.history.diff.several import SeveralComparison, compare_several
from execution_history.history.diff.texts import TextEdit, text_edits
from execution_history.history.diff.timeline import Divergence
from execution_history.history.diff.values import Difference, DifferenceKind, Differences, differences

__all__ = [
    "Comparison",
    "Difference",
    "DifferenceKind",
    "Differences",
    "Divergence",
    "Measure",
    "NodeRow",
    "NodeState",
    "RunReference",
    "SeveralComparison",
    "TextEdit",
    "compare_records",
    "compare_several",
    "differences",
    "node_rows",
    "text_edits",
]
