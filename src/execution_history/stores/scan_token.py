"""Scan tokens: a place in the order of creation, as a text with a checksum against truncation and typing errors."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from zlib import crc32

from execution_history.errors import InvalidCursor, quoted
from execution_history.stores.protocol import ScanToken

_PLACE_BYTES = 8


def scan_token(place: int) -> ScanToken:
    """Return the token of the place after the record at *place* in the order of creation."""
    packed = place.to_bytes(_PLACE_BYTES)
    return ScanToken(urlsafe_b64encode(packed + crc32(packed).to_bytes(4)).decode())


def place_of(token: ScanToken | None) -> int:
    """Return the place that *token* names; ``None`` stands for the beginning.

    Raises:
        InvalidCursor: it is not a token of a store.
    """
    if token is None:
        return 0
    try:
        place = int.from_bytes(urlsafe_b64decode(token)[:_PLACE_BYTES])
    except ValueError:
        place = 0
    if token != scan_token(place):
        raise InvalidCursor(
            "The cursor %(cursor)s is broken: pass the `next` of the previous page unchanged, or start without one.",
            cursor=quoted(token),
        )
    return place
