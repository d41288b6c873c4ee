"""Rules that say what is taken out of records before they are kept. Pure.

A rule names what it finds by one of ``key`` (a name with ``*`` and ``?``, at any depth), ``path``
(:mod:`execution_history.records.json_path`), ``pattern`` (a regular expression) and ``detector``
(:mod:`execution_history.records.detectors`, or one of :data:`GROUPS`), and what becomes of it by ``action``. It holds
for the workflows that ``workflow`` names; of several rules for one detector or name the last one counts.
"""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast, get_args

from execution_history.errors import N_, InvalidInput, quoted, shortened
from execution_history.records.bounded_pattern import BoundedPattern
from execution_history.records.contents import CONTENT_KEYS
from execution_history.records.detectors import DETECTORS
from execution_history.records.json_path import ANY, parse_path
from execution_history.records.redaction import plain_name

Kind = Literal["key", "path", "pattern", "detector"]
Action = Literal["mask", "remove", "hash", "keep"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

SECRET_NAMES: Final = "secret_names"  # noqa: S105 - the name of a detector
"""The detector of whatever stands under a name such as ``password``, ``api_key`` or ``Authorization``."""

SECRET_NAMES_MEANING: Final = N_("Values whose name says that they are secret: password, token, api_key, …")

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "secrets": (SECRET_NAMES, *(each.name for each in DETECTORS.values() if not each.is_personal)),
    "personal": tuple(each.name for each in DETECTORS.values() if each.is_personal),
}
"""Names of several detectors together: ``secrets`` are on from the beginning."""

_KEYS: Final = frozenset({"name", *KINDS, "workflow", "action"})
_LONGEST: Final = 500
_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class RedactionRule:
    """One rule; ``name`` is what records and reports call it."""

    name: str
    kind: Kind
    value: str
    workflow: str = "*"
    action: Action = "mask"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "RedactionRule":
        """Return the rule that *given* describes.

        Raises:
            InvalidInput: a value is missing, unknown or impossible; the sentence names it.
        """
        if unknown := sorted(str(key) for key in given if key not in _KEYS):
            raise InvalidInput(
                "A rule has no %(name)s: it has %(names)s.", name=quoted(unknown[0]), names=", ".join(sorted(_KEYS))
            )
        kinds = [kind for kind in KINDS if kind in given]
        if len(kinds) != 1:
            raise InvalidInput("A rule has exactly one of %(names)s.", names=", ".join(KINDS))
        kind, action = kinds[0], given.get("action", "mask")
        value, workflow, name = (
            _text(each, given.get(each, usual)) for each, usual in ((kind, ""), ("workflow", "*"), ("name", None))
        )
        if action not in ACTIONS:
            raise InvalidInput(
                "A rule's action is one of %(actions)s, not %(action)s.",
                actions=", ".join(ACTIONS), action=quoted(action),
            )  # fmt: skip
        if kind == "pattern" and action == "keep":
            raise InvalidInput(
                "A rule with a pattern takes something out; %(action)s is for the others.", action="keep"
            )
        _check(kind, value)
        return cls(name or value, kind, value, workflow or "*", cast("Action", action))

    def holds_for(self, workflow_id: str) -> bool:
        """Return whether it holds for the runs of a workflow."""
        return self.workflow == "*" or fnmatchcase(workflow_id, self.workflow)

    def to_json(self) -> dict[str, str]:
        """Return it as settings write it, with every key."""
        return {"name": self.name, self.kind: self.value, "workflow": self.workflow, "action": self.action}

    @property
    def detectors(self) -> tuple[str, ...]:
        """The detectors that it names; none where it is of another kind."""
        return GROUPS.get(self.value, (self.value,)) if self.kind == "detector" else ()


BUILT_IN: Final = tuple(RedactionRule(name, "detector", name) for name in GROUPS["secrets"])
"""The rules that hold before all others."""


def rules_of(given: Sequence[Mapping[str, Any]]) -> tuple[RedactionRule, ...]:
    """Return the rules that settings describe, without the built-in ones.

    Raises:
        InvalidInput: one is impossible, or there are more than 200.
    """
    if len(given) > _MOST:
        raise InvalidInput("There are at most %(most)s rules.", most=_MOST)
    return tuple(map(RedactionRule.of, given))


def names_match(pattern: str, name: str) -> bool:
    """Return whether the *pattern* of a ``key`` rule fits a name: ``apiKey`` and ``api-key`` are one name."""
    return fnmatchcase(plain_name(name), plain_name(pattern))


def needs_key(rules: Iterable[RedactionRule]) -> bool:
    """Return whether one of *rules* makes hashes, for which a key has to be set."""
    return any(rule.action == "hash" for rule in rules)


def _text(what: str, value: object) -> str:
    if value is None and what == "name":
        return ""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
        raise InvalidInput(
            "The %(what)s of a rule is a text of 1 to %(longest)s characters.", what=what, longest=_LONGEST
        )
    return value


def _check_path(path: str) -> None:
    """Raise :class:`InvalidInput` for a *path* that cannot lead to anything: a rule that finds nothing is a leak."""
    is_deep, first = parse_path(path)[0]
    if is_deep or first is ANY or first in (known := ("input", *CONTENT_KEYS, "metadata")):
        return
    words = {"path": quoted(path), "name": quoted(first), "names": ", ".join(known)}
    if near := get_close_matches(shortened(str(first)), known, 1):
        raise InvalidInput(
            "The path %(path)s begins with %(name)s, but only these are looked at: %(names)s. "
            "Perhaps you meant %(near)s.",
            near=near[0],
            **words,
        )
    raise InvalidInput("The path %(path)s begins with %(name)s, but only these are looked at: %(names)s.", **words)


def _check(kind: Kind, value: str) -> None:
    if kind == "path":
        _check_path(value)
    if kind == "detector" and value not in (known := {*DETECTORS, *GROUPS, SECRET_NAMES}):
        raise InvalidInput(
            "There is no detector %(value)s: there are %(names)s.", value=quoted(value), names=", ".join(sorted(known))
        )
    if kind == "pattern":
        try:
            with warnings.catch_warnings(action="error"):  # of what will mean something else one day
                found = re.compile(value)
            BoundedPattern(value)
        except (re.error, ValueError, RecursionError, OverflowError, Warning) as error:
            raise InvalidInput(
                "The pattern %(value)s is no regular expression: %(reason)s.", value=quoted(value), reason=error
            ) from None
        if found.match("") is not None:
            raise InvalidInput("The pattern %(value)s also matches nothing at all.", value=quoted(value))
