"""Answers: stored bytes passed through, and errors that are one clear sentence in one shape."""

import logging
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execution_history import errors
from execution_history.store import Page

_log = logging.getLogger("execution_history.web")

_STATUSES: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (errors.InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input"),
    (errors.ExecutionExists, HTTPStatus.CONFLICT, "execution_exists"),
    (errors.IllegalTransition, HTTPStatus.CONFLICT, "illegal_transition"),
    (errors.AccountError, HTTPStatus.SERVICE_UNAVAILABLE, "account_not_usable"),
    (errors.SettingsError, HTTPStatus.INTERNAL_SERVER_ERROR, "settings"),
    (errors.StoreFull, HTTPStatus.INSUFFICIENT_STORAGE, "store_full"),
    (errors.StoreError, HTTPStatus.SERVICE_UNAVAILABLE, "store"),
)
_SENTENCES: Final = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address; /docs lists what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer this method; /docs lists what it does.",
}


def json_answer(content: bytes, status: int = HTTPStatus.OK) -> Response:
    """An answer whose body is JSON already."""
    return Response(content, status, media_type="application/json")


def answer(content: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    """An answer of plain values."""
    return json_answer(orjson.dumps(content), status)


def page_answer(page: Page) -> Response:
    """A page of history, its records the very bytes that are stored."""
    end = b'],"total":%d,"has_more":%s}' % (page.total, b"true" if page.has_more else b"false")
    return json_answer(b'{"success":true,"histories":[' + b",".join(page.documents) + end)


def detail_answer(document: bytes) -> Response:
    """One record, the very bytes that are stored."""
    return json_answer(b'{"success":true,"execution":' + document + b"}")


def error_answer(status: int, code: str, message: str) -> Response:
    """An error: a word for programs and a sentence for people."""
    return answer({"success": False, "error": {"code": code, "message": message}}, status)


def answer_error(request: Request, error: Exception) -> Response:
    """The answer to any exception; what was not expected is told to the log, not to the caller."""
    if isinstance(error, HTTPException):
        return _http_error(error)
    if isinstance(error, RequestValidationError):
        return error_answer(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", _validation_sentence(error))
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            return error_answer(status, code, str(error))
    _log.error("An unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    sentence = "Something went wrong in this server; its log says what."
    return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", sentence)


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    is_general = error.detail == status.phrase
    message = _SENTENCES.get(status, f"{status.phrase}.") if is_general else str(error.detail)
    reply = error_answer(status, status.name.lower(), message)
    reply.headers.update(error.headers or {})
    return reply


def _validation_sentence(error: RequestValidationError) -> str:
    """The first fault, with the name of what is wrong."""
    faults = error.errors()
    if not faults:
        return "The request is not what this address expects; /docs says what is."
    fault = faults[0]
    where = [str(part) for part in fault["loc"]]
    if fault["type"] == "json_invalid":
        return "The request body is not valid JSON."
    if where == ["body"]:
        return "The request needs a JSON object as its body, sent with Content-Type: application/json."
    name = ".".join(where[1:]) or where[0]
    problem = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name} is wrong: {problem[:1].lower()}{problem[1:]}."
