"""The command as a user types it, in processes of its own."""

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

_SHORT, _LONG, _QUESTION, _REJECTED = (f"700000000000000000{number}" for number in (1, 2, 5, 4))


def _command(
    *arguments: str, folder: Path, check: int | None = 0, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        [sys.executable, "-m", "execution_history", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )
    assert check is None or check == found.returncode, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to work in."""
    return tmp_path


def test_a_run_is_streamed_recorded_listed_and_shown(folder: Path) -> None:
    """With no server and no account: the embedded sandbox."""
    ran = _command("run", _LONG, "-p", "city=巴黎", "-p", "pace_ms=0", "--sandbox", folder=folder)
    assert "今天有小雨" in ran.stdout
    assert "● success" in ran.stderr
    listed = json.loads(_command("list", "--json", folder=folder).stdout)
    record = listed["histories"][0]
    assert (1, {"city": "巴黎", "pace_ms": 0}) == (listed["total"], record["input_parameters"])
    for arguments in (("list",), ("list", _LONG), ("workflows",)):
        assert "success" in _command(*arguments, folder=folder).stdout
    shown = _command("show", record["execute_id"], folder=folder).stdout
    assert all(word in shown for word in ("● Succeeded", record["execute_id"], "done_event", "Travel writer", "巴黎"))
    assert record == json.loads(_command("show", record["execute_id"], "--json", folder=folder).stdout)
    assert (folder / "data" / "execution_history" / f"{_LONG}.json").exists()


@pytest.mark.parametrize(("workflow_id", "code"), [(_SHORT, 0), (_REJECTED, 1), (_QUESTION, 3)])
def test_the_exit_code_says_how_a_run_ended(folder: Path, workflow_id: str, code: int) -> None:
    """And --json gives the frames, a line each."""
    ran = _command("run", workflow_id, "-p", "pace_ms=0", "--sandbox", "--json", folder=folder, check=code)
    assert "workflow_started" == json.loads(ran.stdout.splitlines()[0])["event"]


def test_inputs_are_json_where_they_read_as_json(folder: Path) -> None:
    """From options, a file and the standard input."""
    (folder / "inputs.json").write_text('{"a": 1, "b": 2}')
    _command(
        "run",
        _SHORT,
        "--parameters-file",
        "inputs.json",
        "-p",
        "b=[3]",
        "-p",
        'c="4"',
        "-p",
        "d=e=f",
        "--sandbox",
        folder=folder,
    )
    _command("run", _SHORT, "--parameters-file", "-", "--sandbox", folder=folder, stdin='{"x": null}')
    found = json.loads(_command("list", "--json", folder=folder).stdout)["histories"]
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
    folder: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """For people on the error output, for scripts as the exit code."""
    found = _command(*arguments, folder=folder, check=code)
    assert sentence in " ".join(found.stderr.split())
    assert "" == found.stdout


def test_an_empty_history_says_what_to_do_first(folder: Path) -> None:
    """And is empty JSON for programs."""
    assert "--sandbox" in _command("list", folder=folder).stderr
    assert {"histories": [], "total": 0, "has_more": False} == json.loads(
        _command("list", "--json", folder=folder).stdout
    )


def test_records_are_deleted(folder: Path) -> None:
    """One, then the history."""
    for _ in range(2):
        _command("run", _SHORT, "--sandbox", folder=folder)
    execute_id = json.loads(_command("list", "--json", folder=folder).stdout)["histories"][0]["execute_id"]
    _command("delete", execute_id, folder=folder)
    assert 1 == json.loads(_command("workflows", "--json", folder=folder).stdout)["workflows"][0]["total"]
    _command("clear", _SHORT, "--yes", folder=folder)
    assert 0 == json.loads(_command("list", "--json", folder=folder).stdout)["total"]


def test_what_a_run_says_cannot_command_the_terminal(folder: Path) -> None:
    """Escape sequences are shown, not sent."""
    _command("run", _SHORT, "-p", 'a="\\u001b[31m\\u202e[bold]x"', "--sandbox", folder=folder)
    execute_id = json.loads(_command("list", "--json", folder=folder).stdout)["histories"][0]["execute_id"]
    for arguments in (("list",), ("show", execute_id)):
        shown = _command(*arguments, folder=folder).stdout
        assert "\x1b[31m" not in shown
        assert "\u202e" not in shown
    assert "[bold]" in shown


def test_the_store_is_chosen_by_option_or_variable(folder: Path) -> None:
    """Before the command, after it, or in the environment."""
    _command("run", _SHORT, "--sandbox", "--store", "sqlite:elsewhere", folder=folder)
    assert (folder / "elsewhere" / "history.db").exists()
    for found in (
        _command("--store", "elsewhere", "list", "--json", folder=folder),
        _command("list", "--json", folder=folder, EXECUTION_HISTORY_STORE="elsewhere"),
    ):
        assert 1 == json.loads(found.stdout)["total"]


def test_a_reader_that_stops_early_is_no_error(folder: Path) -> None:
    """`| head` is quiet."""
    _command("run", _SHORT, "--sandbox", folder=folder)
    line = f"{sys.executable} -m execution_history list --json | head -c 5"
    found = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert "" == found.stderr


@pytest.mark.parametrize("command", ["", "serve", "sandbox", "run", "list", "workflows", "show", "delete", "clear"])
def test_every_command_has_help(folder: Path, command: str) -> None:
    """With the exit codes on the first page."""
    shown = _command(*command.split(), "--help", folder=folder).stdout
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
                urllib.request.urlopen(self.base + "/healthz", timeout=5).close()
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
        code = self.process.wait(20)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_when_told(folder: Path, how: signal.Signals) -> None:
    """Quickly, also in mid-stream, and the run under way is interrupted, not left running."""
    server = _Server(folder)
    answer = server.post("/coze/workflows/stream_run", {"workflow_id": _LONG, "parameters": {"pace_ms": 2000}})
    answer.readline()
    code = server.end(how)
    answer.close()
    assert code in {0, 130, -signal.SIGTERM, -signal.SIGINT}
    record = json.loads(_command("list", "--json", folder=folder).stdout)["histories"][0]
    assert "interrupted" == record["execute_status"]


def test_a_killed_server_leaves_the_truth_for_the_next(folder: Path) -> None:
    """kill -9 in mid-stream, start again: the run is interrupted, in the store and in the file."""
    server = _Server(folder)
    answer = server.post("/coze/workflows/stream_run", {"workflow_id": _LONG, "parameters": {"pace_ms": 2000}})
    answer.readline()
    server.end(signal.SIGKILL)
    answer.close()
    next_server = _Server(folder)
    with urllib.request.urlopen(f"{next_server.base}/coze/workflows/{_LONG}/history", timeout=10) as listed:
        record = json.load(listed)["histories"][0]
    assert ("interrupted", "recorder_died") == (record["execute_status"], record["metadata"]["proof"])
    content = json.loads((folder / "data" / "execution_history" / f"{_LONG}.json").read_bytes())
    assert [record] == content["histories"]
    next_server.end(signal.SIGTERM)


def test_commands_work_beside_a_running_server(folder: Path) -> None:
    """On the same folder at once; a second server on the port says so."""
    server = _Server(folder)
    _command("run", _SHORT, "--sandbox", folder=folder)
    server.post(f"/coze/workflows/{_SHORT}/run", {}).close()
    assert 2 == json.loads(_command("list", "--json", folder=folder).stdout)["total"]
    port = server.base.rpartition(":")[2]
    assert "--port" in _command("serve", "--port", port, folder=folder, check=2).stderr
    server.end(signal.SIGTERM)


def test_the_example_walks_through(folder: Path) -> None:
    """Six checks, each printed, exit 0."""
    script = Path(__file__).parents[2] / "examples" / "test_execution_history_simple.py"
    found = subprocess.run(
        [sys.executable, str(script)], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    assert 6 == found.stdout.count("✓")
