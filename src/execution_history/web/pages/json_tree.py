"""A JSON value as a tree to be shown: bounded, however large the value is. Pure.

Branches are unfolded breadth first until the budget is used up, so that the top levels are always there; the
others are sent on request.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

import orjson

from execution_history.web.pages.json_pointer import Part, embedded_json

Kind = Literal["object", "array", "string", "number", "boolean", "null"]

_FOLDED_LINES: Final = 6
_FOLDED_CHARACTERS: Final = 480
_OPEN_CHILDREN: Final = 12
_OPEN_DEPTH: Final = 2
_DEEPEST: Final = 12
_MOST_FOUND: Final = 50
_MOST_VISITED: Final = 100_000
_MOST_NAMED: Final = 40_000
_LONGEST_NAME: Final = 120
_LONGEST_NUMBER: Final = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what is sent of a value at once.

    ``values`` counts branches and leaves, ``children`` those of one branch, ``characters`` those of all texts and
    ``text`` those of one; ``weighed`` is how many bytes of branches are encoded again to measure their size. ``named``
    counts the characters of pointers, paths and links, where ``link`` is how long a link is without its pointer.
    """

    values: int = 220
    children: int = 60
    characters: int = 16_000
    text: int = 4_000
    weighed: int = 8_000_000
    named: int = 60_000
    link: int = 100


@dataclass(slots=True)
class Node:
    """One value as it is shown.

    A text has its first lines in ``head``, its folded part in ``rest`` and its length in ``characters``, as a
    number has; a branch has ``count`` children, of which ``children`` are here, and ``size`` bytes where they were
    counted. ``name_rest`` is how many characters of its name are not here.
    """

    name: str | None
    part: Part
    depth: int = 0
    start: int = 0
    kind: Kind = "null"
    head: str = ""
    rest: str = ""
    characters: int = 0
    count: int = 0
    size: int | None = None
    children: "list[Node]" = field(default_factory=list)
    embedded: "Node | None" = None
    is_open: bool = False
    name_rest: int = 0

    @property
    def pointer(self) -> str:
        """Its place in the record."""
        return self.part.pointer

    @property
    def is_branch(self) -> bool:
        """Whether it has children."""
        return self.kind in {"object", "array"}

    @property
    def is_cut(self) -> bool:
        """Whether only a part of a text is here."""
        return self.kind == "string" and len(self.head) + len(self.rest) < self.characters


def tree_of(part: Part, name: str | None = None, limits: Limits | None = None, start: int = 0) -> Node:
    """Return the tree of the value that *part* points to.

    Args:
        part: the value to show.
        name: its name.
        limits: how much of it to show.
        start: the number of the first child, where the branch is shown in pieces.
    """
    trunk = Node(name, part, start=start)
    builder = _Builder(limits or Limits())
    builder.grow(trunk)
    builder.finish(trunk)
    return trunk


