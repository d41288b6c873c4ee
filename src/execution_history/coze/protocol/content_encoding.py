"""Bodies in the encodings of HTTP, decoded chunk by chunk (RFC 9110, section 8.4). Pure: bytes in, bytes out."""

import zlib
from collections.abc import Callable
from typing import Any, Final

import brotli  # type: ignore[import-untyped]
import zstandard

_ERRORS: Final = (zlib.error, zstandard.ZstdError, brotli.error)


class ContentDecoder:
    """Decodes a body chunk by chunk; a body in an unknown encoding stays as it is.

    Args:
        encoding: the header ``Content-Encoding``; empty for none.
    """

    def __init__(self, encoding: str) -> None:
        self._decode = _decoder(encoding.strip().lower())
        self._is_broken = False

    def decode(self, chunk: bytes) -> bytes:
        """Return the plain bytes of *chunk*; none from the first chunk on that is not in the claimed encoding."""
        if self._is_broken:
            return b""
        try:
            return self._decode(chunk)
        except _ERRORS:
            self._is_broken = True
            return b""


def _decoder(name: str) -> Callable[[bytes], bytes]:
    if name in {"gzip", "x-gzip", "deflate"}:
        inflate: Any = zlib.decompressobj(zlib.MAX_WBITS | 32)
        return lambda chunk: bytes(inflate.decompress(chunk))
    if name == "br":
        unbrotli: Any = brotli.Decompressor()
        return lambda chunk: bytes(unbrotli.process(chunk))
    if name == "zstd":
        unpack: Any = zstandard.ZstdDecompressor().decompressobj()
        return lambda chunk: bytes(unpack.decompress(chunk))
    return lambda chunk: chunk
