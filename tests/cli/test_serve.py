"""``serve`` and ``sandbox`` as processes: what they announce, answer, and how they stop."""

import contextlib
import http.client
import logging
import os
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

from execution_history.cli.server import LineFormatter
from tests.cli.conftest import Call, History
from tests.cli.processes import read_document, started

LONG = "7000000000000000002"
FREE = ["--port", "0"]


def get(url: str, **headers: str) -> Any:
    """The JSON answer to a GET request."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return orjson.loads(answer.read())


@pytest.fixture(params=["uvloop and httptools", "asyncio and h11"])
def server(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """A server with a sandbox on the folder ``history``, and what it announced; also without what has no wheels."""
    variables = {}
    if request.param == "asyncio and h11":
        (tmp_path / "missing").mkdir()
        for name in ("uvloop", "httptools"):
            (tmp_path / "missing" / f"{name}.py").write_text("raise ImportError('there is no wheel')")
        variables["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "missing"), *filter(None, [os.getenv("PYTHONPATH")])])
    arguments = ["serve", *FREE, "--sandbox", "--sandbox-port", "0", "--json", "--store", "history"]
    with started(*arguments, folder=tmp_path, **variables) as process:
        yield process, read_document(process.stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_at_once_in_the_middle_of_a_stream(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]], history: History, number: signal.Signals
) -> None:
    """It ends with 0, says that it stopped and nothing else, and the run's record is closed truthfully."""
    process, announced = server
    connection = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    body = orjson.dumps({"workflow_id": LONG, "parameters": {"packets": 10_000}})
    connection.request("POST", "/coze/workflows/stream_run", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: {")
    process.send_signal(number)
    out, err = process.communicate()
    connection.close()
    assert (0, b"", b"Stopped.\n") == (process.returncode, out, err)
    assert ["interrupted"] == [record["execute_status"] for record in history.read(LONG)]


def test_a_server_announces_what_answers(server: tuple["subprocess.Popen[bytes]", dict[str, Any]]) -> None:
    """By then its address, its documentation and its sandbox answer."""
    _, announced = server
    assert "history" == announced["store"]
    assert "ok" == get(announced["url"] + "/readyz")["status"]
    with urllib.request.urlopen(announced["docs"]) as answer:
        assert 200 == answer.status
    sandbox = announced["sandbox"]
    workflows = get(sandbox["base_url"] + "/v1/workflows", Authorization=f"Bearer {sandbox['token']}")
    assert 0 == workflows["code"]


def test_a_history_is_read_while_a_server_has_it(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]], call: Call
) -> None:
    """Several processes on one folder see each other's runs."""
    _, announced = server
    ran = call("run", LONG, "-p", "pace_ms=0", "--sandbox", "--json", "--store", "history")
    listed = get(f"{announced['url']}/coze/workflows/{LONG}/history")["histories"]
    assert [ran.lines()[-1]["data"]["execution_id"]] == [record["execute_id"] for record in listed]
    assert listed == call("list", "--json", "--store", "history").json()["histories"]


def test_a_port_that_is_taken_is_one_sentence(call: Call, tmp_path: Path) -> None:
    """The store is not even opened."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = call("serve", "--port", str(port))
    sentence = f"Port {port} on 127.0.0.1 is in use: choose another with --port, or stop the program that uses it."
    assert (2, "", f"Error: {sentence}\n") == (said.code, said.out, said.err)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serve", "--host", "192.0.2.1", "--port", "0"], "Cannot listen on 192.0.2.1:0: "),
        (["serve", "--port", "70000"], "The setting port (variable EXECUTION_HISTORY_PORT) is wrong"),
        (["sandbox", "--token", ""], "The token of the sandbox must not be empty."),
        (["sandbox", "--host", "192.0.2.1", "--port", "0"], "192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(call: Call, arguments: list[str], part: str) -> None:
    """It names what is wrong and ends with 2."""
    said = call(*arguments)
    assert (2, "", 1) == (said.code, said.out, len(said.err.splitlines()))
    assert part in said.err


def test_a_sandbox_port_that_is_taken_is_one_sentence(call: Call) -> None:
    """Whether it is started alone or beside the server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in (["sandbox", "--port", port], ["serve", *FREE, "--sandbox", "--sandbox-port", port]):
            said = call(*arguments)
            assert (2, 1) == (said.code, len(said.err.splitlines()))
            assert port in said.err


