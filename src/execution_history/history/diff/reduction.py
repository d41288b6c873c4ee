"""Two JSON values brought down to where they differ, so that comparing them takes a bounded time. Pure.

What is the same in both is taken out, and what lies too deep or comes after too many differences stands as one
:class:`Whole`, which is only known to differ. Lists lose their common beginning and end; how many items were
taken off the beginning is remembered, so that paths can be told.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_DEEPEST: Final = 60
_MOST_PAIRS: Final = 10_000
_ALIGNED: Final = 200
_SCALARS: Final = (str, int, float, type(None))


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A value that is not looked into."""

    value: Any


@dataclass(frozen=True, slots=True)
class Truth(Whole):
    """True or false in a list, where Python would take it for 1 or 0."""

    value: bool


@dataclass(slots=True)
class Reduction:
    """What two values were reduced to, and what was left out on the way.

    ``skipped`` holds, by the identity of a reduced list, how many items were taken off its beginning.
    ``unseen`` counts differences that were not looked into, and items that were not compared. ``is_long`` says
    that a list is too long to be aligned.
    """

    skipped: dict[int, int] = field(default_factory=dict)
    unseen: int = 0
    is_long: bool = False
    _left: int = _MOST_PAIRS
    _kept: list[list[Any]] = field(default_factory=list)

    def pair(self, old: object, new: object, depth: int = 0) -> tuple[Any, Any]:
        """Return the reduced forms of two values that are known to differ."""
        self._left -= 1
        is_pair_of_objects = isinstance(old, dict) and isinstance(new, dict)
        is_pair_of_lists = isinstance(old, list) and isinstance(new, list)
        if not is_pair_of_objects and not is_pair_of_lists:
            return _leaf(old), _leaf(new)
        if depth >= _DEEPEST or self._left < 0:
            self.unseen += 1
            return Whole(old), Whole(new)
        if isinstance(old, dict) and isinstance(new, dict):
            return self._objects(old, new, depth + 1)
        return self._lists(old, new, depth + 1)

    def _objects(self, old: dict[Any, Any], new: dict[Any, Any], depth: int) -> tuple[dict[Any, Any], dict[Any, Any]]:
        first: dict[Any, Any] = {}
        second: dict[Any, Any] = {}
        for key in (*old, *(key for key in new if key not in old)):
            is_in_both = key in old and key in new
            if is_in_both and same(old[key], new[key]):
                continue
            if self._left <= 0:
                self.unseen += 1
            elif is_in_both:
                first[key], second[key] = self.pair(old[key], new[key], depth)
            else:
                self._left -= 1
                side, value = (first, old[key]) if key in old else (second, new[key])
                side[key] = _leaf(value)
        return first, second

    def _lists(self, old: Any, new: Any, depth: int) -> tuple[list[Any], list[Any]]:  # noqa: ANN401 - JSON
        shorter = min(len(old), len(new))
        begin = next((at for at in range(shorter) if not same(old[at], new[at])), shorter)
        rest = shorter - begin
        end = next((at for at in range(rest) if not same(old[-1 - at], new[-1 - at])), rest)
        most = max(0, self._left)
        longer = max(len(old), len(new)) - begin - end
        self.unseen += max(0, longer - most)
        self.is_long = self.is_long or longer > _ALIGNED
        first, second = (part[begin : len(part) - end][:most] for part in (old, new))
        both = min(len(first), len(second))
        for at in range(both):
            if isinstance(first[at], _SCALARS) and isinstance(second[at], _SCALARS):
                self._left -= 1
            else:
                is_same = same(first[at], second[at])
                first[at], second[at] = (None, None) if is_same else self.pair(first[at], second[at], depth)
        self._left -= max(len(first), len(second)) - both
        for part in (first, second):
            part[both:] = [_leaf(item) for item in part[both:]]
            part[:] = [Truth(item) if isinstance(item, bool) else item for item in part]
            self.skipped[id(part)] = begin
            self._kept.append(part)  # an identity means something only while its list is there
        return first, second


def _leaf(value: object) -> object:
    return value if isinstance(value, _SCALARS) else Whole(value)


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
