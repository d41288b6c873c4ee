"""Request bodies read and checked: pure functions from bytes to requests, or ``RefusedError`` with code 4000."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from execution_history.sandbox.errors import bad_request
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.workflows import Setting

MAX_BODY_BYTES = 20 * 1024 * 1024
"""The largest body of a workflow request (protocol 4.6)."""

MAX_MESSAGES = 50
"""The most messages that a chat may add to its conversation (protocol 1.9)."""

API_CONNECTOR = "1024"


class Body(BaseModel):
    """A body as the protocol describes it; null counts as absent, and an unknown field does no harm."""

    model_config = ConfigDict(strict=True)


_Read = TypeVar("_Read", bound=Body)
Required = Annotated[str, Field(min_length=1)]


def as_object(value: object) -> object:
    """Return parameters as an object: the documented type is String, though every example sends an object (1.2)."""
    return orjson.loads(value or "{}") if isinstance(value, str) else value


class RunBody(Body):
    """The body of ``run`` and ``stream_run`` as it is written (protocol 1.2)."""

    workflow_id: Required
    parameters: Annotated[dict[str, Any] | None, BeforeValidator(as_object)] = None
    bot_id: str | None = None
    app_id: str | None = None
    workflow_version: str | None = None
    connector_id: str | None = None
    ext: dict[str, str] | None = None
    is_async: bool | None = None


class _Resume(Body):
    workflow_id: Required
    event_id: Required
    resume_data: str
    interrupt_type: int


class MessageBody(Body):
    """A message as a caller writes it (protocol 1.9)."""

    role: Literal["user", "assistant"]
    type: str | None = None
    content: str
    content_type: Literal["", "text", "object_string"] | None = None
    meta_data: dict[str, str] | None = None


class _Chat(RunBody):
    additional_messages: Annotated[list[MessageBody], Field(min_length=1, max_length=MAX_MESSAGES)]
    conversation_id: str | None = None


class _Conversation(Body):
    app_id: Required
    conversation_name: Required
    get_or_create: bool | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The body of ``run`` and ``stream_run`` (protocol 1.2), defaults filled in; ``size`` is its bytes."""

    workflow_id: str
    parameters: Mapping[str, object]
    bot_id: str
    connector_id: str
    connector_uid: str
    is_async: bool
    size: int


@dataclass(frozen=True, slots=True)
class ResumeRequest:
    """The body of ``stream_resume`` and ``resume`` (protocol 1.4)."""

    workflow_id: str
    event_id: str
    resume_data: str
    interrupt_type: int

    def execute_id(self) -> str:
        """Return the execution the event belongs to.

        Raises:
            RefusedError: 4000 when ``event_id`` is not two numbers joined by a slash (protocol 1.7).

        """
        execute_id, _, number = self.event_id.partition("/")
        if not (execute_id.isdecimal() and number.isdecimal()):
            raise bad_request("'event_id' must have the form <execute_id>/<number>.")
        return execute_id


def read_run(body: bytes) -> RunRequest:
    """Return the run request in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    return read_run_body(read(RunBody, body), len(body))


def read_run_body(fields: RunBody, size: int) -> RunRequest:
    """Return the run request in ``fields``, whose body had ``size`` bytes.

    Raises:
        RefusedError: 4000 when both owners are named, or the parameters are nested too deeply.

    """
    if fields.bot_id and fields.app_id:
        raise bad_request("'bot_id' and 'app_id' cannot both be set.")
    parameters = fields.parameters or {}
    try:
        to_text({"parameters": {"parameters": parameters}})
    except TypeError as error:
        raise bad_request("'parameters' are nested too deeply.") from error
    return RunRequest(
        workflow_id=fields.workflow_id,
        parameters=parameters,
        bot_id=fields.bot_id or "0",
        connector_id=fields.connector_id or API_CONNECTOR,
        connector_uid=(fields.ext or {}).get("user_id") or "0",
        is_async=fields.is_async is True,
        size=size,
    )


def read_resume(body: bytes) -> ResumeRequest:
    """Return the resume request in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    return ResumeRequest(**read(_Resume, body).model_dump())


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The body of ``chat`` (protocol 1.9): the run it may start, and whose conversation it is.

    ``owner_id`` is the bot or the app, ``said`` what the user says last, empty when not ``is_user_last``.
    """

    run: RunRequest
    owner_id: str
    conversation_id: str
    conversation_name: str
    said: str
    is_user_last: bool


@dataclass(frozen=True, slots=True)
class ConversationRequest:
    """The body of Studio's ``conversation/create``; without ``get_or_create`` a new one takes over the name."""

    owner_id: str
    name: str
    get_or_create: bool


