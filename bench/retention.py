"""What retention does to whoever writes meanwhile: the pauses of a writer alone and beside it, and what it frees."""

import asyncio
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.figures import Goal, Measure, Sample
from bench.holds import Holds, as_maintenance, p
from bench.records import runs
from bench.setup import Setup

if TYPE_CHECKING:
    from execution_history import ExecutionHistoryService
    from execution_history.maintenance.retention import Retention

_ALONE: Final = "writer alone"
_KINDS: Final = {
    "rule": "beside a rule that removes",
    "contents": "beside a rule for contents",
    "budget": "beside the size limit",
}
_WORKFLOW: Final = "one"
_LEAST_SECONDS: Final = 3.0
_PAUSES: Final = ("p99", "p99.9", "max")


def _measures() -> Iterator[Measure]:
    for name in _KINDS.values():
        for at in _PAUSES:
            yield Measure(f"{name}: {_ALONE} as long, {at}", "ms", is_detail=True)
            yield Measure(f"{name}: writer, {at}", "ms", f"{name}: {_ALONE} as long, {at}")
        yield Measure(f"{name}: held, p99", "ms")
        yield Measure(f"{name}: held, max", "ms", goal=Goal(at_most=50))
        yield Measure(f"{name}: held, max of CPU time", "ms", goal=Goal(at_most=50))
        yield Measure(f"{name}: held by checkpoints, max", "ms", is_detail=True)
        yield Measure(f"{name}, removed", "/s")
        yield Measure(f"{name}, given back", "%")


RETENTION: Final = tuple(_measures())
"""Creates of 4 callers in the largest workflow, whose oldest runs go meanwhile; what is given back of the whole store.

*Held* is how long the thread that writes was busy with maintenance at a time: what a writer waits for because of it.
"""


def retention(setup: Setup) -> Iterator[Sample]:
    """Measure each way in which runs go, on a history of its own, in a process that writes too."""
    for number in setup.turns(3):
        for code in setup.in_turn(setup.codes, number):
            for kind, name in _KINDS.items():
                found = setup.call(
                    code, "retention", folder=setup.folder(), stored=setup.size(40_000, 400), kind=kind,
                    seconds=_LEAST_SECONDS if not setup.is_quick else 0.1,
                )  # fmt: skip
                for at in _PAUSES:
                    yield Sample(f"{name}: {_ALONE} as long, {at}", found["alone"][at], code=code.name)
                    yield Sample(f"{name}: writer, {at}", found["beside"][at], code=code.name)
                held = found["held"]
                yield Sample(f"{name}: held, p99", held["wall_p99"], code=code.name)
                yield Sample(f"{name}: held, max", held["wall_max"], code=code.name)
                yield Sample(f"{name}: held, max of CPU time", held["cpu_max"], code=code.name)
                yield Sample(f"{name}: held by checkpoints, max", held["checkpoint_max"], code=code.name)
                yield Sample(f"{name}, removed", found["rate"], code=code.name)
                yield Sample(f"{name}, given back", found["given_back"], code=code.name)
            setup.tidy()


async def program(folder: str, *, stored: int, kind: str, seconds: float) -> dict[str, Any]:
    """Remove the oldest half of a workflow while four callers create runs in it; the pauses of these callers in ms."""
    from bench.programs import service_at  # noqa: PLC0415 - a program of its own
    from execution_history.cli.server import SWITCH_SECONDS  # noqa: PLC0415 - as above

    sys.setswitchinterval(SWITCH_SECONDS)  # as in a server, in which retention runs
    async with service_at(folder) as service:
        await service.merge(_documents(stored))
        await service.follow_index()
        prepared = await _prepared(service, stored, kind)
        holds, began, cpu = Holds(), time.perf_counter(), time.process_time()
        with holds.watching():
            run = asyncio.create_task(as_maintenance(prepared.prune()))
            beside = await _pauses(service, run)
        report = run.result().report or {}
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        alone = await _pauses(service, asyncio.sleep(max(seconds, took)))  # the longest of as many
    before = report["before"]["total"]
    return {
        "alone": alone, "beside": beside, "rate": report["runs"] / took, "seconds": took, "runs": report["runs"],
        "held": holds.found(), "cpu": cpu,
        "given_back": 100 * report["freed"] / before, "before": before, "after": report["after"]["total"],
        "longest": report["longest_ms"], "reason": report["reason"], "rounds": report["rounds"],
    }  # fmt: skip


async def _prepared(service: "ExecutionHistoryService", stored: int, kind: str) -> "Retention":
    """Return the retention by which about half of the runs go."""
    from execution_history.maintenance.retention import Retention, RetentionSettings  # noqa: PLC0415 - as above
    from execution_history.query.retention import RetentionRule  # noqa: PLC0415

    if kind == "budget":
        use = await Retention(service).disk_use()
        assert use is not None
        return Retention(service, RetentionSettings(max_bytes=use.used * 2 // 3))
    action = "contents" if kind == "contents" else "remove"
    rule = RetentionRule.of({"workflow": _WORKFLOW, "keep_runs": stored // 2, "action": action})
    if kind == "rule":
        service.store.bin_ms = 0  # type: ignore[attr-defined] # else nothing is given back for a day
    return Retention(service, RetentionSettings((rule,)))


async def _pauses(service: "ExecutionHistoryService", end: Any) -> dict[str, float]:
    """Create runs until *end* is over; how long each took."""
    ending, spent = asyncio.ensure_future(end), [0.0]

    async def create() -> None:
        while not ending.done():
            began = time.perf_counter()
            record = await service.create_execution_record(_WORKFLOW, parameters={"text": "some words " * 20})
            spent.append((time.perf_counter() - began) * 1000)
            await service.update_execution_record(
                _WORKFLOW, record["execute_id"], execute_status="success", output={"text": "an answer " * 20}
            )
            await asyncio.sleep(0.002)

    await asyncio.gather(*(create() for _ in range(4)))
    await ending
    return {
        "p50": median(spent), "p99": p(spent, 99), "p99.9": p(spent, 99.9), "max": max(spent), "creates": len(spent),
    }  # fmt: skip


def _documents(stored: int) -> Iterator[Any]:
    from execution_history.records.record import Document  # noqa: PLC0415 - as above

    for run in runs(stored):
        record = run.record() | {"workflow_id": _WORKFLOW}
        if record["execute_status"] == "running":
            record["execute_status"] = "success"
        yield Document.of(record, orjson.dumps(record))
