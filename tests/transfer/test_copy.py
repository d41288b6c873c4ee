"""Copying a whole history into another store: every byte, what changes meanwhile, what differs, what is damaged."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import apsw
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidInput, StoreFull
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, Sort
from execution_history.stores import MemoryStore, store_at
from execution_history.stores.administration import EntryName
from execution_history.stores.capabilities import Bin
from execution_history.stores.protocol import Batch, HistoryStore
from execution_history.transfer import Export, Progress, copy_history, export_to_path, import_history
from tests.faulty_store import FaultyStore
from tests.postgres_server import PostgresServer
from tests.sample_records import change, changed, document
from tests.stores_under_test import KINDS, Clock
from tests.transfer.histories import everything, fill

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Pair:
    """Two opened stores, the first to be copied into the second."""

    source: HistoryStore
    target: HistoryStore

    @property
    def services(self) -> tuple[ExecutionHistoryService, ExecutionHistoryService]:
        """Both as histories."""
        return ExecutionHistoryService(self.source), ExecutionHistoryService(self.target)


@pytest.fixture(params=product(KINDS, repeat=2), ids="-".join)
async def pair(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    """Two empty stores of every two kinds."""
    async with AsyncExitStack() as opened:
        made = []
        for name, kind in zip("ab", request.param, strict=True):
            store = store_at(opened.enter_context(KINDS[kind](tmp_path / name, postgres)))
            opened.push_async_callback(store.aclose)
            await store.open()
            made.append(store)
        yield Pair(*made)


async def test_a_copy_has_every_byte_in_the_order_of_arrival(pair: Pair) -> None:
    """Also of records that no recorder would write; both sides have one count and one digest."""
    await fill(pair.source)
    strange = replace(document("strange", "x/y", 5), body=document("strange", "x/y", 5).body.replace(b"{}", b"{ }"))
    await pair.source.merge([strange])
    report = await copy_history(*pair.services)
    assert await everything(pair.source) == await everything(pair.target)
    assert strange.body in await everything(pair.target)
    assert report.is_equal
    assert (11, 0, 0) == (report.added, report.replaced, report.others)
    assert report.source == report.target
    assert (11, sum(map(len, await everything(pair.source)))) == (report.source.records, report.source.size)


async def test_an_export_and_an_import_keep_every_byte_too(pair: Pair, tmp_path: Path) -> None:
    """JSON Lines are the way between two machines that do not reach each other."""
    await fill(pair.source)
    source, target = pair.services
    await export_to_path(source, tmp_path / "runs.jsonl", Export())
    await import_history(target, [tmp_path / "runs.jsonl"])
    assert await everything(pair.source) == await everything(pair.target)
    assert (await copy_history(source, target)).added == 0


async def test_a_copy_can_be_repeated_and_brings_what_is_new(pair: Pair) -> None:
    """A second copy writes nothing; a third one brings the new, and newer versions."""
    await fill(pair.source, 4)
    await copy_history(*pair.services)
    revision = await pair.target.revision()
    again = await copy_history(*pair.services)
    assert (True, 0, 0, revision) == (again.is_equal, again.added, again.replaced, await pair.target.revision())
    await pair.source.create(document("new", "w", 9_000))
    await pair.source.update("w", "e0", change(9_000, metadata={"note": "later"}))
    third = await copy_history(*pair.services)
    assert (True, 1, 1) == (third.is_equal, third.added, third.replaced)


async def test_a_history_whose_old_deletions_are_forgotten_is_copied(clock: Clock) -> None:
    """However many changes there were before what was forgotten; the registry is copied as a whole."""
    source = MemoryStore(clock=clock)
    for number in range(6_000):
        await source.create(document(f"e{number}"))
    await source.put_entry("view", "mine", b"{}")
    await source.delete("w", "e0")
    clock.go_on(days=40)
    await source.prune()
    target = MemoryStore()
    report = await copy_history(ExecutionHistoryService(source), ExecutionHistoryService(target))
    assert (True, 5_999, 1) == (report.is_equal, report.added, report.entries)
    assert await target.entry("view", "mine") is not None


async def test_what_the_target_has_of_its_own_stays(pair: Pair) -> None:
    """Its further runs and its newer versions are counted, and are no difference."""
    await fill(pair.source, 4)
    await copy_history(*pair.services)
    await pair.target.create(document("own", "w", 1))
    await pair.target.update("w", "e0", change(9_000, metadata={"note": "newer"}))
    report = await copy_history(*pair.services)
    assert (True, 1, [RecordKey("w", "e0")]) == (report.is_equal, report.others, report.newer.keys)
    assert 3 == report.source.records
    assert b"newer" in (await pair.target.get("w", "e0") or b"")


async def test_other_content_of_the_same_time_is_a_difference_that_is_named(pair: Pair) -> None:
    """Nobody can say which of the two is right, so the target's stays."""
    await fill(pair.source, 4)
    await pair.target.create(document("e0", "w", 1_000))
    await pair.target.update("w", "e0", change(2_000, "failed", error_code=1))
    report = await copy_history(*pair.services)
    assert (False, [RecordKey("w", "e0")], 0) == (report.is_equal, report.differing.keys, report.missing.count)
    assert report.source.digest != report.target.digest
    assert (4, 4) == (report.source.records, report.target.records)
    assert {"count": 1, "runs": [{"workflow_id": "w", "execute_id": "e0"}]} == report.to_json()["differing"]


