"""The server on the wire, on httptools and on h11: what it takes, what it refuses, and how long it waits."""

import contextlib
import http.client
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from execution_history.application import open_application
from execution_history.cli.server import server_config
from execution_history.settings import load_settings
from tests.cli.conftest import History
from tests.cli.processes import read_document, started
from tests.cli.test_serve import FREE, KINDS, LONG, get, server, serving

__all__ = ["server"]  # a fixture

Server = tuple["subprocess.Popen[bytes]", dict[str, Any]]


@pytest.fixture(scope="module", params=KINDS)
def standing(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests that only ask it."""
    with serving(tmp_path_factory.mktemp("standing"), request.param) as found:
        yield found


def _goes_on(server: Server) -> bool:
    """Whether the server still answers."""
    return "histories" in get(f"{server[1]['url']}/coze/history")


def test_a_filter_of_a_million_characters_is_refused_in_a_sentence(standing: Server) -> None:
    """The server does not cut the connection, and goes on."""
    url = standing[1]["url"]
    for query in ("q=" + "x" * 1_000_000, "where=" + "x" * 1_000_000, "cursor=" + "x" * 1_000_000):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/coze/history?{query}")
        error = orjson.loads(refused.value.read())["error"]
        assert (422, "invalid_input") == (refused.value.code, error["code"])
        assert 300 > len(error["message"])
    assert _goes_on(standing)


def test_a_head_without_an_end_is_refused(standing: Server) -> None:
    """It is not read into memory for ever, and the server goes on."""
    url = urlsplit(standing[1]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        answer, sent = b"", 0
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                sent += connection.send(b"x" * 65_536)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(100)
    assert sent < 50_000_000
    assert answer[:12] in {b"", b"HTTP/1.1 431", b"HTTP/1.1 400"}  # none where the rest was still on its way
    assert _goes_on(standing)


def test_what_follows_the_last_chunk_has_a_bound(standing: Server) -> None:
    """Nor are trailers without an end read into memory."""
    url = urlsplit(standing[1]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = b"POST /v1/workflow/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"2\r\n{}\r\n0\r\nX-Long: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                sent += connection.send(b"x" * 65_536)
    assert sent < 50_000_000
    assert _goes_on(standing)


def _raw(server: Server, *heads: bytes) -> bytes:
    """What is answered to these bytes, until the server hangs up; each is sent when the ones before have arrived."""
    url = urlsplit(server[1]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        for head in heads:
            connection.sendall(head)
            if head is not heads[-1]:
                get(f"{server[1]['url']}/healthz")  # by its answer what was sent before has been read
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_raw_text_in_an_address_is_what_it_says(standing: Server) -> None:
    """curl sends it as it was typed; the API, the pages and the gateway take it, also where it comes in pieces."""
    url = standing[1]["url"]
    record = {
        "workflow_id": "北京", "execute_id": "1", "create_time": 1_730_174_063_000, "execute_status": "success",
        "output": "晴 in 巴黎",
    }  # fmt: skip
    line = orjson.dumps(record)
    with urllib.request.urlopen(urllib.request.Request(f"{url}/coze/import", line, method="POST")) as imported:
        assert 200 == imported.status
    token = f"Authorization: Bearer {standing[1]['sandbox']['token']}\r\n"
    end = f" HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n{token}Connection: close\r\n\r\n"
    for address, found in (
        ("/coze/history?q=巴黎", '"total":1'),
        ("/coze/history?q=伦敦", '"total":0'),
        ("/coze/workflows/北京/history", '"total":1'),
        ("/runs?q=巴黎", "巴黎"),
        ("/v1/workflows/北京/run_histories/1", "x-execution-history-source: history"),
    ):
        request = f"GET {address}{end}".encode()
        middle = request.index("京".encode() if "京" in address else "黎".encode() if "黎" in address else b"=") + 1
        for pieces in ((request,), (request[:middle], request[middle:])):
            answer = _raw(standing, *pieces).decode()
            assert (True, True) == (answer.startswith("HTTP/1.1 200"), found in answer), address


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(tmp_path: Path) -> None:
    """After a second here, as the setting says; within it, it is used again."""
    with started(
        "serve", *FREE, "--sandbox", "--sandbox-port", "0", "--json", folder=tmp_path,
        EXECUTION_HISTORY_KEEP_ALIVE_SECONDS="1",
    ) as process:  # fmt: skip
        url = urlsplit(read_document(process.stdout)["url"])
        with socket.create_connection((url.hostname, url.port)) as connection:
            for _ in range(2):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b""
                while not answer.endswith(b"}"):
                    answer += connection.recv(65_536)
                assert answer.startswith(b"HTTP/1.1 200")
            assert b"" == connection.recv(1)


def test_a_run_passes_the_gateway(server: Server, history: History) -> None:
    """With everything that the server is made of; its connection is kept for the next request."""
    process, announced = server
    connection = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    for _ in range(2):
        body = orjson.dumps({"workflow_id": LONG, "parameters": {"packets": 2, "pace_ms": 0}})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {announced['sandbox']['token']}"}
        connection.request("POST", "/v1/workflow/stream_run", body, headers)
        assert b"event: Done" in connection.getresponse().read()
    connection.close()
    process.send_signal(signal.SIGTERM)
    assert (0, b"Stopped.\n") == (process.wait(), process.stderr.read() if process.stderr else b"")
    assert ["success", "success"] == [record["execute_status"] for record in history.read(LONG)]


@pytest.mark.anyio
async def test_idle_connections_are_kept_for_75_seconds(tmp_path: Path) -> None:
    """Clients use theirs again for a minute and longer (coze-protocol 9)."""
    async with open_application(load_settings(store=str(tmp_path / "history"))) as application:
        assert 75 == server_config(application).timeout_keep_alive


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_offer_of_http_2_changes_nothing(standing: Server, *, in_pieces: bool) -> None:
    """curl and Java's client make one with a request whose body has to arrive all the same."""
    _, announced = standing
    listed = f"{announced['url']}/coze/workflows/{LONG}/history"
    before = get(listed)["total"]
    url = urlsplit(announced["url"])
    body = orjson.dumps({"workflow_id": LONG, "parameters": {"packets": 1, "pace_ms": 0}})
    head = (
        f"POST /v1/workflow/stream_run HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {announced['sandbox']['token']}\r\nContent-Type: application/json\r\n"
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"
    ).encode()
    with socket.create_connection((url.hostname, url.port)) as connection:
        for _ in range(2):
            for piece in (head, body) if in_pieces else (head + body,):
                connection.sendall(piece)
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += connection.recv(65_536)
            assert (True, True) == (answer.startswith(b"HTTP/1.1 200"), b"event: Done" in answer)
    found = get(listed)
    assert (before + 2, {"success"}) == (found["total"], {record["execute_status"] for record in found["histories"]})


def test_a_websocket_handshake_is_answered_whatever_it_is(server: Server) -> None:
    """A refused one leaves no more in the log than why, and the server stops in order after it.

    A page of another origin may try without end; what the upstream refuses is no fault of ours at all.
    """
    process, announced = server
    url = urlsplit(announced["url"])
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for method, headers, statuses in (
        ("GET", {"Origin": "http://a.test"}, {403}),
        ("GET", {"Host": "b.test"}, {421}),
        ("GET", {}, {401}),
        ("GET", {"X-Long": "x" * 20_000}, {431, 400}),
        ("POST", {}, {405, 400}),
    ):
        for _ in range(2):
            connection = http.client.HTTPConnection(url.netloc)
            connection.request(method, "/v1/chat", headers={**handshake, **key, **headers})
            assert connection.getresponse().status in statuses
            connection.close()
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait()
    lines = (process.stderr.read() if process.stderr else b"").decode().splitlines()
    assert 3 == len(lines)
    assert (True, True, "Stopped.") == ("a.test" in lines[0], "b.test" in lines[1], lines[2])
