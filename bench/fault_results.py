"""What came of faults: rows, which a file keeps as lines of JSON, and the table of them all."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

_MOST_REMARKS = 5
_MOST_SHOWN = 3


@dataclass
class Row:
    """Some rounds of a part, one after the other.

    Attributes:
        part: of the command.
        what: was done.
        seed: decided it.
        first: the number of the first round.
        rounds: how many.
        faults: how many there were.
        calls: how many were answered for.
        lost: how many of these are not there, or are not as they were answered, and how many problems were left.
        unclear: how many errors were not a clear sentence.
        entries: how many entries of the registry and lines of the audit log are not there.
        returned: how many deleted runs are there again.
        seconds: how long it took.
        load: of the machine meanwhile: how many wanted to run.
        remarks: what is worth knowing.
    """

    part: str
    what: str
    seed: int
    first: int
    rounds: int = 0
    faults: int = 0
    calls: int = 0
    lost: int = 0
    unclear: int = 0
    entries: int = 0
    returned: int = 0
    seconds: float = 0.0
    load: float = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether something is wrong."""
        return bool(self.lost or self.unclear)

    def add(self, wrong: Iterable[str], unclear: Iterable[str] = ()) -> None:
        """Count what is wrong after a round, and the errors in it that are not clear."""
        lost, odd = list(wrong), list(unclear)
        self.lost += len(lost)
        self.unclear += len(odd)
        self.remarks += [f"round {self.first + self.rounds}: {each}" for each in (*lost, *odd)[:_MOST_REMARKS]]

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Note how long the block takes, and the load of the machine."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began
            self.load = os.getloadavg()[0]


def keep(path: Path | None, row: Row) -> None:
    """Add a row to a file of results."""
    if path is not None:
        with path.open("ab") as file:
            file.write(orjson.dumps(asdict(row), option=orjson.OPT_APPEND_NEWLINE))


def kept(path: Path | None) -> Iterator[Row]:
    """Return the rows of a file of results."""
    if path is not None and path.exists():
        with path.open("rb") as file:
            for line in file:
                yield Row(**orjson.loads(line))


def ended_at(rows: Iterable[Row], part: str, seed: int) -> int:
    """Return the number of the round with which a part goes on."""
    return max((row.first + row.rounds for row in rows if (row.part, row.seed) == (part, seed)), default=0)


_COLUMNS = ("rounds", "faults", "calls", "lost", "unclear", "entries", "returned")
_HEAD = (
    "what",
    "rounds",
    "faults",
    "calls answered for",
    "lost",
    "unclear errors",
    "entries lost",
    "deleted runs back",
)


def table(rows: Sequence[Row]) -> str:
    """Return a table of *rows*, a line for each thing that was done, and how to repeat what has failed."""
    by_what: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_what.setdefault((row.part, row.what), []).append(row)
    head = [*_HEAD, "minutes", "load", "seeds"]
    lines = [head, ["---"] * len(head)]
    for (_, what), group in by_what.items():
        figures = [f"{sum(getattr(row, name) for row in group):,}" for name in _COLUMNS]
        minutes = f"{sum(row.seconds for row in group) / 60:.1f}"
        load = f"{sum(row.load for row in group) / len(group):.1f}"
        seeds = ", ".join(map(str, sorted({row.seed for row in group})))
        lines.append([what, *figures, minutes, load, seeds])
    told = [f"| {' | '.join(cells)} |" for cells in lines]
    for group in by_what.values():
        told += _remarks(group)
    return "\n".join(told)


def _remarks(group: Sequence[Row]) -> list[str]:
    """Return the first remarks of a line of the table, and how to repeat the first rows that have failed."""
    remarks = [f"{row.what}, {remark}" for row in group for remark in row.remarks]
    again = [
        f"  again: scripts/faults --part {row.part} --seed {row.seed} --first {row.first} --rounds {row.rounds}"
        for row in group
        if row.has_failed
    ]
    more = len(remarks) - _MOST_SHOWN
    return [*remarks[:_MOST_SHOWN], *([f"  and {more} more remarks"] if more > 0 else []), *again[:_MOST_SHOWN]]
