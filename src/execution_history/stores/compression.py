"""Documents packed with zstandard, a checksum and a dictionary of typical records.

The dictionary is shipped with the package and copied into every database that uses it, so that older and newer versions
of the package read each other's stores.

A document is unpacked to exactly what was packed, or not at all: its frame ends with a checksum of the content
(RFC 8878, section 3.1.1). Earlier versions wrote frames without one, and plain JSON; such a document has to be a
record with the length, the ids, the times and the status of its row.

The checksum also tells which bit a disk has flipped: turned back, the frame is sound again.
"""

import threading
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import zstandard

from execution_history.query.model import RecordKey
from execution_history.records.partial import outline_of
from execution_history.records.record import KEYS
from execution_history.stores.status_numbers import status_number

CURRENT: Final = 1
"""The dictionary that documents are packed with; 0 stands for the plain JSON that earlier versions kept."""

_LEVEL: Final = 1
_LEVEL_OF_OPEN: Final = -3
_CHECKSUM_BYTES: Final = 4
_LONGEST_FRAME_HEADER: Final = 18
_MOST_WORK: Final = 100_000_000
"""Bytes of a document times bytes of its JSON up to which a flipped bit is looked for: about half a second."""
_WORK_OF_A_TRIAL: Final = 4_000
"""Bytes of JSON that could be unpacked in the time that every trial takes besides."""

_LARGEST_STATED: Final = 1 << 28
"""Bytes to which a frame is unpacked at most where only the frame itself says how many they are."""
_LARGEST_RATIO: Final = 1 << 15
"""How many bytes of content a byte of a frame can stand for: 128 KiB in a block of four bytes (RFC 8878, 3.1.1.2)."""


class Unreadable(Exception):  # noqa: N818 - a finding, which callers turn into an error
    """A stored document is damaged."""


class StoredRecord(NamedTuple):
    """The columns of a row of ``history.db``.

    ``status`` is a number, ``size`` the bytes of JSON in ``document``, which is ``None`` where it was not read.
    """

    workflow_id: str
    execute_id: str
    create_time: int
    update_time: int
    status: int
    size: int
    packing: int
    document: bytes | None

    @property
    def key(self) -> RecordKey:
        """The ids of the record."""
        return RecordKey(self.workflow_id, self.execute_id)

    def is_of(self, body: bytes) -> bool:
        """Return whether *body* is a record with the ids, the times and the status of this row."""
        try:
            record = outline_of(body)
            body.decode()  # the outline of a large record skips most of it
            status = status_number(record["execute_status"])
            found = *(record[key] for key in ("workflow_id", "execute_id", "create_time", "update_time")), status
            return tuple(record) == KEYS and found == self[:5]
        except Exception:  # noqa: BLE001 - whatever the parser raises, this is no record
            return False


@cache
def shipped_dictionary() -> bytes:
    """Return the content of the current dictionary, made by ``scripts/make_dictionary.py``."""
    return files("execution_history.stores").joinpath("dictionaries", f"{CURRENT}.zdict").read_bytes()


class Packer:
    """Packs documents. Not for several threads at once."""

    def __init__(self, dictionary: bytes) -> None:
        self._lasting, self._passing = (_compressor(dictionary, level) for level in (_LEVEL, _LEVEL_OF_OPEN))

    def pack(self, body: bytes, *, will_change: bool = False) -> tuple[int, bytes]:
        """Return the packing number and the packed form of *body*; one that *will_change* is packed quickly."""
        return CURRENT, (self._passing if will_change else self._lasting).compress(body)


def _compressor(dictionary: bytes, level: int) -> zstandard.ZstdCompressor:
    data = zstandard.ZstdCompressionDict(dictionary)
    data.precompute_compress(level=level)
    return zstandard.ZstdCompressor(level=level, dict_data=data, write_checksum=True)


def packed(body: bytes) -> tuple[int, bytes]:
    """Return what :meth:`Packer.pack` does, by a packer of its own, for what is rare; from any thread."""
    return Packer(shipped_dictionary()).pack(body)


