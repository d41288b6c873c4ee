"""Coze's requests and JSON answers (coze-protocol, sections 1, 3 and 6). Pure: bytes in, values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

import orjson

from execution_history.records.depth import LEVELS, cut
from execution_history.records.metadata import COZE_EXECUTE_ID, INTERRUPT, LOG_ID, PROOF, REQUEST_CHARSET, UNREAD
from execution_history.records.proof import Proof

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
_IDS: Final = ("workflow_id", "bot_id", "app_id", "conversation_id", "connector_id", "event_id")
_STREAMED: Final = frozenset({"stream_run", "stream_resume", "chat"})
_SLASHES: Final = re.compile(r"/{2,}")
_EXECUTE_ID: Final = re.compile(r"[^?#]*\?(?:[^#]*?&)??execute_id=([^&#]+)")
_UNAUTHORISED: Final = 401
_SERVER_ERROR: Final = 500

MODE_SYNC: Final = 0
MODE_STREAM: Final = 1
MODE_ASYNC: Final = 2


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A request to run a workflow, or to resume a run; what its body leaves out is ``None``.

    ``connector_uid`` is the body's ``ext.user_id`` (coze-protocol 1.2). ``charset`` is the one in which the body was
    read, ``None`` for UTF-8. ``unread`` is the sentence that says why it could not be read: ``parameters`` are then as
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
        if self.kind in _STREAMED:
            return MODE_STREAM
        return MODE_ASYNC if self.is_async else MODE_SYNC

    @property
    def is_resumption(self) -> bool:
        """Return whether the request answers the question of an interrupted run."""
        return self.kind in _RESUMPTIONS

    @property
    def path(self) -> str:
        """Return the path that the request is sent to."""
        return _PATHS[self.kind]

    def metadata(self) -> dict[str, Any]:
        """Return the metadata keys that the request itself fills, without those that have nothing to say."""
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
    """How a run ended, and the proof of it.

    ``proof`` is one of ``done_event``, ``error_event``, ``interrupt_event``, ``stream_ended_early``, ``envelope``,
    ``accepted``, ``rejected``, ``http_status``, ``not_json``, ``timeout``, ``connection_failed``,
    ``connection_broken``, ``abandoned``, ``never_sent``, ``run_history``, ``upstream_silent``. ``error_message`` is
    a sentence for every failure.
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

    def fields(self) -> dict[str, Any]:
        """Return the record keys that the outcome fills, and their values."""
        names = ("output", "error_code", "error_message", "debug_url", "usage")
        return {name: getattr(self, name) for name in names}

    def metadata(self) -> dict[str, Any]:
        """Return the metadata keys that the outcome fills, without those that are unknown."""
        known = {LOG_ID.name: self.log_id, INTERRUPT.name: self.interrupt, COZE_EXECUTE_ID.name: self.execute_id}
        return {PROOF.name: self.proof} | {key: value for key, value in known.items() if value is not None}


def api_path(path: str) -> str:
    """Return the part of *path* that begins with ``/v1/``, or the whole path where none does.

    Double slashes count as one, and what precedes ``/v1/`` belongs to the upstream's base address.
    """
    _, version, rest = _SLASHES.sub("/", path).rpartition("/v1/")
    return version + rest


def run_kind(method: str, path: str) -> RunKind | None:
    """Return which request to run a workflow has this method and path; ``None`` for every other request."""
    return _KINDS.get(api_path(path).rstrip("/")) if method.upper() == "POST" else None


def parse_run_request(kind: RunKind, body: bytes, content_type: str | None = None) -> RunRequest:  # noqa: ARG001
    """Parse the body of a request; one that is no JSON object leaves every field ``None``. Never raises.

    Args:
        kind: which request it is.
        body: its whole body.
        content_type: the request's header of that name, for the charset.
    """
    content = parse_json(body)
    if not isinstance(content, dict):
        return RunRequest(kind)
    parameters = content.get("parameters")
    if isinstance(parameters, str):
        parsed = parse_json(parameters.encode("utf-8", "replace"))
        parameters = parsed if isinstance(parsed, dict) else parameters
    if kind == "chat" and parameters is None:
        parameters = {"additional_messages": content.get("additional_messages")}
    ext, interrupt_type = content.get("ext"), content.get("interrupt_type")
    return RunRequest(
        kind,
        parameters=parameters,
        connector_uid=text(ext.get("user_id")) if isinstance(ext, dict) else None,
        resume_data=content.get("resume_data"),
        interrupt_type=interrupt_type if isinstance(interrupt_type, int) else None,
        is_async=content.get("is_async") is True,
        **{name: text(content.get(name)) for name in _IDS},
    )


