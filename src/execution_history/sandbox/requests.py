"""Request bodies read and checked: pure functions from bytes to requests, or ``RefusedError`` with code 4000."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from execution_history.sandbox.errors import bad_request
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.workflows import Setting

MAX_BODY_BYTES = 20 * 1024 * 1024
"""The largest body of a workflow request (protocol 4.6)."""

MAX_MESSAGES = 50
"""The most messages that a chat may add to its conversation (protocol 1.9)."""

API_CONNECTOR = "1024"


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
    fields = _object(body)
    bot_id, app_id = _text(fields, "bot_id"), _text(fields, "app_id")
    if bot_id and app_id:
        raise bad_request("'bot_id' and 'app_id' cannot be given together.")
    _text(fields, "workflow_version")
    return RunRequest(
        workflow_id=_required_text(fields, "workflow_id"),
        parameters=_parameters(fields.get("parameters")),
        bot_id=bot_id or "0",
        connector_id=_text(fields, "connector_id") or API_CONNECTOR,
        connector_uid=_strings("ext", fields.get("ext")).get("user_id") or "0",
        is_async=_boolean(fields, "is_async"),
        size=len(body),
    )


def read_resume(body: bytes) -> ResumeRequest:
    """Return the resume request in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    fields = _object(body)
    kind = fields.get("interrupt_type")
    if not isinstance(kind, int) or isinstance(kind, bool):
        raise bad_request("'interrupt_type' must be an integer.")
    if not isinstance(fields.get("resume_data"), str):
        raise bad_request("'resume_data' must be a string.")
    return ResumeRequest(
        workflow_id=_required_text(fields, "workflow_id"),
        event_id=_required_text(fields, "event_id"),
        resume_data=fields["resume_data"],
        interrupt_type=kind,
    )


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
    run = read_run(body)
    fields = _object(body)
    last = _messages(fields.get("additional_messages"))[-1]
    is_user_last = last["role"] == "user"
    said = last["content"] if is_user_last else ""
    name = run.parameters.get("CONVERSATION_NAME", "")
    if not isinstance(name, str):
        raise bad_request("the parameter 'CONVERSATION_NAME' must be a string.")
    return ChatRequest(
        run=replace(run, parameters={"USER_INPUT": said, **run.parameters}, is_async=False),
        owner_id=_text(fields, "bot_id") or _text(fields, "app_id"),
        conversation_id=_text(fields, "conversation_id"),
        conversation_name=name,
        said=said,
        is_user_last=is_user_last,
    )


def read_conversation(body: bytes) -> ConversationRequest:
    """Return the request for a conversation in ``body``.

    Raises:
        RefusedError: 4000 when it is not a JSON object, or a field is missing or of the wrong type.

    """
    fields = _object(body)
    return ConversationRequest(
        owner_id=_required_text(fields, "app_id"),
        name=_required_text(fields, "conversation_name"),
        get_or_create=_boolean(fields, "get_or_create"),
    )


def _messages(given: object) -> list[dict[str, str]]:
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_MESSAGES:
        raise bad_request(f"'additional_messages' must be a list of 1 to {MAX_MESSAGES} messages.")
    return [_message(entry) for entry in given]


def _message(given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        raise bad_request("each of 'additional_messages' must be an object.")
    message = {name: _text(given, name) for name in ("role", "type", "content", "content_type")}
    if message["role"] not in {"user", "assistant"}:
        raise bad_request("the 'role' of a message must be user or assistant.")
    if message["content_type"] not in {"", "text", "object_string"}:
        raise bad_request("the 'content_type' of a message must be text or object_string.")
    if not isinstance(given.get("content"), str):
        raise bad_request("the 'content' of a message must be a string.")
    _strings("meta_data", given.get("meta_data"))
    return message


def read_settings(
    parameters: Mapping[str, object], settings: Mapping[str, Setting], own_defaults: Mapping[str, int]
) -> dict[str, int]:
    """Return the value of each of ``settings``: the caller's, or its default, or the sandbox's own.

    Raises:
        RefusedError: 4000 when the caller's value is not a whole number (or its digits, or a boolean) in range.

    """
    values = {}
    for name, setting in settings.items():
        given = parameters.get(name)
        if given is None:
            values[name] = own_defaults[name] if setting.default is None else setting.default
        else:
            values[name] = _whole_number(name, given, setting.most)
    return values


def read_page(query: Mapping[str, str], *, most: int) -> tuple[int, int]:
    """Return ``page_num`` and ``page_size`` of a list request (1 and 10 when not given).

    Raises:
        RefusedError: 4000 when one is not a whole number from 1, or ``page_size`` exceeds ``most``.

    """
    page_num = _whole_number("page_num", query.get("page_num", "1"), 1_000_000)
    page_size = _whole_number("page_size", query.get("page_size", "10"), most)
    if page_num < 1 or page_size < 1:
        raise bad_request("'page_num' and 'page_size' count from 1.")
    return page_num, page_size


def read_token_page(query: Mapping[str, str], *, most: int) -> tuple[int, int]:
    """Return where the page of a list request begins, counted from 0, and its ``page_size`` (10 when not given).

    Raises:
        RefusedError: 4000 when ``page_token`` is not one that was given out, or ``page_size`` exceeds ``most``.

    """
    first = _whole_number("page_token", query.get("page_token") or "0", 1_000_000)
    page_size = _whole_number("page_size", query.get("page_size", "10"), most)
    if page_size < 1:
        raise bad_request("'page_size' counts from 1.")
    return first, page_size


def _whole_number(name: str, given: object, most: int) -> int:
    number = int(given) if isinstance(given, str) and given.isascii() and given.isdecimal() else given
    if not isinstance(number, int) or not 0 <= number <= most:
        raise bad_request(f"'{name}' must be a whole number from 0 to {most}.")
    return int(number)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request("the body is not JSON.") from error
    if not isinstance(fields, dict):
        raise bad_request("the body is not a JSON object.")
    return fields


def _parameters(given: object) -> Mapping[str, object]:
    value = given
    if isinstance(given, str):  # the documented type is String though every example sends an object (1.2)
        value = _object(given.encode()) if given else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request("'parameters' must be an object.")
    try:
        to_text({"parameters": {"parameters": value}})
    except TypeError as error:
        raise bad_request("'parameters' are nested too deeply.") from error
    return value


def _strings(name: str, given: object) -> dict[str, str]:
    value = {} if given is None else given
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise bad_request(f"'{name}' must be an object of strings.")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_request(f"'{name}' must be a string.")
    return value


def _required_text(fields: Mapping[str, object], name: str) -> str:
    value = _text(fields, name)
    if not value:
        raise bad_request(f"'{name}' is missing.")
    return value


def _boolean(fields: Mapping[str, object], name: str) -> bool:
    value = fields.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise bad_request(f"'{name}' must be true or false.")
    return value
