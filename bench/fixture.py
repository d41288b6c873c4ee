"""``python -m bench fixture``: a history as large as one likes, the same from the same numbers.

The records are those of :mod:`bench.records`, spread over 30 days and with more to find them by: three in five runs are
streamed, one in twenty asynchronous; five accounts and eight calling programs, each half as frequent as the one before;
a conversation has three runs; durations are lognormal around 3 s; two in a hundred have one of twenty tags, one in a
thousand a pin, one in a hundred a rating; nineteen in twenty know their id upstream. Five workflows have a tenth of all
runs each, so that there are large ones to delete; 95 share the rest.

A history is made in two steps, both through the store's own doors. The records are merged in groups, as an import does
it, without JSON files; other processes make them meanwhile. When the history is then opened with JSON files, the store
writes all of these from the database, which costs less than keeping them current, and the result is the same. What is
cut short goes on where it was.
"""

import multiprocessing
import os
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from bench.records import Run, runs

_DAYS: Final = 30 * 86_400_000
_CALLERS: Final = [f"program-{number}" for number in range(8)]
_ACCOUNTS: Final = [f"account-{number}" for number in range(5)]
_HALVES: Final = [2.0**-number for number in range(8)]
CHUNK: Final = 2_000
TEXTS: Final = 100_000
"""So many short runs have texts of their own; those after them repeat these."""

_LARGE: Final = 5


