"""Zip files as sources: members are read without being unpacked to the disk, and only within the limits."""

import bz2
import contextlib
import errno
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from copy import copy
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import IO, Final

from execution_history.errors import Message
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.foreign_files import Readable, open_regular, pieces_of
from execution_history.stores.foreign_texts import Opened
from execution_history.transfer.sources import (
    LINES_SUFFIXES,
    THE_FILE,
    HistoryFileSource,
    Item,
    LinesSource,
    Refused,
    Source,
)

_READ: Final = (".json", *LINES_SUFFIXES)
_ENCRYPTED: Final = 1
_LONGEST_NAME: Final = 200
_CONTENT_ERRNOS: Final = (None, errno.EINVAL)  # a place before the beginning; any other number is the disk's
_MEMORY_PER_BYTE: Final = 20
"""Bytes of memory that zipfile takes for each byte of the list of members, where names are short."""
_LARGEST_RATIO: Final = 200
"""A file that unpacks to more than this many times its size is hardly a history."""
_UNBOUNDED: Final = frozenset({zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})

_DAMAGED: Final = (
    # What zipfile, the decompressors and wrong numbers in a file raise.
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, struct.error, ValueError,
    IndexError, OverflowError, MemoryError,
)  # fmt: skip


class _TooManyMembers(zipfile.BadZipFile):
    """The list of members is too long to be read into memory."""


class _Stream(io.BufferedReader):
    """The zip file; the list of members is the only part that zipfile reads in one piece of any size."""

    limit: int

    def read(self, size: int | None = -1, /) -> bytes:
        """See :meth:`io.BufferedReader.read`."""
        if size is not None and size > self.limit:
            raise _TooManyMembers
        return super().read(size)


class _TooMuchMemory(zipfile.BadZipFile):
    """The dictionary that unpacking needs is too large."""


class _Unpacked:
    """A member that is packed with bzip2 or LZMA, and unpacked no further than it is read.

    :mod:`zipfile` does that for the other methods only; with these, some bytes may become gigabytes.
    """

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> None:
        packed = copy(entry)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, entry.compress_size
        del packed.CRC  # it is that of the unpacked bytes
        self._packed = archive.open(packed)
        self._entry = entry
        self._left = entry.file_size
        self._checksum = 0
        is_bzip2 = entry.compress_type == zipfile.ZIP_BZIP2
        self._unpacked = bz2.BZ2File(self._packed) if is_bzip2 else _lzma(self._packed, limit)

    def close(self) -> None:
        """Close the member."""
        self._packed.close()
        del self._unpacked  # its dictionary may be large

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes.

        Raises:
            zipfile.BadZipFile: their checksum is wrong.
            EOFError: the member ends too early.
        """
        data = self._unpacked.read(min(size, self._left))
        if self._left and not data:
            raise EOFError
        self._left -= len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        if not self._left and self._checksum != self._entry.CRC:
            raise zipfile.BadZipFile("its checksum is another one")
        return data


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> AbstractContextManager[Readable]:
    """Open a member, which is unpacked no further than it is read."""
    if entry.compress_type in _UNBOUNDED:
        return contextlib.closing(_Unpacked(archive, entry, limit))
    return archive.open(entry)


def _lzma(packed: IO[bytes], limit: int) -> lzma.LZMAFile:
    """Return a reader that unpacks LZMA, after a check of the memory that it takes.

    Raises:
        _TooMuchMemory: it is more than *limit* bytes.
    """
    _, first, dictionary = struct.unpack("<LBL", packed.read(9))
    if dictionary > limit:
        raise _TooMuchMemory
    powers, literals = divmod(first, 9)
    filters = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": literals, "lp": powers % 5, "pb": powers // 5}
    return lzma.LZMAFile(packed, format=lzma.FORMAT_RAW, filters=[filters])


class ZipSource(Source):
    """The files in a zip file, one after the other; a damaged one is refused as a whole."""

    def __init__(self, path: Path, limits: ReadingLimits) -> None:
        super().__init__(str(path), path.stat().st_size)
        self._path = path
        self._limits = limits

    def items(self, zone: tzinfo) -> Iterator[Item]:
        """Yield the records of every member that could hold some."""
        with contextlib.ExitStack() as opened:
            stream = opened.enter_context(_Stream(open_regular(self._path).detach()))
            stream.limit = self._limits.memory // _MEMORY_PER_BYTE
            try:
                archive = opened.enter_context(zipfile.ZipFile(stream))
            except _TooManyMembers:
                reason = Message("Its list of files would take too much memory (the setting import_memory_bytes)")
                yield self.item(THE_FILE, Message("%(reason)s: unpack it and import the folder.", reason=reason))
            except _DAMAGED as error:
                yield self.item(THE_FILE, Message("It is not a whole zip file: %(told)s.", told=_reason(error)))
            else:
                yield from self._members(archive, zone)
        self.size = self.total or 0

    def _members(self, archive: zipfile.ZipFile, zone: tzinfo) -> Iterator[Item]:
        members = [entry for entry in archive.infolist() if entry.filename.lower().endswith(_READ)]
        unpacked = sum(entry.file_size for entry in members)
        limit = max(self._limits.temporary, _LARGEST_RATIO * (self.total or 0))
        if unpacked > limit:
            reason = Message(
                "It unpacks to %(unpacked)s bytes, and more than %(most)s are not read (import_temporary_bytes)",
                unpacked=unpacked,
                most=limit,
            )
            yield self.item(THE_FILE, Message("%(reason)s: unpack it and import the files.", reason=reason))
            return
        for entry in members:
            yield from self._member(archive, entry, zone)
            self.size = min(self.size + entry.compress_size, self.total or 0)

    def _member(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, zone: tzinfo) -> Iterator[Item]:
        name = f"{self.name}/{entry.filename[:_LONGEST_NAME]}"
        opened: Opened = partial(_opened, archive, entry, self._limits.memory)
        # Tested first: the checksum stands at the end, and records taken before it would be skipped when the whole
        # file is imported later.
        try:
            with opened() as packed:
                for _ in pieces_of(packed):
                    pass
        except _TooMuchMemory:
            reason = Message("It takes too much memory to unpack (the setting import_memory_bytes).")
            yield Refused(name, THE_FILE, reason)
            return
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in _CONTENT_ERRNOS:
                raise
            yield Refused(name, THE_FILE, _fault_of(entry, error))
            return
        if entry.filename.lower().endswith(LINES_SUFFIXES):
            yield from LinesSource(name, None, opened, self._limits).items(zone)
        else:
            yield from HistoryFileSource(name, None, opened, self._limits).items(zone)


def _fault_of(entry: zipfile.ZipInfo, error: Exception) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return Message("It is encrypted, which cannot be read here: unpack it and import the file.")
    if isinstance(error, NotImplementedError):
        return Message("It is packed in a way that cannot be read here: unpack it and import the file.")
    return Message("It is damaged within the zip file, so nothing of it was taken: %(told)s.", told=_reason(error))


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or Message("it ends too early")
