"""The routes, over a socket, as existing callers and curl use them."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from fastapi import FastAPI

from execution_history import ExecutionHistoryService
from execution_history.web import history_router
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio

_SHORT, _LONG, _QUESTION, _REJECTED = (f"700000000000000000{number}" for number in (1, 2, 5, 4))


async def _frames(web: Served, body: dict[str, Any], **parameters: str) -> list[Any]:
    answer = await web.client.post("/coze/workflows/stream_run", json=body, params=parameters)
    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    lines = [line for line in answer.text.split("\n") if line]
    assert "data: [DONE]" == lines[-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def test_a_streamed_run_is_answered_recorded_and_listed(web: Served) -> None:
    """The frames, then the same run in the list and alone."""
    frames = await _frames(web, {"workflow_id": _LONG, "parameters": {"pace_ms": 0}, "conversation_id": "c"})
    started = frames[0]
    assert ("workflow_started", _LONG, {"pace_ms": 0}) == (
        started["event"], started["data"]["workflow_id"], started["data"]["parameters"],
    )  # fmt: skip
    page = (await web.client.get(f"/coze/workflows/{_LONG}/history")).json()
    assert ["success", "histories", "total", "has_more"] == list(page)
    record = page["histories"][0]
    assert (started["data"]["execution_id"], "success", "c") == (
        record["execute_id"], record["execute_status"], record["conversation_id"],
    )  # fmt: skip
    alone = (await web.client.get(f"/coze/workflows/{_LONG}/history/{record['execute_id']}")).json()
    assert {"success": True, "execution": record} == alone


async def test_a_rejected_stream_ends_with_an_error_frame(web: Served) -> None:
    """And is recorded as failed."""
    frames = await _frames(web, {"workflow_id": _REJECTED})
    assert ["workflow_started", "error"] == [frame["event"] for frame in frames]
    assert {"message", "type"} == set(frames[-1]["data"])


async def test_a_run_is_answered_as_json(web: Served) -> None:
    """Its result, and whether it succeeded."""
    answer = (await web.client.post(f"/coze/workflows/{_SHORT}/run", json={"parameters": {"a": "b"}})).json()
    assert (True, "success") == (answer["success"], answer["status"])
    assert "execution_id" in answer
    failed = await web.client.post(f"/coze/workflows/{_REJECTED}/run", json={})
    assert (200, False, "failed") == (failed.status_code, failed.json()["success"], failed.json()["status"])


async def test_a_first_frame_comes_before_the_run_ends(web: Served) -> None:
    """Nothing is held back; a caller who leaves does not end the recording."""
    body = {"workflow_id": _LONG, "parameters": {"pace_ms": 100}}
    async with web.client.stream("POST", "/coze/workflows/stream_run", json=body) as answer:
        async for line in answer.aiter_lines():
            if "Message" in line:
                break
        record = (await web.application.service.get_execution_history(_LONG))["histories"][0]
        assert "running" == record["execute_status"]
    async with asyncio.timeout(20):
        while (await web.application.service.workflow_summaries())[0].counts["success"] == 0:
            await asyncio.sleep(0.02)


async def test_pages_pass_stored_bytes_through(web: Served) -> None:
    """Byte for byte, with paging and exact totals."""
    for number in range(5):
        await web.application.service.create_execution_record("w", f"e{number}", {"文": "字\u2028"})
    answer = await web.client.get("/coze/workflows/w/history?page_size=2&page_index=2")
    stored = [await web.application.service.detail_bytes("w", name) for name in ("e2", "e1")]
    assert (
        b'{"success":true,"histories":[' + b",".join(body or b"" for body in stored) + b'],"total":5,"has_more":true}'
        == answer.content
    )


async def test_workflows_are_listed_with_counts(web: Served) -> None:
    """Per status, with the last run."""
    assert {"success": True, "workflows": [], "total": 0} == (await web.client.get("/coze/workflows")).json()
    await web.application.service.create_execution_record("w")
    listed = (await web.client.get("/coze/workflows?account_id=other")).json()["workflows"]
    assert [("w", 1, 1)] == [(entry["workflow_id"], entry["total"], entry["counts"]["running"]) for entry in listed]
    assert listed[0]["last_create_time"] > 10**12


async def test_records_and_histories_are_deleted(web: Served) -> None:
    """Once; then there is nothing."""
    for name in ("a", "b"):
        await web.application.service.create_execution_record("w", name)
    paths = ["/coze/workflows/w/history/a"] * 2 + ["/coze/workflows/w/history"] * 2
    statuses = [(await web.client.delete(path)).status_code for path in paths]
    assert [200, 404, 200, 404] == statuses


@pytest.mark.parametrize(
    "workflow_id",
    ["../../etc/passwd", "a/b", "a%2Fb", "%", "工作流", "😀", "a b?c#d", "stream_run", "history", "a/history/b"],
)
async def test_any_id_can_stand_in_a_path(web: Served, workflow_id: str) -> None:
    """Percent-encoded, slashes included."""
    made = await web.application.service.create_execution_record(workflow_id, "x/y%2F")
    name = quote(workflow_id, safe="")
    listed = (await web.client.get(f"/coze/workflows/{name}/history")).json()
    assert [made] == listed["histories"]
    alone = (await web.client.get(f"/coze/workflows/{name}/history/{quote('x/y%2F', safe='')}")).json()
    assert made == alone["execution"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("GET", "/coze/workflows/w/history/missing", None, 404, "not_found"),
        ("PUT", "/coze/workflows/w/history", None, 405, "method_not_allowed"),
        ("GET", "/coze/workflows/w/history?page_size=0", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history?page_size=101", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history?page_index=abc", None, 422, "invalid_input"),
        ("POST", "/coze/workflows/stream_run", b"{", 422, "invalid_input"),
        ("POST", "/coze/workflows/stream_run", b"{}", 422, "invalid_input"),
        ("POST", "/coze/workflows/stream_run", b'{"workflow_id": ""}', 422, "invalid_input"),
        ("POST", "/coze/workflows/stream_run", b'{"workflow_id": "w", "parameters": [1]}', 422, "invalid_input"),
        ("POST", "/coze/workflows/stream_run?account_id=x", b'{"workflow_id": "w"}', 503, "account_not_usable"),
        ("POST", "/coze/workflows/w/run", b" " * (21 * 1024 * 1024), 413, "request_entity_too_large"),
    ],
)
async def test_errors_have_one_shape_and_the_right_status(
    web: Served, method: str, path: str, content: bytes | None, status: int, code: str
) -> None:
    """A word for programs, a sentence for people, never a traceback."""
    answer = await web.client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    error = answer.json()
    assert (status, False, code) == (answer.status_code, error["success"], error["error"]["code"])
    assert error["error"]["message"].endswith(".")
    assert {"success", "error"} == set(error)


async def test_a_body_without_a_length_is_limited_too(web: Served) -> None:
    """Chunked transfer cannot go round the limit."""

    async def endless() -> Any:
        for _ in range(25):
            yield b" " * 1024 * 1024

    answer = await web.client.post(
        "/coze/workflows/w/run", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert 413 == answer.status_code


async def test_an_unexpected_error_is_a_500_with_a_sentence(web: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Its details are for the log."""

    async def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret detail")

    web.application.service.page_bytes = broken  # type: ignore[method-assign, assignment]
    answer = await web.client.get("/coze/workflows/w/history")
    assert (500, "internal") == (answer.status_code, answer.json()["error"]["code"])
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


