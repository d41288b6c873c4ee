"""Templates and what goes with every page: its reader, its headers, its compression."""

import gzip
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.presentation import page_formatting
from execution_history.presentation.formatting import duration, one_line, visible
from execution_history.presentation.page_translator import LANGUAGES, TAGS, isolated
from execution_history.web.pages import urls
from execution_history.web.pages.assets import Assets
from execution_history.web.pages.viewer import COOKIES, THEMES, Reader, reader_of

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # A form of the page has to say where it comes from, which browsers would not do under "no-referrer".
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache, private",
    "Vary": "Cookie, Accept-Language, Accept-Encoding",
}
_SMALL: Final = 1_000
_LEVEL: Final = 4


class Renderer:
    """Turns a template and a view into an answer."""

    def __init__(self) -> None:
        self.assets = Assets()
        self._environment = Environment(
            loader=PackageLoader("execution_history.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {
            "asset": self.assets.address,
            "modules": self.assets.modules(),
            "address": urls,
            "show": page_formatting,
            "languages": {code: LANGUAGES[code]["language.name"] for code in LANGUAGES},
            "tags": TAGS,
            "themes": THEMES,
        }
        self._environment.filters |= {"bdi": isolated, "visible": visible, "line": one_line, "duration": duration}

    def page(self, request: Request, template: str, view: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
        """The page that *template* makes of *view* for the reader who asks."""
        reader = reader_for(request)
        content = self._environment.get_template(template).render(
            {"reader": reader, "say": reader.say, "here": _here(request), **view}
        )
        return _packed(request, content.encode("utf-8", "replace"), status)


def reader_for(request: Request) -> Reader:
    """Who sends *request*."""
    cookies = {name: request.cookies.get(name, "") for name in COOKIES}
    # The browser writes a zone's slash as it is, and other programs as %2F.
    cookies["zone"] = cookies["zone"].replace("%2F", "/")
    return reader_of(cookies, request.headers.get("accept-language", ""), now_ms())


def _here(request: Request) -> str:
    """The path and query that were asked for, as they were sent."""
    raw = request.scope.get("raw_path")
    path = raw.decode("latin-1") if isinstance(raw, bytes) else urls.OVERVIEW
    return f"{path.partition('?')[0]}?{request.url.query}" if request.url.query else path.partition("?")[0]


def _packed(request: Request, content: bytes, status: int) -> Response:
    headers = dict(_HEADERS)
    if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, status, headers, "text/html; charset=utf-8")
