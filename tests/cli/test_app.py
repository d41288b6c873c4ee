"""The command as a user types it: where it matters, in processes of its own."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Call

_SHORT, _LONG, _QUESTION, _REJECTED = (f"700000000000000000{number}" for number in (1, 2, 5, 4))


def _command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        [sys.executable, "-m", "execution_history", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert 0 == found.returncode, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    return tmp_path


def test_a_run_is_streamed_recorded_listed_and_shown(folder: Path, call: Call) -> None:
    """With no server and no account: the embedded sandbox."""
    ran = _command("run", _LONG, "-p", "city=巴黎", "-p", "pace_ms=0", "--sandbox", folder=folder)
    assert "今天有小雨" in ran.stdout
    assert "● success" in ran.stderr
    listed = json.loads(_command("list", "--json", folder=folder).stdout)
    record = listed["histories"][0]
    assert (1, {"city": "巴黎", "pace_ms": 0}) == (listed["total"], record["input_parameters"])
    for arguments in (("list",), ("list", _LONG), ("workflows",)):
        assert "success" in call(*arguments).out
    shown = _command("show", record["execute_id"], folder=folder).stdout
    assert all(word in shown for word in ("● Succeeded", record["execute_id"], "done_event", "Travel writer", "巴黎"))
    assert record == call("show", record["execute_id"], "--json").json()
    assert (folder / "data" / "execution_history" / f"{_LONG}.json").exists()


@pytest.mark.parametrize(("workflow_id", "code"), [(_SHORT, 0), (_REJECTED, 1), (_QUESTION, 3)])
def test_the_exit_code_says_how_a_run_ended(call: Call, workflow_id: str, code: int) -> None:
    """And --json gives the frames, a line each."""
    ran = call("run", workflow_id, "-p", "pace_ms=0", "--sandbox", "--json")
    assert (code, "workflow_started") == (ran.code, ran.lines()[0]["event"])


def test_inputs_are_json_where_they_read_as_json(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """From options, a file and the standard input."""
    (folder / "inputs.json").write_text('{"a": 1, "b": 2}')
    options = ("-p", "b=[3]", "-p", 'c="4"', "-p", "d=e=f")
    call("run", _SHORT, "--parameters-file", "inputs.json", *options, "--sandbox")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"x": null}'), "utf-8"))
    call("run", _SHORT, "--parameters-file", "-", "--sandbox")
    found = call("list", "--json").json()["histories"]
    assert [{"x": None}, {"a": 1, "b": [3], "c": "4", "d": "e=f"}] == [record["input_parameters"] for record in found]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", "nothing"), 5, "no run 'nothing'"),
        (("delete", "nothing"), 5, "no run 'nothing'"),
        (("clear", "nothing"), 5, "no history"),
        (("run", "7"), 2, "COZE_API_TOKEN"),
        (("run", "7", "-p", "novalue"), 2, "NAME=VALUE"),
        (("run", "7", "--parameters-file", "missing.json"), 2, "missing.json"),
        (("list", "--store", "mysql://x"), 2, "no store for 'mysql'"),
        (("run", "7", "--sandbox", "--store", "/proc/nowhere"), 4, "cannot be used"),
        (("list", "--page", "0"), 2, "--page"),
        (("serve", "--port", "99999"), 2, "port"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_code(
    call: Call, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """For people on the error output, for scripts as the exit code."""
    found = call(*arguments)
    assert (code, "") == (found.code, found.out)
    assert sentence in " ".join(found.err.split())
    assert "Traceback" not in found.err


def test_an_empty_history_says_what_to_do_first(call: Call) -> None:
    """And is empty JSON for programs."""
    assert "--sandbox" in call("list").err
    assert {"histories": [], "total": 0, "has_more": False} == call("list", "--json").json()


def test_records_are_deleted(call: Call) -> None:
    """One, then the history."""
    for _ in range(2):
        call("run", _SHORT, "--sandbox")
    execute_id = call("list", "--json").json()["histories"][0]["execute_id"]
    assert 0 == call("delete", execute_id).code
    assert 1 == call("workflows", "--json").json()["workflows"][0]["total"]
    assert 0 == call("clear", _SHORT, "--yes").code
    assert 0 == call("list", "--json").json()["total"]


def test_what_a_run_says_cannot_command_the_terminal(call: Call) -> None:
    """Escape sequences are shown, not sent."""
    call("run", _SHORT, "-p", 'a="\\u001b[31m\\u202e[bold]x"', "--sandbox")
    execute_id = call("list", "--json").json()["histories"][0]["execute_id"]
    for arguments in (("list",), ("show", execute_id)):
        shown = call(*arguments).out
        assert "\x1b[31m" not in shown
        assert "\u202e" not in shown
    assert "[bold]" in shown


def test_the_store_is_chosen_by_option_or_variable(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the command, after it, or in the environment."""
    call("run", _SHORT, "--sandbox", "--store", "sqlite:elsewhere")
    assert (folder / "elsewhere" / "history.db").exists()
    assert 1 == call("--store", "elsewhere", "list", "--json").json()["total"]
    monkeypatch.setenv("EXECUTION_HISTORY_STORE", "elsewhere")
    assert 1 == call("list", "--json").json()["total"]


