"""The chats of a WebSocket connection that names a workflow: each round of one is a record (coze-protocol 9).

A frame is a JSON object with ``event_type`` and ``data``; what comes from the upstream are the events of a chat's
stream, and is read as one. A round begins with a message of the user's, or with the upstream's word that a chat has
begun, where the user spoke; it ends with the event that ends the chat. Sound is not kept.

The connection never waits for its records: they are opened and closed by tasks of their own.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

import httpx

from execution_history.coze.protocol.chat_reader import ENDINGS
from execution_history.coze.protocol.messages import (
    NO_WORKFLOW,
    UNKNOWN_WORKFLOW,
    Outcome,
    RunRequest,
    api_path,
    parse_json,
    text,
)
from execution_history.coze.transport.call_recording import CallRecord
from execution_history.coze.transport.recorded_call import RecordedCall
from execution_history.records.proof import Proof

_log = logging.getLogger("execution_history.coze")

_CHATS: Final = frozenset({"/v1/chat", "/v1/workflows/chat"})
_OF_WORKFLOWS: Final = "/v1/workflows/chat"
_MOST_ROUNDS: Final = 100

# What a frame holds that concerns a record; all others pass without being read.
_RECEIVED: Final = (
    '"conversation.chat.',
    '"conversation.message.',
    '"conversation.audio_transcript.completed"',
    '"error"',
)
_SENT: Final = ('"conversation.message.create"', '"conversation.chat.submit_tool_outputs"', '"chat.update"')
_BROKEN: Final = Outcome(
    "failed",
    Proof.CONNECTION_BROKEN,
    error_message="The WebSocket connection ended before the chat did; it may still be running upstream.",
)
_UNANSWERED: Final = Outcome(
    "interrupted",
    Proof.ABANDONED,
    error_message="Too many chats of one connection were open at once; this one may still be running upstream.",
)


def recorded_chat(path: str, query: str) -> RunRequest | None:
    """Return what a WebSocket connection to *path* runs; ``None`` where it runs no workflow."""
    found = {name: values[-1] for name, values in parse_qs(query).items()}
    is_of_workflows = api_path(path).rstrip("/") == _OF_WORKFLOWS
    if api_path(path).rstrip("/") not in _CHATS or not (is_of_workflows or found.get("workflow_id")):
        return None
    return RunRequest(
        "chat",
        workflow_id=found.get("workflow_id") or UNKNOWN_WORKFLOW,
        unread=None if found.get("workflow_id") else NO_WORKFLOW,
        bot_id=found.get("bot_id"),
        app_id=found.get("app_id"),
        conversation_id=found.get("conversation_id"),
        connector_id=found.get("connector_id"),
    )


class ChatRecording:
    """Records the rounds of one connection; nothing in here raises, and nothing waits but :meth:`aclose`.

    Args:
        run: what the connection runs.
        begin: returns the record of a round that begins a run.
    """

    def __init__(self, run: RunRequest, begin: "BeginRecord") -> None:
        self._run = run
        self._begin = begin
        self._context: list[dict[str, Any]] = []  # messages that wait for the round that they belong to
        self._parameters: dict[str, Any] = {}
        self._rounds: list[_Round] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._log_id: str | None = None
        self._broken = _BROKEN
        # The rounds that were ended before their chats were: what comes of these begins no other round.
        self._unanswered = 0
        self._ignored: set[str] = set()

    def opened(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Note the headers, their names in small letters, with which the upstream took the connection."""
        self._log_id = dict(headers).get(b"x-tt-logid", b"").decode("latin-1") or None

    def sent(self, frame: str) -> None:
        """Read a text that the caller has sent."""
        if any(name in frame for name in _SENT):
            self._guarded(self._read_sent, frame)

    def received(self, frame: str) -> None:
        """Read a text that the upstream has sent."""
        if any(name in frame for name in _RECEIVED):
            self._guarded(self._read_received, frame)

    def refuse(self, sentence: str) -> None:
        """Note that the connection ends because of what was received, and is too large for this program."""
        self._broken = Outcome("interrupted", Proof.UNREADABLE, error_message=sentence)

    async def aclose(self) -> None:
        """End what is open, because the connection has ended, and wait until its records are closed."""
        for found in list(self._rounds):
            self._end(found, found.error or self._broken)
        if self._closing:
            await asyncio.wait(self._closing)  # which go on where this is cancelled

    def _guarded(self, read: "Callable[[str, dict[str, Any], dict[str, Any]], None]", frame: str) -> None:
        try:
            content = parse_json(frame.encode("utf-8", "surrogatepass"))
            if isinstance(content, dict):
                data = content.get("data")
                read(str(content.get("event_type")), data if isinstance(data, dict) else {}, content)
        except Exception:  # noqa: BLE001 - a fault of the recording must not keep a message from its receiver
            _log.exception("Recording a chat failed")

    def _read_sent(self, name: str, data: dict[str, Any], _: dict[str, Any]) -> None:
        if name == "chat.update":
            config = data.get("chat_config")
            config = config if isinstance(config, dict) else {}
            parameters = config.get("parameters")
            self._parameters = parameters if isinstance(parameters, dict) else self._parameters
            self._run = replace(
                self._run,
                conversation_id=text(config.get("conversation_id")) or self._run.conversation_id,
                connector_uid=text(config.get("user_id")) or self._run.connector_uid,
            )
        elif name == "conversation.message.create":
            self._context.append(data)
            if data.get("role", "user") == "user":
                self._begin_round()
        elif name == "conversation.chat.submit_tool_outputs":
            outputs = data.get("tool_outputs")
            self._begin_round({"tool_outputs": outputs}, outputs).chat_id = text(data.get("chat_id"))

    def _read_received(self, name: str, data: dict[str, Any], frame: dict[str, Any]) -> None:
        detail = frame.get("detail")
        log_id = (text(detail.get("logid")) if isinstance(detail, dict) else None) or self._log_id
        if name == "error":
            self._fail(data, log_id)
        elif name == "conversation.audio_transcript.completed":
            self._add_transcript(data)
        elif name.startswith(("conversation.chat.", "conversation.message.")):
            chat_id = text(data.get("chat_id")) or (text(data.get("id")) if ".chat." in name else None)
            found = self._round_of(chat_id, begins=name not in ENDINGS)
            if found is None:
                return
            self._run = replace(
                self._run, conversation_id=text(data.get("conversation_id")) or self._run.conversation_id
            )
            found.feed(name, data, log_id)
            if name in ENDINGS:
                self._end(found, None)

    def _begin_round(self, parameters: dict[str, Any] | None = None, answer: object = None) -> "_Round":
        """Begin a round; *answer* is what is recorded as the answer where the chat before it had asked something."""
        if parameters is None:
            parameters = {"additional_messages": self._context, **self._parameters}
            answer = self._context[-1].get("content") if self._context else None
            self._context = []
        run = replace(self._run, parameters=parameters, resume_data=answer)
        found = _Round(self._begin(run), parameters, set(self._closing))
        if len(self._rounds) >= _MOST_ROUNDS:  # nobody answers
            self._ignore(self._rounds[0])
        self._rounds.append(found)
        return found

    def _round_of(self, chat_id: str | None, *, begins: bool) -> "_Round | None":
        """Return the round of a chat: the one that has its id, else the first that has none, else a new one."""
        if chat_id is not None and self._is_ignored(chat_id):
            return None
        known = (each for each in self._rounds if chat_id is None or each.chat_id == chat_id)
        unnamed = (each for each in self._rounds if each.chat_id is None)
        found = next(known, None) or next(unnamed, None) or (self._begin_round() if begins else None)
        if found is not None:
            found.chat_id = found.chat_id or chat_id
        return found

    def _fail(self, data: dict[str, Any], log_id: str | None) -> None:
        """Read an error: it ends a round that has not begun upstream; of one that has, it may be the reason."""
        found = next((each for each in self._rounds if each.chat_id is None), None)
        if self._unanswered:
            self._unanswered -= 1
        elif found is not None:
            found.feed("error", data, log_id)
            self._end(found, None)
        elif self._rounds:
            sentence = text(data.get("msg")) or "Coze gave no reason"
            code = data.get("code")
            self._rounds[0].error = replace(
                _BROKEN,
                error_code=code if isinstance(code, int) else None,
                error_message=f"{_BROKEN.error_message} Its last word was an error: {sentence}",
            )

    def _add_transcript(self, data: dict[str, Any]) -> None:
        """Keep what the user said, as the upstream understood it."""
        message = {"role": "user", "content_type": "audio", "content": data.get("content")}
        silent = next((each for each in self._rounds if each.is_without_words), None)
        if silent is None:
            self._context.append(message)
        else:
            silent.add_words(message)

    def _ignore(self, found: "_Round") -> None:
        """End a round whose chat has not ended, and whatever comes of that later."""
        if found.chat_id is None:
            self._unanswered += 1
        else:
            self._ignored.add(found.chat_id)
        self._end(found, _UNANSWERED)

    def _is_ignored(self, chat_id: str) -> bool:
        """Return whether a chat is that of a round which was ended before; they come in the order of the rounds."""
        if self._unanswered and all(each.chat_id != chat_id for each in self._rounds) and chat_id not in self._ignored:
            self._unanswered -= 1
            self._ignored.add(chat_id)
        return chat_id in self._ignored

    def _end(self, found: "_Round", failure: Outcome | None) -> None:
        self._rounds.remove(found)
        found.end(failure)
        self._closing.add(found.task)
        found.task.add_done_callback(self._closing.discard)


