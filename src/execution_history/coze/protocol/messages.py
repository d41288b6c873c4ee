"""Coze's requests and JSON answers (coze-protocol, sections 1, 3 and 6). Pure: bytes in, values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

from execution_history.records.charset import UTF_8, charset_name, decode_text
from execution_history.records.encoding import encode
from execution_history.records.json_text import parse, read_json
from execution_history.records.metadata import (
    ANSWER_CHARSET,
    COZE_EXECUTE_ID,
    INTERRUPT,
    LOG_ID,
    OUTPUT_TEXT,
    PROOF,
    REQUEST_CHARSET,
    UNREAD,
)
from execution_history.records.proof import Proof

REQUIRES_ACTION: Final = "requires_action"
"""The status of a chat that waits for somebody (coze-protocol 2.5)."""

RunKind = Literal["run", "stream_run", "stream_resume", "resume", "chat"]

REJECTED: Final = "Coze rejected the run: "
"""The beginning of the error message of a run that Coze refused."""

UNKNOWN_WORKFLOW: Final = "unknown"
"""The workflow id of the record of a run whose request names none that a record can have."""

_PATHS: Final[dict[RunKind, str]] = {
    "run": "/v1/workflow/run",
    "stream_run": "/v1/workflow/stream_run",
    "stream_resume": "/v1/workflow/stream_resume",
    "resume": "/v1/workflows/resume",
    "chat": "/v1/workflows/chat",
}
_KINDS: Final = {path: kind for kind, path in _PATHS.items()}
_RESUMPTIONS: Final = frozenset({"stream_resume", "resume"})
_STREAMED: Final = frozenset({"stream_run", "stream_resume", "chat"})
_SLASHES: Final = re.compile(r"/{2,}")
_EXECUTE_ID: Final = re.compile(r"[^?#]*\?(?:[^#]*?&)??execute_id=([^&#]+)")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([^"';,\s]+)""", re.IGNORECASE)
_JSON: Final = re.compile(r"(?:application|text)/json|[^/]+/[^/]+\+json")
_EVENT_STREAM: Final = "text/event-stream"

PLAIN_CHARSETS: Final = frozenset({None, UTF_8, "us-ascii"})
"""The charsets that no record names."""

NO_WORKFLOW: Final = "The request names no workflow that could be one, so its input is all that it says."
"""Why the record of a run is one of :data:`UNKNOWN_WORKFLOW`."""

MODE_SYNC: Final = 0
MODE_STREAM: Final = 1
MODE_ASYNC: Final = 2


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to run a workflow, or to resume a run; what its body leaves out is ``None``.

    ``connector_uid`` is the body's ``ext.user_id`` (coze-protocol 1.2). ``charset`` is the one in which the body was
    read, ``None`` for UTF-8. ``unread`` is the sentence on why it could not be read: ``parameters`` are then as
    much as could be, and the workflow may be :data:`UNKNOWN_WORKFLOW`.
    """

    kind: RunKind
    workflow_id: str | None = None
    parameters: Any = None
    bot_id: str | None = None
    app_id: str | None = None
    conversation_id: str | None = None
    connector_id: str | None = None
    connector_uid: str | None = None
    event_id: str | None = None
    resume_data: Any = None
    interrupt_type: int | None = None
    is_async: bool = False
    charset: str | None = None
    unread: str | None = None

    @property
    def run_mode(self) -> int:
        """Return 0 for a synchronous, 1 for a streamed and 2 for an asynchronous run (coze-protocol 3.3)."""
        if self.is_streamed:
            return MODE_STREAM
        return MODE_ASYNC if self.is_async else MODE_SYNC

    @property
    def is_streamed(self) -> bool:
        """Return whether the answer to the request is a stream of events."""
        return self.kind in _STREAMED

    @property
    def is_resumption(self) -> bool:
        """Return whether the request answers the question of an interrupted run."""
        return self.kind in _RESUMPTIONS

    @property
    def path(self) -> str:
        """Return the path that the request is sent to."""
        return _PATHS[self.kind]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata keys that the request itself fills, without those that would be empty."""
        known = {REQUEST_CHARSET.name: self.charset, UNREAD.name: self.unread}
        return {key: value for key, value in known.items() if value is not None}

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the request, without the fields that are ``None``.

        The conversation is a chatflow's; a workflow does not take one, and its record keeps it all the same.
        """
        names = (
            ("event_id", "resume_data", "interrupt_type") if self.is_resumption else ("parameters", "bot_id", "app_id")
        )
        found = {name: getattr(self, name) for name in ("workflow_id", *names)}
        if self.kind == "chat":
            inputs = dict(self.parameters or {})
            found["additional_messages"] = inputs.pop("additional_messages", None)
            found["parameters"], found["conversation_id"] = inputs or None, self.conversation_id
        found["ext"] = None if self.connector_uid is None else {"user_id": self.connector_uid}
        found["is_async"] = self.is_async or None
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, and the :class:`Proof` of it.

    ``error_message`` is a sentence for every failure. ``output_text`` is the output as Coze wrote it, where ``output``
    could not keep its values as they were; ``charset`` the one in which the answer was read, ``None`` for UTF-8.
    """

    status: Literal["running", "success", "failed", "interrupted"]
    proof: Proof
    output: Any = None
    error_code: int | str | None = None
    error_message: str | None = None
    debug_url: str | None = None
    usage: Any = None
    execute_id: str | None = None
    log_id: str | None = None
    interrupt: dict[str, Any] | None = None
    output_text: str | None = None
    charset: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the record keys that the outcome fills, and their values."""
        names = ("output", "error_code", "error_message", "debug_url", "usage")
        return {name: getattr(self, name) for name in names}

    def metadata(self) -> dict[str, Any]:
        """Return the metadata keys that the outcome fills, without those that are unknown."""
        known = {
            LOG_ID.name: self.log_id,
            INTERRUPT.name: self.interrupt,
            COZE_EXECUTE_ID.name: self.execute_id,
            OUTPUT_TEXT.name: self.output_text,
            ANSWER_CHARSET.name: self.charset,
        }
        return {PROOF.name: self.proof} | {key: value for key, value in known.items() if value is not None}


def api_path(path: str) -> str:
    """Return the part of *path* that begins with ``/v1/``, or the whole path where none does.

    It is read as servers do, so that no spelling passes for another: double slashes count as one, and ``.`` and ``..``
    are resolved (RFC 3986, section 6.2.2.3). What precedes ``/v1/`` belongs to the upstream's base address.
    """
    path = _SLASHES.sub("/", path)
    _, version, rest = (normpath(path) if "/." in path else path).rpartition("/v1/")
    return version + rest


def run_kind(method: str, path: str) -> RunKind | None:
    """Return which request to run a workflow has this method and decoded path; ``None`` for every other request."""
    return _KINDS.get(api_path(path).rstrip("/")) if method.upper() == "POST" else None


def log_id_of(headers: Mapping[str, str]) -> str | None:
    """Return Coze's id of a request, from the headers of its answer."""
    return headers.get("x-tt-logid") or headers.get("x-log-id")