def test_people_get_lines_that_they_can_copy(tmp_path: Path) -> None:
    """Addresses, the token, and a curl call that runs a workflow of the sandbox; none of it on the standard output."""
    arguments = ["serve", *FREE, "--sandbox", "--sandbox-port", "0", "--store", "history"]
    with started(*arguments, folder=tmp_path) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline().decode().rstrip() for _ in range(8)]
        url = lines[0].split()[1]
        assert "ok" == get(url + "/healthz")["status"]
        process.terminate()
        out, _ = process.communicate()
    assert b"" == out
    assert f"API documentation {url}/docs" == " ".join(lines[0].split()[2:])
    assert ["Store", "history"] == lines[1].split()
    assert lines[2].endswith("token sandbox-token")
    assert lines[5].startswith(f"  curl -N {url}/coze/workflows/stream_run -H 'Content-Type: application/json' -d '{{")
    assert "  execution-history list --store history" == lines[7]


def test_a_server_says_which_account_is_incomplete(tmp_path: Path) -> None:
    """And serves the others; one that has only an address lets those through who bring their own token."""
    (tmp_path / "execution-history.toml").write_text('[accounts.half]\nclient_id = "c"\n[accounts.bare]\n')
    with started("serve", *FREE, "--json", folder=tmp_path) as process:
        assert "ok" == get(read_document(process.stdout)["url"] + "/healthz")["status"]
        process.terminate()
        _, err = process.communicate()
    sentence = b"The Coze account 'half' is incomplete: set accounts.half.public_key_id, accounts.half.private_key."
    assert [sentence, b"Stopped."] == err.splitlines()


def test_a_sandbox_serves_alone(tmp_path: Path) -> None:
    """It announces its address, its token and its workflows, asks for the token, and stops with 0."""
    with started("sandbox", *FREE, "--token", "mine", "--json", folder=tmp_path) as process:
        announced = read_document(process.stdout)
        listed = get(announced["base_url"] + "/v1/workflows", Authorization="Bearer mine")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(announced["base_url"] + "/v1/workflows")
        process.terminate()
        _, err = process.communicate()
    assert ("mine", LONG) == (announced["token"], announced["workflows"][1]["workflow_id"])
    assert 0 == listed["code"]
    assert (0, b"Stopped.\n") == (process.returncode, err)


def test_a_sandbox_can_stand_for_coze_studio(tmp_path: Path) -> None:
    """With --studio it says so, and closes the paths that Coze Studio closes."""
    with started("sandbox", *FREE, "--studio", "--json", folder=tmp_path) as process:
        announced = read_document(process.stdout)
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            get(announced["base_url"] + "/v1/workflows", Authorization=f"Bearer {announced['token']}")
        body = orjson.loads(refused.value.read())
        refused.value.close()
    assert ("studio", 700012006) == (announced["flavour"], body["code"])


def test_requests_are_logged_only_when_asked_for(tmp_path: Path) -> None:
    """--access-log writes a line for each to the standard error."""
    with started("serve", *FREE, "--access-log", "--json", folder=tmp_path) as process:
        url = read_document(process.stdout)["url"]
        get(url + "/healthz")
        get(url + "/healthz?token=s3cret&access_token=s3cret&a=" + "x" * 100_000)
        get(url + "/healthz?to=http://me:s3cret@host/%1b[2J")
        process.terminate()
        _, err = process.communicate()
    lines = err.splitlines()
    assert b'"GET /healthz HTTP/1.1" 200' in lines[0]
    assert b"/healthz?token=[redacted]&access_token=[redacted]&a=x" in lines[1]
    assert (True, True) == (lines[1].endswith(b'x HTTP/1.1" 200'), len(lines[1]) < 5_000)
    assert b"http://me:\xe2\x80\xa6@host/%1b[2J" in lines[2]
    assert b"s3cret" not in err


