"""Errors as pages, for those who look with a browser."""

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import N_
from execution_history.web.errors import answer_error, fault_of
from execution_history.web.pages.templates import Renderer, reader_for

_OF_PROGRAMS: Final = ("/coze/", "/v1/", "/healthz", "/readyz", "/openapi.json", "/assets/")
_BAD: Final = N_("This cannot be done")
_FAULT: Final = N_("Something went wrong")
_TITLES: Final = {
    404: N_("Not found"),
    409: N_("No longer possible"),
    413: N_("Too large"),
    503: N_("Temporarily unavailable"),
}


class ErrorPages:
    """Answers errors with pages where a browser asks, and as the API does everywhere else.

    Args:
        renderer: what makes the pages.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def answer(self, request: Request, error: Exception) -> Response:
        """Return the answer to *error*; an exception handler of Starlette's kind."""
        return self.page(request, error) if wants_page(request) else answer_error(request, error)

    def page(self, request: Request, error: Exception) -> Response:
        """Render the page with what went wrong and what to do."""
        fault = fault_of(error, f"{request.method} {request.url.path}")
        translate = reader_for(request).translate
        title = _TITLES.get(fault.status, _FAULT if fault.status >= HTTPStatus.INTERNAL_SERVER_ERROR else _BAD)
        is_missing = fault.status == HTTPStatus.NOT_FOUND and isinstance(error, HTTPException)
        view = {
            "title": translate(title),
            # What the router says of addresses is written for callers of the API.
            "sentence": translate(
                "There is no page at this address, or the run or workflow it names has no record here. It may have "
                "been deleted."
            )
            if is_missing
            else fault.message,
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
