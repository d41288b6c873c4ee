"""What records can be imported from: files, folders, zip files and databases of ours, read record by record."""

import contextlib
import errno
import lzma
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

import orjson

from execution_history.errors import ImportFailed, StoreError, quoted
from execution_history.stores import DATABASE, FoundFile, stored_elsewhere, workflow_id_of
from execution_history.upkeep.items import LONGEST_LINE, Item, Refused, record_of, record_of_line
from execution_history.upkeep.lines import LineReader, check_is_file

_LINES_SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonlines")
_SUFFIXES: Final = (".json", *_LINES_SUFFIXES, ".zip")
_LOOKED_AT: Final = 1024 * 1024
_PIECE: Final = 1024 * 1024
_ENCRYPTED: Final = 1
_OF_WHAT_IS_IN_IT: Final = (None, errno.EINVAL)  # a place before the beginning; any other number is the disk's

_LOST: Final = "It is damaged in the database, and no JSON file beside it has it."

LONGEST_FILE_LINE: Final = 256 * 1024 * 1024
"""A JSON file with a line of more bytes is not read: it would be in memory whole, several times."""

_DAMAGED: Final = (
    # ... and what else the ways of packing and the numbers in a file raise when they are not what they should be.
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, struct.error, ValueError,
    IndexError, OverflowError, MemoryError,
)  # fmt: skip


class Source(ABC):
    """Something that holds records.

    Attributes:
        name: what it is called in reports.
        total: its size in bytes, ``None`` when nobody knows.
        size: how many bytes of it have been read.
        written: when it was written (milliseconds), ``None`` when nobody knows. Records that do not say their times get
            this one: the time of the import would make a newer version of them each time.
    """

    def __init__(self, name: str, total: int | None) -> None:
        self.name = name
        self.total = total
        self.size = 0
        self.written: int | None = None

    @abstractmethod
    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """The records and what is no record, in the order of the source; never raises for what is in it.

        Raises:
            OSError: it cannot be read.
        """

    def refused(self, place: str, reason: str) -> Refused:
        """Something of this source that is not taken."""
        return Refused(self.name, place, reason)


class LinesSource(Source):
    """JSON Lines; *opened* is the stream they are read from, opened anew for a path."""

    def __init__(self, name: str, total: int | None, opened: Callable[[], BinaryIO]) -> None:
        super().__init__(name, total)
        self._opened = opened

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """One record a line; the last one may be cut off."""
        with self._opened() as stream:
            lines = LineReader(stream)
            for line in lines:
                self.size = lines.size
                place = f"line {line.number}"
                if line.content is None:
                    yield self.refused(place, f"It has more than {LONGEST_LINE} bytes.")
                    continue
                found = record_of_line(line.content, clock())
                if not isinstance(found, str):
                    yield found
                elif line.is_ended:
                    yield self.refused(place, found)
                else:
                    yield self.refused(place, f"The file ends here, perhaps in the middle of a record. {found}")
            self.size = lines.size


class HistoryFileSource(Source):
    """A JSON file as deployments and stores write it, whole or damaged."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, path.stat().st_size)
        self._path = path

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Every record that can still be read, then what was wrong with the file."""
        if _has_endless_line(self._path):
            reason = f"A line of it has more than {LONGEST_FILE_LINE} bytes, which is not read"
            yield self.refused("the file", f"{reason}: write its records as JSON Lines, one a line.")
            self.size = self.total or 0
            return
        found = FoundFile(self._path)
        by_name = workflow_id_of(PurePosixPath(self.name).name)
        number = given = 0
        seen: set[int] = set()
        is_second = False
        for record in found.records():
            if found.is_read_again and not is_second:
                number, given, is_second = 0, number, True
            number += 1
            item = record_of(record, found.workflow_id or record.get("workflow_id") or by_name, clock())
            if isinstance(item, str):
                if number > given:
                    yield self.refused(f"record {number}", item)
                continue
            version = hash((item.execute_id, item.update_time))
            if not is_second:
                seen.add(version)
            elif version in seen:
                continue
            yield item
        self.size = self.total or 0
        if not found.is_history:
            yield self.refused("the file", "It is JSON or another text without executions in it.")
        elif found.is_damaged:
            yield self.refused("the file", f"It is damaged; {number} records could still be read.")


def _has_endless_line(path: Path) -> bool:
    if path.stat().st_size <= LONGEST_FILE_LINE:
        return False
    length = 0
    with path.open("rb") as stream:
        while piece := stream.readline(_PIECE):
            length += len(piece)
            if length > LONGEST_FILE_LINE:
                return True
            if piece.endswith(b"\n"):
                length = 0
    return False


