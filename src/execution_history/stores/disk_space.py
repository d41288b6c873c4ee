"""What is free on a disk, and when that is too little."""

import shutil
from pathlib import Path
from typing import Final, NamedTuple

_LEAST_FREE: Final = 1024**3
_LEAST_SHARE: Final = 0.05
"""A disk is nearly full where less than both is free: bytes, and a share of the whole."""


class Disk(NamedTuple):
    """The disk of a folder, in bytes."""

    folder: Path
    size: int
    free: int

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        """Return the disk of *folder*.

        Raises:
            OSError: it cannot be read.
        """
        usage = shutil.disk_usage(folder)
        return cls(folder, usage.total, usage.free)

    @property
    def is_nearly_full(self) -> bool:
        """Whether so little is free that recording may soon end."""
        return self.free < min(_LEAST_FREE, self.size * _LEAST_SHARE)
