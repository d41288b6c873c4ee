"""Steps as the events of Coze Studio (protocol section 6); pure."""

from collections import Counter

from execution_history.sandbox.bodies import usage_object
from execution_history.sandbox.dialect import SILENT_IN_CHATS, ChatTurn
from execution_history.sandbox.executions import Execution, Interruption
from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.json_text import to_wire
from execution_history.sandbox.step_queue import StreamStep
from execution_history.sandbox.steps import Failure, Finished, Packet, Ping, Raw, Usage


class _Numbered:
    """Numbers events from ``first``."""

    def __init__(self, first: int) -> None:
        self._next = first

    def event(self, name: str, data: object) -> bytes:
        """Return the bytes of an event with the next number."""
        number = self._next
        self._next += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), to_wire(data))


class StudioFrameWriter:
    """Writes the events of one run: without uuids, ``node_seq_id`` counts per node, and every ending is traceable."""

    def __init__(self, execution: Execution, debug_url: str) -> None:
        self._debug_url = debug_url
        self._execute_id = execution.execute_id
        self._events = _Numbered(0)
        self._sequences: Counter[str] = Counter()

    def opening(self) -> bytes:
        """Return nothing: a run's stream begins with its first step."""
        return b""

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the next event, empty when ``step`` is not shown in a stream."""
        match step:
            case Packet():
                return self._events.event("Message", self._message(step))
            case Interruption(event_id=event_id, ask=ask):
                waiting = {"event_id": event_id, "type": ask.kind, "data": ask.data}
                return self._events.event("Interrupt", {"debug_url": self._debug_url, "interrupt_data": waiting})
            case Failure(silent=True) | Ping():  # Studio has no PING
                return b""
            case Failure(code=code, message=message):
                data = {"debug_url": self._debug_url, "error_code": code, "error_message": message}
                return self._events.event("Error", data)
            case Finished():
                return self._events.event("Done", {"debug_url": self._debug_url})
            case Raw(frame=frame):
                return frame

    def _message(self, packet: Packet) -> dict[str, object]:
        node = packet.node
        sequence = self._sequences[node.node_id]
        self._sequences[node.node_id] += 1
        message: dict[str, object] = {
            "content": packet.content,
            "content_type": "text",
            "node_seq_id": str(sequence),
            "node_id": node.node_id,
            "node_is_finish": packet.is_last,
            "node_type": node.node_type,
            "node_title": node.title,
        }
        if packet.usage is not None:
            message["token"] = packet.usage.input_count + packet.usage.output_count
        return message


class StudioChatWriter:
    """Writes the events of one chat with ids; a message's last piece is its ``completed``, which joins nothing."""

    def __init__(self, turn: ChatTurn, debug_url: str) -> None:
        self._turn = turn
        self._debug_url = debug_url
        self._events = _Numbered(1)
        self._message_ids: dict[str, str] = {}

    def opening(self) -> bytes:
        """Return the two events with which every chat begins."""
        created = self._events.event("conversation.chat.created", self._chat("created"))
        return created + self._events.event("conversation.chat.in_progress", self._chat("in_progress"))

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the events that ``step`` becomes, empty when it is not shown in a chat."""
        match step:
            case Packet():
                return self._packet(step)
            case Interruption():
                waiting = self._chat("requires_action")
                return self._events.event("conversation.chat.requires_action", waiting) + self._done()
            case Failure(silent=True) | Ping():
                return b""
            case Failure(code=code, message=message):
                data = {"code": str(code), "msg": message, "debug_url": self._debug_url}
                return self._events.event("error", data)
            case Finished():
                usage = usage_object(self._turn.execution.usage or Usage(0, 0))
                completed = self._chat("completed") | {"bot_id": self._turn.bot_id or "0", "usage": usage}
                return self._events.event("conversation.chat.completed", completed) + self._done()
            case Raw(frame=frame):
                return frame

    def _packet(self, packet: Packet) -> bytes:
        if packet.node.node_type in SILENT_IN_CHATS:
            return b""
        turn = self._turn
        uuid = node_execute_uuid(turn.execution.execute_id, packet.node)
        if uuid not in self._message_ids:
            self._message_ids[uuid] = turn.next_id()
        message = {
            "id": self._message_ids[uuid],
            "chat_id": turn.chat_id,
            "conversation_id": turn.conversation_id,
            "bot_id": turn.bot_id or "0",
            "role": "assistant",
            "type": "answer",
            "content": packet.content,
            "content_type": "text",
            "section_id": turn.conversation_id,
        }
        ending = "completed" if packet.is_last else "delta"
        return self._events.event(f"conversation.message.{ending}", message)

    def _chat(self, status: str) -> dict[str, object]:
        turn = self._turn
        return {
            "id": turn.chat_id,
            "conversation_id": turn.conversation_id,
            "status": status,
            "execute_id": turn.execution.execute_id,
            "section_id": turn.conversation_id,
        }

    def _done(self) -> bytes:
        return self._events.event("done", {"debug_url": self._debug_url})
