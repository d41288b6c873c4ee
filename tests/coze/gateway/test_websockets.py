"""WebSocket connections through the gateway, with a real client and a real server at its ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from execution_history.coze.gateway import websocket_host
from tests.coze.certificates import Authority
from tests.coze.gateway.conftest import Gateway, gateway_to, nobody
from tests.web.conftest import served

pytestmark = pytest.mark.anyio


class Echo:
    """An upstream that sends back what comes, ends on request, and refuses one path."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.codes: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.received = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        self.scopes.append(scope)
        await receive()
        if scope["path"] in {"/v1/refused", "/v1/redirected"}:
            headers = [(b"content-type", b"application/json"), (b"x-tt-logid", b"L1"), (b"location", b"/v1/chat")]
            headers.append((b"x-msg", b"a\x01b"))
            status = 401 if scope["path"] == "/v1/refused" else 302
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b'{"code":4100}'})
            return
        chosen = (scope["subprotocols"] or [None])[-1]
        await send(
            {
                "type": "websocket.accept",
                "subprotocol": chosen,
                "headers": [(b"x-tt-logid", b"L2"), (b"x-msg", b"a\x01b")],
            }
        )
        while (message := await receive())["type"] == "websocket.receive":
            self.received += 1
            if message.get("text") == "end":
                await send({"type": "websocket.close", "code": 4001, "reason": "the end"})
                return
            with suppress(OSError):  # the other side may have ended already
                await send({**message, "type": "websocket.send"})
        await self.codes.put((message["code"], message.get("reason") or ""))


@asynccontextmanager
async def gateway_to_echo(folder: Path) -> AsyncIterator[tuple[Gateway, Echo, str]]:
    """A gateway in front of such an upstream, and the gateway's address for WebSockets."""
    upstream = Echo()
    async with served(upstream) as base, gateway_to(folder, base) as gateway:
        yield gateway, upstream, gateway.base_url.replace("http://", "ws://")


async def test_messages_pass_in_both_directions(tmp_path: Path) -> None:
    """Texts, bytes and large ones; path, query, token and subprotocol go on, and the answer's headers come back."""
    async with gateway_to_echo(tmp_path) as (_, upstream, base):
        async with connect(
            f"{base}/v1/audio/speech?voice=%E5%8C%97",
            subprotocols=["a", "b"],  # type: ignore[list-item]
            additional_headers={"Authorization": "Bearer mine", "X-Execution-History-Account": "other"},
            max_size=None,
        ) as socket:
            for message in ("北京", b"\x00\xff", "x" * 3_000_000):
                await socket.send(message)
                assert message == await socket.recv()
            assert ("b", "L2") == (socket.subprotocol, socket.response.headers["x-tt-logid"])  # type: ignore[union-attr]
        assert 1000 == (await upstream.codes.get())[0]
        scope = upstream.scopes[0]
        headers = dict(scope["headers"])
        assert ("/v1/audio/speech", b"voice=%E5%8C%97") == (scope["path"], scope["query_string"])
        assert b"Bearer mine" == headers[b"authorization"]
        assert b"x-execution-history-account" not in headers


async def test_the_end_passes_with_its_code_and_reason(tmp_path: Path) -> None:
    """Whichever side it comes from."""
    async with gateway_to_echo(tmp_path) as (_, upstream, base):
        async with connect(f"{base}/v1/chat") as socket:
            await socket.send("end")
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert (4001, "the end") == (closed.value.rcvd.code, closed.value.rcvd.reason)
        async with connect(f"{base}/v1/chat") as socket:
            await socket.close(4002, "enough")
        assert (4002, "enough") == await upstream.codes.get()
        socket = await connect(f"{base}/v1/chat").__aenter__()
        socket.transport.abort()
        assert 1000 == (await upstream.codes.get())[0]


@pytest.mark.parametrize("had_key", [True, False])
async def test_a_connection_ends_soon_after_its_caller_may_not_come_in(tmp_path: Path, had_key: bool) -> None:
    """As the key is revoked, or as the first one is added: at both ends, with the reason."""
    async with gateway_to_echo(tmp_path) as (gateway, upstream, base):
        gate = gateway.application.gate
        gate.checked_again_seconds = 0.05
        headers = {"X-Execution-History-Key": (await gate.keys.add("mine", ["run"])).secret} if had_key else {}
        async with connect(f"{base}/v1/chat", additional_headers=headers) as socket:
            await socket.send("one")
            assert "one" == await socket.recv()
            await (gate.keys.revoke("mine") if had_key else gate.keys.add("first", ["admin"]))
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        told = (1008, "The key was revoked or has expired." if had_key else "A key is needed now.")
        assert told == (closed.value.rcvd.code, closed.value.rcvd.reason)
        assert told == await upstream.codes.get()


async def test_what_was_sent_before_the_end_arrives(tmp_path: Path) -> None:
    """Also when the upstream talks meanwhile, to nobody."""
    async with gateway_to_echo(tmp_path) as (_, upstream, base):
        async with connect(f"{base}/v1/chat", max_queue=None) as socket:
            await asyncio.gather(*(socket.send("x" * 1_000) for _ in range(50)), socket.close(4003, "done"))
        assert (4003, "done") == await upstream.codes.get()
        assert 50 == upstream.received


