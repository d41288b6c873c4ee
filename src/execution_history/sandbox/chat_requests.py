"""The bodies of requests about bots, conversations and messages, read and checked; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from execution_history.sandbox.errors import bad_request
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.requests import (
    Body,
    MessageBody,
    Required,
    RunBody,
    RunRequest,
    as_object,
    read,
    read_run_body,
)

_MOST_MESSAGES = 100
_MOST_FIRST_MESSAGES = 16
_MOST_LISTED = 50


class _BotChat(Body):
    bot_id: Required
    user_id: Required
    additional_messages: Annotated[list[MessageBody] | None, Field(max_length=_MOST_MESSAGES)] = None
    stream: bool | None = None
    auto_save_history: bool | None = None
    meta_data: dict[str, str] | None = None
    parameters: Annotated[dict[str, Any] | None, BeforeValidator(as_object)] = None


class _ToolOutput(Body):
    tool_call_id: str
    output: str


class _ToolOutputs(Body):
    tool_outputs: Annotated[list[_ToolOutput], Field(min_length=1)]
    stream: bool | None = None


class ChatPlace(Body):
    """Which chat of which conversation."""

    conversation_id: Required
    chat_id: Required


class NewConversation(Body):
    """The body of ``conversation/create``."""

    bot_id: str | None = None
    name: str | None = None
    connector_id: str | None = None
    meta_data: dict[str, str] | None = None
    messages: Annotated[list[MessageBody] | None, Field(max_length=_MOST_FIRST_MESSAGES)] = None


class NewName(Body):
    """The body that gives a conversation a name."""

    name: str | None = None


class ChangedMessage(Body):
    """The body of ``message/modify``: what is not named stays."""

    content: str | None = None
    content_type: Literal["text", "object_string"] | None = None
    meta_data: dict[str, str] | None = None


class MessageList(Body):
    """The body of ``message/list``."""

    order: Literal["asc", "desc"] | None = None
    chat_id: str | None = None
    before_id: str | None = None
    after_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=_MOST_LISTED)] | None = None


@dataclass(frozen=True, slots=True)
class BotChatRequest:
    """The body of a chat with a bot: what it says, whether it streams and becomes part of the conversation."""

    bot_id: str
    run: RunRequest
    messages: tuple[MessageBody, ...]
    meta_data: Mapping[str, str]
    is_streamed: bool
    is_saved: bool


def read_bot_chat(body: bytes) -> BotChatRequest:
    """Return the chat with a bot in ``body``; what the user says last is the parameter ``USER_INPUT`` of its run.

    Raises:
        RefusedError: 4000 when it is not a JSON object, a field is missing or of the wrong type, or a chat that is
            not streamed shall not be kept.

    """
    fields = read(_BotChat, body)
    messages = tuple(fields.additional_messages or ())
    is_streamed, is_saved = fields.stream is True, fields.auto_save_history is not False
    if not is_streamed and not is_saved:
        raise bad_request("'auto_save_history' must be true in a chat that is not streamed.")
    said = next((message.content for message in reversed(messages) if message.role == "user"), "")
    parameters = {**(fields.parameters or {}), "USER_INPUT": said}
    run = read_run_body(RunBody(workflow_id=fields.bot_id, bot_id=fields.bot_id, parameters=parameters), len(body))
    return BotChatRequest(fields.bot_id, run, messages, fields.meta_data or {}, is_streamed, is_saved)


def read_tool_outputs(body: bytes) -> tuple[str, bool]:
    """Return the outputs in ``body`` as a JSON text, and whether the chat goes on as a stream.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    fields = read(_ToolOutputs, body)
    return to_text([output.model_dump() for output in fields.tool_outputs]), fields.stream is True
