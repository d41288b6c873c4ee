"""The documentation of the API at ``/docs``, complete without the internet and without inline scripts."""

from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles


def add_docs(app: FastAPI) -> None:
    """Serve ``/docs`` from files of ours and of ``fastapi-offline``."""
    pages = files("execution_history.web").joinpath("static")
    page = pages.joinpath("docs.html").read_bytes()
    script = pages.joinpath("docs.js").read_bytes()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(script, media_type="text/javascript; charset=utf-8")

    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]))