class Unpacker:
    """Unpacks documents; each thread gets a decompressor of its own.

    Args:
        dictionaries: the store's dictionaries by number.
        most_work: how much work all mending together may take, in the unit of one document's; ``None`` for any.
    """

    def __init__(self, dictionaries: dict[int, bytes], most_work: int | None = None) -> None:
        self._work_left = most_work
        self._dictionaries = {
            number: zstandard.ZstdCompressionDict(content) for number, content in dictionaries.items()
        }
        self._local = _Decompressors()

    def can_unpack(self, packing: int) -> bool:
        """Return whether there is the dictionary of this *packing*."""
        return packing == 0 or packing in self._dictionaries

    def unpack(self, stored: StoredRecord) -> bytes:
        """Return the JSON bytes of a stored record.

        Raises:
            Unreadable: its document is damaged, or its dictionary is missing.
        """
        _, _, _, _, _, size, packing, document = stored
        body, has_checksum = document or b"", False
        if packing:
            try:
                frame = zstandard.get_frame_parameters(body)
                if frame.content_size != size or size > len(body) * _LARGEST_RATIO:  # before memory is allocated
                    raise Unreadable
                has_checksum = frame.has_checksum
                body = self._decompressor(packing).decompress(body, allow_extra_data=False)
            except (KeyError, zstandard.ZstdError) as error:
                raise Unreadable from error
        if len(body) != size or not (has_checksum or stored.is_of(body)):
            raise Unreadable
        return body

    def unpack_beginning(self, content: bytes) -> bytes | None:
        """Return the JSON bytes of the document that *content* begins with; ``None`` where none has this checksum."""
        try:
            frame = zstandard.get_frame_parameters(content)
            if not frame.has_checksum or frame.content_size > _LARGEST_STATED:
                return None
            unpacking = self._decompressor(CURRENT).decompressobj()
            body = unpacking.decompress(content)
        except zstandard.ZstdError:
            return None
        return body if unpacking.eof else None

    def is_original(self, stored: StoredRecord, body: bytes) -> bool:
        """Return whether *body* is what the damaged document was made of, by the checksum at its end."""
        packing, packed_body = packed(body)
        document = stored.document or b""
        return packing == stored.packing and packed_body[-_CHECKSUM_BYTES:] == document[-_CHECKSUM_BYTES:]

    def mend(self, stored: StoredRecord) -> bytes | None:
        """Return the JSON bytes of a row in whose document, or in whose size, one bit was flipped.

        ``None`` where no single bit explains the damage, where the frame has no checksum that proves it, and for large
        documents, with which the search would take too long.
        """
        document, size = bytearray(stored.document or b""), stored.size
        stated = _content_size(document)
        if stated is not None and (stated ^ size).bit_count() == 1 and stated <= _LARGEST_STATED:
            with suppress(Unreadable):
                return self.unpack(stored._replace(size=stated))
        if stored.packing not in self._dictionaries or not self._takes_on(len(document), size):
            return None
        decompressor = self._decompressor(stored.packing)
        is_sound_header = stated == size
        for place in range(8 * len(document)):
            byte, bit = place >> 3, 1 << (place & 7)
            document[byte] ^= bit
            if (is_sound_header and byte >= _LONGEST_FRAME_HEADER) or _content_size(document) == size:
                with suppress(zstandard.ZstdError):
                    body = decompressor.decompress(document, allow_extra_data=False)
                    if stored.is_of(body):
                        return body
            document[byte] ^= bit
        return None

    def _takes_on(self, length: int, size: int) -> bool:
        """Return whether a flipped bit is looked for in a frame of *length* bytes, of *size* bytes of JSON."""
        work = length * (size + _WORK_OF_A_TRIAL)
        if length * size > _MOST_WORK or work > (work if self._work_left is None else self._work_left):
            return False
        if self._work_left is not None:
            self._work_left -= work
        return True

    def _decompressor(self, packing: int) -> zstandard.ZstdDecompressor:
        made = self._local.made
        if packing not in made:
            made[packing] = zstandard.ZstdDecompressor(dict_data=self._dictionaries[packing])
        return made[packing]


def _content_size(document: bytes | bytearray) -> int | None:
    """Return how many bytes a frame with a checksum says that it is unpacked to; ``None`` for anything else."""
    try:
        frame = zstandard.get_frame_parameters(document)
    except zstandard.ZstdError:
        return None
    return int(frame.content_size) if frame.has_checksum else None


class _Decompressors(threading.local):
    """The decompressors of a thread, by packing."""

    def __init__(self) -> None:
        self.made: dict[int, zstandard.ZstdDecompressor] = {}
