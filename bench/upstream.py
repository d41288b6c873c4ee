"""``python -m bench.upstream``: an upstream that answers at once, and costs little, on plain sockets.

It answers ``…/run`` with a JSON document and ``…/stream_run`` with eleven events, each in a packet of its own. A stream
whose request has ``"hold"`` in its body stops after the first event, until somebody posts to ``/release``.
"""

import json
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_DEBUG: Final = "https://www.coze.cn/work_flow?execute_id=%d&space_id=1&workflow_id=7"
_TEXT: Final = "今天的天气很好 and the ferry leaves at nine. "
_KIND: Final = "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n"
_STREAM: Final = (_KIND % ("text/event-stream", "Transfer-Encoding: chunked")).encode()


def _answer(number: int) -> bytes:
    data = json.dumps({"output": _TEXT * 12}, ensure_ascii=False)
    usage = {"input_count": 9, "output_count": 90, "token_count": 99}
    found = {
        "code": 0,
        "msg": "",
        "data": data,
        "debug_url": _DEBUG % number,
        "execute_id": str(number),
        "usage": usage,
    }
    body = json.dumps(found, ensure_ascii=False).encode()
    return (_KIND % ("application/json", f"Content-Length: {len(body)}")).encode() + body


def _events(number: int) -> Iterator[bytes]:
    for n in range(10):
        message = {
            "content": _TEXT,
            "node_title": "End",
            "node_seq_id": str(n),
            "node_is_finish": n == 9,
            "node_id": "9",
        }
        yield _chunk(n, "Message", message)
    yield _chunk(10, "Done", {"debug_url": _DEBUG % number}) + b"0\r\n\r\n"


def _chunk(number: int, event: str, data: dict[str, object]) -> bytes:
    content = f"id: {number}\nevent: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(content), content)


@dataclass(slots=True)
class _Caller:
    connection: socket.socket
    received: bytes = b""
    waiting: list[bytes] = field(default_factory=list)
    is_held: bool = False

    def request(self) -> tuple[bytes, bytes] | None:
        """Take the path and the body of a request that is there whole."""
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            if not rest.endswith(b"0\r\n\r\n"):
                return None
            length = len(rest)
        else:
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(rest) < length:
            return None
        self.received = rest[length:]
        return head.split(b" ", 2)[1], rest[:length]


class Upstream:
    """Serves until the process ends."""

    def __init__(self) -> None:
        self._callers: dict[int, _Caller] = {}
        self._streaming: set[int] = set()
        self._epoll = select.epoll()
        self._count = 0

    def serve(self) -> None:
        """Listen on a free port, print it, and answer."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        self._epoll.register(listener, select.EPOLLIN)
        print(listener.getsockname()[1], flush=True)
        while True:
            for number, _ in self._epoll.poll(0 if self._streaming else -1):
                if number == listener.fileno():
                    connection = listener.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._callers[connection.fileno()] = _Caller(connection)
                    self._epoll.register(connection, select.EPOLLIN)
                else:
                    self._read(number)
            for number in list(self._streaming):
                self._go_on(number)

    def _read(self, number: int) -> None:
        caller = self._callers[number]
        try:
            received = caller.connection.recv(65536)
        except OSError:
            received = b""
        if not received:
            self._hang_up(number)
            return
        caller.received += received
        while (request := caller.request()) is not None:
            self._answer(number, caller, *request)

    def _answer(self, number: int, caller: _Caller, path: bytes, body: bytes) -> None:
        self._count += 1
        if path.endswith(b"/stream_run"):
            caller.waiting, caller.is_held = [_STREAM, *_events(self._count)][::-1], b'"hold"' in body
            self._streaming.add(number)
        elif path == b"/release":
            for other, held in self._callers.items():
                if held.is_held:
                    held.is_held = False
                    self._streaming.add(other)
            caller.connection.sendall(_answer(self._count))
        else:
            caller.connection.sendall(_answer(self._count))

    def _go_on(self, number: int) -> None:
        caller = self._callers[number]
        try:
            caller.connection.sendall(caller.waiting.pop())
        except OSError:
            self._hang_up(number)
            return
        is_first = len(caller.waiting) == 10
        if not caller.waiting or (caller.is_held and is_first):
            self._streaming.discard(number)

    def _hang_up(self, number: int) -> None:
        self._streaming.discard(number)
        self._epoll.unregister(number)
        self._callers.pop(number).connection.close()


if __name__ == "__main__":
    Upstream().serve()
