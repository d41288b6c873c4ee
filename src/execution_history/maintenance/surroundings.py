"""What a history stands on: versions, folders and their permissions, space on disks, what waits to be written."""

import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import apsw

from execution_history.errors import N_, Message, quoted
from execution_history.recording.spool import spool_of
from execution_history.settings import Settings
from execution_history.stores.disk_space import Disk
from execution_history.stores.factory import place_named
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.verification import Check, Finding, Outcome, Progress, counted, named

_PACKAGES: Final = ("apsw", "zstandard", "orjson", "psycopg")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OWN_FILE: Final = stat.S_IRUSR | stat.S_IWUSR
_OWN_FOLDER: Final = stat.S_IRWXU


def surrounding_checks(store: HistoryStore, settings: Settings) -> list[Check]:
    """Return the checks of what *store* stands on; those of folders only where it uses some."""
    return [
        Check.in_thread("versions", N_("Versions"), _versions),
        Check.in_thread("permissions", N_("Permissions"), lambda _: _permissions(store, settings)),
        Check.in_thread("space", N_("Disk space"), lambda _: _space(store, settings)),
        Check.in_thread("waiting", N_("Waiting"), lambda _: _waiting(store)),
    ]


def _versions(_: Progress) -> Outcome:
    found = [f"execution-history {_version('execution-history')}", f"Python {platform.python_version()}"]
    found.append(f"SQLite {apsw.sqlite_lib_version()}")
    found += [f"{name} {number}" for name in _PACKAGES if (number := _version(name))]
    return Outcome(Message(", ".join(found)))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _permissions(store: HistoryStore, settings: Settings) -> Outcome:
    folders = [folder for folder in _folders(store, settings) if folder.is_dir()]
    findings = []
    owner = os.geteuid() if hasattr(os, "geteuid") else None
    foreign: list[str] = []
    closed: list[Path] = []
    for path in (each for folder in folders for each in (folder, *_entries(folder))):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # removed meanwhile
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            continue
        if owner is not None and status.st_uid != owner:
            foreign.append(str(path))
        elif ~status.st_mode & (_OWN_FOLDER if stat.S_ISDIR(status.st_mode) else _OWN_FILE):
            closed.append(path)
    if foreign:
        sentence = Message(
            "User %(user)s, who runs this program, does not own %(names)s.", user=owner, names=named(foreign)
        )
        findings.append(Finding(sentence, Message("Change their owner (chown), or run the program as that user.")))
    if closed:
        sentence = Message("Their owner cannot read and write %(names)s.", names=named(list(map(str, closed))))
        remedy = Message("--repair gives the owner these permissions.")
        findings.append(Finding(sentence, remedy, repair=partial(_opened_up, closed)))
    open_ones = [str(folder) for folder in folders if folder.stat().st_mode & _OTHERS]
    if open_ones and owner is not None:
        sentence = Message("Other users can look into %(names)s.", names=named(open_ones))
        findings.append(Finding(sentence, Message("chmod 700 keeps them out."), is_problem=False))
    return Outcome(counted(len(folders), N_("1 folder"), N_("%(count)s folders")), findings)


async def _opened_up(paths: list[Path]) -> Message:
    for path in paths:
        path.chmod(path.stat().st_mode | (_OWN_FOLDER if path.is_dir() else _OWN_FILE))
    return counted(
        len(paths),
        N_("The owner can read and write 1 file or folder again."),
        N_("The owner can read and write %(count)s files and folders again."),
    )


def _space(store: HistoryStore, settings: Settings) -> Outcome:
    places = [*_folders(store, settings), Path(tempfile.gettempdir())]
    little: list[str] = []
    least: int | None = None
    for folder in dict.fromkeys(map(_existing, places)):
        disk = Disk.of(folder)
        least = disk.free if least is None else min(least, disk.free)
        if disk.is_nearly_full:
            little.append(Message("%(size)s MB for %(folder)s", size=disk.free // 1_000_000, folder=quoted(folder)))
    findings = []
    if little:
        sentence = Message("There is little space left: %(places)s.", places=named(little))
        findings.append(Finding(sentence, Message("Free some: a full disk leaves runs unrecorded.")))
    return Outcome(Message("%(size)s GB free at least", size=f"{(least or 0) / 1e9:,.1f}"), findings)


def _waiting(store: HistoryStore) -> Outcome:
    spool = spool_of(store)
    if spool is None:
        return Outcome(Message("no files"))
    waiting, damaged = len(spool.batches()), [path.name for path in spool.damaged()]
    findings = []
    if waiting:
        one = N_("1 program left steps of runs in %(folder)s that it could not write.")
        several = N_("%(count)s programs left steps of runs in %(folder)s that they could not write.")
        sentence = counted(waiting, one, several, folder=quoted(spool.folder))
        remedy = Message("The next program that records into this history writes them.")
        findings.append(Finding(sentence, remedy, is_problem=False))
    if damaged:
        sentence = Message("Steps of runs that cannot be read are in %(folder)s: %(names)s.",
                           folder=quoted(spool.folder), names=named(damaged))  # fmt: skip
        findings.append(Finding(sentence, Message("Delete them once you no longer need them.")))
    summary = counted(waiting, N_("1 file"), N_("%(count)s files")) if waiting else Message("no files")
    return Outcome(summary, findings)


def _entries(folder: Path) -> list[Path]:
    with suppress(PermissionError):  # the folder itself is found then
        return list(folder.iterdir())
    return []


def _folders(store: HistoryStore, settings: Settings) -> Iterator[Path]:
    """Yield the folders that the history uses."""
    if (folder := place_named(settings.store).folder) is not None:
        yield folder.absolute()
    if settings.mirror_folder:
        yield Path(settings.mirror_folder).absolute()
    if (spool := spool_of(store)) is not None:
        yield spool.folder


def _existing(folder: Path) -> Path:
    """Return *folder*, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())
