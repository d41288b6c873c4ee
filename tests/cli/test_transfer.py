"""Exports, imports and followers as processes: full disks, readers who leave, Ctrl-C, and terminals."""

import os
import pty
import resource
import signal
import subprocess
from pathlib import Path

import orjson
import pytest

from tests.chosen_store import CHOSEN
from tests.cli.conftest import BEGAN, Call, History
from tests.cli.processes import COMMAND, environment, started

_STORE = ("--store", "history")
_SMALL = b'{"execute_id":"b","workflow_id":"w","execute_status":"success","create_time":1761901941}\n'


@pytest.fixture
def large(history: History) -> History:
    """A history of more bytes than any pipe holds."""
    for number in range(4):
        history.keep(f"run-{number}", parameters={"x": "y" * 1_000_000})
    return history


def _limited() -> None:
    """Let no file grow beyond 100 000 bytes, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


@pytest.mark.usefixtures("large")
def test_an_export_to_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """One sentence, no part of it, and the earlier file as it was."""
    (tmp_path / "runs.jsonl").write_text("earlier")
    process = subprocess.run(
        [*COMMAND, "export", "-o", "runs.jsonl", *_STORE],
        cwd=tmp_path, env=environment(), capture_output=True, preexec_fn=_limited, check=False,
    )  # fmt: skip
    assert (70, b"", 1) == (process.returncode, process.stdout, len(process.stderr.splitlines()))
    assert b"no space left" in process.stderr
    assert "earlier" == (tmp_path / "runs.jsonl").read_text()
    assert ["history", "runs.jsonl"] == sorted(each.name for each in tmp_path.iterdir())


@pytest.mark.usefixtures("large")
def test_a_pipe_into_a_full_device_is_one_sentence(tmp_path: Path) -> None:
    """Where the standard output cannot be written."""
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [*COMMAND, "export", *_STORE], cwd=tmp_path, env=environment(),
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (70, 1) == (process.returncode, len(process.stderr.splitlines()))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("words", [["export"], ["list", "--json"], ["follow", "--since=0", "--json"]])
def test_a_reader_who_has_seen_enough_is_no_fault(tmp_path: Path, words: list[str]) -> None:
    """As with ``head``: nothing is said, and it ends."""
    with started(*words, *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        if words[0] == "follow":
            History(tmp_path / "history", BEGAN + 1).keep("more", parameters={"x": "y" * 100_000})
        assert (141, b"") == (process.wait(60), process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["--json"], []])
def test_following_waits_for_a_history_and_ends_when_told(
    tmp_path: Path, history: History, words: list[str], number: signal.Signals
) -> None:
    """Nothing is made where there is none yet; its first run is told; to be stopped is no fault."""
    with started("follow", "--since=0", *words, *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if not words:
            said = CHOSEN.named(process.stderr.readline().decode())
            assert "There is no history in history yet" in said
        assert [] == list(tmp_path.iterdir())
        history.keep("first", parameters={"city": "Paris"})
        line = process.stdout.readline()
        assert b"first" in line
        if words:
            assert {"event": "put", "revision": 1}.items() <= orjson.loads(line).items()
        process.send_signal(number)
        assert 0 == process.wait(60)
        assert b"Traceback" not in process.stderr.read()


def _on_a_terminal(folder: Path, *words: str) -> str:
    """What the command shows on a terminal of its own."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env={**environment(), "TERM": "xterm", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its,
    )  # fmt: skip
    os.close(its)
    said = b""
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # how Linux tells the end of a terminal
        pass
    os.close(ours)
    assert 0 == process.wait(60)
    return said.decode()


@pytest.mark.usefixtures("large")
def test_a_terminal_shows_how_far_it_has_come(tmp_path: Path) -> None:
    """Runs and bytes beside a bar that is gone at the end; a file and a pipe alike; programs see nothing of it."""
    for words in (["export", "-o", "runs.jsonl"], ["export"], ["import", "runs.jsonl"]):
        said = _on_a_terminal(tmp_path, *words, *_STORE)
        assert "4 runs, 4.0 MB" in said
        assert ("Indexing: " in said) is (words[0] == "import")
        assert "━" in said
    assert "" == _on_a_terminal(tmp_path, "export", "-o", "again.jsonl", "--json", *_STORE)


