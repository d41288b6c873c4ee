"""Requests to run a workflow, read as far as they can be (coze-protocol 1.2 to 1.5, 1.9). Pure."""

from typing import Any, Final

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.messages import (
    NO_WORKFLOW,
    PLAIN_CHARSETS,
    UNKNOWN_WORKFLOW,
    RunKind,
    RunRequest,
    charset_of,
    parse_json,
    read_body,
    text,
)
from execution_history.records.charset import decode_text
from execution_history.records.identifiers import is_identifier

_ID: Final = "workflow_id"
_IDS: Final = (_ID, "bot_id", "app_id", "conversation_id", "connector_id", "event_id")
_LARGEST_REQUEST: Final = 64 * 1024 * 1024  # Coze takes 20 MB (coze-protocol 4.6)
_NO_OBJECT: Final = "The request is no JSON object, so its input is the text of it."


def parse_run_request(
    kind: RunKind, body: bytes, content_type: str | None = None, encoding: str | None = None
) -> RunRequest:
    """Parse the body of a request, as far as it can be read. Never raises.

    A request that names no workflow which a record can have is one of :data:`UNKNOWN_WORKFLOW`. Its parameters, and
    those of one that is no JSON object, are all that could be read: an object, or the text.

    Args:
        kind: which request it is.
        body: its whole body.
        content_type: the request's header of that name, for the charset.
        encoding: its ``Content-Encoding``.
    """
    if encoding:
        decoder = ContentDecoder(encoding, _LARGEST_REQUEST)
        body = decoder.decode(body)
        decoder.close()
        if decoder.problem is not None and not decoder.is_unknown:
            unread = f"The request {decoder.problem}, so its input is not known."
            return RunRequest(kind, UNKNOWN_WORKFLOW, unread=unread)
    try:
        content, charset = read_body(body, content_type)
    except ValueError:
        content, charset = None, None
    if not isinstance(content, dict):
        return _unread(kind, body, content_type)
    ext, interrupt_type = content.get("ext"), content.get("interrupt_type")
    ids = {name: text(content.get(name)) for name in _IDS}
    workflow_id = ids.pop(_ID)
    # Servers written in Go take any spelling of a key: which workflow then runs is their choice.
    is_known = is_identifier(workflow_id) and not any(key != _ID and key.casefold() == _ID for key in content)
    return RunRequest(
        kind,
        workflow_id if is_known else UNKNOWN_WORKFLOW,
        parameters=_inputs(kind, content) if is_known else content,
        connector_uid=text(ext.get("user_id")) if isinstance(ext, dict) else None,
        resume_data=_last_message(content) if kind == "chat" else content.get("resume_data"),
        interrupt_type=interrupt_type if isinstance(interrupt_type, int) else None,
        is_async=content.get("is_async") is True,
        charset=charset,
        unread=None if is_known else NO_WORKFLOW,
        **ids,
    )


def _unread(kind: RunKind, body: bytes, content_type: str | None) -> RunRequest:
    """Return a request whose body is no JSON object, with the text of it as its parameters."""
    words, charset = decode_text(body, charset_of(content_type))
    charset_kept = None if charset in PLAIN_CHARSETS else charset
    return RunRequest(kind, UNKNOWN_WORKFLOW, words or None, charset=charset_kept, unread=_NO_OBJECT)


def _inputs(kind: RunKind, content: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the caller sent
    """Return a run's input: the parameters, and a chat's messages with them."""
    parameters = content.get("parameters")
    if isinstance(parameters, str) and isinstance(parsed := parse_json(parameters), dict):
        parameters = parsed
    messages = {"additional_messages": content["additional_messages"]} if "additional_messages" in content else {}
    if kind != "chat" or not (parameters is None or isinstance(parameters, dict)):
        return parameters
    return {**messages, **(parameters or {}), **messages} or parameters


def _last_message(content: dict[str, Any]) -> object:
    """Return what the last message of a chat says, which is the answer where the chat had asked something."""
    messages = content.get("additional_messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return last.get("content") if isinstance(last, dict) else None
