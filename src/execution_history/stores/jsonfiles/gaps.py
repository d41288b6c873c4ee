"""Gaps of a JSON file: what is left where records were removed or became shorter."""

import os
from pathlib import Path
from typing import Final

_READ_AT_ONCE: Final = 1024 * 1024
_GAP: Final = b" " * 64
_LEAST: Final = 64 * 1024
_SHARE: Final = 2 / 5


def has_large_gaps(path: Path) -> bool:
    """Return whether more than two fifths of a file are spaces, and that is worth a new file, for which there is room.

    A file that was just made has at most half as much slack as records, one that is small three times as much.
    """
    try:
        size, gaps = path.stat().st_size, 0
        if size < _LEAST:
            return False
        with path.open("rb") as file:
            while piece := file.read(_READ_AT_ONCE):
                gaps += len(_GAP) * piece.count(_GAP)
        if gaps <= size * _SHARE:
            return False
        space = os.statvfs(path.parent)
    except (OSError, AttributeError):  # Windows has no statvfs
        return False
    return space.f_bavail * space.f_frsize > size
