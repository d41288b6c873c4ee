"""The steps that a sandbox workflow yields, before any of it becomes bytes.

A script turns :class:`Inputs` into steps; it waits for nothing and sends nothing. ``engine`` plays the steps,
``sse`` and ``bodies`` turn them into what goes over the wire. ``Pause``, ``Ping``, ``Raw``, ``Cut`` and ``Hush``
concern the connection only; the others are what happens to the execution.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

OUTPUT_NODE_TYPE = "Message"
"""The display key of an output node; only these appear in ``node_execute_status`` (protocol 1.6)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a workflow; ``loop_index`` distinguishes the executions of one node in a loop."""

    node_id: str
    title: str
    node_type: str
    loop_index: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a run (protocol 1.2)."""

    input_count: int
    output_count: int


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a node's message; ``is_last`` marks the node's last one."""

    node: Node
    content: str
    is_last: bool
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """The run stops with a question: an Interrupt, or ``interrupt_data`` where nothing streams (protocol 1.7)."""

    node: Node
    kind: int
    data: str
    required_parameters: Mapping[str, Mapping[str, object]] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The run fails; when ``silent``, a stream does not say so with an Error event."""

    code: int
    message: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The run succeeds with ``data``, the end node's result; ``traceless`` answers tell no execute id."""

    data: str
    traceless: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing happens for ``ms`` milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Ping:
    """A keep-alive event in a stream (protocol 2.2)."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes put into a stream exactly as they are, outside its numbering."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks, with a TCP reset if ``reset``; the execution goes on unseen."""

    reset: bool


@dataclass(frozen=True, slots=True)
class Hush:
    """The answer ends cleanly without a terminator; the execution goes on unseen."""


Happening = Packet | Ask | Failure | Finished | Ping | Raw | Cut | Hush
Step = Happening | Pause


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one leg of a run starts from.

    ``parameters`` are the caller's, ``settings`` the whole numbers among them that steer the sandbox (checked,
    defaults filled in), ``answers`` the resume answers so far, oldest first.
    """

    parameters: Mapping[str, object]
    settings: Mapping[str, int]
    answers: tuple[str, ...] = ()

    def pace(self) -> Pause:
        """Return the pause between two packets."""
        return Pause(self.settings["pace_ms"])


Script = Callable[[Inputs], Iterator[Step]]
"""The steps of a run after its latest answer: up to and including its ``Ask``, ``Failure`` or ``Finished``."""


class Retention(Enum):
    """What becomes of a workflow's histories once a run has ended (protocol 1.6)."""

    KEPT = "kept"
    FORGOTTEN = "forgotten"
    OUTPUT_EXPIRED = "output expired"
