"""A clock that is never set while the machine is up, and is the same in all of its processes."""

import time

from execution_history.clock import boot_id, now_ms


def boot_ms() -> int:
    """Return the milliseconds since the machine was started; since the epoch where the system has no such clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return now_ms() if clock is None or not boot_id() else time.clock_gettime_ns(clock) // 1_000_000