async def test_a_foreign_host_or_origin_is_refused(web: Served) -> None:
    """Names that are ours, or set, are not."""

    async def status(method: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await web.client.request(method, "/coze/workflows/w/history", headers=named)).status_code

    assert [421, 421] == [
        await status("GET", host="evil.example"),
        await status("GET", host="localhost.evil.example:80"),
    ]
    assert [200, 200, 200] == [await status("GET", host=name) for name in ("localhost:1", "history.test", "[::1]:8")]
    assert [403, 403, 403, 403] == [
        await status("DELETE", origin="http://evil.example"),
        await status("DELETE", origin="null"),
        await status("DELETE", sec_fetch_site="cross-site"),
        await status("DELETE", host="localhost:1", origin="http://localhost:2"),
    ]
    assert 404 == await status("DELETE", host="localhost:1", origin="http://localhost:1", sec_fetch_site="same-origin")
    assert 200 == await status("GET", origin="http://evil.example")


async def test_health_says_whether_runs_can_be_recorded(web: Served) -> None:
    """Alive is one thing, ready another."""
    assert 200 == (await web.client.get("/healthz")).status_code
    assert 200 == (await web.client.get("/readyz")).status_code
    await web.application.service.store.aclose()
    answer = await web.client.get("/readyz")
    assert (503, 1) == (answer.status_code, len(answer.json()["problems"]))


