"""What was deleted from a page, kept for a while so that it can be brought back."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from execution_history.clock import now_ms

KEPT_FOR: Final = 15 * 60_000
"""Milliseconds for which a deletion can be undone, as long as there is room."""

_ROOM: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class Deletion:
    """The records of one deletion as they were stored, and when they were deleted (milliseconds)."""

    bodies: tuple[bytes, ...]
    at: int


@dataclass(slots=True)
class Trash:
    """Deletions by a word that only who deleted knows.

    Args:
        clock: milliseconds since the epoch.
    """

    clock: Callable[[], int] = now_ms
    _deletions: "OrderedDict[str, Deletion]" = field(default_factory=OrderedDict)
    _size: int = 0

    def put(self, bodies: Sequence[bytes]) -> str | None:
        """Keep what was deleted; the word that brings it back, ``None`` where it is too large to be kept."""
        size = sum(map(len, bodies))
        if size > _ROOM:
            return None
        self._forget(_ROOM - size)
        word = secrets.token_urlsafe(12)
        self._deletions[word] = Deletion(tuple(bodies), self.clock())
        self._size += size
        return word

    def count(self, word: str) -> int:
        """How many records *word* would bring back."""
        self._forget(_ROOM)
        found = self._deletions.get(word)
        return 0 if found is None else len(found.bodies)

    def take(self, word: str) -> tuple[bytes, ...]:
        """Remove and return what *word* brings back; nothing when it is not here."""
        self._forget(_ROOM)
        found = self._deletions.pop(word, None)
        if found is None:
            return ()
        self._size -= sum(map(len, found.bodies))
        return found.bodies

    def _forget(self, room: int) -> None:
        """Let go of what is too old, and of the oldest until no more than *room* bytes are held."""
        oldest = self.clock() - KEPT_FOR
        for word, deletion in list(self._deletions.items()):
            if deletion.at >= oldest and self._size <= room:
                break
            del self._deletions[word]
            self._size -= sum(map(len, deletion.bodies))
