"""How two JSON values differ: which parts came, went or changed, each with its path. Pure and bounded.

DeepDiff compares; before it, :mod:`~execution_history.history.diff.reduction` takes out what is the same, and after it
the findings become small types of our own. A path is written as in filters: ``output.items[3].name``, with
``output["a key"]`` for a key that is no word.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from deepdiff import DeepDiff

from execution_history.errors import Message
from execution_history.history.diff.reduction import Reduction, Whole, same
from execution_history.history.diff.texts import TextEdit, text_edits

DifferenceKind = Literal["added", "removed", "changed", "type_changed"]

MOST_DIFFERENCES: Final = 1_000
"""No more differences than these are told of one pair of values; how many there are beside them is said."""

_LONGEST_VALUE: Final = 2_000
_MOST_TEXTS: Final = 50
_KINDS: Final[dict[str, DifferenceKind]] = {
    "dictionary_item_added": "added",
    "iterable_item_added": "added",
    "dictionary_item_removed": "removed",
    "iterable_item_removed": "removed",
    "values_changed": "changed",
    "type_changes": "type_changed",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that differs.

    ``old`` and ``new`` are its values, ``None`` on the side that lacks it; a value of more than 2 000 characters
    of JSON is given as text, shortened, and ``is_shortened`` says so. ``text`` tells long texts apart.
    """

    kind: DifferenceKind
    path: str
    old: Any = None
    new: Any = None
    is_shortened: bool = False
    text: tuple[TextEdit, ...] | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """The differences in the order of their paths, and one sentence for each kind of thing that was left out."""

    found: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()


def differences(root: str, old: object, new: object) -> Differences:
    """How two JSON values differ.

    Args:
        root: what paths begin with, such as ``output``.
        old: the value that was.
        new: the value that is.
    """
    if same(old, new):
        return Differences()
    reduction = Reduction()
    first, second = reduction.pair(old, new)
    result = DeepDiff(
        first,
        second,
        view="tree",
        custom_operators=[_Leaves()],
        zip_ordered_iterables=reduction.is_long,
        ignore_private_variables=False,
        threshold_to_diff_deeper=0,
    )
    findings = sorted(_findings(result, reduction), key=lambda finding: finding[0])
    left_out = []
    if reduction.unseen:
        left_out.append(
            Message(
                "%(root)s: too many or too deep to be compared one by one: %(unseen)s.",
                root=root,
                unseen=reduction.unseen,
            )
        )
    if len(findings) > MOST_DIFFERENCES:
        left_out.append(
            Message(
                "%(root)s: differences that are not shown: %(value)s.",
                root=root,
                value=len(findings) - MOST_DIFFERENCES,
            )
        )
    texts = 0
    found = []
    for place, kind, before, after in findings[:MOST_DIFFERENCES]:
        found.append(_difference(kind, root + spelled(key for _, key in place), before, after, texts < _MOST_TEXTS))
        texts += found[-1].text is not None
    return Differences(tuple(found), tuple(left_out))


def spelled(keys: Iterable[str | int]) -> str:
    """Return a path of keys and indices, as it is read."""
    return "".join(
        f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else f"[{_quoted(key)}]" for key in keys
    )


def _quoted(key: str) -> str:
    return orjson.dumps(key[:200]).decode()


class _Leaves:
    """Tells DeepDiff how the leaves of a reduction are compared; its own ways take too long for texts."""

    def match(self, level: Any) -> bool:  # noqa: ANN401 - DeepDiff's levels
        return any(isinstance(level.t1, kind) and isinstance(level.t2, kind) for kind in (str, Whole)) or (
            _is_number(level.t1) and _is_number(level.t2)
        )

    def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:  # noqa: ANN401
        if level.t1 != level.t2:
            diff_instance.custom_report_result("values_changed", level)
        return True


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_Place = tuple[tuple[bool, str | int], ...]


def _findings(result: Any, reduction: Reduction) -> Iterator[tuple[_Place, DifferenceKind, Any, Any]]:  # noqa: ANN401
    for report, levels in result.items():
        kind = _KINDS[report]
        for level in levels:
            old, new = (item.value if isinstance(item, Whole) else item for item in (level.t1, level.t2))
            shown = kind
            if kind in {"changed", "type_changed"}:
                shown = "type_changed" if _type_name(old) != _type_name(new) and None not in (old, new) else "changed"
            is_new = kind == "added"
            yield (
                _place(level, reduction, is_new=is_new),
                shown,
                None if is_new else old,
                None if kind == "removed" else new,
            )


def _type_name(value: object) -> str:
    return "number" if _is_number(value) else type(value).__name__


def _place(level: Any, reduction: Reduction, *, is_new: bool) -> _Place:  # noqa: ANN401 - DeepDiff's levels
    """Return the keys from the root, each after a flag whether it is a key, so that indices and keys can be sorted."""
    keys: list[tuple[bool, str | int]] = []
    at = level.all_up
    while at.down is not None:
        side, relation = (at.t2, at.t2_child_rel) if is_new else (at.t1, at.t1_child_rel)
        relation = relation or at.t2_child_rel or at.t1_child_rel
        key = relation.param
        keys.append((False, key + reduction.skipped.get(id(side), 0)) if isinstance(key, int) else (True, str(key)))
        at = at.down
    return tuple(keys)


def _difference(kind: DifferenceKind, path: str, old: Any, new: Any, is_told: bool) -> Difference:  # noqa: ANN401, FBT001
    edits = text_edits(old, new) if is_told and isinstance(old, str) and isinstance(new, str) else None
    (before, is_cut), (after, is_cut_too) = _shown(old), _shown(new)
    return Difference(kind, path, before, after, is_cut or is_cut_too, edits)


def _shown(value: object) -> tuple[object, bool]:
    """Return a value as it is, or as shortened text, and whether it was shortened."""
    if isinstance(value, str):
        text = value
    else:
        try:
            text = orjson.dumps(value).decode()
        except (TypeError, ValueError, RecursionError):
            return "(a value that is too deep to be shown)", True
    if len(text) <= _LONGEST_VALUE:
        return value, False
    return f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)", True
