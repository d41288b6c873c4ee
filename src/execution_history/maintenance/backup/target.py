"""Where backups are kept: a folder, or a bucket that speaks S3. All calls block; names are paths with ``/``."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import structs

from execution_history.errors import BackupDamaged, SettingsError, quoted
from execution_history.maintenance.backup.folder_target import FolderTarget
from execution_history.maintenance.backup.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    VERIFICATION,
    Backups,
    KnownBackup,
    VerificationNote,
    moment_of,
    opened,
)
from execution_history.records.redaction import without_credentials

_LARGEST_NOTE: Final = 64 * 1024
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class BackupTarget(Protocol):
    """A place for files that are written once, and later deleted."""

    @property
    def name(self) -> str:
        """The place as it is shown, without credentials."""

    def list(self) -> list[str]:
        """Return the names of all files, also of those that were not completed.

        Raises:
            BackupFailed: the place cannot be read.
        """

    def read(self, name: str, most: int) -> bytes:
        """Return a whole file; of one that has more than *most* bytes, one more than that.

        Raises:
            BackupDamaged: it is not there.
            BackupFailed: it cannot be read.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a file, which is there whole and durably when this returns, or else not at all.

        Raises:
            BackupFailed: it cannot be written.
        """

    def delete(self, names: Iterable[str]) -> None:
        """Delete files one after the other; one that is not there is none the less gone.

        Raises:
            BackupFailed: one cannot be deleted; those after it stay.
        """


def target_at(location: str | os.PathLike[str]) -> BackupTarget:
    """Return the target at *location*: a folder, or ``s3://bucket/prefix``.

    Raises:
        SettingsError: there is no such kind of place, or what it needs is not installed.
    """
    text = os.fspath(location)
    if not text:
        raise SettingsError("The place of the backups is an empty string; name a folder or s3://bucket/prefix.")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return FolderTarget(Path(text))
    if scheme[1].lower() != "s3":
        raise SettingsError(
            "Backups cannot be kept in %(location)s; name a folder or s3://bucket/prefix.",
            location=quoted(without_credentials(text)),
        )
    try:
        from execution_history.maintenance.backup.s3_target import S3Target  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").startswith("execution_history"):
            raise
        raise SettingsError(
            "Backups to S3 need obstore, which cannot be loaded (%(reason)s): pip install 'execution-history[s3]', or "
            "pip install '.[s3]' in a checkout.",
            reason=str(error).partition("\n")[0].rstrip("."),
        ) from None
    return S3Target(text)


def read_backups(target: BackupTarget) -> Backups:
    """Return the whole backups in *target*.

    Raises:
        BackupFailed: it cannot be read.
    """
    found: dict[str, KnownBackup] = {}
    damaged: list[BackupDamaged] = []
    misplaced: dict[str, str] = {}
    names = frozenset(target.list())
    ended = {folder for folder, _, file in (name.partition("/") for name in names) if file == MANIFEST}
    for folder in sorted(ended):
        try:
            backup = opened(target.read(f"{folder}/{MANIFEST}", LARGEST_MANIFEST), f"{folder}/{MANIFEST}")
        except BackupDamaged as error:
            damaged.append(error)
            continue
        if backup.manifest.id != folder:
            misplaced[folder] = backup.manifest.id
            continue
        note = f"{folder}/{VERIFICATION}"
        found[folder] = structs.replace(backup, verified=_verified_at(target, note, backup) if note in names else None)
    # A second copy of a backup does no harm; one that is only there under another name cannot be found.
    damaged += [_misplaced(folder, backup_id) for folder, backup_id in misplaced.items() if backup_id not in found]
    begun = {name.partition("/")[0] for name in names} - ended
    unfinished = (each for each in begun if moment_of(each) is not None)
    return Backups(found.values(), damaged, unfinished, target.name)


def _misplaced(folder: str, backup_id: str) -> BackupDamaged:
    return BackupDamaged(
        "The folder %(folder)s has the manifest of the backup %(id)s: give it that name again.",
        folder=quoted(folder),
        id=quoted(backup_id),
    )


def _verified_at(target: BackupTarget, name: str, backup: KnownBackup) -> int | None:
    """Return when *backup* was verified, as the note *name* has it; ``None`` where the note is none of this backup."""
    try:
        note = msgspec.json.decode(target.read(name, _LARGEST_NOTE), type=VerificationNote)
    except (BackupDamaged, msgspec.MsgspecError, UnicodeDecodeError):  # it was removed meanwhile, or is not ours
        return None
    return note.at if note.checksum == backup.checksum else None
