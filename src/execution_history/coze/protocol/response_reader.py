"""The answer to a request for a run, as it comes: a stream of events or one JSON envelope. Pure.

What it is was claimed by its content type, and is decided by its first bytes. The SDKs take whatever is not JSON for a
stream (coze-protocol 9), and so is what claims to be JSON and has lines of events; an object or a page of HTML under
the content type of a stream is read as what it is.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.envelope import no_envelope, read_envelope, unreadable
from execution_history.coze.protocol.messages import (
    Outcome,
    RunRequest,
    charset_of,
    claims_events,
    claims_stream,
    log_id_of,
)
from execution_history.coze.protocol.sse import EventDecoder
from execution_history.coze.protocol.stream_reader import StreamReader
from execution_history.records.charset import BYTE_ORDER_MARK
from execution_history.records.proof import Proof

_FIELD: Final = re.compile(rb"(?:event|data|id|retry|)[ \t]*:")
_LONGEST_FIELD: Final = len(b"event :")
_MOST_BLANKS: Final = 1024
_MOST_PLAIN: Final = 8  # times what is kept of an answer: the end of a stream stands behind what is not
_MOST_AT_ONCE: Final = 64 * 1024 * 1024  # takes a tenth of a second
_MOST_LINES: Final = 100_000  # in one chunk of what is encoded
_FAILURE: Final = 300
_STATED: Final = frozenset({Proof.ENVELOPE, Proof.ACCEPTED, Proof.REJECTED, Proof.HTTP_STATUS})


class ResponseReader:
    """Reads one answer.

    Args:
        run: the request that is answered.
        status_code: the HTTP status.
        headers: the answer's headers, in lower case.
        began: when the run began, in milliseconds.
        timeline: the timeline of an earlier part of the same run, to be continued.
        largest: the most bytes of a body or an event, and characters of a stream's contents, that are kept.

    Attributes:
        is_stream: whether the answer is a stream of events: what is claimed before the first bytes have come, then what
            is so. The bytes of a stream are passed on at once.
        stream: what was read of the stream, once there is any.
    """

    def __init__(
        self,
        run: RunRequest,
        status_code: int,
        headers: Mapping[str, str],
        began: int,
        timeline: object = None,
        largest: int = sys.maxsize,
    ) -> None:
        self._run = run
        self._status_code = status_code
        self._headers = headers
        self._began = began
        self._timeline = timeline
        self._largest = self._room = largest
        content_type = headers.get("content-type")
        self._claims_events = claims_events(content_type)
        self._coding = ContentDecoder(
            headers.get("content-encoding", ""), _MOST_PLAIN * largest, at_once=min(_MOST_AT_ONCE, 2 * largest)
        )
        self._body: list[bytes] = []
        self._is_body = False
        self.is_stream: bool = status_code < _FAILURE and claims_stream(content_type, is_streamed=run.is_streamed)
        self.stream: StreamReader | None = None

    @property
    def ending(self) -> Outcome | None:
        """Return how the run ended once the event that ends it was read; see :class:`StreamReader`."""
        return None if self.stream is None else self.stream.ending

    def feed(self, chunk: bytes, now: int) -> None:
        """Read a chunk of the answer, in the wire's encoding, that was received at *now* (milliseconds)."""
        lines = 0
        for piece in self._coding.pieces(chunk):
            if self.stream is None:
                if self._room < 0:
                    return
                self._keep(piece, now)
            elif lines <= _MOST_LINES:
                lines += piece.count(b"\n") + piece.count(b"\r")
                self.stream.feed(piece, now)
            else:
                self._coding.problem = "expands to more lines than are read of one"

    def close(self, now: int) -> None:
        """Note that nothing follows."""
        self._coding.close()
        if self.stream is None and self.is_stream:  # nothing has come that would show what it is
            self._begin_stream(b"".join(self._body), now)
        if self.stream is not None:
            self.stream.close(now)

    def outcome(self, failure: Outcome | None = None) -> Outcome:
        """Return how the run ended, as far as the answer has it.

        Args:
            failure: what ended the answer early; ``None`` where it is whole.
        """
        log_id, stream, problem = log_id_of(self._headers), self.stream, self._coding.problem
        if stream is not None:
            if failure is None and problem is not None and not (self._coding.is_unknown and stream.has_read):
                failure = unreadable(problem, log_id)
            if failure is None and self._status_code >= _FAILURE and not stream.has_read:
                failure = no_envelope(self._status_code, 0)
            return stream.outcome(failure, log_id)
        if failure is not None:
            return replace(failure, log_id=log_id)
        if self._room < 0:
            problem = f"is larger than the {self._largest} bytes that are kept of one run"
        answered = read_envelope(self._run, self._status_code, b"".join(self._body), self._headers)
        return answered if problem is None or answered.proof in _STATED else unreadable(problem, log_id)

    def progress(self) -> dict[str, Any]:
        """Return the record keys that the stream has filled so far."""
        stream = self.stream
        return {} if stream is None else {"node_execute_status": stream.timeline(), "usage": stream.usage()}

    def _keep(self, piece: bytes, now: int) -> None:
        """Keep a part of what is no stream yet, up to the limit."""
        self._body.append(piece)
        if not self._is_body:
            self._decide(b"".join(self._body), now)
        self._room -= len(piece)
        if self._is_body and self._room < 0:
            self._body.clear()

    def _decide(self, start: bytes, now: int) -> None:
        """Decide from the start of the answer what it is, as soon as that shows."""
        is_stream = _is_stream(start, claimed=self._claims_events)
        if is_stream is None and len(start) > _MOST_BLANKS:
            is_stream = self._claims_events
        if is_stream:
            self._begin_stream(start, now)
        elif is_stream is False:
            self._is_body, self.is_stream = True, False

    def _begin_stream(self, start: bytes, now: int) -> None:
        decoder = EventDecoder("", self._largest, charset_of(self._headers.get("content-type")))
        self.stream = StreamReader(decoder, self._began, self._timeline, self._largest)
        self.stream.feed(start, now)
        self._body.clear()
        self.is_stream = True


def _is_stream(start: bytes, *, claimed: bool) -> bool | None:
    """Return whether an answer that begins like this is a stream of events; ``None`` where that does not show yet."""
    if BYTE_ORDER_MARK.startswith(start):
        return None
    start = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not start:
        return None
    if start[0] in b"{[<":
        return False
    if _FIELD.match(start):
        return True
    if len(start) < _LONGEST_FIELD and b"\n" not in start:
        return None
    return claimed
