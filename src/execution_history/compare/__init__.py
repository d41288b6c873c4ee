"""What two runs have in common and where they part: values, texts, node timelines, durations and tokens. Pure."""

from execution_history.compare.nodes import Divergence
from execution_history.compare.records import Comparison, Measure, RunReference, compare_records
from execution_history.compare.texts import TextEdit, text_edits
from execution_history.compare.values import Difference, DifferenceKind, Differences, differences

__all__ = [
    "Comparison",
    "Difference",
    "DifferenceKind",
    "Differences",
    "Divergence",
    "Measure",
    "RunReference",
    "TextEdit",
    "compare_records",
    "differences",
    "text_edits",
]
