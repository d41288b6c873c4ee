"""What goes wrong: one sentence, the right exit code, never a traceback; and what stands before every command."""

import os
import pty
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from execution_history.cli import list as listing
from tests.chosen_store import CHOSEN
from tests.cli.conftest import BEGAN, Call, History
from tests.cli.processes import COMMAND, environment, started


@pytest.mark.parametrize(
    ("store", "code", "part"),
    [
        ("nope:x", 2, "There is no store for 'nope'"),
        ("", 2, "The store is an empty string"),
        ("file", 4, "that is a file, not a folder"),
        ("damaged", 4, "damaged"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_sentence(
    call: Call, tmp_path: Path, store: str, code: int, part: str
) -> None:
    """2 when the name is wrong, 4 when what it names is."""
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "history.db").write_bytes(b"no database " * 1_000)
    said = call("list", "--store", store)
    assert (code, "", 1) == (said.code, said.out, len(said.err.splitlines()))
    assert said.err.startswith("Error: ")
    assert part in said.err


def test_a_wrong_setting_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable and ends with 2."""
    monkeypatch.setenv("EXECUTION_HISTORY_PROT", "1")
    said = call("list")
    sentence = "There is no setting for the variable EXECUTION_HISTORY_PROT: perhaps you meant EXECUTION_HISTORY_PORT."
    assert (2, f"Error: {sentence}\n") == (said.code, said.err)


def test_an_unforeseen_error_shows_nothing_of_what_it_was_about(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message could hold anything, so only its kind is said; --debug shows all."""

    def fail(_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(listing, "open_history", fail)
    said = call("list")
    sentence = "An unexpected error (KeyError). Add --debug to see where, and please report it."
    assert (70, f"Error: {sentence}\n") == (said.code, said.err)
    assert "KeyError: 'secret'" in call("list", "--debug").err


@pytest.mark.parametrize(
    "arguments", [["lst"], ["list", "--page", "0"], ["list", "--page-size", "101"], ["show"], ["run"], ["--nope"]]
)
def test_a_wrong_call_ends_with_2(call: Call, arguments: list[str]) -> None:
    """Nothing is on the standard output."""
    said = call(*arguments)
    assert (2, "") == (said.code, said.out)


def test_what_all_commands_have_may_stand_before_them(call: Call, history: History) -> None:
    """What stands after the command wins."""
    history.keep()
    before = call("--store", "history", "--json", "list")
    assert 1 == before.json()["total"]
    assert 1 == call("--store", "missing", "list", "--json", "--store", "history").json()["total"]


def test_the_store_comes_from_the_settings(call: Call, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable names it where no option does."""
    history.keep()
    monkeypatch.setenv("EXECUTION_HISTORY_STORE", CHOSEN.location(history.folder))
    assert 1 == call("list", "--json").json()["total"]
    assert 0 == call("list", "--json", "--store", "missing").json()["total"]


def test_the_password_of_a_store_is_not_shown() -> None:
    """A URL is shown without it."""
    from execution_history.cli.open_history import place_of  # noqa: PLC0415 - the only use

    assert "postgresql://me:…@db/history" == place_of("postgresql://me:s3cret@db/history")
    assert "data/execution_history" == place_of("data/execution_history")


def test_a_command_to_copy_has_no_password(call: Call) -> None:
    """It is left to be filled in; everything else of the URL stands there, also the role."""
    said = call("show", "run-12345678", "--store", "memory:?user=me&password=s3cret")
    assert "list --store 'memory:?user=me&password=[redacted]'" in said.err


def test_a_store_whose_driver_is_not_installed(tmp_path: Path) -> None:
    """It is an extra, and the sentence says how to get it."""
    program = (
        "import sys; sys.modules['psycopg'] = None; from execution_history.cli import main; "
        "main(['list', '--store', 'postgresql://me:s3cret@db/h'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert 2 == done.returncode
    assert b"pip install 'execution-history[postgres]', or pip install '.[postgres]' in a checkout.\n" in done.stderr
    assert b"s3cret" not in done.stderr


def test_the_version(call: Call) -> None:
    """One line with the installed version."""
    assert (0, f"execution-history {version('execution-history')}\n") == (call("--version").code, call("--version").out)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    """``python -m execution_history`` does the same."""
    ended = subprocess.run([*COMMAND, "--version"], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    assert ended.stdout.startswith(b"execution-history ")


@pytest.mark.parametrize("long", ["output", "node"])
def test_a_reader_who_leaves_ends_the_command_quietly(history: History, tmp_path: Path, long: str) -> None:
    """``show … | head -1`` says nothing about the pipe; the code is that of a broken one."""
    words = "x\n" * 200_000
    node = {"start_time": BEGAN, "update_time": BEGAN, "content": words}
    history.keep(
        execute_status="success", **({"output": words} if long == "output" else {"node_execute_status": {"n": node}})
    )
    with started("show", "run-1", "--full", "--store", "history", folder=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "● Succeeded after 1 ms\n" == process.stdout.readline().decode()
        process.stdout.close()
        assert (141, b"") == (process.wait(), process.stderr.read())


def test_a_reader_of_the_help_may_leave(tmp_path: Path) -> None:
    """``list --help | head`` says nothing about the pipe either."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        ended = subprocess.run(
            [*COMMAND, "list", "--help"], cwd=tmp_path, env=environment(), stdout=gone, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip
    assert (141, b"") == (ended.returncode, ended.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_output_that_cannot_be_written_is_one_sentence(history: History, tmp_path: Path) -> None:
    """A full disk under the standard output is the machine's trouble, not a traceback."""
    history.keep()
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*COMMAND, "list", "--json", "--store", "history"],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (70, b"Error: The operating system refused: No space left on device.\n") == (ended.returncode, ended.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("no_color", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    history: History, tmp_path: Path, no_color: dict[str, str], coloured: bool
) -> None:
    """A terminal gets them unless NO_COLOR is set; a pipe never does."""
    history.keep(execute_status="success")
    primary, secondary = pty.openpty()
    with os.fdopen(primary, "rb", buffering=0) as terminal:
        arguments = [*COMMAND, "list", "--store", "history"]
        surroundings = {**environment(), "TERM": "xterm-256color", **no_color}
        subprocess.run(arguments, cwd=tmp_path, env=surroundings, stdout=secondary, check=True, stderr=subprocess.PIPE)
        os.close(secondary)
        shown = terminal.read(100_000)
    piped = subprocess.run(arguments, cwd=tmp_path, env=surroundings, capture_output=True, check=True).stdout
    assert coloured == bool(re.search(rb"\x1b\[[0-9;]*3[0-9]m", shown))
    assert b"\x1b" not in piped


def test_what_the_library_says_comes_in_the_language_of_the_user(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Chinese where the locale is Chinese."""
    words = ("list", "--status", "odd", "--store", "history")
    english = call(*words).err
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    chinese = call(*words).err
    assert english.startswith("Error: 'odd' is not a status: there are running, ")
    assert chinese.startswith("错误：'odd' 不是状态：可用的有 running, ")


@pytest.mark.skipif(sys.platform == "win32", reason="the shell closes the streams")
@pytest.mark.parametrize(("arguments", "closed"), [("list", ">&-"), ("clear w", "<&-"), ("list", ">&- 2>&-")])
def test_a_command_works_without_standard_streams(
    history: History, tmp_path: Path, arguments: str, closed: str
) -> None:
    """As daemons have none; one that cannot ask refuses in a sentence."""
    history.keep(execute_status="success")
    call = shlex.join([*COMMAND, *arguments.split(), "--store", "history"])
    ended = subprocess.run(
        ["sh", "-c", f"{call} {closed}"], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (2 if "clear" in arguments else 0) == ended.returncode, ended.stderr
    assert b"unexpected" not in ended.stderr


def test_a_wrong_setting_is_told_in_the_language_of_the_user(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limit that it must keep."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("EXECUTION_HISTORY_PORT", "99999")
    assert "有误：不能大于 65535。" in call("list").err
