"""Time and identity, both injectable: milliseconds since the epoch and time-ordered ids."""

import time

import uuid_utils


def now_ms() -> int:
    """Return the current time in whole milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def new_execute_id() -> str:
    """Return a fresh UUIDv7 as text (RFC 9562, section 5.7).

    It begins with the time, so that an index over such ids grows at its right end only.
    """
    return str(uuid_utils.uuid7())