async def test_the_documentation_needs_nothing_from_elsewhere(web: Served) -> None:
    """Every file it names is here, and no script stands in the page."""
    page = await web.client.get("/docs")
    assert "http" not in page.text.replace(str(web.client.base_url), "")
    assert (
        "script-src" in page.headers["content-security-policy"]
        or "default-src 'self'" in page.headers["content-security-policy"]
    )
    for name in ("docs/assets/swagger-ui.css", "docs/assets/swagger-ui-bundle.js", "docs/start.js", "openapi.json"):
        assert name in page.text or name == "openapi.json"
        assert 200 == (await web.client.get("/" + name)).status_code
    paths = (await web.client.get("/openapi.json")).json()["paths"]
    assert {
        "/coze/workflows", "/coze/workflows/{workflow_id}/history",
        "/coze/workflows/{workflow_id}/history/{execute_id}",
        "/coze/workflows/stream_run", "/coze/workflows/{workflow_id}/run", "/healthz", "/readyz",
    } == set(paths)  # fmt: skip
    assert all(operation["summary"] for methods in paths.values() for operation in methods.values())


async def test_the_routes_can_be_mounted_in_an_application_of_yours(tmp_path: Path) -> None:
    """With our error shape for our routes, and without touching the others."""
    app = FastAPI()
    async with ExecutionHistoryService(tmp_path / "h") as service:
        app.include_router(history_router(service))
        await service.create_execution_record("a/b", "x")
        async with served(app) as base, httpx.AsyncClient(base_url=base) as client:
            assert 1 == (await client.get("/coze/workflows/a%2Fb/history")).json()["total"]
            wrong = await client.get("/coze/workflows/w/history?page_size=0")
            assert (422, "invalid_input") == (wrong.status_code, wrong.json()["error"]["code"])
            no_runner = await client.post("/coze/workflows/w/run", json={})
            assert (503, "account_not_usable") == (no_runner.status_code, no_runner.json()["error"]["code"])
            assert {"detail": "Not Found"} == (await client.get("/elsewhere")).json()


async def test_two_hundred_streams_at_once_are_all_recorded(web: Served) -> None:
    """Each with its own record, every one of them ended."""
    body = {"workflow_id": _SHORT, "parameters": {"pace_ms": 1}}
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=web.client.base_url, limits=limits, timeout=60) as client:
        answers = await asyncio.gather(*(client.post("/coze/workflows/stream_run", json=body) for _ in range(200)))
    started = {
        orjson.loads(answer.text.split("\n")[0].removeprefix("data: "))["data"]["execution_id"] for answer in answers
    }
    assert 200 == len(started)
    assert 200 == (await web.application.service.workflow_summaries())[0].counts["success"]
