"""Gaps of a JSON file: what is left between its records where some were removed or became shorter."""

import os
from pathlib import Path
from typing import Final

from execution_history.stores.jsonfiles.file_sizes import SIZES
from execution_history.stores.jsonfiles.json_file_reader import JSONFileReader, NotOurs

_READ_AT_ONCE: Final = 1024 * 1024
_GAP: Final = b" " * 64
_LEAST: Final = 64 * 1024
_MADE: Final = SIZES.gap / SIZES.gap_every
"""The share of gaps that a file is made with."""


def has_large_gaps(path: Path, least_share: float) -> bool:
    """Return whether a share of a file is gaps, besides those it was made with, and there is room for a new file.

    The slack before the newest record is none: every file has it.
    """
    try:
        file = JSONFileReader(path, SIZES)
        try:
            at, gaps = file.header.newest_at, 0
            records = file.size - at
            if records < _LEAST:
                return False
            while piece := file.read(at, at + _READ_AT_ONCE):
                gaps += len(_GAP) * piece.count(_GAP)
                at += len(piece)
        finally:
            file.close()
        space = os.statvfs(path.parent)
    except (OSError, NotOurs, AttributeError):  # Windows has no statvfs
        return False
    return gaps > records * (_MADE + least_share) and space.f_bavail * space.f_frsize > records
