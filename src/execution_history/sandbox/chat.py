"""Steps as the events of a chatflow, framed as protocol section 2.5 says; pure."""

from execution_history.sandbox.bodies import debug_url, interrupt_object, usage_object
from execution_history.sandbox.dialect import SILENT_IN_CHATS, ChatTurn
from execution_history.sandbox.executions import Interruption
from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.json_text import to_text, to_wire
from execution_history.sandbox.step_queue import StreamStep
from execution_history.sandbox.steps import Failure, Finished, Packet, Ping, Raw, Usage

_REQUIRED_ACTION = {
    "type": "submit_tool_outputs",
    "submit_tool_outputs": {
        "tool_calls": [{"id": "", "type": "reply_message", "function": None, "require_info": None}]
    },
}


class ChatWriter:
    """Writes the events of one chat: two lines each, without ids.

    A message that is completed is told once more as a whole, so that this one holds it until then.
    """

    def __init__(self, turn: ChatTurn) -> None:
        self._turn = turn
        self._messages: dict[str, tuple[str, list[str]]] = {}

    def opening(self) -> bytes:
        """Return the two events with which every chat begins."""
        created = self._event("conversation.chat.created", self._chat("created"))
        return created + self._event("conversation.chat.in_progress", self._chat("in_progress"))

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the events that ``step`` becomes, empty when it is not shown in a chat."""
        match step:
            case Packet():
                return self._packet(step)
            case Interruption():
                asked = self._verbose("interrupt", interrupt_object(step))
                waiting = self._chat("requires_action") | {"required_action": _REQUIRED_ACTION}
                return asked + self._event("conversation.chat.requires_action", waiting) + self._done()
            case Failure(silent=True) | Ping():  # the documentation knows no PING in a chat
                return b""
            case Failure(code=code, message=message):
                failed = self._chat("failed") | {"last_error": {"code": code, "msg": message}}
                return self._event("conversation.chat.failed", failed) + self._done()
            case Finished(traceless=traceless):
                finished = self._verbose("generate_answer_finish", {"finish_reason": 0, "FinData": ""})
                completed = self._event("conversation.chat.completed", self._chat("completed"))
                return finished + completed + self._done(traceless=traceless)
            case Raw(frame=frame):
                return frame

    def _packet(self, packet: Packet) -> bytes:
        if packet.node.node_type in SILENT_IN_CHATS:
            return b""
        uuid = node_execute_uuid(self._turn.execution.execute_id, packet.node)
        message_id, parts = self._messages.setdefault(uuid, (self._turn.next_id(), []))
        parts.append(packet.content)
        frames = self._event("conversation.message.delta", self._message(message_id, "answer", packet.content))
        if packet.is_last:
            del self._messages[uuid]
            whole = self._message(message_id, "answer", "".join(parts))
            frames += self._event("conversation.message.completed", whole)
        return frames

    def _verbose(self, kind: str, data: object) -> bytes:
        content = {"msg_type": kind, "data": to_text(data), "from_module": None, "from_unit": None}
        message = self._message(self._turn.next_id(), "verbose", to_text(content))
        return self._event("conversation.message.completed", message)

    def _message(self, message_id: str, kind: str, content: str) -> dict[str, object]:
        turn = self._turn
        return {
            "id": message_id,
            "conversation_id": turn.conversation_id,
            "bot_id": turn.bot_id,
            "role": "assistant",
            "type": kind,
            "content": content,
            "content_type": "text",
            "chat_id": turn.chat_id,
            "section_id": turn.conversation_id,
            "created_at": turn.created_at,
        }

    def _chat(self, status: str) -> dict[str, object]:
        turn = self._turn
        chat: dict[str, object] = {
            "id": turn.chat_id,
            "conversation_id": turn.conversation_id,
            "bot_id": turn.bot_id,
            "created_at": turn.created_at,
            "last_error": {"code": 0, "msg": ""},
            "status": status,
            "usage": usage_object((status == "completed" and turn.execution.usage) or Usage(0, 0)),
            "section_id": turn.conversation_id,
        }
        if status == "failed":
            chat["failed_at"] = turn.execution.update_time
        elif status in {"completed", "requires_action"}:
            chat["completed_at"] = turn.execution.update_time
        return chat

    def _done(self, *, traceless: bool = False) -> bytes:
        return self._event("done", "[DONE]" if traceless else {"debug_url": debug_url(self._turn.execution)})

    @staticmethod
    def _event(name: str, data: object) -> bytes:
        return b"event:%s\ndata:%s\n\n" % (name.encode(), to_wire(data))
