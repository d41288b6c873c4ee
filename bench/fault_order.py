"""Whether answers of many callers at once can be explained: each call as if done at one moment while it was under way.

Records are independent of each other, so each is looked at by itself. The search is that of Wing and Gong (1993) with
Lowe's memory of what was tried; calls that change nothing are taken as soon as they fit, which loses no explanation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["create", "change", "finish", "fail", "get", "delete"]
State = tuple[str, int] | None
"""The status of a record and the mark of what wrote it last; ``None`` where there is none."""

_ENDS: Final = {"finish": "success", "fail": "failed"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call for one record.

    Attributes:
        kind: of the call.
        mark: what a writing call writes; no other writes the same.
        began: when it was made (seconds).
        ended: when it was answered; infinite where it may have been done or not, or may be done yet.
        answer: ``True`` where it was done, ``False`` where there was no record (for ``create``: where there was one),
            ``None`` where it was refused because the run has ended otherwise; for ``get`` the state, as a list or not.
    """

    kind: Kind
    mark: int
    began: float
    ended: float
    answer: Any

    @property
    def is_open(self) -> bool:
        """Whether nobody knows if it was done."""
        return self.ended == math.inf


class Impossible(Exception):  # noqa: N818 - no error, but an outcome
    """The call cannot have had its answer in this state."""


def after(state: State, call: Call) -> State:
    """Return the state after a call.

    Raises:
        Impossible: the call would have had another answer.
    """
    if call.kind == "get":
        if (call.answer is not None and tuple(call.answer) == state) or call.answer is state is None:
            return state
        raise Impossible
    ending = _ENDS.get(call.kind)
    answer: bool | None
    made: State
    if call.kind == "create":
        answer, made = state is None, ("running", call.mark)
    elif state is None:
        answer, made = False, None
    elif call.kind == "delete":
        answer, made = True, None
    else:
        answer = None if ending and state[0] not in {"running", ending} else True
        made = ending or state[0], call.mark
    if not call.is_open and answer is not call.answer:
        raise Impossible
    return made if answer else state


def is_explained(calls: Sequence[Call], begins: State = None) -> bool:
    """Return whether the calls for one record, which begins so, can have been done one after the other."""
    calls = sorted(calls, key=lambda call: call.began)
    wanted = sum(1 << number for number, call in enumerate(calls) if not call.is_open)
    tried: set[tuple[int, State]] = set()
    left: list[tuple[int, int, State]] = [(0, 0, begins)]
    while left:
        done, first, state = left.pop()
        if done & wanted == wanted:
            return True
        while done >> first & 1:
            first += 1
        for number, changed in _next(calls, done, first, state):
            following = done | 1 << number, changed
            if following not in tried:
                tried.add(following)
                left.append((following[0], first, changed))
    return False


def _next(calls: Sequence[Call], done: int, first: int, state: State) -> list[tuple[int, State]]:
    """Return the calls that can come next, each with the state after it: one alone where it changes nothing."""
    limit = math.inf
    found = []
    for number in range(first, len(calls)):
        call = calls[number]
        if call.began > limit:
            break
        if done >> number & 1:
            continue
        limit = min(limit, call.ended)
        try:
            changed = after(state, call)
        except Impossible:
            continue
        if changed == state and not call.is_open:
            return [(number, state)]
        found.append((number, changed))
    return found
