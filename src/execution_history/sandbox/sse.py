"""Steps as server-sent events, framed as protocol section 2.1 says; pure."""

from collections import Counter

from execution_history.sandbox.bodies import debug_url, interrupt_object, usage_object
from execution_history.sandbox.executions import Execution, Interruption
from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.json_text import to_wire
from execution_history.sandbox.step_queue import StreamStep
from execution_history.sandbox.steps import Failure, Finished, Packet, Ping, Raw


class FrameWriter:
    """Writes the events of one stream; event ids and ``node_seq_id`` count from 0 (protocol 1.4, 2.1)."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._event_id = 0
        self._sequences: Counter[str] = Counter()

    def opening(self) -> bytes:
        """Return nothing: a run's stream begins with its first step."""
        return b""

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the next event, empty when ``step`` is not shown in a stream."""
        match step:
            case Packet():
                return self._event("Message", self._message(step))
            case Interruption(ask=ask):
                return self._event(
                    "Interrupt", {"interrupt_data": interrupt_object(step), "node_title": ask.node.title}
                )
            case Failure(silent=True):
                return b""
            case Failure(code=code, message=message):
                return self._event("Error", {"error_code": code, "error_message": message})
            case Finished(traceless=traceless):
                return self._event("Done", {} if traceless else {"debug_url": debug_url(self._execution)})
            case Ping():
                return self._event("PING", {"content": "{}"})
            case Raw(frame=frame):
                return frame

    def _event(self, name: str, data: dict[str, object]) -> bytes:
        event_id = self._event_id
        self._event_id += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, name.encode(), to_wire(data))

    def _message(self, packet: Packet) -> dict[str, object]:
        uuid = node_execute_uuid(self._execution.execute_id, packet.node)
        sequence = self._sequences[uuid]
        self._sequences[uuid] += 1
        message: dict[str, object] = {
            "content": packet.content,
            "content_type": "text",
            "node_execute_uuid": uuid,
            "node_id": packet.node.node_id,
            "node_is_finish": packet.is_last,
            "node_seq_id": str(sequence),
            "node_title": packet.node.title,
            "node_type": packet.node.node_type,
        }
        if packet.usage is not None:
            message["usage"] = usage_object(packet.usage)
        return message
