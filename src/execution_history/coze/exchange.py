"""What a recorded call has brought so far, from the bytes of its answer, whichever transport reads them. No I/O.

Both transports feed it; neither knows what the bytes mean.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx
import zstandard

from execution_history.coze.stream import StreamReading
from execution_history.coze.wire import Call, Outcome, read_answer

STOPPED: Final = Outcome(
    "interrupted",
    "abandoned",
    error_message="Recording stopped before the run ended; it may still be running upstream.",
)
"""The outcome of a run that nobody reads any more."""

NEVER_SENT: Final = Outcome(
    "failed", "never_sent", error_message="The caller left before the run was sent, so it never began."
)
"""The outcome of a run whose record was opened, and whose request never left."""


class ExchangeReading:
    """Reads the answer to one call.

    Args:
        call: what was asked.
        began: when, in milliseconds.
    """

    def __init__(self, call: Call, began: int) -> None:
        self._call = call
        self._began = began
        self._status_code = 0
        self._headers: Mapping[str, str] = {}
        self._decode: Callable[[bytes], bytes] = bytes
        self._body: list[bytes] = []
        self.stream: StreamReading | None = None

    def begin(self, status_code: int, headers: Mapping[str, str]) -> None:
        """The answer's head has come."""
        self._status_code, self._headers = status_code, headers
        self._decode = _decoder(headers.get("content-encoding", ""))
        if "text/event-stream" in headers.get("content-type", ""):
            self.stream = StreamReading(self._began)

    def take(self, chunk: bytes, now: int) -> None:
        """Some of the answer's body has come, at *now* (milliseconds), in the wire's encoding."""
        try:
            plain = self._decode(chunk)
        except (zlib.error, zstandard.ZstdError):
            return  # not in the encoding it claims: the caller gets it as it is, and the record says it was no JSON
        if self.stream is None:
            self._body.append(plain)
        else:
            self.stream.feed(plain, now)

    def end(self, now: int) -> Outcome:
        """What became of the run, once the whole answer has come."""
        if self.stream is None:
            return read_answer(self._call, self._status_code, b"".join(self._body), self._headers)
        self.stream.close(now)
        log_id = self._headers.get("x-tt-logid") or self._headers.get("x-log-id")
        return replace(self.stream.outcome(), log_id=log_id)

    def cut(self, failure: Outcome, now: int) -> Outcome:
        """What became of the run, when *failure* ended the answer early."""
        if self.stream is None:
            return failure
        self.stream.close(now)
        return self.stream.outcome(failure)

    def progress(self) -> dict[str, object]:
        """The record's keys that a stream has filled so far."""
        stream = self.stream
        return {} if stream is None else {"node_execute_status": stream.timeline(), "usage": stream.usage()}


def failure_of(error: BaseException, host: str) -> Outcome:
    """What a transport's error says of a run (coze-protocol 3.1: a cut does not mean that the workflow stopped)."""
    if not isinstance(error, (httpx.TransportError, httpx.StreamError, OSError)):
        return STOPPED
    if isinstance(error, httpx.ConnectTimeout):
        sentence = f"No connection to {host} came about in time, so the run never began."
        return Outcome("failed", "connection_failed", error_message=sentence)
    if isinstance(error, httpx.TimeoutException):
        sentence = f"{host} was silent for too long; the workflow may still be running there."
        return Outcome("failed", "timeout", error_message=sentence)
    if isinstance(error, httpx.ConnectError):
        sentence = f"{host} could not be reached ({str(error) or 'no reason given'}), so the run never began."
        return Outcome("failed", "connection_failed", error_message=sentence)
    sentence = f"The connection to {host} broke before the run ended; the workflow may still be running there."
    return Outcome("failed", "connection_broken", error_message=sentence)


def _decoder(encoding: str) -> Callable[[bytes], bytes]:
    """What turns the wire's bytes into the body's, for our copy only."""
    name = encoding.strip().lower()
    if name in {"gzip", "x-gzip", "deflate"}:
        inflate: Any = zlib.decompressobj(zlib.MAX_WBITS | 32)
        return lambda chunk: bytes(inflate.decompress(chunk))
    if name == "zstd":
        unpack: Any = zstandard.ZstdDecompressor().decompressobj()
        return lambda chunk: bytes(unpack.decompress(chunk))
    return bytes
