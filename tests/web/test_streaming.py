"""Answers without an end and files of any size: how they begin, break off and end."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from execution_history import ExecutionHistoryService
from execution_history.errors import StoreError
from execution_history.history.live_feed import LiveFeed
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import Batch, ScanToken
from execution_history.web import history_router
from execution_history.web.api.live import events
from tests.sample_records import document
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio

_LIVE = "/coze/history/live"


async def _until_empty_line(lines: AsyncIterator[str]) -> list[str]:
    """The next block of an event stream."""
    block: list[str] = []
    async for line in lines:
        if not line:
            break
        block.append(line)
    return block


async def test_a_place_ahead_of_the_history_is_reset(web: Served) -> None:
    """A browser that comes back to another history is told to read it anew, and hears what is new from there."""
    await web.application.service.create_execution_record("w", "a")
    async with web.client.stream("GET", _LIVE, headers={"Last-Event-ID": "99"}) as answer:
        lines = answer.aiter_lines()
        await _until_empty_line(lines)
        assert ["event: reset", "id: 1"] == (await _until_empty_line(lines))[:2]
        await web.application.service.create_execution_record("w", "b")
        assert ["event: put", "id: 2"] == (await _until_empty_line(lines))[:2]


async def test_a_listener_hears_only_of_its_workflows(web: Served) -> None:
    """Several can be named."""
    async with web.client.stream("GET", f"{_LIVE}?workflow=v&workflow=x&since=0") as answer:
        lines = answer.aiter_lines()
        await _until_empty_line(lines)
        for execute_id, workflow_id in enumerate(("w", "v", "w", "x")):
            await web.application.service.create_execution_record(workflow_id, str(execute_id))
        assert ["2", "4"] == [(await _until_empty_line(lines))[1].removeprefix("id: ") for _ in range(2)]


@pytest.mark.parametrize(
    ("query", "named"),
    [("since=-1", "-1"), ("since=x", "'x'"), (f"since={2**70}", "whole number"), ("workflows=w", "workflow")],
)
async def test_a_wrong_question_is_no_stream(web: Served, query: str, named: str) -> None:
    """It is answered like every other one, in a sentence."""
    answer = await web.client.get(f"{_LIVE}?{query}")
    assert (422, "invalid_input") == (answer.status_code, answer.json()["error"]["code"])
    assert named in answer.json()["error"]["message"]


async def test_silence_is_told_with_the_place() -> None:
    """A comment keeps the connection; its id is how far the feed has been read, also for other workflows."""
    store = MemoryStore()
    feed = LiveFeed(store)
    async with feed.follow(workflow_ids=["v"]) as following:
        stream = events(following, heartbeat_seconds=0)
        assert b"retry: 1000\n: heartbeat\nid: 0\n\n" == await anext(stream)
        await store.create(document("a", "w"))
        while (heard := await anext(stream)) == b": heartbeat\nid: 0\n\n":
            await asyncio.sleep(0)
        assert b": heartbeat\nid: 1\n\n" == heard
        await stream.aclose()
    await feed.aclose()


async def test_streams_end_when_the_server_stops(web: Served) -> None:
    """They come to their proper end."""
    async with web.client.stream("GET", _LIVE) as answer:
        chunks = answer.aiter_bytes()
        await anext(chunks)
        web.application.live.end()
        assert b"" == b"".join([chunk async for chunk in chunks]).replace(b": heartbeat\nid: 0\n\n", b"")


async def test_whoever_leaves_is_forgotten(web: Served) -> None:
    """The feed is read while somebody listens, and not after that."""
    async with web.client.stream("GET", _LIVE) as answer:
        await anext(answer.aiter_bytes())
        assert web.application.live.is_reading
    while web.application.live.is_reading:
        await asyncio.sleep(0)


class _FailsOnTheWay(MemoryStore):
    """A store that gives its first record and then can no longer be read."""

    async def scan(self, after: ScanToken | None, limit: int) -> Batch:
        """One record, and no more."""
        del limit
        if after:
            raise StoreError("The disk is gone.")
        return await super().scan(after, 1)


async def test_a_broken_export_has_no_proper_end() -> None:
    """When the history fails on the way, the connection breaks off, so that nobody takes a part for the whole."""
    async with ExecutionHistoryService(_FailsOnTheWay()) as service:
        for number in range(3):
            await service.store.create(document(f"e{number}", parameters={"x": "y" * 500_000}))
        app = FastAPI()
        app.include_router(history_router(service))
        async with served(app) as base, httpx.AsyncClient(base_url=base) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/coze/export")


async def test_a_download_that_is_given_up_is_closed(web: Served) -> None:
    """The server goes on to serve others."""
    for number in range(4):
        await web.application.service.store.create(document(f"e{number}", parameters={"x": "y" * 4_000_000}))
    async with web.client.stream("GET", "/coze/export") as answer:
        await anext(answer.aiter_bytes())
    assert 4 == (await web.client.get("/coze/workflows/w/history?page_size=1")).json()["total"]


async def test_a_report_names_the_file_and_not_where_it_was_put(web: Served) -> None:
    """Nobody learns of the server's folders."""
    report = (await web.client.post("/coze/import", content=b"{broken\n")).json()
    assert [("upload.jsonl", "line 1")] == [(each["source"], each["place"]) for each in report["refused"]]


async def test_a_form_is_no_file(web: Served) -> None:
    """The sentence says how to send it."""
    answer = await web.client.post("/coze/import", files={"file": b"{}"})
    assert 422 == answer.status_code
    assert "--data-binary" in answer.json()["error"]["message"]


async def test_nothing_is_taken_of_a_file_that_breaks_off(web: Served) -> None:
    """Half an upload changes nothing, although its first lines are whole."""
    host, port = re.findall(r"//(.*):(\d+)", str(web.client.base_url))[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    line = document("e").body + b"\n"
    head = f"POST /coze/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * len(line)}\r\n\r\n"
    writer.write(head.encode() + line)
    writer.write_eof()
    assert b"" == await reader.read()
    writer.close()
    assert 0 == (await web.client.get("/coze/history")).json()["total"]
