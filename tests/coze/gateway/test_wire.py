"""What passes through the gateway, byte for byte, and how it behaves under pressure."""

import asyncio
import gzip
from pathlib import Path
from typing import Any, Literal

import brotli  # type: ignore[import-untyped]
import httpx
import orjson
import pytest
from starlette.types import Scope, Send

from execution_history.coze.forwarded_headers import sendable
from execution_history.errors import quoted
from execution_history.settings import AccountSettings
from execution_history.web import create_app
from tests.coze.gateway.conftest import Gateway, Scripted, canned, gateway_to, nobody, scripted
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream")
_RUN = {"workflow_id": "7", "parameters": {"city": "北京"}, "an_unknown_field": {"kept": True}}
_DATA = orjson.dumps({"code": 0, "msg": "", "data": '{"output":"晴"}', "debug_url": "", "extra": 1})
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


def _message(number: int, content: str = "字", *, last: bool = False) -> bytes:
    said = {"content": content, "node_title": "End", "node_seq_id": str(number), "node_is_finish": last}
    return b"id: %d\nevent: Message\ndata: %s\n\n" % (number, orjson.dumps(said))


_DONE = b"id: 99\nevent: Done\ndata: {}\n\n"


def _kept(headers: httpx.Headers) -> list[tuple[bytes, bytes]]:
    left_out = (_HOP_BY_HOP, {"date", "server", "x-execution-history-request-id"})
    return sorted((k.lower(), v) for k, v in headers.raw if not any(k.lower().decode() in s for s in left_out))


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, [_JSON, (b"X-Tt-Logid", b"L1"), (b"x-unknown", b"kept")], _DATA),
        (200, [_JSON, (b"content-encoding", b"gzip")], gzip.compress(_DATA)),
        (200, [_JSON, (b"content-encoding", b"br")], brotli.compress(_DATA)),
        (200, [_JSON, (b"content-encoding", b"gzip")], b"not gzip at all"),
        (
            200,
            [(b"content-type", b"application/octet-stream"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
            b"\0",
        ),
        (302, [(b"location", b"https://elsewhere.example/")], b""),
        (401, [_JSON], b'{"code":4100,"msg":"no"}'),
        (500, [(b"content-type", b"text/html")], b"<html>broken</html>"),
    ],
    ids=["json", "gzip", "brotli", "false gzip", "binary", "redirect", "401", "500"],
)
async def test_an_answer_passes_as_it_is(
    tmp_path: Path, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Status, headers but those of the connection, and the raw body, whatever it is and says of itself."""
    async with scripted(tmp_path, canned(status, headers, body)) as (gateway, upstream):
        for path in ("/v1/workflow/run", "/v1/files/retrieve", "/open_api/v2/chat", "/v3/chat", "/api/x"):
            found = []
            for base in (gateway.upstream_url, gateway.base_url):
                async with httpx.AsyncClient() as client, client.stream("POST", base + path, json=_RUN) as answer:
                    raw = b"".join([chunk async for chunk in answer.aiter_raw()])
                    found.append((answer.status_code, _kept(answer.headers), raw))
            assert found[0] == found[1]
        assert 10 == len(upstream.asked)
        assert 1 == len({body for _, body in upstream.asked})


async def test_a_compressed_answer_is_recorded_all_the_same(tmp_path: Path) -> None:
    """The caller gets it packed, the record has it plain."""
    respond = canned(200, [_JSON, (b"content-encoding", b"br")], brotli.compress(_DATA))
    async with scripted(tmp_path, respond) as (gateway, _):
        await gateway.client.post("/v1/workflow/run", json=_RUN)
        record = (await gateway.records("7"))[0]
    assert ("success", {"output": "晴"}) == (record["execute_status"], record["output"])


async def test_a_request_passes_as_it_is(tmp_path: Path) -> None:
    """Method, path, query, headers and body; not what belongs to the connection or to us."""
    async with scripted(tmp_path, canned(200, [_JSON], b"{}")) as (gateway, upstream):
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "GET"):
            headers = {
                "X-Odd": "a, b",
                "Connection": "close, X-Hop",
                "X-Hop": "1",
                "X-Execution-History-Account": "other",
            }
            answer = await gateway.client.request(
                method,
                f"{gateway.base_url}//v1//a%2Fb/%E5%8C%97?x=1&x=2&y=%20",
                headers=headers,
                content=b"body" if method == "PUT" else None,
            )
            assert b"{}" == answer.content
        scope, body = upstream.asked[0]
        sent = dict(scope["headers"])
        assert (b"/v1/a%2Fb/%E5%8C%97", b"x=1&x=2&y=%20", b"body") == (scope["raw_path"], scope["query_string"], body)
        assert (b"a, b", b"Bearer right-token") == (sent[b"x-odd"], sent[b"authorization"])
        assert not {b"x-hop", b"x-execution-history-account", b"expect"} & set(sent)
        assert ["PUT", "PATCH", "DELETE", "OPTIONS", "GET"] == [asked["method"] for asked, _ in upstream.asked]


async def test_an_upload_streams_through(tmp_path: Path) -> None:
    """A body without a length, in pieces."""

    async def pieces() -> Any:
        for number in range(50):
            yield b"%04d" % number * 1000

    async with scripted(tmp_path, canned(200, [_JSON], b"{}")) as (gateway, upstream):
        await gateway.client.post("/v1/files/upload", content=pieces())
        assert b"".join([piece async for piece in pieces()]) == upstream.asked[0][1]


@pytest.mark.parametrize("path", ["/v1/workflow/run", "/v1/files/upload"])
async def test_of_two_lengths_the_one_that_counts_goes_on_or_nothing(tmp_path: Path, path: str) -> None:
    """Beside chunks a Content-Length means nothing (RFC 9112 section 6.3): h11 ignores it, httptools refuses."""
    body = orjson.dumps(_RUN)
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0}')) as (gateway, upstream):

        async def post(base: str) -> bytes:
            host = base.removeprefix("http://")
            reader, writer = await asyncio.open_connection(*host.split(":"))
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            answer = await reader.read()
            writer.close()
            return answer

        refused = await post(gateway.base_url)
        assert (b"HTTP/1.1 400", []) == (refused[:12], upstream.asked)
        async with served(create_app(gateway.application), http="h11") as base:
            answer = await post(base)
        assert (b"HTTP/1.1 200", True) == (answer[:12], b'{"code":0}' in answer)
        assert [body] == [sent for _, sent in upstream.asked]


@pytest.mark.parametrize("path", ["/v1/workflow/run", "/v1/bots"])
async def test_an_answer_that_is_no_http_is_an_envelope(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A status that ends nothing, two lengths and a broken head are the upstream's fault, and it is asked once.

    What the parser says of it, on many lines, is one line of a bounded length in the envelope and in the log.
    """
    answers = [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            b'a\r\n{"code":0}\r\n0\r\n\r\n'
        ),
        b"SMTP ready" + b"x" * 5_000 + b"\r\n\r\n",
    ]
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway:
            for number in range(1, 5):
                refused = await gateway.client.post(path, json=_RUN)
                assert (200, 5000, number) == (refused.status_code, refused.json()["code"], asked)
                said = [refused.json()["msg"], *(line for line in caplog.messages if "gave no answer" in line)]
                assert (True, True) == (max(map(len, said)) < 600, not any("\n" in line for line in said))


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize("path", ["/v1/workflow/run", "/v1/bots", "/v1/workflows/7/run_histories/1"])
async def test_a_header_that_is_no_http_goes_on_as_far_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, http: Literal["h11", "httptools"], path: str
) -> None:
    """Control characters in a value become spaces, as RFC 9110 (section 5.5) has it; the log names the header."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nx-msg: a\x01b\r\nx-edge: \x7fc\x0b\r\nx-tab: d\te\r\nx-kept: \xe5\x8c\x97\r\n"
        writer.write(head + b"Content-Length: 10\r\nConnection: close\r\n\r\n" + b'{"code":0}')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        async with (
            gateway_to(tmp_path, f"http://127.0.0.1:{port}") as gateway,
            served(create_app(gateway.application), http=http) as base,
        ):
            found = await gateway.client.request("POST" if path.endswith("/run") else "GET", base + path, json=_RUN)
    assert (200, {"code": 0}) == (found.status_code, found.json())
    values = [value for name, value in found.headers.raw if name.lower().startswith(b"x-")]
    assert {b"a b", b"c", b"d\te", b"\xe5\x8c\x97"} <= set(values)
    assert (1, True) == (sum("'x-msg', 'x-edge'" in line for line in caplog.messages), "Traceback" not in caplog.text)


@pytest.mark.parametrize("name", [b"x y", b"", b"x\x01", b"x:y", b"\xe5", b"x\r\ny"])
def test_a_header_whose_name_is_none_does_not_go_on(name: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever an upstream's parser lets through; the others stay."""
    assert [(b"X-Kept", b"1")] == sendable([(name, b"v"), (b"X-Kept", b"1")])
    assert 1 == len(caplog.messages)


