"""Whatever fails in recording, the caller of a run gets the upstream's whole answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
import httpx
import pytest

from execution_history.background_loop import Bridge
from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import WORKFLOWS, Sandbox, serve_sandbox
from execution_history.stores import MemoryStore
from tests.faulty_store import FaultyStore

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
_CALLS = {"short_answer": "/v1/workflow/run", "long_stream": "/v1/workflow/stream_run"}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Serve a sandbox that never waits."""
    async with serve_sandbox(delay_ms=0, pace_ms=0) as served:
        yield served


def _clock(right: int) -> Callable[[], int]:
    """A clock that can be read so often, and then fails: each step of a recording reads it."""
    readings = itertools.count()

    def read() -> int:
        if next(readings) >= right:
            raise LookupError("The clock has stopped.")
        return 1_000_000

    return read


@pytest.mark.parametrize("right", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", _CALLS)
async def test_a_recording_that_fails_at_any_step_breaks_no_run(sandbox: Sandbox, name: str, right: int) -> None:
    """Neither through the asynchronous transport nor through the other."""
    request: dict[str, Any] = {"headers": {"Authorization": f"Bearer {sandbox.token}"}}
    request |= {"url": sandbox.base_url + _CALLS[name], "json": {"workflow_id": _IDS[name], "parameters": {}}}

    def post() -> httpx.Response:
        with httpx.Client(transport=SyncRecordingTransport(Recorder(MemoryStore(), clock=_clock(right)))) as client:
            return client.post(**request)

    async with asyncio.timeout(60):
        async with httpx.AsyncClient() as client:
            expected = (await client.post(**request)).text
        async with httpx.AsyncClient(
            transport=RecordingTransport(Recorder(MemoryStore(), clock=_clock(right)))
        ) as client:
            answer = await client.post(**request)
        other = await anyio.to_thread.run_sync(post)
    for each in (answer, other):
        assert 200 == each.status_code
        assert expected.count('"') == each.text.count('"')  # ids and times differ from run to run


class _Silent(httpx.AsyncBaseTransport):
    """Never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError(request)


@pytest.mark.parametrize("steps", range(1, 9))
async def test_a_transport_that_is_closed_leaves_no_caller_waiting(steps: int) -> None:
    """At whatever step of a call it is closed, the call ends with an error."""
    transport = RecordingTransport(Recorder(MemoryStore()), _Silent())
    request = httpx.Request("POST", "http://upstream/v1/workflow/run", json={"workflow_id": "1", "parameters": {}})
    calling = asyncio.create_task(transport.handle_async_request(request))
    for _ in range(steps):
        await asyncio.sleep(0)
    await transport.aclose()
    await asyncio.wait([calling], timeout=60)
    assert calling.done()
    with pytest.raises((httpx.TransportError, asyncio.CancelledError)):
        await calling


@pytest.mark.parametrize("is_required", [False, True])
@pytest.mark.parametrize("steps", range(1, 9))
async def test_a_transport_that_is_closed_leaves_no_running_record(steps: int, is_required: bool) -> None:
    """At whatever step of a call it is closed, whether its record is there already or still on its way."""
    store = FaultyStore()
    recorder = Recorder(store, require_recording=is_required)
    transport = RecordingTransport(recorder, _Silent())
    calling = asyncio.create_task(transport.handle_async_request(_run()))
    store.running.clear()
    for _ in range(steps):
        await asyncio.sleep(0)
    closing = asyncio.create_task(transport.aclose())
    await asyncio.sleep(0)
    store.running.set()
    await closing
    await asyncio.wait([calling], timeout=60)
    await recorder.aclose()
    assert not await store.open_records(frozenset({"running"}), 10)
    with pytest.raises((httpx.TransportError, asyncio.CancelledError)):
        await calling


class _Answers(httpx.AsyncByteStream):
    """Chunks, and an event for when so many have been taken that the buffer is full."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.is_ahead = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number in range(self._count):
            if number == 17:
                self.is_ahead.set()
            yield f"id: {number}\nevent: Message\ndata: {{}}\n\n".encode()


class _Upstream(httpx.AsyncBaseTransport):
    """An upstream during whose answer the store comes to a standstill."""

    def __init__(self, store: FaultyStore, answer: httpx.Response | Exception) -> None:
        self._store = store
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx calls it so
        """Give the answer."""
        self._store.running.clear()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def _run(name: str = "short_answer") -> httpx.Request:
    return httpx.Request("POST", f"http://upstream{_CALLS[name]}", json={"workflow_id": "1", "parameters": {}})


@pytest.mark.parametrize("answer", [httpx.Response(200, json={"code": 0}), httpx.ConnectError("Nobody is there.")])
async def test_a_transport_that_closes_while_a_record_is_closed_leaves_nobody_waiting(
    answer: httpx.Response | Exception,
) -> None:
    """The caller gets the whole answer, or what kept it from coming; the record waits for the store."""
    store = FaultyStore()
    recorder = Recorder(store)
    transport = RecordingTransport(recorder, _Upstream(store, answer))
    async with asyncio.timeout(60), httpx.AsyncClient(transport=transport) as client:
        calling = asyncio.create_task(client.send(_run()))
        while store.asked < 2:
            await asyncio.sleep(0)
        await transport.aclose()
        if isinstance(answer, Exception):
            with pytest.raises(type(answer)):
                await calling
        else:
            assert {"code": 0} == (await calling).json()
        assert recorder.outbox
        store.running.set()
        await recorder.aclose()
    assert not recorder.outbox


async def test_a_transport_closes_also_while_a_caller_does_not_read() -> None:
    """What the caller reads then has no gap, and ends with an error."""
    store = FaultyStore()
    answers = _Answers(100)
    headers = {"content-type": "text/event-stream"}
    upstream = _Upstream(store, httpx.Response(200, headers=headers, stream=answers))
    transport = RecordingTransport(Recorder(store), upstream)
    read: list[bytes] = []

    async def read_on(chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            read.append(chunk)  # noqa: PERF401 - what came before the error counts too

    async with asyncio.timeout(60), httpx.AsyncClient(transport=transport) as client:
        response = await client.send(_run("long_stream"), stream=True)
        store.running.set()
        chunks = response.aiter_raw()
        read.append(await anext(chunks))
        await answers.is_ahead.wait()
        await transport.aclose()
        with pytest.raises(asyncio.CancelledError):
            await read_on(chunks)
    assert [f"id: {number}".encode() for number in range(len(read))] == [chunk.split(b"\n")[0] for chunk in read]


async def test_a_bridge_that_ends_while_a_record_is_closed_costs_no_synchronous_answer() -> None:
    """The caller gets all of it."""
    store = FaultyStore()
    bridge = Bridge()

    def answer(_: httpx.Request) -> httpx.Response:
        store.running.clear()
        return httpx.Response(200, content=b'{"code": 0}')

    transport = SyncRecordingTransport(Recorder(store), httpx.MockTransport(answer), bridge=bridge)
    async with asyncio.timeout(60):
        reading = asyncio.create_task(anyio.to_thread.run_sync(lambda: transport.handle_request(_run()).read()))
        while store.asked < 2:
            await asyncio.sleep(0.01)
        await anyio.to_thread.run_sync(bridge.end, 0.1)
        assert b'{"code": 0}' == await reading


@pytest.mark.parametrize("is_required", [False, True])
async def test_a_synchronous_run_leaves_unrecorded_only_where_it_may(is_required: bool) -> None:
    """A bridge that has ended keeps no record: the run goes on, or is refused where recording is required."""
    bridge = Bridge()
    await anyio.to_thread.run_sync(bridge.end, 0.1)
    inner = httpx.MockTransport(lambda _: httpx.Response(200, content=b'{"code": 0}'))
    transport = SyncRecordingTransport(Recorder(MemoryStore(), require_recording=is_required), inner, bridge=bridge)
    if is_required:
        with pytest.raises(RuntimeError, match="The program is ending"):
            transport.handle_request(_run())
    else:
        assert b'{"code": 0}' == transport.handle_request(_run()).read()
