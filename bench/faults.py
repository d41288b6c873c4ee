"""``python -m bench.faults``: faults of processes and disks, and what became of the runs that were answered for.

Four parts, each with a share of the time: programs killed with ``kill -9`` under load; a file system that fails below
SQLite at the n-th call, for every n; a disk that is full, a kill in the middle of it and flipped bits later; bits, pages
and files damaged, and repaired by the doctor. A seed makes a run repeatable, but for the moments of the kills. The
command prints a table, and ends with 1 when a run was lost that was answered for, or a problem was left.
"""

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.fault_damage import DAMAGES, content, copy_folder, make_folder, repaired
from bench.fault_disk import ROUNDS, faulty_files, series
from bench.fault_kill import Answers, killed, missing, worst_case, write_for_ever

_RUNS = 600
_FRESH = 20


@dataclass
class Row:
    """A line of the table: what was done how often, and what came of it.

    Attributes:
        what: was done.
        rounds: how often.
        faults: how many there were.
        calls: that were answered for, each a run that was created or ended.
        lost: how many of these are not there, and how many problems were left.
        entries: how many entries of the registry and lines of the audit log are not there.
        returned: how many deleted runs are there again.
        remarks: what is worth knowing.
    """

    what: str
    rounds: int = 0
    faults: int = 0
    calls: int = 0
    lost: int = 0
    entries: int = 0
    returned: int = 0
    remarks: list[str] = field(default_factory=list)


def kills(folder: Path, seconds: float, chance: random.Random) -> list[Row]:
    """Kill programs for so long."""
    row, end = Row("kill -9 under load"), time.monotonic() + seconds
    answered: Answers = {}
    while time.monotonic() < end or not row.rounds:
        if row.rounds % _FRESH == 0:
            shutil.rmtree(folder, ignore_errors=True)
            answered = {}
        found = killed(folder, f"p{row.rounds}", chance).answered
        answered |= found
        row.rounds += 1
        row.faults += 1
        row.calls += sum(1 + (status == "success") for status in found.values())
        gone = asyncio.run(missing(folder, answered))
        row.lost += len(gone)
        row.remarks += [f"round {row.rounds}: {each}" for each in gone[:3]]
    return [row]


def worst(folder: Path, seconds: float, seed: int) -> list[Row]:
    """Go through the worst case for so long."""
    row, end = Row("full disk, kill -9, flipped bits"), time.monotonic() + seconds
    while time.monotonic() < end or not row.rounds:
        try:
            written, gone = worst_case(folder, row.rounds, seed)
        except OSError as error:
            row.remarks.append(f"left out: {error}")
            break
        row.rounds += 1
        row.faults += 3
        row.calls += sum(1 + (status == "success") for status in written.answered.values())
        row.lost += len(gone)
        row.remarks += [f"round {row.rounds}: {each}" for each in gone[:3]]
        if not written.refused:
            row.remarks.append(f"round {row.rounds}: the disk was never full")
    return [row]


def disk_faults(folder: Path, seconds: float) -> list[Row]:
    """Fail below SQLite; where there is no time for every call, at some of them."""
    rows, began = [], time.monotonic()
    with faulty_files():
        for number, (name, error, kinds, length) in enumerate(ROUNDS):
            left = seconds - (time.monotonic() - began)
            is_late = left <= seconds * (len(ROUNDS) - number) / len(ROUNDS) / 2
            step = 1 if not is_late else 7 if seconds else 97
            rounds, faults, calls, wrong = asyncio.run(series(folder, error, kinds, length, step))
            what = name if step == 1 else f"{name} (every {step}th)"
            rows.append(Row(what, rounds, faults, calls, len(wrong), remarks=wrong[:5]))
    return rows


def damages(folder: Path, seconds: float, seed: int, runs: int = _RUNS) -> list[Row]:
    """Damage and repair histories for so long."""
    rows = {damage.name: Row(damage.name) for damage in DAMAGES}
    whole = folder / "whole"
    asyncio.run(make_folder(whole, runs, seed))
    copy_folder(whole, folder / "read")
    known = asyncio.run(content(folder / "read"))
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end or not number:
        damage, chance = DAMAGES[number % len(DAMAGES)], random.Random(f"{seed} {number}")
        row, number = rows[damage.name], number + 1
        copy_folder(whole, folder / "damaged")
        done = damage.do(folder / "damaged", chance)
        try:
            outcome = asyncio.run(repaired(folder / "damaged", known))
        except Exception as error:  # noqa: BLE001 - whatever it is, the table tells of it
            row.lost += 1
            row.remarks.append(f"round {number}, {done}: {error!r}")
            continue
        row.rounds, row.faults, row.calls = row.rounds + 1, row.faults + 1, row.calls + len(known[0])
        row.lost += outcome.lost
        row.entries += outcome.entries
        row.returned += outcome.returned
        if outcome.lost or outcome.left:
            row.remarks.append(f"round {number}, {done}: {outcome}")
    return list(rows.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, or the one that is named; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--minutes", type=float, default=3.0, help="for all parts together")
    parser.add_argument("--part", choices=["kills", "disk", "worst", "damage"], help="only this one")
    parser.add_argument("--folder", type=Path, help="where histories are made; a temporary one by default")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.write is not None:
        asyncio.run(write_for_ever(given.write, given.name))
    parts: dict[str, Callable[[Path, float], list[Row]]] = {
        "kills": lambda folder, seconds: kills(folder, seconds, random.Random(given.seed)),
        "disk": disk_faults,
        "worst": lambda folder, seconds: worst(folder, seconds, given.seed),
        "damage": lambda folder, seconds: damages(folder, seconds, given.seed),
    }
    logging.disable()  # what is logged of each fault is expected
    chosen = [given.part] if given.part else list(parts)
    print(f"seed {given.seed}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        os.environ["XDG_STATE_HOME"] = str(Path(scratch) / "state")
        for name in chosen:
            folder = Path(scratch) / name
            folder.mkdir()
            rows += parts[name](folder / "h" if name in {"kills", "disk"} else folder, given.minutes * 60 / len(chosen))
    print("\n| what | rounds | faults | calls answered for | lost | entries lost | deleted runs back |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        figures = (row.rounds, row.faults, row.calls, row.lost, row.entries, row.returned)
        print(f"| {row.what} | {' | '.join(f'{figure:,}' for figure in figures)} |")
    for row in rows:
        for remark in row.remarks:
            print(f"{row.what}: {remark}")
    return int(any(row.lost for row in rows))


if __name__ == "__main__":
    sys.exit(main())
