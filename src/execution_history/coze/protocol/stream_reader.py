"""A run's event stream: its outcome, and the output of every node (coze-protocol, section 2). Pure."""

import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from execution_history.coze.protocol.messages import (
    REQUIRES_ACTION,
    Outcome,
    execute_id_of,
    execute_id_of_event,
    read_output,
    text,
)
from execution_history.coze.protocol.sse import EventDecoder, ServerSentEvent
from execution_history.records.encoding import as_text
from execution_history.records.proof import Proof
from execution_history.records.timeline import Node, nodes_of, timeline_of

_END_TITLES: Final = frozenset({"end", "结束", "end node", "结束节点"})
_ENDED_EARLY: Final = (
    "The stream ended before Coze said how the run ended; it may still be running there, or have finished unseen."
)


@dataclass(slots=True, kw_only=True)
class _Node(Node):
    """The output of one node of the run so far, in pieces, and what makes it the same node in every message."""

    identity: str
    pieces: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the node as it is stored, with all of its output so far."""
        self.content = "".join(self.pieces)
        self.pieces = [self.content]
        return Node.to_json(self)


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
        conversation_id: the conversation that a chat stream named.
        is_cut: whether something was larger than the limits.
        ending: how the run ended, once the event that ends it was read; of a chat that succeeds that is ``done``. What
            comes after it (debug address, usage, execute id) is in :meth:`outcome`, not in here.
    """

    def __init__(self, decoder: EventDecoder, began: int, timeline: object = None, largest: int = sys.maxsize) -> None:
        self._began = began
        self._decoder = decoder
        self._room = largest
        self.is_cut: bool = False
        self._nodes: dict[str, _Node] = {node.identity: node for node in _known_nodes(timeline)}
        self._order = sum(node.packet_count or 0 for node in self._nodes.values())
        self._usage: Any = None
        self._ending: Outcome | None = None
        self.ending: Outcome | None = None
        self._debug_url: str | None = None
        self.conversation_id: str | None = None

    def feed(self, chunk: bytes, now: int) -> None:
        """Read a chunk that was received at *now* (milliseconds)."""
        for event in self._decoder.feed(chunk):
            self._read(event, now)

    def timeline(self) -> dict[str, Any] | None:
        """Return the nodes so far, by name; ``None`` before the first message."""
        return timeline_of(self._nodes.values())

    def usage(self) -> Any:  # noqa: ANN401 - whatever Coze sends
        """Return the usage of the newest message that carried one."""
        return self._usage

    def output(self) -> object:
        """Return the end node's result so far; where no node is the end node, that of the last one that finished."""
        node = self._end_node()
        return None if node is None else read_output("".join(node.pieces))

    def _ended_output(self) -> object:
        """Return the result of a run that did not succeed: only what the end node itself completed."""
        node = self._end_node(only_end=True)
        return read_output("".join(node.pieces)) if node is not None and node.is_finish else None

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
        ending = self._ending or failure or Outcome("failed", Proof.STREAM_ENDED_EARLY, error_message=_ENDED_EARLY)
        return replace(
            ending,
            output=self.output() if ending.status == "success" else self._ended_output(),
            usage=ending.usage if ending.usage is not None else self._usage,
            debug_url=ending.debug_url or self._debug_url,
            execute_id=ending.execute_id or execute_id_of(self._debug_url),
            log_id=log_id,
        )

    def _read(self, event: ServerSentEvent, now: int) -> None:
        self.is_cut = self.is_cut or event.is_cut
        data = event.content()
        content: dict[str, Any] = data if isinstance(data, dict) else {}
        if debug_url := text(content.get("debug_url")):
            self._debug_url = debug_url
        if event.event == "Message":
            self._message(content, now)
        elif self._ending is not None and event.event != "done":
            return
        elif event.event == "Done":
            self._ending = Outcome("success", Proof.DONE_EVENT, debug_url=self._debug_url)
        elif event.event in {"Error", "error"}:
            self._ending = _error(content, event.data)
        elif event.event == "Interrupt":
            self._ending = _interrupt(content)
        elif event.event.startswith("conversation.") or event.event == "done":
            self._chat(event.event, content, now)
        if event.event != "conversation.chat.completed":
            self.ending = self.ending or self._ending

    def _message(self, content: dict[str, Any], now: int) -> None:
        node = self._node(content, now)
        words = as_text(content.get("content"))
        self._keep(node, words)
        node.update_time = now
        node.is_finish = node.is_finish or content.get("node_is_finish") is True
        self._order += 1
        node.add_packet(self._order, now - self._began, len(words))
        if content.get("usage") is not None:
            node.usage = self._usage = content["usage"]

    def _keep(self, node: _Node, words: str) -> None:
        kept = words[: self._room]
        self._room -= len(kept)
        self.is_cut = self.is_cut or len(kept) < len(words)
        node.pieces.append(kept)

    def _node(self, content: dict[str, Any], now: int) -> _Node:
        """Return the node of a message: by run of the node, then node, then title (coze-protocol 2.2)."""
        uuid, node_id = text(content.get("node_execute_uuid")), text(content.get("node_id"))
        title = text(content.get("node_title")) or ""
        identity = uuid or node_id or title or "node"
        node = self._nodes.get(identity)
        if node is None:
            node = self._nodes[identity] = _Node(name=identity, identity=identity, node_title=title, start_time=now)
        node.node_id = node.node_id or node_id
        node.node_execute_uuid = node.node_execute_uuid or uuid
        node.node_type = node.node_type or text(content.get("node_type"))
        return node

    def _end_node(self, *, only_end: bool = False) -> _Node | None:
        nodes = list(self._nodes.values())
        for node in reversed(nodes):
            if (node.node_type or "").lower() == "end":
                return node
        for node in reversed(nodes):
            if node.node_title.strip().lower() in _END_TITLES:
                return node
        if only_end:
            return None
        finished = [node for node in nodes if node.is_finish]
        return max(finished or nodes, key=lambda node: node.update_time or 0, default=None)

    def _chat(self, name: str, content: dict[str, Any], now: int) -> None:
        """Read a chatflow's event (coze-protocol 2.5): its answer counts as the output of one node."""
        self.conversation_id = self.conversation_id or text(content.get("conversation_id"))
        if name == "conversation.message.delta" and content.get("type") in {"answer", None}:
            self._message({"content": content.get("content"), "node_title": "answer"}, now)
        elif name == "conversation.message.completed" and content.get("type") == "answer":
            self._answer(content, now)
        elif name == "conversation.chat.requires_action":
            self._ending = Outcome("interrupted", Proof.INTERRUPT_EVENT, interrupt=self._chat_question(content))
        elif name == "conversation.chat.failed":
            error = content.get("last_error")
            self._ending = _error(error if isinstance(error, dict) else {}, "")
        elif name in {"conversation.chat.completed", "done"}:
            self._usage = content.get("usage") or self._usage
            if name == "conversation.chat.completed":
                self._ending = Outcome("success", Proof.DONE_EVENT, usage=self._usage)

    def _chat_question(self, content: dict[str, Any]) -> dict[str, Any]:
        node = self._nodes.get("answer")
        return {**content, "status": REQUIRES_ACTION} | ({"data": "".join(node.pieces)} if node else {})

    def _answer(self, content: dict[str, Any], now: int) -> None:
        node = self._node({"node_title": "answer"}, now)
        node.pieces, node.is_finish, node.update_time = [as_text(content.get("content"))], True, now


