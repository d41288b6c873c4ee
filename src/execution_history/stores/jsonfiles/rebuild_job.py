"""One JSON file in the making, and copying what a file has to another."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from execution_history.stores.jsonfiles.json_file import JSONFile

_PIECE: Final = 1024 * 1024


class NoRoom(Exception):  # noqa: N818 - a finding, not a failure
    """The new file is too small for what has come in the meantime."""


@dataclass(slots=True)
class Job:
    """A file in the making. ``aside`` holds the records that wait for it; ``None`` means all do.

    One that gives *old* new slack copies what lies behind offset ``begin`` first, then, should the front have grown
    long meanwhile, what lies between a new ``begin`` and ``end``, into the file that it has ``built``.
    Of the changes of the store, all up to revision ``seen`` are in it, or not its workflow's.
    """

    workflow_id: str
    aside: set[str] | None
    old: JSONFile | None = None
    begin: int = 0
    end: int = 0
    built: JSONFile | None = None
    fronts: int = 0
    seen: int = 0
    attempt: int = 0
    afresh: bool = False
    cancelled: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)


def copy_before(source: JSONFile, begin: int, end: int, target: JSONFile) -> None:
    """Put what *source* has from offset *begin* to *end* before what *target* has."""
    while end > begin:
        at = max(begin, end - _PIECE)
        if not target.put_before(source.read(at, end)):
            raise NoRoom
        end = at
