"""The demo beside a history, on the same address: whoever has its cookie sees it instead of the history."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from execution_history.application import Application, Demo
from execution_history.coze.gateway_refusals import gateway_path

COOKIE: Final = "demo"
"""Holds the token of the demo that a browser looks at, until it is closed."""

IS_DEMO: Final = "execution_history.demo"
"""The key of a request's scope that is there where the demo beside a history answers it."""

_OWN: Final = ("/demo", "/healthz", "/readyz", "/metrics", "/sign-", "/keys", "/audit", "/coze/keys", "/coze/audit")
"""Paths that the history always answers."""


class DemoSwitch:
    """Passes requests of browsers that look at the demo to it; programs have no cookie, and call the history.

    Args:
        app: the application of the history.
        demo: the demo beside it.
        create_app: returns the application for an open demo.
    """

    def __init__(self, app: ASGIApp, demo: Demo, create_app: Callable[[Application], ASGIApp]) -> None:
        self._app = app
        self._demo = demo
        self._create_app = create_app
        self._of_demo: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by one of the two."""
        application = self._demo.application
        if application is None or scope["type"] != "http" or not self._is_for_demo(scope):
            await self._app(scope, receive, send)
            return
        if self._of_demo is None:
            self._of_demo = self._create_app(application)
        await self._of_demo({**scope, IS_DEMO: True}, receive, send)

    def _is_for_demo(self, scope: Scope) -> bool:
        if scope["path"].startswith(_OWN) or gateway_path(scope) is not None:
            return False
        return Request(scope).cookies.get(COOKIE) == self._demo.token
