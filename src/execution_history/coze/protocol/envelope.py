"""The meaning of Coze's answers to a run, and the output in them (coze-protocol, sections 1, 3 and 4). Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from execution_history.coze.protocol.messages import (
    REJECTED,
    Outcome,
    RunRequest,
    as_visible,
    execute_id_of,
    execute_id_of_event,
    is_success,
    log_id_of,
    plain,
    read_body,
    text,
)
from execution_history.records.charset import with_joined_pairs
from execution_history.records.depth import IN_VALUE, kinds_within
from execution_history.records.encoding import encode
from execution_history.records.json_text import OPENS, may_hold_long_numbers, parse, read_json
from execution_history.records.proof import Proof

_REDIRECTION: Final = 300
_REFUSAL: Final = 400
_UNAUTHORISED: Final = 401
_SERVER_ERROR: Final = 500
_WRAPPER: Final = frozenset({"content_type", "data", "original_result", "type_for_model"})


def read_envelope(run: RunRequest, status_code: int, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """Return the outcome that a JSON answer states (coze-protocol 3.1, 4.2). Never raises.

    Args:
        run: the request that is answered.
        status_code: the HTTP status.
        body: the whole body, without its content encoding.
        headers: the answer's headers, in lower case, for the log id and the charset.
    """
    log_id = log_id_of(headers)
    try:
        content, charset = read_body(body, headers.get("content-type"))
    except ValueError:
        content, charset = None, None
    if not isinstance(content, dict):
        return replace(no_envelope(status_code, len(body)), log_id=log_id)
    detail = content.get("detail")
    debug_url = text(content.get("debug_url"))
    known = Outcome(
        "failed",
        Proof.ENVELOPE,
        debug_url=debug_url,
        usage=content.get("usage"),
        execute_id=text(content.get("execute_id")) or execute_id_of(debug_url),
        log_id=log_id or (text(detail.get("logid")) if isinstance(detail, dict) else None),
        charset=charset,
    )
    if is_success(content.get("code")) and status_code < _REFUSAL:
        return _accepted(run, content, known)
    return _refused(status_code, content, known)


def no_envelope(status_code: int, size: int) -> Outcome:
    """Return the outcome that an answer of *size* bytes states which is none that Coze gives."""
    if status_code >= _SERVER_ERROR:
        sentence = f"The upstream answered HTTP {status_code}; the workflow may still have run there."
    elif status_code == _UNAUTHORISED:
        sentence = "The upstream answered HTTP 401: the token is missing, wrong or of another region."
    elif status_code >= _REFUSAL:
        sentence = f"The upstream answered HTTP {status_code}."
    elif status_code >= _REDIRECTION:
        sentence = f"The upstream answered HTTP {status_code}: the run is at another address, and was not sent there."
    else:
        sentence = f"The upstream's answer is not JSON ({size} bytes)."
    proof = Proof.HTTP_STATUS if status_code >= _REDIRECTION else Proof.NOT_JSON
    return Outcome("failed", proof, error_code=status_code, error_message=sentence)


def unreadable(problem: str, log_id: str | None) -> Outcome:
    """Return the outcome of a run whose answer cannot be read here.

    Args:
        problem: why, as the predicate of "the answer".
        log_id: Coze's id of the request.
    """
    sentence = f"The answer {problem}, so it only passed through here; how the run ended is not known."
    return Outcome("interrupted", Proof.UNREADABLE, error_message=sentence, log_id=log_id)


def _refused(status_code: int, content: dict[str, Any], known: Outcome) -> Outcome:
    said = (text(content.get(name)) for name in ("msg", "error_message", "message", "detail"))
    message = next((words for words in said if words), "Coze gave no reason")
    code = content.get("code")
    failed = replace(known, error_code=code if isinstance(code, (int, str)) and code else status_code)
    if known.execute_id is not None:
        return replace(failed, error_message=message)
    if status_code >= _SERVER_ERROR:
        sentence = f"The upstream answered HTTP {status_code} ({message}); the workflow may still have run there."
        return replace(failed, proof=Proof.HTTP_STATUS, error_message=sentence)
    return replace(failed, proof=Proof.REJECTED, error_message=REJECTED + message)


def _accepted(run: RunRequest, content: dict[str, Any], known: Outcome) -> Outcome:
    interrupt = content.get("interrupt_data")
    if isinstance(interrupt, dict) and interrupt:
        execute_id = known.execute_id or execute_id_of_event(interrupt.get("event_id"))
        return replace(known, status="interrupted", interrupt=plain(interrupt), execute_id=execute_id)
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
    output, output_text = read_output(data)
    return replace(known, status="success", output=output, output_text=output_text)


def read_output(data: object) -> tuple[Any, str | None]:
    """Return the result behind Coze's string encoding, and its text where its values could not stay as they are in it.

    A text that is an object or an array is opened as JSON; every other text stays one, whatever it looks like. An end
    node that returns text wraps it as ``{"content_type": 1, "data": "…"}`` (coze-protocol 1.2), which is opened too,
    once. The text is there where the value has digits as a string, say (:mod:`execution_history.records.encoding`).
    """
    if not isinstance(data, str):
        return plain(data), None
    value, is_exact = _opened(data)
    if isinstance(value, dict) and {"content_type", "data"} <= value.keys() <= _WRAPPER:
        if not isinstance(value["data"], str):
            return value["data"], None if is_exact else as_visible(data)
        data = value["data"]
        value, is_exact = _opened(data)
    return value, None if is_exact else as_visible(data)


def _opened(words: str) -> tuple[Any, bool]:
    """Return what a text holds as a record has it, and whether every value in it is still the same."""
    if OPENS.match(words) is None:
        return as_visible(with_joined_pairs(words)), True
    document = words.encode("utf-8", "surrogatepass")
    try:
        if not may_hold_long_numbers(document):
            value = parse(document)
            if kinds_within(value, IN_VALUE) is not None:
                return value, True
        value = read_json(document)
    except ValueError:
        return _opened_tolerantly(words, document)
    return plain(value), _is_same(document, value)


def _opened_tolerantly(words: str, document: bytes) -> tuple[Any, bool]:
    try:
        return plain(read_json(document)), False
    except ValueError:
        return as_visible(with_joined_pairs(words)), True


def _is_same(document: bytes, value: object) -> bool:
    """Return whether a record holds *value* as any reader of *document* does."""
    try:
        return kinds_within(value, IN_VALUE) is not None and orjson.dumps(orjson.loads(document)) == encode(value)
    except (ValueError, TypeError):
        return False
