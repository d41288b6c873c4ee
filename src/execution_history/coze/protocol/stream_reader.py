"""A run's event stream: its outcome, and the output of every node (coze-protocol, section 2). Pure."""

import contextlib
import sys
from dataclasses import replace
from typing import Any, Final

import orjson

from execution_history.coze.protocol.chat_reader import ChatReader, error_of
from execution_history.coze.protocol.envelope import read_output
from execution_history.coze.protocol.messages import Outcome, execute_id_of, execute_id_of_event, plain, text
from execution_history.coze.protocol.sse import EventDecoder, ServerSentEvent
from execution_history.coze.protocol.stream_nodes import StreamNodes, text_of
from execution_history.records.json_text import OPENS
from execution_history.records.proof import Proof

_ENDED_EARLY: Final = (
    "The stream ended before Coze said how the run ended; it may still be running there, or have finished unseen."
)
_ERRORS: Final = frozenset({"Error", "error"})
_WITH_USAGE: Final = frozenset({"Done", "done", "conversation.chat.completed"})
_NAMELESS: Final = "message"


class StreamReader:
    """Reads the bytes of one stream.

    The timeline, a record's ``node_execute_status``, is described in :mod:`execution_history.records.timeline`; its
    times are those of the local clock.

    Args:
        decoder: decodes the stream's events.
        began: when the run began, in milliseconds.
        timeline: the timeline of an earlier stream of the same run, to be continued.
        largest: the most characters of all contents that are kept.

    Attributes:
        has_read: whether anything of Coze's was read.
        ending: how the run ended, once the event that ends it was read; of a chat that succeeds that is ``done``. What
            comes after it (debug address, usage, execute id) is in :meth:`outcome`, not in here.
    """

    def __init__(self, decoder: EventDecoder, began: int, timeline: object = None, largest: int = sys.maxsize) -> None:
        self._decoder = decoder
        self._nodes = StreamNodes(began, timeline, largest)
        self._chat = ChatReader(self._nodes)
        self._is_cut = False
        self._usage: Any = None
        self._debug_url: str | None = None
        self.has_read: bool = False
        self.ending: Outcome | None = None

    @property
    def is_cut(self) -> bool:
        """Return whether something was larger than the limits."""
        return self._is_cut or self._nodes.is_cut

    @property
    def conversation_id(self) -> str | None:
        """Return the conversation that a chat stream named."""
        return self._chat.conversation_id

    def feed(self, chunk: bytes, now: int) -> None:
        """Read a chunk that was received at *now* (milliseconds)."""
        for event in self._decoder.feed(chunk):
            self._read(event, now)

    def timeline(self) -> dict[str, Any] | None:
        """Return the nodes so far, by name; ``None`` before the first message."""
        return self._nodes.timeline()

    def usage(self) -> Any:  # noqa: ANN401 - whatever Coze sends
        """Return the usage of the newest message that carried one."""
        return self._usage

    def close(self, now: int) -> None:
        """Read what the end of the stream cuts off: an event without its blank line still counts."""
        for event in self._decoder.close():
            self._read(event, now)

    def outcome(self, failure: Outcome | None = None, log_id: str | None = None) -> Outcome:
        """Return how the run ended.

        Args:
            failure: what ended a stream without a terminator; it is no proof that the run failed upstream.
            log_id: Coze's id of the request.
        """
        ending = self.ending or self._chat.pending or failure
        if ending is None:
            ending = Outcome("failed", Proof.STREAM_ENDED_EARLY, error_message=_ENDED_EARLY)
        output, output_text = self._output(ending.status)
        return replace(
            ending,
            output=output,
            output_text=output_text,
            usage=self._usage,
            debug_url=self._debug_url,
            execute_id=ending.execute_id or execute_id_of(self._debug_url) or self._chat.execute_id,
            log_id=log_id,
            charset=self._decoder.charset,
        )

    def _output(self, status: str) -> tuple[Any, str | None]:
        """Return the result and its text; of a run that did not succeed what the end node itself completed."""
        if status == "success" and self._chat.answers:
            return self._chat.output()
        node = self._nodes.end_node(only_end=status != "success")
        is_there = node is not None and (status == "success" or node.is_finish)
        return read_output(node.said) if node is not None and is_there else (None, None)

    def _read(self, event: ServerSentEvent, now: int) -> None:
        self._is_cut = self._is_cut or event.is_cut
        content = _content_of(event)
        if debug_url := text(content.get("debug_url")):
            self._debug_url = debug_url
        name = event.event
        if name == "Message":
            self.has_read = True
            self._message(content, now)
            return
        if name in _WITH_USAGE and content.get("usage") is not None:
            self._usage = plain(content["usage"])
        is_chat = name.startswith("conversation.") or name == "done"
        if is_chat:
            self._chat.note(content, is_numbered=event.id is not None)
        if self.ending is None:
            self.ending = self._chat.read(name, content, now) if is_chat else _ending(event, content)
        self.has_read = self.has_read or is_chat or self.ending is not None

    def _message(self, content: dict[str, Any], now: int) -> None:
        node = self._nodes.of_message(content, now)
        self._nodes.add(node, text_of(content), now)
        node.is_finish = node.is_finish or content.get("node_is_finish") is True
        if content.get("usage") is not None:
            node.usage = self._usage = plain(content["usage"])


def _content_of(event: ServerSentEvent) -> dict[str, Any]:
    """Return the object that an event's data are; an empty one where they are none."""
    if event.event == "Message":
        # Whatever else it has, its text is what counts; the fastest reader has it right, or refuses it.
        with contextlib.suppress(ValueError):
            message = orjson.loads(event.data)
            if type(message) is dict and type(message.get("content")) is str:
                return message
    content = event.content() if OPENS.match(event.data) else None
    return content if isinstance(content, dict) else {}


def _ending(event: ServerSentEvent, content: dict[str, Any]) -> Outcome | None:
    """Return the outcome that an event of a workflow states; ``None`` where it is not its last."""
    if event.event == "Done":
        return Outcome("success", Proof.DONE_EVENT)
    if event.event == "Interrupt":
        return _interrupt(content)
    # Some send the envelope of a refusal as the data of an event without a name.
    is_envelope = event.event == _NAMELESS and bool(content.get("code")) and "msg" in content
    return error_of(content, event.data) if event.event in _ERRORS or is_envelope else None


def _interrupt(content: dict[str, Any]) -> Outcome:
    data = content.get("interrupt_data")
    interrupt = plain(data) if isinstance(data, dict) else {}
    if title := text(content.get("node_title")):
        interrupt["node_title"] = title
    return Outcome(
        "interrupted",
        Proof.INTERRUPT_EVENT,
        execute_id=execute_id_of_event(interrupt.get("event_id")),
        interrupt=interrupt,
    )
