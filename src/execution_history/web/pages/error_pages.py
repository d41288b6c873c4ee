"""Errors as pages, for those who look with a browser."""

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execution_history.presentation.page_error_messages import sentence_of
from execution_history.web.errors import answer_error, fault_of
from execution_history.web.pages.templates import Renderer, reader_for

_OF_PROGRAMS: Final = ("/coze/", "/v1/", "/healthz", "/readyz", "/openapi.json", "/assets/")
_KINDS: Final = {400: "bad", 404: "missing", 405: "bad", 409: "conflict", 413: "large", 422: "bad", 503: "unavailable"}


class ErrorPages:
    """Answers errors with pages where a browser asks, and as the API does everywhere else.

    Args:
        renderer: what makes the pages.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def answer(self, request: Request, error: Exception) -> Response:
        """The answer to *error*; an exception handler of Starlette's kind."""
        return self.page(request, error) if wants_page(request) else answer_error(request, error)

    def page(self, request: Request, error: Exception) -> Response:
        """The page that says what went wrong and what to do."""
        fault = fault_of(error, f"{request.method} {request.url.path}")
        say = reader_for(request).say
        kind = _KINDS.get(fault.status, "fault" if fault.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad")
        view = {
            "title": say(f"error.{kind}"),
            # What the router says of addresses is written for callers of the API.
            "sentence": say("error.missing.sentence")
            if kind == "missing" and isinstance(error, HTTPException)
            else sentence_of(say, error, fault.message),
            "status": fault.status,
            "code": fault.code,
        }
        answer = self._renderer.page(request, "error.html", view, fault.status)
        answer.headers.update(dict(fault.headers))
        return answer


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page, rather than a program for an answer."""
    accepts = request.headers.get("accept", "")
    return "text/html" in accepts and not request.url.path.startswith(_OF_PROGRAMS)
