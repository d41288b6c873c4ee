"""The headers that a proxy hands on: all but those of one connection (RFC 9110, section 7.6.1)."""

from collections.abc import Iterable
from typing import Final

OF_THE_CONNECTION: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def passed_on(headers: Iterable[tuple[bytes, bytes]], others: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers that go on: all but *others*, the connection's, and those that ``Connection`` names."""
    kept = [(key, key.lower(), value) for key, value in headers]
    named = {name.strip().lower() for _, key, value in kept if key == b"connection" for name in value.split(b",")}
    left_out = OF_THE_CONNECTION | others | named
    return [(key, value) for key, lower, value in kept if lower not in left_out]
