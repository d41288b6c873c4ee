"""Steps as server-sent events: those of a run and of a chat, as Coze and as Coze Studio send them; pure.

Protocol section 2.1 has the framing of a run's stream, 2.5 that of a chat's, and section 6 what Studio does otherwise.
"""

from collections import Counter
from itertools import count

from execution_history.sandbox.bodies import debug_url, interrupt_object, studio_debug_url, usage_object
from execution_history.sandbox.bots import LOCAL_PLUGIN_INTERRUPT
from execution_history.sandbox.chat_bodies import chat_object
from execution_history.sandbox.chats import SILENT_IN_CHATS, ChatStatus, ChatTurn
from execution_history.sandbox.executions import Execution, Interruption
from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.json_text import to_text, to_wire
from execution_history.sandbox.step_queue import StreamStep
from execution_history.sandbox.steps import Failure, Finished, Packet, Ping, Raw, Usage


class _Writer:
    """Numbers the events of a stream from ``first``; in a stream without ids that is ``None``."""

    def __init__(self, execution: Execution, first: int | None, *, is_studio: bool) -> None:
        self._execution = execution
        self._is_studio = is_studio
        self._numbers = None if first is None else count(first)
        self._link = {"debug_url": (studio_debug_url if is_studio else debug_url)(execution)}

    def _event(self, name: str, data: object) -> bytes:
        if self._numbers is None:
            return b"event:%s\ndata:%s\n\n" % (name.encode(), to_wire(data))
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (next(self._numbers), name.encode(), to_wire(data))

    def _uuid(self, packet: Packet) -> str:
        return node_execute_uuid(self._execution.execute_id, packet.node)


