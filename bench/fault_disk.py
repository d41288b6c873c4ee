"""Errors below SQLite: a file system that fails at the n-th call, for every n, or is full from there on for a while."""

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from bench.fault_damage import BEGAN, examined, opened, problems_of
from execution_history.errors import ExecutionHistoryError
from execution_history.records.record import RecordChange, new_document
from execution_history.stores import SQLiteStore

_VFS = "execution-history-faults"
_MOST_CALLS = 5_000


@dataclass
class Plan:
    """Which calls fail.

    Attributes:
        first: the number of the first call that fails, from 1 on; 0 for none.
        last: that of the last one.
        error: what it fails with.
        kinds: the calls that count: ``write``, ``sync``, ``truncate``, ``open``, ``read``, ``delete``.
        count: how many there were.
        failed: how many failed.
    """

    first: int = 0
    last: int = 0
    error: type[apsw.Error] = apsw.IOError
    kinds: frozenset[str] = frozenset()
    count: int = 0
    failed: int = 0

    def reach(self, kind: str) -> None:
        """Count a call, and fail where it is due."""
        if kind in self.kinds:
            self.count += 1
            if self.first <= self.count <= self.last:
                self.failed += 1
                raise self.error(f"fault {self.count}")


_plan = Plan()


class _File(apsw.VFSFile):
    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        _plan.reach("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        _plan.reach("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        _plan.reach("sync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        _plan.reach("truncate")
        super().xTruncate(newsize)


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS, "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        _plan.reach("open")
        return _File("unix", name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        _plan.reach("delete")
        super().xDelete(filename, syncdir)


@contextmanager
def faulty_files() -> Iterator[None]:
    """Have every database that is opened in the block on a file system that fails as :func:`planned` says."""
    system = _FileSystem()
    try:
        yield
    finally:
        apsw.set_default_vfs("unix")
        system.unregister()


@dataclass
class Answered:
    """The calls of a program and what was answered: the status that each record must have at least."""

    calls: int = 0
    refused: int = 0
    statuses: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


async def program(folder: Path) -> Answered:
    """Record, end and delete some runs, whatever is raised; every error has to be one of this package."""
    answered = Answered()
    store = SQLiteStore(folder)

    async def call(work: Any, key: tuple[str, str], yes: set[str], maybe: set[str]) -> None:
        answered.calls += 1
        try:
            await asyncio.wait_for(work, 30)
            answered.statuses[key] = yes
        except ExecutionHistoryError:
            answered.refused += 1
            answered.statuses[key] = maybe
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            answered.odd.append(repr(error))
            answered.statuses[key] = maybe

    try:
        await store.open()
    except ExecutionHistoryError:
        answered.refused += 1
        return answered
    except Exception as error:  # noqa: BLE001 - as above
        answered.odd.append(repr(error))
        return answered
    for number in range(8):
        key = (f"w{number % 2}", f"run-{number}")
        text = {"text": "x" * (3_000 if number % 3 else 50)}
        document = new_document(workflow_id=key[0], execute_id=key[1], now=BEGAN + number, parameters=text)
        await call(store.create(document), key, {"running"}, {"running", "gone"})
        before = answered.statuses[key]
        change = RecordChange.of(BEGAN + 100 + number, "success", None)
        await call(store.update(*key, change), key, {"success"} | (before & {"gone"}), before | {"success"})
    await call(store.delete("w0", "run-0"), ("w0", "run-0"), {"gone"}, answered.statuses["w0", "run-0"] | {"gone"})
    await store.aclose()
    return answered


async def wrong(folder: Path, answered: Answered) -> list[str]:
    """Return what is not as it was answered for, once the file system works again."""
    found = []
    async with opened(folder) as store:
        for key, allowed in answered.statuses.items():
            body = await store.get(*key)
            status = "gone" if body is None else next(s for s in ("success", "running") if f'"{s}"'.encode() in body)
            if status not in allowed:
                found.append(f"{key} is {status}, not {allowed}")
        found += (await store.health()).problems
    return found + list(problems_of(await examined(folder)))


ROUNDS: tuple[tuple[str, type[apsw.Error], frozenset[str], int], ...] = (
    ("I/O error at one write", apsw.IOError, frozenset({"write"}), 1),
    ("I/O error at one sync", apsw.IOError, frozenset({"sync"}), 1),
    ("I/O error at one read", apsw.IOError, frozenset({"read"}), 1),
    ("I/O error at one open", apsw.CantOpenError, frozenset({"open"}), 1),
    ("disk full at one write", apsw.FullError, frozenset({"write", "truncate"}), 1),
    ("disk full for 20 writes", apsw.FullError, frozenset({"write", "truncate"}), 20),
)
"""Each series: its name, the error, the calls that count, and how many in a row fail."""


async def series(
    folder: Path, error: type[apsw.Error], kinds: frozenset[str], length: int, step: int = 1
) -> tuple[int, int, int, list[str]]:
    """Fail at the n-th call for every *step*-th n until a program ends without reaching it.

    Returns:
        The rounds, the faults, the calls, and what was wrong afterwards.
    """
    global _plan  # noqa: PLW0603 - the file system is SQLite's, one for the process
    rounds = faults = calls = 0
    found: list[str] = []
    for first in itertools.count(1, step):
        shutil.rmtree(folder, ignore_errors=True)
        _plan = Plan(first, first + length - 1, error, kinds)
        apsw.set_default_vfs(_VFS)
        answered = await program(folder)
        apsw.set_default_vfs("unix")
        failed, _plan = _plan.failed, Plan()
        rounds, faults, calls = rounds + 1, faults + failed, calls + answered.calls
        found += [f"n = {first}: {each}" for each in (*answered.odd, *(await wrong(folder, answered)))]
        if not failed or first > _MOST_CALLS:
            return rounds, faults, calls, found
    raise AssertionError
