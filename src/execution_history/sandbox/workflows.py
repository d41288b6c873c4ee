"""The workflows of the sandbox: ids to run, one sentence on what each is for, and the settings it takes.

Settings are whole numbers among the ``parameters`` of a run. Every workflow takes ``pace_ms`` (between two
packets), ``delay_ms`` (before the first) and ``open_ms`` (for which a stream stays open after its last event);
the others are listed with their workflow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from execution_history.sandbox import network_faults, scripts
from execution_history.sandbox.errors import NOT_FOUND, RATE_LIMITED, STUDIO_NOT_PUBLISHED, Refusal
from execution_history.sandbox.steps import Retention, Script

_FIRST_ID = 7_000_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Setting:
    """A whole number from 0 to ``most`` that a caller may pass; ``None`` as default means the sandbox's own."""

    default: int | None
    most: int


PACE = Setting(None, 60_000)
NO_PACE = Setting(0, 60_000)
DELAY = Setting(None, 600_000)
NO_DELAY = Setting(0, 600_000)
PACKETS = Setting(12, 10_000)
PACKET_SIZE = Setting(0, 100_000)
POLLS = Setting(0, 1_000)
SWITCHED_ON = Setting(1, 1)
SWITCHED_OFF = Setting(0, 1)


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow of the sandbox; it either runs ``script`` or answers every request with ``refusal``."""

    workflow_id: str
    name: str
    description: str
    behaviour: Script | Refusal
    settings: Mapping[str, Setting] = field(default_factory=dict)
    retention: Retention = Retention.KEPT

    def versions(self) -> tuple[str, ...]:
        """Return the versions that were published, the newest first; none of a workflow that never was."""
        is_published = not (isinstance(self.behaviour, Refusal) and self.behaviour.code == NOT_FOUND)
        return ("v0.0.3", "v0.0.2", "v0.0.1") if is_published else ()

    def all_settings(self) -> Mapping[str, Setting]:
        """Return the settings of this workflow, the common ones included."""
        return {"pace_ms": PACE, "delay_ms": NO_DELAY, "open_ms": NO_DELAY} | dict(self.settings)


def _workflow(
    number: int,
    name: str,
    description: str,
    behaviour: Script | Refusal,
    retention: Retention = Retention.KEPT,
    **settings: Setting,
) -> Workflow:
    return Workflow(str(_FIRST_ID + number), name, description, behaviour, settings, retention)


_NEVER_PUBLISHED = Refusal(
    NOT_FOUND, "The workflow has never been published; publish it and try again.", in_studio=STUDIO_NOT_PUBLISHED
)
_RATE_LIMITED = Refusal(RATE_LIMITED, "Too many requests; try again later.")
_SERVER_ERROR = Refusal(None, "<html><body><h1>500 Internal Server Error</h1></body></html>", status=500)

_TABLE = (
    _workflow(1, "short_answer", "Echoes its parameters in a short answer.", scripts.short_answer),
    _workflow(
        2,
        "long_stream",
        "Streams messages of a start, model, plugin, looping output and end node; packets sets how many "
        "the model sends, packet_size the characters of each (its own sentences if 0).",
        scripts.long_stream,
        packets=PACKETS,
        packet_size=PACKET_SIZE,
    ),
    _workflow(
        3, "fails_in_a_node", "Sends some messages, then fails in a node with code 720702017.", scripts.fails_in_a_node
    ),
    _workflow(4, "never_published", "Is refused with code 4200 because it was never published.", _NEVER_PUBLISHED),
    _workflow(
        5,
        "asks_a_question",
        "Asks a question (interrupt type 2) and goes on with the resume answer; a third empty answer fails the run.",
        scripts.asks_a_question,
    ),
    _workflow(
        6,
        "takes_its_time",
        "Is meant for is_async: stays Running for delay_ms, then succeeds.",
        scripts.short_answer,
        delay_ms=DELAY,
    ),
    _workflow(
        7,
        "breaks_the_connection",
        "Breaks the connection in mid-stream or before the answer, with a TCP reset if reset is 1; the run "
        "itself goes on and succeeds.",
        network_faults.breaks_the_connection,
        reset=SWITCHED_OFF,
    ),
    _workflow(
        8,
        "no_terminator",
        "Ends its stream cleanly without Done, or its answer without a body; the run itself goes on and fails.",
        network_faults.falls_silent,
    ),
    _workflow(9, "slow_answer", "Answers after delay_ms.", scripts.short_answer, delay_ms=DELAY),
    _workflow(
        10,
        "large_output",
        "Gives size characters (5 MB) from its end node and a quarter of them from each of its output nodes, nodes "
        "in number; run_histories holds 1 MB of each, execute_nodes the whole output of an output node.",
        scripts.large_output,
        size=Setting(5_000_000, 20_000_000),
        nodes=Setting(1, 8),
        pace_ms=NO_PACE,
    ),
    _workflow(11, "chinese", "Answers in Chinese with raw U+2028, U+2029 and U+0085 in its text.", scripts.chinese),
    _workflow(12, "pings", "Sends PING events between its messages.", scripts.pings),
    _workflow(
        13,
        "returns_text",
        "Has an end node that returns text: data is the wrapper object, or bare text if wrapped is 0.",
        scripts.returns_text,
        wrapped=SWITCHED_ON,
    ),
    _workflow(14, "server_error", "Answers HTTP 500 with an HTML body.", _SERVER_ERROR),
    _workflow(15, "many_tokens", "Reports a usage of five thousand million tokens.", scripts.uses_many_tokens),
    _workflow(
        16,
        "asks_for_fields",
        "Asks for named fields (interrupt type 5, required_parameters) and expects a JSON object with a city.",
        scripts.asks_for_fields,
    ),
    _workflow(
        17,
        "studio_error",
        "Ends its stream as Coze Studio does on a transport error: event error in lower case, no id, no JSON.",
        network_faults.breaks_like_studio,
    ),
    _workflow(18, "rate_limited", "Is refused with code 4013, too many requests.", _RATE_LIMITED),
    _workflow(
        19,
        "no_trace",
        "Succeeds without telling its execute id: Done carries {}, and run an empty debug_url.",
        scripts.leaves_no_trace,
    ),
    _workflow(
        20,
        "forgotten",
        "Is forgotten once it has ended: run_histories gives its end polls times (0), then answers 4200.",
        scripts.long_stream,
        Retention.FORGOTTEN,
        polls=POLLS,
        packets=PACKETS,
        packet_size=PACKET_SIZE,
    ),
    _workflow(
        21,
        "output_expired",
        "Loses its output once it has ended: run_histories gives it polls times (0), then Success with an empty "
        "output that counts as trimmed, and no output nodes.",
        scripts.long_stream,
        Retention.OUTPUT_EXPIRED,
        polls=POLLS,
        packets=PACKETS,
        packet_size=PACKET_SIZE,
    ),
    _workflow(
        22,
        "fails_later",
        "Is meant for is_async: stays Running for delay_ms, then fails in a node with code 720702017.",
        scripts.fails_in_a_node,
        delay_ms=DELAY,
    ),
    _workflow(
        23,
        "asks_later",
        "Is meant for is_async: stays Running for delay_ms, then waits at a question; /v1/workflows/resume goes on.",
        scripts.asks_a_question,
        delay_ms=DELAY,
    ),
)

WORKFLOWS: Mapping[str, Workflow] = MappingProxyType({workflow.workflow_id: workflow for workflow in _TABLE})
"""Every workflow of the sandbox by its id, in the order of the ids."""
