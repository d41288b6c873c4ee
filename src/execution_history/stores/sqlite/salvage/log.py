"""The write-ahead log of a database, read without SQLite (sqlite.org/fileformat.html, section 4)."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_LITTLE_ENDIAN: Final = 0x377F0682
_BIG_ENDIAN: Final = 0x377F0683
_WORD: Final = 0xFFFFFFFF


class Frame(NamedTuple):
    """A page in the log: its number, the size of the database in pages where it ends a commit, and its offset."""

    page: int
    commit: int
    at: int


class Log(NamedTuple):
    """What a log has.

    Attributes:
        page_size: bytes of a page; 0 for a log that has nothing.
        committed: the frames up to the last commit that SQLite reads.
        others: the frames after that which belong to the same log: those of a commit that was cut short or, where one
            before them is damaged, whole commits that SQLite does not read any more.
    """

    page_size: int
    committed: tuple[Frame, ...]
    others: tuple[Frame, ...]

    @property
    def lost_commits(self) -> int:
        """How many commits SQLite does not read, because something before them is damaged."""
        return sum(frame.commit > 0 for frame in self.others)


def read_log(content: bytes, known: int | None = None) -> Log:
    """Return what the log *content* has; nothing raises, whatever is in it.

    Args:
        content: of the file.
        known: how many frames SQLite reads, where it has said so; otherwise their checksums tell, which takes half a
            second for a thousand frames.
    """
    if len(content) < _HEADER + _FRAME_HEADER:
        return Log(0, (), ())
    magic, _, page_size = struct.unpack_from(">III", content, 0)
    is_sound = magic in (_LITTLE_ENDIAN, _BIG_ENDIAN) and _is_page_size(page_size)
    sums = (0, 0)
    order = ">" if magic == _BIG_ENDIAN else "<"
    if is_sound:
        sums = _sums(content[: _HEADER - 8], sums, order)
        is_sound = sums == struct.unpack_from(">II", content, _HEADER - 8)
    # A damaged header takes all frames from SQLite; those that follow each other still name the log they are of.
    salt = content[16:24] if is_sound else content[_HEADER + 8 : _HEADER + 16]
    page_size = page_size if _is_page_size(page_size) else 4096
    frames: list[Frame] = []
    committed = 0
    for frame in _frames(content, page_size, salt):
        if known is not None:
            is_sound = len(frames) < known
        elif is_sound:
            sums = _sums(content[frame.at - _FRAME_HEADER : frame.at - _FRAME_HEADER + 8], sums, order)
            sums = _sums(content[frame.at : frame.at + page_size], sums, order)
            is_sound = sums == struct.unpack_from(">II", content, frame.at - 8)
        frames.append(frame)
        if is_sound and frame.commit:
            committed = len(frames)
    return Log(page_size, tuple(frames[:committed]), tuple(frames[committed:]))


def _is_page_size(size: int) -> bool:
    return 512 <= size <= 65536 and not size & (size - 1)  # noqa: PLR2004 - SQLite's own limits


def _frames(content: bytes, page_size: int, salt: bytes) -> Iterator[Frame]:
    """Yield the frames with this *salt*; those behind them are of an earlier round of the log."""
    step = _FRAME_HEADER + page_size
    last = 0
    found = []
    for number, at in enumerate(range(_HEADER, len(content) - step + 1, step), 1):
        page, commit = struct.unpack_from(">II", content, at)
        # One frame's header may be damaged, with those behind it still of this log.
        if content[at + 8 : at + 16] == salt:
            last = number
        found.append(Frame(page, commit, at + _FRAME_HEADER))
    yield from found[:last]


def _sums(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the checksum of *data* after *sums*, as section 4.2 defines it."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
