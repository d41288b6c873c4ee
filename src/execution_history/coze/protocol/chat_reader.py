"""A chatflow's events: its answers, its question and its end (coze-protocol 2.5 and 9). Pure.

Each answer is a node, by the id of its message. The output is the answer; of several, all of them in order, with a
blank line between each two. Messages of other types (function calls, tools' results, suggestions) are no answers.

A question ends the chat: it is what the chat said last, and the next message of the conversation answers it. What the
chat needs is there as Coze describes it, with the status ``requires_action`` and the question as ``data``
(:func:`~execution_history.coze.protocol.messages.is_chat_question`).
"""

from typing import Any, Final

from execution_history.coze.protocol.envelope import read_output
from execution_history.coze.protocol.messages import (
    REQUIRES_ACTION,
    Outcome,
    as_visible,
    execute_id_of_event,
    parse_json,
    plain,
    text,
)
from execution_history.coze.protocol.stream_nodes import StreamNode, StreamNodes, text_of
from execution_history.records.encoding import encode
from execution_history.records.proof import Proof

CANCELLED: Final = Outcome(
    "interrupted", Proof.CANCEL_EVENT, error_message="The chat was cancelled before its answer was whole."
)
"""The outcome of a chat that its caller stopped."""

ENDINGS: Final = frozenset(
    f"conversation.chat.{ending}" for ending in ("completed", "failed", "requires_action", "canceled", "cancelled")
)
"""The events that end a chat; behind the last of a stream only ``done`` follows."""

_TITLE: Final = "answer"
_ANSWERS: Final = frozenset({"answer", None})
_BETWEEN: Final = "\n\n"
_REASONING: Final = "reasoning_content"


