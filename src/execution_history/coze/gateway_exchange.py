"""The two directions of a call through the gateway: the request as it comes, and the answer on its way back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

import httpx
from starlette.types import Receive, Scope, Send

from execution_history.coze.forwarded_headers import passed_on, sendable, without_length
from execution_history.coze.gateway_refusals import Refusal
from execution_history.coze.protocol.messages import claims_stream
from execution_history.coze.tracking.history_client import stream_of

_FINAL: Final = range(200, 600)
_NOT_BUFFERED: Final = (b"x-accel-buffering", b"no")


class CallerLeftError(Exception):
    """The caller hung up before its request was whole."""


class Upload:
    """The request's body as it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_whole = asyncio.Event()
        self.size: int = 0
        """Bytes that have come."""

    async def whole(self, limit: int) -> bytes | AsyncIterator[bytes]:
        """Return the body; one that is larger than *limit*, where that is not 0, as a stream of its chunks."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.rest():
            parts.append(chunk)
            size += len(chunk)
            if size > limit > 0:
                return _chained(parts, self.rest())
        return b"".join(parts)

    async def rest(self) -> AsyncIterator[bytes]:
        """Iterate over the chunks that have not been read yet.

        Raises:
            CallerLeftError: the caller hung up.
        """
        while not self._is_whole.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeftError
            if not message.get("more_body", False):
                self._is_whole.set()
            if chunk := message.get("body", b""):
                self.size += len(chunk)
                yield chunk

    async def caller_left(self) -> None:
        """Return once the caller has hung up after its request."""
        await self._is_whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _chained(parts: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    async for chunk in rest:
        yield chunk


class Answer:
    """The way back to the caller."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = False
        self.kind: str = "other"
        """What the metrics call the request; one that goes to no known address is of no kind of its own."""
        self.outcome: str = "caller_left"
        """What the metrics call the answer; a caller who leaves is what is left when nothing else has happened."""
        self.size: int = 0
        """Bytes that were sent on."""

    async def relay(self, response: httpx.Response, *, is_stream: bool) -> None:
        """Send an answer on as it comes; one that breaks off breaks off here too.

        Args:
            response: the upstream's.
            is_stream: whether a stream was requested; also where the content type names none.

        Raises:
            httpx.TransportError: the upstream broke off before the answer began here.
        """
        try:
            if response.status_code not in _FINAL:
                raise httpx.RemoteProtocolError(f"The status {response.status_code} is none that ends a request.")
            headers, others = response.headers.raw, without_length(response.headers.raw)
            if response.status_code == httpx.codes.NOT_MODIFIED:
                others |= {b"content-length"}  # it is that of a body which does not come (RFC 9110, section 8.6)
            kept = passed_on(headers, others)
            is_events = claims_stream(response.headers.get("content-type"), is_streamed=is_stream)
            if is_events and "x-accel-buffering" not in response.headers:
                kept.append(_NOT_BUFFERED)
            await self._begin(response.status_code, kept)
            async for chunk in stream_of(response):
                self.size += len(chunk)
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.TransportError:
            if not self._has_begun:
                raise
            # The server closes a connection whose answer is not whole: it ends for the caller as it did for us.
            self.outcome = "broken_off"
            return
        finally:
            await response.aclose()
        await self._send({"type": "http.response.body"})
        self.outcome = "answered" if response.status_code < httpx.codes.BAD_REQUEST else "upstream_error"

    async def whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send an answer that is whole."""
        await self._begin(status, passed_on(headers, frozenset()))
        await self._send({"type": "http.response.body", "body": body})
        self.size += len(body)

    async def refuse(self, scope: Scope, refusal: Refusal) -> None:
        """Send an error in a form that the caller hands on, unless an answer has begun."""
        if not self._has_begun:
            await self.whole(*refusal.answer(scope))

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._has_begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": sendable(headers)})
