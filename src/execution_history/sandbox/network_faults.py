"""What the sandbox workflows do whose answers go wrong on the way, though the execution itself comes to an end."""

from collections.abc import Iterator

from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.scripts import END, EXECUTION_FAILED, LLM, pieces, say
from execution_history.sandbox.steps import Cut, Failure, Finished, Hush, Inputs, Raw, Step, Usage

RUN_TIMED_OUT = 720702085


def breaks_the_connection(inputs: Inputs) -> Iterator[Step]:
    """Break the connection in mid-stream, then go on and succeed."""
    data = to_text({"output": "The caller never heard this."})
    first, *rest = pieces(data, 4)
    yield from say(inputs, END, [first], finish=False)
    yield Cut(reset=bool(inputs.settings["reset"]))
    yield from say(inputs, END, rest, Usage(20, 10))
    yield Finished(data)


def falls_silent(inputs: Inputs) -> Iterator[Step]:
    """End the answer without a terminator, then go on and fail."""
    yield from say(inputs, LLM, ["Thinking about it ", "and then "], finish=False)
    yield Hush()
    yield Failure(RUN_TIMED_OUT, "The workflow ran for longer than it may.")


def breaks_like_studio(inputs: Inputs) -> Iterator[Step]:
    """End a stream as Coze Studio's transport errors do: lower-case event, no id, no JSON (protocol 6)."""
    yield from say(inputs, LLM, ["Thinking about it "], finish=False)
    yield Raw(b"event: error\ndata: stream error: workflow execution failed\n\n")
    yield Failure(EXECUTION_FAILED, "Workflow execution failed.", silent=True)