def test_a_line_of_the_log_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Without credentials, and without anything that a terminal obeys; a traceback stands below it."""
    error = ValueError("\x1b[2J Bearer s3cret\nnext")
    logging.getLogger("test").error("A run %s of %%s\n%s", "\u202e\x1b", "token=s3cret", exc_info=error)
    written = LineFormatter().format(caplog.records[0])
    first, *rest = written.splitlines()
    assert first.endswith("ERROR test: A run \\u202e\u241b of %s\u240atoken=[redacted]")
    assert ["ValueError: \u241b[2J Bearer [redacted]", "next"] == rest[-2:]


@pytest.mark.parametrize("arguments", [["--debug", "list", "--store", "postgresql://me:s3cret@db/h"]])
def test_no_way_of_failing_shows_a_password(call: Call, arguments: list[str]) -> None:
    """Nor does the traceback that --debug adds."""
    said = call(*arguments)
    assert (2, True, False) == (said.code, "no store for 'postgresql'" in said.err, "s3cret" in said.err)


def test_a_server_ends_what_follows_its_history(server: tuple["subprocess.Popen[bytes]", dict[str, Any]]) -> None:
    """Followers come to their proper end when it is told to stop, and are not cut off."""
    process, announced = server
    connection = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    connection.request("GET", "/coze/history/live")
    answer = connection.getresponse()
    assert b"retry: 1000\n" == answer.readline()
    process.send_signal(signal.SIGTERM)
    assert answer.read().endswith(b"\n\n")
    assert (0, b"Stopped.\n") == (process.wait(), process.stderr.read() if process.stderr else b"")
    connection.close()


def test_a_filter_of_a_million_characters_is_refused_in_a_sentence(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]],
) -> None:
    """The server does not cut the connection, and goes on."""
    url = server[1]["url"]
    for query in ("q=" + "x" * 1_000_000, "where=" + "x" * 1_000_000, "cursor=" + "x" * 1_000_000):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(f"{url}/coze/history?{query}")
        error = orjson.loads(refused.value.read())["error"]
        assert (422, "invalid_input") == (refused.value.code, error["code"])
        assert 300 > len(error["message"])
    assert {"histories": []}.items() <= get(f"{url}/coze/history").items()


def test_a_head_without_an_end_is_refused(server: tuple["subprocess.Popen[bytes]", dict[str, Any]]) -> None:
    """It is not read into memory for ever, and the server goes on."""
    url = urlsplit(server[1]["url"])
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
    assert {"histories": []}.items() <= get(f"{server[1]['url']}/coze/history").items()


def test_what_follows_the_last_chunk_has_a_bound(server: tuple["subprocess.Popen[bytes]", dict[str, Any]]) -> None:
    """Nor are trailers without an end read into memory."""
    url = urlsplit(server[1]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = b"POST /v1/workflow/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"2\r\n{}\r\n0\r\nX-Long: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                sent += connection.send(b"x" * 65_536)
    assert sent < 50_000_000
    assert {"histories": []}.items() <= get(f"{server[1]['url']}/coze/history").items()


def _raw(server: tuple["subprocess.Popen[bytes]", dict[str, Any]], *heads: bytes) -> bytes:
    """What is answered to these bytes, until the server hangs up; each is sent when the ones before have arrived."""
    url = urlsplit(server[1]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        for head in heads:
            connection.sendall(head)
            if head is not heads[-1]:
                get(f"{server[1]['url']}/healthz")  # by its answer what was sent before has been read
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_raw_text_in_an_address_is_what_it_says(server: tuple["subprocess.Popen[bytes]", dict[str, Any]]) -> None:
    """curl sends it as it was typed; the API, the pages and the gateway take it, also where it comes in pieces."""
    url = server[1]["url"]
    record = {"workflow_id": "北京", "execute_id": "1", "execute_status": "success", "output": "晴 in 巴黎"}
    line = orjson.dumps(record)
    with urllib.request.urlopen(urllib.request.Request(f"{url}/coze/import", line, method="POST")) as imported:
        assert 200 == imported.status
    token = f"Authorization: Bearer {server[1]['sandbox']['token']}\r\n"
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
            answer = _raw(server, *pieces).decode()
            assert (True, True) == (answer.startswith("HTTP/1.1 200"), found in answer), address


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(tmp_path: Path) -> None:
    """After a second here; 75 are the default, which clients that call every few seconds rely on."""
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


def test_a_server_says_that_pages_of_any_site_may_call_it(tmp_path: Path) -> None:
    """Where the setting lets every origin in, or null, which pages of any site can have."""
    for origins, is_open in (('["*"]', True), ('["null"]', True), ('["http://localhost:5173"]', False)):
        with started("serve", *FREE, "--json", folder=tmp_path, EXECUTION_HISTORY_ALLOWED_ORIGINS=origins) as process:
            read_document(process.stdout)
            process.terminate()
            _, err = process.communicate()
        assert is_open == (b"A page of any site may call the gateway" in err)


def test_a_run_passes_the_gateway(server: tuple["subprocess.Popen[bytes]", dict[str, Any]], history: History) -> None:
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


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_offer_of_http_2_changes_nothing(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]], history: History, *, in_pieces: bool
) -> None:
    """curl and Java's client make one with a request whose body has to arrive all the same."""
    _, announced = server
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
    assert ["success", "success"] == [record["execute_status"] for record in history.read(LONG)]


@pytest.mark.parametrize(
    ("method", "headers", "statuses"),
    [("GET", {"X-Long": "x" * 20_000}, {431, 400}), ("POST", {}, {405, 400}), ("GET", {}, {401})],
)
def test_a_websocket_handshake_is_answered_whatever_it_is(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]], method: str, headers: dict[str, str], statuses: set[int]
) -> None:
    """The server stops in order after it."""
    process, announced = server
    connection = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection.request(method, "/v1/chat", headers={**handshake, **key, **headers})
    assert connection.getresponse().status in statuses
    connection.close()
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait()
