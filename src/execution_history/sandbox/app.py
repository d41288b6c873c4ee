"""The sandbox as an ASGI application."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from execution_history.sandbox.coze_dialect import CozeDialect
from execution_history.sandbox.coze_routes import CozeRoutes
from execution_history.sandbox.dialect import Dialect, Flavour
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.errors import INTERNAL, STUDIO_FAULT, Refusal, RefusedError
from execution_history.sandbox.middleware import BearerToken, CollapsedSlashes, LogId
from execution_history.sandbox.responses import json_response
from execution_history.sandbox.studio_dialect import StudioDialect
from execution_history.sandbox.studio_routes import StudioRoutes

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105  public on purpose: the sandbox guards nothing
DEFAULT_DELAY_MS = 1_000
DEFAULT_PACE_MS = 50

_Handler = Callable[[Request, Exception], Awaitable[Response]]


def create_sandbox(
    token: str = DEFAULT_TOKEN,
    *,
    delay_ms: int = DEFAULT_DELAY_MS,
    pace_ms: int = DEFAULT_PACE_MS,
    flavour: Flavour = "coze",
) -> Starlette:
    """Return an application that speaks the Coze workflow API offline.

    Args:
        token: the bearer token every request must carry; not empty.
        delay_ms: how long the workflows that are meant to be slow take, in milliseconds, unless a run sets it.
        pace_ms: milliseconds between two packets of a message, unless a run sets it.
        flavour: ``coze`` for what coze.cn answers, ``studio`` for what Coze Studio does.

    ``WORKFLOWS`` lists what it can run. Executions are kept in memory and forgotten with the application.

    Raises:
        ValueError: the token is empty.

    """
    return sandbox_application(Engine(delay_ms=delay_ms, pace_ms=pace_ms), token, flavour)


def sandbox_application(engine: Engine, token: str, flavour: Flavour = "coze") -> Starlette:
    """Return the application around ``engine``, which it closes when its lifespan ends.

    Raises:
        ValueError: the token is empty.

    """
    if not token:
        raise ValueError("The sandbox needs a token that is not empty.")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await engine.aclose()

    dialect: Dialect = StudioDialect() if flavour == "studio" else CozeDialect()
    routes = StudioRoutes(engine, dialect) if flavour == "studio" else CozeRoutes(engine, dialect)
    app = Starlette(
        routes=routes.table(),
        middleware=[
            Middleware(LogId, engine.ids.log_id, dialect.log_id_header),
            Middleware(CollapsedSlashes),
            Middleware(BearerToken, token, dialect),
        ],
        exception_handlers=_exception_handlers(dialect),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _exception_handlers(dialect: Dialect) -> Mapping[type[Exception], _Handler]:
    def answer(request: Request, refusal: Refusal) -> Response:
        if refusal.code is None:
            return Response(refusal.message, refusal.status, media_type="text/html")
        return json_response(*dialect.refused(request.state.log_id, refusal))

    async def answer_refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, RefusedError):
            raise error
        return answer(request, error.refusal)

    async def answer_http_exception(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        reason = f"{request.method} {request.url.path}: {error.detail}."
        return answer(request, dialect.no_such_path(error.status_code, reason))

    async def answer_nobody(_: Request, _error: Exception) -> Response:
        return Response()

    async def answer_error(request: Request, _: Exception) -> Response:
        message = "The sandbox has a fault; see its log."
        fault = answer(request, Refusal(INTERNAL, message, 500, in_studio=STUDIO_FAULT))
        fault.headers[dialect.log_id_header] = request.state.log_id  # Starlette answers outside our middleware
        return fault

    return {
        RefusedError: answer_refused,
        HTTPException: answer_http_exception,
        ClientDisconnect: answer_nobody,
        Exception: answer_error,
    }
