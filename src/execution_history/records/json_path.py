"""Paths into a record, such as ``input_parameters.user.phone`` or ``$.output.items[*]["id"]``. Pure.

A step is ``.name``, ``["name"]``, ``[0]``, ``.*`` or ``[*]`` for every key or index, and ``..name`` for a key at any
depth. The first names a key of the record; ``$.`` before it may be left out. ``input`` is short for
``input_parameters``, as it is in conditions.
"""

import re
from typing import Final

import orjson

from execution_history.errors import InvalidInput, quoted

ANY: Final = None
"""The step of a path that matches every key and every index."""

Step = str | int | None
Path = tuple[tuple[bool, Step], ...]
"""Steps, each with whether it may be any number of levels further down."""

_STEP: Final = re.compile(
    r"""(?P<deep>\.\.)?(?:\[\s*(?:(?P<index>[0-9]{1,10})|(?P<all>\*)|(?P<quoted>"(?:[^"\\]|\\.)*")|'(?P<single>[^']*)')\s*\]"""
    r"""|(?<=\.)(?P<every>\*)|(?<=\.)(?P<name>[^\s.\[\]"'*]+))"""
)
_MOST_STEPS: Final = 50


def parse_path(text: str) -> Path:
    """Return the path that *text* writes.

    Raises:
        InvalidInput: it is none; the sentence has an example.
    """
    rest = text.strip().removeprefix("$")
    rest = rest if rest.startswith((".", "[")) else f".{rest}"
    steps: list[tuple[bool, Step]] = []
    at = 0
    while at < len(rest):
        is_deep = rest.startswith("..", at)
        begin = at if is_deep or rest[at] != "." else at + 1
        found = _STEP.match(rest, begin)
        if found is None or len(steps) == _MOST_STEPS:
            raise _no_path(text)
        try:
            steps.append((is_deep, _step(found)))
        except ValueError:  # an escape that JSON does not have
            raise _no_path(text) from None
        at = found.end()
    if steps[0] == (False, "input"):
        steps[0] = (False, "input_parameters")
    return tuple(steps)


def _no_path(text: str) -> InvalidInput:
    return InvalidInput(
        "%(text)s is not a path: write for example input_parameters.user.phone, output.items[*].id or ..phone.",
        text=quoted(text),
    )


def matches(path: Path, place: tuple[str | int, ...]) -> bool:
    """Return whether *path* leads to *place*, the keys and indexes from the record to a value."""
    # All that the path may have come to so far: trying one way after the other takes for ever where steps repeat.
    reached = {0}
    for key in place:
        after: set[int] = set()
        for number in reached:
            is_deep, step = path[number] if number < len(path) else (False, "")
            if is_deep:
                after.add(number)
            if number < len(path) and (step is ANY or step == key):
                after.add(number + 1)
        reached = after
    return len(path) in reached


def _step(found: "re.Match[str]") -> Step:
    if found["index"] is not None:
        return int(found["index"])
    if found["all"] or found["every"]:
        return ANY
    if found["quoted"] is not None:
        return str(orjson.loads(found["quoted"]))
    return found["single"] if found["single"] is not None else found["name"]
