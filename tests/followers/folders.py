"""Folders of JSON files that follow a history, for tests: a follower, what its files say, and a store that waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from execution_history import ExecutionHistoryService
from execution_history.followers.mirror import MirrorFollower
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery
from execution_history.stores import MemoryStore, file_name
from execution_history.stores.jsonfiles.file_format import parse_header
from execution_history.stores.jsonfiles.file_sizes import SIZES, FileSizes
from execution_history.stores.protocol import HistoryStore

PATIENCE = 120
"""Seconds after which something that does not come is a failure: long, since the machine may be a slow one."""


SMALL = replace(
    SIZES, small=8_000, near=256, reach=512, window=4_096, gap_every=2_000, gap=300, least_slack=200, rows_at_once=5
)


@asynccontextmanager
async def following(
    store: HistoryStore, folder: Path, *, sizes: FileSizes = SIZES, retry_seconds: float = 0.01, lease_ms: int = 60_000
) -> AsyncIterator[MirrorFollower]:
    """A follower that has begun."""
    follower = MirrorFollower(
        ExecutionHistoryService(store), folder,
        sizes=sizes, poll_seconds=0.01, retry_seconds=retry_seconds, lease_ms=lease_ms,
    )  # fmt: skip
    await follower.start()
    try:
        yield follower
    finally:
        await follower.aclose()


def shown(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What the files say: the records of each workflow, newest first; each header has their number."""
    found = {}
    for path in folder.glob("*.json"):
        content = json.loads(path.read_bytes())
        assert content["total"] == len(content["histories"])
        assert path.name == file_name(content["workflow_id"])
        assert parse_header(path.read_bytes()) is not None
        found[content["workflow_id"]] = content["histories"]
    return found


async def stored(store: HistoryStore) -> dict[str, list[dict[str, Any]]]:
    """What the store says."""
    found = {}
    for workflow in await store.workflows():
        chosen = RecordFilter(workflow_ids=(workflow.workflow_id,))
        page = await store.select(RecordQuery(filter=chosen, size=100))
        found[workflow.workflow_id] = [orjson.loads(body) for body in page.documents]
    return found


def place_in(folder: Path) -> dict[str, Any]:
    """What the folder says of itself: its id, and how far it has come."""
    found: dict[str, Any] = orjson.loads((folder / ".mirror").read_bytes())
    return found


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds; who reads a file in the midst of an edit may meet its old total."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(AssertionError):
                if holds():
                    return
            await asyncio.sleep(0.005)


class Standing(MemoryStore):
    """A store that answers the questions of a follower, once it *stands*, when it may *go on*."""

    def __init__(self) -> None:
        super().__init__()
        self.stands = False
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def changes(self, since: int, limit: int, *, documents: bool = False) -> Any:
        """See :meth:`HistoryStore.changes`."""
        await self._stand()
        return await super().changes(since, limit, documents=documents)

    async def select(self, query: RecordQuery) -> Any:
        """See :meth:`HistoryStore.select`."""
        await self._stand()
        return await super().select(query)

    async def _stand(self) -> None:
        if self.stands:
            self.asked.set()
            await self.go_on.wait()
