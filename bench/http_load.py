"""Load on a proxy from plain sockets, which costs a fraction of what an HTTP client does."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BODY = b'{"workflow_id": "7", "parameters": {"city": "%s", "text": "%s"%s}}'
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def request(path: str, *, is_held: bool = False) -> bytes:
    """Return a call of a workflow, as an SDK sends it."""
    body = _BODY % ("巴黎".encode(), b"some input " * 20, b', "hold": true' if is_held else b"")
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(slots=True)
class Caller:
    """One connection that is kept alive."""

    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent: float = 0.0
    first: float = 0.0
    end: int | None = None

    def send(self, call: bytes) -> None:
        """Send a call; nothing of its answer is there."""
        self.received.clear()
        self.first, self.end, self.sent = 0.0, None, time.perf_counter()
        self.connection.sendall(call)

    def receive(self) -> bool:
        """Take what has come; whether the answer is whole.

        Raises:
            SystemExit: it is none, or not the right one.
        """
        part = self.connection.recv(262_144)
        if not part:
            raise SystemExit(f"A proxy hung up: {bytes(self.received[:300])!r}")
        self.received += part
        if self.end is None and not self._read_head():
            return False
        if self.end == 0:
            return self.received.endswith(_LAST_CHUNK)
        return len(self.received) == self.end

    def has_begun(self) -> bool:
        """Take what has come; whether the body has begun."""
        self.receive()
        return self.first > 0

    def _read_head(self) -> bool:
        """Look for the end of the answer: 0 where the last chunk says so."""
        stop = self.received.find(b"\r\n\r\n") + 4
        if stop < 4:
            return False
        head = bytes(self.received[:stop]).lower()
        if b" 200 " not in head[:16]:
            raise SystemExit(f"A proxy answered {bytes(self.received[:600])!r}")
        if b"transfer-encoding: chunked" in head:
            self.end = 0
        else:
            self.end = stop + int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(self.received) == stop and self.end != stop:
            self.end = None
            return False
        self.first = time.perf_counter() - self.sent
        return True


@contextmanager
def callers(port: int, count: int) -> Iterator[dict[int, Caller]]:
    """Connect so many callers; by the numbers of their sockets."""
    connected = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
    for connection in connected:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield {connection.fileno(): Caller(connection) for connection in connected}
    finally:
        for connection in connected:
            connection.close()


def rate(
    port: int, call: bytes, clients: int, *, seconds: float = float("inf"), most: float = float("inf")
) -> tuple[int, float]:
    """Call again and again with so many callers, for so many *seconds* or calls; how many, and the seconds they took."""
    with callers(port, clients) as connected, select.epoll() as ready:
        began, done, busy = time.perf_counter(), 0, clients
        for number, caller in connected.items():
            ready.register(number, select.EPOLLIN)
            caller.send(call)
        while busy:
            for number, _ in ready.poll(60):
                caller = connected[number]
                if not caller.receive():
                    continue
                done += 1
                if done + busy <= most and time.perf_counter() - began < seconds:
                    caller.send(call)
                else:
                    busy -= 1
        return done, time.perf_counter() - began


def first_bytes(port: int, call: bytes, times: int) -> list[float]:
    """Call one after the other; the seconds until the first byte of each body."""
    spent = []
    with callers(port, 1) as connected:
        (caller,) = connected.values()
        for _ in range(times):
            caller.send(call)
            while not caller.receive():
                pass
            spent.append(caller.first)
    return spent


@contextmanager
def held(
    port: int, call: bytes, count: int, *, seconds: float = 120, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Open so many streams at once, whose first bytes have come; what is held has to be released before the end.

    Raises:
        SystemExit: one did not begin in so many *seconds*, or has not ended in as many.
    """
    with callers(port, count) as connected:
        for caller in connected.values():
            caller.send(call)
        _receive_until("began", Caller.has_begun, connected, seconds, clock)
        yield
        _receive_until("ended", Caller.receive, connected, seconds, clock)


def _receive_until(
    reached: str,
    receive: Callable[[Caller], bool],
    connected: dict[int, Caller],
    seconds: float,
    clock: Callable[[], float],
) -> None:
    """Receive what comes, in the order in which it comes, until *receive* was true of each caller.

    Raises:
        SystemExit: that took longer; *reached* says of the others how far they got.
    """
    deadline, waiting = clock() + seconds, set(connected)
    with select.epoll() as ready:
        for number in waiting:
            ready.register(number, select.EPOLLIN)
        while waiting:
            for number, _ in ready.poll(1):
                if receive(connected[number]):
                    ready.unregister(number)
                    waiting.discard(number)
            if clock() > deadline:
                raise SystemExit(f"Only {len(connected) - len(waiting)} of {len(connected)} streams {reached}.")
