"""The backups that a server makes by itself, as a periodic job."""

from typing import Final

from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job, Report
from execution_history.maintenance.backup.status import PlannedBackups, status_of
from execution_history.maintenance.backup.target import target_at
from execution_history.maintenance.backup.verification import verify_last
from execution_history.maintenance.backup.writer import back_up
from execution_history.settings.backups import BackupSettings

JOB: Final = "backup"
"""The name of the job, and who makes these backups in the audit log."""


def planned_by(settings: BackupSettings | None) -> PlannedBackups | None:
    """Return what *settings* plan; ``None`` where there are none.

    Raises:
        SettingsError: the place is none, or what it needs is not installed.
    """
    return None if settings is None else PlannedBackups(target_at(settings.to).name, int(settings.every_seconds * 1000))


def backup_job(service: ExecutionHistoryService, settings: BackupSettings) -> Job:
    """Return the job that backs up *service* as *settings* say.

    Raises:
        SettingsError: the place is none, or what it needs is not installed.
    """
    target = target_at(settings.to)

    async def work() -> Report:
        report = await back_up(service, target, keep=settings.keep, full_every_ms=settings.full_every_ms, actor=JOB)
        done = report.to_json()
        if settings.verify_every and (await status_of(service, target.name)).unverified >= settings.verify_every:
            done["verified"] = (await verify_last(service, target, report.manifest.id)).records
        return done

    return Job(JOB, settings.every_seconds, work)