class _Round:
    """One chat, and the task that keeps its record.

    Args:
        record: the record.
        parameters: its input, as far as it is known.
        earlier: the tasks of rounds that have ended; one of them may have asked what this one answers.
    """

    def __init__(self, record: CallRecord, parameters: dict[str, Any], earlier: set[asyncio.Task[None]]) -> None:
        self.chat_id: str | None = None
        self.error: Outcome | None = None
        self._record = record
        self._parameters = parameters
        self._earlier = earlier
        self._has_changed = self._has_head = False
        self._failure: Outcome | None = None
        self._events: asyncio.Queue[tuple[bytes, str | None] | None] = asyncio.Queue()
        self.task: asyncio.Task[None] = asyncio.create_task(self._keep())

    @property
    def is_without_words(self) -> bool:
        """Return whether nothing is known yet of what the user said."""
        return self._parameters.get("additional_messages") == []

    def add_words(self, message: dict[str, Any]) -> None:
        """Add what the user said; the record gets it at its end."""
        self._parameters = {**self._parameters, "additional_messages": [message]}
        self._has_changed = True

    def feed(self, name: str, data: dict[str, Any], log_id: str | None) -> None:
        """Take an event of the chat; without a record there is nothing to be done with it."""
        if self.task.done():
            return
        event = b"event: %b\ndata: %b\n\n" % (name.encode("utf-8", "replace"), json.dumps(data).encode())
        self._events.put_nowait((event, log_id))

    def end(self, failure: Outcome | None) -> None:
        """Take no further event; *failure* is how the chat ended where no event has it."""
        self._failure = failure
        self._events.put_nowait(None)

    async def _keep(self) -> None:
        call = self._record.call
        if self._earlier:
            await asyncio.wait(self._earlier)
            self._earlier.clear()
        try:
            await self._record.open()
        except Exception as error:  # noqa: BLE001 - what was asked for has been sent already
            self._record.count_unrecorded(str(error))
            return
        while (event := await self._events.get()) is not None:
            self._receive(call, *event)
        action = call.end(self._failure)
        if action is not None and self._has_changed:
            action = replace(action, fields={**action.fields, "input_parameters": self._parameters})
        await self._record.close(action)

    def _receive(self, call: RecordedCall, event: bytes, log_id: str | None) -> None:
        if not self._has_head:
            self._has_head = True
            headers = {"content-type": "text/event-stream"} | ({"x-tt-logid": log_id} if log_id else {})
            call.receive_head(httpx.codes.OK, headers)
            self._record.save_progress(call.progress)
        call.receive_data(event)
        self._record.touch()


BeginRecord = Callable[[RunRequest], CallRecord]