class _Builder:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._values = limits.values
        self._characters = limits.characters
        self._weighed = limits.weighed
        self._named = limits.named

    def grow(self, trunk: Node) -> None:
        """Add as many branches to *trunk* as there is room for, those nearest to it first."""
        waiting = deque([trunk])
        while waiting and self._values > 0:
            node = waiting.popleft()
            value = node.part.value
            if node.depth >= _DEEPEST:
                continue
            if isinstance(value, str):
                held = embedded_json(value)
                if held is not None:
                    node.embedded = Node(None, node.part.embedded(held), node.depth + 1)
                    waiting.append(node.embedded)
            elif isinstance(value, (dict, list)):
                room = self._limits.children if node is trunk else min(self._limits.children, self._values)
                node.children = list(self._children(node, room, is_trunk=node is trunk))
                self._values -= len(node.children)
                waiting.extend(node.children)

    def _children(self, node: Node, room: int, *, is_trunk: bool) -> Iterator[Node]:
        """Yield as many of the children as there is room for, of the trunk at least one."""
        named = enumerate(_items(node.part.value))
        for number, (key, child) in islice(named, node.start, node.start + room):
            if self._named <= 0 and not (is_trunk and number == node.start):
                return
            part = node.part.child(key, child, number)
            is_linked = isinstance(child, (dict, list)) or (isinstance(child, str) and len(child) > _FOLDED_CHARACTERS)
            self._named -= 2 * len(part.pointer) + len(part.path) + (self._limits.link if is_linked else 0)
            yield Node(str(key), part, node.depth + 1)

    def finish(self, node: Node) -> None:
        """Fill in the shown form of *node* and of all nodes below it."""
        value = node.part.value
        if node.name is not None:
            node.name, node.name_rest = node.name[:_LONGEST_NAME], max(0, len(node.name) - _LONGEST_NAME)
        if isinstance(value, str):
            self._finish_text(node, value)
        elif isinstance(value, (dict, list)):
            node.kind = "object" if isinstance(value, dict) else "array"
            node.count, node.size = len(value), self._size(value)
            node.is_open = node.depth == 0 or (node.depth <= _OPEN_DEPTH and 0 < len(value) <= _OPEN_CHILDREN)
            for child in node.children:
                self.finish(child)
        else:
            node.kind, shown = scalar(value)
            node.head = shown if len(shown) <= _LONGEST_NUMBER else shown[: _LONGEST_NUMBER - 1] + "…"
            node.characters = len(shown)

    def _finish_text(self, node: Node, value: str) -> None:
        node.kind = "string"
        if node.embedded is not None:
            # The tree of the embedded value shows the same and more.
            self.finish(node.embedded)
            return
        shown = value[: min(self._limits.text, max(self._characters, _FOLDED_CHARACTERS // 4))]
        self._characters -= len(shown)
        node.head, node.characters = first_lines(shown), len(value)
        node.rest = shown[len(node.head) :]

    def _size(self, value: Any) -> int | None:  # noqa: ANN401 - JSON is any of six things
        if self._weighed <= 0:
            return None
        try:
            size = len(orjson.dumps(value))
        except TypeError:  # an integer of more than 64 bits
            return None
        self._weighed -= size
        return size


def first_lines(text: str) -> str:
    """Return the part of *text* before its fold: at most six lines, counting long ones as several."""
    if len(text) <= _FOLDED_CHARACTERS and text.count("\n") < _FOLDED_LINES:
        return text
    end = 0
    for _ in range(_FOLDED_LINES):
        end = text.find("\n", end) + 1
        if end == 0:
            break
    return text[: min(end or len(text), _FOLDED_CHARACTERS)]


@dataclass(frozen=True, slots=True)
class Matches:
    """The places of words in a value; ``is_whole`` is true where these are all of them."""

    parts: tuple[Part, ...]
    is_whole: bool


def matches(part: Part, words: str) -> Matches:
    """Return the keys and leaves below *part* that contain *words*, whatever their case; the first ones, in order."""
    folded = words.casefold()
    found: list[Part] = []
    # Children are made one by one: a list of a million is not walked for its first hundred thousand.
    waiting: list[Iterator[tuple[Part, str]]] = [iter([(part, "")])]
    visited, room = 0, _MOST_NAMED
    while waiting and len(found) < _MOST_FOUND and visited < _MOST_VISITED and room > 0:
        each, key = next(waiting[-1], (None, ""))
        if each is None:
            waiting.pop()
            continue
        visited += 1
        value, before = each.value, len(found)
        is_named = folded in key.casefold()
        if isinstance(value, (dict, list)):
            if is_named:
                found.append(each)
            waiting.append(_children(each))
        elif isinstance(value, str) and (held := embedded_json(value)) is not None:
            waiting.append(iter([(each.embedded(held), key)]))
        elif is_named or folded in scalar(value)[1].casefold():
            found.append(each)
        room -= sum(len(one.pointer) + len(one.path) for one in found[before:])
    return Matches(tuple(found), not any(next(rest, None) for rest in waiting))


def _children(part: Part) -> Iterator[tuple[Part, str]]:
    """Return the children of a branch, each with its key."""
    return ((part.child(name, child, number), str(name)) for number, (name, child) in enumerate(_items(part.value)))


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:  # noqa: ANN401 - JSON is any of six things
    yield from value.items() if isinstance(value, dict) else enumerate(value)


def scalar(value: object) -> tuple[Kind, str]:
    """Return the kind of a leaf, and its whole text."""
    if isinstance(value, str):
        return "string", value
    if value is None:
        return "null", "null"
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    return "number", str(value) if isinstance(value, int) else orjson.dumps(value).decode()
