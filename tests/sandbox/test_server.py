"""Serving: addresses, signals, shutting down."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import anyio
import httpx
import orjson
import pytest
from starlette.types import Message

from execution_history.sandbox import WORKFLOWS, AddressError, Flavour, Sandbox, create_sandbox, serve_sandbox
from execution_history.sandbox.app import sandbox_application
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.executions import Execution

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}


def client_of(sandbox: Sandbox) -> httpx.AsyncClient:
    """Return a client with the token of ``sandbox``."""
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    return httpx.AsyncClient(base_url=sandbox.base_url, headers=headers, timeout=30)


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error."""
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def on_event(awaited: str, seen: asyncio.Event) -> Callable[[str, object], Awaitable[None]]:
    """Return a trace function for httpx that sets ``seen`` when the event ``awaited`` comes."""

    async def trace(name: str, _: object) -> None:
        if name == awaited:
            seen.set()

    return trace


@pytest.mark.anyio
async def test_the_default_address_is_the_loopback() -> None:
    """A sandbox is reachable on this machine only unless told otherwise, on a free port."""
    async with serve_sandbox() as sandbox:
        assert sandbox.base_url.startswith("http://127.0.0.1:")
        assert sandbox.token == "sandbox-token"


@pytest.mark.anyio
async def test_a_sandbox_on_every_address_is_reached_by_the_loopback() -> None:
    """The base URL is one that a client can use."""
    async with serve_sandbox("0.0.0.0") as sandbox, client_of(sandbox) as client:  # noqa: S104  the case in question
        assert (await client.get("/v1/workflows")).status_code == 200
        assert sandbox.base_url.startswith("http://127.0.0.1:")


@pytest.mark.anyio
async def test_a_taken_port_is_one_clear_sentence() -> None:
    """The error names the address and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError) as caught:
            async with serve_sandbox(port=port):
                pass

    assert str(caught.value) == (
        f"The sandbox cannot listen on 127.0.0.1:{port} (Address already in use); "
        "choose another port, or 0 for any free one."
    )


@pytest.mark.anyio
@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no such host", 0)])
async def test_an_impossible_address_is_the_same_error(host: str, port: int) -> None:
    """A port that cannot be and a host that is not ours are told in the same way."""
    with pytest.raises(AddressError, match="cannot listen"):
        async with serve_sandbox(host, port):
            pass


@pytest.mark.anyio
async def test_a_port_is_free_again_afterwards() -> None:
    """The same port can be served at once after the block, though connections were open."""
    async with serve_sandbox() as first, client_of(first) as client:
        await client.get("/v1/workflows")
    port = int(first.base_url.rpartition(":")[2])
    async with serve_sandbox(port=port) as second:
        assert second.base_url == first.base_url


@pytest.mark.anyio
async def test_signal_handlers_are_left_alone() -> None:
    """Serving does not take over the process's signals."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    async with serve_sandbox():
        during = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    assert during == before


@pytest.mark.anyio
async def test_an_empty_token_is_refused() -> None:
    """A sandbox that would let everybody in is not served."""
    with pytest.raises(ValueError, match="token"):
        create_sandbox("")


@pytest.mark.anyio
async def test_leaving_breaks_open_streams(caplog: pytest.LogCaptureFixture) -> None:
    """A stream that is open when the block ends breaks, so that nobody takes it for complete."""
    body = {"workflow_id": IDS["long_stream"], "parameters": {"pace_ms": 60_000}}
    with anyio.fail_after(10):
        async with serve_sandbox() as sandbox:
            client = client_of(sandbox)
            request = client.build_request("POST", "/v1/workflow/stream_run", json=body)
            answer = await client.send(request, stream=True)
            received = answer.aiter_bytes()
            assert (await anext(received)).startswith(b"id: 0\n")
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(received)
        await client.aclose()

    assert errors_in(caplog) == []


@pytest.mark.anyio
async def test_leaving_breaks_waiting_runs(caplog: pytest.LogCaptureFixture) -> None:
    """A run that is being waited for when the block ends gets no answer."""
    body = {"workflow_id": IDS["slow_answer"], "parameters": {"delay_ms": 600_000}}
    with anyio.fail_after(10):
        async with serve_sandbox() as sandbox:
            client = client_of(sandbox)
            sent = asyncio.Event()
            extensions = {"trace": on_event("http11.receive_response_headers.started", sent)}
            request = client.build_request("POST", "/v1/workflow/run", json=body, extensions=extensions)
            waiting = asyncio.create_task(client.send(request))
            await sent.wait()
            await client.get("/v1/workflows")  # a round trip, in which the server takes up the run
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await waiting
        await client.aclose()

    assert errors_in(caplog) == []


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_a_slow_reader(caplog: pytest.LogCaptureFixture) -> None:
    """A stream whose reader has stopped reading does not hold up the end of the block."""
    body = {"workflow_id": IDS["large_output"], "parameters": {"size": 20_000_000}}
    with anyio.fail_after(10):
        async with serve_sandbox() as sandbox:
            client = client_of(sandbox)
            request = client.build_request("POST", "/v1/workflow/stream_run", json=body)
            answer = await client.send(request, stream=True)
        await answer.aclose()
        await client.aclose()

    assert errors_in(caplog) == []


