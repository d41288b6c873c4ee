"""Changes of everything that matches: which runs they touch, how far they say they are, and that they can be undone."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import orjson
import pytest

from execution_history.errors import InvalidInput, StoreFull
from execution_history.history.annotations import Annotation
from execution_history.history.bulk_changes import KEPT_MS, BulkChange
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey
from execution_history.stores import MemoryStore
from execution_history.stores.administration import Entry
from execution_history.stores.capabilities import Bin
from tests.programs import begin

pytestmark = pytest.mark.anyio

FAILED = RecordFilter(statuses=("failed",))
WORKFLOW = "w"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that goes on by a millisecond with each look."""
    return Clock()


@pytest.fixture
async def service(place: str, clock: Clock) -> AsyncIterator[ExecutionHistoryService]:
    """A history of each kind of store with 250 failed and three successful runs."""
    async with ExecutionHistoryService(place, clock=clock) as service:
        await asyncio.gather(*(_run(service, f"f{number:03}", "failed") for number in range(250)))
        await asyncio.gather(*(_run(service, f"s{number}", "success") for number in range(3)))
        yield service


async def _run(service: ExecutionHistoryService, execute_id: str, status: str) -> None:
    await service.create_execution_record(WORKFLOW, execute_id, {"city": "Paris"})
    await service.update_execution_record(WORKFLOW, execute_id, status, output="x")


async def _over(service: ExecutionHistoryService, change: BulkChange) -> BulkChange:
    found = await service.bulk.wait(change.id)
    assert found is not None
    return found


async def _total(service: ExecutionHistoryService, record_filter: RecordFilter) -> int:
    await service.follow_index()
    return (await service.bulk.count(record_filter))[0]


async def test_what_matches_is_deleted_and_comes_back_byte_for_byte(service: ExecutionHistoryService) -> None:
    """A deletion of more than a batch removes what matches and nothing else; undoing it restores the same bytes."""
    before = await service.detail_bytes(WORKFLOW, "f007")
    deleted = await _over(service, await service.bulk.delete(FAILED))
    assert ("done", 250, 250, True) == (deleted.state, deleted.changed, deleted.total, deleted.total_is_exact)
    assert (0, 3) == (await _total(service, FAILED), await _total(service, RecordFilter()))
    restored = await _over(service, await service.bulk.undo(deleted.id))
    assert ("restore", "done", 250) == (restored.action, restored.state, restored.changed)
    assert 250 == await _total(service, FAILED)
    assert before == await service.detail_bytes(WORKFLOW, "f007")
    again = await service.bulk.find(deleted.id)
    assert again is not None
    assert "undone" == again.state


async def test_a_deletion_is_undone_once_and_for_a_day(service: ExecutionHistoryService, clock: Clock) -> None:
    """An unknown deletion, one that was undone, one of more than a day ago and an annotation cannot be undone."""
    first = await _over(service, await service.bulk.delete(RecordFilter(statuses=("success",))))
    await _over(service, await service.bulk.undo(first.id))
    second = await _over(service, await service.bulk.delete([RecordKey(WORKFLOW, "f001")]))
    tagged = await _over(service, await service.bulk.annotate(FAILED, Annotation(pinned=True)))
    clock.now += KEPT_MS
    for change_id in (first.id, second.id, tagged.id, "nothing", ""):
        with pytest.raises(InvalidInput, match="cannot be undone any more"):
            await service.bulk.undo(change_id)


