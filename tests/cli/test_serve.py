"""``serve`` and ``sandbox`` as processes: what they announce, answer, and how they stop."""

import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from execution_history.cli.log import LineFormatter
from tests.cli.conftest import Call, History
from tests.cli.processes import read_document, started

LONG = "7000000000000000002"
FREE = ["--port", "0"]
_OF_ANY_SITE = b"A page of any site may call the gateway"


def get(url: str, **headers: str) -> Any:
    """The JSON answer to a GET request."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return orjson.loads(answer.read())


KINDS = ["uvloop and httptools", "asyncio and h11"]
"""What servers stand on; the second is for machines that the first has no wheels for."""


@contextmanager
def serving(folder: Path, kind: str) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """A server with a sandbox on the folder ``history`` in *folder*, and what it announced."""
    variables = {}
    if kind == "asyncio and h11":
        (folder / "missing").mkdir()
        for name in ("uvloop", "httptools"):
            (folder / "missing" / f"{name}.py").write_text("raise ImportError('there is no wheel')")
        variables["PYTHONPATH"] = os.pathsep.join([str(folder / "missing"), *filter(None, [os.getenv("PYTHONPATH")])])
    arguments = ["serve", *FREE, "--sandbox", "--sandbox-port", "0", "--json", "--store", "history"]
    with started(*arguments, folder=folder, **variables) as process:
        yield process, read_document(process.stdout)


@pytest.fixture(params=KINDS)
def server(
    tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """A server of a test's own, which it may stop."""
    with serving(tmp_path, request.param) as found:
        yield found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_at_once_in_the_middle_of_a_stream(
    server: tuple["subprocess.Popen[bytes]", dict[str, Any]], history: History, number: signal.Signals
) -> None:
    """It ends with 0, says that it stopped and nothing else, and the run's record is closed truthfully.

    Those who follow its history come to their proper end and are not cut off.
    """
    process, announced = server
    following = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    following.request("GET", "/coze/history/live")
    followed = following.getresponse()
    assert b"retry: 1000\n" == followed.readline()
    connection = http.client.HTTPConnection(urlsplit(announced["url"]).netloc)
    body = orjson.dumps({"workflow_id": LONG, "parameters": {"packets": 10_000}})
    connection.request("POST", "/coze/workflows/stream_run", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: {")
    process.send_signal(number)
    assert followed.read().endswith(b"\n\n")
    following.close()
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


def test_a_sandbox_port_that_is_taken_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is started alone, when no other setting matters, or beside the server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in (["sandbox", "--port", port], ["serve", *FREE, "--sandbox", "--sandbox-port", port]):
            said = call(*arguments)
            assert (2, 1) == (said.code, len(said.err.splitlines()))
            assert port in said.err
        monkeypatch.setenv("EXECUTION_HISTORY_MAX_BYTES", "1")
        assert port in call("sandbox", "--port", port).err


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
    """And serves the others; one that has only an address lets those through who bring their own token.

    Likewise it says that pages of any site may call it, where the setting lets every origin in.
    """
    (tmp_path / "execution-history.toml").write_text('[accounts.half]\nclient_id = "c"\n[accounts.bare]\n')
    with started("serve", *FREE, "--json", folder=tmp_path, EXECUTION_HISTORY_ALLOWED_ORIGINS='["*"]') as process:
        assert "ok" == get(read_document(process.stdout)["url"] + "/healthz")["status"]
        process.terminate()
        _, err = process.communicate()
    sentence = b"The Coze account 'half' is incomplete: set accounts.half.public_key_id, accounts.half.private_key."
    incomplete, of_any_site, stopped = err.splitlines()
    assert (sentence, True, b"Stopped.") == (incomplete, of_any_site.startswith(_OF_ANY_SITE), stopped)


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
    """--access-log writes a line for each to the standard error, without what was searched for.

    Before them it says that pages of any site may call it: where null is let in, an origin that any page can have.
    """
    with started(
        "serve", *FREE, "--access-log", "--json", folder=tmp_path, EXECUTION_HISTORY_ALLOWED_ORIGINS='["null"]'
    ) as process:
        url = read_document(process.stdout)["url"]
        get(url + "/healthz?text=s3cret")
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            get(url + "/pat_s3cret0000000000000/%1b%5B2J" + "x" * 50_000)
        missing.value.close()
        process.terminate()
        _, err = process.communicate()
    of_any_site, *lines = err.splitlines()
    assert of_any_site.startswith(_OF_ANY_SITE)
    assert re.search(
        rb"execution_history.access: 127.0.0.1 GET /healthz 200 [0-9.]+ ms \[request [0-9a-f]{16}\]$", lines[0]
    )
    assert rb"GET /pat_[redacted]/\x1b[2Jx" in lines[1]
    assert len(lines[1]) < 5_000
    assert b"s3cret" not in err


def test_a_line_of_the_log_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Without credentials, and without anything that a terminal obeys; a traceback stands below it."""
    error = ValueError("\x1b[2J Bearer s3cret\nnext")
    logging.getLogger("test").error("A run %s of %%s\n%s", "\u202e\x1b", "token=s3cret", exc_info=error)
    written = LineFormatter().format(caplog.records[0])
    first, *rest = written.splitlines()
    assert first.endswith("ERROR test: A run \\u202e\u241b of %s\u240atoken=[redacted]")
    assert ["ValueError: \u241b[2J Bearer [redacted]", "next"] == rest[-2:]


@pytest.mark.parametrize("arguments", [["--debug", "list", "--store", "mysql://me:s3cret@db/h"]])
def test_no_way_of_failing_shows_a_password(call: Call, arguments: list[str]) -> None:
    """Nor does the traceback that --debug adds."""
    said = call(*arguments)
    assert (2, True, False) == (said.code, "no store for 'mysql'" in said.err, "s3cret" in said.err)


def test_a_demo_is_served_from_a_folder_of_its_own(tmp_path: Path) -> None:
    """The store of the call is not made, and the folder is gone when the server has stopped.

    Nothing is said of pages of other sites where one site of yours is let in.
    """
    with started(
        "serve", *FREE, "--demo", "--json", "--store", "history",
        folder=tmp_path, EXECUTION_HISTORY_ALLOWED_ORIGINS='["http://localhost:5173"]',
    ) as process:  # fmt: skip
        announced = read_document(process.stdout)
        folder = Path(announced["store"])
        assert (True, True) == (folder.exists(), announced["demo"])
        assert get(f"{announced['url']}/coze/history?page_size=1")["total"] > 1_500
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (0, b"", b"Stopped.\n") == (process.returncode, out, err)
    assert not folder.parent.exists()
    assert [] == list(tmp_path.iterdir())
