"""The sizes by which JSON files are read, edited and made anew."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSizes:
    """Sizes in bytes, where nothing else is said; the defaults suit disks, smaller ones suit tests.

    Attributes:
        small: a file up to this size is made anew at once when it has no room; a larger one in the background.
        near: how much is read first where something is searched.
        reach: how far to the left of a record room for it is searched first.
        window: how far at most.
        gap_every: the distance between two gaps in a file, so that old records find room nearby.
        gap: the size of such a gap.
        least_slack: the slack of a small file, at least.
        low_slack: a large file gets new slack when its slack is less than this part of its size.
        front: what is left to copy while nobody can write, when a large file gets new slack.
        rows_at_once: how many records a file that is made anew at once has at most.
    """

    small: int = 8 * 1024 * 1024
    near: int = 16 * 1024
    reach: int = 64 * 1024
    window: int = 4 * 1024 * 1024
    gap_every: int = 512 * 1024
    gap: int = 32 * 1024
    least_slack: int = 4096
    low_slack: int = 16
    front: int = 2 * 1024 * 1024
    rows_at_once: int = 200


SIZES: Final = FileSizes()
"""The sizes of every store that is not made for a test."""
