"""What a restore does with keys and the audit log, and what of them it gives back to a history that lost them."""

import contextlib
from pathlib import Path

import apsw
import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.access.audit import Action, note
from execution_history.access.keys import Keys
from execution_history.clock import now_ms
from execution_history.errors import BackupDamaged, InvalidInput
from execution_history.maintenance.backup import BackupTarget, back_up, restore, restore_missing, target_at
from execution_history.maintenance.rules import RuleBook
from execution_history.query.model import RecordKey
from execution_history.settings import Settings
from execution_history.stores import MemoryStore, store_at
from execution_history.stores.protocol import HistoryStore
from tests.programs import begin
from tests.sample_records import document
from tests.stores_under_test import Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def target(tmp_path: Path) -> BackupTarget:
    """A folder for backups."""
    return target_at(tmp_path / "backups")


async def _secrets(service: ExecutionHistoryService, *names: str) -> list[str]:
    """The secrets of keys that are added."""
    keys = Keys(service.store, now_ms)
    return [(await keys.add(name, ["read"])).secret for name in names]


async def _let_in(place: Path, secrets: list[str]) -> list[bool]:
    """Which of the secrets let somebody in."""
    async with ExecutionHistoryService(place) as service:
        return [await Keys(service.store, now_ms).holder_of(each) is not None for each in secrets]


@pytest.mark.parametrize("is_kept", [False, True])
async def test_keys_come_back_expired_unless_they_are_kept(
    store: HistoryStore, tmp_path: Path, target: BackupTarget, is_kept: bool
) -> None:
    """One may have been revoked since the backup; the server still asks everybody for a key."""
    service = ExecutionHistoryService(store)
    secrets = await _secrets(service, "team", "gone")
    await back_up(service, target)
    await Keys(store, now_ms).revoke("gone")
    place = tmp_path / "restored"
    report = await restore(target, Settings(store=str(place)), keep_keys=is_kept)
    assert ("kept" if is_kept else "expired", ("gone", "team")) == (report.keys, report.key_names)
    assert [is_kept, is_kept] == await _let_in(place, secrets)
    async with ExecutionHistoryService(place) as restored:
        assert await Keys(restored.store, now_ms).any()
        line = (await restored.audit(0, 100))[-1]
        details = orjson.loads(line.details)
    assert ("restore", report.id, report.keys) == (line.action, details["id"], details["keys"])
    assert details["moment"].startswith("20")


async def test_keys_and_audit_log_of_the_history_that_is_replaced_stay(tmp_path: Path, target: BackupTarget) -> None:
    """A key that was revoked since stays so, and one that was added is valid; no line of the log is lost."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        secrets = await _secrets(service, "team", "gone")
        await note(service.store, Action.DELETE, runs=1)
        await back_up(service, target)
        await Keys(service.store, now_ms).revoke("gone")
        secrets += await _secrets(service, "late")
        before = [(line.at, line.action) for line in await service.audit(0, 100)]
    report = await restore(target, Settings(store=str(place)), replace=True)
    assert ("present", ("late", "team"), None) == (report.keys, report.key_names, report.unread)
    assert (0, 0) == (report.replaced_records, report.records)
    assert [True, False, True] == await _let_in(place, secrets)
    async with ExecutionHistoryService(place) as restored:
        lines = [(line.at, line.action) for line in await restored.audit(0, 100)]
    assert before == lines[:-2]
    assert ["restore"] * 2 == [action for _, action in lines[-2:]]


async def test_a_history_that_cannot_be_read_is_replaced(tmp_path: Path, target: BackupTarget) -> None:
    """Its keys and its log stay in its folder only, which is told."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        secrets = await _secrets(service, "team")
        await back_up(service, target)
    (place / "history.db").write_bytes(b"no database" * 1000)
    report = await restore(target, Settings(store=str(place)), replace=True)
    assert ("expired", True, None) == (report.keys, bool(report.unread), report.replaced_records)
    assert [False] == await _let_in(place, secrets)


