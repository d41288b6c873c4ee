"""The sizes by which JSON files are read, edited and rewritten."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSizes:
    """Sizes, in bytes unless stated otherwise; the defaults suit disks, smaller ones suit tests.

    Attributes:
        small: a file up to this size is rewritten at once when it has no room; a larger one in the background.
        near: the length of the first read of a search.
        reach: the distance to the left of a record in which room for it is searched first.
        window: the largest such distance.
        gap_every: the distance between two gaps in a file, so that old records find room nearby.
        gap: the size of such a gap.
        least_slack: the least slack of a small file.
        low_slack: a large file gets new slack when its slack is less than its size divided by this number.
        front: the part of a large file with new slack that is copied while writers wait.
        rows_at_once: the largest number of records of a file that is rewritten at once.
    """

    small: int = 8 * 1024 * 1024
    near: int = 16 * 1024
    reach: int = 64 * 1024
    window: int = 16 * 1024 * 1024
    gap_every: int = 512 * 1024
    gap: int = 32 * 1024
    least_slack: int = 16 * 1024
    low_slack: int = 16
    front: int = 2 * 1024 * 1024
    rows_at_once: int = 200


SIZES: Final = FileSizes()
"""The sizes of every store that is not made for a test."""
