"""Which processes have a history open, as far as this machine can tell."""

import contextlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from execution_history.errors import Message, shortened
from execution_history.records.redaction import without_credentials

_LOCKS: Final = Path("/proc/locks")
_PROC: Final = Path("/proc")
_LONGEST: Final = 100
_FIELDS: Final = 8
_START: Final = 19


def holders_of(database: Path) -> dict[int, Message]:
    """Return, by its number, a phrase for each process that has *database* open: SQLite holds a lock on it (fcntl(2)).

    This process is one of them where it has it open and the system lists locks, as Linux does.
    """
    try:
        inode = database.stat().st_ino
    except OSError:
        return {}
    found = _listed(database, inode) if _LOCKS.exists() else _asked(database)
    return {process: _described(process) for process in sorted(set(found))}


def _listed(database: Path, inode: int) -> Iterator[int]:
    """Yield the processes with a lock on *database*, which has this *inode* (proc(5))."""
    for line in _LOCKS.read_text("ascii", errors="replace").splitlines():
        fields = line.replace(" -> ", " ").split()
        if len(fields) == _FIELDS and fields[1] == "POSIX" and fields[5].rpartition(":")[2] == str(inode):
            process = int(fields[4])
            if _has_open(process, database):
                yield process


def _has_open(process: int, database: Path) -> bool:
    """Return whether a process has *database* open, not another file of the same number; true where nobody tells."""
    try:
        opened = list((_PROC / str(process) / "fd").iterdir())
    except OSError:
        return True  # another user's
    for each in opened:
        with contextlib.suppress(OSError):
            if each.samefile(database):
                return True
    return False


def _asked(database: Path) -> Iterator[int]:
    """Yield another process with a lock on *database*, which this process must not have open: closing it ends locks."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # noqa: PLC0415 - Windows has none

        form = "qqihh" if sys.platform == "darwin" else "hhqqi"
        question = (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET) if form[0] == "q" else (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        with database.open("rb+") as file:
            answer = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *question)))
        kind, process = (answer[3], answer[2]) if form[0] == "q" else (answer[0], answer[4])
        if kind != fcntl.F_UNLCK:
            yield process


def _described(process: int) -> Message:
    """Return what is known of a process: its number, its command and since when it runs."""
    command, since = _command(process), _since(process)
    if not command:
        return Message("process %(process)s", process=process)
    if since is None:
        return Message("process %(process)s (%(command)s)", process=process, command=command)
    return Message("process %(process)s (%(command)s, since %(since)s)", process=process, command=command, since=since)


def _command(process: int) -> str:
    with contextlib.suppress(OSError):
        words = (_PROC / str(process) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return shortened(without_credentials(" ".join(words).strip()), _LONGEST)
    return ""


def _since(process: int) -> str | None:
    """Return when a process began, in local time (proc(5): field 22, in ticks since the machine's start)."""
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        ticks = int((_PROC / str(process) / "stat").read_text(errors="replace").rpartition(")")[2].split()[_START])
        lines = (_PROC / "stat").read_text("ascii").splitlines()
        began = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began + ticks / os.sysconf("SC_CLK_TCK")))
    return None
