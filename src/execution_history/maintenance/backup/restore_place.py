"""The store that a backup is restored into: a folder takes its name once it is complete, a database is filled."""

import glob
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Final

from execution_history.clock import now_ms
from execution_history.errors import BackupFailed, InvalidInput, quoted
from execution_history.maintenance.backup.manifest import id_at
from execution_history.records.redaction import shown_store
from execution_history.records.time_units import DAY_MS
from execution_history.settings import Settings
from execution_history.stores import place_named

_SUFFIX: Final = ".restoring"


class RestorePlace:
    """Where a backup is restored.

    Args:
        settings: name the store that is filled.
        made: its folder, where it is in one.
        folder: what that is called in the end.
    """

    def __init__(self, settings: Settings, made: Path | None = None, folder: Path | None = None) -> None:
        self.settings = settings
        self._made, self._folder = made, folder

    @property
    def is_filled_in_place(self) -> bool:
        """Whether what is restored is there before it is whole, so that a restore that is killed leaves a part."""
        return self._made is None

    def take_name(self) -> Path | None:
        """Give the store, which is closed, its name; return where what was there before is now.

        Raises:
            BackupFailed: it cannot be renamed; it is removed, and what was there stays.
        """
        if self._folder is None or self._made is None:
            return None
        aside = None
        with _faults(self._folder):
            if _has_content(self._folder):
                aside = _free_name(f"{self._folder}.replaced-{id_at(now_ms(), '')[:-1]}")
                self._folder.rename(aside)
            elif self._folder.exists():
                self._folder.rmdir()
            try:
                self._made.rename(self._folder)
            except OSError:
                if aside is not None:
                    aside.rename(self._folder)
                raise
        return aside


def _free_name(name: str) -> Path:
    """Return a path that nothing has yet: another restore may have been in the same second."""
    numbered = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(path for path in map(Path, numbered) if not path.exists())


@contextmanager
def place_for(settings: Settings, *, replace: bool) -> Iterator[RestorePlace]:
    """Yield the place for the store that *settings* name.

    Raises:
        InvalidInput: there is a history already and *replace* is not given, or it cannot be moved aside.
        BackupFailed: the folder cannot be made.
    """
    place = place_named(settings.store)
    if place.folder is None:
        if replace or place.kind == "memory":
            raise InvalidInput(
                "A history in %(store)s cannot be moved aside: name an empty folder or database with --store.",
                store=quoted(shown_store(settings.store)),
            )
        yield RestorePlace(settings)
        return
    folder = place.folder.absolute()
    with _faults(folder):
        if not replace and _has_content(folder):
            raise InvalidInput(
                "There is something in %(folder)s already: name an empty folder with --store, or move it aside with "
                "--replace.",
                folder=quoted(folder),
            )
        if folder.is_mount():
            raise InvalidInput(
                "%(folder)s is the root of a file system, which cannot take the place of another folder: name a folder "
                "in it with --store.",
                folder=quoted(folder),
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name[:30]}.", suffix=_SUFFIX, dir=folder.parent))
    try:
        yield RestorePlace(settings.model_copy(update={"store": f"sqlite:{made}"}), made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    """Remove what restores into *folder* have left that were killed more than a day ago."""
    for left in folder.parent.glob(f".{glob.escape(folder.name[:30])}.*{_SUFFIX}"):
        if time.time() - left.stat().st_mtime > DAY_MS / 1000:
            shutil.rmtree(left, ignore_errors=True)


def _has_content(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


@contextmanager
def _faults(folder: Path) -> Iterator[None]:
    """Raise the operating system's errors in the block as one sentence.

    Raises:
        BackupFailed: the folder cannot be made or renamed.
    """
    try:
        yield
    except OSError as error:
        raise BackupFailed(
            "The history cannot be restored to %(folder)s: %(reason)s.",
            folder=quoted(folder),
            reason=error.strerror or error,
        ) from error