def _known_nodes(timeline: object) -> list[_Node]:
    """Return the nodes of a stored timeline, as far as it has this module's shape."""
    return [
        _Node(
            **{field.name: getattr(node, field.name) for field in fields(Node)}
            | {"packets": node.known_packets(), "is_finish": node.is_finish is True},
            identity=node.node_execute_uuid or node.node_id or node.label,
            pieces=[node.text],
        )
        for node in nodes_of(timeline)
    ]


def _error(content: dict[str, Any], raw: str) -> Outcome:
    code = content.get("error_code", content.get("code"))
    message = text(content.get("error_message")) or text(content.get("msg")) or raw[:2000].strip()
    debug_url = text(content.get("debug_url"))
    return Outcome(
        "failed",
        Proof.ERROR_EVENT,
        error_code=code if isinstance(code, (int, str)) and not isinstance(code, bool) else None,
        error_message=message or "Coze ended the run with an error and gave no reason.",
        debug_url=debug_url,
        execute_id=execute_id_of(debug_url),
    )


def _interrupt(content: dict[str, Any]) -> Outcome:
    data = content.get("interrupt_data")
    interrupt = dict(data) if isinstance(data, dict) else {}
    if title := text(content.get("node_title")):
        interrupt["node_title"] = title
    return Outcome(
        "interrupted",
        Proof.INTERRUPT_EVENT,
        execute_id=execute_id_of_event(interrupt.get("event_id")),
        interrupt=interrupt,
    )
