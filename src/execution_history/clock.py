"""The time, ids in the order of time, and the start of the machine."""

import time
from functools import cache
from pathlib import Path
from typing import Final

import uuid_utils

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def now_ms() -> int:
    """Return the current time in whole milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def new_execute_id() -> str:
    """Return a fresh UUIDv7 as text (RFC 9562, section 5.7).

    It begins with the time, so that an index over such ids grows at its right end only.
    """
    return str(uuid_utils.uuid7())


@cache
def boot_id() -> str:
    """Return the id of this start of the machine, which all of its processes share; empty where there is none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
