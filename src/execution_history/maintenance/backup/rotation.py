"""Which backups stay: the newest full ones with those that need them. Whole chains go, and never a part of one."""

from typing import Final

from execution_history.maintenance.backup.manifest import MANIFEST, Backups, moment_of
from execution_history.maintenance.backup.target import BackupTarget, read_backups
from execution_history.records.time_units import DAY_MS

_LEFT_ALONE_MS: Final = DAY_MS
"""How long what has no manifest may belong to a backup that is still being made."""


def remove_old(target: BackupTarget, source: str, keep: int | None, now: int) -> list[str]:
    """Remove the chains of *source* before the newest *keep* ones, and what killed backups have left; return the ids.

    Args:
        target: where.
        source: the history whose backups are meant; those of others stay.
        keep: the number of chains that stay, 1 at least; ``None`` for all.
        now: milliseconds since the epoch.

    Raises:
        BackupFailed: something could not be removed; what is left is whole.
    """
    names = target.list()
    whole = {name.partition("/")[0] for name in names if name.endswith(f"/{MANIFEST}")}
    files: dict[str, list[str]] = {}
    for name in names:
        files.setdefault(name.partition("/")[0], []).append(name)
    for folder, left in files.items():
        begun = moment_of(folder)
        if folder not in whole and begun is not None and now - begun > _LEFT_ALONE_MS:
            target.delete(left)
    return [] if keep is None else _remove_chains(target, read_backups(target), files, source, max(1, keep))


def remove_unfinished(target: BackupTarget, backup_id: str) -> None:
    """Remove what there is of a backup that was not completed; one that was stays.

    Raises:
        BackupFailed: something could not be removed.
    """
    names = [name for name in target.list() if name.startswith(f"{backup_id}/")]
    if f"{backup_id}/{MANIFEST}" not in names:
        target.delete(names)


def _remove_chains(
    target: BackupTarget, backups: Backups, files: dict[str, list[str]], source: str, keep: int
) -> list[str]:
    removed = []
    for chain in backups.chains(source)[:-keep]:
        for backup in reversed(chain):  # the last one first, so that none is left without what it needs
            folder = backup.manifest.id
            others = [name for name in files.get(folder, ()) if name != f"{folder}/{MANIFEST}"]
            target.delete([f"{folder}/{MANIFEST}", *others])
            removed.append(folder)
    return removed
