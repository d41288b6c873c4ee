"""Coze's and Coze Studio's histories of one run (coze-protocol 1.6, 1.8 and 6).

Pure: bytes in, values out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import parse_qs, quote, unquote, urlencode

from execution_history.coze.protocol.envelope import read_output
from execution_history.coze.protocol.messages import (
    Outcome,
    api_path,
    as_visible,
    is_success,
    parse_json,
    plain,
    read_body,
    text,
)
from execution_history.records.encoding import as_text
from execution_history.records.proof import Proof
from execution_history.records.timeline import Node
from execution_history.records.values import MILLISECONDS_BEGIN

STUDIO_PATH: Final = "/v1/workflow/get_run_history"
"""The path of a run's history at Coze Studio, whose query is ``workflow_id`` and ``execute_id`` (coze-protocol 6)."""

LARGEST_HISTORY: Final = 64 * 1024 * 1024
"""Bytes that no history of a run reaches."""

RefusalKind = Literal["unauthorised", "studio", "unknown", "limited", "unavailable"]

_END: Final = "Output"
_STUDIO_SESSION: Final = 700012006  # what Studio answers to a path that is not open to tokens (section 6)
_NOT_FOUND: Final = frozenset({4200, 720702004})
_FAILURES: Final = {"Fail": "Coze says that the run failed, and gives no reason.", "Cancel": "The run was cancelled."}
_CODE: Final = re.compile(r"[0-9]{1,18}")
_RATE_LIMITED: Final = 4013
_UNAUTHORISED: Final = frozenset({4100, 4101})
_HTTP_UNAUTHORISED: Final = frozenset({401, 403})
_HTTP_NOT_FOUND: Final = 404
_HTTP_LIMITED: Final = 429

_CODED_SLASH: Final = re.compile(r"%2F", re.IGNORECASE)
_NEEDLESS: Final = re.compile(r"%(2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")
_PATH: Final = re.compile(r"/v1/workflows/([^/]+)/run_histories/([^/]+)(?:/execute_nodes/([^/]+))?/?")


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A request for the history of one run, or for the output of one of its nodes."""

    workflow_id: str
    execute_id: str
    node_execute_uuid: str | None = None

    @property
    def path(self) -> str:
        """Return its path at the official service."""
        run = f"/v1/workflows/{quote(self.workflow_id, safe='')}/run_histories/{quote(self.execute_id, safe='')}"
        node = self.node_execute_uuid
        return run if node is None else f"{run}/execute_nodes/{quote(node, safe='')}"

    @property
    def studio_path(self) -> str:
        """Return its path and query at Coze Studio, for a whole run."""
        return f"{STUDIO_PATH}?{urlencode({'workflow_id': self.workflow_id, 'execute_id': self.execute_id})}"


def is_studio_history(path: str) -> bool:
    """Return whether a decoded path is that of the histories of Coze Studio."""
    return api_path(path).rstrip("/") == STUDIO_PATH


def history_request(method: str, path: str, query: str) -> HistoryRequest | None:
    """Return the history that is requested by a method, undecoded path and query; ``None`` where none is."""
    if method.upper() != "GET":
        return None
    path = _NEEDLESS.sub(lambda found: chr(int(found[1], 16)), path)
    # Some servers decode slashes too before they look for who answers.
    found = _PATH.fullmatch(api_path(path)) or _PATH.fullmatch(api_path(_CODED_SLASH.sub("/", path)))
    if found is not None:
        return HistoryRequest(unquote(found[1]), unquote(found[2]), unquote(found[3]) if found[3] else None)
    if is_studio_history(unquote(path)):
        values = parse_qs(query)
        workflow_id, execute_id = values.get("workflow_id", [""])[0], values.get("execute_id", [""])[0]
        return HistoryRequest(workflow_id, execute_id) if workflow_id and execute_id else None
    return None


@dataclass(frozen=True, slots=True)
class HistoryRefusal:
    """The upstream has no history: it takes another token or path, does not know the run, or is not available."""

    kind: RefusalKind
    message: str


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The upstream's history of one run. Times are milliseconds; ``nodes`` are its output nodes by title."""

    outcome: Outcome
    run_mode: int | None = None
    create_time: int | None = None
    update_time: int | None = None
    bot_id: str | None = None
    connector_id: str | None = None
    connector_uid: str | None = None
    is_output_trimmed: bool = False
    nodes: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return the record keys that the history fills besides its ids and times, and their values."""
        names = ("run_mode", "bot_id", "connector_id", "connector_uid", "is_output_trimmed")
        return {**self.outcome.fields(), **{name: getattr(self, name) for name in names}}


def read_history(
    status_code: int, body: bytes, content_type: str | None = None, execute_id: str | None = None
) -> RunHistory | HistoryRefusal:
    """Parse the answer to a request for one run's history, in either shape. Never raises.

    Args:
        status_code: the HTTP status.
        body: the whole body.
        content_type: the header of that name, for the charset.
        execute_id: the run that was requested; the history of another one is none of it.
    """
    try:
        content, charset = read_body(body, content_type)
    except ValueError:
        content, charset = None, None
    if not isinstance(content, dict):
        return HistoryRefusal("unavailable", f"The upstream answered HTTP {status_code} without JSON.")
    code = content.get("code")
    if not is_success(code) or status_code >= 400:  # noqa: PLR2004 - where HTTP's failures begin
        return HistoryRefusal(_kind(status_code, code), text(content.get("msg")) or f"code {code}")
    data = content.get("data")
    entry = data[0] if isinstance(data, list) and data else data
    if not isinstance(entry, dict) or "execute_status" not in entry:
        return HistoryRefusal("unknown", "The upstream has no history of this run.")
    if execute_id is not None and text(entry.get("execute_id")) not in (None, execute_id):
        return HistoryRefusal("unknown", "The upstream answered with the history of another run.")
    return _history(entry, charset)


def _kind(status_code: int, code: object) -> RefusalKind:
    code = int(code) if isinstance(code, str) and _CODE.fullmatch(code) else code if isinstance(code, int) else None
    if code == _STUDIO_SESSION:
        return "studio"
    if code in _UNAUTHORISED or status_code in _HTTP_UNAUTHORISED:
        return "unauthorised"
    if code in _NOT_FOUND or status_code == _HTTP_NOT_FOUND:
        return "unknown"
    if code == _RATE_LIMITED or status_code == _HTTP_LIMITED:
        return "limited"
    return "unavailable"


def _history(entry: dict[str, Any], charset: str | None) -> RunHistory:
    said, outputs = entry.get("output"), {}
    parsed = parse_json(said) if isinstance(said, str) else said
    if isinstance(parsed, dict) and _END in parsed:
        outputs, said = parsed, parsed[_END]
    output, output_text = read_output(said) if said not in (None, "") else (None, None)
    outcome = _outcome(entry, output)
    nodes = entry.get("node_execute_status")
    return RunHistory(
        replace(outcome, output_text=None if outcome.output is None else output_text, charset=charset),
        run_mode=entry.get("run_mode") if entry.get("run_mode") in (0, 1, 2) else None,
        create_time=_milliseconds(entry.get("create_time")),
        update_time=_milliseconds(entry.get("update_time")),
        bot_id=_unless_none(entry.get("bot_id")),
        connector_id=_unless_none(entry.get("connector_id")),
        connector_uid=_unless_none(entry.get("connector_uid")),
        is_output_trimmed=entry.get("is_output_trimmed") is True,
        nodes={
            title: _node(title, node, outputs.get(title))
            for title, node in (nodes.items() if isinstance(nodes, dict) else ())
            if isinstance(node, dict)
        },
    )


def _outcome(entry: dict[str, Any], output: object) -> Outcome:
    """Return the run's outcome by the table of coze-protocol 3.1."""
    status, interrupt = entry.get("execute_status"), entry.get("interrupt_data")
    known = Outcome(
        "running",
        Proof.RUN_HISTORY,
        debug_url=text(entry.get("debug_url")),
        usage=entry.get("usage") or _studio_usage(entry),
        execute_id=text(entry.get("execute_id")),
        log_id=text(entry.get("logid")) or text(entry.get("log_id")),
    )
    if status == "Success":
        return replace(known, status="success", output=output)
    if status in _FAILURES:
        message = text(entry.get("error_message")) or text(entry.get("error_msg"))
        code = entry.get("error_code")
        error_code = code if isinstance(code, (int, str)) and not isinstance(code, bool) and code else None
        sentence = message or _FAILURES[status]
        return replace(known, status="failed", output=output, error_code=error_code, error_message=sentence)
    if status == "<UNSET>" or (isinstance(interrupt, dict) and interrupt):
        return replace(known, status="interrupted", output=output, interrupt=plain(interrupt) or None)
    return known


