"""The power fails: what was written after the last sync may be lost, whole or in part, in any order.

A file system between SQLite and the disk knows, of every file, what is on the disk for certain and what was written
since. At some of its calls the power *fails*: an image of the disk is taken, for which chance decides what became of
what was not synced, sector by sector. The program goes on meanwhile, so that one program gives many images. Each is
opened as after a restart, and has to have every run that was answered for when the power failed.
"""

import asyncio
import itertools
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw

from bench.fault_damage import chance_of, examined, opened, problems_of
from bench.fault_load import Answers, Known, Load, disturb
from bench.fault_results import Row
from execution_history.errors import ExecutionHistoryError
from execution_history.stores import DATABASE, SQLiteStore
from execution_history.stores.database_files import INDEX_DATABASE

_VFS: Final = "execution-history-power"
_SECTOR: Final = 512
_PAGE: Final = 4096
_SUBJECTS: Final = 96
_CALLERS: Final = 8
_SHARE: Final = 0.06
_MOST: Final = 24

Fates = Callable[[random.Random], Callable[[], bool]]

FATES: Final[dict[str, Fates]] = {
    "all of it is lost": lambda _: lambda: False,
    "all of it is there": lambda _: lambda: True,
    "some of it is lost": lambda chance: lambda: chance.random() < 0.5,
    "most of it is lost": lambda chance: lambda: chance.random() < 0.1,
}
"""What can become of what was not synced: returns, for each sector, whether it is there."""


@dataclass
class DiskFile:
    """A file: its bytes on the disk, and what was written since, in order: a place and bytes, or a new size."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        """Bring all of it to the disk."""
        for place, data in self.pending:
            _apply(self.durable, place, data)
        self.pending.clear()

    def image(self, is_there: Callable[[], bool]) -> bytes:
        """Return what is on the disk when the power fails."""
        made = bytearray(self.durable)
        for place, data in self.pending:
            if data is None:
                if is_there():
                    _apply(made, place, None)
                continue
            for start in range(0, len(data), _SECTOR):
                if is_there():
                    _apply(made, place + start, data[start : start + _SECTOR])
        return bytes(made)


def _apply(content: bytearray, place: int, data: bytes | None) -> None:
    if data is None:
        content[:] = content[:place].ljust(place, b"\0")
        return
    if len(content) < place:
        content.extend(bytes(place - len(content)))
    content[place : place + len(data)] = data


@dataclass
class Image:
    """A folder as it is after the power has failed: each file's bytes and time; and what was answered until then."""

    what: str
    answered: Answers
    files: dict[str, tuple[bytes, int]]

    def write(self, folder: Path) -> None:
        """Write it into *folder*, in the place of what is there."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, (data, time) in self.files.items():
            (folder / name).write_bytes(data)
            os.utime(folder / name, ns=(time, time))


@dataclass
class Disk:
    """All database files of one folder, and when the power fails.

    Attributes:
        folder: of the files.
        chance: decides when, and what is lost.
        answered: returns what was answered until now.
        most: how many images are taken.
        is_honest: whether a sync brings anything to the disk.
        images: those that were taken.
        files: by their names.
    """

    folder: Path
    chance: random.Random
    answered: Callable[[], Answers] = dict
    most: int = _MOST
    is_honest: bool = True
    images: list[Image] = field(default_factory=list)
    files: dict[str, DiskFile] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _before: dict[str, tuple[bytes, int, int]] = field(default_factory=dict)

    def file(self, path: str) -> DiskFile:
        """Return the file at *path*, as it is on the disk when it is opened first."""
        name = Path(path).name
        if name not in self.files:
            content = Path(path).read_bytes() if Path(path).exists() else b""
            self.files[name] = DiskFile(bytearray(content))
        return self.files[name]

    def reach(self) -> None:
        """Let the power fail, now and then."""
        if len(self.images) < self.most and self.chance.random() < _SHARE:
            self.images.append(self._fail())

    def _fail(self) -> Image:
        what = self.chance.choice(list(FATES))
        answered, fate = dict(self.answered()), FATES[what]
        for name in (DATABASE, f"{DATABASE}-wal", INDEX_DATABASE, f"{INDEX_DATABASE}-wal"):
            if (path := self.folder / name).exists():  # it may not have been opened yet
                self.file(str(path))
        made = {name: (file.image(fate(self.chance)), 0) for name, file in self.files.items()}
        json_files = _json_files(self.folder)
        torn = {name: self._torn(name, *now) for name, now in json_files.items()}
        self._before = json_files
        return Image(what, answered, made | {name: each for name, each in torn.items() if each is not None})

    def _torn(self, name: str, now: bytes, time: int, inode: int) -> tuple[bytes, int] | None:
        """Return a JSON file of which some pages are from an earlier moment, with the time of either; or none.

        Pages of a file that was made anew have no earlier moment: they are empty.
        """
        before, earlier, known = self._before.get(name, (b"", time, inode))
        kind = self.chance.randrange(5)
        if kind == 0:
            return now, time
        if kind == 1:
            return (before, earlier) if before else None
        if kind == 2:
            return now[: self.chance.randrange(len(now) + 1)], time
        under = before if known == inode else b""
        pages = [
            (now if self.chance.random() < 0.5 else under)[start : start + _PAGE].ljust(_PAGE, b"\0")
            for start in range(0, len(now), _PAGE)
        ]
        return b"".join(pages)[: len(now)], self.chance.choice((time, earlier))


def _json_files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return the bytes, the time and the inode of each JSON file."""
    found = {}
    for path in folder.glob("*.json"):
        try:
            found[path.name] = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
        except FileNotFoundError:
            continue
    return found


