"""The destination of an export: a file or folder that appears whole at the end or not at all, or a stream."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from execution_history.errors import NO_SPACE, ExportFailed, quoted

_SUFFIX: Final = ".partial"


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the name *path* once the block succeeds; until then, and otherwise, *path* is unchanged.

    Raises:
        ExportFailed: it cannot be written.
    """
    with export_faults(str(path)):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:30]}.", suffix=_SUFFIX, dir=path.parent)
        with _renamed(Path(name), path), os.fdopen(descriptor, "wb", buffering=1024 * 1024) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that takes the name *path* once the block succeeds; an empty folder may be there before.

    Raises:
        ExportFailed: it cannot be made, or there is something at *path*.
    """
    with export_faults(str(path)):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise ExportFailed(
                "There is something at %(path)s already: name a folder that is empty or not there.", path=quoted(path)
            )
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:30]}.", suffix=_SUFFIX, dir=path.parent))
        with _renamed(temporary, path):
            yield temporary


@contextlib.contextmanager
def export_faults(where: str) -> Iterator[None]:
    """Raise the operating system's errors in the block as one sentence that names *where*.

    Raises:
        ExportFailed: something could not be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has seen enough, which is no fault
    except OSError as error:
        if error.errno in NO_SPACE:
            raise ExportFailed(
                "The export to %(where)s found no space left, and nothing of it was kept: free some, "
                "or choose another place.",
                where=quoted(Path(where)),
            ) from error
        raise ExportFailed(
            "The export to %(where)s cannot be written (%(reason)s): check that the place exists and is writable.",
            where=quoted(Path(where)),
            reason=error.strerror or error,
        ) from error


@contextlib.contextmanager
def _renamed(temporary: Path, path: Path) -> Iterator[None]:
    """Rename *temporary* to *path* once the block succeeds; remove it otherwise."""
    try:
        yield
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flush the new name to the disk, where the system lets folders be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
