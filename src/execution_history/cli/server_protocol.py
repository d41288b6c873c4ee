"""The HTTP protocol of the server: httptools', with limits and without its ways to lose a request."""

import sys
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_LONGEST_PARSED: Final = 0xFFFF
"""Bytes of an address that httptools can parse: it counts them in 16 bits."""

_LONGEST_LINE: Final = 8_000
_MOST_HEADERS: Final = 128
"""Bytes of a line and number of headers that the library for WebSockets takes."""

_OFFERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class LimitedHttpToolsProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which alone would read a head without an end into memory.

    The limit is the one that uvicorn has for its other protocol, ``h11_max_incomplete_event_size``.
    """

    _head: int | None = None
    """The bytes of the head that is being read; ``None`` between heads."""

    _data: bytes = b""
    """What is being parsed."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come; answer 431 and hang up where it is still part of a head, and that is too long."""
        self._data = data
        super().data_received(data)
        self._data = b""
        if self._head is None or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > (self.config.h11_max_incomplete_event_size or sys.maxsize):
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; a query that is too long for httptools' parser of addresses is split off before."""
        self._head = None
        if self._is_for_h11():
            return
        if len(self.url) <= _LONGEST_PARSED:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._is_for_h11():
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Pass a handshake on to the library for WebSockets, which answers none that is beyond its limits."""
        longest = max(len(self.url), *(len(name) + len(value) for name, value in self.headers))
        if self.scope["method"] != "GET":
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
        elif longest > _LONGEST_LINE or len(self.headers) > _MOST_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            super().handle_websocket_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Serve a request that offers another protocol, such as ``h2c``, as if it did not.

        httptools does not read the body of such a request; h11 does, and serves this connection from here on.
        """
        upgrade = sys.exception()  # httptools' signal, which has the place where the head ends
        rest = b"" if upgrade is None else self._data[upgrade.args[0] :]
        if self._is_answering():
            self.transport.close()  # an earlier request is still being answered
            return
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _OFFERS]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, b"".join(kept))
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        protocol = H11Protocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(head + rest)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with *status*, unless another answer is on its way, and hang up."""
        if not self._is_answering():
            head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode("ascii"))
        self.transport.close()

    def _is_for_h11(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request, which its type leaves out
        return cycle is not None and not cycle.response_complete