@dataclass(frozen=True, slots=True)
class Fixture:
    """So many *runs* of the thirty days before *end*, in milliseconds since the epoch; their documents may be short."""

    runs: int
    end: int
    is_short: bool = False

    def records(self, first: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the records in the order of their time, from the chunk that the number *first* is in."""
        for begin in range(first - first % CHUNK, self.runs, CHUNK):
            yield from self.chunk(begin)

    def chunk(self, begin: int) -> Iterator[dict[str, Any]]:
        """Yield the records of the chunk that begins with this number; each chunk is made from a seed of its own."""
        count = min(CHUNK, self.runs - begin)
        if self.is_short:
            known = islice(_short_records(begin % TEXTS), count)
            return (self._repeated(record, number) for number, record in enumerate(known, begin))
        chance = random.Random(begin)
        made = runs(count, seed=begin + 1, first=begin)
        return (self._varied(run, number, chance) for number, run in enumerate(made, begin))

    def write(self, path: Path) -> str:
        """Write the records as JSON Lines, and return the id of the newest."""
        record: dict[str, Any] = {}
        with path.open("wb") as file:
            for record in self.records():
                file.write(orjson.dumps(record) + b"\n")
        return str(record["execute_id"])

    def large_workflows(self) -> list[str]:
        """Return the ids of the workflows that have a tenth of the runs each."""
        return [f"large-{number}" for number in range(_LARGE)]

    def _varied(self, run: Run, number: int, chance: random.Random) -> dict[str, Any]:
        record = run.record()
        if chance.random() < 0.5:
            record["workflow_id"] = f"large-{chance.randrange(_LARGE)}"
        record["create_time"] = self._time(number)
        record["update_time"] = record["create_time"] + int(chance.lognormvariate(8, 1))
        record["run_mode"] = chance.choices((1, 0, 2), (60, 35, 5))[0]
        if record["conversation_id"] is not None:
            record["conversation_id"] = _conversation(number)
        metadata: dict[str, Any] = {
            "account": chance.choices(_ACCOUNTS, _HALVES[:5])[0],
            "caller": {"name": chance.choices(_CALLERS, _HALVES)[0]},
        }
        if number % 20 == 17 if self.is_short else chance.random() < 0.95:
            metadata["coze_execute_id"] = _upstream(number)
        if chance.random() < 0.02:
            metadata["tags"] = [f"tag-{chance.randrange(20)}"]
        if chance.random() < 0.001:
            metadata["pinned"] = True
        if chance.random() < 0.01:
            metadata["rating"] = chance.randrange(1, 6)
        record["metadata"] = metadata
        return record

    def _repeated(self, record: dict[str, Any], number: int) -> dict[str, Any]:
        create_time, metadata = self._time(number), record["metadata"]
        digits, execute_id = f"{create_time:012x}", record["execute_id"]
        if "coze_execute_id" in metadata:
            metadata = {**metadata, "coze_execute_id": _upstream(number)}
        return {
            **record,
            "execute_id": f"{digits[:8]}-{digits[8:]}{execute_id[13:]}",
            "create_time": create_time,
            "update_time": create_time + record["update_time"] - record["create_time"],
            "conversation_id": record["conversation_id"] and _conversation(number),
            "metadata": metadata,
        }

    def _time(self, number: int) -> int:
        return self.end - (self.runs - number) * _DAYS // self.runs


@cache
def _short_records(begin: int) -> Sequence[dict[str, Any]]:
    """Return the records of a chunk of short runs with texts of their own."""
    fixture, chance = Fixture(TEXTS, 0, is_short=True), random.Random(begin)
    made = runs(CHUNK, seed=begin + 1, first=begin, is_short=True)
    return [fixture._varied(run, number, chance) for number, run in enumerate(made, begin)]  # noqa: SLF001 - of this module


def _conversation(number: int) -> str:
    return str(7_500_000_000_000_000_000 + number // 12)


def _upstream(number: int) -> str:
    return str(7_600_000_000_000_000_000 + number)


def known(folder: Path) -> Fixture | None:
    """Return the fixture that was made or begun in *folder*."""
    path = folder / "fixture.json"
    return Fixture(**orjson.loads(path.read_bytes())) if path.exists() else None


async def make(folder: Path, count: int, *, is_short: bool = False, json_files: bool = True) -> None:
    """Make a history of *count* runs in *folder* / ``history``, or go on with it.

    Raises:
        SystemExit: there is another one.
    """
    from execution_history import ExecutionHistoryService  # noqa: PLC0415 - this module describes records without it

    fixture, place, began = begun(folder, count, is_short=is_short), folder / "history", time.monotonic()
    async with ExecutionHistoryService(place, json_files=False) as service:
        there = sum(each.total for each in await service.workflow_summaries())
        progress = Progress("records", count, there)
        for group in _chunks(fixture, there):
            report = await service.merge(_documents(group), settle=False)
            progress.add(report.added)
        progress.end()
    step = time.monotonic()
    async with ExecutionHistoryService(place, json_files=json_files) as service:
        await service.flush()
        if json_files:
            print(f"JSON files: {time.monotonic() - step:,.0f} s", flush=True)
        step = time.monotonic()
        await service.follow_index()
        print(f"index: {time.monotonic() - step:,.0f} s", flush=True)
    size = sum(path.stat().st_size for path in place.iterdir())
    print(f"{count:,} runs, {size / 1e9:,.1f} GB, {time.monotonic() - began:,.0f} s in all")


def begun(folder: Path, count: int, *, is_short: bool = False) -> Fixture:
    """Note in *folder* what is made there, or read it.

    Raises:
        SystemExit: it is another one.
    """
    fixture = known(folder) or Fixture(count, int(time.time() * 1000), is_short)
    if (fixture.runs, fixture.is_short) != (count, is_short):
        kind = "short" if fixture.is_short else "usual"
        raise SystemExit(f"{folder} has a history of {fixture.runs:,} {kind} runs: give another folder, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fixture.json").write_bytes(orjson.dumps(asdict(fixture)))
    return fixture


def _lines(fixture: Fixture, begin: int) -> list[bytes]:
    return [orjson.dumps(record) for record in fixture.chunk(begin)]


def _chunks(fixture: Fixture, first: int) -> Iterator[list[bytes]]:
    """Yield the records as JSON, chunk by chunk; other processes make them, a few chunks ahead."""
    begins = iter(range(first - first % CHUNK, fixture.runs, CHUNK))
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        ahead = deque(pool.submit(_lines, fixture, begin) for begin in islice(begins, 2 * processes))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(_lines, fixture, begin) for begin in islice(begins, 1))


def _documents(group: Sequence[bytes]) -> list[Any]:
    from execution_history.records.record import Document  # noqa: PLC0415 - as above

    return [Document.of(orjson.loads(line), line) for line in group]


class Progress:
    """Prints how far something is, every few seconds."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self._name, self._total, self._done, self._first = name, total, done, done
        self._began = self._shown = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._shown > 5:
            self._shown = time.monotonic()
            self.end()

    def end(self) -> None:
        rate = (self._done - self._first) / max(0.001, time.monotonic() - self._began)
        left = (self._total - self._done) / rate if rate else 0.0
        print(f"{self._name}: {self._done:,} of {self._total:,}, {rate:,.0f} a second, {left:,.0f} s left", flush=True)
