"""Which values of a record are only the beginnings of what they were. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from execution_history.records.metadata import RECORDING_IS_CUT

_MOST: Final = 20
_MOST_BYTES: Final = 2**63
_PLACED: Final = frozenset({"input_parameters", "output", "node_execute_status", "error_message"})


@dataclass(frozen=True, slots=True)
class Cuts:
    """What was cut when a run was recorded: names of values, as in ``recording_is_cut``, and bytes that each had.

    ``placed`` are values that stand in a section of their own; of ``facts`` and of ``metadata``, which are the others,
    the largest are here. ``is_answer_cut`` says that Coze's answer went on after the last of it that was kept.
    """

    placed: dict[str, int]
    facts: tuple[tuple[str, int], ...]
    metadata: tuple[tuple[str, int], ...]
    is_answer_cut: bool


def cuts_of(record: dict[str, Any]) -> Cuts:
    """Return the cuts that the metadata of a record name; what is no size is left out, whoever wrote it."""
    cut = RECORDING_IS_CUT.of(record)
    sizes = {
        name: size
        for name, size in (cut.items() if isinstance(cut, dict) else ())
        if type(size) is int and 0 <= size < _MOST_BYTES
    }
    others = sorted((each for each in sizes.items() if each[0] not in _PLACED), key=lambda each: -each[1])
    return Cuts(
        {name: size for name, size in sizes.items() if name in _PLACED},
        tuple(each for each in others if not _is_metadata(each[0]))[:_MOST],
        tuple(each for each in others if _is_metadata(each[0]))[:_MOST],
        cut is True,
    )


def is_input_whole(record: dict[str, Any]) -> bool:
    """Whether the input of a run is all that was sent; of none there is no beginning."""
    cut, given = RECORDING_IS_CUT.of(record), record["input_parameters"]
    if isinstance(cut, dict):
        return "input_parameters" not in cut
    return cut is not True or given is None or isinstance(given, dict)


def _is_metadata(name: str) -> bool:
    return name == "metadata" or name.startswith("metadata.")
