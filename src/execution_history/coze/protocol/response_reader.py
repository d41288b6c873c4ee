"""What a recorded call has brought so far, from the bytes of its answer, whichever transport reads them. No I/O."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from execution_history.coze.protocol.content_encoding import BodyCopy
from execution_history.coze.protocol.messages import Call, Outcome, read_answer
from execution_history.coze.protocol.stream_reader import StreamReading
from execution_history.records.proof import Proof

LARGEST_RECORDED: Final = 32 * 1024 * 1024
"""Bytes that are kept of one run's answer unless the settings say otherwise."""

LARGEST_OVERHEARD: Final = 64 * 1024 * 1024
"""Bytes of an answer that is only listened to."""

_TOO_LARGE: Final = "The answer is larger than the {} bytes that are kept of one run, so it only passed through."


class AnswerReading:
    """Reads the answer to one call; both transports feed it, and neither knows what the bytes mean.

    Args:
        call: what was asked.
        began: when the run began, in milliseconds.
        timeline: what an earlier part of the same run has left.
        largest: bytes of a body, and characters of a stream's contents, that are kept.
    """

    def __init__(self, call: Call, began: int, timeline: object = None, largest: int = LARGEST_RECORDED) -> None:
        self._call = call
        self._began = began
        self._timeline = timeline
        self._largest = self._room = largest
        self._status_code = 0
        self._headers: Mapping[str, str] = {}
        self._copy = BodyCopy("")
        self._body: list[bytes] = []
        self.stream: StreamReading | None = None

    def begin(self, status_code: int, headers: Mapping[str, str]) -> None:
        """The answer's head has come."""
        self._status_code, self._headers = status_code, headers
        self._copy = BodyCopy(headers.get("content-encoding", ""))
        if "text/event-stream" in headers.get("content-type", ""):
            self.stream = StreamReading(self._began, self._timeline, self._largest)

    def take(self, chunk: bytes, now: int) -> None:
        """Some of the answer's body has come, at *now* (milliseconds), in the wire's encoding."""
        plain = self._copy.take(chunk)
        if self.stream is not None:
            self.stream.feed(plain, now)
        elif self._room >= 0:
            self._room -= len(plain)
            self._body.append(plain)

    def end(self, now: int) -> Outcome:
        """What became of the run, once the whole answer has come."""
        log_id = self._headers.get("x-tt-logid") or self._headers.get("x-log-id")
        if self.stream is not None:
            self.stream.close(now)
            return replace(self.stream.outcome(), log_id=log_id)
        if self._room < 0:
            return Outcome("failed", Proof.NOT_JSON, error_message=_TOO_LARGE.format(self._largest), log_id=log_id)
        return read_answer(self._call, self._status_code, b"".join(self._body), self._headers)

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
