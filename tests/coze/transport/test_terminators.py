"""A terminator ends the run, however long its stream stays open; a question and its answer are one record."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import orjson
import pytest
from cozepy import AsyncCoze, AsyncTokenAuth, Coze, TokenAuth
from cozepy.request import AsyncHTTPClient, SyncHTTPClient
from starlette.types import Scope, Send

from execution_history import ExecutionHistoryService
from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.recording.recorder import Recorder
from tests.coze.gateway.conftest import Scripted, scripted
from tests.faulty_store import FaultyStore
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_STREAM = "/v1/workflow/stream_run"
_DEBUG_URL = "http://x/?execute_id=77"


def event(name: str, **data: Any) -> bytes:
    """An event of a workflow's stream."""
    return b"id: 0\nevent: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


def _message(content: str) -> bytes:
    return event("Message", content=content, node_title="End", node_is_finish=True, node_seq_id="0", node_type="End")


def _question(number: int = 1) -> bytes:
    asked = {"event_id": f"77/{number}", "type": 2, "data": "Which city?"}
    return event("Interrupt", interrupt_data=asked, node_title="Ask")


class Talk:
    """An upstream that answers each call with what is next, and keeps its streams open until it is told otherwise."""

    def __init__(self, *streams: list[bytes], later: bytes = b"", breaks: bool = False) -> None:
        self._streams = list(streams)
        self._later = later
        self._breaks = breaks
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Scope, _body: bytes, send: Send) -> None:
        """Send a stream, chunk by chunk."""
        headers = [(b"content-type", b"text/event-stream"), (b"x-tt-logid", b"L")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in self._streams.pop(0):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if scope["path"] == _STREAM:
            await self.may_end.wait()
        if self._breaks:
            raise ConnectionResetError("The upstream breaks off.")
        await send({"type": "http.response.body", "body": self._later, "more_body": True})
        await send({"type": "http.response.body"})


@asynccontextmanager
async def _client(recorder: Recorder, talk: Talk, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = RecordingTransport(recorder, **options)
    async with served(Scripted(talk)) as base, httpx.AsyncClient(transport=transport, base_url=base) as client:
        try:
            yield client
        finally:
            talk.may_end.set()


async def _records(store: Any) -> list[dict[str, Any]]:
    page = await ExecutionHistoryService(store).get_execution_history("w")
    return [dict(record) for record in page["histories"]]


async def _until(store: Any, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The only record, once *is_so*."""
    async with asyncio.timeout(60):
        while not (found := await _records(store)) or not is_so(found[0]):
            await asyncio.sleep(0.005)
    assert 1 == len(found)
    return found[0]


@pytest.mark.parametrize(
    ("terminator", "status"),
    [
        (event("Done", debug_url=_DEBUG_URL), "success"),
        (event("Error", error_code=5, error_message="No."), "failed"),
        (_question(), "interrupted"),
    ],
    ids=["Done", "Error", "Interrupt"],
)
async def test_a_terminator_closes_the_record_while_its_stream_is_open(terminator: bytes, status: str) -> None:
    """The bytes go on, and what comes later changes neither the end of the run nor its time."""
    store, talk = FaultyStore(), Talk([_message("a"), terminator], later=event("PING", content="{}"))
    async with _client(Recorder(store), talk) as client:
        async with client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response:
            chunks = response.aiter_raw()
            while terminator[-40:] not in await anext(chunks):
                pass
            ended = await _until(store, lambda record: record["execute_status"] != "running")
            talk.may_end.set()
            rest = b"".join([chunk async for chunk in chunks])
        assert (status, event("PING", content="{}")) == (ended["execute_status"], rest)
    assert [ended] == await _records(store)


async def test_what_comes_behind_the_terminator_completes_the_record() -> None:
    """The debug address and the id upstream; the end of the run stays where it was."""
    store = FaultyStore()
    talk = Talk(
        [_message("a"), event("Error", error_code=5, error_message="No.")], later=event("Done", debug_url=_DEBUG_URL)
    )
    async with _client(Recorder(store), talk) as client:
        async with client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response:
            chunks = response.aiter_raw()
            await anext(chunks)
            ended = await _until(store, lambda record: record["execute_status"] != "running")
            talk.may_end.set()
            async for _ in chunks:
                pass
        completed = await _until(store, lambda record: record["debug_url"] is not None)
    assert ("failed", 5, _DEBUG_URL, "77", ended["update_time"]) == (
        completed["execute_status"], completed["error_code"], completed["debug_url"],
        completed["metadata"]["coze_execute_id"], completed["metadata"]["ended_at"],
    )  # fmt: skip


async def test_a_connection_that_breaks_behind_the_terminator_ends_no_run() -> None:
    """The caller sees it break, and the run has succeeded."""
    store, talk = FaultyStore(), Talk([_message("a"), event("Done")], breaks=True)
    async with _client(Recorder(store), talk) as client:
        talk.may_end.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(_STREAM, json={"workflow_id": "w"})
    [record] = await _records(store)
    assert ("success", "done_event", None) == (
        record["execute_status"], record["metadata"]["proof"], record["error_message"],
    )  # fmt: skip


async def test_a_question_waits_for_its_record_only_so_long() -> None:
    """A store that stands still keeps nobody from the question."""
    store, talk = FaultyStore(), Talk([_message("a"), _question()])
    async with _client(Recorder(store), talk, question_seconds=0.01) as client:
        async with client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response:
            store.running.clear()
            read = b""
            async for chunk in response.aiter_raw():
                read += chunk
                if read.endswith(_question()):
                    break
            store.running.set()
        assert "interrupted" == (await _until(store, lambda r: r["execute_status"] != "running"))["execute_status"]


async def _async_sdk(base: str, transport: RecordingTransport | None) -> None:
    """Run and answer as the official examples do: as soon as the question is read."""
    async with AsyncHTTPClient(transport=transport) as http:  # type: ignore[no-untyped-call]
        coze = AsyncCoze(AsyncTokenAuth("t"), base_url=base, http_client=http)

        async def read(stream: Any) -> None:
            async for each in stream:
                if each.interrupt is not None:
                    asked = each.interrupt.interrupt_data
                    resumed = coze.workflows.runs.resume(
                        workflow_id="w", event_id=asked.event_id, resume_data="Oslo", interrupt_type=asked.type
                    )
                    await read(resumed)
                    return

        await read(coze.workflows.runs.stream(workflow_id="w"))


def _sync_sdk(base: str, transport: httpx.BaseTransport | None) -> None:
    """The same with the synchronous SDK."""
    with SyncHTTPClient(transport=transport) as http:  # type: ignore[no-untyped-call]
        coze = Coze(TokenAuth("t"), base_url=base, http_client=http)

        def read(stream: Any) -> None:
            for each in stream:
                if each.interrupt is not None:
                    asked = each.interrupt.interrupt_data
                    resumed = coze.workflows.runs.resume(
                        workflow_id="w", event_id=asked.event_id, resume_data="Oslo", interrupt_type=asked.type
                    )
                    read(resumed)
                    return

        read(coze.workflows.runs.stream(workflow_id="w"))


def _two_questions() -> Talk:
    return Talk(
        [_message("a"), _question(1)],
        [_question(2)],
        [_message("b"), event("Done", debug_url=_DEBUG_URL)],
        later=event("Message", content="late", node_title="Late", node_is_finish=True, node_seq_id="0"),
    )


def _is_whole(record: dict[str, Any]) -> None:
    answers = record["metadata"]["answers"]
    assert ("success", "ab", None, "77") == (
        record["execute_status"], record["output"], record["metadata"]["interrupt"],
        record["metadata"]["coze_execute_id"],
    )  # fmt: skip
    assert [("77/1", "Oslo"), ("77/2", "Oslo")] == [(answer["event_id"], answer["resume_data"]) for answer in answers]


@pytest.mark.parametrize("sdk", ["asynchronous", "synchronous"])
async def test_questions_that_are_answered_at_once_are_one_record(sdk: str) -> None:
    """While the stream that asked is open; what that says when it ends at last changes nothing."""
    store, talk = FaultyStore(), _two_questions()
    recorder = Recorder(store)
    async with served(Scripted(talk)) as base:
        if sdk == "asynchronous":
            work: Awaitable[None] = _async_sdk(base, RecordingTransport(recorder))
        else:
            work = anyio.to_thread.run_sync(_sync_sdk, base, SyncRecordingTransport(recorder))
        running = asyncio.ensure_future(work)
        answered = await _until(store, lambda record: record["execute_status"] == "success")
        _is_whole(answered)
        talk.may_end.set()
        await running
    assert [answered["output"]] == [record["output"] for record in await _records(store)]


@pytest.mark.parametrize("sdk", ["asynchronous", "synchronous"])
async def test_the_gateway_joins_them_too(tmp_path: Path, sdk: str) -> None:
    """Whichever SDK answers."""
    talk = _two_questions()
    async with scripted(tmp_path, talk) as (gateway, _):
        if sdk == "asynchronous":
            running = asyncio.ensure_future(_async_sdk(gateway.base_url, None))
        else:
            running = asyncio.ensure_future(anyio.to_thread.run_sync(_sync_sdk, gateway.base_url, None))
        store = gateway.application.service.store
        _is_whole(await _until(store, lambda record: record["execute_status"] == "success"))
        talk.may_end.set()
        await running
        assert 1 == len(await gateway.records("w"))


async def test_whoever_answers_elsewhere_finds_the_question(tmp_path: Path) -> None:
    """Through another recorder on the same history, and while the stream that asked is open."""
    talk = Talk([_message("a"), _question()], [_message("b"), event("Done", debug_url=_DEBUG_URL)])
    asking, answering = (ExecutionHistoryService(tmp_path / "history") for _ in range(2))
    body = {"workflow_id": "w", "event_id": "77/1", "resume_data": "Oslo", "interrupt_type": 2}
    async with (
        _client(Recorder(asking.store), talk) as client,
        client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response,
    ):
        chunks = response.aiter_raw()
        while b"Interrupt" not in await anext(chunks):
            pass
        transport = RecordingTransport(Recorder(answering.store))
        async with httpx.AsyncClient(transport=transport, base_url=client.base_url) as other:
            await other.post("/v1/workflow/stream_resume", json=body)
        talk.may_end.set()
        with suppress(StopAsyncIteration):
            await anext(chunks)
    [record] = (await asking.get_execution_history("w"))["histories"]
    assert ("success", "ab") == (record["execute_status"], record["output"])
    await asking.aclose()
    await answering.aclose()


async def test_our_own_answer_is_taken_while_the_stream_is_open(tmp_path: Path) -> None:
    """The page and the API answer as early as an SDK does."""
    talk = Talk([_message("a"), _question()], [_message("b"), event("Done", debug_url=_DEBUG_URL)])
    async with scripted(tmp_path, talk) as (gateway, _):
        async with gateway.client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response:
            chunks = response.aiter_raw()
            while b"Interrupt" not in await anext(chunks):
                pass
            [record] = await gateway.records("w")
            path = f"/coze/workflows/w/history/{record['execute_id']}/resume"
            answer = await gateway.client.post(path, json={"data": "Oslo"})
            talk.may_end.set()
            async for _ in chunks:
                pass
        assert (200, "success") == (answer.status_code, answer.json()["status"])
        [record] = await gateway.records("w")
    assert ("success", "ab") == (record["execute_status"], record["output"])


async def test_an_answer_that_its_caller_drops_is_read_to_its_end() -> None:
    """Neither read nor closed: its record ends all the same."""
    store, talk = FaultyStore(), Talk([_message("a"), event("Done")])
    talk.may_end.set()
    async with served(Scripted(talk)) as base:
        client = httpx.Client(transport=SyncRecordingTransport(Recorder(store)), base_url=base)

        def drop() -> None:
            request = client.build_request("POST", _STREAM, json={"workflow_id": "w"})
            client.send(request, stream=True)
            del request
            gc.collect()

        await anyio.to_thread.run_sync(drop)
        await _until(store, lambda record: record["execute_status"] == "success")
        await anyio.to_thread.run_sync(client.close)


async def test_the_log_id_is_kept_from_the_first_byte_on() -> None:
    """Of a stream that is still open."""
    store = FaultyStore()
    talk = Talk([_message("a")])
    async with (
        _client(Recorder(store, progress_interval_ms=1), talk) as client,
        client.stream("POST", _STREAM, json={"workflow_id": "w"}) as response,
    ):
        await anext(response.aiter_raw())
        record = await _until(store, lambda record: "log_id" in record["metadata"])
    assert ("running", "L") == (record["execute_status"], record["metadata"]["log_id"])


@pytest.mark.parametrize("stays_open", [True, False])
@pytest.mark.parametrize("chunks", [[_message("hello"), event("Done")], [_message("hello") + event("Done")]], ids=len)
async def test_a_client_that_is_closed_at_the_terminator_leaves_no_run_open(
    chunks: list[bytes], stays_open: bool
) -> None:
    """The closing of the record is cancelled with the call, and begun all the same."""
    store, talk = FaultyStore(), Talk(chunks)
    if not stays_open:
        talk.may_end.set()
    async with _client(Recorder(store), talk) as client:
        response = await client.send(client.build_request("POST", _STREAM, json={"workflow_id": "w"}), stream=True)
        async for line in response.aiter_lines():
            if line == "event: Done":
                break
    assert [("success", "hello")] == [(each["execute_status"], each["output"]) for each in await _records(store)]
