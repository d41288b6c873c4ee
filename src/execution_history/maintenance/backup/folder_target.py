"""Backups in a folder: each file is written beside its place, flushed to the disk, and renamed."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from execution_history.errors import NO_SPACE, BackupFailed, quoted
from execution_history.maintenance.backup.manifest import missing_file
from execution_history.stores.foreign_files import open_regular
from execution_history.transfer.atomic_output import sync_folder

_PARTIAL: Final = ".partial"


class FolderTarget:
    """See :class:`~execution_history.maintenance.backup.target.BackupTarget`.

    Args:
        folder: made, for its owner only, where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def list(self) -> list[str]:
        """See :meth:`BackupTarget.list`; a folder that is not there has no files."""
        with self._faults():
            found = [path for path in self._folder.rglob("*") if path.is_file()]
            return sorted(path.relative_to(self._folder).as_posix() for path in found)

    def read(self, name: str, most: int) -> bytes:
        """See :meth:`BackupTarget.read`."""
        with self._faults():
            try:
                with open_regular(self._folder / name) as file:
                    return file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
            except FileNotFoundError:
                raise missing_file(name, self._folder) from None

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`BackupTarget.write`."""
        path = self._folder / name
        temporary = path.with_name(path.name + _PARTIAL)
        with self._faults():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # it has other files
                    path.parent.rmdir()
                raise
            for folder in (path.parent, self._folder):
                sync_folder(folder)

    def delete(self, names: Iterable[str]) -> None:
        """See :meth:`BackupTarget.delete`; a backup's folder goes with its last file."""
        with self._faults():
            for name in names:
                path = self._folder / name
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # it has other files
                    path.parent.rmdir()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise the operating system's errors in the block as one sentence.

        Raises:
            BackupFailed: something could not be read or written.
        """
        try:
            yield
        except OSError as error:
            if error.errno in NO_SPACE:
                raise BackupFailed(
                    "There is no space left for backups in %(place)s: free some, or choose another place.",
                    place=quoted(self._folder),
                ) from error
            raise BackupFailed(
                "The backups in %(place)s cannot be read or written (%(reason)s): check that the place exists and is "
                "writable.",
                place=quoted(self._folder),
                reason=error.strerror or error,
            ) from error
