"""Which values of a record are only the beginnings of what they were. Pure."""

from typing import Any

from execution_history.oversize import CUT_KEY


def is_input_whole(record: dict[str, Any]) -> bool:
    """Whether the input of a run is all that was sent; of none there is no beginning."""
    metadata, given = record["metadata"], record["input_parameters"]
    cut = metadata.get(CUT_KEY) if isinstance(metadata, dict) else None
    if isinstance(cut, dict):
        return "input_parameters" not in cut
    return cut is not True or given is None or isinstance(given, dict)
