"""The kind of route that the pages are made of: any text in its path, and errors as pages."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.errors import InvalidInput
from execution_history.web.api.route_class import HistoryRoute

_MOST_FIELDS = 1_000

ErrorPage = Callable[[Request, Exception], Response]


def pages_router(error_page: ErrorPage) -> APIRouter:
    """Return an empty router whose routes answer every exception with what *error_page* makes of it."""

    class PageRoute(HistoryRoute):
        """A route of the page."""

        def error_answer(self, request: Request, error: Exception) -> Response:
            """Return the error as a page."""
            return error_page(request, error)

    return APIRouter(route_class=PageRoute, include_in_schema=False)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; of several of one name the last.

    Raises:
        InvalidInput: the body is no such form.
    """
    return {name: values[-1] for name, values in (await fields_of(request)).items()}


async def fields_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form as browsers send it by default, each with all its values.

    Raises:
        InvalidInput: the body is no such form.
    """
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput("The form cannot be read: it is text in UTF-8 with at most a thousand fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def query(request: Request, name: str) -> str:
    """Return the query parameter *name*; empty when there is none."""
    found: Any = request.query_params.get(name, "")
    return str(found)


def whole_number(request: Request, name: str, most: int) -> int:
    """Return the query parameter *name* as a number from 0 to *most*; 0 when it is none."""
    text = query(request, name)
    return min(int(text), most) if text.isascii() and text.isdecimal() and len(text) < 16 else 0  # noqa: PLR2004
