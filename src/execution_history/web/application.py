"""The application that ``serve`` runs."""

from http import HTTPStatus
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from execution_history.web.answers import answer, answer_error
from execution_history.web.docs import add_docs
from execution_history.web.routes import history_router
from execution_history.web.security import Guard
from execution_history.wiring import Application


def create_app(application: Application) -> FastAPI:
    """The HTTP application on what *application* holds; opening and closing that is the caller's.

    All errors have the shape ``{"success": false, "error": {"code", "message"}}``.
    """
    app = FastAPI(
        title="execution-history",
        version=version("execution-history"),
        description="The history of every Coze workflow run, kept on your own disk.",
        docs_url=None,
        redoc_url=None,
    )
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer_error)
    app.add_middleware(Guard, hosts=(application.settings.host, *application.settings.allowed_hosts))
    app.include_router(history_router(application.service, application.runner))
    _add_health(app, application)
    add_docs(app)

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("/docs")

    return app


def _add_health(app: FastAPI, application: Application) -> None:
    @app.get("/healthz", tags=["health"], summary="Whether the process is alive")
    async def healthz() -> Response:
        """Always the same answer, at no cost."""
        return answer({"status": "ok"})

    @app.get("/readyz", tags=["health"], summary="Whether runs can be recorded and read now")
    async def readyz() -> Response:
        """Reads and writes the store; 503 with a sentence for each problem otherwise."""
        health = await application.service.health()
        problems = [*health.problems, *application.recorder.problems()]
        if not problems:
            return answer({"status": "ok", "problems": []})
        return answer({"status": "not ready", "problems": problems}, HTTPStatus.SERVICE_UNAVAILABLE)