async def test_the_first_event_comes_before_the_second_is_made(tmp_path: Path) -> None:
    """Nothing is held back: the upstream waits for the caller to have seen what it sent."""
    seen = asyncio.Event()

    async def respond(_scope: Scope, _body: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [_EVENTS]})
        await send({"type": "http.response.body", "body": _message(0), "more_body": True})
        await seen.wait()
        await send({"type": "http.response.body", "body": _DONE})

    async with (
        scripted(tmp_path, respond) as (gateway, _),
        gateway.client.stream("POST", "/v1/workflow/stream_run", json=_RUN) as answer,
    ):
        received = b""
        async for chunk in answer.aiter_raw():
            received += chunk
            seen.set()
    assert _message(0) + _DONE == received


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/workflow/stream_run", [_EVENTS], ["no"]),
        ("/v3/chat", [(b"Content-Type", b"Text/Event-Stream; charset=utf-8")], ["no"]),
        ("/v1/workflow/stream_run", [(b"content-type", b"text/plain")], ["no"]),
        ("/v1/workflow/stream_run", [(b"content-type", b"application/ndjson")], ["no"]),
        ("/v1/workflow/stream_run", [(b"content-type", b"application/problem+json")], []),
        ("/v1/workflows/chat", [], ["no"]),
        ("/v1/workflow/stream_run", [_EVENTS, (b"X-Accel-Buffering", b"yes")], ["yes"]),
        ("/v1/workflow/stream_run", [_JSON], []),
        ("/v1/workflow/run", [_JSON], []),
        ("/v1/files/retrieve", [(b"content-type", b"text/plain")], []),
    ],
)
async def test_a_proxy_in_front_is_asked_to_pass_a_stream_on_at_once(
    tmp_path: Path, path: str, headers: list[tuple[bytes, bytes]], expected: list[str]
) -> None:
    """nginx holds back what has no X-Accel-Buffering; what is a stream is what the SDKs take for one."""
    async with scripted(tmp_path, canned(200, headers, _message(0), _DONE)) as (gateway, _):
        answer = await gateway.client.post(path, json=_RUN)
        assert (expected, _message(0) + _DONE) == (answer.headers.get_list("x-accel-buffering"), answer.content)


