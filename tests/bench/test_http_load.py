"""The load on a proxy, from plain sockets."""

import itertools
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from bench import http_load

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na"
_END = b"\r\n0\r\n\r\n"
_LONG = b"\r\n800000\r\n" + b"a" * 0x800000
"""More than the buffers of a connection take: it is sent when it is read."""
_CALL = http_load.request("/")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bench needs Linux")


class _Server:
    """Begins the answer to each caller, and ends them in the opposite order once it is told to."""

    def __init__(self, end: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._end = end
        self.port: int = self._listener.getsockname()[1]
        self.release = threading.Event()
        self.has_sent = threading.Event()

    def serve(self, count: int, ended: int) -> None:
        """Serve so many callers; only so many answers end."""
        with ExitStack() as opened:
            listener = opened.enter_context(self._listener)
            connections = [opened.enter_context(listener.accept()[0]) for _ in range(count)]
            for connection in connections:
                connection.recv(65_536)
                connection.sendall(_HEAD)
            assert self.release.wait(60)
            with suppress(ConnectionError):  # of a caller that has given up
                for connection in connections[::-1][:ended]:
                    connection.sendall(self._end)
                self.has_sent.set()
                for connection in connections:
                    connection.recv(65_536)  # until the caller closes it


@contextmanager
def _serving(end: bytes, count: int, ended: int) -> Iterator[_Server]:
    server = _Server(end)
    serving = threading.Thread(target=server.serve, args=(count, ended))
    serving.start()
    try:
        yield server
    finally:
        server.release.set()
        serving.join(60)


def test_streams_that_are_held_are_read_to_their_ends_in_any_order() -> None:
    """The last that began ends first; nobody waits at the first for it."""
    with _serving(_LONG + _END, 20, ended=20) as server, http_load.held(server.port, _CALL, 20):
        server.release.set()


def test_streams_that_do_not_end_are_counted() -> None:
    """The message says how many ended in the time that all of them have together."""
    with _serving(_END, 20, ended=17) as server:
        readings = itertools.count()

        def clock() -> float:
            """Stand still until everything that will come is there; then half a minute goes by with each reading."""
            return next(readings) * 30.0 if server.has_sent.is_set() else 0.0

        def hold() -> None:
            with http_load.held(server.port, _CALL, 20, seconds=60, clock=clock):
                server.release.set()
                assert server.has_sent.wait(60)

        with pytest.raises(SystemExit, match=r"^Only 17 of 20 streams ended\.$"):
            hold()