async def test_a_history_in_use_is_not_moved_aside(tmp_path: Path, target: BackupTarget) -> None:
    """The program that has it open is named."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        await service.create_execution_record("w", "e")
        await back_up(service, target)
    holds = """
        import apsw
        connection = apsw.Connection("history/history.db")
        connection.execute("SELECT 1 FROM executions").fetchall()
        print("open", flush=True)
        input()
    """
    with begin(tmp_path, holds) as program:
        assert program.stdout is not None
        program.stdout.readline()
        with pytest.raises(InvalidInput, match=rf"is in use by process {program.pid} .*stop that first"):
            await restore(target, Settings(store=str(place)), replace=True)
        program.communicate("\n")
    assert place.exists()


async def test_two_restores_in_one_second_keep_both_histories(tmp_path: Path, target: BackupTarget) -> None:
    """Each moves aside what was there."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        await service.store.create(document("e", "w"))
        await back_up(service, target)
    aside = [(await restore(target, Settings(store=str(place)), replace=True)).replaced for _ in range(3)]
    assert 3 == len({each for each in aside if each is not None and Path(each, "history.db").exists()})


async def test_what_a_repair_lost_comes_back_from_a_backup(
    store: HistoryStore, tmp_path: Path, target: BackupTarget
) -> None:
    """Views, names and lines that are not there are added; what is there stays as it is.

    A history that does not know what it has removed since the backup gets no runs.
    """
    service = ExecutionHistoryService(store)
    await store.create(document("e", "w"))
    await service.views.save("mine", [])
    await service.name_workflow("w", name="Then")
    await _secrets(service, "team", "again")
    await back_up(service, target)
    async with ExecutionHistoryService(tmp_path / "salvaged") as salvaged:
        await salvaged.name_workflow("w", name="Now")
        [secret] = await _secrets(salvaged, "again")
        report = await restore_missing(target, salvaged)
        assert ({"view": 1, "key": 1}, ("team",)) == (report.entries, report.key_names)
        assert (0, 1, True) == (report.records, report.removed_records, report.are_forgotten)
        assert ["mine"] == [view.name for view in await salvaged.views.all()]
        assert "Now" == (await salvaged.names())["w"].name
        assert [] == await salvaged.get_all_workflows()
        keys = Keys(salvaged.store, now_ms)
        assert {"again": False, "team": True} == {key.name: key.has_expired(now_ms()) for key in await keys.all()}
        assert await keys.holder_of(secret)
        lines = [line.action for line in await salvaged.audit(0, 100)]
        assert ["key_added", "restore", "key_added", "key_added", "backup", "restore"] == lines
        again = await restore_missing(target, salvaged)
        assert ({}, 0) == (again.entries, again.audit_lines)


async def test_runs_that_are_lost_come_back_and_removed_ones_do_not(tmp_path: Path, target: BackupTarget) -> None:
    """A run whose row is gone or cannot be read was not removed here; one that was deleted, cleared or binned was."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        for name in ("kept", "lost", "damaged", "deleted", "binned"):
            await service.store.create(document(name, "w"))
        await service.store.create(document("one", "cleared"))
        await back_up(service, target)
        await service.delete_execution_record("w", "deleted", forever=True)
        await service.delete_execution_record("w", "binned")
        await service.store.clear("cleared")
    with contextlib.closing(apsw.Connection(str(place / "history.db"))) as database:
        database.execute("DELETE FROM executions WHERE execute_id = 'lost'")
        database.execute("UPDATE executions SET document = zeroblob(9) WHERE execute_id = 'damaged'")
    async with ExecutionHistoryService(store_at(place, json_files=False)) as service:
        report = await restore_missing(target, service)
        assert (2, 3, False) == (report.records, report.removed_records, report.are_forgotten)
        found = await service.get_many(
            [RecordKey("w", name) for name in ("kept", "lost", "damaged", "deleted", "binned")]
        )
        assert {"kept", "lost", "damaged"} == {key.execute_id for key in found.documents}
        assert 0 == (await restore_missing(target, service)).records
        report = await restore_missing(target, service, with_removed=True)
        assert (3, 0) == (report.records, report.removed_records)


async def test_a_history_that_was_restored_does_not_count_as_the_one_before(
    tmp_path: Path, target: BackupTarget
) -> None:
    """Its changes have other numbers, so what it has removed cannot be told from what it has lost."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        for number in range(5):
            await service.store.create(document(f"e{number}", "w"))
        await back_up(service, target)
    await restore(target, Settings(store=str(place)), replace=True)
    async with ExecutionHistoryService(place) as service:
        await service.delete_execution_record("w", "e1", forever=True)
        for number in range(40):
            await service.store.create(document(f"later{number}", "w"))
        report = await restore_missing(target, service)
        assert (0, 1, True) == (report.records, report.removed_records, report.are_forgotten)