class RunWriter(_Writer):
    """Writes the events of one run; event ids and ``node_seq_id`` count from 0 (protocol 1.4, 2.1).

    Studio's messages have no uuids, its ``node_seq_id`` counts per node, and each of its endings is traceable.
    """

    def __init__(self, execution: Execution, *, is_studio: bool) -> None:
        super().__init__(execution, 0, is_studio=is_studio)
        self._sequences: Counter[str] = Counter()

    def opening(self) -> bytes:
        """Return nothing: a run's stream begins with its first step."""
        return b""

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the next event, empty when ``step`` is not shown in a stream."""
        traced = self._link if self._is_studio else {}
        match step:
            case Packet():
                return self._event("Message", self._message(step))
            case Interruption(event_id=event_id, ask=ask) if self._is_studio:
                waiting = {"event_id": event_id, "type": ask.kind, "data": ask.data}
                return self._event("Interrupt", {**traced, "interrupt_data": waiting})
            case Interruption(ask=ask):
                waiting = {"interrupt_data": interrupt_object(step), "node_title": ask.node.title}
                return self._event("Interrupt", waiting)
            case Failure(silent=True):
                return b""
            case Failure(code=code, message=message):
                return self._event("Error", {**traced, "error_code": code, "error_message": message})
            case Finished(traceless=traceless):
                return self._event("Done", traced if traceless else self._link)
            case Ping():  # Studio has no PING
                return b"" if self._is_studio else self._event("PING", {"content": "{}"})
            case Raw(frame=frame):
                return frame

    def _message(self, packet: Packet) -> dict[str, object]:
        node, usage = packet.node, packet.usage
        counted = node.node_id if self._is_studio else self._uuid(packet)
        message: dict[str, object] = {
            "content": packet.content,
            "content_type": "text",
            "node_id": node.node_id,
            "node_is_finish": packet.is_last,
            "node_seq_id": str(self._sequences[counted]),
            "node_title": node.title,
            "node_type": node.node_type,
        }
        self._sequences[counted] += 1
        if not self._is_studio:
            message["node_execute_uuid"] = counted
        if usage is not None and self._is_studio:
            message["token"] = usage.input_count + usage.output_count
        elif usage is not None:
            message["usage"] = usage_object(usage)
        return message


class ChatWriter(_Writer):
    """Writes the events of one chat; Studio's have ids from 1.

    Coze repeats a completed message as a whole, so that it is kept here until then; Studio's ``completed`` is the last
    piece of a message.
    """

    def __init__(self, turn: ChatTurn, *, is_studio: bool) -> None:
        super().__init__(turn.execution, 1 if is_studio else None, is_studio=is_studio)
        self._turn = turn
        self._unfinished: dict[str, list[str]] = {}

    def opening(self) -> bytes:
        """Return the two events with which every chat begins."""
        return self._progress(ChatStatus.CREATED) + self._progress(ChatStatus.IN_PROGRESS)

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the events that ``step`` becomes, empty when it is not shown in a chat."""
        match step:
            case Packet():
                return b"" if step.node.node_type in SILENT_IN_CHATS else self._packet(step)
            case Interruption():
                question = b"" if self._is_studio else self._question(step)
                return question + self._progress(ChatStatus.REQUIRES_ACTION) + self._done()
            case Failure(silent=True) | Ping():  # the documentation knows no PING in a chat
                return b""
            case Failure(code=code, message=message) if self._is_studio:
                return self._event("error", {"code": str(code), "msg": message, **self._link})
            case Failure():
                return self._progress(ChatStatus.FAILED) + self._done()
            case Finished() if self._is_studio:
                return self._progress(ChatStatus.COMPLETED) + self._done()
            case Finished(traceless=traceless):
                finished = self._verbose("generate_answer_finish", {"finish_reason": 0, "FinData": ""})
                return finished + self._progress(ChatStatus.COMPLETED) + self._done(traceless=traceless)
            case Raw(frame=frame):
                return frame

    def _packet(self, packet: Packet) -> bytes:
        message_id = self._turn.message_id(packet)
        if self._is_studio:
            ending = "completed" if packet.is_last else "delta"
            message = self._message(message_id, "answer", packet.content)
            return self._event(f"conversation.message.{ending}", message)
        parts = self._unfinished.setdefault(message_id, [])
        parts.append(packet.content)
        frames = self._event("conversation.message.delta", self._message(message_id, "answer", packet.content))
        if packet.is_last:
            del self._unfinished[message_id]
            whole = self._message(message_id, "answer", "".join(parts))
            frames += self._event("conversation.message.completed", whole)
        return frames

    def _question(self, interruption: Interruption) -> bytes:
        if interruption.ask.kind != LOCAL_PLUGIN_INTERRUPT:
            return self._verbose("interrupt", interrupt_object(interruption))
        called = self._message(self._turn.next_id(), "function_call", interruption.ask.data)
        return self._event("conversation.message.completed", called)

    def _verbose(self, kind: str, data: object) -> bytes:
        content = {"msg_type": kind, "data": to_text(data), "from_module": None, "from_unit": None}
        message = self._message(self._turn.next_id(), "verbose", to_text(content))
        return self._event("conversation.message.completed", message)

    def _message(self, message_id: str, kind: str, content: str) -> dict[str, object]:
        turn = self._turn
        return {
            "id": message_id,
            "conversation_id": turn.conversation.conversation_id,
            "bot_id": (turn.bot_id or "0") if self._is_studio else turn.bot_id,
            "role": "assistant",
            "type": kind,
            "content": content,
            "content_type": "text",
            "chat_id": turn.chat_id,
            "section_id": turn.conversation.section_id,
            **({} if self._is_studio else {"created_at": turn.created_at}),
        }

    def _progress(self, status: ChatStatus) -> bytes:
        turn = self._turn
        chat = chat_object(turn, status)
        if self._is_studio:
            known = ("id", "conversation_id", "status", "section_id")
            chat = {name: chat[name] for name in known} | {"execute_id": turn.execution.execute_id}
            if status is ChatStatus.COMPLETED:
                usage = usage_object(turn.execution.usage or Usage(0, 0))
                chat |= {"bot_id": turn.bot_id or "0", "usage": usage}
        return self._event(f"conversation.chat.{status}", chat)

    def _done(self, *, traceless: bool = False) -> bytes:
        is_bare = (traceless or self._turn.is_bot) and not self._is_studio
        return self._event("done", "[DONE]" if is_bare else self._link)
