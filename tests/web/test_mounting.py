"""The routes in an application of yours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from execution_history import ExecutionHistoryService
from execution_history.web import create_app, history_router
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _mounted(prefix: str = "/coze") -> AsyncIterator[tuple[ExecutionHistoryService, httpx.AsyncClient]]:
    async with ExecutionHistoryService("memory:") as service:
        app = FastAPI()

        @app.get("/coze/mine")
        async def mine() -> dict[str, bool]:
            return {"mine": True}

        app.include_router(history_router(service, prefix=prefix))
        inner = FastAPI()
        inner.include_router(history_router(service, prefix=""))
        app.mount("/inner", inner)
        async with served(app) as base, httpx.AsyncClient(base_url=base) as client:
            yield service, client


async def test_histories_are_served_under_a_prefix_of_yours() -> None:
    """Any id included; also in an application that is mounted within another."""
    async with _mounted("/api/runs") as (service, client):
        await service.create_execution_record("a/b", "x")
        for path in ("/api/runs/workflows/a%2Fb/history", "/inner/workflows/a%2Fb/history"):
            assert 1 == (await client.get(path)).json()["total"]


async def test_our_routes_keep_our_error_shape() -> None:
    """Without a runner, the run routes answer with a sentence."""
    cases: list[tuple[str, str, bytes | None, int, str]] = [
        ("GET", "/coze/workflows/w/history?page_size=0", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history/missing", None, 404, "not_found"),
        ("PUT", "/coze/workflows/w/history", None, 405, "method_not_allowed"),
        ("DELETE", "/coze/workflows/w/history/", None, 404, "not_found"),
        ("POST", "/coze/workflows/w/run", b"{", 422, "invalid_input"),
        ("POST", "/coze/workflows/w/run", b" " * (21 * 1024 * 1024), 413, "body_too_large"),
        ("POST", "/coze/workflows/w/run", b"{}", 503, "account_not_usable"),
        ("POST", "/coze/workflows/stream_run", b'{"workflow_id": "w"}', 503, "account_not_usable"),
    ]
    async with _mounted() as (_, client):
        for method, path, content, status, code in cases:
            answer = await client.request(method, path, content=content, headers={"Content-Type": "application/json"})
            error = answer.json()
            assert (status, False, code) == (answer.status_code, error["success"], error["error"]["code"]), path


async def test_what_is_yours_stays_as_it_was() -> None:
    """Your routes beside ours, your errors, your documentation."""
    async with _mounted() as (_, client):
        assert {"mine": True} == (await client.get("/coze/mine")).json()
        assert {"detail": "Not Found"} == (await client.get("/elsewhere")).json()
        assert {"detail": "Method Not Allowed"} == (await client.put("/coze/mine")).json()
        assert "/coze/workflows/{workflow_id}/history" in (await client.get("/openapi.json")).json()["paths"]


async def test_a_route_is_analysed_when_it_is_first_called(shared_web: Served) -> None:
    """Whoever starts a server, or comes with a key that sees some workflows only, does not wait for all the others."""

    def analysed(routes: list[BaseRoute]) -> set[str]:
        return {vars(route)["path_format"] for route in routes if "body_field" in vars(route)}

    app = create_app(shared_web.application)
    of_docs = {"/docs", "/docs/start.js"}
    assert of_docs == analysed(app.routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://history.test") as client:
        assert 200 == (await client.get("/coze/workflows/w/history")).status_code
        assert of_docs | {"/coze/workflows/{workflow_id}/history"} == analysed(app.routes)
        assert 200 == (await client.get("/openapi.json")).status_code