def _studio_usage(entry: dict[str, Any]) -> dict[str, int] | None:
    token = entry.get("token")
    return {"token_count": token} if isinstance(token, int) and not isinstance(token, bool) and token else None


def _node(title: str, node: dict[str, Any], said: object) -> dict[str, Any]:
    """Return an output node in the shape of a record's timeline."""
    return Node(
        node_id=text(node.get("node_id")),
        node_title=title,
        node_execute_uuid=text(node.get("node_execute_uuid")),
        is_finish=node.get("is_finish") is True,
        update_time=_milliseconds(node.get("update_time")),
        content=as_visible(as_text(said)),
        others={key: node.get(key) for key in ("loop_index", "batch_index")},
    ).to_json()


def read_node(status_code: int, body: bytes, content_type: str | None = None) -> str | None:
    """Parse the output of an output node (coze-protocol 1.8); ``None`` where the answer does not have it whole."""
    try:
        content, _ = read_body(body, content_type)
    except ValueError:
        return None
    data = content.get("data") if isinstance(content, dict) and status_code < 400 else None  # noqa: PLR2004
    if not isinstance(data, dict) or data.get("is_finish") is not True:
        return None
    output = data.get("node_output")
    return output if isinstance(output, str) else None


def _milliseconds(seconds: object) -> int | None:
    """Convert Coze's whole seconds, a number or a text, to milliseconds; Studio's are milliseconds already."""
    try:
        number = int(seconds) if isinstance(seconds, (int, str)) and not isinstance(seconds, bool) else 0
    except ValueError:
        return None
    return (number if number >= MILLISECONDS_BEGIN else number * 1000) or None


def _unless_none(value: object) -> str | None:
    """Return an id; Coze's ``"0"`` means that there is none."""
    found = text(value)
    return None if found == "0" else found
