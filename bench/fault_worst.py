"""The worst case: a full disk, a kill in the middle of it, a power cut, flipped bits, and at last nothing at all.

After the first three the history goes on; after the bits the doctor repairs it, and what it names as lost, because its
JSON file was damaged too, is taken from a backup; after the loss of everything the backup is restored. Each time every
run is there that was answered for, to the byte; after the doctor but for those that it names as proven by nothing.
"""

import asyncio
import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.fault_damage import chance_of, content, copy_folder, examined, flip, opened, problems_of, some_json
from bench.fault_kill import CALLERS, Writing, killed
from bench.fault_load import Known
from bench.fault_power import images_of, wrong_in
from bench.fault_results import Row
from execution_history import ExecutionHistoryService
from execution_history.maintenance.backup.missing import restore_missing
from execution_history.maintenance.backup.restoration import restore
from execution_history.maintenance.backup.target import target_at
from execution_history.maintenance.backup.writer import back_up
from execution_history.settings import Settings

_DISK_BYTES: Final = 12_000_000
_BALLAST_BYTES: Final = 3_000_000
_FULL_SECONDS: Final = 2.5
_BITS: Final = 8
_BITS_OF_FILE: Final = 2


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Yield a small disk at *place*.

    Raises:
        OSError: none can be made here.
    """
    place.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


def _run(*command: str) -> None:
    if subprocess.run(command, check=False, capture_output=True).returncode:
        raise OSError(f"{command[0]} is not possible here")


def filled(scratch: Path, folder: Path, name: str, chance: random.Random, seconds: float) -> Writing:
    """Have a program fill a small disk, give some space back, and kill it; *folder* gets what it has left.

    Raises:
        OSError: no small disk can be made here.
    """
    with small_disk(scratch / "disk") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(_BALLAST_BYTES))

        def give_space_back(refused: Path) -> None:
            if refused.exists() and refused.read_bytes().count(b"\n") > CALLERS:
                ballast.unlink(missing_ok=True)

        written = killed(disk / "h", name, chance, at_least=seconds, log=scratch / f"{name}.log", look=give_space_back)
        copy_folder(disk / "h", folder)
    return written


def _is_in(key: tuple[str, str], sentences: str) -> bool:
    return "/".join(key) in sentences


async def _repaired(folder: Path, backups: Path, chance: random.Random, row: Row) -> list[str]:
    """Flip bits, have the doctor repair, take what is lost from the backup, and return what is wrong then."""
    copy_folder(folder, folder.with_name("read"))
    before, _ = await content(folder.with_name("read"))
    flip(folder / "history.db", chance, _BITS)
    flip(some_json(folder, chance), chance, _BITS_OF_FILE)
    reports = await examined(folder, repair=True)
    said = " ".join(str(sentence) for report in reports for sentence in report.repaired)
    problems = " ".join(problems_of(reports))
    now, _ = await content(folder)
    gone = before.keys() - now.keys()
    found = [f"{each} is gone, and not named" for each in gone if not _is_in(each, f"{said} {problems}")]
    row.remarks += [f"round {row.first}: {each} was damaged in both places" for each in gone]
    async with ExecutionHistoryService(folder) as service:
        await restore_missing(target_at(backups), service)
    now, _ = await content(folder)
    row.returned += len(now.keys() - before.keys())
    other = [each for each in before if now.get(each) != before[each]]
    row.remarks += [f"round {row.first}: {each} is as a damaged file has it" for each in other if _is_in(each, said)]
    found += [f"{each} is {'another one' if each in now else 'gone'}" for each in other if not _is_in(each, said)]
    return found + [f"not repaired: {each}" for each in problems_of(await examined(folder))]


async def _restored(folder: Path, backups: Path, known: Known, chance: random.Random) -> list[str]:
    """Lose the database and a JSON file, restore the backup, and return what is wrong then."""
    (folder / "history.db").write_bytes(b"")
    some_json(folder, chance).unlink()
    await restore(target_at(backups), Settings(store=str(folder)), replace=True)
    async with opened(folder) as store:
        found = await known.compare(store)
    return found + await asyncio.to_thread(known.compare_files, folder)


async def _go_on(scratch: Path, folder: Path, written: Writing, chance: random.Random, row: Row) -> list[str]:
    """Go through the rest of the worst case; return what is wrong."""
    known = Known()
    async with opened(folder) as store:
        found = await known.learn(store, written.program, written.answered)
    load, images = await images_of(folder, "power", chance)
    row.calls += written.calls + load.calls
    row.add([], load.odd)
    image = images[-1]
    image.write(folder)
    found += await wrong_in(folder, known, "power", image.answered)
    async with ExecutionHistoryService(folder) as service:
        await back_up(service, target_at(scratch / "backups"))
    # What is gone with a page of deletions comes back, from another page or from its JSON file: that is counted only.
    found += [f"after the doctor: {each}" for each in await _repaired(folder, scratch / "backups", chance, row)]
    return found + [f"after restoring: {each}" for each in await _restored(folder, scratch / "backups", known, chance)]


def rounds(folder: Path, seed: int, first: int, seconds: float = _FULL_SECONDS) -> Iterator[Row]:
    """Yield a row for each round, in which the disk is written for so many seconds at least."""
    for number in itertools.count(first):
        row = Row("worst", "full disk, kill -9, power cut, flipped bits, loss of all", seed, number)
        chance = chance_of(f"{seed} {number}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with row.timed():
            try:
                written = filled(folder, folder / "h", f"p{number}", chance, seconds)
            except OSError as error:
                row.remarks.append(f"left out: {error}")
                yield row
                return
            row.add(asyncio.run(_go_on(folder, folder / "h", written, chance, row)))
        if not written.refused:
            row.remarks.append(f"round {number}: the disk was never full")
        row.rounds, row.faults = 1, 5
        yield row
