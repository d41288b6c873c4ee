"""The backups that a server makes by itself."""

from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.application import open_application
from execution_history.errors import SettingsError
from execution_history.jobs.job import run_job
from execution_history.maintenance.backup import known_backups, statuses, target_at
from execution_history.maintenance.backup.schedule import backup_job, planned_by
from execution_history.maintenance.backup.status import BackupStatus, Failure, LastBackup, PlannedBackups, current
from execution_history.presentation.backup_notice import backup_problem
from execution_history.records.time_units import HOUR_MS
from execution_history.settings import Settings, load_settings
from execution_history.settings.backups import BackupSettings
from execution_history.stores import MemoryStore
from tests.sample_records import document

pytestmark = pytest.mark.anyio


async def test_a_server_makes_incremental_backups_and_full_ones_in_between(tmp_path: Path) -> None:
    """And keeps as many as it should; the audit log says who made them."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    settings = BackupSettings(to=str(tmp_path), keep=1, every_hours=1)
    kinds: list[tuple[str, str, int]] = []
    for days in (7, 7, 1e-9):
        await store.create(document(f"e{days}{len(kinds)}"))
        job = backup_job(service, settings.model_copy(update={"full_every_days": days}))
        run = await run_job(service, job)
        assert run is not None
        assert run.report is not None
        kinds.append((run.outcome, run.report["kind"], len(run.report["removed"])))
    assert [("done", "full", 0), ("done", "incremental", 0), ("done", "full", 2)] == kinds
    assert 1 == len((await known_backups(target_at(tmp_path))).all)
    assert ["backup"] * 6 == [line.actor for line in await store.audit(0, 10)]
    [status] = await statuses(service)
    assert status.last is not None
    ended, planned = status.last.ended_at, planned_by(settings)
    assert PlannedBackups(str(tmp_path), HOUR_MS) == planned
    assert [False, True] == [status.is_late(planned, ended + hours * HOUR_MS) for hours in (1, 3)]
    assert not status.is_late(None, ended + 3 * HOUR_MS)
    assert not status.is_late(PlannedBackups("elsewhere", HOUR_MS), ended + 3 * HOUR_MS)


async def test_a_server_verifies_every_so_many_backups(tmp_path: Path) -> None:
    """The newest one, which it notes; one that is damaged makes the job fail, and the next one tries again."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    job = backup_job(service, BackupSettings(to=str(tmp_path), verify_every=2))
    known = []
    for number in range(3):
        await store.create(document(f"e{number}"))
        run = await run_job(service, job)
        [status] = await statuses(service)
        assert run is not None
        assert run.report is not None
        known.append((run.report.get("verified"), status.unverified))
    assert [(None, 1), (2, 0), (None, 1)] == known
    next(tmp_path.rglob("changes-*")).write_bytes(b"")
    run = await run_job(service, job)
    assert run is not None
    [status] = await statuses(service)
    assert ("failed", 2) == (run.outcome, status.unverified)
    assert "is damaged" in str(backup_problem(status, str, is_late=False))


async def test_a_backup_that_fails_or_is_late_is_told(tmp_path: Path) -> None:
    """One sentence; none while all is well."""
    service = ExecutionHistoryService(MemoryStore())
    (tmp_path / "file").write_text("")
    job = backup_job(service, BackupSettings(to=str(tmp_path / "file")))
    run = await run_job(service, job)
    assert run is not None
    assert "failed" == run.outcome
    [status] = await statuses(service)
    assert f"The backup to {tmp_path}/file failed on" in str(backup_problem(status, str, is_late=False))
    (tmp_path / "file").unlink()
    await run_job(service, job)
    [status] = await statuses(service)
    assert status.last is not None
    assert backup_problem(status, str, is_late=False) is None
    said = str(backup_problem(status, str, is_late=True))
    assert f"no backup to {tmp_path}/file since {status.last.ended_at}." in said


def test_what_is_over_is_not_told_for_ever() -> None:
    """A place that was mistyped, or is not used any more, once there is a newer backup; the planned one always is."""

    def status(place: str, last: int | None, failed: int | None) -> BackupStatus:
        made = None if last is None else LastBackup(
            id="i", kind="full", revision=1, created_at=last, ended_at=last, records=1, size=1
        )  # fmt: skip
        return BackupStatus(place=place, last=made, failure=None if failed is None else Failure(failed, "Full."))

    found = [status("typo", None, 5), status("old", 3, 4), status("now", 10, None), status("planned", None, 1)]
    assert ["now", "planned"] == [each.place for each in current(found, PlannedBackups("planned", 1))]
    assert ["now"] == [each.place for each in current(found, None)]
    later = [*found, status("broken", 2, 11)]
    assert ["now", "broken"] == [each.place for each in current(later, None)]


async def test_what_cannot_be_meant_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place of no kind, a setting that is none, one that is not possible."""
    settings = Settings(store=str(tmp_path / "history"), backup=BackupSettings(to="gs://bucket"))
    with pytest.raises(SettingsError, match="name a folder or s3://bucket/prefix"):
        async with open_application(settings, serving=True):
            pass
    monkeypatch.setenv("EXECUTION_HISTORY_BACKUP__TO", str(tmp_path))
    assert (24, 7, 4) == (
        (found := load_settings().backup) and found.every_hours,
        found and found.full_every_days,
        found and found.keep,
    )
    for name, value, sentence in (
        ("KEEP", "0", "at least 1"),
        ("EVERY_HOURS", "0", "more than 0"),
        ("TO", " ", "must name a folder"),
        ("EVERY", "1", "backup has to, every_hours, full_every_days, keep, verify_every"),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(f"EXECUTION_HISTORY_BACKUP__{name}", value)
            with pytest.raises(SettingsError, match=sentence):
                load_settings()