class _InUse(ExecutionHistoryService):
    """A history that others change each time that all of it has been read: first while it is copied, then compared."""

    def __init__(self, store: HistoryStore, *changes: Callable[[HistoryStore], Awaitable[object]]) -> None:
        super().__init__(store)
        self._changes = list(changes)

    async def batches(
        self, record_filter: RecordFilter, *, sort: Sort = "create_time", descending: bool = False
    ) -> AsyncGenerator[Batch]:
        """See :meth:`ExecutionHistoryService.batches`."""
        async for batch in super().batches(record_filter, sort=sort, descending=descending):
            yield batch
        await self._changes.pop(0)(self.store)


async def test_what_changes_while_it_is_copied_is_taken_too(pair: Pair) -> None:
    """A run that is created, changed, deleted or made anew after its place was read: both sides are the same."""
    await fill(pair.source)

    async def while_copied(store: HistoryStore) -> None:
        await store.create(document("late", "w", 5_000))
        await store.update("w", "e2", change(6_000, metadata={"note": "changed"}))
        await store.delete("工作流", "e1")
        await store.put_entry("view", "v", b"1")

    async def while_compared(store: HistoryStore) -> None:
        await store.update("w", "late", change(7_000, "success"))
        await store.delete("工作流", "e3")
        await store.delete("w", "e4")
        await store.create(document("e4", "w", 1_500))
        await store.put_entry("view", "v", b"2")

    report = await copy_history(_InUse(pair.source, while_copied, while_compared), pair.services[1])
    assert sorted(await everything(pair.source)) == sorted(await everything(pair.target))
    assert [b"2"] == [entry.value for entry in await pair.target.entries("view")]
    assert (True, 3, await pair.source.revision()) == (report.is_equal, report.deleted, report.revision)


async def test_a_workflow_that_is_cleared_meanwhile_is_named(pair: Pair) -> None:
    """The target may have runs of its own in it, so nothing of it is deleted there."""
    await fill(pair.source)
    clear = _InUse(pair.source, lambda store: store.clear("w"), lambda store: store.revision())
    report = await copy_history(clear, pair.services[1])
    assert (True, ("w",), 5) == (report.is_equal, report.cleared, report.others)
    assert 10 == len(await everything(pair.target))


async def test_entries_of_the_registry_are_copied_and_those_of_the_target_stay(pair: Pair) -> None:
    """One that is new is brought, one that is the same is left, one that has another value is named."""
    for key in ("new", "same", "other"):
        await pair.source.put_entry("view", key, b'{"a":1}')
    await pair.target.put_entry("view", "same", b'{"a":1}')
    await pair.target.put_entry("view", "other", b'{"a":2}')
    report = await copy_history(*pair.services)
    assert {"new": b'{"a":1}', "same": b'{"a":1}', "other": b'{"a":2}'} == {
        entry.name.key: entry.value for entry in await pair.target.entries("view")
    }
    assert (1, (EntryName("view", "other"),)) == (report.entries, report.kept_entries)