@pytest.mark.anyio
async def test_being_cancelled_stops_the_server_too() -> None:
    """A block that is cancelled gives its port back like any other."""
    with anyio.CancelScope() as scope:
        async with serve_sandbox() as sandbox:
            scope.cancel()
            await anyio.sleep_forever()

    with pytest.raises(httpx.ConnectError):
        async with client_of(sandbox) as client:
            await client.get("/v1/workflows")


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b'{"workflow_id"', b'{"workflow_id": "7000000000000000002"}'])
async def test_a_caller_who_hangs_up_is_no_error(caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    """Leaving in mid-request or in mid-stream leaves nothing in the error log."""
    async with serve_sandbox(pace_ms=1) as sandbox:
        host, port = sandbox.base_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /v1/workflow/stream_run HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 38\r\n"
            b"Authorization: Bearer sandbox-token\r\n\r\n" + sent
        )
        await writer.drain()
        if len(sent) == 38:
            await reader.readuntil(b"event: Message")
        writer.close()
        await writer.wait_closed()
        async with client_of(sandbox) as client:
            await client.get("/v1/workflows")

    assert errors_in(caplog) == []


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["run", "stream_run"])
@pytest.mark.parametrize("reset", [0, 1])
async def test_a_broken_connection_is_no_error(caplog: pytest.LogCaptureFixture, path: str, reset: int) -> None:
    """Breaking a connection on purpose leaves nothing in the error log."""
    body = {"workflow_id": IDS["breaks_the_connection"], "parameters": {"reset": reset, "pace_ms": 0}}
    async with serve_sandbox() as sandbox, client_of(sandbox) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(f"/v1/workflow/{path}", json=body)

    assert errors_in(caplog) == []


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["run", "stream_run"])
async def test_any_server_drops_an_incomplete_answer(path: str) -> None:
    """On a server that does not lend its connections, a broken answer stays incomplete."""
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def receive() -> Message:
        body = orjson.dumps({"workflow_id": IDS["breaks_the_connection"]})
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http", "method": "POST", "path": f"/v1/workflow/{path}", "query_string": b"",
        "headers": [(b"authorization", b"Bearer t")],
    }  # fmt: skip
    await create_sandbox("t", pace_ms=0)(scope, receive, send)

    expected = {"run": [], "stream_run": ["http.response.body"]}
    assert sent == ["http.response.start", *expected[path]]


@pytest.mark.anyio
async def test_the_application_runs_on_any_asgi_server() -> None:
    """Without serve_sandbox the application answers all the same."""
    transport = httpx.ASGITransport(create_sandbox("t", delay_ms=0, pace_ms=0))
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        answer = await client.post("/v1/workflow/run", json={"workflow_id": IDS["short_answer"]})

    assert answer.json()["code"] == 0


async def fault(flavour: Flavour, path: str) -> httpx.Response:
    """Return what a sandbox answers that cannot find executions."""

    class FaultyEngine(Engine):
        def find(self, workflow_id: str, execute_id: str) -> Execution:
            raise RuntimeError(workflow_id + execute_id)

    app = sandbox_application(FaultyEngine(delay_ms=0, pace_ms=0), "t", flavour)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": "Bearer t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        return await client.get(path)


@pytest.mark.anyio
async def test_a_fault_of_a_studio_has_its_form() -> None:
    """As Coze Studio, the sandbox says HTTP 500 with code 500."""
    answer = await fault("studio", "/v1/workflow/get_run_history")

    assert (answer.status_code, answer.json()["code"], set(answer.json())) == (500, 500, {"code", "msg"})
    assert answer.headers["x-log-id"]


@pytest.mark.anyio
async def test_a_fault_of_the_sandbox_has_an_envelope() -> None:
    """A fault of our own is HTTP 500 with a positive code, readable for the SDKs, and tells no details."""
    answer = await fault("coze", "/v1/workflows/1/run_histories/2")

    assert answer.status_code == 500
    assert answer.json() == {
        "code": 5000,
        "msg": "The sandbox has a fault; see its log.",
        "detail": {"logid": answer.headers["x-tt-logid"]},
    }
