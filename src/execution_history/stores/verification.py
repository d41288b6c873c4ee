"""What examines a store: checks, what they find, and how that is repaired."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

from execution_history.errors import N_, Message
from execution_history.presentation.formatting import grouped

Progress = Callable[[int, int], None]
"""Called with how much of a check is done, and of how much; from any thread."""

Effort = Literal["quick", "usual", "thorough"]
"""How much is read: samples, for a few seconds; everything; everything, and texts are cut anew."""


class Loss(Message):
    """A sentence about a repair after which something is lost, unless there is a backup."""

    __slots__ = ()


Repair = Callable[[], Awaitable[Message]]
"""Repairs what was found; returns a sentence that says what was done. It may raise a ``StoreError``."""

_SAMPLE: Final = 1_000

MOST_NAMED: Final = 5
"""How many of the records, files and so on a sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        sentence: what is wrong, or worth knowing.
        remedy: what to do about it, or what its repair does.
        is_problem: whether something is wrong; a remark otherwise.
        repair: repairs it; ``None`` where only a person can.
    """

    sentence: Message
    remedy: Message | None = None
    is_problem: bool = True
    repair: Repair | None = None


FROM_A_BACKUP: Final = N_(
    "Take them from a backup with execution-history restore FOLDER --missing, import an export, or delete them."
)
"""The remedy for runs that only other places have."""


class Fault(NamedTuple):
    """A kind of finding that names things: the msgids of its sentences, about one and several, and of its remedy."""

    one: str
    several: str
    remedy: str | None = None
    is_problem: bool = True

    def of(self, names: Sequence[str], repair: Repair | None = None, **arguments: object) -> list[Finding]:
        """Return the finding about *names*; none where there are none."""
        if not names:
            return []
        sentence = counted(len(names), self.one, self.several, names=named(names), **arguments)
        remedy = None if self.remedy is None else Message(self.remedy, **arguments)
        return [Finding(sentence, remedy, self.is_problem, repair)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check has looked at, as a short phrase, and what it has found."""

    summary: Message
    findings: Sequence[Finding] = ()

    @property
    def problems(self) -> list[Finding]:
        """What is wrong."""
        return [finding for finding in self.findings if finding.is_problem]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, the msgid of its title, and the call that makes it.

    Where one that ``blocks`` leaves a problem, those that follow cannot be made.
    """

    name: str
    title: str
    look: Callable[[Progress], Awaitable[Outcome]]
    blocks: bool = False

    @classmethod
    def in_thread(cls, name: str, title: str, look: Callable[[Progress], Outcome], *, blocks: bool = False) -> Self:
        """Return a check whose call *look* is made in a thread."""
        return cls(name, title, lambda tell: asyncio.to_thread(look, tell), blocks)


@dataclass(frozen=True, slots=True)
class PatrolStep:
    """A part of a store that was read to find damage: its bytes, and a sentence for each thing that was repaired."""

    size: int
    repaired: tuple[Message, ...] = ()


def sample_of(newest: int) -> list[int]:
    """Return some places of records, up to the *newest*, which is among them; some of them may be deleted."""
    some = set(range(max(1, newest + 1 - _SAMPLE // 2), newest + 1))
    return sorted(some.union(random.sample(range(1, newest + 1), min(newest, _SAMPLE // 2))))


def counted(number: int, one: str, several: str, **arguments: object) -> Message:
    """Return the msgid *one* or *several* as a sentence about so many things; ``count`` is one of its arguments."""
    return Message(one if number == 1 else several, count=grouped(number), **arguments)


def runs_read(count: int, total: int) -> Message:
    """Return how many runs a check has read, of how many where it read a sample."""
    if count < total:
        return Message("%(count)s of %(total)s runs read", count=grouped(count), total=grouped(total))
    return counted(count, N_("1 run read"), N_("%(count)s runs read"))


def named(names: Sequence[str]) -> str:
    """Return the first of *names* in a list, and how many more there are; those that are messages stay so."""
    shown = names[0]
    for name in names[1:MOST_NAMED]:
        shown = Message("%(names)s, %(name)s", names=shown, name=name)
    more = len(names) - MOST_NAMED
    return shown if more <= 0 else Message("%(names)s and %(more)s more", names=shown, more=more)
