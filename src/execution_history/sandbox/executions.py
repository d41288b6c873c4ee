"""What the sandbox knows of each execution, and the bounded memory it keeps them in."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.steps import (
    OUTPUT_NODE_TYPE,
    Ask,
    Failure,
    Finished,
    Inputs,
    Node,
    Packet,
    Pause,
    Retention,
    Script,
    Step,
    Usage,
)

KEPT_BYTES_PER_OUTPUT = 1_048_576
"""What a history holds of one output: 1 MB (protocol 1.6)."""

KEPT_BYTES_PER_NODE = 64 * 1_048_576
"""What ``execute_nodes`` holds of one output node."""


class RunMode(IntEnum):
    """How an execution was started (protocol 3.3)."""

    SYNC = 0
    STREAM = 1
    ASYNC = 2


class ExecuteStatus(StrEnum):
    """The three words of ``run_histories`` (protocol 1.6)."""

    RUNNING = "Running"
    SUCCESS = "Success"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True)
class Interruption:
    """An execution's open question: the ``Ask`` and the ``event_id`` to answer it with."""

    event_id: str
    ask: Ask


@dataclass(slots=True)
class Kept:
    """Text of which only the first ``limit`` bytes of UTF-8 are kept."""

    limit: int = KEPT_BYTES_PER_OUTPUT
    parts: list[str] = field(default_factory=list)
    size: int = 0
    is_trimmed: bool = False

    def add(self, text: str) -> None:
        """Keep of ``text`` what still fits, in whole characters."""
        if self.is_trimmed:
            return
        encoded = text.encode()
        room = self.limit - self.size
        self.is_trimmed = len(encoded) > room
        self.parts.append(encoded[:room].decode(errors="ignore") if self.is_trimmed else text)
        self.size += min(len(encoded), room)

    def text(self) -> str:
        """Return what was kept."""
        return "".join(self.parts)

    def join(self) -> None:
        """Keep the text as one string: many small ones take more, and lie scattered in the memory of the process."""
        self.parts = [self.text()]

    def shown(self) -> str:
        """Return what a history holds of it."""
        cut = Kept()
        cut.add(self.text())
        return cut.text()

    def is_told_whole(self) -> bool:
        """Return whether a history holds everything."""
        return not self.is_trimmed and self.size <= KEPT_BYTES_PER_OUTPUT


@dataclass(slots=True)
class OutputNode:
    """One execution of an output node."""

    node: Node
    output: Kept = field(default_factory=lambda: Kept(KEPT_BYTES_PER_NODE))
    is_finish: bool = False
    update_time: int = 0


@dataclass(slots=True)
class Execution:
    """One run of a workflow, over all its legs; times are whole seconds since the epoch.

    ``on_packet`` is told each packet of a chat and its time.
    """

    execute_id: str
    workflow_id: str
    mode: RunMode
    log_id: str
    script: Script
    inputs: Inputs
    bot_id: str
    connector_id: str
    connector_uid: str
    create_time: int
    update_time: int
    request_size: int
    retention: Retention = Retention.KEPT
    told_after_end: int = 0
    is_chat: bool = False
    on_packet: Callable[[Packet, int], None] | None = None
    status: ExecuteStatus = ExecuteStatus.RUNNING
    output: Kept = field(default_factory=Kept)
    usage: Usage | None = None
    failure: Failure | None = None
    interruption: Interruption | None = None
    output_nodes: dict[str, OutputNode] = field(default_factory=dict)

    def leg(self) -> Iterator[Step]:
        """Yield the steps after the latest answer, the first leg's beginning with its ``delay_ms``."""
        if not self.inputs.answers:
            yield Pause(self.inputs.settings["delay_ms"])
        yield from self.script(self.inputs)

    def take(self, step: Packet | Interruption | Failure | Finished, now: int) -> None:
        """Let ``step`` have happened at second ``now``."""
        self.update_time = now
        match step:
            case Packet():
                self._take_packet(step, now)
            case Interruption():
                self.interruption = step
            case Failure():
                self.failure = step
                self.status = ExecuteStatus.FAIL
            case Finished():
                self.output.add(step.data)
                self.status = ExecuteStatus.SUCCESS

    def answer(self, resume_data: str) -> None:
        """Close the open question with ``resume_data``; the next leg can be played."""
        inputs = self.inputs
        self.inputs = Inputs(inputs.parameters, inputs.settings, (*inputs.answers, resume_data))
        self.interruption = None

    def is_output_trimmed(self) -> bool:
        """Return whether a history leaves out anything that the execution put out."""
        return not all(kept.is_told_whole() for kept in self._outputs())

    def recall(self) -> Retention:
        """Return what of this execution a history still shows, counting those that were answered after its end."""
        if self.status is ExecuteStatus.RUNNING or self.retention is Retention.KEPT:
            return Retention.KEPT
        self.told_after_end += 1
        return Retention.KEPT if self.told_after_end <= self.inputs.settings["polls"] else self.retention

    def is_remembered(self) -> bool:
        """Return whether the outputs of its nodes can still be had."""
        is_over = self.status is not ExecuteStatus.RUNNING
        return self.retention is Retention.KEPT or not (
            is_over and self.told_after_end >= self.inputs.settings["polls"]
        )

    def open_ms(self) -> int:
        """Return for how many milliseconds its streams stay open after their end."""
        return self.inputs.settings["open_ms"]

    def rest(self) -> None:
        """Take as little memory as possible, once a leg is over."""
        for kept in self._outputs():
            kept.join()

    def weight(self) -> int:
        """Return about how many bytes of memory this execution holds."""
        return 4_000 + self.request_size + sum(kept.size for kept in self._outputs())

    def _outputs(self) -> Iterator[Kept]:
        yield self.output
        for entry in self.output_nodes.values():
            yield entry.output

    def _take_packet(self, packet: Packet, now: int) -> None:
        self.usage = packet.usage or self.usage
        if self.on_packet is not None:
            self.on_packet(packet, now)
        if packet.node.node_type == OUTPUT_NODE_TYPE:
            uuid = node_execute_uuid(self.execute_id, packet.node)
            entry = self.output_nodes.setdefault(uuid, OutputNode(packet.node))
            entry.output.add(packet.content)
            entry.is_finish = packet.is_last
            entry.update_time = now


class Executions:
    """The newest executions: at most ``most`` of them, and at most ``most_bytes`` in all."""

    def __init__(self, most: int = 500, most_bytes: int = 16 * 1024 * 1024) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Execution, int]] = OrderedDict()

    def get(self, workflow_id: str, execute_id: str) -> Execution | None:
        """Return that execution of that workflow, or ``None`` if it never was or is forgotten."""
        execution, _ = self._kept.get(execute_id, (None, 0))
        return execution if execution is not None and execution.workflow_id == workflow_id else None

    def keep(self, execution: Execution) -> None:
        """Keep ``execution``, or weigh it anew if it is kept; forget the oldest when that is too much."""
        _, before = self._kept.get(execution.execute_id, (None, 0))
        weight = execution.weight()
        self._kept[execution.execute_id] = (execution, weight)
        self._bytes += weight - before
        while len(self._kept) > self._most or (self._bytes > self._most_bytes and len(self._kept) > 1):
            _, (_, forgotten) = self._kept.popitem(last=False)
            self._bytes -= forgotten

    def weigh(self, execution: Execution) -> None:
        """Take into account what ``execution`` has put out; one that was forgotten stays forgotten."""
        if execution.execute_id in self._kept:
            self.keep(execution)
