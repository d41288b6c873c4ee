"""The source at a path: a file, recognised by its content, a folder of files, or a database."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.errors import ImportFailed, Message, quoted
from execution_history.records.charset import BYTE_ORDER_MARK, UTF_16_MARKS, decode_text
from execution_history.records.json_text import parse, read_json
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores import DATABASE
from execution_history.stores.folder_place import followed_in
from execution_history.stores.sqlite.archive import is_database
from execution_history.transfer.line_reader import import_faults, open_file
from execution_history.transfer.sources import (
    LINES_SUFFIXES,
    THE_FILE,
    DatabaseSource,
    HistoryFileSource,
    Item,
    LinesSource,
    Refused,
    Source,
)
from execution_history.transfer.zip_source import ZipSource

_SUFFIXES: Final = (".json", *LINES_SUFFIXES, ".zip")
_SAMPLE: Final = 256 * 1024


@dataclass
class FolderSource(Source):
    """The files of a folder, one after the other; each is opened only when it is read, as there may be a million."""

    names: list[str]
    limits: ReadingLimits

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield the items of each file; one that cannot be opened is refused."""
        for name in self.names:
            path = Path(self.name, name)
            before = self.size
            try:
                source = _file(path, self.limits)
            except (OSError, ImportFailed) as error:
                reason = getattr(error, "strerror", None) or error
                yield Refused(str(path), THE_FILE, Message("It cannot be read: %(reason)s.", reason=reason))
                continue
            for item in source.read(zone):
                self.size = before + source.size
                yield item
            self.size = before + source.size


def source_at(path: Path, limits: ReadingLimits) -> Source:
    """Return the source at *path*: one file, or all files of a folder that could hold records.

    Raises:
        ImportFailed: there is nothing at *path*, or nothing to import.
    """
    with import_faults(path):
        if path.is_dir():
            return _in_folder(path, limits)
        if path.name == DATABASE or is_database(path):
            open_file(path).close()
            return DatabaseSource(path)
        return _file(path, limits)


def _in_folder(path: Path, limits: ReadingLimits) -> Source:
    if (path / DATABASE).is_file() and followed_in(path) is None:  # where files follow another's, it is older than they
        return DatabaseSource(path / DATABASE)
    names: list[str] = []
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.lower().endswith(_SUFFIXES) and not entry.name.startswith(".") and entry.is_file():
                names.append(entry.name)
                with contextlib.suppress(FileNotFoundError):  # refused when it is read
                    total += entry.stat().st_size
    if not names:
        raise ImportFailed(
            "The folder %(path)s holds nothing to import: neither %(database)s nor JSON, JSON Lines or zip files.",
            path=quoted(path),
            database=DATABASE,
        )
    return FolderSource(str(path), total, sorted(names), limits)


def _file(path: Path, limits: ReadingLimits) -> Source:
    with open_file(path) as stream:
        start = stream.read(_SAMPLE)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipSource(path, limits)
    if path.suffix.lower() == ".csv":
        raise ImportFailed(
            "%(path)s is a table, which does not hold whole records: import JSON Lines or JSON "
            "instead, or a dump of Coze Studio as such (--coze-studio on the command line).",
            path=quoted(path),
        )
    kind = LinesSource if _is_lines(start, path.suffix.lower(), limits) else HistoryFileSource
    return kind(str(path), path.stat().st_size, partial(open_file, path), limits)


def _is_lines(start: bytes, suffix: str, limits: ReadingLimits) -> bool:
    """Return whether a file is JSON Lines, by its first line or, where that is broken, by its name."""
    is_cut = len(start) == _SAMPLE
    if start.startswith(UTF_16_MARKS):
        start = start.decode("utf-16", "ignore").encode()
    first, line_break, _ = start.removeprefix(BYTE_ORDER_MARK).lstrip().partition(b"\n")
    if not line_break and is_cut:
        return first.startswith(b'{"execute_id"') or suffix in LINES_SUFFIXES
    read = parse if limits.fault_of_record(first) else read_json
    with contextlib.suppress(ValueError):
        found = read(decode_text(first, None)[0].encode("utf-8", "surrogatepass"))
        if isinstance(found, dict) and "histories" not in found:
            return "execute_id" in found or suffix in LINES_SUFFIXES
    return suffix in LINES_SUFFIXES
