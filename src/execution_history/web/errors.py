"""Errors as answers: ``{"success": false, "error": {"code", "message"}}`` with a fitting status."""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from execution_history import errors
from execution_history.errors import Message, message_of, quoted
from execution_history.presentation.validation_errors import validation_message
from execution_history.request_id import current_request_id
from execution_history.web.responses import answer, translator_for

_log = logging.getLogger("execution_history.web")

# pydantic's names for the shapes that a value may have, in the location of an error.
_SHAPE: Final = re.compile(r"(?:list|dict|set|tuple|function-\w+)\[|[A-Z]\w*Change$")

# The first match counts, so a subclass stands before its base class.
_KINDS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (errors.UnknownAccount, HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_account"),
    (errors.AmbiguousName, HTTPStatus.CONFLICT, "ambiguous_name"),
    (errors.InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input"),
    (errors.ExecutionNotFound, HTTPStatus.NOT_FOUND, "not_found"),
    (errors.ViewNotFound, HTTPStatus.NOT_FOUND, "view_not_found"),
    (errors.ViewChanged, HTTPStatus.CONFLICT, "view_changed"),
    (errors.KeyNotFound, HTTPStatus.NOT_FOUND, "key_not_found"),
    (errors.NotSignedIn, HTTPStatus.UNAUTHORIZED, "not_signed_in"),
    (errors.NotAllowed, HTTPStatus.FORBIDDEN, "not_allowed"),
    (errors.BodyTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large"),
    (errors.ExportFailed, HTTPStatus.INSUFFICIENT_STORAGE, "export_failed"),
    (errors.ExecutionExists, HTTPStatus.CONFLICT, "execution_exists"),
    (errors.IllegalTransition, HTTPStatus.CONFLICT, "illegal_transition"),
    (errors.AccountError, HTTPStatus.SERVICE_UNAVAILABLE, "account_not_usable"),
    (errors.NotInterrupted, HTTPStatus.CONFLICT, "not_interrupted"),
    (errors.InputsWithheld, HTTPStatus.CONFLICT, "inputs_withheld"),
    (errors.PriceChanged, HTTPStatus.CONFLICT, "price_changed"),
    (errors.UpstreamRefused, HTTPStatus.BAD_GATEWAY, "upstream_refused"),
    (errors.SettingsError, HTTPStatus.INTERNAL_SERVER_ERROR, "settings"),
    (errors.StoreFull, HTTPStatus.INSUFFICIENT_STORAGE, "store_full"),
    (errors.StoreBusy, HTTPStatus.SERVICE_UNAVAILABLE, "store_busy"),
    (errors.StoreUnwritable, HTTPStatus.SERVICE_UNAVAILABLE, "store_unwritable"),
    (errors.RecordDamaged, HTTPStatus.INTERNAL_SERVER_ERROR, "record_damaged"),
    (errors.StoreDamaged, HTTPStatus.SERVICE_UNAVAILABLE, "store_damaged"),
    (errors.StoreTooNew, HTTPStatus.SERVICE_UNAVAILABLE, "store_too_new"),
    (errors.StoreClosed, HTTPStatus.SERVICE_UNAVAILABLE, "store_closed"),
    (errors.StoreError, HTTPStatus.SERVICE_UNAVAILABLE, "store"),
    (errors.ExecutionHistoryError, HTTPStatus.INTERNAL_SERVER_ERROR, "internal"),
)
# Our own codes: Python's names for statuses change between its versions.
_CODES: Final = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_SENTENCES: Final = {
    400: Message("The request body cannot be read: it is JSON in UTF-8, not nested thousands of levels deep."),
    404: Message("There is nothing at this address; /docs lists what there is."),
    405: Message("This address does not answer this method; /docs lists what it does."),
}


NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a caller gets it: a status, a code for programs and a sentence for people."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, headers: Mapping[str, str] = NO_HEADERS) -> Response:
        """Return the fault as an answer, in the language that the *headers* of the request prefer."""
        message = translator_for(headers).message(self.message)
        return answer({"success": False, "error": error_content(self.code, message)}, self.status, self.headers)


def error_content(code: str, message: str) -> dict[str, Any]:
    """Return an error in JSON, with the id under which the log has what belongs to the request."""
    request_id = current_request_id()
    return {"code": code, "message": message, **({} if request_id is None else {"request_id": request_id})}


# A request is only cancelled when the server stops.
_STOPPING: Final = Fault(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "stopping",
    Message("The server is stopping and did not do this: send it again once the server is back."),
)


def fault_of(error: Exception, place: str) -> Fault:
    """Return the fault for *error*; an unexpected error is logged with *place*, and not described to the caller."""
    if isinstance(error, HTTPException):
        return _http_fault(error)
    if isinstance(error, RequestValidationError):
        return Fault(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", _validation_sentence(error))
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return Fault(status, code, message_of(error))
    _log.error("An unexpected error in %s", quoted(place), exc_info=error)
    return Fault(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal", Message("Something went wrong in this server; its log says what.")
    )


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer for any exception, in the caller's language; usable as a Starlette exception handler."""
    return fault_of(error, f"{request.method} {request.url.path}").answer(request.headers)


class ErrorAnswers:
    """Middleware that turns what the application raises into an answer.

    It stands inside the guard, so that these answers have the guard's headers too; Starlette's own last resort is
    outside of all other middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer where that raises before an answer has begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: ASGIMessage) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if has_begun:
                raise
            await _STOPPING.answer(Headers(scope=scope))(scope, receive, send)
        except Exception as error:
            if has_begun:
                raise
            await answer_error(Request(scope), error)(scope, receive, send)


def _http_fault(error: HTTPException) -> Fault:
    status = error.status_code
    is_general = status == HTTPStatus.BAD_REQUEST or error.detail == HTTPStatus(status).phrase
    message = _SENTENCES.get(status, f"{HTTPStatus(status).phrase}.") if is_general else error.detail
    return Fault(status, _CODES.get(status, f"http_{status}"), message, error.headers or {})


def _validation_sentence(error: RequestValidationError) -> str:
    """Return the sentence for the most specific error, with the name of the wrong value."""
    faults = error.errors()
    if not faults:
        return Message("The request is not what this address expects; /docs says what is.")
    # Where a value may have several shapes there is an error for each; the deepest belongs to the intended shape.
    fault = max(faults, key=lambda each: len(each["loc"]))
    where = [str(part) for part in fault["loc"] if not _SHAPE.match(str(part))]
    if fault["type"] == "json_invalid":
        return Message("The request body is not valid JSON.")
    if where == ["body"]:
        return Message("The request needs a JSON object as its body, sent with Content-Type: application/json.")
    # A name may be a key of the caller's, of any length.
    name = quoted(".".join(where[1:]) or where[0])[1:-1]
    return validation_message(name, fault["type"], fault.get("ctx", {}))
