"""The real synchronous cozepy through our transport, against the sandbox: recorded, and none the wiser."""

import asyncio
import contextlib
import gc
import gzip
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import httpx
import pytest
import uvicorn
from cozepy import AsyncCoze, AsyncTokenAuth, Coze, CozeAPIError, TokenAuth, WorkflowEvent, WorkflowEventType
from cozepy.request import AsyncHTTPClient, SyncHTTPClient
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from execution_history import ExecutionHistoryService, ExecutionRecord, recorded, run_sync
from execution_history.coze import SyncRecordingTransport, async_recording_transport, recording_transport
from execution_history.errors import StoreFull
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import WORKFLOWS, Sandbox, serve_sandbox
from tests.faulty_store import FaultyStore
from tests.programs import histories, run

pytestmark = pytest.mark.anyio

_Result = TypeVar("_Result")
IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Serve a sandbox that never waits unless a run asks for it."""
    async with serve_sandbox(token="right-token", delay_ms=0, pace_ms=0) as served:
        yield served


@pytest.fixture
def service() -> ExecutionHistoryService:
    """A service on the memory store."""
    return ExecutionHistoryService("memory:")


@contextmanager
def _coze(sandbox: Sandbox, transport: httpx.BaseTransport | None = None, token: str | None = None) -> Iterator[Coze]:
    with SyncHTTPClient(transport=transport) as client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
        yield Coze(TokenAuth(token or sandbox.token), base_url=sandbox.base_url, http_client=client)


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """A synchronous client blocks, and the sandbox lives in this event loop."""
    return await anyio.to_thread.run_sync(work)


async def _one(service: ExecutionHistoryService, name: str) -> ExecutionRecord:
    """The only run of a workflow, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            histories = (await service.get_execution_history(IDS.get(name, name)))["histories"]
            if histories and histories[0]["execute_status"] != "running":
                break
            await asyncio.sleep(0.001)
    assert 1 == len(histories)
    return histories[0]


def _recording(service: ExecutionHistoryService, **options: Any) -> SyncRecordingTransport:
    return SyncRecordingTransport(Recorder(service.store), **options)


