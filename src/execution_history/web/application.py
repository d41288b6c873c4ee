"""The application that ``serve`` runs."""

from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from execution_history.application import Application
from execution_history.coze import Gateway
from execution_history.web.api import doctor_router, health_router, history_router
from execution_history.web.cross_origin import CrossOrigin
from execution_history.web.demo_switch import DemoSwitch
from execution_history.web.errors import ErrorAnswers, answer_error
from execution_history.web.observation import Observation
from execution_history.web.openapi_docs import add_docs
from execution_history.web.pages import add_pages
from execution_history.web.security import Guard, SecurityHeaders

_TAGS = [
    {"name": "history", "description": "What is kept: read it, delete it."},
    {"name": "run", "description": "Run a Coze workflow and record it."},
    {"name": "health", "description": "Whether this server can do its work."},
]


def create_app(application: Application, *, is_beside: bool = False) -> FastAPI:
    """Return the HTTP application for an open *application*, which the caller opens and closes.

    Args:
        application: the open parts.
        is_beside: whether they are a demo beside a history, which readers may go back to.

    All errors have the shape ``{"success": false, "error": {"code", "message"}}``.
    """
    app = FastAPI(
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
    settings = application.settings
    # The last added is the outermost. The gateway's answers stay as the upstream sent them.
    app.add_middleware(ErrorAnswers)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Gateway, application.upstream, application.recorder)
    app.add_middleware(Guard, (settings.host, *settings.allowed_hosts), settings.allowed_origins)
    app.add_middleware(CrossOrigin, settings.allowed_origins)
    if not is_beside:  # the history's has observed it already
        app.add_middleware(Observation)
    if application.demo is not None:
        app.add_middleware(DemoSwitch, application.demo, partial(create_app, is_beside=True))
    limits = settings.reading_limits
    parts = (application.service, application.runner, application.reconciler)
    app.include_router(
        history_router(
            *parts, limits=limits, names=application.names, backups=application.backups, retention=application.retention
        )
    )
    app.include_router(health_router(application))
    app.include_router(doctor_router(application.service, settings))
    add_docs(app)

    add_pages(app, application, is_beside=is_beside)
    return app
