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
    def problem(self) -> Message: ...


class _Status(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def last(self) -> _Last | None: ...
    @property
    def failure(self) -> _Failure | None: ...


def backup_problem(status: _Status, moment: Callable[[int], object], *, is_late: bool) -> Message | None:
    """Return what is wrong with the backups in one place; ``None`` where nothing is.

    Args:
        status: what is known of them.
        moment: formats a time (milliseconds) in the reader's zone.
        is_late: whether there should have been a later one.
    """
    if status.failure is not None:
        return Message(
            "The backup to %(place)s failed on %(time)s: %(problem)s",
            place=status.place,
            time=moment(status.failure.at),
            problem=status.failure.problem,
        )
    if status.last is not None and is_late:
        return Message(
            "There has been no backup to %(place)s since %(time)s.",
            place=status.place,
            time=moment(status.last.ended_at),
        )
    return None
