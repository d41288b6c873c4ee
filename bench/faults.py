"""``python -m bench.faults``: faults of processes and disks, and what became of the runs that were answered for.

Each part goes on for ever, round after round, until its time or its number of rounds has come; a seed and the number of
a round decide what is done in it, but for the moments of real kills. What came of it is added to a file of results, so
that a run over several calls gives one table. The command ends with 1 when a run was lost that was answered for, when a
problem was left, or when an error was not clear; the table tells how to repeat each such round.
"""

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench import (
    fault_clock,
    fault_damage,
    fault_disk,
    fault_kill,
    fault_postgres,
    fault_power,
    fault_worst,
    fault_writers,
)
from bench.fault_results import Row, ended_at, keep, kept, table

PARTS: Final[dict[str, Callable[[Path, int, int], Iterator[Row]]]] = {
    "kill": fault_kill.rounds,
    "writers": fault_writers.rounds,
    "power": fault_power.rounds,
    "disk": fault_disk.rounds,
    "clock": fault_clock.rounds,
    "damage": fault_damage.rounds,
    "worst": fault_worst.rounds,
    "postgres": fault_postgres.rounds,
}
"""Each part: called with an empty folder, the seed, and the number of its first round."""


def run(rows: Iterator[Row], seconds: float, rounds: int | None) -> Iterator[Row]:
    """Yield rows for so many seconds, or for so many rounds where that is given; one at least."""
    end, done = time.monotonic() + seconds, 0
    for row in rows:
        done += row.rounds
        yield row
        if done >= rounds if rounds is not None else time.monotonic() > end:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="a random one by default")
    parser.add_argument("--minutes", type=float, default=5.0, help="for all parts together")
    parser.add_argument("--rounds", type=int, help="of each part, whatever time it takes")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one; may be repeated")
    parser.add_argument("--first", type=int, help="the number of the first round; by default where the results end")
    parser.add_argument("--folder", type=Path, help="where histories are made; a temporary one by default")
    parser.add_argument("--results", type=Path, help="the file of results that is added to")
    parser.add_argument("--show", action="store_true", help="only print the table of the results")
    given = parser.parse_args(arguments)
    earlier = list(kept(given.results))
    if given.show:
        print(table(earlier))
        return int(any(row.has_failed for row in earlier))
    chosen = given.part or list(PARTS)
    if "disk" in chosen and not fault_disk.has_system_faults():
        again = ["-m", "bench.faults", *(sys.argv[1:] if arguments is None else arguments)]
        if (code := fault_disk.run_with_system_faults(again)) is not None:
            return code
        print("there is no C compiler (cc): only errors below SQLite are tried")
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    logging.disable()  # what is logged of each fault is expected
    print(f"seed {seed}", flush=True)
    found: list[Row] = []
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="faults-") as scratch:
        os.environ["XDG_STATE_HOME"] = str(Path(scratch) / "state")
        for name in chosen:
            folder = Path(scratch) / name
            folder.mkdir()
            first = ended_at(earlier, name, seed) if given.first is None else given.first
            for row in run(PARTS[name](folder, seed, first), given.minutes * 60 / len(chosen), given.rounds):
                found.append(row)
                keep(given.results, row)
    print(table([*earlier, *found]))
    return int(any(row.has_failed for row in found))


if __name__ == "__main__":
    sys.exit(main())
