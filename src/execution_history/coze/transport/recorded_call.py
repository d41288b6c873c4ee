"""One recorded call without its I/O: events of the wire in, actions on the record out.

A transport reports what happens (the record is open, a head, a chunk, the end) and carries out what is returned: it
passes bytes on, saves progress, closes the record. A stream's terminator ends the run, however long its connection
stays open; what becomes known behind it completes the record. No event raises: whatever goes wrong in here costs the
record, never the bytes. One thread at a time reports events.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from execution_history.coze.protocol.messages import (
    REJECTED,
    Outcome,
    RunRequest,
    execute_id_of_event,
    is_chat_question,
    log_id_of,
)
from execution_history.coze.protocol.response_reader import ResponseReader
from execution_history.records.metadata import RECORDING_IS_CUT
from execution_history.records.proof import NEVER_TAKEN, UNCERTAIN, Proof

_log = logging.getLogger("execution_history.coze")

LARGEST_RECORDED: Final = 32 * 1024 * 1024
"""Bytes that are kept of one run's answer unless the settings have another limit."""

NEVER_BEGAN: Final = ", so the run never began."
"""The end of the sentence about a run that did not reach its upstream."""

STOPPED: Final = Outcome(
    "interrupted",
    Proof.ABANDONED,
    error_message="Recording stopped before the run ended; it may still be running upstream.",
)
"""The outcome of a run whose recording was stopped."""