class ChatReader:
    """Reads the events of one chat.

    Args:
        nodes: the nodes of the run, to which each answer is added.

    Attributes:
        answers: the nodes of the answers in this stream, in the order in which they began.
        conversation_id: the conversation that the chat named.
        execute_id: the run's id upstream, where the chat named it, as Coze Studio's does.
        pending: how the chat ended if nothing follows.
    """

    def __init__(self, nodes: StreamNodes) -> None:
        self._nodes = nodes
        self._by_id: dict[str, StreamNode] = {}
        self._asked: dict[str, Any] | None = None
        self._is_studio = False
        self.answers: list[StreamNode] = []
        self.conversation_id: str | None = None
        self.execute_id: str | None = None
        self.pending: Outcome | None = None

    def output(self) -> tuple[Any, str | None]:
        """Return the output, and its text, as :func:`read_output` does."""
        texts = [node.said for node in self.answers]
        if len(texts) > 1:
            return as_visible(_BETWEEN.join(texts)), None
        return read_output(texts[0]) if texts else (None, None)

    def note(self, content: dict[str, Any], *, is_numbered: bool) -> None:
        """Note what any event of the chat may hold, whose *content* may have come with an event id."""
        self.conversation_id = self.conversation_id or text(content.get("conversation_id"))
        self.execute_id = self.execute_id or text(content.get("execute_id"))
        self._is_studio = self._is_studio or is_numbered or self.execute_id is not None

    def read(self, name: str, content: dict[str, Any], now: int) -> Outcome | None:
        """Read an event; return how the chat ended where the event has it.

        Args:
            name: the event's name.
            content: its data.
            now: milliseconds since the epoch.
        """
        match name:
            case "conversation.message.delta" if text(content.get("type")) in _ANSWERS:
                self._add_words(self._open_answer(content, now), content, now)
            case "conversation.message.completed" if text(content.get("type")) in _ANSWERS:
                self._complete(content, now)
            case "conversation.message.completed" if content.get("type") == "verbose":
                self._read_verbose(content)
            case "conversation.chat.requires_action":
                return self._interrupted(content)
            case "conversation.chat.failed":
                error = content.get("last_error")
                return error_of(error if isinstance(error, dict) and error.get("code") else content, "")
            case "conversation.chat.canceled" | "conversation.chat.cancelled":
                return CANCELLED
            case "conversation.chat.completed":
                self.pending = self.pending or Outcome("success", Proof.DONE_EVENT)
            case "done":
                return self.pending or Outcome("success", Proof.DONE_EVENT)
        return None

    def _open_answer(self, content: dict[str, Any], now: int) -> StreamNode:
        """Return the answer that a message belongs to: that of its id, else the one that is being given."""
        message_id = text(content.get("id"))
        current = self.answers[-1] if self.answers and not self.answers[-1].is_finish else None
        node = current if message_id is None else self._by_id.get(message_id)
        if node is None and current is not None and current.node_id is None:
            node = current
        if node is None:
            node = self._nodes.named(message_id, _TITLE, now) if message_id else self._nodes.unnamed(_TITLE, now)
            self.answers.append(node)
        if message_id is not None:
            node.node_id = node.node_id or message_id
            self._by_id[message_id] = node
        return node

    def _add_words(self, node: StreamNode, content: dict[str, Any], now: int) -> None:
        if isinstance(reasoning := content.get(_REASONING), str) and reasoning:
            node.others[_REASONING] = node.others.get(_REASONING, "") + self._nodes.kept(reasoning)
        self._nodes.add(node, text_of(content), now)

    def _complete(self, content: dict[str, Any], now: int) -> None:
        """Read a whole answer; of an old Coze Studio it is the last piece of one."""
        words = text_of(content)
        last = self.answers[-1] if self.answers else None
        if (
            last is not None
            and not last.is_finish
            and text(content.get("id")) not in self._by_id
            and last.said == words
        ):
            node = last  # the documentation's own example gives it another id here
        else:
            node = self._open_answer(content, now)
        if self._is_studio and not words.startswith(node.said):
            self._nodes.add(node, words, now)
        else:
            self._nodes.restate(node, words, now)
        if isinstance(reasoning := content.get(_REASONING), str) and reasoning:
            node.others[_REASONING] = reasoning
        node.is_finish = True

    def _read_verbose(self, content: dict[str, Any]) -> None:
        """Read an event beside the messages of a chat. A question matters: nothing but the end may follow it."""
        said = parse_json(text_of(content))
        if not isinstance(said, dict) or said.get("msg_type") != "interrupt":
            return
        asked = parse_json(said["data"]) if isinstance(said.get("data"), str) else said.get("data")
        self._asked = asked if isinstance(asked, dict) else {}
        self.pending = self._interrupted({})

    def _interrupted(self, chat: dict[str, Any]) -> Outcome:
        asked = dict(self._asked or {})
        execute_id = execute_id_of_event(asked.pop("event_id", None))  # a chat is not resumed by it
        said = self.answers[-1].said if self.answers else ""
        known: dict[str, Any] = {"conversation_id": self.conversation_id} if self.conversation_id else {}
        known |= _card(said) or {"data": said}
        question = {**known, **chat, **{key: value for key, value in asked.items() if value}, "status": REQUIRES_ACTION}
        return Outcome("interrupted", Proof.INTERRUPT_EVENT, execute_id=execute_id, interrupt=plain(question))


def _card(said: str) -> dict[str, Any] | None:
    """Return what Coze Studio's card asks, as an interrupt has it (coze-protocol 1.7); ``None`` where it is no card.

    Its questions with options, and its forms, are messages of such cards (coze-studio's ``chatflow.go``).
    """
    card = parse_json(said) if said.startswith("{") else None
    properties = card.get("x_properties") if isinstance(card, dict) else None
    written = properties.get("workflow_card_info") if isinstance(properties, dict) else None
    info = parse_json(written) if isinstance(written, str) else None
    if not isinstance(info, dict):
        return None
    question, fields = info.get("question_card_data"), info.get("input_card_data")
    if isinstance(question, dict):
        content = {"question": question.get("Title"), "options": question.get("Options")}
        return {"data": encode({"content_type": "option", "content": content}).decode()}
    if isinstance(fields, list):
        named = {text(field.get("name")): field for field in fields if isinstance(field, dict)}
        return {"data": "", "required_parameters": {name: field for name, field in named.items() if name}}
    return None


def error_of(content: dict[str, Any], raw: str) -> Outcome:
    """Return the outcome that an error states.

    Args:
        content: the error's data; nothing where it is no object.
        raw: the data as it came.
    """
    code = content.get("error_code", content.get("code"))
    message = text(content.get("error_message")) or text(content.get("msg")) or text(raw[:2000].strip())
    return Outcome(
        "failed",
        Proof.ERROR_EVENT,
        error_code=code if isinstance(code, (int, str)) and not isinstance(code, bool) else None,
        error_message=message or "Coze ended the run with an error and gave no reason.",
    )
