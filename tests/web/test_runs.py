"""Running workflows, over a socket, as existing callers and curl do; the sandbox is the upstream."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.types import Message

from execution_history.errors import StoreFull
from execution_history.web.api.streaming import EventStream
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


async def test_frames_have_the_form_that_callers_know(web: Served) -> None:
    """One ``data`` frame for each upstream event, the conversation beside it; nothing on the way holds them back."""
    body = {"workflow_id": _LONG, "parameters": {"pace_ms": 0}, "conversation_id": "c"}
    answer = await web.client.post("/coze/workflows/stream_run", json=body)
    assert ("no-cache", "no") == (answer.headers["cache-control"], answer.headers["x-accel-buffering"])
    events = answer.text.split("\n\n")
    assert ["data: [DONE]", ""] == events[-2:]
    frames = [json.loads(event.removeprefix("data: ")) for event in events[1:-2]]
    assert {("data", "c")} == {(frame["event"], frame["conversation_id"]) for frame in frames}
    assert {"type", "execute_id", "node_id", "status", "message", "error", "data"} == set(frames[0]["data"])
    assert ("Message", "Done") == (frames[0]["data"]["type"], frames[-1]["data"]["type"])


async def test_a_rejected_stream_ends_with_an_error_frame(web: Served) -> None:
    """And is recorded as failed."""
    frames = await _frames(web, {"workflow_id": _REJECTED})
    assert ["workflow_started", "error"] == [frame["event"] for frame in frames]
    assert {"message", "type"} == set(frames[-1]["data"])
    listed = (await web.client.get("/coze/workflows")).json()["workflows"]
    assert 1 == listed[0]["counts"]["failed"]


async def test_a_run_is_answered_as_json(web: Served) -> None:
    """Its result, and whether it succeeded."""
    body = {"parameters": {"a": "b"}, "conversation_id": "c"}
    answer = (await web.client.post(f"/coze/workflows/{_SHORT}/run", json=body)).json()
    assert ["success", "execution_id", "status", "output_data", "error_message", "conversation_id"] == list(answer)
    assert (True, "success", None, "c") == (
        answer["success"], answer["status"], answer["error_message"], answer["conversation_id"],
    )  # fmt: skip
    asking = (await web.client.post("/coze/workflows/7000000000000000005/run", json={})).json()
    assert ("interrupted", True) == (asking["status"], "event_id" in asking["interrupt"])
    failed = await web.client.post(f"/coze/workflows/{_REJECTED}/run", json={})
    assert (200, False, "failed") == (failed.status_code, failed.json()["success"], failed.json()["status"])


async def test_a_run_needs_no_body(web: Served) -> None:
    """Everything in it is optional."""
    assert (await web.client.post(f"/coze/workflows/{_SHORT}/run")).json()["success"]


@pytest.mark.parametrize("workflow_id", ["a/b", "stream_run", "😀%"])
async def test_a_workflow_of_any_name_is_run(web: Served, workflow_id: str) -> None:
    """The sandbox knows none of these: that is recorded under the very name."""
    answer = await web.client.post(f"/coze/workflows/{quote(workflow_id, safe='')}/run", json={})
    assert (200, "failed") == (answer.status_code, answer.json()["status"])
    recorded = await web.application.service.get_execution_detail(workflow_id, answer.json()["execution_id"])
    assert recorded is not None


async def test_a_first_frame_comes_before_the_run_ends(web: Served) -> None:
    """Nothing is held back; a caller who leaves does not end the recording."""
    body = {"workflow_id": _LONG, "parameters": {"pace_ms": 100}}
    async with web.client.stream("POST", "/coze/workflows/stream_run", json=body) as answer:
        async for line in answer.aiter_lines():
            if "Message" in line:
                break
        record = (await web.application.service.get_execution_history(_LONG))["histories"][0]
        assert "running" == record["execute_status"]
    async with asyncio.timeout(60):
        while (await web.application.service.workflow_summaries())[0].counts["success"] == 0:
            await asyncio.sleep(0.02)


async def test_a_caller_who_leaves_at_once_leaves_no_run_behind(web: Served) -> None:
    """Whatever had happened by then, each record comes to an end."""
    body = {"workflow_id": _SHORT, "parameters": {"pace_ms": 0}}
    for _ in range(10):
        async with web.client.stream("POST", "/coze/workflows/stream_run", json=body) as answer:
            await anext(answer.aiter_lines())
    async with asyncio.timeout(60):
        while (await web.application.service.workflow_summaries())[0].counts["running"] > 0:
            await asyncio.sleep(0.02)
    assert 10 == (await web.application.service.workflow_summaries())[0].total


async def test_frames_end_undisturbed_when_the_caller_leaves() -> None:
    """What their source still has to write down, it writes down."""
    ended = asyncio.Event()

    async def frames() -> AsyncGenerator[dict[str, Any], None]:
        try:
            await asyncio.Event().wait()
            yield {}
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.set()

    app = FastAPI()

    @app.get("/stream")
    async def stream() -> EventStream:
        return EventStream({"number": 1}, frames())

    async with served(app) as base, httpx.AsyncClient(base_url=base) as client:
        async with client.stream("GET", "/stream") as answer:
            assert 'data: {"number":1}' == await anext(answer.aiter_lines())
        async with asyncio.timeout(60):
            await ended.wait()


async def test_a_server_that_reports_the_hang_up_when_sending_is_understood() -> None:
    """ASGI 2.4 raises from ``send``: the frames are closed, and nothing is raised."""
    closed = False

    async def frames() -> AsyncGenerator[dict[str, Any], None]:
        nonlocal closed
        try:
            yield {}
        finally:
            closed = True

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    rest = frames()
    await anext(rest)
    await EventStream({}, rest)({"type": "http"}, receive, send)
    assert closed


@pytest.mark.parametrize(
    ("error", "message", "kind"),
    [
        (ZeroDivisionError("secret"), "Something went wrong in this server; its log says what.", "internal"),
        (StoreFull("There is no space left."), "There is no space left.", "store_full"),
    ],
)
async def test_a_failure_in_mid_stream_is_a_frame_and_the_stream_ends_well(
    web: Served, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str, kind: str
) -> None:
    """The status has gone out by then: the caller still learns what happened, and sees the end."""

    async def failing(*_: object, **__: object) -> AsyncGenerator[dict[str, Any], None]:
        yield {"event": "workflow_started"}
        raise error

    monkeypatch.setattr(type(web.application.runner), "stream_workflow", failing)
    frames = await _frames(web, {"workflow_id": "w"})
    assert ("error", {"message": message, "type": kind}) == (frames[1]["event"], frames[1]["data"])
    assert frames[1]["timestamp"] > 10**12


async def test_parameters_that_json_cannot_hold_again_are_passed_on_in_their_documented_form(web: Served) -> None:
    """An integer beyond 64 bits and NaN, which the request's parser takes, break neither frame nor record."""
    content = b'{"workflow_id": "%s", "parameters": {"n": 1%s, "x": NaN}}' % (_SHORT.encode(), b"0" * 40)
    answer = await web.client.post(
        "/coze/workflows/stream_run", content=content, headers={"Content-Type": "application/json"}
    )
    started = json.loads(answer.text.split("\n")[0].removeprefix("data: "))
    assert {"n": "1" + "0" * 40, "x": "NaN"} == started["data"]["parameters"]
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_a_frame_that_json_cannot_hold_is_sent_in_its_documented_form() -> None:
    """Whatever a runner makes of an upstream's answer, the stream does not break over it."""

    async def frames() -> AsyncGenerator[dict[str, Any], None]:
        yield {"n": 10**40, "half": "\ud800"}

    app = FastAPI()

    @app.get("/stream")
    async def stream() -> EventStream:
        return EventStream({}, frames())

    async with served(app) as base, httpx.AsyncClient(base_url=base) as client:
        text = (await client.get("/stream")).text
    assert ["data: {}", r'data: {"n":"1%s","half":"\\ud800"}' % ("0" * 40), "data: [DONE]", ""] == text.split("\n\n")


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
    async with asyncio.timeout(60):  # on a slow machine some wait in the outbox for a moment
        while 200 != (await web.application.service.workflow_summaries())[0].counts["success"]:
            await asyncio.sleep(0.05)
