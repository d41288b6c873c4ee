"""The headers that a proxy hands on: all but those of one connection (RFC 9110, section 7.6.1)."""

import logging
import re
from collections.abc import Iterable
from typing import Final

from execution_history.errors import listed

_log = logging.getLogger("execution_history.coze")

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

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""A name of a header, and what its value cannot hold (RFC 9110, sections 5.1 and 5.5)."""


def passed_on(headers: Iterable[tuple[bytes, bytes]], others: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers that go on: all but *others*, the connection's, and those that ``Connection`` names."""
    kept = [(key, key.lower(), value) for key, value in headers]
    named = {name.strip().lower() for _, key, value in kept if key == b"connection" for name in value.split(b",")}
    left_out = OF_THE_CONNECTION | others | named
    return [(key, value) for key, lower, value in kept if lower not in left_out]


def sendable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an upstream's answer as far as HTTP can carry them; parsers let more through than servers.

    Control characters in a value become spaces, as RFC 9110, section 5.5, asks of who hands it on. A header whose name
    is none is left out. The log has the names.
    """
    odd = [name for name, value in headers if _CONTROL.search(value) or not _NAME.fullmatch(name)]
    if not odd:
        return headers
    names = listed(dict.fromkeys(name.decode("latin-1") for name in odd))
    _log.warning("The upstream's answer has headers that HTTP does not allow; they were cleaned or left out: %s", names)
    return [(name, _CONTROL.sub(b" ", value).strip(b" \t")) for name, value in headers if _NAME.fullmatch(name)]


def without_length(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the names of headers that do not count, because the body came in chunks (RFC 9112 section 6.3)."""
    is_chunked = any(key.lower() == b"transfer-encoding" for key, _ in headers)
    return frozenset({b"content-length"}) if is_chunked else frozenset()