async def test_what_matches_is_annotated(service: ExecutionHistoryService) -> None:
    """Tags and pins are set for all that match; what was so already counts as unchanged."""
    await service.annotate(WORKFLOW, "f000", Annotation(add_tags=("seen",)))
    await service.follow_index()
    change = await _over(service, await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",))))
    assert ("done", 249, 1) == (change.state, change.changed, change.unchanged)
    assert 250 == await _total(service, RecordFilter(tags=("seen",)))


async def test_runs_that_come_or_change_afterwards_are_left_alone(service: ExecutionHistoryService) -> None:
    """Whatever begins, or is changed by somebody else, between the call and its batch stays as it is."""
    await service.follow_index()
    change = await service.bulk.delete(FAILED)
    await _run(service, "late", "failed")
    await service.annotate(WORKFLOW, "f249", Annotation(note="keep it"))
    done = await _over(service, change)
    assert (249, 1, 250) == (done.changed, done.left_alone, done.total)
    assert await service.detail_bytes(WORKFLOW, "late") is not None
    assert await service.detail_bytes(WORKFLOW, "f249") is not None


async def test_one_that_refuses_does_not_hold_up_the_others(service: ExecutionHistoryService) -> None:
    """A run whose tags are somebody else's is counted and named with the reason, and all others are tagged."""
    await service.update_execution_record(WORKFLOW, "f100", metadata={"tags": "mine"})
    await service.follow_index()
    change = await _over(service, await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",))))
    assert ("done", 249, 1) == (change.state, change.changed, change.refused)
    assert "metadata.tags" in str(change.reason)


async def test_another_process_knows_how_a_change_ended_and_undoes_it(tmp_path: Path, clock: Clock) -> None:
    """What was deleted can be restored after the program that deleted it has gone."""
    place = f"sqlite:{tmp_path / 'history'}"
    async with ExecutionHistoryService(place, clock=clock) as first:
        await _run(first, "one", "failed")
        await first.follow_index()
        deleted = await _over(first, await first.bulk.delete(FAILED))
    async with ExecutionHistoryService(place, clock=clock) as second:
        assert deleted == await second.bulk.find(deleted.id)
        await _over(second, await second.bulk.undo(deleted.id))
        assert await second.detail_bytes(WORKFLOW, "one") is not None


async def test_a_change_ends_with_its_service_and_says_so(tmp_path: Path, clock: Clock) -> None:
    """A service that is closed stops its changes after the batch under way; what was deleted can be undone."""
    place = f"sqlite:{tmp_path / 'history'}"
    async with ExecutionHistoryService(place, clock=clock) as first:
        await asyncio.gather(*(_run(first, f"f{number:03}", "failed") for number in range(250)))
        await first.follow_index()
        change = await first.bulk.delete(FAILED)
    async with ExecutionHistoryService(place, clock=clock) as second:
        found = await second.bulk.find(change.id)
        assert found is not None
        assert "stopped" == found.state
        if found.can_be_undone(clock()):
            await _over(second, await second.bulk.undo(change.id))
        assert 250 == await _total(second, FAILED)


async def test_a_change_can_be_stopped(service: ExecutionHistoryService, clock: Clock) -> None:
    """Whoever stops it leaves what is not changed yet as it is, and can undo what was deleted."""
    await service.follow_index()
    change = await service.bulk.delete(FAILED)
    await service.bulk.stop(change.id)
    clock.now += 10_000
    stopped = await _over(service, change)
    assert "stopped" == stopped.state
    assert 250 - stopped.changed == await _total(service, FAILED)
    if stopped.changed:
        await _over(service, await service.bulk.undo(stopped.id))
    assert 250 == await _total(service, FAILED)


class _Refusing(MemoryStore):
    """A store that cannot restore anything while it is full."""

    is_full = True

    async def restore(self, keys: Iterable[RecordKey]) -> list[RecordKey]:
        """See :meth:`Bin.restore`."""
        if self.is_full:
            raise StoreFull("The disk is full.")
        return await super().restore(keys)


async def test_an_undo_that_the_store_refuses_can_be_repeated(clock: Clock) -> None:
    """It says why it stopped, and what was deleted is not forgotten before it is back."""
    store = _Refusing()
    async with ExecutionHistoryService(store, clock=clock) as service:
        await _run(service, "one", "failed")
        deleted = await _over(service, await service.bulk.delete(FAILED))
        refused = await _over(service, await service.bulk.undo(deleted.id))
        assert ("stopped", "The disk is full.") == (refused.state, refused.reason)
        store.is_full = False
        await _over(service, await service.bulk.undo(deleted.id))
        assert await service.detail_bytes(WORKFLOW, "one") is not None


async def test_a_deletion_whose_process_was_killed_at_once_can_be_undone(
    service: ExecutionHistoryService, clock: Clock
) -> None:
    """What it removed after it last said how far it is counts too."""
    deletion = await _over(service, await service.bulk.delete(FAILED))
    killed = {**deletion.to_json(), "state": "running", "changed": 0, "updated": clock()}
    await service.store.put_entry("bulk", deletion.id, orjson.dumps(killed))
    await service.bulk.stop(deletion.id)
    assert 250 == (await _over(service, await service.bulk.undo(deletion.id))).changed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id": 1}',
        b'{"id": "x", "action": "delete", "updated": "y"}',
        b'{"id": "x", "action": "dance"}',
    ],
)
async def test_what_is_no_change_is_passed_over(service: ExecutionHistoryService, value: bytes) -> None:
    """Another program may have written into the registry."""
    await service.store.put_entry("bulk", "odd", value)
    assert await service.bulk.find("odd") is None
    await service.bulk.stop("odd")
    assert 250 == (await _over(service, await service.bulk.annotate(FAILED, Annotation(add_tags=("a",))))).changed