@pytest.mark.usefixtures("large")
def test_an_export_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while it waits for whoever reads it."""
    with started("export", *_STORE, folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(60) in {130, 141}
        assert b"" == process.stderr.read()
    assert ["history"] == [each.name for each in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "0 added, 0 replaced, 0 already there, 0 refused"),
        (b"[1, 2]\n", "line 1"),
        (b'{"execute_id": "x"}\n', "no workflow_id"),
        (b'{"execute_id": "x", "workflow_id": "w"}\n{"execute_id": "y", "workf', "line 2"),
        (b"\xff\xfe\x00", "line 1"),
    ],
)
def test_what_is_no_record_is_told_with_its_line(call: Call, tmp_path: Path, content: bytes, named: str) -> None:
    """And what is one comes in; the code says that not all did."""
    (tmp_path / "odd.jsonl").write_bytes(content)
    said = call("import", "odd.jsonl", *_STORE)
    assert bool(content) == said.code
    assert named in said.out


def test_times_without_an_offset_are_in_the_zone_that_is_named(call: Call, tmp_path: Path) -> None:
    """And in this machine's by default, as everywhere on the command line."""
    (tmp_path / "in.jsonl").write_text(
        '{"workflow_id": "w", "execute_id": "a", "execute_status": "success", "create_time": "2025-10-31 17:12:21"}\n'
    )
    assert 0 == call("import", "in.jsonl", *_STORE, "--zone", "Asia/Shanghai").code
    assert [1_761_901_941_000] == [each["create_time"] for each in call("list", *_STORE, "--json").json()["histories"]]
    assert "no time zone" in call("import", "in.jsonl", *_STORE, "--zone", "Mars").err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands(tmp_path: Path, shell: str) -> None:
    """``--show-completion`` gives what ``--install-completion`` installs, and it names the commands and options."""
    words = {"COMP_WORDS": "execution-history se", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "execution-history se"}
    asked = {**environment(), **words, "_EXECUTION_HISTORY_COMPLETE": f"complete_{shell}"}
    if shell == "fish":
        asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    process = subprocess.run(COMMAND, cwd=tmp_path, env=asked, capture_output=True, check=False)
    assert b"search" in process.stdout
    assert b"serve" in process.stdout


def test_what_is_beyond_the_limits_is_refused_on_the_command_line_too(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its line and the setting, and the exit code says that something was refused."""
    monkeypatch.setenv("EXECUTION_HISTORY_RECORD_LIMIT_BYTES", str(1024 * 1024))
    large = b'{"execute_id":"a","workflow_id":"w","output":"' + b"x" * 1024 * 1024 + b'"}\n'
    (tmp_path / "in.jsonl").write_bytes(large + _SMALL)
    said = call("import", "in.jsonl", *_STORE, "--json")
    assert (1, 1, ["line 1"]) == (
        said.code, said.json()["added"], [each["place"] for each in said.json()["refused"]],
    )  # fmt: skip
    assert "It has more than 1048576 bytes (the setting record_limit_bytes)." == said.json()["refused"][0]["reason"]


@pytest.mark.parametrize("words", [["list"], ["search", "x"], ["stats"], ["workflows"], ["import", "in.jsonl"]])
def test_a_pipe_among_the_files_of_a_folder_holds_nobody_up(tmp_path: Path, call: Call, words: list[str]) -> None:
    """No command waits for somebody to write into it."""
    (tmp_path / "history").mkdir()
    os.mkfifo(tmp_path / "history" / "w.json")
    (tmp_path / "in.jsonl").write_bytes(_SMALL)
    assert call(*words, *_STORE).code in (0, 2)
