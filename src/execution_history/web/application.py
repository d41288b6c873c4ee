"""The application that ``serve`` runs."""

from functools import partial
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from execution_history.application import Application
from execution_history.coze import Gateway
from execution_history.web.access import AccessControl, TakenKeys
from execution_history.web.api import doctor_router, health_router, history_router
from execution_history.web.api.audit import audit_router
from execution_history.web.api.keys import keys_router
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.cross_origin import CrossOrigin
from execution_history.web.demo_switch import DemoSwitch
from execution_history.web.errors import ErrorAnswers, answer_error
from execution_history.web.observation import Observation
from execution_history.web.openapi_docs import add_docs
from execution_history.web.pages import add_pages
from execution_history.web.proxies import TrustedProxies
from execution_history.web.security import Guard, SecurityHeaders

_TAGS = [
    {"name": "history", "description": "What is kept: read it, delete it."},
    {"name": "run", "description": "Run a Coze workflow and record it."},
    {"name": "access", "description": "Who may do what, and who did: for keys with the scope admin."},
    {"name": "health", "description": "Whether this server can do its work."},
]


def create_app(application: Application, *, is_beside: bool = False) -> FastAPI:
    """Return the HTTP application for an open *application*, which the caller opens and closes.

    Args:
        application: the open parts.
        is_beside: whether they are a demo beside a history, which readers may go back to; who may come in has been
            decided there.

    All errors have the shape ``{"success": false, "error": {"code", "message"}}``.
    """
    app = _rooms(application, is_beside=is_beside)
    settings = application.settings
    # The last added is the outermost.
    if not is_beside:
        app.add_middleware(AccessControl, application.gate, lambda workflows: _rooms(application.within(workflows)))
    app.add_middleware(Guard, (settings.host, *settings.allowed_hosts), settings.allowed_origins)
    app.add_middleware(CrossOrigin, settings.allowed_origins)
    if not is_beside:
        # What is noted has the sender's address, and no key that came with the path.
        app.add_middleware(Observation)
        app.add_middleware(TakenKeys)
        app.add_middleware(TrustedProxies, settings.trusted_proxies)
    return app


def _rooms(application: Application, *, is_beside: bool = False) -> FastAPI:
    """Return everything that is behind the door: the API, the pages and the gateway."""
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
    # The gateway's answers stay as the upstream sent them.
    app.add_middleware(ErrorAnswers)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Gateway, application.upstream, application.recorder, application.workflows)
    if application.demo is not None:
        app.add_middleware(DemoSwitch, application.demo, partial(create_app, is_beside=True))
    limits = settings.reading_limits
    parts = (application.service, application.runner, application.reconciler)
    for router in (
        history_router(
            *parts, limits=limits, names=application.names, backups=application.backups, retention=application.retention
        ),
        keys_router(application.gate),
        audit_router(application.service),
        health_router(application),
        doctor_router(application.service, settings),
    ):
        _check_routes(router)
        app.routes.extend(router.routes)  # as they are: an included router is analysed a second time
    add_docs(app)

    add_pages(app, application, is_beside=is_beside)
    return app


def _check_routes(router: APIRouter) -> None:
    """Check that every route of *router* looks up the scope that it needs.

    Raises:
        TypeError: one would answer whatever the caller's key allows.
    """
    for route in router.routes:
        if not isinstance(route, HistoryRoute):
            raise TypeError(f"The route {route} is no HistoryRoute, so no scope is checked.")