async def test_a_large_message_passes_whole(tmp_path: Path) -> None:
    """In both directions: one of 15 MB, in frames of any size."""

    async def serve(socket: ServerConnection) -> None:
        message = await socket.recv()
        await socket.send([message[:1_000], message[1_000:]])
        await socket.wait_closed()

    async with serve_websockets(serve, "127.0.0.1", 0, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with (
            gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway,
            connect(gateway.base_url.replace("http://", "ws://") + "/v1/chat", max_size=None) as socket,
        ):
            sent = bytes(range(256)) * 60_000  # what the server of these tests takes at most is 16 MB
            await socket.send(sent)
            assert sent == await socket.recv()


async def test_who_reads_slowly_slows_the_sender_down(tmp_path: Path) -> None:
    """What is under way between the two has a limit, however much the upstream has to say."""
    read, most, count = 0, 0, 400
    message = b"x" * 256 * 1024

    async def serve(socket: ServerConnection) -> None:
        nonlocal most
        for number in range(count):
            await socket.send(message)
            most = max(most, number - read)
        await socket.wait_closed()

    async with serve_websockets(serve, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway:
            address = gateway.base_url.replace("http://", "ws://") + "/v1/audio/speech"
            async with connect(address, max_queue=1, compression=None) as socket:
                for _ in range(count):
                    for _ in range(100):
                        await asyncio.sleep(0)
                    assert len(message) == len(await socket.recv())
                    read += 1
    assert most < count / 2


async def test_a_page_of_another_origin_gets_no_connection(tmp_path: Path) -> None:
    """Nor does who calls this server by another name; the upstream hears nothing of either."""
    async with gateway_to_echo(tmp_path) as (_, upstream, base):
        for headers in ({"Origin": "https://elsewhere.test"}, {"Host": "elsewhere.test"}):
            with pytest.raises(InvalidStatus):
                await connect(f"{base}/v1/chat?workflow_id=7", additional_headers=headers).__aenter__()
    assert [] == upstream.scopes


async def test_why_an_upstream_cannot_be_reached_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the answer and in the log, with the setting that changes it."""
    authority = Authority(tmp_path / "tls")

    async def serve(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve_websockets(serve, "127.0.0.1", 0, ssl=authority.server("127.0.0.1")) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with gateway_to(tmp_path, f"https://127.0.0.1:{port}") as gateway:
            with pytest.raises(InvalidStatus) as refused:
                await connect(gateway.base_url.replace("http://", "ws://") + "/v1/chat").__aenter__()
    said = "the certificate of 127.0.0.1 is not trusted here, "
    assert said in (refused.value.response.body or b"").decode()
    assert any(said in line and "accounts.default.ca_file" in line for line in caplog.messages)


async def test_an_end_without_a_code_is_a_normal_end(tmp_path: Path) -> None:
    """The upstream's close frame is empty."""

    async def serve(socket: ServerConnection) -> None:
        socket.protocol.send_close()
        socket.transport.write(b"".join(socket.protocol.data_to_send()))
        await socket.wait_closed()

    async with serve_websockets(serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway:
            socket = await connect(gateway.base_url.replace("http://", "ws://") + "/v1/chat").__aenter__()
            with pytest.raises(ConnectionClosedOK):
                await socket.recv()


async def test_a_caller_that_leaves_during_the_handshake_ends_it(tmp_path: Path) -> None:
    """The upstream sees the connection end, and does not wait for its answer to be taken."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway:
            connecting = asyncio.ensure_future(
                connect(gateway.base_url.replace("http://", "ws://") + "/v1/chat").__aenter__()
            )
            await asked.wait()
            connecting.cancel()
            await left.wait()


@pytest.mark.parametrize(("path", "status"), [("/v1/refused", 401), ("/v1/redirected", 302)])
async def test_a_refused_connection_is_refused_the_same_way(tmp_path: Path, path: str, status: int) -> None:
    """Status, headers and body are the upstream's; where it redirects to hears nothing."""
    async with gateway_to_echo(tmp_path) as (gateway, upstream, _):
        async with httpx.AsyncClient() as client:  # websockets' client would follow a redirect itself
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
            key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
            response = await client.get(gateway.base_url + path, headers={**upgrade, **key})
        assert 1 == len(upstream.scopes)
    assert (status, b'{"code":4100}') == (response.status_code, response.content)
    assert ("application/json", "L1") == (response.headers["content-type"], response.headers["x-tt-logid"])
    assert "a b" == response.headers["x-msg"]


async def test_what_cannot_be_passed_on_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """An upstream that is not there, an account that is not there; and another path is not the gateway's."""
    async with gateway_to(tmp_path, nobody()) as gateway:
        base = gateway.base_url.replace("http://", "ws://")
        account = {"X-Execution-History-Account": "nobody"}
        cases: list[tuple[str, dict[str, str], int, str | None, int | None, str]] = [
            ("/v1/chat", {}, 502, "upstream_unreachable", 5000, f"{gateway.upstream_url} gave no answer"),
            ("/v1/chat", {"Accept-Language": "zh"}, 502, "upstream_unreachable", 5000, "没有响应"),
            ("/v1/chat", account, 400, "unknown_account", 4000, "'nobody'"),
            ("/elsewhere", {}, 403, None, None, ""),
        ]
        for path, headers, status, word, code, said in cases:
            with pytest.raises(InvalidStatus) as refused:
                await connect(base + path, additional_headers=headers).__aenter__()
            response = refused.value.response
            assert (status, word) == (response.status_code, response.headers.get("x-execution-history-error"))
            envelope: dict[str, Any] = orjson.loads(response.body) if response.body else {"code": None, "msg": ""}
            assert (code, True) == (envelope["code"], said in envelope["msg"])


def test_coze_serves_websockets_under_names_of_their_own() -> None:
    """As its SDKs derive them; every other host serves its own."""
    expected = {
        "api.coze.cn": "ws.coze.cn",
        "api.coze.com": "ws.coze.com",
        "api-bj.coze.cn": "ws-bj.coze.cn",
        "api.example.com": "api.example.com",
        "studio.coze.cn": "studio.coze.cn",
        "127.0.0.1": "127.0.0.1",
    }
    assert expected == {host: websocket_host(host) for host in expected}
