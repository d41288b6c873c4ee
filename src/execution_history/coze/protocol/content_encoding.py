"""Bodies in the encodings of HTTP, decoded chunk by chunk (RFC 9110, section 8.4). Pure: bytes in, bytes out."""

import zlib
from collections.abc import Callable
from typing import Final

import brotli  # type: ignore[import-untyped]
import zstandard


def _inflate() -> Callable[[bytes], bytes]:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress


_DECODERS: Final[dict[str, Callable[[], Callable[[bytes], bytes]]]] = {
    **dict.fromkeys(("gzip", "x-gzip", "deflate"), _inflate),
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
}
_ERRORS: Final = (zlib.error, zstandard.ZstdError, brotli.error)


class ContentDecoder:
    """Decodes a body chunk by chunk; a body in an unknown encoding stays as it is.

    Args:
        encoding: the header ``Content-Encoding``; empty for none.
    """

    def __init__(self, encoding: str) -> None:
        self._decode = _DECODERS.get(encoding.strip().lower(), lambda: bytes)()
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
