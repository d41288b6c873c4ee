"""A disk that fails at the n-th call, for every n, while something is done with a history.

Two layers fail: the file system below SQLite (APSW), which can say whatever SQLite may hear; and the calls of the
system (``fault_calls.c``, where there is a C compiler), which concern every file: logs and their shared memory, locks,
JSON files, backups, archives and exports.
"""

import asyncio
import ctypes
import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import apsw

from bench.fault_damage import copy_folder
from bench.fault_load import Known
from bench.fault_results import Row
from bench.fault_work import Doing, Work, template, wrong
from bench.fault_works import WORKS

_VFS: Final = "execution-history-faults"
_MOST_CALLS: Final = 20_000
_ROUNDS_OF_ROW: Final = 25
_SERIES: Final = 10**6


class Injector(Protocol):
    """Lets calls fail."""

    def begin(self, folder: Path, first: int, last: int) -> None:
        """From now on, let the calls with these numbers fail."""

    def end(self) -> int:
        """Let no call fail any more; return how many have."""


@dataclass
class SQLiteFault:
    """Calls of SQLite's file system that fail: their kind, such as ``write``, and what they raise.

    Without an error a read gives only half of what is there.
    """

    kind: str
    error: type[apsw.Error] | None
    first: int = 0
    last: int = 0
    count: int = 0
    failed: int = 0

    def begin(self, folder: Path, first: int, last: int) -> None:
        """See :class:`Injector`."""
        del folder
        self.first, self.last, self.count, self.failed = first, last, 0, 0
        _planned.append(self)

    def end(self) -> int:
        """See :class:`Injector`."""
        _planned.clear()
        return self.failed

    def reach(self, kind: str) -> bool:
        """Count a call; return whether it is to be short, or raise what is due."""
        if kind != self.kind:
            return False
        self.count += 1
        if not self.first <= self.count <= self.last:
            return False
        self.failed += 1
        if self.error is not None:
            raise self.error(f"fault {self.count}")
        return True


_planned: list[SQLiteFault] = []


def _reach(kind: str) -> bool:
    return any(each.reach(kind) for each in _planned)


