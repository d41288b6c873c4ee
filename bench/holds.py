"""How long maintenance holds what writers wait for: measured where it is held, so that neighbours do not count as pauses.

A writer's pause has many causes; one that maintenance is to blame for is a turn of the writing thread that does its
work, or a checkpoint that keeps that thread waiting. Both are timed, on the clock and in CPU time of the thread that
holds it. This changes methods of the checkout under test, in the process of the program alone.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import quantiles
from typing import Any

_is_maintenance: ContextVar[bool] = ContextVar("is_maintenance", default=False)


class Holds:
    """What was held, in milliseconds: ``wall`` and ``cpu`` of each turn, ``checkpoints`` on the clock."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.checkpoints: list[float] = []
        self._ours: set[int] = set()
        self._inside = threading.local()

    def found(self) -> dict[str, float]:
        """Return the figures."""
        if not self.wall:
            return {}
        return {
            "holds": len(self.wall),
            "wall_p99": p(self.wall, 99),
            "wall_max": max(self.wall),
            "cpu_p99": p(self.cpu, 99),
            "cpu_max": max(self.cpu),
            "checkpoint_max": max(self.checkpoints, default=0.0),
        }

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time what is held within the block."""
        from execution_history.stores.sqlite.checkpoint import Checkpointer  # noqa: PLC0415 - of the checkout
        from execution_history.stores.sqlite.commit import Commits  # noqa: PLC0415
        from execution_history.stores.write_queue import WriteQueue  # noqa: PLC0415

        changed: list[tuple[type, str, Callable[..., Any]]] = []

        def replaced(kind: type, name: str, around: Callable[..., Any]) -> None:
            original = getattr(kind, name)
            changed.append((kind, name, original))
            setattr(kind, name, lambda itself, *given: around(original, itself, *given))

        replaced(WriteQueue, "put", self._noted)
        replaced(Commits, "_run_locked", self._timed)
        replaced(Commits, "_tidy_locked", self._timed_idle)
        replaced(Checkpointer, "_checkpoint", self._checkpoint)
        try:
            yield
        finally:
            for kind, name, original in changed:
                setattr(kind, name, original)

    def _noted(self, put: Callable[..., Any], queue: Any, work: Any) -> None:
        if _is_maintenance.get():
            self._ours.add(id(work))
        put(queue, work)

    def _timed(self, run: Callable[..., Any], commits: Any, group: list[Any]) -> Any:
        ours = {id(each) for each in group} & self._ours
        if not ours:
            return run(commits, group)
        self._ours -= ours
        return self._timed_idle(run, commits, group)

    def _timed_idle(self, run: Callable[..., Any], commits: Any, *given: Any) -> Any:
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            return run(commits, *given)
        finally:
            self.wall.append(1000 * (time.perf_counter() - began))
            self.cpu.append(1000 * (time.thread_time() - cpu))

    def _checkpoint(self, run: Callable[..., Any], checkpointer: Any, *given: Any) -> Any:
        turn = vars(checkpointer)["_turn"]
        vars(checkpointer)["_turn"] = _TimedTurn(turn, self.checkpoints)
        try:
            return run(checkpointer, *given)
        finally:
            vars(checkpointer)["_turn"] = turn


class _TimedTurn:
    """A lock that notes how long it was held."""

    def __init__(self, lock: Any, spent: list[float]) -> None:
        self._lock, self._spent, self._began = lock, spent, 0.0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._spent.append(1000 * (time.perf_counter() - self._began))
        self._lock.release()


async def as_maintenance(work: Any) -> Any:
    """Return the result of *work*, whose writes count as maintenance; in a task of its own."""
    _is_maintenance.set(True)
    return await work


def p(values: list[float], percent: float) -> float:
    """Return a percentile of some values, 99.9 included."""
    if len(values) < 2:
        return max(values, default=0.0)
    return quantiles(values, n=1000, method="inclusive")[round(percent * 10) - 1]