def read_chat(body: bytes) -> ChatRequest:
    """Return the chat request in ``body``; what the user says is the parameter ``USER_INPUT`` of its run.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    fields = read(_Chat, body)
    run, last = read_run_body(fields, len(body)), fields.additional_messages[-1]
    is_user_last = last.role == "user"
    said = last.content if is_user_last else ""
    name = run.parameters.get("CONVERSATION_NAME", "")
    if not isinstance(name, str):
        raise bad_request("the parameter 'CONVERSATION_NAME' must be a string.")
    return ChatRequest(
        run=replace(run, parameters={"USER_INPUT": said, **run.parameters}, is_async=False),
        owner_id=fields.bot_id or fields.app_id or "",
        conversation_id=fields.conversation_id or "",
        conversation_name=name,
        said=said,
        is_user_last=is_user_last,
    )


def read_conversation(body: bytes) -> ConversationRequest:
    """Return the request for a conversation in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    fields = read(_Conversation, body)
    return ConversationRequest(fields.app_id, fields.conversation_name, get_or_create=fields.get_or_create is True)


def read_settings(
    parameters: Mapping[str, object], settings: Mapping[str, Setting], own_defaults: Mapping[str, int]
) -> dict[str, int]:
    """Return the value of each of ``settings``: the caller's, or its default, or the sandbox's own.

    Raises:
        RefusedError: 4000 when the caller's value is not a whole number (or its digits, or a boolean) in range.

    """
    values = {}
    for name, setting in settings.items():
        value = parameters.get(name)
        if value is None:
            values[name] = own_defaults[name] if setting.default is None else setting.default
        else:
            values[name] = _whole_number(name, value, setting.most)
    return values


def read_page(query: Mapping[str, str], *, most: int) -> tuple[int, int]:
    """Return ``page_num`` and ``page_size`` of a list request (1 and 10 by default).

    Raises:
        RefusedError: 4000 when one is not a whole number from 1, or ``page_size`` exceeds ``most``.

    """
    page_num = _whole_number("page_num", query.get("page_num", "1"), 1_000_000)
    page_size = _whole_number("page_size", query.get("page_size", "10"), most)
    if page_num < 1 or page_size < 1:
        raise bad_request("'page_num' and 'page_size' count from 1.")
    return page_num, page_size


def read_token_page(query: Mapping[str, str], *, most: int) -> tuple[int, int]:
    """Return where the page of a list request begins, counted from 0, and its ``page_size`` (10 by default).

    Raises:
        RefusedError: 4000 when ``page_token`` is not one that was issued, or ``page_size`` exceeds ``most``.

    """
    first = _whole_number("page_token", query.get("page_token") or "0", 1_000_000)
    page_size = _whole_number("page_size", query.get("page_size", "10"), most)
    if page_size < 1:
        raise bad_request("'page_size' counts from 1.")
    return first, page_size


def _whole_number(name: str, value: object, most: int) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if not isinstance(number, int) or not 0 <= number <= most:
        raise bad_request(f"'{name}' must be a whole number from 0 to {most}.")
    return int(number)


def read(model: type[_Read], body: bytes) -> _Read:
    """Return the fields in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    try:
        return model.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise bad_request("the body is not JSON.") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "the body"
        raise bad_request(f"'{place}': {wrong['msg']}.") from error