async def test_the_audit_log_leases_cursors_and_the_bin_stay(pair: Pair) -> None:
    """They speak of the old store; deleted runs that could be restored are counted."""
    await fill(pair.source, 2)
    await pair.source.append_audit("somebody", "deleted")
    await pair.source.save_cursor("follower", 1)
    await pair.source.renew_lease("recorder", 10_000)
    assert isinstance(pair.source, Bin)
    await pair.source.discard([RecordKey("w", "e0")], 60_000)
    report = await copy_history(*pair.services)
    assert (1, 1) == (report.added, report.binned)
    assert ([], {}, {}) == (await pair.target.audit(0, 9), await pair.target.cursors(), await pair.target.leases())


async def test_a_copy_that_failed_is_continued_by_the_next() -> None:
    """What was merged before stays, and is not merged again."""
    source, target = MemoryStore(), FaultyStore()
    await fill(source, 1_200)
    target.poison, target.poisoned = "e999", StoreFull("The disk is full.")
    services = ExecutionHistoryService(source), ExecutionHistoryService(target)
    with pytest.raises(StoreFull):
        await copy_history(*services)
    target.poison = None
    kept = len(await everything(target))
    assert 0 < kept < 1_200
    report = await copy_history(*services)
    assert (True, 1_200 - kept) == (report.is_equal, report.added)


async def test_damaged_records_are_named_and_stop_nothing(tmp_path: Path) -> None:
    """Everything else is copied and compared."""
    async with ExecutionHistoryService(tmp_path / "a", json_files=False) as history:
        await fill(history.store)
    connection = apsw.Connection(str(tmp_path / "a" / "history.db"))
    connection.execute("UPDATE executions SET document = zeroblob(40) WHERE execute_id = 'e4'")
    connection.close()
    source, target = ExecutionHistoryService(tmp_path / "a", json_files=False), ExecutionHistoryService("memory:")
    async with source, target:
        report = await copy_history(source, target)
        assert (True, 9, 9) == (report.is_equal, report.added, report.target.records)
        assert [RecordKey("w", "e4")] == report.damaged.keys
        assert 1 == report.to_json()["damaged_count"]


async def test_a_damaged_record_of_the_target_is_mended(tmp_path: Path) -> None:
    """The source has it whole."""
    async with ExecutionHistoryService("memory:") as source:
        await fill(source.store)
        async with ExecutionHistoryService(tmp_path / "b", json_files=False) as target:
            await copy_history(source, target)
        connection = apsw.Connection(str(tmp_path / "b" / "history.db"))
        connection.execute("UPDATE executions SET document = zeroblob(40) WHERE execute_id = 'e4'")
        connection.close()
        async with ExecutionHistoryService(tmp_path / "b", json_files=False) as target:
            report = await copy_history(source, target)
            assert (True, 1) == (report.is_equal, report.replaced)


async def test_progress_reaches_the_number_of_records_in_both_steps(pair: Pair) -> None:
    """The bar ends full."""
    await fill(pair.source)
    shown: dict[str, Progress] = {}
    await copy_history(*pair.services, shown.__setitem__)
    size = sum(map(len, await everything(pair.source)))
    assert dict.fromkeys(("copy", "compare"), Progress(10, size, 10)) == shown


async def test_a_history_is_not_copied_onto_itself(tmp_path: Path) -> None:
    """By whatever name it is called."""
    source, target = ExecutionHistoryService(tmp_path / "a"), ExecutionHistoryService(f"sqlite://{tmp_path}/a")
    async with source, target:
        with pytest.raises(InvalidInput, match="the same history"):
            await copy_history(source, target)


async def test_a_run_that_ends_between_two_copies_keeps_its_end() -> None:
    """A run that was copied while it ran is replaced by what became of it."""
    source, target = ExecutionHistoryService("memory:"), ExecutionHistoryService("memory:")
    begun = document("e1")
    await source.merge([begun])
    await copy_history(source, target)
    await source.merge([changed(begun, 2_000, "success", output=1)])
    assert (await copy_history(source, target)).replaced == 1
    assert b'"success"' in (await target.detail_bytes("w", "e1") or b"")
