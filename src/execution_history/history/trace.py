"""Runs within runs as a tree: a run, the runs around it up to the outermost, and all that began within that one.

A run names its parent in its metadata; the outermost run is the one without a parent, or whose parent has no record.
What is read is bounded, and is read level by level: summaries only, a few statements for each level. Parents that are
missing, that stand in another workflow or that lead round in a circle are answers too, not errors.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any, Final

import orjson

from execution_history.errors import ExecutionNotFound, RecordDamaged, quoted
from execution_history.history.answers import damaged_of, reach_entry
from execution_history.history.children import Summary, parent_among, parent_of, query_within
from execution_history.query.model import MAX_SIZE, IndexReach, RecordKey
from execution_history.records.attributes import attributes_of
from execution_history.records.identifiers import may_exist
from execution_history.records.metadata import PARENT
from execution_history.records.partial import outline_of
from execution_history.records.summary import summary_of
from execution_history.stores.protocol import HistoryStore

MOST_RUNS: Final = 2_000
"""How many runs of a tree are read at most, unless fewer are asked for."""

MOST_LEVELS: Final = 60
"""How deep a tree is read, and how far the runs around a run are followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRun:
    """One run of a tree.

    Times are milliseconds since the epoch, durations milliseconds; what is not known, or not yet, is ``None``.

    Attributes:
        end_time: when it ended.
        duration_ms: how long it worked, without the time that it waited for answers.
        depth: how many runs of the tree are around it.
        parent: the execute id of the run within which it began, where that is in the tree.
        children: how many runs of the tree began directly within it.
    """

    workflow_id: str
    execute_id: str
    status: str
    create_time: int
    end_time: int | None
    duration_ms: int | None
    waited_ms: int
    tokens: int | None
    error_code: int | str | None
    error_message: str | None
    depth: int = 0
    parent: str | None = None
    children: int = 0

    @property
    def key(self) -> RecordKey:
        """The key of its record."""
        return RecordKey(self.workflow_id, self.execute_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The tree around one run.

    Attributes:
        runs: its runs, each before those within it, and those within one run in the order in which they began.
        path: the runs from the outermost down to the one that was asked for, which is the last.
        missing_parent: the workflow id, where it is known, and the execute id of the parent of the outermost run, of
            which there is no record; ``None`` where it has none.
        is_circular: whether its parents lead round in a circle, so that none is the outermost.
        left_out: how many further runs there are at least: beyond the limit, or too deep.
        damaged: the records that belong to it and cannot be read.
        reach: how much of the history it covers.
    """

    runs: tuple[TraceRun, ...]
    path: tuple[TraceRun, ...]
    missing_parent: tuple[str | None, str] | None
    is_circular: bool
    left_out: int
    damaged: tuple[RecordKey, ...]
    reach: IndexReach

    @property
    def run(self) -> TraceRun:
        """The run that was asked for."""
        return self.path[-1]

    @property
    def root(self) -> TraceRun:
        """The outermost run."""
        return self.runs[0]

    @property
    def is_single(self) -> bool:
        """Whether there is only the one run, without a parent or a child."""
        return len(self.runs) == 1 and self.missing_parent is None and not self.is_circular and not self.left_out

    def to_json(self) -> dict[str, Any]:
        """Return an object of the fields above; ``path`` names its runs only, ``reach`` is there while it is behind."""
        missing = self.missing_parent
        return {
            "runs": [asdict(run) for run in self.runs],
            "path": [run.key._asdict() for run in self.path],
            "missing_parent": None if missing is None else {"workflow_id": missing[0], "execute_id": missing[1]},
            "is_circular": self.is_circular,
            "left_out": self.left_out,
            **damaged_of(self.damaged),
            **reach_entry(self.reach),
        }


async def trace_of(
    store: HistoryStore, key: RecordKey, limit: int = MOST_RUNS, wait_seconds: float | None = None
) -> Trace:
    """Return the tree around the run *key*: first what is around it and within it, then the rest from the outermost on.

    Args:
        store: the history.
        key: the run.
        limit: how many runs are read at most, from 1.
        wait_seconds: how long each query may wait for an index that follows; ``None``: as long as the store decides.

    Raises:
        ExecutionNotFound: there is no such run.
        RecordDamaged: its record cannot be read.
        StoreError: the store could not be read.
    """
    await store.open()
    walk = _Walk(store, limit, wait_seconds)
    path, missing, is_circular = await walk.climb(key)
    await walk.descend(path[-1])
    if len(path) > 1:
        await walk.descend(path[0])
    runs = walk.ordered(path[0])
    by_key = {run.key: run for run in runs}
    return Trace(
        runs=runs,
        path=tuple(by_key[run.key] for run in path),
        missing_parent=missing,
        is_circular=is_circular,
        left_out=walk.left_out,
        damaged=tuple(walk.damaged),
        reach=walk.reach,
    )


class _Walk:
    """One walk over a tree, which reads each run once.

    Args:
        store: the history.
        limit: how many runs are read at most.
        wait_seconds: how long each query may wait for an index.
    """

    def __init__(self, store: HistoryStore, limit: int, wait_seconds: float | None) -> None:
        self.left_out = 0
        self.damaged: list[RecordKey] = []
        self.reach = IndexReach(0, 0)
        self._store = store
        self._limit = max(1, limit)
        self._wait_seconds = wait_seconds
        self._runs: dict[RecordKey, TraceRun] = {}
        self._children: defaultdict[RecordKey, list[RecordKey]] = defaultdict(list)
        self._looked_into: set[RecordKey] = set()

    async def climb(self, key: RecordKey) -> tuple[list[TraceRun], tuple[str | None, str] | None, bool]:
        """Read the runs around *key*; return them, the outermost first, its missing parent, and whether they circle."""
        summary = await self._summary(*key)
        if summary is None:
            raise ExecutionNotFound(
                "Workflow %(workflow)s has no run %(run)s.",
                workflow=quoted(key.workflow_id),
                run=quoted(key.execute_id),
            )
        path = [self._add(summary)]
        for level in count(1):
            named = parent_of(summary)
            if named is None:
                return path, None, False
            if level > MOST_LEVELS or len(self._runs) >= self._limit:
                self.left_out += 1
                return path, None, False
            try:
                found = await self._summary(*named)
            except RecordDamaged as error:
                self.damaged.append(RecordKey(error.workflow_id, error.execute_id))
                found = None
            if found is None:
                return path, named, False
            summary = found
            around = RecordKey(summary["workflow_id"], summary["execute_id"])
            if around in self._runs:
                return path, None, True
            self._children[around].append(path[0].key)
            path.insert(0, self._add(summary))
        raise AssertionError

    async def descend(self, run: TraceRun) -> None:
        """Read what began within *run*, level by level, as far as there is room."""
        level, depth = [run.key], 0
        while level:
            depth += 1
            below: list[RecordKey] = []
            unseen = [key for key in dict.fromkeys(level) if key not in self._looked_into]
            for start in range(0, len(unseen), MAX_SIZE):
                below += await self._read_within(unseen[start : start + MAX_SIZE], has_room=depth <= MOST_LEVELS)
            # Those on the path were read before, and may have more within them.
            known = [child for key in level for child in self._children[key] if child not in self._looked_into]
            level = list(dict.fromkeys((*below, *known))) if depth <= MOST_LEVELS else []

    def ordered(self, root: TraceRun) -> tuple[TraceRun, ...]:
        """Return the runs that were read from *root* on, each before those within it."""
        placed: list[TraceRun] = []
        stack: list[tuple[RecordKey, int, str | None]] = [(root.key, 0, None)]
        while stack:
            key, depth, parent = stack.pop()
            within = sorted(self._children[key], key=lambda child: self._runs[child].create_time)
            placed.append(replace(self._runs[key], depth=depth, parent=parent, children=len(within)))
            stack += [(child, depth + 1, key.execute_id) for child in reversed(within)]
        return tuple(placed)

    async def _summary(self, workflow_id: str | None, execute_id: str) -> Summary | None:
        """Return the summary of one run; of several with this id, where no workflow is named, the newest."""
        if not may_exist(execute_id=execute_id, **({} if workflow_id is None else {"workflow_id": workflow_id})):
            return None
        if workflow_id is None:
            body = next(iter(await self._store.find(execute_id)), None)
        else:
            body = await self._store.get(workflow_id, execute_id)
        return None if body is None else await asyncio.to_thread(_summarised, body)

    async def _read_within(self, keys: Sequence[RecordKey], *, has_room: bool) -> list[RecordKey]:
        """Read the runs within *keys* as far as there is room; return those that were not known."""
        query = query_within(tuple(dict.fromkeys(key.execute_id for key in keys)), self._wait_seconds)
        added: list[RecordKey] = []
        self._looked_into.update(keys)
        while True:
            room = min(MAX_SIZE, self._limit - len(self._runs)) if has_room else 0
            found = await self._store.select(replace(query, size=max(1, room)))
            self.reach = found.reach
            self.damaged += [key for key in found.damaged if key not in self.damaged]
            summaries = map(orjson.loads, found.documents if has_room else ())
            added += [key for summary in summaries if (key := await self._put(summary, keys))]
            if len(self._runs) >= self._limit or not has_room:
                known = sum(len(self._children[key]) for key in keys) + len(found.damaged)
                self.left_out += max(0, found.total - known)
                return added
            if found.next is None:
                return added
            query = replace(query, after=found.next)

    async def _put(self, summary: Summary, keys: Sequence[RecordKey]) -> RecordKey | None:
        """Put a run into the tree where it began within one of *keys* and there is room; return its key if new."""
        key = RecordKey(summary["workflow_id"], summary["execute_id"])
        if key in self._runs:
            self._put_behind(key, keys)
            return None
        if len(self._runs) >= self._limit:
            return None
        parent = parent_among(await self._whole(summary), keys)
        if parent is None:
            return None
        self._add(summary)
        self._children[parent].append(key)
        return key

    def _put_behind(self, key: RecordKey, keys: Sequence[RecordKey]) -> None:
        """Put a run that was on the path, and so read before the others of its parent, where it comes among them."""
        for parent in keys:
            if key in (within := self._children[parent]):
                within.remove(key)
                within.append(key)

    async def _whole(self, summary: Summary) -> Summary:
        """Return *summary* with its parent: an index that an earlier version has written may not have that."""
        if PARENT.raw(summary) is not None:
            return summary
        return await self._summary(summary["workflow_id"], summary["execute_id"]) or summary

    def _add(self, summary: Summary) -> TraceRun:
        taken, waited = summary["duration_ms"], summary.get("waited_ms") or 0
        message = summary["error_message"]
        run = TraceRun(
            workflow_id=summary["workflow_id"],
            execute_id=summary["execute_id"],
            status=str(summary["execute_status"]),
            create_time=summary["create_time"],
            end_time=None if taken is None else summary["create_time"] + taken + waited,
            duration_ms=taken,
            waited_ms=waited,
            tokens=summary["tokens"],
            error_code=summary["error_code"],
            error_message=message if isinstance(message, str) else None,
        )
        return self._runs.setdefault(run.key, run)


def _summarised(body: bytes) -> Summary:
    record = outline_of(body)
    summary: Summary = orjson.loads(summary_of(record, attributes_of(record)))
    return summary