def read_answer(run: RunRequest, status_code: int, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """Return the outcome that a JSON answer states (coze-protocol 3.1, 4.2). Never raises.

    Args:
        run: the request that is answered.
        status_code: the HTTP status.
        body: the whole body.
        headers: the answer's headers, for the log id.
    """
    content = parse_json(body)
    log_id = log_id_of(headers)
    if not isinstance(content, dict):
        return replace(_not_json(status_code, body), log_id=log_id)
    detail = content.get("detail")
    log_id = log_id or (text(detail.get("logid")) if isinstance(detail, dict) else None)
    debug_url = text(content.get("debug_url"))
    known = Outcome(
        "failed",
        Proof.ENVELOPE,
        debug_url=debug_url,
        usage=content.get("usage"),
        execute_id=text(content.get("execute_id")) or execute_id_of(debug_url),
        log_id=log_id,
    )
    code = content.get("code")
    if code in (0, None) and status_code < 400:  # noqa: PLR2004 - where HTTP's failures begin
        return _accepted(run, content, known)
    message = text(content.get("msg")) or text(content.get("error_message")) or "Coze gave no reason"
    executed = known.execute_id is not None
    return replace(
        known,
        proof=Proof.ENVELOPE if executed else Proof.REJECTED,
        error_code=code if isinstance(code, (int, str)) else status_code,
        error_message=message if executed else REJECTED + message,
    )


def log_id_of(headers: Mapping[str, str]) -> str | None:
    """Return Coze's id of a request, from the headers of its answer."""
    return headers.get("x-tt-logid") or headers.get("x-log-id")


def _accepted(run: RunRequest, content: dict[str, Any], known: Outcome) -> Outcome:
    interrupt = content.get("interrupt_data")
    if isinstance(interrupt, dict) and interrupt:
        execute_id = known.execute_id or execute_id_of_event(interrupt.get("event_id"))
        return replace(known, status="interrupted", interrupt=interrupt, execute_id=execute_id)
    data = content.get("data")
    # An answered question of a run that was asynchronous is accepted like its beginning (coze-protocol 1.5).
    is_accepted = run.is_async or (run.kind == "resume" and known.execute_id is not None)
    if is_accepted and data in (None, ""):
        return replace(known, status="running", proof=Proof.ACCEPTED)
    if "data" not in content and "code" not in content and "debug_url" not in content:
        return replace(
            known,
            proof=Proof.NOT_JSON,
            error_message="The answer was JSON, but not one that Coze gives to a workflow run.",
        )
    return replace(known, status="success", output=read_output(data))


def _not_json(status_code: int, body: bytes) -> Outcome:
    if status_code >= _SERVER_ERROR:
        sentence = f"The upstream answered HTTP {status_code}; the workflow may still have run there."
    elif status_code == _UNAUTHORISED:
        sentence = "The upstream answered HTTP 401: the token is missing, wrong or of another region."
    elif status_code >= 400:  # noqa: PLR2004 - where HTTP's failures begin
        sentence = f"The upstream answered HTTP {status_code}."
    else:
        sentence = f"The upstream's answer is not JSON ({len(body)} bytes)."
    proof = Proof.HTTP_STATUS if status_code >= 400 else Proof.NOT_JSON  # noqa: PLR2004
    return Outcome("failed", proof, error_code=status_code, error_message=sentence)


def read_output(data: object) -> object:
    """Return the result behind Coze's string encoding: JSON where it is JSON, the text where it is text.

    An end node that returns text wraps it as ``{"content_type": 1, "data": "…"}`` (coze-protocol 1.2).
    """
    if not isinstance(data, str):
        return data
    parsed = parse_json(data.encode("utf-8", "surrogatepass")) if data[:1] in '{["-0123456789tfn' else None
    if parsed is None and data.strip() != "null":
        return data
    if isinstance(parsed, dict) and {"content_type", "data"} <= set(parsed) <= _WRAPPER:
        return read_output(parsed["data"]) if isinstance(parsed["data"], str) else parsed["data"]
    return parsed


_WRAPPER: Final = frozenset({"content_type", "data", "original_result", "type_for_model"})


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


REQUIRES_ACTION: Final = "requires_action"
"""The status of a chat that waits for somebody (coze-protocol 2.5)."""


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - JSON is any of six things
    """Return the value of *data*, or ``None`` where it is not JSON; what is nested too deep is a string."""
    try:
        return orjson.loads(data)
    except ValueError:
        shallow = cut(data, LEVELS)
    try:
        return None if shallow is data else orjson.loads(shallow)
    except ValueError:
        return None


def text(value: object) -> str | None:
    """Return an id or a text that came as a string or, from Coze Studio, as a number; ``None`` where it is empty."""
    if isinstance(value, bool) or value is None:
        return None
    return str(value) or None if isinstance(value, (str, int)) else None