_disk: Disk | None = None


def _noted(path: str, change: Callable[[DiskFile], None]) -> None:
    disk = _disk
    if disk is None or Path(path).parent != disk.folder:
        return
    with disk.lock:
        disk.reach()
        change(disk.file(path))


def _synced(file: DiskFile) -> None:
    if _disk is not None and _disk.is_honest:
        file.sync()


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int]) -> None:
        self._path = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        _noted(self._path, lambda _: None)
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name, as the next
        kept = bytes(data)
        _noted(self._path, lambda file: file.pending.append((offset, kept)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        _noted(self._path, _synced)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        _noted(self._path, lambda file: file.pending.append((newsize, None)))
        super().xTruncate(newsize)


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(_VFS, "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        _noted(filename, lambda file: file.pending.append((0, None)))


@contextmanager
def failing_power(disk: Disk) -> Iterator[None]:
    """Have every database in the folder of *disk* on it; the power fails in the block only."""
    global _disk  # noqa: PLW0603 - the file system is SQLite's, one for the process
    system, _disk = _FileSystem(), disk
    try:
        yield
    finally:
        _disk = None
        apsw.set_default_vfs("unix")
        system.unregister()


async def images_of(
    folder: Path, program: str, chance: random.Random, most: int = _MOST, *, is_honest: bool = True
) -> tuple[Load, list[Image]]:
    """Have a program write into *folder*; return what it was answered, and an image for each time the power fails.

    Args:
        folder: of the history.
        program: its name.
        chance: decides when the power fails.
        most: how many images are taken.
        is_honest: whether the disk syncs when it is told to.
    """
    load = Load(program)
    begun = dict.fromkeys(range(_SUBJECTS), 0)
    disk = Disk(folder, chance, lambda: begun | load.answered, most, is_honest=is_honest)
    with failing_power(disk):
        store = SQLiteStore(folder)
        await store.open()
        beside = asyncio.create_task(_beside(store))
        await load.run(store, range(_SUBJECTS), _CALLERS)
        beside.cancel()
        await store.aclose()
    return load, disk.images


async def _beside(store: SQLiteStore) -> None:
    await asyncio.gather(disturb(store), _give_back(store))


async def _give_back(store: SQLiteStore) -> None:
    while True:
        await asyncio.sleep(0.1)
        try:
            await store.give_back(("w0",), is_thorough=True)
        except ExecutionHistoryError:
            continue


def restarted(folder: Path, name: str) -> None:
    """Have the database in *folder* think that the machine was started again, which this one was not."""
    if (database := folder / DATABASE).exists():
        with closing(apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'feed'").fetchall():
                connection.execute("UPDATE feed SET boot = ? WHERE boot IS NOT NULL", (name,))


async def wrong_in(folder: Path, known: Known, program: str, answered: Answers) -> list[str]:
    """Open a history whose power has failed; return what is not as it was answered for."""
    restarted(folder, f"before {program}")
    async with opened(folder) as store:
        found = await known.learn(store, program, answered)
        found += await known.compare(store)
        await store.follow_index()
    found += await asyncio.to_thread(known.compare_files, folder)
    return found + list(problems_of(await examined(folder)))


@dataclass
class Machine:
    """A folder whose power fails again and again; each program goes on with an image of the one before."""

    folder: Path
    known: Known = field(default_factory=Known)

    async def round(self, number: int, seed: int, row: Row, most: int = _MOST) -> None:
        """Have one program write, and look at each image; the folder becomes one of them."""
        program, chance = f"p{number}", chance_of(f"{seed} {number}")
        load, images = await images_of(self.folder, program, chance, most)
        row.calls += load.calls
        row.add([], load.odd)
        aside = self.folder.with_name("image")
        chosen = self.known
        for place, image in enumerate(images):
            image.write(aside)
            known = Known(dict(self.known.runs), dict(self.known.entries), set(self.known.lines), self.known.audited)
            try:
                found = await wrong_in(aside, known, program, image.answered)
            except Exception as error:  # noqa: BLE001 - whatever it is, the table tells of it
                found = [repr(error)]
            row.add([f"image {place}, {image.what}: {each}" for each in found])
            row.faults += 1
            if not found and place % 3 == 0:
                shutil.rmtree(self.folder, ignore_errors=True)
                shutil.copytree(aside, self.folder, copy_function=shutil.copy2)
                chosen = known
        self.known = chosen
        row.rounds += 1


_PROGRAMS: Final = 6


def rounds(folder: Path, seed: int, first: int) -> Iterator[Row]:
    """Yield a row for each machine, whose power fails while several programs write, one after the other."""
    for begin in itertools.count(first - first % _PROGRAMS, _PROGRAMS):
        machine, row = Machine(folder / "h"), Row("power", "power cut: unsynced writes are lost", seed, begin)
        shutil.rmtree(machine.folder, ignore_errors=True)
        with row.timed():
            for number in range(begin, begin + _PROGRAMS):
                asyncio.run(machine.round(number, seed, row))
        yield row
