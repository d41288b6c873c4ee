"""The HTTP protocol of the server on httptools: with limits, and without its ways to lose a request."""

import sys
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from execution_history.cli.server_protocol_h11 import (
    AddressedH11Protocol,
    handshake_fault,
    refusal_head,
    with_ascii_line,
)

_LONGEST_PARSED: Final = 0xFFFF
"""Bytes of an address that httptools can parse: it counts them in 16 bits."""

_OFFERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class LimitedHttpToolsProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which alone would read a head without an end into memory, or what follows the last chunk.

    The limit is the one that uvicorn has for its other protocol, ``h11_max_incomplete_event_size``.
    """

    _head: int | None = None
    """The bytes since the message or the last piece of its body began; ``None`` between messages."""

    _data: bytes = b""
    """What is being parsed."""

    _is_in_line: bool = True
    """Whether what comes next belongs to the first line of a request."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come; answer 431 and hang up where too much came that is no body."""
        if self._is_in_line:
            self._is_in_line = b"\n" not in data
            data = data if data.isascii() else with_ascii_line(data)
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
        self._head = 0
        if self._is_for_h11():
            return
        if len(self.url) <= _LONGEST_PARSED:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._head = None
        self._is_in_line = True
        if not self._is_for_h11():
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Pass a handshake on to the library for WebSockets, which answers none that is beyond its limits."""
        fault = handshake_fault(self.scope["method"], self.url, self.headers)
        if fault is None:
            super().handle_websocket_upgrade()
        else:
            self._refuse(fault)

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
        protocol = AddressedH11Protocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(head + rest)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with *status*, unless another answer is on its way, and hang up."""
        if not self._is_answering():
            self.transport.write(refusal_head(status))
        self.transport.close()

    def _is_for_h11(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request, which its type leaves out
        return cycle is not None and not cycle.response_complete
