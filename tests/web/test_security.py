"""What a page in somebody's browser can and cannot make this server do."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from execution_history.web.security import Guard
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio

_PATH = "/coze/workflows/w/history"


def _flat(headers: dict[str, str | list[str]]) -> list[tuple[str, str]]:
    return [
        (name.replace("_", "-"), value)
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]


async def _status(web: Served, method: str, **headers: str | list[str]) -> int:
    return (await web.client.request(method, _PATH, headers=_flat(headers))).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "[::1]evil.example", "localhost:evil",
        "localhost@evil.example", "evil.example:8765", "", "localhost..", ".localhost", "[::1%25lo]", "[localhost]",
    ],
)  # fmt: skip
async def test_a_foreign_host_is_refused_for_reading_too(shared_web: Served, host: str) -> None:
    """DNS rebinding: the page of another name must not read what is here either."""
    answer = await shared_web.client.get("/healthz", headers={"Host": host})
    assert (421, "host_not_allowed") == (answer.status_code, answer.json()["error"]["code"])
    assert "EXECUTION_HISTORY_ALLOWED_HOSTS" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost:1",
        "LOCALHOST",
        "localhost.:1",
        "[0:0:0::1]",
        "127.0.0.1",
        "[::1]:8",
        "history.test",
        "history.test:9",
    ],
)
async def test_our_own_names_are_answered_with_any_port(shared_web: Served, host: str) -> None:
    """A tunnel or a proxy may have another port."""
    assert 200 == await _status(shared_web, "GET", host=host)


@pytest.mark.parametrize(
    ("setting", "host"),
    [
        ("fd00::5", "[fd00::5]:8765"),
        ("Example.test:80", "example.test"),
        ("[fd00::6]", "[fd00::6]"),
        ("FD00:0:0:0:0:0:0:7", "[fd00::7]:1"),
        ("name.test.", "Name.test"),
        ("name.test", "name.test."),
        ("*", "any.test"),
    ],
)
async def test_names_can_be_set_in_any_spelling(setting: str, host: str) -> None:
    """As an address is written in settings, with or without brackets and port."""
    guard = Guard(PlainTextResponse("in"), [setting])
    async with served(guard) as base, httpx.AsyncClient(base_url=base) as client:
        assert "in" == (await client.get("/", headers={"Host": host})).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "localhost:1", "origin": "http://localhost:2"},
        {"host": "localhost:1", "origin": "https://localhost:1"},
        {"host": "localhost:1", "origin": "localhost:1"},
        {"host": "localhost:443", "origin": "http://localhost"},
        {"host": "localhost", "origin": "http://localhost."},
        {"host": "localhost:1", "origin": ["http://localhost:1", "http://evil.example"]},
        {"host": "localhost:1", "origin": ["http://evil.example", "http://localhost:1"]},
        {"host": "localhost:1", "origin": "null", "referer": "http://localhost:1/"},
        {"host": "localhost:1", "origin": "", "referer": "http://localhost:1/"},
        {"referer": "http://evil.example/form.html"},
        {"host": "localhost:1", "referer": "http://localhost:2/"},
        {"host": "localhost:1", "referer": "http://localhost:1.evil.example/"},
        {"host": "localhost:1", "referer": "http://localhost:1@evil.example/"},
        {"host": "localhost:1", "referer": ["http://localhost:1/", "http://evil.example/"]},
        {"referer": "http://["},
        {"referer": "/runs"},
        {"sec_fetch_site": ["none", "cross-site"]},
        {"sec_fetch_site": "Cross-Site"},
    ],
)
async def test_a_change_that_another_origin_asks_for_is_refused(
    shared_web: Served, headers: dict[str, str | list[str]]
) -> None:
    """Scheme, name and port must be this server's own; nothing is changed."""
    service = shared_web.application.service
    await service.create_execution_record("w")
    (before,) = await service.workflow_summaries()
    assert [403] * 3 == [await _status(shared_web, method, **headers) for method in ("DELETE", "POST", "delete")]
    form = await shared_web.client.post("/runs/act", content=b"do=delete&run=w/x", headers=_flat(headers))
    assert 403 == form.status_code
    assert 200 == await _status(shared_web, "GET", **headers)
    assert [before] == list(await service.workflow_summaries())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:1", "origin": "http://localhost:1", "sec_fetch_site": "same-origin"},
        {"host": "history.test", "origin": "https://history.test", "x_forwarded_proto": "https"},
        {"host": "history.test:443", "origin": "https://history.test", "x_forwarded_proto": "https"},
        {"host": "localhost:80", "origin": "http://localhost"},
        {"host": "History.test.:80", "origin": "http://history.test."},
        {"sec_fetch_site": "none"},
        {"referer": ""},
        {"host": "localhost:1", "referer": "http://localhost:1/runs?q=1"},
        {"host": "history.test", "referer": "https://history.test/", "x_forwarded_proto": "https"},
    ],
)
async def test_programs_and_our_own_pages_may_change_things(
    shared_web: Served, headers: dict[str, str | list[str]]
) -> None:
    """curl sends no origin, and a proxy that adds TLS says so."""
    await shared_web.application.service.create_execution_record("w")
    assert 200 == await _status(shared_web, "DELETE", **headers)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/healthz", {}), ("/nowhere", {}), ("/docs", {}), (_PATH, {}), ("/healthz", {"Host": "evil.example"})],
)
async def test_every_answer_says_what_a_browser_may_do_with_it(
    shared_web: Served, path: str, headers: dict[str, str]
) -> None:
    """No guessing of types, no frames, no scripts but ours; refusals included."""
    answer = (await shared_web.client.get(path, headers=headers)).headers
    assert ("nosniff", "no-referrer", "same-origin") == (
        answer["x-content-type-options"], answer["referrer-policy"], answer["cross-origin-resource-policy"],
    )  # fmt: skip
    policy = dict(part.strip().split(" ", 1) for part in answer["content-security-policy"].split(";"))
    assert ("'self'", "'none'", "'none'") == (policy["default-src"], policy["frame-ancestors"], policy["object-src"])
    assert "script-src" not in policy


