"""Routes whose parameters may hold anything, slashes and percent signs included.

Servers decode a path before it is matched, and a slash that was ``%2F`` would then divide it. A route of
this kind is matched against the path as it was sent, in which those two characters are still written out.
"""

import re
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from execution_history.web.answers import answer_error

_KEPT: Final = re.compile(rb"%(2[Ff5])")


class HistoryRoute(APIRoute):
    """A route that keeps encoded slashes within a parameter, and answers errors in our shape wherever it is mounted."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match *scope* by its undecoded path."""
        match, child = super().matches({**scope, "path": _careful_path(scope)})
        parameters = child.get("path_params")
        if parameters:
            child["path_params"] = {
                key: unquote(value) if isinstance(value, str) else value for key, value in parameters.items()
            }
        return match, child

    def get_route_handler(self) -> Any:  # noqa: ANN401 - FastAPI's own type is a coroutine it does not name
        """The handler, with every exception turned into an answer."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # noqa: BLE001 - each has its answer, the unexpected one is logged there
                return answer_error(request, error)

        return answered


def _careful_path(scope: Scope) -> str:
    """The decoded path in which an encoded slash or percent sign stays encoded."""
    raw = scope.get("raw_path")
    if not isinstance(raw, bytes) or b"%" not in raw:
        return str(scope["path"]).replace("%", "%25")
    path = _KEPT.sub(rb"%25\1", raw.partition(b"?")[0])
    return unquote_to_bytes(path).decode("utf-8", "replace")
