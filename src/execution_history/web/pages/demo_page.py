"""The way into the demo beside a history, and back."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from execution_history.application import Demo
from execution_history.web.demo_switch import COOKIE
from execution_history.web.pages import urls


@dataclass(frozen=True, slots=True)
class DemoPages:
    """Opens the demo for a browser, and leaves it.

    Args:
        demo: the demo beside the history.
    """

    demo: Demo

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add_api_route(urls.DEMO, self.enter, methods=["POST"])
        router.add_api_route(urls.DEMO_LEFT, self.leave, methods=["POST"])

    async def enter(self, request: Request) -> Response:
        """Open the demo, which takes some seconds at the first time, and show it to this browser."""
        del request
        await self.demo.opened()
        answer = RedirectResponse(urls.OVERVIEW, HTTPStatus.SEE_OTHER)
        answer.set_cookie(COOKIE, self.demo.token, path="/", samesite="lax", httponly=True)
        return answer

    async def leave(self, request: Request) -> Response:
        """Show this browser the history again."""
        del request
        answer = RedirectResponse(urls.OVERVIEW, HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path="/", samesite="lax", httponly=True)
        return answer
