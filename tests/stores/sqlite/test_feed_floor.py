"""What stands before the floor of the change feed, where deletions are forgotten, begins anew and is never merged."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from execution_history.history.live_feed import LiveFeed
from execution_history.query.model import StatisticsQuery
from execution_history.stores import SQLiteStore
from tests.sample_records import document, ids, page_of
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(folder: Path, clock: Clock) -> AsyncIterator[SQLiteStore]:
    """A store that is closed in the end."""
    store = SQLiteStore(folder, clock=clock)
    await store.open()
    yield store
    await store.aclose()


async def forget(store: SQLiteStore, clock: Clock) -> None:
    """Let the time go by after which deletions are forgotten."""
    clock.go_on(days=31)
    assert await store.prune()


async def test_an_old_file_brings_no_deleted_run_back(tmp_path: Path, clock: Clock) -> None:
    """It is set aside, which is said, and the file is made anew; of a workflow that is gone there is none."""
    old = tmp_path / "old"
    async with opened(tmp_path / "h", clock) as store:
        for workflow_id in ("w", "cleared"):
            await store.create(document("a", workflow_id))
            await store.create(document("b", workflow_id))
    shutil.copytree(tmp_path / "h", old)
    async with opened(tmp_path / "h", clock) as store:
        await store.delete("w", "a")
        await store.clear("cleared")
        await forget(store, clock)
    for name in ("w.json", "cleared.json"):
        shutil.copyfile(old / name, tmp_path / "h" / name)
    async with opened(tmp_path / "h", clock) as store:
        assert (["b"], 1) == (ids((await page_of(store, "w", 10, 1)).documents), len(await store.workflows()))
        assert 2 == sum("kept as" in problem for problem in (await store.health()).problems)
        assert 1 == json.loads((tmp_path / "h" / "w.json").read_bytes())["total"]
        assert not (tmp_path / "h" / "cleared.json").exists()
    kept = [path.name for path in (tmp_path / "h").glob("*.outdated-*")]
    assert ["cleared.json", "w.json"] == sorted(name.partition(".outdated")[0] for name in kept)


async def test_a_file_that_nothing_was_deleted_from_is_read_in_whatever_its_age(tmp_path: Path, clock: Clock) -> None:
    """What other workflows have lost meanwhile says nothing about it."""
    async with opened(tmp_path, clock) as store:
        await store.create(document("a", now=1_761_901_941_000))
        await store.create(document("x", "v"))
        await store.delete("v", "x")
        await forget(store, clock)
    path = tmp_path / "w.json"
    edited = path.read_bytes().replace(b'"debug_url": null', b'"debug_url": "edited"')
    path.write_bytes(edited.replace(b'"update_time": 1761901941000', b'"update_time": 1761901941001'))
    async with opened(tmp_path, clock) as store:
        body = await store.get("w", "a")
        assert body is not None
        assert "edited" == json.loads(body)["debug_url"]


async def test_a_listener_from_before_the_floor_is_told_to_begin_anew(tmp_path: Path, clock: Clock) -> None:
    """It reads the history and goes on from the present."""
    async with opened(tmp_path, clock) as store:
        await store.create(document("a"))
        await store.create(document("b"))
        await store.delete("w", "a")
        await forget(store, clock)
        async with LiveFeed(store).follow(since=1) as events:
            (event,) = await events.take()
            assert ("reset", await store.revision()) == (event.kind, event.revision)
            await store.create(document("c"))
            assert ["c"] == [each.execute_id for each in await events.take()]


async def test_an_index_from_before_the_floor_is_made_anew(tmp_path: Path, clock: Clock) -> None:
    """It would show what was deleted."""
    async with opened(tmp_path, clock) as store:
        for name in ("a", "b"):
            await store.create(document(name))
        assert 2 == (await store.statistics(StatisticsQuery())).totals.runs
    async with opened(tmp_path, clock) as store:
        await store.delete("w", "a")
        await store.create(document("c"))
        await forget(store, clock)
        while not (counted := await store.statistics(StatisticsQuery())).reach.is_complete:
            pass  # this machine is busy
        assert 2 == counted.totals.runs
        assert ["c", "b"] == ids((await page_of(store, "w", 10, 1)).documents)
