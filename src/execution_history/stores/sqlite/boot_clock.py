"""A clock that runs on evenly while the machine is up, and is the same in all of its processes."""

import time
from functools import cache
from pathlib import Path
from typing import Final

from execution_history.clock import now_ms

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_ms() -> int:
    """Return the milliseconds since the machine was started; since the epoch where the system has no such clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return now_ms() if clock is None or not boot_id() else time.clock_gettime_ns(clock) // 1_000_000


@cache
def boot_id() -> str:
    """Return which start of the machine this is; nothing where the system does not tell."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
