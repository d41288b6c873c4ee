"""The request that runs once more what a record ran. Pure."""

from collections.abc import Mapping
from typing import Any

from execution_history.coze.protocol.messages import MODE_STREAM, UNKNOWN_WORKFLOW, RunRequest
from execution_history.records.metadata import UNREAD

_MESSAGES = "additional_messages"


def is_chat(record: Mapping[str, Any]) -> bool:
    """Return whether *record* is of a chat with a workflow, by its messages."""
    parameters = record["input_parameters"]
    messages = parameters.get(_MESSAGES) if isinstance(parameters, dict) else None
    is_of_messages = isinstance(messages, list) and all(isinstance(each, dict) and "role" in each for each in messages)
    return bool(messages) and is_of_messages and record["run_mode"] == MODE_STREAM


def is_request_read(record: Mapping[str, Any]) -> bool:
    """Return whether the recorded input is what the workflow got, as far as the request could be read."""
    return UNREAD.of(record) is None and record["workflow_id"] != UNKNOWN_WORKFLOW


def repeating_request(record: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> RunRequest:
    """Return the streamed request that runs the workflow of *record* with *parameters*.

    A chat is a chat again, in a conversation of its own: the recorded one has gone on since, and may wait there for an
    answer, for which its next message would be taken.
    """
    is_of_chat = is_chat(record)
    return RunRequest(
        "chat" if is_of_chat else "stream_run",
        record["workflow_id"],
        None if parameters is None else dict(parameters),
        record["bot_id"],
        conversation_id=None if is_of_chat else record["conversation_id"],
        connector_uid=record["connector_uid"],
    )