async def test_a_run_is_recorded(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """Before its call returns; with the caller's input, the output, and what Coze calls it."""

    def work() -> str:
        with _coze(sandbox, _recording(service)) as coze:
            result = coze.workflows.runs.create(workflow_id=IDS["short_answer"], parameters={"city": "Oslo"})
            assert {"city": "Oslo"} == json.loads(result.data or "")["parameters"]
            return result.execute_id or ""

    execute_id = await _in_thread(work)
    found = await _one(service, "short_answer")
    assert ("success", 0, {"city": "Oslo"}, execute_id, "envelope") == (
        found["execute_status"], found["run_mode"], found["input_parameters"], found["metadata"]["coze_execute_id"],
        found["metadata"]["proof"],
    )  # fmt: skip
    assert {"city": "Oslo"} == found["output"]["parameters"]
    assert "cozepy" == found["metadata"]["caller"]["name"]


async def test_a_stream_is_recorded(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """With its timeline and usage, and ended before the caller sees its end."""

    def work() -> int:
        with _coze(sandbox, _recording(service)) as coze:
            return len(list(coze.workflows.runs.stream(workflow_id=IDS["long_stream"])))

    count = await _in_thread(work)
    found = await _one(service, "long_stream")
    timeline = found["node_execute_status"]
    assert ("success", 1, "done_event") == (found["execute_status"], found["run_mode"], found["metadata"]["proof"])
    assert count == sum(node["packet_count"] for node in timeline.values())
    assert found["usage"]["token_count"] > 0


async def test_an_interrupt_is_kept(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """With what is needed to go on."""

    def work() -> WorkflowEvent:
        with _coze(sandbox, _recording(service)) as coze:
            *_, last = coze.workflows.runs.stream(workflow_id=IDS["asks_a_question"])
            assert isinstance(last, WorkflowEvent)
            return last

    last = await _in_thread(work)
    assert last.interrupt is not None
    found = await _one(service, "asks_a_question")
    assert ("interrupted", last.interrupt.interrupt_data.event_id) == (
        found["execute_status"], found["metadata"]["interrupt"]["event_id"],
    )  # fmt: skip


async def test_an_answer_goes_on_with_the_same_record(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """The timeline is continued, and the answer is kept."""

    def work() -> None:
        with _coze(sandbox, _recording(service)) as coze:
            *_, last = coze.workflows.runs.stream(workflow_id=IDS["asks_a_question"])
            assert isinstance(last, WorkflowEvent)
            assert last.interrupt is not None
            asked = last.interrupt.interrupt_data
            resumed = coze.workflows.runs.resume(
                workflow_id=IDS["asks_a_question"],
                event_id=asked.event_id,
                resume_data="Oslo",
                interrupt_type=asked.type,
            )
            assert list(resumed)

    await _in_thread(work)
    found = await _one(service, "asks_a_question")
    assert ("success", ["Oslo"], ["Question", "End"]) == (
        found["execute_status"],
        [answer["resume_data"] for answer in found["metadata"]["answers"]],
        list(found["node_execute_status"]),
    )


@pytest.mark.parametrize("first_pause", [0.01, 60.0], ids=["followed", "polled by the caller"])
async def test_an_asynchronous_run_comes_to_its_end(
    sandbox: Sandbox, service: ExecutionHistoryService, first_pause: float
) -> None:
    """Because it is followed, or because the caller itself asks for it."""

    def work() -> None:
        with _coze(sandbox, _recording(service, first_pause=first_pause)) as coze:
            run = coze.workflows.runs.create(
                workflow_id=IDS["takes_its_time"], parameters={"delay_ms": 30}, is_async=True
            )
            asked = {"workflow_id": IDS["takes_its_time"], "execute_id": run.execute_id or ""}
            if first_pause > 1:
                while coze.workflows.runs.run_histories.retrieve(**asked).execute_status.value == "Running":
                    pass
            else:
                run_sync(_one(service, "takes_its_time"))

    await _in_thread(work)
    found = await _one(service, "takes_its_time")
    assert ("success", "run_history") == (found["execute_status"], found["metadata"]["proof"])


class _Private(httpx.BaseTransport):
    """The only way to an upstream of another name, as a proxy or a private certificate is."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._inner = httpx.HTTPTransport()
        self.polls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request for the private name to where that really is."""
        assert "upstream.private" == request.url.host
        self.polls += request.method == "GET"
        url = httpx.URL(self._base_url).copy_with(raw_path=request.url.raw_path)
        sent = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        return self._inner.handle_request(sent)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


async def test_a_run_is_followed_on_the_way_that_its_caller_took(
    sandbox: Sandbox, service: ExecutionHistoryService
) -> None:
    """Through the inner transport, with its proxy and certificates; another client would not get there."""
    inner = _Private(sandbox.base_url)

    def work() -> None:
        with httpx.Client(transport=_recording(service, inner=inner, first_pause=0.01)) as client:
            body = {"workflow_id": IDS["takes_its_time"], "parameters": {"delay_ms": 30}, "is_async": True}
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            client.post("http://upstream.private/v1/workflow/run", json=body, headers=headers).raise_for_status()
            run_sync(_one(service, "takes_its_time"))

    await _in_thread(work)
    found = await _one(service, "takes_its_time")
    assert ("success", "run_history") == (found["execute_status"], found["metadata"]["proof"])
    assert inner.polls


@pytest.mark.parametrize(("name", "code"), [("never_published", 4200), ("rate_limited", 4013), ("server_error", 500)])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_is_the_sdks_own_error(
    sandbox: Sandbox, service: ExecutionHistoryService, name: str, code: int, streamed: bool
) -> None:
    """And a failed run with its code."""

    def work() -> CozeAPIError:
        with _coze(sandbox, _recording(service)) as coze, pytest.raises(CozeAPIError) as caught:  # noqa: PT012
            runs = coze.workflows.runs
            if streamed:
                list(runs.stream(workflow_id=IDS[name]))
            else:
                runs.create(workflow_id=IDS[name])
        return caught.value

    error = await _in_thread(work)
    found = await _one(service, name)
    assert (code, "failed", code) == (error.code, found["execute_status"], found["error_code"])


async def test_a_wrong_token_is_told_and_not_kept(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """Nothing of it is in the record."""

    def work() -> CozeAPIError:
        with _coze(sandbox, _recording(service), "wrong-token") as coze, pytest.raises(CozeAPIError) as caught:
            coze.workflows.runs.create(workflow_id=IDS["short_answer"])
        return caught.value

    error = await _in_thread(work)
    found = await _one(service, "short_answer")
    assert (4100, "failed", error.logid) == (error.code, found["execute_status"], found["metadata"]["log_id"])
    assert "wrong-token" not in str(found)


@pytest.mark.parametrize("reset", [0, 1])
async def test_a_stream_that_is_cut_raises_what_httpx_raises(
    sandbox: Sandbox, service: ExecutionHistoryService, reset: int
) -> None:
    """And the record does not claim to know how the run ended."""

    def work(transport: httpx.BaseTransport | None) -> tuple[type[Exception], int]:
        received = 0
        with _coze(sandbox, transport) as coze:
            try:
                for _ in coze.workflows.runs.stream(
                    workflow_id=IDS["breaks_the_connection"], parameters={"reset": reset}
                ):
                    received += 1
            except httpx.TransportError as error:
                return type(error), received
        raise AssertionError("The stream was not cut.")

    bare = await _in_thread(lambda: work(None))
    assert bare == await _in_thread(lambda: work(_recording(service)))
    found = await _one(service, "breaks_the_connection")
    assert ("failed", "connection_broken") == (found["execute_status"], found["metadata"]["proof"])


async def test_line_separators_break_the_sdk_and_not_the_record(
    sandbox: Sandbox, service: ExecutionHistoryService
) -> None:
    """A raw U+2028 splits a line for cozepy; with us it fails as without, and the run is recorded to its end."""
    is_recorded = threading.Event()

    def fail(coze: Coze) -> str:
        with pytest.raises(ValidationError) as caught:
            list(coze.workflows.runs.stream(workflow_id=IDS["chinese"]))
        return re.sub(r"\d{19}", "<id>", str(caught.value))

    def work(transport: httpx.BaseTransport | None) -> str:
        with _coze(sandbox, transport) as coze:
            said = fail(coze)
            gc.collect()  # cozepy does not close a stream that it cannot read
            is_recorded.wait(0 if transport is None else None)
            return said

    bare = await _in_thread(lambda: work(None))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_in_thread(lambda: work(_recording(service))))
        found = await _one(service, "chinese")
        is_recorded.set()
    assert bare == task.result()
    assert "success" == found["execute_status"]
    assert "\u2028" in found["output"]["output"]


async def test_a_large_output_is_kept_whole(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """Five megabytes, streamed and not."""

    def work(streamed: bool) -> int:
        with _coze(sandbox, _recording(service)) as coze:
            runs = coze.workflows.runs
            if streamed:
                events = runs.stream(workflow_id=IDS["large_output"])
                return sum(len(event.message.content) for event in events if event.message)
            return len(runs.create(workflow_id=IDS["large_output"]).data or "")

    for streamed in (False, True):
        assert 5_000_000 <= await _in_thread(partial(work, streamed))
    kept = (await service.get_execution_history(IDS["large_output"]))["histories"]
    assert [5_000_000, 5_000_000] == [len(str(each["output"])) // 1_000_000 * 1_000_000 for each in kept]


class _Tee(httpx.BaseTransport):
    """Keeps what really came from the upstream: the chunks, the head, and how it ended."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.chunks: list[bytes] = []
        self.head: tuple[int, list[tuple[bytes, bytes]]] = (0, [])
        self.was_closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        self.head = (response.status_code, response.headers.raw)
        assert isinstance(response.stream, httpx.SyncByteStream)
        body = _TeeBody(self, response.stream)
        return httpx.Response(response.status_code, headers=response.headers, stream=body)

    def close(self) -> None:
        self._inner.close()


class _TeeBody(httpx.SyncByteStream):
    def __init__(self, tee: _Tee, stream: httpx.SyncByteStream) -> None:
        self._tee = tee
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._tee.chunks.append(chunk)
            yield chunk

    def close(self) -> None:
        self._tee.was_closed = True
        self._stream.close()


@pytest.mark.parametrize("name", sorted(set(IDS) - {"large_output"}))
@pytest.mark.parametrize("path", ["run", "stream_run"])
async def test_every_byte_is_handed_on(
    sandbox: Sandbox, service: ExecutionHistoryService, name: str, path: str
) -> None:
    """Status, headers and every chunk are those that came, whatever the workflow does; the connection is given back."""
    tee = _Tee()
    chunks: list[bytes] = []

    def work() -> tuple[int, list[tuple[bytes, bytes]]]:
        with httpx.Client(transport=_recording(service, inner=tee), base_url=sandbox.base_url) as client:
            headers = {"Authorization": f"Bearer {sandbox.token}"}
            body = {"workflow_id": IDS[name], "parameters": {}}
            with client.stream("POST", f"//v1/workflow/{path}", json=body, headers=headers) as response:
                head = response.status_code, response.headers.raw
                with contextlib.suppress(httpx.RemoteProtocolError):
                    chunks.extend(response.iter_raw())
                return head

    head = await _in_thread(work)
    assert tee.head == head
    assert tee.was_closed
    assert tee.chunks == chunks


async def test_other_calls_pass(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """They run nothing, so nothing is recorded."""

    def work() -> int:
        with _coze(sandbox, _recording(service)) as coze:
            return len(list(coze.workflows.list(workspace_id="1")))

    assert len(WORKFLOWS) == await _in_thread(work)
    assert [] == await service.get_all_workflows()


async def test_a_caller_who_leaves_early_does_not_stop_the_recording(
    sandbox: Sandbox, service: ExecutionHistoryService
) -> None:
    """The rest is read by a thread; the record is whole."""
    left = threading.Event()

    def work() -> None:
        with _coze(sandbox, _recording(service)) as coze:
            stream = coze.workflows.runs.stream(workflow_id=IDS["long_stream"], parameters={"packets": 50})
            next(iter(stream))
            stream.response._raw_response.close()  # as a ``with`` block of httpx does it
            left.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(_in_thread, work)
        found = await _one(service, "long_stream")
        left.set()
    assert ("success", "done_event") == (found["execute_status"], found["metadata"]["proof"])
    assert 50 == found["node_execute_status"]["Travel writer"]["packet_count"]


@pytest.mark.parametrize("end", ["the client is closed", "the limit is over"])
async def test_reading_on_has_its_limits(sandbox: Sandbox, service: ExecutionHistoryService, end: str) -> None:
    """A silent upstream too is left when the client is closed, or the limit is over; the record says so."""
    limit = 0.01 if end == "the limit is over" else 600.0
    noticed = threading.Event()

    def work() -> None:
        with _coze(sandbox, _recording(service, drain_limit_seconds=limit)) as coze:
            stream = coze.workflows.runs.stream(
                workflow_id=IDS["long_stream"], parameters={"packets": 2, "pace_ms": 60_000}
            )
            next(iter(stream))
            stream.response._raw_response.close()
            if end == "the limit is over":
                noticed.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(_in_thread, work)
        found = await _one(service, "long_stream")
        noticed.set()
    assert ("interrupted", "abandoned") == (found["execute_status"], found["metadata"]["proof"])
    assert 1 == sum(node["packet_count"] for node in found["node_execute_status"].values())


async def test_an_upstream_that_is_not_there(service: ExecutionHistoryService) -> None:
    """The caller gets httpx's error, the record a sentence."""

    def work() -> None:
        with httpx.Client(transport=_recording(service)) as client, pytest.raises(httpx.ConnectError):
            client.post("http://127.0.0.1:9/v1/workflow/run", json={"workflow_id": "w"})

    await _in_thread(work)
    found = await _one(service, "w")
    assert ("failed", "connection_failed") == (found["execute_status"], found["metadata"]["proof"])


class _Upstream:
    """Says a first event, and the rest when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    async def stream(self, request: Request) -> Response:
        """Half a stream, then the other half."""
        await request.body()
        self.asked += 1

        async def events() -> AsyncIterator[bytes]:
            yield b'id: 0\nevent: Message\ndata: {"content":"half","node_title":"End","node_is_finish":false}\n\n'
            await self.go_on.wait()
            yield b'id: 1\nevent: Message\ndata: {"content":" way","node_title":"End","node_is_finish":true}\n\n'
            yield b'id: 2\nevent: Done\ndata: {"debug_url":"http://x/?execute_id=77"}\n\n'

        return StreamingResponse(events(), media_type="text/event-stream")

    async def run(self, request: Request) -> Response:
        """A packed answer."""
        await request.body()
        body = gzip.compress(json.dumps({"code": 0, "msg": "", "data": "packed"}).encode())
        return Response(body, media_type="application/json", headers={"Content-Encoding": "gzip"})

    async def token(self, _: Request) -> Response:
        """Not what this is for."""
        return JSONResponse({})


@asynccontextmanager
async def _serving(upstream: _Upstream) -> AsyncIterator[str]:
    routes = [
        Route("/v1/workflow/stream_run", upstream.stream, methods=["POST"]),
        Route("/v1/workflow/run", upstream.run, methods=["POST"]),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


async def test_bytes_are_handed_on_as_they_come(service: ExecutionHistoryService) -> None:
    """The first event is the caller's while the upstream still thinks about the second, and so is the progress."""
    upstream = _Upstream()
    recorder = Recorder(service.store, progress_interval_ms=1)
    first = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def look() -> None:
        await first.wait()
        async with asyncio.timeout(60):
            while True:
                [found] = (await service.get_execution_history("w"))["histories"]
                if found["node_execute_status"]:
                    break
                await asyncio.sleep(0.001)
        assert ("running", "half") == (found["execute_status"], found["node_execute_status"]["End"]["content"])
        upstream.go_on.set()

    def work(base: str) -> str:
        with httpx.Client(transport=SyncRecordingTransport(recorder), base_url=base) as client:  # noqa: SIM117
            with client.stream("POST", "/v1/workflow/stream_run", json={"workflow_id": "w"}) as response:
                pieces = []
                for piece in response.iter_text():
                    pieces.append(piece)
                    loop.call_soon_threadsafe(first.set)
                return "".join(pieces)

    async with _serving(upstream) as base, asyncio.TaskGroup() as group:
        group.create_task(look())
        text = await _in_thread(lambda: work(base))
    assert 3 == text.count("event:")
    found = await _one(service, "w")
    assert ("success", "half way", "77") == (
        found["execute_status"], found["output"], found["metadata"]["coze_execute_id"],
    )  # fmt: skip


async def test_a_packed_answer_stays_packed(service: ExecutionHistoryService) -> None:
    """The caller unpacks its bytes, we our copy."""

    def work(base: str) -> tuple[bytes, str]:
        with httpx.Client(transport=_recording(service), base_url=base) as client:  # noqa: SIM117
            with client.stream("POST", "/v1/workflow/run", json={"workflow_id": "w"}) as response:
                return b"".join(response.iter_raw()), response.headers["content-encoding"]

    async with _serving(_Upstream()) as base:
        raw, encoding = await _in_thread(lambda: work(base))
    assert ("packed", "gzip") == (json.loads(gzip.decompress(raw))["data"], encoding)
    assert "packed" == (await _one(service, "w"))["output"]


async def test_a_run_goes_on_while_the_store_is_full(sandbox: Sandbox) -> None:
    """Its answer comes, its record when there is room; where recording is required it does not even leave."""
    store = FaultyStore()
    service = ExecutionHistoryService(store)
    store.fill()

    def work(recorder: Recorder) -> str | None:
        with _coze(sandbox, SyncRecordingTransport(recorder)) as coze:
            return coze.workflows.runs.create(workflow_id=IDS["short_answer"]).data

    assert await _in_thread(lambda: work(Recorder(store)))
    assert [] == await service.get_all_workflows()
    with pytest.raises(StoreFull):
        await _in_thread(lambda: work(Recorder(store, require_recording=True)))
    store.fault = None
    assert "success" == (await _one(service, "short_answer"))["execute_status"]


async def test_a_run_inside_a_recorded_function_knows_it(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """Its parent and its root."""

    @recorded("outer", service=service)
    def work() -> None:
        with _coze(sandbox, _recording(service)) as coze:
            coze.workflows.runs.create(workflow_id=IDS["short_answer"])

    await _in_thread(work)
    outer = await _one(service, "outer")
    expected = {"workflow_id": "outer", "execute_id": outer["execute_id"]}
    metadata = (await _one(service, "short_answer"))["metadata"]
    assert (expected, expected) == (metadata["parent"], metadata["root"])


async def test_many_threads_share_one_client(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """Each run is its own."""
    with _coze(sandbox, _recording(service)) as coze:

        def work(number: int) -> int:
            events = coze.workflows.runs.stream(workflow_id=IDS["long_stream"], parameters={"number": number})
            return sum(event.event == WorkflowEventType.MESSAGE for event in events)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.to_thread(work, number)) for number in range(20)]
    assert {22} == {task.result() for task in tasks}
    kept = (await service.get_execution_history(IDS["long_stream"], page_size=100))["histories"]
    assert ({"success"}, set(range(20))) == (
        {each["execute_status"] for each in kept}, {each["input_parameters"]["number"] for each in kept},
    )  # fmt: skip


async def test_the_asynchronous_transport_is_as_ready(sandbox: Sandbox, service: ExecutionHistoryService) -> None:
    """One line for either client."""
    recorder = Recorder(service.store)
    transport = async_recording_transport(recorder)
    async with AsyncHTTPClient(transport=transport) as client:  # type: ignore[no-untyped-call]
        coze = AsyncCoze(AsyncTokenAuth(sandbox.token), base_url=sandbox.base_url, http_client=client)
        await coze.workflows.runs.create(workflow_id=IDS["short_answer"])
    assert "success" == (await _one(service, "short_answer"))["execute_status"]
    assert isinstance(recording_transport(recorder), SyncRecordingTransport)


@pytest.mark.parametrize("end", ["after the stream", "in the middle"])
async def test_three_lines_in_a_script(sandbox: Sandbox, tmp_path: Path, end: str) -> None:
    """The lines of the README; the script ends right after its run, or in the middle of what it no longer reads."""
    source = """
        import os
        from cozepy import Coze, TokenAuth
        from cozepy.request import SyncHTTPClient
        from execution_history import recording_transport

        client = SyncHTTPClient(transport=recording_transport())
        coze = Coze(TokenAuth(os.environ["TOKEN"]), base_url=os.environ["BASE"], http_client=client)
        middle = os.environ["END"] == "in the middle"
        pace = {"packets": 2, "pace_ms": 60_000} if middle else {}
        for event in coze.workflows.runs.stream(workflow_id="7000000000000000002", parameters=pace):
            if middle:
                break
        """
    await _in_thread(lambda: run(tmp_path, source, TOKEN=sandbox.token, BASE=sandbox.base_url, END=end))
    [found] = (await histories(tmp_path))["7000000000000000002"]
    expected = ("success", "done_event") if end == "after the stream" else ("interrupted", "abandoned")
    assert expected == (found["execute_status"], found["metadata"]["proof"])
