"""The load on a proxy, from plain sockets."""

import socket
import sys
import threading

import pytest
from bench import http_load

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na"
_END = b"\r\n0\r\n\r\n"
_LONG = b"\r\n800000\r\n" + b"a" * 0x800000
"""More than the buffers of a connection take: it is sent when it is read."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bench needs Linux")


class _Server:
    """Begins the answer to each caller, and ends them in the opposite order once it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.release = threading.Event()

    def serve(self, count: int, ended: int, rest: bytes) -> None:
        """Serve so many callers; only so many answers end, with this *rest*."""
        connections = [self._listener.accept()[0] for _ in range(count)]
        for connection in connections:
            connection.recv(65_536)
            connection.sendall(_HEAD)
        assert self.release.wait(60)
        for connection in connections[::-1][:ended]:
            connection.sendall(rest + _END)
        for connection in connections:
            connection.recv(65_536)  # until the caller closes it
            connection.close()
        self._listener.close()


def _held(count: int, ended: int, rest: bytes = b"", seconds: float = 60) -> None:
    server = _Server()
    serving = threading.Thread(target=server.serve, args=(count, ended, rest))
    serving.start()
    try:
        with http_load.held(server.port, http_load.request("/"), count, seconds=seconds):
            server.release.set()
    finally:
        server.release.set()
        serving.join(60)


def test_streams_that_are_held_are_read_to_their_ends_in_any_order() -> None:
    """The last that began ends first; nobody waits at the first for it."""
    _held(20, ended=20, rest=_LONG)


def test_streams_that_do_not_end_are_counted() -> None:
    """The message says how many ended in the time that all of them have together."""
    with pytest.raises(SystemExit, match=r"^Only 17 of 20 streams ended\.$"):
        _held(20, ended=17, seconds=2)
