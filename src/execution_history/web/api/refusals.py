"""Answers for the methods that an address does not have, with all that it has: the application would name some only."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from execution_history.web.api.route_class import HistoryRoute


class RefusalRoute(HistoryRoute):
    """The last route of a path, which takes whatever method the others have left, from whoever came in."""

    is_scoped = False

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match *scope* by its path alone."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whatever the method is."""
        await self.app(scope, receive, send)


def add_refusals(router: APIRouter, *nowhere: str) -> None:
    """Add to each path of *router* the answer for all other methods, and to the paths *nowhere* that for every one."""
    allowed: dict[str, set[str]] = {}
    for route in router.routes:
        if isinstance(route, APIRoute):
            allowed.setdefault(route.path.removeprefix(router.prefix), set()).update(route.methods or ())
    allowed |= {path: set() for path in nowhere}
    # Whole names first: a path with a parameter in their place matches them too.
    for path, methods in sorted(allowed.items(), key=lambda each: "{" in each[0]):
        router.add_api_route(
            path,
            _refuse(methods),
            methods=["HEAD"],
            include_in_schema=False,
            response_model=None,
            route_class_override=RefusalRoute,
        )


def _refuse(methods: set[str]) -> Callable[[], Awaitable[Response]]:
    """Return an endpoint that raises 405 with the *methods* that exist, or 404 where there are none."""

    async def refused() -> Response:
        if methods:
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(methods))})
        raise HTTPException(HTTPStatus.NOT_FOUND)

    return refused
