"""Backups of a history that is in use: made, listed, verified, restored."""

from typing import TYPE_CHECKING

from execution_history.lazy_names import lazy_names

if TYPE_CHECKING:
    from execution_history.maintenance.backup.manifest import Backups, KnownBackup, Manifest
    from execution_history.maintenance.backup.missing import MissingReport, restore_missing
    from execution_history.maintenance.backup.restoration import RestoreReport, known_backups, restore
    from execution_history.maintenance.backup.status import BackupStatus, statuses
    from execution_history.maintenance.backup.target import BackupTarget, target_at
    from execution_history.maintenance.backup.verification import note_verification, verify
    from execution_history.maintenance.backup.writer import BackupReport, back_up
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            **dict.fromkeys(("Backups", "KnownBackup", "Manifest"), "manifest"),
            **dict.fromkeys(("MissingReport", "restore_missing"), "missing"),
            **dict.fromkeys(("RestoreReport", "known_backups", "restore"), "restoration"),
            **dict.fromkeys(("BackupStatus", "statuses"), "status"),
            **dict.fromkeys(("BackupTarget", "target_at"), "target"),
            **dict.fromkeys(("note_verification", "verify"), "verification"),
            **dict.fromkeys(("BackupReport", "back_up"), "writer"),
        },
    )

__all__ = [
    "BackupReport",
    "BackupStatus",
    "BackupTarget",
    "Backups",
    "KnownBackup",
    "Manifest",
    "MissingReport",
    "RestoreReport",
    "back_up",
    "known_backups",
    "note_verification",
    "restore",
    "restore_missing",
    "statuses",
    "target_at",
    "verify",
]