class _Endless:
    """An upstream that streams until nobody takes it, or up to a bound."""

    def __init__(self, bound: int) -> None:
        self.sent, self._bound, self.stuck, self.over = 0, bound, asyncio.Event(), asyncio.Event()

    async def __call__(self, _scope: Scope, _body: bytes, send: Send) -> None:
        """Send until the bound; tell when a piece is not taken for a while."""
        await send({"type": "http.response.start", "status": 200, "headers": [_EVENTS]})
        content = "字" * 20_000
        while self.sent < self._bound:
            sending = asyncio.ensure_future(
                send({"type": "http.response.body", "body": _message(self.sent, content), "more_body": True})
            )
            done, _ = await asyncio.wait({sending}, timeout=1)
            if not done:
                self.stuck.set()
            await sending
            self.sent += 1
        await send({"type": "http.response.body", "body": _DONE})
        self.over.set()


async def test_a_slow_reader_holds_the_upstream_back(tmp_path: Path) -> None:
    """A hundred megabytes do not pile up here: the upstream waits; when the reader leaves, it is read to its end."""
    upstream = _Endless(1_500)
    async with scripted(tmp_path, upstream, largest_recorded_bytes=2**20) as (gateway, _):
        async with gateway.client.stream("POST", "/v1/workflow/stream_run", json=_RUN) as answer:
            body = answer.aiter_raw()  # kept: an iterator that is dropped hangs up
            await anext(body)
            await upstream.stuck.wait()
            assert upstream.sent < 500
        await upstream.over.wait()
        record = await gateway.ended("7")
    assert ("success", True) == (record["execute_status"], record["metadata"]["recording_is_cut"])


async def test_a_caller_that_hangs_up_leaves_a_whole_record(tmp_path: Path) -> None:
    """In mid-stream, and before the answer has begun."""
    gone = asyncio.Event()

    async def respond(scope: Scope, _body: bytes, send: Send) -> None:
        if scope["path"].endswith("stream_run"):
            await send({"type": "http.response.start", "status": 200, "headers": [_EVENTS]})
            await send({"type": "http.response.body", "body": _message(0, "一"), "more_body": True})
            await gone.wait()
            await send({"type": "http.response.body", "body": _message(1, "二", last=True) + _DONE})
        else:
            await gone.wait()
            await send({"type": "http.response.start", "status": 200, "headers": [_JSON]})
            await send({"type": "http.response.body", "body": _DATA})

    async with scripted(tmp_path, respond) as (gateway, upstream):
        async with gateway.client.stream("POST", "/v1/workflow/stream_run", json=_RUN) as answer:
            await anext(answer.aiter_raw())
        waiting = asyncio.create_task(gateway.client.post("/v1/workflow/run", json={**_RUN, "workflow_id": "8"}))
        while len(upstream.asked) < 2:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gone.set()
        assert "一二" == (await gateway.ended("7"))["output"]
        assert {"output": "晴"} == (await gateway.ended("8"))["output"]