NEVER_SENT: Final = Outcome(
    "failed", Proof.NEVER_SENT, error_message="The call ended before the run was sent, so it never began."
)
"""The outcome of a run whose record was opened, and whose request never left."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

REPEATING: Final = frozenset({307, 308})
"""The redirects that repeat the call elsewhere; one of the others may be the answer to a run that has begun."""

_NOT_BEGUN: Final = ", so this call began no run."
_MAY_RUN: Final = "; the workflow may be running there."
_SHOWN_ADDRESS: Final = 200


@dataclass(frozen=True, slots=True)
class CloseRecord:
    """The action that ends a call's record.

    Attributes:
        outcome: how the call ended; ``running`` leaves the record open.
        fields: further keys of the record.
        metadata: keys to be merged into its metadata.
        polled_id: the run's id upstream, where it is to be polled from now on.
        fallback: the outcome of a polled run of which the upstream has none; ``None`` where it was accepted.
        asked_conversation_id: the conversation in which the next chat answers the question that the run asks.
    """

    outcome: Outcome
    fields: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    polled_id: str | None = None
    fallback: Outcome | None = None
    asked_conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteRecord:
    """The action that adds to a closed record what came in its stream behind the terminator.

    Attributes:
        status: the status that the record was closed with.
        question: the question with which it was closed; another one, or none, is a later part of the run.
        fields: keys of the record.
        metadata: keys to be merged into its metadata.
    """

    status: str
    question: object
    fields: Mapping[str, Any]
    metadata: Mapping[str, object]


class RecordedCall:
    """Decides what is recorded of one call.

    Args:
        run: what is requested.
        clock: milliseconds since the epoch.
        largest: the most bytes of a body, and characters of a stream's contents, that are kept.

    Attributes:
        has_ended: whether :meth:`end` was called.
        is_over: whether the end of the run has come in the stream and the record is still to be closed.
    """

    def __init__(self, run: RunRequest, clock: Callable[[], int], largest: int = LARGEST_RECORDED) -> None:
        self.run = run
        self._clock = clock
        self._largest = largest
        self._began = 0
        self._timeline: object = None
        self._question: dict[str, Any] | None = None
        self._status_code = 0
        self._headers: Mapping[str, str] = {}
        self._answer: ResponseReader | None = None
        self._held = b""
        self._closed: CloseRecord | None = None
        self._is_faulty = self._has_more = False
        self.has_ended: bool = False
        self.is_over: bool = False

    @property
    def is_stream(self) -> bool:
        """Return whether the answer is a stream of events, so that there is progress to save."""
        return self._answer is not None and self._answer.is_stream and not self._is_faulty

    @property
    def is_redirected(self) -> bool:
        """Return whether the answer redirects the call."""
        return self._status_code in _REDIRECTS and "location" in self._headers

    @property
    def log_id(self) -> str | None:
        """Return Coze's id of the call, once the head of the answer is here."""
        return log_id_of(self._headers)

    def opened(self, began: int, timeline: object = None, question: dict[str, Any] | None = None) -> None:
        """Note that the record is open.

        Args:
            began: when the run began, in milliseconds.
            timeline: the timeline of an earlier part of the same run, to be continued.
            question: the question that the run was asking.
        """
        self._began, self._timeline, self._question = began, timeline, question

    def receive_head(self, status_code: int, headers: Mapping[str, str]) -> None:
        """Read the head of the answer, whose names of *headers* are in lower case."""
        with self._guarded():
            headers = dict(headers.items())  # looked up four times, which takes httpx's own headers long
            self._status_code, self._headers = status_code, headers
            if self.is_redirected:
                return
            began = self._began or self._clock()
            self._answer = ResponseReader(self.run, status_code, headers, began, self._timeline, self._largest)

    def receive_data(self, chunk: bytes) -> bytes:
        """Read a chunk of the answer's body, in the wire's encoding; return the bytes to pass on now.

        The last chunk of a whole answer is held back until its record is closed: whoever has read it finds the record
        closed. A stream passes at once.
        """
        try:
            if not self._is_faulty:
                self._read(chunk)
        except Exception:  # noqa: BLE001 - as in every guarded block, which would cost each chunk more
            self._note_fault()
        if self._answer is not None and self._answer.is_stream:
            return self.release() + chunk if self._held else chunk
        chunk, self._held = self._held, chunk
        return chunk

    def release(self) -> bytes:
        """Return the bytes that are held back, once."""
        held, self._held = self._held, b""
        return held

    def end(self, failure: Outcome | None = None) -> CloseRecord | None:
        """Return how to close the record; ``None`` where the call has ended already.

        It is called once the call :attr:`is_over`, or else at the end of the answer.

        Args:
            failure: what ended the answer early; ``None`` where it is whole. It is nothing to a run that is over.
        """
        if self.has_ended:
            return None
        self.has_ended = True
        if self._is_faulty:
            failure = failure or STOPPED
        with self._guarded():
            if self._answer is not None and not self.is_over:
                self._answer.close(self._clock())
            self.is_over = False
            self._closed = self._closing(self._outcome(failure))
            return self._closed
        failure = failure or STOPPED
        return CloseRecord(failure, failure.fields(), failure.metadata())

    def complete(self) -> CompleteRecord | None:
        """Return what has come in a stream since its record was closed; ``None`` where that is nothing new."""
        closed = self._closed
        if closed is None or not self._has_more or self._is_faulty:
            return None
        with self._guarded():
            if self._answer is not None:
                self._answer.close(self._clock())
            now = self._closing(self._outcome(None))
            fields, metadata = _news(closed.fields, now.fields), _news(closed.metadata, now.metadata)
            if fields or metadata:
                return CompleteRecord(closed.outcome.status, closed.outcome.interrupt, fields, metadata)
        return None

    def progress(self) -> dict[str, object]:
        """Return the record keys that the stream has filled so far."""
        return {} if self._answer is None else self._answer.progress()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Log what goes wrong in here, and record nothing further."""
        try:
            yield
        except Exception:  # noqa: BLE001 - a fault of the recording must not keep the bytes from the caller
            self._note_fault()

    def _note_fault(self) -> None:
        self._is_faulty = True
        _log.exception("Recording a run failed")

    def _read(self, chunk: bytes) -> None:
        if (answer := self._answer) is not None:
            self._has_more = self.has_ended
            answer.feed(chunk, self._clock())
            self.is_over = not self.has_ended and answer.ending is not None

    def _outcome(self, failure: Outcome | None) -> Outcome:
        if self.is_redirected:
            where, code = _shown(self._headers["location"]), self._status_code
            proof, sentence = Proof.REJECTED, f"The upstream redirected the run to {where} (HTTP {code}){_NOT_BEGUN}"
            if code not in REPEATING:
                proof = Proof.HTTP_STATUS
                sentence = f"The upstream answered with the address {where} (HTTP {code}){_MAY_RUN}"
            return Outcome("failed", proof, None, code, sentence, log_id=self.log_id)
        return self._answer.outcome(failure) if self._answer is not None else failure or STOPPED

    def _closing(self, ended: Outcome) -> CloseRecord:
        outcome, fallback = self._unanswered(ended), None
        is_asking = self.run.kind == "chat" and is_chat_question(outcome.interrupt)
        if is_asking and self.run.app_id is not None:
            # Whoever answers in the conversation has to name the app, and the record has no place of its own for it.
            outcome = replace(outcome, interrupt={**(outcome.interrupt or {}), "app_id": self.run.app_id})
        upstream_id = ended.execute_id or execute_id_of_event(self.run.event_id)
        if upstream_id is None or (ended.status != "running" and ended.proof not in UNCERTAIN):
            upstream_id = None
        else:
            # The run goes on upstream, or may: the record stays open for whoever polls it next.
            fallback = None if ended.status == "running" else ended
            outcome = Outcome("running", ended.proof, usage=ended.usage, execute_id=upstream_id, log_id=ended.log_id)
        fields, metadata = outcome.fields(), outcome.metadata()
        stream = None if self._answer is None else self._answer.stream
        if stream is not None:
            fields |= {"node_execute_status": stream.timeline(), "conversation_id": stream.conversation_id}
            metadata |= {RECORDING_IS_CUT.name: True} if stream.is_cut else {}
        asked_conversation_id = (fields.get("conversation_id") or self.run.conversation_id) if is_asking else None
        return CloseRecord(outcome, fields, metadata, upstream_id, fallback, asked_conversation_id)

    def _unanswered(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a run that still asks its question where the answer did not get through."""
        if self._question is None or outcome.proof not in NEVER_TAKEN or outcome.status == "interrupted":
            return outcome
        reason = (outcome.error_message or "").removeprefix(REJECTED)
        reason = reason.removesuffix(NEVER_BEGAN).removesuffix(_NOT_BEGUN)
        sentences = {
            Proof.REJECTED: f"Coze did not take the answer: {reason}",
            Proof.CONNECTION_FAILED: f"The answer did not get to Coze: {reason}.",
            Proof.NEVER_SENT: "The answer was not sent, because its caller left before.",
        }
        sentence = sentences[outcome.proof]
        return replace(outcome, status="interrupted", interrupt=self._question, error_message=sentence)


def _news(before: Mapping[str, object], now: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in now.items() if value is not None and value != before.get(key)}


def _shown(location: str) -> str:
    """Return an address without what may be secret in it: who logs in there, and its query."""
    scheme, slashes, rest = location.partition("?")[0].partition("#")[0].partition("//")
    if not slashes:
        return scheme[:_SHOWN_ADDRESS]
    host, slash, path = rest.partition("/")
    return f"{scheme}//{host.rpartition('@')[2]}{slash}{path}"[:_SHOWN_ADDRESS]
