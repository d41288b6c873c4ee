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

_PIECE: Final = 256 * 1024
_FRAME_PIECE: Final = 512  # four bytes of zstandard can stand for 128 KiB
_MEMBER_PIECE: Final = 16 * 1024  # what follows a member is copied, again and again where members are small
_MEMBER_COST: Final = 1024
_MOST_LAYERS: Final = 5
_LONGEST_NAME: Final = 50
_NONE: Final = frozenset({"", "identity"})
_ERRORS: Final = (zlib.error, zstandard.ZstdError, brotli.error)
_MEMBER_STARTS: Final = bytes((0x1F, *range(0x08, 0x80, 0x10)))
_FRAME_STARTS: Final = bytes((0x28, *range(0x50, 0x60)))


class _Layer(Protocol):
    """One encoding of a body."""

    @property
    def is_whole(self) -> bool:
        """Return whether the body may end here."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* adds, piece by piece, or raise one of the errors of :data:`_ERRORS`.

        A member that ends yields an empty piece, so that any number of empty ones shows.
        """


class _Zlib:
    """gzip and zlib, in any number of members; deflate without a frame where *is_deflate*."""

    def __init__(self, piece: int, *, is_deflate: bool) -> None:
        self._piece = piece
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun: bytes | None = b"" if is_deflate else None  # all so far, while it may be without a frame
        self._is_first, self._has_content, self._is_over = True, False, False

    @property
    def is_whole(self) -> bool:
        return self._is_over or self._member.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _MEMBER_PIECE):
            yield from self._members(data[at : at + _MEMBER_PIECE])

    def _members(self, data: bytes) -> Iterator[bytes]:
        while data and not self._is_over:
            if self._member.eof:
                data = data.lstrip(b"\0")
                self._is_over = bool(data) and data[0] not in _MEMBER_STARTS
                if self._is_over or not data:
                    return
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
                is_known = self._has_content or len(self._begun) > _MEMBER_PIECE
                self._begun = None if is_known else self._begun + data
            data = self._member.unused_data

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        is_full = True
        while (data or is_full) and not self._member.eof:
            piece = self._member.decompress(data, self._piece)
            data, is_full = self._member.unconsumed_tail, len(piece) == self._piece
            self._has_content = self._has_content or bool(piece)
            yield piece


class _Zstandard:
    """zstandard, in any number of frames."""

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_first, self._has_content, self._is_over = True, False, False

    @property
    def is_whole(self) -> bool:
        return self._is_over or self._frame.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            if self._frame.eof:
                at = len(data) - len(data[at:].lstrip(b"\0")) if data[at] == 0 else at
                self._is_over = self._is_over or (at < len(data) and data[at] not in _FRAME_STARTS)
                if self._is_over or at == len(data):
                    return
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._is_first = self._has_content = False
            part = data[at : at + _FRAME_PIECE]
            try:
                plain = self._frame.decompress(part)
            except zstandard.ZstdError:
                self._is_over = not self._is_first and not self._has_content
                if self._is_over:
                    return
                raise
            self._has_content = self._has_content or bool(plain)
            for begin in range(0, len(plain) or 1, self._piece):
                yield plain[begin : begin + self._piece]
            at += len(part) - len(self._frame.unused_data)


class _Brotli:
    """Brotli, which has no members: whatever follows its end is an error."""

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self._decompressor = brotli.Decompressor()

    @property
    def is_whole(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._decompressor.process(data, output_buffer_limit=self._piece)
        while not self._decompressor.can_accept_more_data():
            yield self._decompressor.process(b"", output_buffer_limit=self._piece)


_LAYERS: Final[dict[str, Callable[[int], _Layer]]] = {
    **dict.fromkeys(("gzip", "x-gzip"), lambda piece: _Zlib(piece, is_deflate=False)),
    "deflate": lambda piece: _Zlib(piece, is_deflate=True),
    "br": _Brotli,
    "zstd": _Zstandard,
}


class ContentDecoder:
    """Decodes a body chunk by chunk.

    Args:
        encoding: the header ``Content-Encoding``, of several lines joined by commas; empty for none.
        largest: the most plain bytes that are decoded; all of them unless given.
        at_once: about the most bytes that one chunk may become, in all layers together; twice *largest* unless given.
        piece: the most bytes of a piece; of Brotli, which has its own blocks, about as many.

    Attributes:
        problem: why the body cannot be read, as the predicate of "the answer"; ``None`` where it can.
        is_unknown: whether the encoding is unknown, so that the body passes as it is: some servers name one that is
            none, such as ``utf-8``.
    """

    def __init__(
        self, encoding: str, largest: int = sys.maxsize, *, at_once: int | None = None, piece: int = _PIECE
    ) -> None:
        self._name = encoding.strip()[:_LONGEST_NAME]
        names = _names(encoding) if encoding else []
        self.is_unknown: bool = len(names) > _MOST_LAYERS or not _LAYERS.keys() >= set(names)
        self._layers = [] if self.is_unknown else [_LAYERS[name](piece) for name in reversed(names)]
        self._room = largest
        self._at_once = self._room_at_once = 2 * largest if at_once is None else at_once
        self._begun = 0  # so many layers have bytes
        self.problem: str | None = f"is encoded as “{self._name}”, which is not known here" if self.is_unknown else None

    def decode(self, chunk: bytes) -> bytes:
        """Return the plain bytes of *chunk*; none from the first chunk on that is not in the claimed encoding."""
        return b"".join(self.pieces(chunk)) if self._layers else chunk

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        """Return the plain bytes of *chunk* like :meth:`decode`, one piece after the other, however many they are."""
        return self._decoded(chunk) if self._layers else (chunk,)

    def close(self) -> None:
        """Note that the body has ended, which may be in the middle of its encoding."""
        if self.problem is None and not all(layer.is_whole for layer in self._layers[: self._begun]):
            self.problem = f"ends in the middle of its encoding, “{self._name}”"

    def _decoded(self, chunk: bytes) -> Iterator[bytes]:
        if self.problem is not None:
            return
        self._room_at_once = self._at_once
        try:
            for piece in self._through(chunk):
                self._room -= len(piece)
                if self._room < 0:
                    self.problem = "is larger than what is kept of one"
                if self.problem is not None:
                    return
                yield piece
        except _ERRORS:
            self.problem = f"is not in the encoding that it names, “{self._name}”"

    def _through(self, data: bytes, level: int = 0) -> Iterator[bytes]:
        """Yield the plain bytes of *data*, which is encoded in the layers from *level* on."""
        if not data:
            return
        self._begun = max(self._begun, level + 1)
        for piece in self._layers[level].decode(data):
            self._room_at_once -= len(piece) or _MEMBER_COST
            if self._room_at_once < 0:
                self.problem = self.problem or "expands to more than is decoded of one"
            if self.problem is not None:
                return
            if level + 1 < len(self._layers):
                yield from self._through(piece, level + 1)
            elif piece:
                yield piece


def _names(encoding: str) -> list[str]:
    return [name for part in encoding.split(",") if (name := part.strip().lower()) not in _NONE]