async def test_undoing_restores_nothing_that_was_deleted_before(service: ExecutionHistoryService) -> None:
    """A list that was open for long names runs that somebody else has deleted: those stay deleted."""
    keys = [RecordKey(WORKFLOW, f"f{number:03}") for number in range(3)]
    await _over(service, await service.bulk.delete(keys[:1]))
    deletion = await _over(service, await service.bulk.delete(keys))
    assert (2, 1) == (deletion.changed, deletion.unchanged)
    assert 2 == (await _over(service, await service.bulk.undo(deletion.id))).changed
    assert await service.get_execution_detail(WORKFLOW, "f000") is None
    assert await service.get_execution_detail(WORKFLOW, "f001") is not None


async def test_a_run_that_others_keep_changing_is_counted_once(service: ExecutionHistoryService) -> None:
    """However often it changes, and also where it began after the call."""
    await service.follow_index()
    change = await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",)))
    for number in range(3):
        await service.annotate(WORKFLOW, "f249", Annotation(note=str(number)))
        await service.annotate(WORKFLOW, "f248", Annotation(rating=number + 1))
    done = await _over(service, change)
    assert (248, 2, 0) == (done.changed, done.left_alone, done.unchanged)


async def test_a_stopped_change_is_carried_on(service: ExecutionHistoryService, clock: Clock) -> None:
    """With the same id and for the runs that it meant at its beginning; once it is done it cannot be."""
    await service.follow_index()
    change = await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",)), by="cli")
    await service.bulk.stop(change.id)
    stopped = await _over(service, change)
    assert ("stopped", True) == (stopped.state, stopped.can_be_resumed(clock()))
    await _run(service, "late", "failed")
    await service.annotate(WORKFLOW, "f249", Annotation(note="mine"))
    await service.follow_index()
    done = await _over(service, await service.bulk.resume(change.id))
    assert (change.id, "done", 249, 1) == (done.id, done.state, done.changed + done.unchanged, done.left_alone)
    assert 249 == await _total(service, RecordFilter(tags=("seen",)))
    for unknown in (change.id, "nothing", ""):
        with pytest.raises(InvalidInput, match="cannot be carried on"):
            await service.bulk.resume(unknown)


async def test_a_deletion_that_died_in_a_batch_is_carried_on_and_undone(
    service: ExecutionHistoryService, clock: Clock
) -> None:
    """What that batch had removed is counted, and comes back with the rest."""
    await service.follow_index()
    deletion = await _over(service, await service.bulk.delete(FAILED))
    store = service.store
    assert isinstance(store, Bin)
    for entry in (await store.entries("bulk_keys"))[1:]:  # all but the first batch as if it had not come to them
        await store.restore([RecordKey(*key) for key in orjson.loads(entry.value)])
        await store.drop_entry(*entry.name)
    plan = {"filters": {"status": ["failed"]}, "since": await store.revision()}
    await store.put_entry("bulk_plan", deletion.id, orjson.dumps(plan))
    killed = {**deletion.to_json(), "state": "running", "changed": 0, "after": None, "batches": 0}
    await store.put_entry("bulk", deletion.id, orjson.dumps(killed))
    await service.follow_index()
    found = await service.bulk.get(deletion.id)
    assert ("interrupted", True) == (found.state, found.can_be_undone(clock()))
    done = await _over(service, await service.bulk.resume(deletion.id))
    assert ("done", 250, 0) == (done.state, done.changed, await _total(service, FAILED))
    undone = await _over(service, await service.bulk.undo(deletion.id))
    assert 250 == undone.changed
    # As if the undoing had died with its first batch restored, but neither counted nor forgotten.
    await store.discard([RecordKey(WORKFLOW, f"f{number:03}") for number in range(1, 250)], KEPT_MS)
    await store.put_entry(
        "bulk_keys", f"{deletion.id}/00000000", orjson.dumps([[WORKFLOW, f"f{n:03}"] for n in range(250)])
    )
    killed = {**undone.to_json(), "state": "running", "changed": 0, "after": None, "batches": 0}
    await store.put_entry("bulk", undone.id, orjson.dumps(killed))
    done = await _over(service, await service.bulk.resume(undone.id))
    assert ("done", 250, 0, 250) == (done.state, done.changed, done.unchanged, await _total(service, FAILED))


