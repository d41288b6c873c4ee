"""Zip files as sources: what is in one is read without being unpacked beside it, and only as far as it may go."""

import bz2
import contextlib
import errno
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import copy
from functools import partial
from pathlib import Path
from typing import IO, Final

from execution_history.errors import Message
from execution_history.records.reading_limits import ReadingLimits
from execution_history.stores.foreign_files import Readable, open_regular, pieces_of
from execution_history.transfer.sources import (
    LINES_SUFFIXES,
    THE_FILE,
    HistoryFileSource,
    Item,
    LinesSource,
    Opened,
    Refused,
    Source,
)

_READ: Final = (".json", *LINES_SUFFIXES)
_ENCRYPTED: Final = 1
_LONGEST_NAME: Final = 200
_OF_WHAT_IS_IN_IT: Final = (None, errno.EINVAL)  # a place before the beginning; any other number is the disk's
_OF_EACH_BYTE: Final = 20
"""So many bytes of memory zipfile takes for each byte of the list of members, at least where names are short."""
_MOST_TIMES: Final = 200
"""What unpacks to more than this many times its size is hardly a history."""
_UNBOUNDED: Final = frozenset({zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})

_DAMAGED: Final = (
    # ... and what else the ways of packing and the numbers in a file raise when they are not what they should be.
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, struct.error, ValueError,
    IndexError, OverflowError, MemoryError,
)  # fmt: skip


class _TooManyMembers(zipfile.BadZipFile):
    """The list of members is too long to be read into memory."""


class _Stream(io.BufferedReader):
    """The zip file, of which the list of members is the only thing that is read in one piece of any size."""

    most: int

    def read(self, size: int | None = -1, /) -> bytes:
        """See :meth:`io.BufferedReader.read`."""
        if size is not None and size > self.most:
            raise _TooManyMembers
        return super().read(size)


class _TooMuchMemory(zipfile.BadZipFile):
    """What came before is needed to unpack what follows, and it is too much."""


class _Unpacked:
    """A member that is packed with bzip2 or LZMA, of which no more is unpacked than is read.

    That is what :mod:`zipfile` does for the other ways of packing only: these may make gigabytes of some bytes.
    """

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> None:
        packed = copy(entry)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, entry.compress_size
        del packed.CRC  # which is that of what is unpacked
        self._packed = archive.open(packed)
        self._entry = entry
        self._left = entry.file_size
        self._checksum = 0
        is_bzip2 = entry.compress_type == zipfile.ZIP_BZIP2
        self._unpacked = bz2.BZ2File(self._packed) if is_bzip2 else _lzma(self._packed, most)

    def close(self) -> None:
        """Let go of the member."""
        self._packed.close()
        del self._unpacked  # and what it remembers, which may be much

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes.

        Raises:
            zipfile.BadZipFile: they are not those that were packed.
            EOFError: there are fewer than there should be.
        """
        data = self._unpacked.read(min(size, self._left))
        if self._left and not data:
            raise EOFError
        self._left -= len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        if not self._left and self._checksum != self._entry.CRC:
            raise zipfile.BadZipFile("its checksum is another one")
        return data


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> AbstractContextManager[Readable]:
    """Open a member, of which no more is unpacked than is read."""
    if entry.compress_type in _UNBOUNDED:
        return contextlib.closing(_Unpacked(archive, entry, most))
    return archive.open(entry)


def _lzma(packed: IO[bytes], most: int) -> lzma.LZMAFile:
    """Return what unpacks LZMA, after a check of the memory that it takes.

    Raises:
        _TooMuchMemory: it is more than *most* bytes.
    """
    _, first, dictionary = struct.unpack("<LBL", packed.read(9))
    if dictionary > most:
        raise _TooMuchMemory
    powers, literals = divmod(first, 9)
    filters = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": literals, "lp": powers % 5, "pb": powers // 5}
    return lzma.LZMAFile(packed, format=lzma.FORMAT_RAW, filters=[filters])


class ZipSource(Source):
    """The files in a zip file, one after the other; of one that is damaged nothing is taken."""

    def __init__(self, path: Path, limits: ReadingLimits) -> None:
        super().__init__(str(path), path.stat().st_size)
        self._path = path
        self._limits = limits

    def items(self, clock: Callable[[], int]) -> Iterator[Item]:
        """Yield the records of every file in it that could hold some."""
        with contextlib.ExitStack() as opened:
            stream = opened.enter_context(_Stream(open_regular(self._path).detach()))
            stream.most = self._limits.memory // _OF_EACH_BYTE
            try:
                archive = opened.enter_context(zipfile.ZipFile(stream))
            except _TooManyMembers:
                reason = Message("Its list of files would take too much memory (the setting import_memory_bytes)")
                yield self.item(THE_FILE, Message("%(reason)s: unpack it and import the folder.", reason=reason))
            except _DAMAGED as error:
                yield self.item(THE_FILE, Message("It is not a whole zip file: %(told)s.", told=_told(error)))
            else:
                yield from self._members(archive, clock)
        self.size = self.total or 0

    def _members(self, archive: zipfile.ZipFile, clock: Callable[[], int]) -> Iterator[Item]:
        members = [entry for entry in archive.infolist() if entry.filename.lower().endswith(_READ)]
        unpacked = sum(entry.file_size for entry in members)
        most = max(self._limits.temporary, _MOST_TIMES * (self.total or 0))
        if unpacked > most:
            reason = Message(
                "It unpacks to %(unpacked)s bytes, and more than %(most)s are not read (import_temporary_bytes)",
                unpacked=unpacked,
                most=most,
            )
            yield self.item(THE_FILE, Message("%(reason)s: unpack it and import the files.", reason=reason))
            return
        for entry in members:
            yield from self._member(archive, entry, clock)
            self.size = min(self.size + entry.compress_size, self.total or 0)

    def _member(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, clock: Callable[[], int]) -> Iterator[Item]:
        name = f"{self.name}/{entry.filename[:_LONGEST_NAME]}"
        opened: Opened = partial(_opened, archive, entry, self._limits.memory)
        # It is tried first: the checksum stands at the end, and what was taken before it would be there in this version
        # when the whole file comes.
        try:
            with opened() as packed:
                for _ in pieces_of(packed):
                    pass
        except _TooMuchMemory:
            reason = Message("It takes too much memory to unpack (the setting import_memory_bytes).")
            yield Refused(name, THE_FILE, reason)
            return
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno not in _OF_WHAT_IS_IN_IT:
                raise
            yield Refused(name, THE_FILE, _fault_of(entry, error))
            return
        if entry.filename.lower().endswith(LINES_SUFFIXES):
            yield from LinesSource(name, None, opened, self._limits).items(clock)
        else:
            yield from HistoryFileSource(name, None, opened, self._limits).items(clock)


def _fault_of(entry: zipfile.ZipInfo, error: Exception) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return Message("It is encrypted, which cannot be read here: unpack it and import the file.")
    if isinstance(error, NotImplementedError):
        return Message("It is packed in a way that cannot be read here: unpack it and import the file.")
    return Message("It is damaged within the zip file, so nothing of it was taken: %(told)s.", told=_told(error))


def _told(error: Exception) -> str:
    return str(error).rstrip(".") or Message("it ends too early")