async def test_two_hundred_streams_at_once(tmp_path: Path) -> None:
    """All open at the same time, all whole, all recorded."""
    together = asyncio.Barrier(200)

    async def respond(_scope: Scope, _body: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [_EVENTS]})
        await send({"type": "http.response.body", "body": _message(0), "more_body": True})
        await together.wait()
        await send({"type": "http.response.body", "body": _message(1, last=True) + _DONE})

    async with (
        scripted(tmp_path, respond) as (gateway, _),
        httpx.AsyncClient(base_url=gateway.base_url, limits=httpx.Limits(max_connections=None), timeout=60) as client,
    ):
        answers = await asyncio.gather(*(client.post("/v1/workflow/stream_run", json=_RUN) for _ in range(200)))
        assert {_message(0) + _message(1, last=True) + _DONE} == {answer.content for answer in answers}
        page = await gateway.application.service.get_execution_history("7")
        counts = (await gateway.application.service.workflow_summaries())[0].counts
    assert (200, 200) == (page["total"], counts["success"])


async def test_a_stream_that_breaks_off_breaks_off_for_the_caller_too(gateway: Gateway) -> None:
    """It must not look whole."""
    with pytest.raises(httpx.RemoteProtocolError):
        await gateway.client.post("/v1/workflow/stream_run", json={"workflow_id": "7000000000000000007"})
    assert "connection_broken" == (await gateway.ended("7000000000000000007"))["metadata"]["proof"]


async def test_nothing_of_a_foreign_websocket_goes_on(tmp_path: Path) -> None:
    """It is refused before the upstream hears of it, whatever its path."""
    async with scripted(tmp_path, canned(200, [_JSON], b"{}")) as (gateway, upstream):
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
            key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
            answer = await gateway.client.get("/v1/audio/speech", headers={**upgrade, **key, **headers})
            assert answer.status_code in {403, 421}
        assert [] == upstream.asked


async def test_what_is_too_large_to_be_a_run_passes_unrecorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Coze takes 20 MB; what it says to more is its own. It is counted, and the log has a line for it."""
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":4000,"msg":"too large"}')) as (gateway, upstream):
        body = orjson.dumps({"workflow_id": "7", "parameters": {"t": "x" * 26_000_000}})
        answer = await gateway.client.post("/v1/workflow/run", content=body)
        assert (4000, body) == (answer.json()["code"], upstream.asked[0][1])
        assert [] == await gateway.records("7")
        ready = (await gateway.client.get("/readyz")).json()
        assert ("ok", 1) == (ready["status"], ready["unrecorded"])
        assert 1 == sum("passes unrecorded" in line for line in caplog.messages)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"workflow_id": ""}', b"\xff\xfe", orjson.dumps({"workflow_id": "x" * 2000})]
)
async def test_what_names_no_workflow_is_recorded_as_unknown(tmp_path: Path, body: bytes) -> None:
    """The upstream says what is wrong with it, and so does its record."""
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":4000}')) as (gateway, upstream):
        assert 4000 == (await gateway.client.post("/v1/workflow/run", content=body)).json()["code"]
        assert body == upstream.asked[0][1]
        [record] = await gateway.records("unknown")
        assert ("failed", 4000) == (record["execute_status"], record["error_code"])


async def test_a_history_is_told_when_the_upstream_cannot_be_reached(tmp_path: Path) -> None:
    """By the upstream's id or by ours, in the shape of the SDKs; one that nobody knows is an envelope."""
    async with gateway_to(tmp_path, nobody()) as gateway:
        service = gateway.application.service
        await service.create_execution_record("7", "mine", {"a": 1}, metadata={"coze_execute_id": "111"})
        await service.update_execution_record("7", "mine", "success", output={"answer": 1})
        for execute_id in ("111", "mine"):
            answer = await gateway.client.get(f"/v1/workflows/7/run_histories/{execute_id}")
            entry = answer.json()["data"][0]
            assert ("history", "Success", "111") == (
                answer.headers["x-execution-history-source"], entry["execute_status"], entry["execute_id"],
            )  # fmt: skip
            assert {"Output": '{"answer":1}'} == orjson.loads(entry["output"])
        unknown = await gateway.client.get("/v1/workflows/7/run_histories/222")
        assert (200, 5000) == (unknown.status_code, unknown.json()["code"])