async def test_changes_are_listed(service: ExecutionHistoryService, clock: Clock) -> None:
    """For 30 days, the newest first, with what was done with which runs, and from where."""
    await service.follow_index()
    await _over(service, await service.bulk.annotate(FAILED, Annotation(add_tags=("seen",), note="n" * 999), by="page"))
    await _over(service, await service.bulk.delete([RecordKey(WORKFLOW, "s1")], by="http"))
    [second, first] = await service.bulk.all()
    assert ({"status": ["failed"]}, "page", 250) == (first.filters, first.by, first.changed)
    assert first.annotation == {"add_tags": ["seen"], "note": "n" * 100}
    assert (None, None, "http", 1) == (second.filters, second.annotation, second.by, second.total)
    assert [second] == await service.bulk.all(1)
    clock.now += 31 * KEPT_MS
    last = await _over(service, await service.bulk.annotate([RecordKey(WORKFLOW, "s2")], Annotation(pinned=True)))
    assert [last] == await service.bulk.all()
    assert [last.id] == [entry.name.key for entry in await service.store.entries("bulk_plan")]
    assert [] == await service.store.entries("bulk_keys")


class _Forgetful(MemoryStore):
    """A store that cannot keep that a change is done."""

    async def put_entry(self, kind: str, key: str, value: bytes, *, expected: int | None = None) -> Entry | None:
        """See :meth:`Administration.put_entry`."""
        if kind == "bulk" and b'"done"' in value:
            raise StoreFull("The disk is full.")
        return await super().put_entry(kind, key, value, expected=expected)


async def test_an_end_that_cannot_be_kept_is_still_said(clock: Clock) -> None:
    """By the process that carried the change out, with the reason; no exception is lost."""
    async with ExecutionHistoryService(_Forgetful(), clock=clock) as service:
        await _run(service, "one", "failed")
        done = await _over(service, await service.bulk.delete(FAILED))
        assert ("done", 1, "The disk is full.") == (done.state, done.changed, done.reason)
        assert [done] == await service.bulk.all()


async def test_a_change_whose_process_was_killed_is_interrupted(tmp_path: Path) -> None:
    """Its lease runs out; another process sees that, and carries the change on."""
    async with ExecutionHistoryService(tmp_path / "history") as service:
        await asyncio.gather(*(_run(service, f"f{number:03}", "failed") for number in range(150)))
    source = """
        import asyncio
        from pathlib import Path
        from execution_history.clock import now_ms
        from execution_history.history.annotations import Annotation
        from execution_history.history.bulk_changes import BulkChanges
        from execution_history.history.workflow_lookup import WorkflowLookup
        from execution_history.query.fields import RecordFilter
        from execution_history.stores import SQLiteStore

        class Stuck(SQLiteStore):
            async def update(self, *args, **keywords):
                await asyncio.Event().wait()

        async def main():
            store = Stuck(Path("history"))
            named = WorkflowLookup(store, now_ms).with_workflow_ids
            bulk = BulkChanges(store, now_ms, named, lease_ms=1500)
            change = await bulk.annotate(RecordFilter(statuses=("failed",)), Annotation(add_tags=("seen",)))
            print(change.id, flush=True)
            await bulk.wait(change.id)

        asyncio.run(main())
    """
    with begin(tmp_path, source) as program:
        assert program.stdout is not None
        change_id = (await asyncio.to_thread(program.stdout.readline)).strip()
        async with ExecutionHistoryService(tmp_path / "history") as service:
            assert "running" == (await service.bulk.get(change_id)).state
            program.kill()
            while (found := await service.bulk.get(change_id)).is_running:
                await asyncio.sleep(0.05)
            assert "interrupted" == found.state
            await service.follow_index()
            done = await _over(service, await service.bulk.resume(change_id))
            assert ("done", 150) == (done.state, done.changed)