def test_a_reader_that_stops_early_is_no_error(folder: Path, call: Call) -> None:
    """`| head` is quiet."""
    call("run", _SHORT, "--sandbox")
    line = f"{sys.executable} -m execution_history list --json | head -c 5"
    found = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert "" == found.stderr


@pytest.mark.parametrize("command", ["", "serve", "sandbox", "run", "list", "workflows", "show", "delete", "clear"])
def test_every_command_has_help(call: Call, command: str) -> None:
    """With the exit codes on the first page."""
    shown = call(*command.split(), "--help").out
    assert "Usage:" in shown
    assert bool(command) or "Exit codes" in shown


def test_the_version_is_told(folder: Path) -> None:
    """In one line."""
    assert re.fullmatch(r"execution-history \d+\.\d+\.\d+\n", _command("--version", folder=folder).stdout)


class _Server:
    """`serve --sandbox` on free ports, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "execution_history", "serve", "--sandbox", "--port", "0"],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "EXECUTION_HISTORY_SANDBOX_PORT": "0", "NO_COLOR": "1"},
        )
        assert self.process.stderr is not None
        self.base = self.process.stderr.readline().split()[1]
        self._wait()

    def _wait(self) -> None:
        for _ in range(500):
            try:
                urllib.request.urlopen(self.base + "/healthz", timeout=60).close()
            except urllib.error.URLError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("the server did not begin to answer")

    def post(self, path: str, body: dict[str, object]) -> "urllib.response.addinfourl":
        """The answer to a request, its body unread."""
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return urllib.request.urlopen(request, timeout=30)  # type: ignore[no-any-return]

    def end(self, how: signal.Signals) -> int:
        """Send a signal and wait."""
        self.process.send_signal(how)
        code = self.process.wait(60)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_when_told(folder: Path, call: Call, how: signal.Signals) -> None:
    """Quickly, also in mid-stream, and the run under way is interrupted, not left running."""
    server = _Server(folder)
    answer = server.post("/coze/workflows/stream_run", {"workflow_id": _LONG, "parameters": {"pace_ms": 2000}})
    answer.readline()
    code = server.end(how)
    answer.close()
    assert code in {0, 130, -signal.SIGTERM, -signal.SIGINT}
    record = call("list", "--json").json()["histories"][0]
    assert "interrupted" == record["execute_status"]


def test_a_killed_server_leaves_the_truth_for_the_next(folder: Path) -> None:
    """kill -9 in mid-stream, start again: the run is interrupted, in the store and in the file."""
    server = _Server(folder)
    answer = server.post("/coze/workflows/stream_run", {"workflow_id": _LONG, "parameters": {"pace_ms": 2000}})
    answer.readline()
    server.end(signal.SIGKILL)
    answer.close()
    next_server = _Server(folder)
    with urllib.request.urlopen(f"{next_server.base}/coze/workflows/{_LONG}/history", timeout=60) as listed:
        record = json.load(listed)["histories"][0]
    assert ("interrupted", "recorder_died") == (record["execute_status"], record["metadata"]["proof"])
    content = json.loads((folder / "data" / "execution_history" / f"{_LONG}.json").read_bytes())
    assert [record] == content["histories"]
    next_server.end(signal.SIGTERM)


def test_commands_work_beside_a_running_server(folder: Path, call: Call) -> None:
    """On the same folder at once; a second server on the port says so."""
    server = _Server(folder)
    call("run", _SHORT, "--sandbox")
    server.post(f"/coze/workflows/{_SHORT}/run", {}).close()
    assert 2 == call("list", "--json").json()["total"]
    refused = call("serve", "--port", server.base.rpartition(":")[2])
    assert (2, True) == (refused.code, "--port" in refused.err)
    server.end(signal.SIGTERM)


def test_the_example_walks_through(folder: Path) -> None:
    """Six checks, each printed, exit 0."""
    script = Path(__file__).parents[2] / "examples" / "test_execution_history_simple.py"
    found = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert 6 == found.stdout.count("✓")
