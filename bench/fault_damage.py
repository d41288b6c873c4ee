"""Damage done to a history on a disk: bits flipped, pages zeroed, files cut or removed; then repaired by the doctor."""

import asyncio
import itertools
import os
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.fault_results import Row
from execution_history.maintenance.doctor import CheckReport, Doctor
from execution_history.records.record import RecordChange, new_document
from execution_history.settings import Settings
from execution_history.stores import SQLiteStore

BEGAN = 1_700_000_000_000
RUNS = 600
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind of damage: what is done to which file of a folder, with what chance decides."""

    name: str
    do: Callable[[Path, random.Random], str]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of one round.

    Attributes:
        found: how many problems the doctor found.
        left: how many it left.
        lost: how many records were gone or other ones afterwards.
        returned: how many deleted records were there again.
        entries: how many entries of the registry and lines of the audit log were.
        done: what the doctor did.
    """

    found: int
    left: int
    lost: int
    returned: int
    entries: int
    done: list[str]


def chance_of(seed: object) -> random.Random:
    """Return the chance that *seed* begins; the same one decides in the same way."""
    return random.Random(str(seed))


def flip(path: Path, chance: random.Random, bits: int) -> str:
    """Turn *bits* bits of a file round; its time stays as it was, as on a disk that does it."""
    status = path.stat()
    places = []
    with path.open("r+b") as file:
        for _ in range(bits):
            place = chance.randrange(status.st_size * 8)
            places.append(place)
            file.seek(place // 8)
            [byte] = file.read(1)
            file.seek(place // 8)
            file.write(bytes([byte ^ 1 << place % 8]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return f"{path.name} bits {places}"


def zero(path: Path, chance: random.Random, pages: int, first: int | None = None) -> str:
    """Overwrite some pages of a file with zeros."""
    status = path.stat()
    count = max(1, status.st_size // _PAGE)
    at = chance.randrange(count) if first is None else first
    with path.open("r+b") as file:
        file.seek(at * _PAGE)
        file.write(bytes(min(pages * _PAGE, status.st_size - at * _PAGE)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return f"{path.name} pages {at}…{at + pages - 1} zeroed"


def cut(path: Path, chance: random.Random) -> str:
    """Cut the end of a file off."""
    size = chance.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"{path.name} cut to {size}"


def remove(path: Path, _: random.Random) -> str:
    """Remove a file."""
    path.unlink()
    return f"{path.name} removed"


def some_json(folder: Path, chance: random.Random) -> Path:
    """Return one of the JSON files."""
    return chance.choice(sorted(folder.glob("*.json")))


DAMAGES = (
    Damage("bits of history.db", lambda f, c: flip(f / "history.db", c, c.randint(1, 12))),
    Damage("pages of history.db", lambda f, c: zero(f / "history.db", c, c.randint(1, 5))),
    Damage("header of history.db", lambda f, c: zero(f / "history.db", c, 1, 0)),
    Damage("history.db cut", lambda f, c: cut(f / "history.db", c)),
    Damage("history.db removed", lambda f, c: remove(f / "history.db", c)),
    Damage("bits of the log", lambda f, c: flip(f / "history.db-wal", c, c.randint(1, 4))),
    Damage("the log cut", lambda f, c: cut(f / "history.db-wal", c)),
    Damage("bits of index.db", lambda f, c: flip(f / "index.db", c, c.randint(1, 6))),
    Damage("index.db cut", lambda f, c: cut(f / "index.db", c)),
    Damage("bits of a JSON file", lambda f, c: flip(some_json(f, c), c, c.randint(1, 4))),
    Damage("a JSON file cut", lambda f, c: cut(some_json(f, c), c)),
    Damage("a JSON file removed", lambda f, c: remove(some_json(f, c), c)),
    Damage(
        "bits of database and JSON file", lambda f, c: f"{flip(f / 'history.db', c, 2)}; {flip(some_json(f, c), c, 2)}"
    ),
)


async def fill(store: SQLiteStore, runs: int, chance: random.Random) -> None:
    """Record runs of several workflows, small and large, ended and not, and what is not a record."""

    async def one(number: int) -> None:
        workflow_id, execute_id = f"w{number % 5}", f"run-{number:05d}"
        parameters = {"text": chance.randbytes(chance.choice([20, 200, 4000])).hex()}
        await store.create(
            new_document(workflow_id=workflow_id, execute_id=execute_id, now=BEGAN + number, parameters=parameters)
        )
        if number % 11:
            change = RecordChange.of(
                BEGAN + 5_000 + number, "success", None, fields={"output": "done " * (number % 30)}
            )
            await store.update(workflow_id, execute_id, change)

    for begin in range(0, runs, 100):
        await asyncio.gather(*(one(number) for number in range(begin, min(runs, begin + 100))))
    for number in range(5):
        await store.put_entry("view", f"view-{number}", orjson.dumps({"number": number}))
        await store.append_audit("bench", f"did {number}")
    await store.delete("w1", "run-00001")


async def make_folder(folder: Path, runs: int, seed: int = 0) -> None:
    """Make a history in *folder* as a killed program leaves it: with a log that is not in the database yet."""
    made = folder.with_name(f"{folder.name}.made")
    store = SQLiteStore(made)
    await store.open()
    await fill(store, runs, random.Random(seed))
    await store.flush()
    await store.follow_index()
    await asyncio.to_thread(copy_folder, made, folder)
    await store.aclose()
    shutil.rmtree(made)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a history, with the times of its files."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=shutil.copy2)


async def content(folder: Path) -> tuple[dict[tuple[str, str], bytes], set[bytes]]:
    """Return the records of a history, and its entries and lines of the audit log but for the doctor's."""
    async with opened(folder) as store:
        records: dict[tuple[str, str], bytes] = {}
        after: Any = None
        while True:
            batch = await store.scan(after, 1_000)
            for body in batch.documents:
                record = orjson.loads(body)
                records[record["workflow_id"], record["execute_id"]] = body
            after = batch.next
            if after is None:
                break
        entries = {entry.value for entry in await store.entries("view")}
        lines = {line.action.encode() for line in await store.audit(0, 100) if line.actor == "bench"}
        return records, entries | lines


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SQLiteStore]:
    """Yield the store in *folder*."""
    store = SQLiteStore(folder)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


async def examined(folder: Path, *, repair: bool = False, is_quick: bool = False) -> list[CheckReport]:
    """Return what the doctor says of a folder."""
    store = SQLiteStore(folder)
    try:
        doctor = Doctor(store, Settings(store=str(folder)))
        return [report async for report in doctor.examine(repair=repair, is_quick=is_quick)]
    finally:
        await store.aclose()


def problems_of(reports: list[CheckReport]) -> Iterator[str]:
    """Yield the problems that are left."""
    return (str(finding.sentence) for report in reports for finding in report.findings if finding.is_problem)


async def repaired(folder: Path, whole: tuple[dict[tuple[str, str], bytes], set[bytes]]) -> Repaired:
    """Have the doctor repair *folder*, and compare what is there then with what was there."""
    before = await examined(folder)
    after = await examined(folder, repair=True)
    records, entries = await content(folder)
    lost = sum(records.get(key) != body for key, body in whole[0].items())
    done = [str(sentence) for report in after for sentence in report.repaired]
    left = len(list(problems_of(await examined(folder))))
    returned = len(records.keys() - whole[0].keys())
    return Repaired(len(list(problems_of(before))), left, lost, returned, len(whole[1] - entries), done)


def rounds(folder: Path, seed: int, first: int, runs: int = RUNS) -> Iterator[Row]:
    """Yield a row for each history that is damaged and repaired, one kind of damage after the other."""
    whole = folder / "whole"
    asyncio.run(make_folder(whole, runs, seed))
    copy_folder(whole, folder / "read")
    known = asyncio.run(content(folder / "read"))
    for number in itertools.count(first):
        damage, chance = DAMAGES[number % len(DAMAGES)], chance_of(f"{seed} {number}")
        row = Row("damage", damage.name, seed, number, faults=1, calls=len(known[0]))
        with row.timed():
            copy_folder(whole, folder / "damaged")
            done = damage.do(folder / "damaged", chance)
            try:
                outcome = asyncio.run(repaired(folder / "damaged", known))
            except Exception as error:  # noqa: BLE001 - whatever it is, the table tells of it
                row.add([f"{done}: {error!r}"])
            else:
                row.lost, row.entries, row.returned = outcome.lost, outcome.entries, outcome.returned
                row.remarks += [f"round {number}, {done}: {outcome}"] if outcome.lost or outcome.left else []
        row.rounds = 1
        yield row