async def _upgraded(base: str, path: str, *headers: str) -> tuple[int, str]:
    """The status and the body that asking for a WebSocket connection is answered with."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    named = {header.partition(":")[0].lower() for header in headers}
    lines = [
        f"GET {path} HTTP/1.1",
        *([] if "host" in named else [f"Host: {host}:{port}"]),
        *headers,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.decode()


@pytest.mark.parametrize("path", ["/v1/audio/speech", "/runs", "/coze/history/live", "/nowhere"])
@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ("Host: evil.example", 421, "host_not_allowed"),
        ("Origin: http://evil.example", 403, "foreign_origin"),
        ("Origin: null", 403, "foreign_origin"),
        ("Referer: http://evil.example/", 403, "foreign_origin"),
        ("Sec-Fetch-Site: cross-site", 403, "foreign_origin"),
    ],
)
async def test_a_websocket_connection_of_another_origin_is_refused(
    shared_web: Served, path: str, header: str, status: int, code: str
) -> None:
    """Before it is one, with the answer that every request gets, wherever it is addressed to."""
    found, answer = await _upgraded(str(shared_web.client.base_url), path, header)
    assert (status, True, True) == (found, code in answer, "x-frame-options" in answer)


async def test_a_websocket_connection_of_ours_is_not_refused_for_its_origin(shared_web: Served) -> None:
    """It goes to the upstream, which wants a token; there is none to be had anywhere else."""
    base = str(shared_web.client.base_url)
    for path, expected in (("/v1/audio/speech", 401), ("/coze/history/live", 403)):
        status, answer = await _upgraded(base, path, f"Origin: {base}")
        assert (expected, False) == (status, "foreign_origin" in answer)


async def _guarded(scope: dict[str, Any], *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """What the guard answers first to a request that a server passes to it as *scope*."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read of what is refused")

    whole = {"type": "http", "method": "GET", "path": "/", "scheme": "http", **scope, "headers": list(headers)}
    await Guard(PlainTextResponse("in"), [])(whole, receive, send)
    return sent[0]


async def test_what_a_server_lets_through_is_refused_all_the_same() -> None:
    """Of two hosts none is taken, an upgrade is refused as plain HTTP too, and what cannot be answered is closed."""
    own, foreign = (b"host", b"localhost"), (b"origin", b"http://evil.example")
    assert 200 == (await _guarded({}, own, foreign))["status"]
    assert 421 == (await _guarded({}, own, own))["status"]
    assert 403 == (await _guarded({}, own, foreign, (b"upgrade", b"websocket")))["status"]
    closed = await _guarded({"type": "websocket", "scheme": "ws"}, own, foreign)
    assert {"type": "websocket.close", "code": 1008} == closed
