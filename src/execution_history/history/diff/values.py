"""How two JSON values differ: which parts came, went or changed, each with its path. Pure and bounded.

What is the same in both is stepped over, and what lies too deep, or comes after too many differences, is only known to
differ. Lists are compared without their common beginning and end: item by item or, where that takes fewer differences,
with items that came and went between the others. A path is written as in filters: ``output.items[3].name``, with
``output["a key"]`` for a key that is no word.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, Literal

import orjson

from execution_history.errors import Message
from execution_history.history.diff.texts import TextEdit, common_ends, text_edits

DifferenceKind = Literal["added", "removed", "changed", "type_changed"]

MOST_DIFFERENCES: Final = 1_000
"""No more differences than these are told of one pair of values; how many there are beside them is said."""

_DEEPEST: Final = 60
_MOST_PAIRS: Final = 10_000
_ALIGNED: Final = 200
_LONGEST_VALUE: Final = 2_000
_MOST_TEXTS: Final = 50
_ABSENT: Final = object()  # in the place of a value that one side lacks

_Place = tuple[tuple[bool, str | int], ...]
_Finding = tuple[_Place, DifferenceKind, Any, Any]


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
    walk = _Walk()
    findings = sorted(walk.pair((), old, new), key=lambda finding: finding[0])
    left_out = []
    if walk.unseen:
        left_out.append(
            Message(
                "%(root)s: too many or too deep to be compared one by one: %(unseen)s.", root=root, unseen=walk.unseen
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


class _Walk:
    """One walk over two values that yields where they differ, with each key after a flag that sorts it.

    Attributes:
        unseen: the differences that were not looked into, and the items that were not compared.
    """

    def __init__(self) -> None:
        self.unseen = 0
        self._left = _MOST_PAIRS

    def pair(self, place: _Place, old: object, new: object) -> Iterator[_Finding]:
        """Yield the differences of two values, of which either may be absent."""
        self._left -= 1
        if isinstance(old, (dict, list)) and type(old) is type(new):
            if len(place) < _DEEPEST and self._left >= 0:
                yield from (self._objects if isinstance(old, dict) else self._lists)(place, old, new)
                return
            self.unseen += 1
        finding = _finding(place, old, new)
        if finding is not None:
            yield finding

    def _objects(self, place: _Place, old: Any, new: Any) -> Iterator[_Finding]:  # noqa: ANN401 - JSON
        for key in (*old, *(key for key in new if key not in old)):
            before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
            if _ABSENT in (before, after) or not same(before, after):
                if self._left > 0:
                    yield from self.pair((*place, (True, key)), before, after)
                else:
                    self.unseen += 1

    def _lists(self, place: _Place, old: Any, new: Any) -> Iterator[_Finding]:  # noqa: ANN401 - JSON
        begin, end = common_ends(old, new, same)
        most = max(0, self._left)
        longer = max(len(old), len(new)) - begin - end
        self.unseen += max(0, longer - most)
        first, second = (part[begin : len(part) - end][:most] for part in (old, new))
        found: list[_Finding] = []
        for at, (before, after) in enumerate(zip_longest(first, second, fillvalue=_ABSENT), begin):
            if _is_leaf(before) or _is_leaf(after) or not same(before, after):
                found += self.pair((*place, (False, at)), before, after)
        if longer <= _ALIGNED and all(map(_can_align, (*first, *second))):
            aligned = list(_aligned(place, begin, first, second))
            found = aligned if len(aligned) < len(found) else found
        yield from found


def _aligned(place: _Place, begin: int, first: list[Any], second: list[Any]) -> Iterator[_Finding]:
    """Yield the differences of two lists of texts, numbers and nulls, with equal items beside each other."""
    for tag, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag != "equal":
            for at, (before, after) in enumerate(zip_longest(first[a:b], second[c:d], fillvalue=_ABSENT)):
                index = begin + at + (c if before is _ABSENT else a)
                finding = _finding((*place, (False, index)), before, after)
                if finding is not None:
                    yield finding


def _finding(place: _Place, old: object, new: object) -> _Finding | None:
    """Return how two values differ that are not looked into; ``None`` for equal texts, numbers and the like."""
    if old is _ABSENT:
        return place, "added", None, new
    if new is _ABSENT:
        return place, "removed", old, None
    is_one_type = _type_name(old) == _type_name(new)
    if is_one_type and not isinstance(old, (dict, list)) and old == new:
        return None
    return place, "changed" if is_one_type or None in (old, new) else "type_changed", old, new


def _is_leaf(value: object) -> bool:
    return not isinstance(value, (dict, list))


def _can_align(value: object) -> bool:
    return _is_leaf(value) and not isinstance(value, bool)  # true is not 1


def _type_name(value: object) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


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


def same(old: object, new: object) -> bool:
    """Whether two JSON values are the same; true is not 1, the order of keys does not matter."""
    try:
        return _dumped(old) == _dumped(new)
    except (TypeError, ValueError, RecursionError):
        return _same_without_recursion(old, new)


def _dumped(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _same_without_recursion(old: object, new: object) -> bool:
    stack: list[tuple[object, object]] = [(old, new)]
    while stack:
        first, second = stack.pop()
        if isinstance(first, dict) and isinstance(second, dict):
            if first.keys() != second.keys():
                return False
            stack += [(value, second[key]) for key, value in first.items()]
        elif isinstance(first, list) and isinstance(second, list):
            if len(first) != len(second):
                return False
            stack += zip(first, second, strict=True)
        elif type(first) is not type(second) or first != second:
            return False
    return True
