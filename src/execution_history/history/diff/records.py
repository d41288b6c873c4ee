"""Two records side by side: what went in, what came out, how they were set up, and what they cost. Pure.

What is different in any two runs, ids, times and the debug address, is not compared.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from execution_history.errors import Message
from execution_history.history.diff.nodes import NodeRow, node_rows
from execution_history.history.diff.timeline import Divergence, first_divergence
from execution_history.history.diff.values import Difference, Differences, differences
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import RECORDING_IS_CUT, Use, metadata_of, uses_of

SETTINGS: Final = ("workflow_id", "bot_id", "conversation_id", "run_mode", "connector_id", "connector_uid")
"""The keys of a record that say how the run was set up."""

_ENDING: Final = ("execute_status", "error_code", "error_message", "is_output_trimmed")
_PARTS: Final = {
    "input_parameters": "input", "output": "output", "node_execute_status": "nodes", "metadata": "settings",
    **dict.fromkeys(SETTINGS, "settings"), **dict.fromkeys(_ENDING, "ending"),
}  # fmt: skip
"""In which part of a comparison a key of a record is compared."""


@dataclass(frozen=True, slots=True)
class RunReference:
    """Which run one side of a comparison is; the time is milliseconds since the epoch."""

    workflow_id: str
    execute_id: str
    create_time: int
    status: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of both runs; ``None`` where a run does not have it."""

    old: int | None
    new: int | None

    @property
    def difference(self) -> int | None:
        """How much more the new run has."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def ratio(self) -> float | None:
        """The new run's number in terms of the old one's; ``None`` when that is 0."""
        return self.new / self.old if self.old and self.new is not None else None

    def to_json(self) -> dict[str, Any]:
        """``{"old", "new", "difference", "ratio"}``, the ratio rounded to four places."""
        ratio = None if self.ratio is None else round(self.ratio, 4)
        return {"old": self.old, "new": self.new, "difference": self.difference, "ratio": ratio}


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two runs compare.

    ``input``, ``output``, ``settings`` and ``ending`` (status, error code and message) hold the differences of their
    part, ``nodes`` has what each node did in both. ``duration`` is in milliseconds; ``tokens`` has the measures
    ``input``, ``output`` and ``total``.
    ``left_out`` has a sentence for everything that was too large to be compared or is not there to be compared, and
    for every part of which a run recorded only the beginning.
    """

    old: RunReference
    new: RunReference
    input: tuple[Difference, ...]
    output: tuple[Difference, ...]
    settings: tuple[Difference, ...]
    ending: tuple[Difference, ...]
    divergence: Divergence | None
    nodes: tuple[NodeRow, ...]
    duration: Measure
    tokens: Mapping[str, Measure]
    left_out: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing that was compared differs; durations and tokens may."""
        return self.divergence is None and not (
            self.input or self.output or self.settings or self.ending or self.left_out
        )

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields above and of ``is_same``, each part in its own JSON form."""
        parts = {"input": self.input, "output": self.output, "settings": self.settings, "ending": self.ending}
        return {
            "old": asdict(self.old),
            "new": asdict(self.new),
            "is_same": self.is_same,
            **{name: [asdict(difference) for difference in part] for name, part in parts.items()},
            "divergence": None if self.divergence is None else asdict(self.divergence),
            "nodes": [asdict(row) for row in self.nodes],
            "duration": self.duration.to_json(),
            "tokens": {name: measure.to_json() for name, measure in self.tokens.items()},
            "left_out": list(self.left_out),
        }


def compare_records(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """How *new* differs from *old*; both are records of the 19 keys, of whatever content.

    Takes a second or two at most, whatever the size: what is too large is compared as a whole and named in
    ``left_out``.
    """
    parts = {
        "input": differences("input", old["input_parameters"], new["input_parameters"]),
        "output": differences("output", old["output"], new["output"]),
        "settings": _of_keys(_settings(old), _settings(new)),
        "ending": _of_keys({key: old[key] for key in _ENDING}, {key: new[key] for key in _ENDING}),
    }
    left_out = [sentence for part in parts.values() for sentence in part.left_out]
    left_out += [
        Message("%(part)s: only the beginnings were kept and compared.", part=part)
        for part in dict.fromkeys(_PARTS.values())
        if part in _cut_parts(old) | _cut_parts(new)
    ]
    nodes = old["node_execute_status"], new["node_execute_status"]
    if sum(isinstance(timeline, dict) for timeline in nodes) == 1:
        left_out.append(Message("nodes: only one of the two runs has a node timeline."))
    facts = attributes_of(old), attributes_of(new)
    return Comparison(
        old=_reference(old),
        new=_reference(new),
        **{name: part.found for name, part in parts.items()},
        divergence=first_divergence(*nodes),
        nodes=node_rows((old, new)),
        duration=Measure(facts[0].duration_ms, facts[1].duration_ms),
        tokens={
            "input": Measure(facts[0].input_tokens, facts[1].input_tokens),
            "output": Measure(facts[0].output_tokens, facts[1].output_tokens),
            "total": Measure(facts[0].tokens, facts[1].tokens),
        },
        left_out=tuple(left_out),
    )


def _reference(record: Mapping[str, Any]) -> RunReference:
    return RunReference(
        record["workflow_id"], record["execute_id"], record["create_time"], str(record["execute_status"])
    )


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in metadata_of(record).items() if Use.COMPARED in uses_of(key)}
    return {key: record[key] for key in SETTINGS} | ({"metadata": others} if others else {})


def _cut_parts(record: Mapping[str, Any]) -> set[str]:
    """Return the parts of a comparison of which the record has only the beginning."""
    known = RECORDING_IS_CUT.of(record)
    if known is True:  # the answer was larger than is recorded of one
        return {"output"}
    if not isinstance(known, dict):
        return set()
    keys = [name.partition(".") for name in known]
    return {_PARTS[key] for key, _, inner in keys if key in _PARTS and Use.COMPARED in uses_of(inner)}


def _of_keys(old: dict[str, Any], new: dict[str, Any]) -> Differences:
    """Return the differences of two objects whose keys stand at the beginning of paths."""
    each = [differences(key, old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new))]
    return Differences(
        tuple(found for part in each for found in part.found), tuple(s for part in each for s in part.left_out)
    )