class DatabaseSource(Source):
    """The database of a store, which is not changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / DATABASE), None)
        self._folder = folder

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Its records in the order in which they came, without damaged ones; the end where it is damaged as a whole."""
        number = 0
        try:
            for batch in stored_elsewhere(self._folder):
                for key in batch.damaged:
                    yield self.refused(f"execution {key.execute_id} of workflow {key.workflow_id}", _LOST)
                for body in batch.documents:
                    number += 1
                    self.size += len(body)
                    found = record_of_line(body, clock())
                    yield self.refused(f"record {number}", found) if isinstance(found, str) else found
        except StoreError as error:
            yield self.refused(f"behind record {number}", str(error))


class ZipSource(Source):
    """The files in a zip file, one after the other; of one that is damaged nothing is taken."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), path.stat().st_size)
        self._path = path

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """The records of every file in it that could hold some."""
        with contextlib.ExitStack() as opened:
            try:
                archive = opened.enter_context(zipfile.ZipFile(self._path))
            except _DAMAGED as error:
                yield self.refused("the file", f"It is not a whole zip file: {_told(error)}.")
                return
            # One folder for all, as making one for each costs the more, the more there are.
            unpacked = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "entry.json"
            for entry in archive.infolist():
                if entry.filename.lower().endswith(_SUFFIXES[:-1]):
                    yield from self._of_entry(archive, entry, unpacked, clock)
                    self.size = min(self.size + entry.compress_size, self.total or 0)
        self.size = self.total or 0

    def _of_entry(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, unpacked: Path, clock: Callable[[], int]
    ) -> Iterator[Item]:
        name = f"{self.name}/{entry.filename}"
        is_lines = entry.filename.lower().endswith(_LINES_SUFFIXES)
        # Lines are read from the zip file, once they have been tried: the checksum stands at their end, and what was
        # taken before it would be there in this version when the whole file comes. JSON is read from a path, perhaps
        # twice.
        try:
            unpacked.unlink(missing_ok=True)  # written over, some file systems would wait for the disk at each
            with archive.open(entry) as packed, (Path(os.devnull) if is_lines else unpacked).open("wb") as target:
                shutil.copyfileobj(packed, target, _PIECE)
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in _OF_WHAT_IS_IN_IT:
                raise
            yield Refused(name, "the file", _fault_of(entry, error))
            return
        if is_lines:
            yield from LinesSource(name, None, lambda: archive.open(entry)).items(clock)  # type: ignore[arg-type, return-value]
        else:
            yield from HistoryFileSource(name, unpacked).items(clock)


def _fault_of(entry: zipfile.ZipInfo, error: Exception) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return "It is encrypted, which cannot be read here: unpack it and import the file."
    if isinstance(error, NotImplementedError):
        return "It is packed in a way that cannot be read here: unpack it and import the file."
    return f"It is damaged within the zip file, so nothing of it was taken: {_told(error)}."


def _told(error: Exception) -> str:
    return str(error).rstrip(".") or "it ends too early"


def sources_at(path: Path) -> list[Source]:
    """What *path* holds: one file's records, or those of all files of a folder that could hold some.

    Raises:
        ImportFailed: there is nothing there, or nothing that could be imported.
    """
    try:
        if path.is_dir():
            return _in_folder(path)
        check_is_file(path)
        if path.name == DATABASE:
            return [DatabaseSource(path.parent)]
        return [_file(path)]
    except OSError as error:
        raise ImportFailed(f"{quoted(path)} cannot be imported: {error.strerror or error}.") from error


def _in_folder(path: Path) -> list[Source]:
    if (path / DATABASE).is_file():
        return [DatabaseSource(path)]
    found = sorted(
        each for each in path.iterdir()
        if each.suffix.lower() in _SUFFIXES and not each.name.startswith(".") and each.is_file()
    )  # fmt: skip
    if not found:
        raise ImportFailed(
            f"The folder {quoted(path)} holds nothing to import: neither {DATABASE} nor JSON, JSON Lines or zip files."
        )
    return [_file(each) for each in found]


def modified(path: Path) -> int:
    """When a file was last written, in milliseconds.

    Raises:
        OSError: it is not there.
    """
    return path.stat().st_mtime_ns // 1_000_000


def _file(path: Path) -> Source:
    source = _source_of(path)
    source.written = modified(path)
    return source


def _source_of(path: Path) -> Source:
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZipSource(path)
    if path.suffix.lower() == ".csv":
        raise ImportFailed(
            f"{quoted(path)} is a table, which does not hold whole records: import JSON Lines or JSON instead, "
            "or a dump of Coze Studio as such (--coze-studio on the command line)."
        )
    if _is_lines(start, path.suffix.lower()):
        return LinesSource(str(path), path.stat().st_size, lambda: path.open("rb"))
    return HistoryFileSource(str(path), path)


def _is_lines(start: bytes, suffix: str) -> bool:
    """Whether a file is JSON Lines: its first line says it, and where that is broken its name."""
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    with contextlib.suppress(ValueError):
        found = orjson.loads(first)
        if isinstance(found, dict) and "histories" not in found:
            return "execute_id" in found or suffix in _LINES_SUFFIXES
    return suffix in _LINES_SUFFIXES