async def test_what_was_removed_since_a_backup_stays_removed(
    store: HistoryStore, tmp_path: Path, target: BackupTarget
) -> None:
    """A view, a name, a rule and a key: on purpose, as the change feed says or the audit log; unless it is wanted."""
    service = ExecutionHistoryService(store)
    await store.create(document("deleted", "w"))
    view = await service.views.save("mine", [])
    await service.name_workflow("w", name="Then")
    rules = RuleBook(service, ())
    await rules.put({"name": "old", "older_than": "30d"}, "ada")
    await _secrets(service, "team", "gone")
    await back_up(service, target)
    await service.delete_execution_record("w", "deleted")
    await service.views.drop(view.id)
    await service.name_workflow("w", name="")
    await rules.remove("old", "ada")
    await Keys(store, now_ms).revoke("gone")
    report = await restore_missing(target, service)
    left = {"view": 1, "workflow": 1, "retention": 1, "key": 1}
    assert ({}, left, False) == (report.entries, report.removed, report.are_forgotten)
    assert (0, 1) == (report.records, report.removed_records)
    assert 0 == report.audit_lines
    # A database that was made anew has the lines of the log perhaps, and no feed of what was there.
    async with ExecutionHistoryService(tmp_path / "salvaged") as salvaged:
        for line in await store.audit(0, 100):
            await salvaged.append_audit(line.actor, line.action, line.details, at=line.at)
        report = await restore_missing(target, salvaged)
        assert ({"view": 1, "workflow": 1, "key": 1}, {"retention": 1, "key": 1}) == (report.entries, report.removed)
    report = await restore_missing(target, service, with_removed=True)
    assert (left, {}) == (report.entries, report.removed)
    assert (1, 0) == (report.records, report.removed_records)


async def test_what_a_history_has_forgotten_to_have_removed_is_told(clock: Clock, target: BackupTarget) -> None:
    """Its feed keeps removals for thirty days; keys and rules stay in the audit log."""
    store = MemoryStore(clock=clock)
    service = ExecutionHistoryService(store)
    view = await service.views.save("mine", [])
    await back_up(service, target)
    await service.views.drop(view.id)
    clock.go_on(days=40)
    await service.name_workflow("w", name="Now")
    await store.prune()
    report = await restore_missing(target, service)
    assert ({"view": 1}, True) == (report.entries, report.are_forgotten)


async def test_a_restore_that_fails_is_in_the_log_of_the_history_that_stays(
    tmp_path: Path, target: BackupTarget
) -> None:
    """It was to be replaced: that this began stands there before the work does, and why it failed."""
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        await service.create_execution_record("w", "e")
        await back_up(service, target)
    next(Path(target.name).rglob("records-*")).write_bytes(b"")
    with pytest.raises(BackupDamaged):
        await restore(target, Settings(store=str(place)), replace=True)
    async with ExecutionHistoryService(place) as service:
        begun, failed = (orjson.loads(line.details) for line in (await service.audit(0, 100))[-2:])
    assert (True, True) == (begun["begun"], "is damaged" in failed["failed"])