_NODE = "/v1/workflows/7/run_histories/mine/execute_nodes/node-1"
_KNOWN = b'{"code":4200,"msg":"there is no such run"}'
_REFUSED = b'{"code":4100,"msg":"authentication is invalid"}'
_DOWN = b"<html>down</html>"


@pytest.mark.parametrize(
    ("body", "headers", "is_told"),
    [
        (None, {}, True),
        (_DOWN, {}, True),
        (_KNOWN, {}, True),
        (_REFUSED, {}, False),
        (None, {"Authorization": ""}, False),
        (_DOWN, {"Authorization": "Bearer"}, False),
        (_KNOWN, {"Authorization": ""}, False),
        (None, {"Origin": "http://a.test"}, False),
        (_DOWN, {"Origin": "http://a.test"}, False),
        (_KNOWN, {"Origin": "http://a.test"}, True),
        (_KNOWN, {"Origin": "http://a.test", "Authorization": ""}, False),
        (_REFUSED, {"Origin": "http://a.test"}, False),
    ],
)
async def test_a_record_answers_nobody_whose_token_is_missing_or_refused(
    tmp_path: Path, body: bytes | None, headers: dict[str, str], is_told: bool
) -> None:
    """Nor a page of an allowed origin with one that nobody checked: they get what the upstream says."""
    status = {_DOWN: 502, _REFUSED: 401}.get(body or b"", 200)
    async with scripted(tmp_path, canned(status, [_JSON], body or b""), allowed_origins=["http://a.test"]) as (up, _):
        base = nobody() if body is None else up.upstream_url
        async with gateway_to(tmp_path / "other", base, allowed_origins=["http://a.test"]) as gateway:
            service = gateway.application.service
            await service.create_execution_record("7", "mine", {})
            node = {"node_execute_uuid": "node-1", "is_finish": True, "content": "secret", "node_type": "Message"}
            await service.update_execution_record(
                "7", "mine", "success", output={"answer": "secret"}, node_execute_status={"Say": node}
            )
            for path in ("/v1/workflows/7/run_histories/mine", _NODE):
                answer = await gateway.client.get(path, headers=headers)
                assert (is_told, is_told) == ("secret" in answer.text, "x-execution-history-source" in answer.headers)
                if not is_told:
                    assert answer.content == body or (answer.json()["code"], body) == (5000, None)


async def test_a_token_that_coze_studio_refuses_gets_no_record(tmp_path: Path) -> None:
    """It looks for a session first, whatever the token; the refusal comes where the gateway asks it in its own way."""

    async def respond(scope: Scope, _body: bytes, send: Send) -> None:
        is_official = scope["path"].endswith("/run_histories/mine")
        body = b'{"code":700012006,"msg":"no session"}' if is_official else _REFUSED
        await send({"type": "http.response.start", "status": 200 if is_official else 401, "headers": [_JSON]})
        await send({"type": "http.response.body", "body": body})

    async with scripted(tmp_path, respond) as (gateway, upstream):
        await gateway.application.service.create_execution_record("7", "mine", {})
        answer = await gateway.client.get("/v1/workflows/7/run_histories/mine")
        assert (401, 4100, 2) == (answer.status_code, answer.json()["code"], len(upstream.asked))


async def test_an_account_that_is_not_there_is_the_callers_fault(tmp_path: Path) -> None:
    """An envelope that every SDK shows, before anything goes out; one that lacks a token of its own can be called."""
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0}')) as (gateway, upstream):
        for name in ("nobody", "x" * 1_000, "\u5317"):
            header = {b"X-Execution-History-Account": name.encode()}
            answer = await gateway.client.get("/v1/bots", headers=header)
            assert (200, 4000) == (answer.status_code, answer.json()["code"])
            assert "unknown_account" == answer.headers["x-execution-history-error"]
            assert f"{quoted(name)}: name one of those in the settings ('default', 'other')" in answer.json()["msg"]
        assert [] == upstream.asked


async def test_an_incomplete_account_passes_what_brings_its_own_token(tmp_path: Path) -> None:
    """The gateway needs no more of an account than its address; its name may be in any script."""
    async with served(Scripted(canned(200, [_JSON], b'{"code":0}'))) as base:
        half = AccountSettings(base_url=base, client_id="c")
        async with gateway_to(tmp_path, base, accounts={"\u5317": half}) as gateway:
            header = {b"X-Execution-History-Account": "\u5317".encode()}
            assert 0 == (await gateway.client.get("/v1/bots", headers=header)).json()["code"]
