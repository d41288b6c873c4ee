"""Eight processes of eight threads each on one folder: every answer has to be explained, record by record."""

import asyncio
import itertools
import math
import random
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from bench.fault_damage import examined, opened, problems_of
from bench.fault_kill import forked
from bench.fault_load import is_clear, state_of
from bench.fault_order import Call, Kind, is_explained
from bench.fault_results import Row
from execution_history.clock import now_ms
from execution_history.errors import ExecutionExists, IllegalTransition
from execution_history.query.model import RecordKey
from execution_history.records.record import RecordChange, new_document
from execution_history.stores import SQLiteStore
from execution_history.stores.protocol import HistoryStore

SECONDS: Final = 20.0
"""How long a round takes."""

_PROCESSES: Final = 8
_THREADS: Final = 8
_START_SECONDS: Final = 2.0
_WINDOW_SECONDS: Final = 0.25
_RECORDS: Final = 24
_KINDS: Final[tuple[Kind, ...]] = ("create", "change", "finish", "fail", "get", "delete")
_WEIGHTS: Final = (20, 25, 8, 4, 35, 8)
_PAUSE: Final = 0.05


def key_of(name: str) -> RecordKey:
    """Return the key of the record that is called so."""
    return RecordKey(f"w{int(name.rpartition('-')[2]) % 3}", name)


async def call(store: HistoryStore, kind: Kind, key: RecordKey, mark: int) -> Any:
    """Make a call; return its answer as :class:`~bench.fault_order.Call` has it.

    Raises:
        ExecutionHistoryError: nobody knows whether it was done.
    """
    try:
        if kind == "create":
            await store.create(
                new_document(workflow_id=key[0], execute_id=key[1], now=now_ms(), metadata={"mark": mark})
            )
            return True
        if kind == "get":
            body = await store.get(*key)
            return None if body is None else state_of(body)
        if kind == "delete":
            return await store.delete(*key)
        status = {"finish": "success", "fail": "failed"}.get(kind)
        return await store.update(*key, RecordChange.of(now_ms(), status, {"mark": mark})) is not None
    except ExecutionExists:
        return False
    except IllegalTransition:
        return None


