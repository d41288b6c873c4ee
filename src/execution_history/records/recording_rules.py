"""Rules for how much of a workflow's runs is recorded. Pure.

A rule names workflows and what of their runs is kept: ``everything``; a ``summary``, which has no contents
(:mod:`execution_history.records.contents`); a ``sample``, a share of the runs and of the others those that did not
succeed; or ``nothing``. ``largest_bytes`` limits each value. Of several rules for a workflow the last one counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, Final, Literal, cast, get_args

from execution_history.errors import InvalidInput, quoted

Extent = Literal["everything", "summary", "sample", "nothing"]

EXTENTS: Final[tuple[Extent, ...]] = get_args(Extent)
LEAST_BYTES: Final = 100
"""Bytes to which a rule can limit a value at least."""

_KEYS: Final = ("workflow", "record", "share", "largest_bytes")
_LONGEST: Final = 1_000
_MOST: Final = 200
_SPACE: Final = 2**64


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """One rule.

    Attributes:
        workflow: the id of the workflows for which it holds; ``*`` and ``?`` stand for any characters.
        record: how much is kept.
        share: of a sample, how many of the runs are kept: more than 0, and less than 1.
        largest_bytes: how many bytes of JSON a value of a run has at most; ``None`` is no limit of its own.
    """

    workflow: str = "*"
    record: Extent = "everything"
    share: float | None = None
    largest_bytes: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "RecordingRule":
        """Return the rule that *given* describes.

        Raises:
            InvalidInput: a value is missing, unknown or impossible; the sentence names it.
        """
        if unknown := sorted(str(key) for key in given if key not in _KEYS):
            raise InvalidInput(
                "A rule has no %(name)s: it has %(names)s.", name=quoted(unknown[0]), names=", ".join(_KEYS)
            )
        workflow, record = given.get("workflow", "*"), given.get("record", "everything")
        share, largest = given.get("share"), given.get("largest_bytes")
        if not isinstance(workflow, str) or not 1 <= len(workflow) <= _LONGEST:
            raise InvalidInput("The workflow of a rule is a text of 1 to %(longest)s characters.", longest=_LONGEST)
        if record not in EXTENTS:
            raise InvalidInput(
                "What a rule records is one of %(extents)s, not %(record)s.",
                extents=", ".join(EXTENTS), record=quoted(record),
            )  # fmt: skip
        if (record == "sample") != (share is not None) or not _is_share(share):
            raise InvalidInput("A sample, and nothing else, has a share: a number between 0 and 1, such as 0.1.")
        if largest is not None and (type(largest) is not int or largest < LEAST_BYTES):
            raise InvalidInput("largest_bytes is a whole number of at least %(least)s.", least=LEAST_BYTES)
        return cls(workflow, cast("Extent", record), share, largest)

    def to_json(self) -> dict[str, Any]:
        """Return it as settings write it."""
        values = ((key, getattr(self, key)) for key in _KEYS)
        return {key: value for key, value in values if value is not None}

    def is_kept(self, execute_id: str) -> bool:
        """Return whether a run that succeeds is recorded; the same in every process."""
        if self.share is None:
            return self.record != "nothing"
        place = int.from_bytes(blake2b(execute_id.encode("utf-8", "replace"), digest_size=8).digest())
        return place < self.share * _SPACE

    @property
    def is_limiting(self) -> bool:
        """Whether it changes anything of what is recorded of a run."""
        return self.record != "everything" or self.largest_bytes is not None

    def note(self) -> dict[str, Any] | None:
        """Return a record's note on it; ``None`` where everything is recorded, and where records are made anyway."""
        if self.record in ("everything", "nothing"):
            return None
        return {"record": self.record} if self.share is None else {"record": self.record, "share": self.share}


EVERYTHING: Final = RecordingRule()
"""The rule where none is set."""

NOTHING: Final = RecordingRule(record="nothing")
"""The rule of a run whose caller wants no record."""


def recording_rules_of(given: Sequence[Mapping[str, Any]]) -> tuple[RecordingRule, ...]:
    """Return the rules that settings describe.

    Raises:
        InvalidInput: one is impossible, or there are more than 200.
    """
    if len(given) > _MOST:
        raise InvalidInput("There are at most %(most)s rules.", most=_MOST)
    return tuple(map(RecordingRule.of, given))


def rule_for(rules: Sequence[RecordingRule], workflow_id: str) -> RecordingRule:
    """Return the rule that counts for a workflow."""
    return next((rule for rule in reversed(rules) if fnmatchcase(workflow_id, rule.workflow)), EVERYTHING)


def _is_share(share: object) -> bool:
    return share is None or (isinstance(share, (int, float)) and not isinstance(share, bool) and 0 < share < 1)
