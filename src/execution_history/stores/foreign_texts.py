"""Texts of others in any charset, read as UTF-8 from the first byte to the last."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Final

from execution_history.records.charset import BYTE_ORDER_MARK, ESCAPES, GB18030, UTF_8, UTF_16_MARKS
from execution_history.stores.foreign_files import Readable, pieces_of

Opened = Callable[[], AbstractContextManager[Readable]]
"""Opens a stream to read, anew each time."""

UTF_16: Final = "utf-16"
_ALONE: Final = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_REPLACED: Final = "\ufffd"
_ERRORS: Final = {UTF_16: "surrogatepass", GB18030: "backslashreplace"}


def in_utf_8(opened: Opened) -> tuple[Opened, str]:
    """Return what opens a text as UTF-8, and the charset that all of it is in.

    That is UTF-16 where the text begins with its mark, else UTF-8, else GB18030 where all of it is, else
    :data:`~execution_history.records.charset.ESCAPES`: UTF-8 with some broken bytes, which is opened as it is. A last
    character that is cut off breaks nothing.

    Raises:
        OSError: the text cannot be read.
    """
    charset = _charset_of(opened)
    return (_transcoded(opened, charset) if charset in {UTF_16, GB18030} else opened), charset


def from_utf_16(opened: Opened) -> tuple[Opened, str]:
    """Return what opens a text of lines, each of which may be in a charset of its own unless all of it is UTF-16.

    Raises:
        OSError: the text cannot be read.
    """
    with opened() as stream:
        is_utf_16 = next(_with_whole_mark(stream), b"").startswith(UTF_16_MARKS)
    return (_transcoded(opened, UTF_16), UTF_16) if is_utf_16 else (opened, UTF_8)


def _charset_of(opened: Opened) -> str:
    with opened() as stream:
        pieces = _with_whole_mark(stream)
        start = next(pieces, b"")
        if start.startswith(UTF_16_MARKS):
            return UTF_16
        if _is_in(chain((start,), pieces), UTF_8, "surrogatepass"):
            return UTF_8
    if start.startswith(BYTE_ORDER_MARK):
        return ESCAPES
    with opened() as stream:
        if not _is_in(pieces_of(stream), GB18030):
            return ESCAPES
    with opened() as stream:
        return ESCAPES if _is_broken_utf_8(pieces_of(stream)) else GB18030


def _with_whole_mark(stream: Readable) -> Iterator[bytes]:
    """Yield the pieces of *stream*, the first one with as many bytes as a mark may have."""
    pieces, start = pieces_of(stream), b""
    for piece in pieces:
        start += piece
        if len(start) >= len(BYTE_ORDER_MARK):
            break
    yield start
    yield from pieces


def _is_in(pieces: Iterable[bytes], charset: str, errors: str = "strict") -> bool:
    decoder = codecs.getincrementaldecoder(charset)(errors)
    try:
        for piece in pieces:
            decoder.decode(piece)
    except UnicodeError:
        return False
    return True


def _is_broken_utf_8(pieces: Iterable[bytes]) -> bool:
    """Return whether more characters beyond ASCII are whole in UTF-8 than are broken; in GB18030 hardly any are.

    A byte beyond ASCII that stands alone is what a flipped bit makes of a letter: GB18030 has two of them mostly.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)("replace")
    whole = broken = alone = 0
    for piece in pieces:
        text = decoder.decode(piece)
        lost = text.count(_REPLACED)
        broken += lost
        whole += len(text) - len(text.encode("ascii", "ignore")) - lost
        alone += len(_ALONE.findall(piece))
    return whole + alone > broken - alone


@contextmanager
def _open_transcoded(opened: Opened, charset: str) -> Iterator[Readable]:
    with opened() as stream:
        yield _Transcoded(stream, charset)


def _transcoded(opened: Opened, charset: str) -> Opened:
    return lambda: _open_transcoded(opened, charset)


class _Transcoded:
    """A stream in UTF-8 of one in another charset; half of a surrogate pair stays one."""

    def __init__(self, stream: Readable, charset: str) -> None:
        self._pieces = pieces_of(stream)
        self._decoder = codecs.getincrementaldecoder(charset)(_ERRORS[charset])
        self._data, self._at = b"", 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most *size* bytes, and none at the end."""
        while self._at >= len(self._data):
            piece = next(self._pieces, None)
            self._data, self._at = self._end() if piece is None else self._decode(piece), 0
            if piece is None and not self._data:
                return b""
        begin, self._at = self._at, len(self._data) if size < 0 else self._at + size
        return self._data[begin : self._at]

    def _decode(self, piece: bytes) -> bytes:
        return self._decoder.decode(piece).encode(UTF_8, "surrogatepass")

    def _end(self) -> bytes:
        """Return escapes for the beginning of a character that is cut off."""
        rest, _ = self._decoder.getstate()
        self._decoder.reset()
        return "".join(rf"\x{byte:02x}" for byte in rest).encode()
