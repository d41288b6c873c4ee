"""The HTTP protocol of the server on h11: with raw text in addresses, and an answer to every WebSocket handshake."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_LONGEST_LINE: Final = 8_000
_MOST_HEADERS: Final = 128
"""Bytes of a line and number of headers that the library for WebSockets takes."""

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")


def with_ascii_line(data: bytes) -> bytes:
    """Return *data* with the bytes beyond ASCII in its first line percent-encoded, as they mean the same in an address.

    That is how an address with text becomes a URI (RFC 3987, section 3.1); parsers refuse all others.
    """
    line, end, rest = data.partition(b"\n")
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], line) + end + rest


def handshake_fault(method: str, address: bytes, headers: Iterable[tuple[bytes, bytes]]) -> HTTPStatus | None:
    """Return the status of a WebSocket handshake that the library for them would leave without an answer."""
    headers = list(headers)
    if method != "GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    longest = max(len(address), *(len(name) + len(value) for name, value in headers))
    is_too_large = longest > _LONGEST_LINE or len(headers) > _MOST_HEADERS
    return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_too_large else None


def refusal_head(status: HTTPStatus) -> bytes:
    """Return a whole answer of *status* without a body, after which the connection is closed."""
    return f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode("ascii")


class AddressedH11Protocol(H11Protocol):
    """uvicorn's protocol, which alone takes no address with raw text in it, as curl sends what one types."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if not data.isascii() and self._is_in_request_line():
            data = with_ascii_line(data)
        super().data_received(data)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass a handshake on to the library for WebSockets, where it answers."""
        fault = handshake_fault(event.method.decode("ascii"), event.target, self.headers)
        if fault is None:
            super().handle_websocket_upgrade(event)
        else:
            self.transport.write(refusal_head(fault))
            self.transport.close()

    def _is_in_request_line(self) -> bool:
        if self.conn.their_state is not h11.IDLE:
            return False
        return b"\n" not in self.conn.trailing_data[0]