class _File(apsw.VFSFile):
    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name, as the next
        data = super().xRead(amount, offset)
        return data[: len(data) // 2] if _reach("read") else data

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        _reach("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        _reach("sync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        _reach("truncate")
        super().xTruncate(newsize)

    def xFileSize(self) -> int:  # noqa: N802
        _reach("size")
        return super().xFileSize()


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS, "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        _reach("open")
        return _File("unix", name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        _reach("delete")
        super().xDelete(filename, syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        _reach("access")
        return super().xAccess(pathname, flags)


@contextmanager
def faulty_files() -> Iterator[None]:
    """Have every database that is opened in the block on a file system that fails as is planned."""
    system = _FileSystem()
    try:
        yield
    finally:
        apsw.set_default_vfs("unix")
        system.unregister()


@dataclass
class SystemFault:
    """Calls of the system that fail: their kinds, as in ``fault_calls.c``, and the number of the error.

    Without one a read or write is short, which is no error.
    """

    kinds: int
    error: int

    def begin(self, folder: Path, first: int, last: int) -> None:
        """See :class:`Injector`."""
        _system().faults_plan(str(folder).encode(), self.kinds, first, last, self.error)

    def end(self) -> int:
        """See :class:`Injector`."""
        _system().faults_end()
        return int(_system().faults_failed())


def _system() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def has_system_faults() -> bool:
    """Return whether the calls of the system can fail in this process."""
    return hasattr(_system(), "faults_plan")


def run_with_system_faults(arguments: Sequence[str]) -> int | None:
    """Run this command with the library that lets calls fail; return its exit code, ``None`` where no compiler is."""
    with tempfile.TemporaryDirectory() as folder:
        library, source = Path(folder) / "fault_calls.so", Path(__file__).with_name("fault_calls.c")
        try:
            command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        variables = os.environ | {"LD_PRELOAD": str(library)}
        return subprocess.run([sys.executable, *arguments], check=False, env=variables).returncode


OPEN, READ, WRITE, SYNC, CUT, NAME, REMOVE, MAP, LOCK, TIME = (1 << number for number in range(10))

SQLITE_FAULTS: Final[dict[str, tuple[SQLiteFault, int]]] = {
    "I/O error at one read": (SQLiteFault("read", apsw.IOError), 1),
    "a short read": (SQLiteFault("read", None), 1),
    "a read says damaged": (SQLiteFault("read", apsw.CorruptError), 1),
    "I/O error at one write": (SQLiteFault("write", apsw.IOError), 1),
    "full at one write": (SQLiteFault("write", apsw.FullError), 1),
    "full for 20 writes": (SQLiteFault("write", apsw.FullError), 20),
    "I/O error at one sync": (SQLiteFault("sync", apsw.IOError), 1),
    "I/O error at one truncate": (SQLiteFault("truncate", apsw.IOError), 1),
    "I/O error at one size": (SQLiteFault("size", apsw.IOError), 1),
    "one file cannot be opened": (SQLiteFault("open", apsw.CantOpenError), 1),
    "I/O error at one delete": (SQLiteFault("delete", apsw.IOError), 1),
    "I/O error at one access": (SQLiteFault("access", apsw.IOError), 1),
}
SYSTEM_FAULTS: Final[dict[str, tuple[SystemFault, int]]] = {
    "open: I/O error": (SystemFault(OPEN, errno.EIO), 1),
    "open: too many files": (SystemFault(OPEN, errno.EMFILE), 1),
    "read: I/O error": (SystemFault(READ, errno.EIO), 1),
    "read: short": (SystemFault(READ, 0), 1),
    "write: I/O error": (SystemFault(WRITE, errno.EIO), 1),
    "write: no space": (SystemFault(WRITE | CUT, errno.ENOSPC), 1),
    "write: no space for 20 calls": (SystemFault(WRITE | CUT | OPEN, errno.ENOSPC), 20),
    "write: short": (SystemFault(WRITE, 0), 1),
    "sync: I/O error": (SystemFault(SYNC, errno.EIO), 1),
    "truncate: I/O error": (SystemFault(CUT, errno.EIO), 1),
    "rename, link, mkdir: no space": (SystemFault(NAME, errno.ENOSPC), 1),
    "unlink: I/O error": (SystemFault(REMOVE, errno.EIO), 1),
    "mmap: no memory": (SystemFault(MAP, errno.ENOMEM), 1),
    "lock: I/O error": (SystemFault(LOCK, errno.EIO), 1),
    "utime: not permitted": (SystemFault(TIME, errno.EPERM), 1),
}


@dataclass
class Series:
    """A work, and a fault of it at every n."""

    folder: Path
    work: Work
    fault: Injector
    length: int
    known: Known

    async def round(self, first: int) -> tuple[int, Doing, list[str]]:
        """Let the calls from *first* on fail; return how many did, what was done, and what is wrong then."""
        base = self.folder / "round"
        copy_folder(self.folder / "template", base)
        doing = Doing(base, deepcopy(self.known))
        with faulty_files():
            self.fault.begin(base, first, first + self.length - 1)
            try:
                await self.work.run(doing)
            finally:
                failed = self.fault.end()
        try:
            found = await wrong(self.work, doing)
        except Exception as error:  # noqa: BLE001 - whatever it is, the table tells of it
            found = [repr(error)]
        return failed, doing, found

    def fill(self, row: Row, name: str) -> bool:
        """Do the next rounds; return whether the last one was reached, in which nothing failed."""
        is_over = False
        while not is_over and row.rounds < _ROUNDS_OF_ROW:
            number = (row.first + row.rounds) % _SERIES + 1
            failed, doing, found = asyncio.run(self.round(number))
            row.add(
                [f"{name}, n = {number}: {each}" for each in found],
                [f"{name}, n = {number}: {each}" for each in doing.odd],
            )
            row.rounds += 1
            row.faults += failed
            row.calls += doing.done
            is_over = not failed or number > _MOST_CALLS
        return is_over


def _all(seed: int) -> list[tuple[Work, str, Injector, int, str]]:
    """Return every work with every fault, in an order that *seed* decides."""
    layers: list[tuple[str, Mapping[str, tuple[Injector, int]]]] = [("errors below SQLite", SQLITE_FAULTS)]
    if has_system_faults():
        layers.append(("failing system calls", SYSTEM_FAULTS))
    found = [
        (work, name, fault, length, layer)
        for layer, table in layers
        for name, (fault, length) in table.items()
        for work in WORKS
        if work.name != "doctor --repair" or table is SYSTEM_FAULTS  # APSW raises what closing a read-only file ignores
    ]
    random.Random(seed).shuffle(found)
    return found


def rounds(folder: Path, seed: int, first: int) -> Iterator[Row]:
    """Yield rows, until every work has met every fault at every n.

    The number of a round has the number of the series in its millions, and n, less 1, in the rest.
    """
    every = _all(seed)
    for number in range(first // _SERIES, len(every)):
        work, name, fault, length, layer = every[number]
        shutil.rmtree(folder, ignore_errors=True)
        known = asyncio.run(template(folder / "template", work))
        series = Series(folder, work, fault, length, known)
        is_over, begin = False, max(first, number * _SERIES)
        while not is_over:
            row = Row("disk", f"{work.name}: {layer}", seed, begin)
            with row.timed():
                is_over = series.fill(row, name)
            yield row
            begin += row.rounds
