"""Bodies in the encodings of HTTP, decoded chunk by chunk (RFC 9110, section 8.4). Pure: bytes in, bytes out.

What the usual clients read is read: several encodings in each other, gzip of several members, ``deflate`` with and
without zlib's frame, zstandard of several frames. What follows a whole member and is none counts for nothing there.
"""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

_PIECE: Final = 1024 * 1024
_FRAME_PIECE: Final = 512  # four bytes of zstandard can stand for 128 KiB
_MOST_LAYERS: Final = 5
_LONGEST_NAME: Final = 50
_NONE: Final = frozenset({"", "identity"})
_ERRORS: Final = (zlib.error, zstandard.ZstdError, brotli.error)


class _Layer(Protocol):
    """One encoding of a body."""

    @property
    def is_whole(self) -> bool:
        """Return whether the body may end here."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* adds, in pieces of 16 MiB at most, or raise one of the errors of :data:`_ERRORS`."""


class _Zlib:
    """gzip and zlib, in any number of members; deflate without a frame where *is_deflate*."""

    def __init__(self, *, is_deflate: bool) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun: bytes | None = b"" if is_deflate else None  # all so far, while it may be without a frame
        self._is_first, self._has_content, self._is_over = True, False, False

    @property
    def is_whole(self) -> bool:
        return self._is_over or self._member.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data and not self._is_over:
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 32)
                self._is_first = self._has_content = False
            try:
                yield from self._pieces(data)
            except zlib.error:
                self._is_over = not self._is_first and not self._has_content
                if self._is_over:
                    return
                if self._begun is None or self._has_content:
                    raise
                self._member, data, self._begun = zlib.decompressobj(-zlib.MAX_WBITS), self._begun + data, None
                continue
            if self._begun is not None:
                self._begun = None if self._has_content else self._begun + data
            data = self._member.unused_data

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        while data or len(piece) == _PIECE:
            piece = self._member.decompress(data, _PIECE)
            data = self._member.unconsumed_tail
            if piece:
                self._has_content = True
                yield piece


class _Zstandard:
    """zstandard, in any number of frames."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_first, self._has_content, self._is_over = True, False, False

    @property
    def is_whole(self) -> bool:
        return self._is_over or self._frame.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        rest = memoryview(data)
        while rest and not self._is_over:
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._is_first = self._has_content = False
            part, rest = rest[:_FRAME_PIECE], rest[_FRAME_PIECE:]
            try:
                piece = self._frame.decompress(part)
            except zstandard.ZstdError:
                self._is_over = not self._is_first and not self._has_content
                if self._is_over:
                    return
                raise
            if piece:
                self._has_content = True
                yield piece
            if self._frame.unused_data:
                rest = memoryview(self._frame.unused_data + bytes(rest))


class _Brotli:
    """Brotli, which knows no members: whatever follows its end is an error."""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def is_whole(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._decompressor.process(data, output_buffer_limit=_PIECE)
        while not self._decompressor.can_accept_more_data():
            yield self._decompressor.process(b"", output_buffer_limit=_PIECE)


_LAYERS: Final[dict[str, Callable[[], _Layer]]] = {
    **dict.fromkeys(("gzip", "x-gzip"), lambda: _Zlib(is_deflate=False)),
    "deflate": lambda: _Zlib(is_deflate=True),
    "br": _Brotli,
    "zstd": _Zstandard,
}


class ContentDecoder:
    """Decodes a body chunk by chunk.

    Args:
        encoding: the header ``Content-Encoding``, of several lines joined by commas; empty for none.
        largest: the most plain bytes that are decoded; all of them unless given.

    Attributes:
        problem: why the body cannot be read, as the predicate of "the answer"; ``None`` where it can.
        is_unknown: whether the encoding is unknown, so that the body passes as it is: some servers name one that is
            none, such as ``utf-8``.
    """

    def __init__(self, encoding: str, largest: int = sys.maxsize) -> None:
        self._name = encoding.strip()[:_LONGEST_NAME]
        names = _names(encoding) if encoding else []
        self.is_unknown: bool = len(names) > _MOST_LAYERS or not _LAYERS.keys() >= set(names)
        self._layers = [] if self.is_unknown else [_LAYERS[name]() for name in reversed(names)]
        self._room = largest
        self._has_begun = False
        self.problem: str | None = f"is encoded as “{self._name}”, which is not known here" if self.is_unknown else None

    def decode(self, chunk: bytes) -> bytes:
        """Return the plain bytes of *chunk*; none from the first chunk on that is not in the claimed encoding."""
        return b"".join(self.pieces(chunk)) if self._layers else chunk

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        """Return the plain bytes of *chunk* like :meth:`decode`, one piece after the other, however many they are."""
        return self._decoded(chunk) if self._layers else (chunk,)

    def close(self) -> None:
        """Note that the body has ended, which may be in the middle of its encoding."""
        if self.problem is None and self._has_begun and not all(layer.is_whole for layer in self._layers):
            self.problem = f"ends in the middle of its encoding, “{self._name}”"

    def _decoded(self, chunk: bytes) -> Iterator[bytes]:
        if self.problem is not None:
            return
        self._has_begun = self._has_begun or bool(chunk)
        try:
            for piece in _through(self._layers, chunk):
                self._room -= len(piece)
                if self._room < 0:
                    self.problem = "is larger than what is kept of one"
                    return
                yield piece
        except _ERRORS:
            self.problem = f"is not in the encoding that it names, “{self._name}”"


def _names(encoding: str) -> list[str]:
    return [name for part in encoding.split(",") if (name := part.strip().lower()) not in _NONE]


def _through(layers: list[_Layer], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].decode(data):
        yield from _through(layers[1:], piece)