@dataclass
class Caller:
    """What one thread does in a round, and what it was answered."""

    seed: str
    number: int
    begins: float
    ends: float
    calls: list[tuple[str, Kind, int, float, float, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    async def run(self, store: HistoryStore) -> None:
        """Make calls until the round ends."""
        chance = random.Random(f"{self.seed} {self.number}")
        await asyncio.sleep(max(0.0, self.begins - time.monotonic()))
        for count in itertools.count():
            began = time.monotonic()
            if began > self.ends:
                return
            name = f"{int((began - self.begins) / _WINDOW_SECONDS)}-{chance.randrange(_RECORDS)}"
            [kind] = chance.choices(_KINDS, _WEIGHTS)
            mark = count * _PROCESSES * _THREADS + self.number
            try:
                answer = await call(store, kind, key_of(name), mark)
            except Exception as error:  # noqa: BLE001 - whatever it is, the table tells of it
                self.errors.append(repr(error))
                self.unclear += [] if is_clear(error) else [repr(error)]
                if kind != "get":
                    self.calls.append((name, kind, mark, began, -1.0, None))
                continue
            self.calls.append((name, kind, mark, began, time.monotonic(), answer))


async def _follow(store: HistoryStore, ends: float, seen: set[tuple[int, str]]) -> None:
    """Read the change feed to its end, until the round is over."""
    place, is_last = 0, False
    while not is_last:
        is_last = time.monotonic() > ends
        changes = await store.changes(place, 10_000)
        seen |= {(each.revision, each.execute_id or "") for each in changes}
        place = changes[-1].revision if changes else place
        await asyncio.sleep(_PAUSE)


def write(folder: Path, seed: str, process: int, begins: float, ends: float, out: Path) -> None:
    """Run the threads of one process on the history in *folder*, and write what they were answered into *out*."""
    callers = [Caller(seed, process * _THREADS + number, begins, ends) for number in range(_THREADS)]
    store = SQLiteStore(folder)
    seen: set[tuple[int, str]] = set()
    asyncio.run(store.open())
    threads = [threading.Thread(target=lambda each=each: asyncio.run(each.run(store))) for each in callers]
    threads.append(threading.Thread(target=lambda: asyncio.run(_follow(store, ends, seen))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(store.aclose())
    names = ("calls", "errors", "unclear")
    found = {name: [each for caller in callers for each in getattr(caller, name)] for name in names}
    out.write_bytes(orjson.dumps({**found, "seen": sorted(seen)}))


def unexplained(calls: Iterable[tuple[str, Call]]) -> list[str]:
    """Return the records whose calls cannot have been done one after the other."""
    by_record: dict[str, list[Call]] = {}
    for name, each in calls:
        by_record.setdefault(name, []).append(each)
    return [name for name, group in by_record.items() if not is_explained(group)]


def unseen(feed: Iterable[tuple[int, str]], seen: set[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the changes of a feed that a follower has missed, who has read it to its end."""
    last = max(seen, default=(0, ""))[0]
    return [each for each in feed if each[0] <= last and each not in seen]


async def _last_look(folder: Path, names: Iterable[str]) -> tuple[list[tuple[str, Call]], set[tuple[int, str]]]:
    """Return a ``get`` of each record, and the whole feed, once everybody has ended."""
    calls = []
    async with opened(folder) as store:
        for name in names:
            answer = await call(store, "get", key_of(name), 0)
            calls.append((name, Call("get", 0, time.monotonic(), time.monotonic(), answer)))
        feed = {(each.revision, each.execute_id or "") for each in await store.changes(0, 10**6)}
    return calls, feed


def one_round(folder: Path, seed: int, number: int, seconds: float = SECONDS, processes: int = _PROCESSES) -> Row:
    """Have everybody write for a while, and look at all answers."""
    row = Row("writers", "8 processes × 8 threads", seed, number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    history, outs = folder / "h", [folder / f"{process}.json" for process in range(processes)]
    asyncio.run(_last_look(history, ()))
    begins = time.monotonic() + _START_SECONDS
    ends = begins + seconds
    running = [
        forked().Process(target=write, args=(history, f"{seed} {number}", process, begins, ends, out))
        for process, out in enumerate(outs)
    ]
    for each in running:
        each.start()
    for each in running:
        each.join()
    found = [orjson.loads(out.read_bytes()) for out in outs if out.exists()]
    ended = [f"a process ended with {each.exitcode}" for each in running if each.exitcode]
    calls = [(made[0], _call(*made[1:])) for each in found for made in each["calls"]]
    last, feed = asyncio.run(_last_look(history, {name for name, _ in calls}))
    row.calls = len(calls)
    row.add(
        [
            *ended,
            *(f"the answers for {name} cannot be explained" for name in unexplained([*calls, *last])),
            *(f"a follower missed {each}" for part in found for each in unseen(feed, set(map(tuple, part["seen"])))),
            *problems_of(asyncio.run(examined(history))),
        ],
        [error for each in found for error in each["unclear"]],
    )
    errors = sum(len(each["errors"]) for each in found)
    row.rounds = 1
    if errors:
        row.remarks.append(f"round {number}: {errors} calls were refused, such as {found[0]['errors'][:1]}")
    return row


def _call(kind: Kind, mark: int, began: float, ended: float, answer: Any) -> Call:
    return Call(kind, mark, began, math.inf if ended < 0 else ended, answer)


def rounds(folder: Path, seed: int, first: int) -> Iterator[Row]:
    """Yield a row for each round."""
    for number in itertools.count(first):
        began = time.monotonic()
        row = one_round(folder / "w", seed, number)
        with row.timed():
            row.seconds = time.monotonic() - began
        yield row
