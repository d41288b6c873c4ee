"""What reading records of others may take: bytes and memory. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from execution_history.errors import Message
from execution_history.records.size_limit import LARGEST_RECORD

_MIB: Final = 1024 * 1024

_SMALL: Final = 64 * 1024

# What the values of a JSON text take once it is parsed, in bytes for each of these characters, measured with CPython.
_COSTS: Final = ((b"{", 100), (b"[", 64), (b":", 32), (b",", 64))

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)

_INSIDE: Final = re.compile(rb'(?:[^"\\]++|\\.)*+"?', re.DOTALL)

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)

_WIDE: Final = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))


class ReadingLimits(NamedTuple):
    """What reading files of others may take.

    Attributes:
        record: how many bytes of compact JSON one record, or how many one line, may have; a larger one is refused
            without being read into memory. What was recorded under this limit is read back, whatever it consists of.
        memory: how many bytes of memory may be taken, about, by the values of anything that is no record yet: a row of
            a dump, what stands around records, the list of a zip file's members. While it is parsed everything else
            waits, so this bounds the time too.
        temporary: how many bytes one import may write beside the history for a while.
    """

    record: int = LARGEST_RECORD
    memory: int = 256 * _MIB
    temporary: int = 4 * 1024 * _MIB

    def fault_of(self, text: bytes | str) -> str | None:
        """Return why the JSON *text*, which is no record, is not parsed, as a sentence; ``None`` when it can be."""
        if fault := self.fault_of_record(text):
            return fault
        if len(text) <= _SMALL:
            return None
        encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        # A long text may have many commas and colons in its strings, which is found out where it matters only.
        if memory_of(encoded) > self.memory and memory_of(encoded, _outside_of_strings(encoded)) > self.memory:
            size = f"{max(1, self.memory // _MIB)} MiB"
            return Message(
                "Its values would take more than %(size)s of memory (the setting import_memory_bytes).", size=size
            )
        return None

    def fault_of_record(self, text: bytes | str) -> str | None:
        """Return why the record with this compact JSON is not read, as a sentence; ``None`` when it can be."""
        if len(text) <= self.record // 4 or isinstance(text, bytes):
            return self.too_large if len(text) > self.record else None
        return self.too_large if len(text.encode("utf-8", "surrogatepass")) > self.record else None

    @property
    def too_large(self) -> str:
        """What is said of a record that has too many bytes."""
        return Message("It has more than %(record)s bytes (the setting record_limit_bytes).", record=self.record)


def memory_of(text: bytes, parts: Iterable[bytes] | None = None) -> int:
    """Return about how many bytes the values of a JSON text take once it is parsed, beside the text; rather too many.

    Args:
        text: all of it.
        parts: what stands outside of its strings, where that is known.
    """
    # One character beyond the first 65,536 makes four bytes of each in its string.
    copies = 2 if text.isascii() else 6 if any(lead in text for lead in _WIDE) else 3
    return copies * len(text) + sum(cost * part.count(mark) for part in parts or (text,) for mark, cost in _COSTS)


def _outside_of_strings(text: bytes) -> Iterator[bytes]:
    """Yield what stands outside of the strings of a JSON text, piece by piece, so that no other thread waits for it."""
    at = 0
    is_inside = False
    while at < len(text):
        piece = text[at : at + _SMALL]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:  # what a backslash escapes stays with it
            piece = text[at : at + _SMALL + 1]
        yield _STRING.sub(b"", _INSIDE.sub(b"", piece, count=1) if is_inside else piece)
        is_inside ^= _ESCAPE.sub(b"", piece).count(b'"') % 2 == 1
        at += len(piece)
