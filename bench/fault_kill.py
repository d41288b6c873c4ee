"""``kill -9`` at random moments under load: what was answered before has to be there, in the database and in the files.

And the worst case: a disk that is full for a while, a kill in the middle of it, and flipped bits later.
"""

import asyncio
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from bench.fault_damage import BEGAN, chance_of, copy_folder, examined, flip, opened, problems_of
from execution_history.errors import ExecutionHistoryError
from execution_history.records.record import RecordChange, new_document
from execution_history.stores import SQLiteStore

_CALLERS = 16
_LONGEST = 1.0
_DISK_BYTES = 12_000_000
_BALLAST_BYTES = 3_000_000
_FULL_SECONDS = 4.0

Answers = dict[tuple[str, str], str]
"""The last status of each run that was answered for."""


async def write_for_ever(folder: Path, name: str) -> None:
    """Create and end runs, and write a line to the standard output for each call that was answered.

    Where the disk is full, a line says so, and the next run is tried a little later.
    """
    store = SQLiteStore(folder)
    await store.open()

    async def one(workflow_id: str, execute_id: str, size: int) -> None:
        now = BEGAN + time.time_ns() // 1_000_000 % 10**9
        text = {"text": "x" * size}
        await store.create(new_document(workflow_id=workflow_id, execute_id=execute_id, now=now, parameters=text))
        os.write(1, f"running {workflow_id} {execute_id}\n".encode())
        await store.update(workflow_id, execute_id, RecordChange.of(now + 1, "success", None))
        os.write(1, f"success {workflow_id} {execute_id}\n".encode())

    async def caller(number: int) -> None:
        for count in range(1_000_000):
            try:
                await one(f"w{number % 4}", f"{name}-{number}-{count}", count * 397 % 3_000)
            except ExecutionHistoryError:
                os.write(1, b"refused - -\n")
                await asyncio.sleep(0.05)

    await asyncio.gather(*map(caller, range(_CALLERS)))


@dataclass
class Writing:
    """What a program that was killed has written.

    Attributes:
        answered: what it answered for.
        refused: how many calls it refused.
    """

    answered: Answers = field(default_factory=dict)
    refused: int = 0


def killed(
    folder: Path,
    name: str,
    chance: random.Random,
    *,
    at_least: float = 0.0,
    look: Callable[[Writing], None] = lambda _: None,
) -> Writing:
    """Start a program that writes, kill it at a random moment, and return what it answered.

    Args:
        folder: of its history.
        name: begins the ids of its runs.
        chance: decides when.
        at_least: so many seconds after its first answer, at the earliest.
        look: called now and then with what was answered so far.
    """
    command = [sys.executable, "-m", "bench.faults", "--write", str(folder), "--name", name]
    written, rest, end = Writing(), b"", None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        while process.poll() is None:
            select.select([process.stdout], [], [], 0.01)
            rest = _read(written, rest + (process.stdout.read() or b""))
            look(written)
            if end is None and written.answered:
                end = time.monotonic() + at_least + chance.random() * _LONGEST
            if end is not None and time.monotonic() > end:
                process.kill()
                break
        process.wait()
        os.set_blocking(process.stdout.fileno(), True)
        _read(written, rest + process.stdout.read())
    return written


def _read(written: Writing, output: bytes) -> bytes:
    """Note the whole lines of *output*; return what follows them."""
    *lines, rest = output.split(b"\n")
    for line in lines:
        status, workflow_id, execute_id = line.decode().split()
        if status == "refused":
            written.refused += 1
        else:
            written.answered[workflow_id, execute_id] = status
    return rest


async def missing(folder: Path, answered: Answers) -> list[str]:
    """Return what is not there although it was answered, in the database or in the JSON files."""
    found = []
    async with opened(folder) as store:
        for key, status in answered.items():
            body = await store.get(*key)
            if body is None or (status == "success" and b'"success"' not in body):
                found.append(f"{key} is not {status} in the database")
    for path in await asyncio.to_thread(lambda: list(folder.glob("*.json"))):
        content = orjson.loads(path.read_bytes())
        shown = {record["execute_id"]: record["execute_status"] for record in content["histories"]}
        for (workflow_id, execute_id), status in answered.items():
            if workflow_id == path.stem and shown.get(execute_id) not in {status, "success"}:
                found.append(f"{workflow_id}/{execute_id} is not {status} in its file")
    return found + list(problems_of(await examined(folder)))


def worst_case(scratch: Path, number: int, seed: int) -> tuple[Writing, list[str]]:
    """Fill a small disk, give some space back, kill; then flip bits, and have the doctor repair.

    Returns:
        What was answered, and what of it is missing in the end.

    Raises:
        OSError: no small disk can be made here.
    """
    disk, folder, chance = scratch / "disk", scratch / "h", chance_of(f"{seed} {number}")
    disk.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(disk))
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(_BALLAST_BYTES))

        def give_space_back(written: Writing) -> None:
            if written.refused > _CALLERS:
                ballast.unlink(missing_ok=True)

        written = killed(disk / "h", f"p{number}", chance, at_least=_FULL_SECONDS, look=give_space_back)
        copy_folder(disk / "h", folder)
    finally:
        _run("umount", str(disk))
    asyncio.run(_opened_once(folder))  # the program is started again, and goes on, before the disk turns bits round
    flip(folder / "history.db", chance, 8)
    flip(chance.choice(sorted(folder.glob("*.json"))), chance, 2)
    asyncio.run(examined(folder, repair=True))
    return written, asyncio.run(missing(folder, written.answered))


async def _opened_once(folder: Path) -> None:
    async with opened(folder) as store:
        with suppress(ExecutionHistoryError):
            await store.flush()


def _run(*command: str) -> None:
    if subprocess.run(command, check=False, capture_output=True).returncode:
        raise OSError(f"{command[0]} is not possible here")