def execute_id_of(debug_url: str | None) -> str | None:
    """Return the upstream execute id in a debug address (coze-protocol 2.3)."""
    found = _EXECUTE_ID.match(debug_url or "")
    return None if found is None else unquote_plus(found[1])


def execute_id_of_event(event_id: object) -> str | None:
    """Return the upstream execute id in an interrupt's event id, ``<execute_id>/<n>`` (coze-protocol 1.7)."""
    return (event_id.partition("/")[0] or None) if isinstance(event_id, str) else None


def is_chat_question(interrupt: Mapping[str, Any] | None) -> bool:
    """Return whether an interrupt is a question that a chat asked in its text.

    The next message in the same conversation answers it (coze-protocol 1.9), and no ``event_id``. A chat that waits for
    the results of a client's plugins asks no such question.
    """
    if interrupt is None or interrupt.get("status") != REQUIRES_ACTION:
        return False
    action = interrupt.get("required_action")
    submitted = action.get("submit_tool_outputs") if isinstance(action, dict) else None
    calls = submitted.get("tool_calls") if isinstance(submitted, dict) else None
    return not any(
        isinstance(call, dict) and call.get("type") == "function" for call in (calls if isinstance(calls, list) else ())
    )


def read_body(body: bytes, content_type: str | None) -> tuple[Any, str | None]:
    """Return the value of a JSON body, and the charset in which it was read; ``None`` for UTF-8.

    Args:
        body: the whole body, without its content encoding.
        content_type: the header of that name.

    Raises:
        ValueError: it is no JSON in any charset.
    """
    declared = charset_of(content_type)
    if charset_name(declared) in PLAIN_CHARSETS:
        try:
            return read_json(body), None
        except ValueError:
            pass
    words, charset = decode_text(body, declared)
    return read_json(words), None if charset in PLAIN_CHARSETS else charset


def is_success(code: object) -> bool:
    """Return whether the ``code`` of an envelope is that of a success, which may be absent, or a text."""
    return code in (0, None, "0")


def claims_json(content_type: str | None) -> bool:
    """Return whether a content type is one of JSON."""
    return _JSON.fullmatch(_media_type(content_type)) is not None


def claims_events(content_type: str | None) -> bool:
    """Return whether a content type is that of a stream of events."""
    return _media_type(content_type) == _EVENT_STREAM


def claims_stream(content_type: str | None, *, is_streamed: bool) -> bool:
    """Return whether the SDKs take an answer of this content type for a stream of events (coze-protocol 9).

    Args:
        content_type: the header of that name.
        is_streamed: whether a stream was requested, which is there under every type but JSON's.
    """
    return claims_events(content_type) or (is_streamed and not claims_json(content_type))


def _media_type(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def charset_of(content_type: str | None) -> str | None:
    """Return the charset that a content type declares, in its own words."""
    found = _CHARSET.search(content_type or "")
    return None if found is None else found[1]


def parse_json(data: bytes | str) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return the value of *data*, or ``None`` where it is not JSON; see :func:`read_json`."""
    try:
        return read_json(data)
    except ValueError:
        return None


def plain(value: object) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return a value that was read tolerantly as the one that a record has of it."""
    return parse(encode(value))


def text(value: object) -> str | None:
    """Return an id or a text that came as a string or, from Coze Studio, as a number; ``None`` where it is empty."""
    if isinstance(value, str):
        return (value if value.isascii() else as_visible(value)) or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def as_visible(words: str) -> str:
    """Return a text as a record has it: half of a surrogate pair is its escape."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return str(plain(words))
    return words
