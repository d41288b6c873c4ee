"""What a history takes of its disk, as it is reckoned while runs go. Pure.

How much of the disk a run frees is known once it went and space was given back. So a preview and a run of retention
both reckon with the same shares of what was measured in the beginning, and the same runs go.
"""

from dataclasses import dataclass
from typing import Final, Literal

from execution_history.maintenance.candidates import Page
from execution_history.query.retention import Action
from execution_history.stores.capabilities import DiskUse

_EMPTY_INDEX: Final = 1024 * 1024
"""Bytes of an index of hardly any runs."""

Step = Action | Literal["bin", "discard"]
"""What becomes of a run: it goes for good, or its contents do, it leaves the bin, or goes there."""


@dataclass(slots=True)
class Space:
    """Bytes of a disk.

    Attributes:
        used: what the history takes, but for what is free and for the log.
        per_run: of it what a run takes besides its document.
        per_byte: what a byte of JSON takes: in the database, in the index and in the JSON files.
        per_binned: what a byte of JSON in the bin takes.
    """

    used: float
    per_run: float
    per_byte: float
    per_binned: float

    @classmethod
    def of(cls, use: DiskUse, binned: int) -> "Space":
        """Return what was measured, with so many bytes of JSON in the bin."""
        database = max(0, use.database - use.free - use.lines)
        per_binned = database / max(1, use.documents + binned)
        per_byte = per_binned + (max(0, use.index - _EMPTY_INDEX) + use.files) / max(1, use.documents)
        return cls(use.kept, use.lines / max(1, use.runs), per_byte, per_binned)

    def note(self, step: Step, size: int) -> None:
        """Note what became of a run, of which so many bytes of JSON went."""
        self.used -= self._freed(step, size)

    def up_to(self, page: Page, step: Step, aim: float) -> Page:
        """Return as many of the first runs of a page as bring what is used down to *aim*, one at least, or all.

        Of runs that lose their contents more may be needed: their lines stay.
        """
        left = self.used - aim
        for number, each in enumerate(page, 1):
            left -= 0 if each.protection else self._freed(step, each.size)
            if left <= 0:
                return page[:number]
        return page

    def _freed(self, step: Step, size: int) -> float:
        match step:
            case "bin":
                return size * self.per_binned
            case "contents":
                return size * self.per_byte
            case "discard":
                return self.per_run + size * (self.per_byte - self.per_binned)
            case "remove":
                return self.per_run + size * self.per_byte
