"""Whether the process that named itself is still there, as far as this machine shows it.

A name carries the machine's start, the process and the moment it began, so that a recorder killed on this machine
is known to be dead at once, and no other process that got its number is taken for it. About other machines, and
systems without ``/proc``, only the lease shows it.
"""

import os
from pathlib import Path
from typing import Final

from execution_history.clock import boot_id

_PARTS: Final = 5
_PROC: Final = Path("/proc")


def sign_of_life(unique: str) -> str:
    """Return the name of this process, made unique by *unique*."""
    return f"{unique}:{_machine()}:{os.getpid()}:{_started(os.getpid()) or '-'}"


def is_dead(name: str) -> bool:
    """Whether the process with this name certainly does not exist any more."""
    parts = name.split(":")
    if len(parts) != _PARTS or ":".join(parts[1:3]) != _machine() or "-" in parts[1:3]:
        return False
    return parts[3].isdecimal() and parts[4] != "-" and _started(int(parts[3])) != parts[4]


def _machine() -> str:
    """Return the name of this start of the machine and of this name space of process numbers."""
    boot = boot_id()
    try:
        space = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a link that names no path
    except OSError:
        return "-:-"
    return f"{boot}:{space}" if boot else "-:-"


def _started(process: int) -> str | None:
    """When a process began, in clock ticks since the machine's start (proc(5), field 22), ``None`` when it is gone."""
    try:
        text = (_PROC / str(process) / "stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    is_over = fields[0] in {"Z", "X"}
    return None if is_over else fields[19]
