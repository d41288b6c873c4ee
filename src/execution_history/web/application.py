"""The application that ``serve`` runs."""

from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from execution_history.application import Application
from execution_history.coze import Gateway
from execution_history.web.api import health_router, history_router
from execution_history.web.errors import ErrorAnswers, answer_error
from execution_history.web.openapi_docs import add_docs
from execution_history.web.pages import add_pages
from execution_history.web.security import Guard, SecurityHeaders

_TAGS = [
    {"name": "history", "description": "What is kept: read it, delete it."},
    {"name": "run", "description": "Run a Coze workflow and record it."},
    {"name": "health", "description": "Whether this server can do its work."},
]


class _GuardedApp(FastAPI):
    """An application whose outermost layers are ours: what the gateway answers passes none of FastAPI's."""

    outermost: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer through the outermost layer."""
        await (self.outermost or super().__call__)(scope, receive, send)


def create_app(application: Application) -> FastAPI:
    """Return the HTTP application for an open *application*, which the caller opens and closes.

    All errors have the shape ``{"success": false, "error": {"code", "message"}}``.
    """
    app = _GuardedApp(
        title="execution-history",
        version=version("execution-history"),
        description="The history of every Coze workflow run, kept on your own disk.",
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        # Redirecting a misspelt address could turn a call into another one.
        redirect_slashes=False,
    )
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_error)
    # The last added is the outermost. The gateway's answers stay as the upstream sent them.
    app.add_middleware(ErrorAnswers)
    app.add_middleware(SecurityHeaders)
    gateway = Gateway(partial(FastAPI.__call__, app), application.upstream, application.recorder)
    app.outermost = Guard(gateway, (application.settings.host, *application.settings.allowed_hosts))
    limits = application.settings.reading_limits
    app.include_router(history_router(application.service, application.runner, application.reconciler, limits=limits))
    app.include_router(health_router(application.service, application.recorder))
    add_docs(app)

    add_pages(app, application)
    return app
