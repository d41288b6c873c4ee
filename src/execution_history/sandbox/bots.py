"""The bots of the sandbox: ids to chat with, and what each does."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import orjson

from execution_history.sandbox.errors import not_found
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.scripts import LLM, say
from execution_history.sandbox.steps import Ask, Finished, Inputs, Node, Step, Usage
from execution_history.sandbox.workflows import Workflow

LOCAL_PLUGIN_INTERRUPT = 1
"""The interrupt type of a plugin that the caller runs (protocol 1.7)."""

_TOOL = Node("160001", "Local plugin", "LocalPlugin")
_FIRST_ID = 7_100_000_000_000_000_000
_PLUGINS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("screen", "screenshot", {}),
    ("afternoon", "get_schedule", {}),
    ("天气", "get_current_temperature", {"input": "深圳"}),
)
"""A word of the question, the local plugin that knows the answer, and what it is called with."""


def answers(inputs: Inputs) -> Iterator[Step]:
    """Repeat what the user says, in a short story."""
    parts = [f"You said: {inputs.parameters['USER_INPUT']} ", "The ferry leaves at nine. ", "今天有小雨，请带伞。"]
    yield from say(inputs, LLM, parts, Usage(60, 24))
    yield Finished("".join(parts))


def uses_local_plugins(inputs: Inputs) -> Iterator[Step]:
    """Ask a plugin of the caller, where one knows the answer, and tell what it returned."""
    said = str(inputs.parameters["USER_INPUT"])
    call = next(((name, arguments) for word, name, arguments in _PLUGINS if word in said), None)
    if call is None:
        yield from answers(inputs)
    elif not inputs.answers:
        name, arguments = call
        yield Ask(_TOOL, LOCAL_PLUGIN_INTERRUPT, to_text({"name": name, "arguments": to_text(arguments)}))
    else:
        returned = " ".join(output["output"] for output in orjson.loads(inputs.answers[-1]))
        parts = [f"{call[0]} returned: ", returned]
        yield from say(inputs, LLM, parts, Usage(90, 30))
        yield Finished("".join(parts))


_TABLE = (
    Workflow(str(_FIRST_ID + 1), "answers", "Repeats what the user says.", answers),
    Workflow(
        str(_FIRST_ID + 2),
        "uses_local_plugins",
        "Asks a local plugin of the caller (get_schedule, screenshot, get_current_temperature) about an afternoon, "
        "a screen or the weather, and tells what it returned.",
        uses_local_plugins,
    ),
)

BOTS: Mapping[str, Workflow] = MappingProxyType({bot.workflow_id: bot for bot in _TABLE})
"""Every bot of the sandbox by its id; they take the settings that every workflow takes."""


def find_bot(bot_id: str) -> Workflow:
    """Return the bot with that id.

    Raises:
        RefusedError: 4200 when the sandbox has none.

    """
    bot = BOTS.get(bot_id)
    if bot is None:
        raise not_found(f"The bot does not exist; those of the sandbox are {', '.join(BOTS)}.")
    return bot
