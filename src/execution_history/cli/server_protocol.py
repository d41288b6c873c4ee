"""The HTTP protocol of the server: httptools', with a limit for the head of a request."""

import sys
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_PARSED: Final = 0xFFFF
"""Bytes of an address that httptools can parse: it counts them in 16 bits."""


class LimitedHttpToolsProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which alone would read a head without an end into memory.

    The limit is the one that uvicorn has for its other protocol, ``h11_max_incomplete_event_size``.
    """

    _head: int | None = None
    """The bytes of the head that is being read; ``None`` between heads."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come; answer 431 and hang up where it is still part of a head, and that is too long."""
        super().data_received(data)
        if self._head is None or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > (self.config.h11_max_incomplete_event_size or sys.maxsize):
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode("ascii"))
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; a query that is too long for httptools' parser of addresses is split off before."""
        self._head = None
        if len(self.url) <= _LONGEST_PARSED:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query
