"""What there is to tell of backups, in sentences for people: the same on the page and wherever else. Pure."""

from collections.abc import Callable
from typing import Protocol

from execution_history.errors import Message


class _Last(Protocol):
    @property
    def ended_at(self) -> int: ...


class _Failure(Protocol):
    @property
    def at(self) -> int: ...
    @property
    def problem(self) -> str: ...


class _Status(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def last(self) -> _Last | None: ...
    @property
    def failure(self) -> _Failure | None: ...
    def is_late(self, now: int) -> bool: ...


def backup_problem(status: _Status, now: int, moment: Callable[[int], object]) -> Message | None:
    """Return what is wrong with the backups in one place at *now*; ``None`` where nothing is.

    Args:
        status: what is known of them.
        now: milliseconds since the epoch.
        moment: formats a time (milliseconds) in the reader's zone.
    """
    if status.failure is not None:
        return Message(
            "The backup to %(place)s failed on %(time)s: %(problem)s",
            place=status.place,
            time=moment(status.failure.at),
            problem=status.failure.problem,
        )
    if status.last is not None and status.is_late(now):
        return Message(
            "There has been no backup to %(place)s since %(time)s.",
            place=status.place,
            time=moment(status.last.ended_at),
        )
    return None
