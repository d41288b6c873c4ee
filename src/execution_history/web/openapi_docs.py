"""The documentation of the API at ``/docs``, complete without the internet and without inline scripts."""

import os
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

_KEYS: Final[dict[str, dict[str, str]]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of this server, as Authorization: Bearer eh_…; it needs none until the first is made.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Execution-History-Key",
        "description": "The same key, where Authorization is Coze's.",
    },
}
"""How a key is sent, in the terms of OpenAPI."""


def add_docs(app: FastAPI) -> None:
    """Serve ``/docs`` from files of ours and of ``fastapi-offline``, and describe how a key is sent."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["components"]["securitySchemes"] = _KEYS
        document["security"] = [{}, *({name: []} for name in _KEYS)]
        return document

    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI documents
    pages = files("execution_history.web").joinpath("static")
    page = pages.joinpath("docs.html").read_bytes()
    script = pages.joinpath("docs.js").read_bytes()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(script, media_type="text/javascript; charset=utf-8")

    app.mount("/docs/assets", _Assets(packages=[("fastapi_offline", "static")]))


class _Assets(StaticFiles):
    """Files of a package; a name with a NUL character, which older Starlettes pass to the system, is not found."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the full path and the state of a file, empty where there is none."""
        return ("", None) if "\0" in path else super().lookup_path(path)
