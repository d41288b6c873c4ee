"""``run``: against the embedded sandbox, in this process and in one of its own."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from execution_history.cli.run_reporter import Ending, RunReporter
from execution_history.cli.session import Session
from execution_history.presentation.translator import LANGUAGES
from execution_history.recording.spool import put_aside, spool_of
from execution_history.stores import store_at
from tests.chosen_store import CHOSEN
from tests.cli.conftest import Call, History
from tests.cli.processes import COMMAND, environment, started
from tests.sample_records import document

SHORT, LONG, FAILS, ASKS, TEXT = (f"700000000000000000{number}" for number in (1, 2, 3, 5, 1))
WANTS_FIELDS, RETURNS_TEXT, LARGE = "7000000000000000016", "7000000000000000013", "7000000000000000010"
QUICK = ["-p", "pace_ms=0"]
_NOT, _ATTENTION = "This run could not be recorded", "The history needs attention: "


def test_a_run_is_told_and_recorded(call: Call, history: History) -> None:
    """The answer is all of the output; titles and the ending are remarks; the record is there."""
    said = call("run", LONG, "-p", "packets=1", *QUICK, "--sandbox", "--store", "history")
    record = history.read(LONG)[0]
    assert 0 == said.code
    assert [
        "Started.",
        "The ferry leaves at nine. ",
        '{"temperature":18,"sky":"小雨"}',
        "Day 1 of 2 is planned.",
        "Day 2 of 2 is planned.",
        '{"output":"The ferry leaves at nine. ","days":2}',
    ] == said.out.splitlines()
    titles = ["Start", "Travel writer", "Weather lookup", "Report", "Report", "End"]
    assert titles == said.err.splitlines()[:6]
    assert said.err.splitlines()[6].startswith(f"● success  {record['execute_id']}  ")
    assert said.err.rstrip().endswith("  1 920 tokens")
    assert ("success", {"packets": 1, "pace_ms": 0}) == (record["execute_status"], record["input_parameters"])


def test_a_run_that_a_rule_leaves_out_is_said_to_be_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no trouble."""
    monkeypatch.setenv("EXECUTION_HISTORY_RECORDING", '[{"record": "nothing"}]')
    said = call("run", SHORT, *QUICK, "--sandbox", "--store", "history")
    assert 0 == said.code
    assert "leaves it out" in said.err
    assert _NOT not in said.err


def test_a_failed_workflow_ends_with_1(call: Call, history: History) -> None:
    """The reason is said, and recorded."""
    said = call("run", FAILS, *QUICK, "--sandbox", "--store", "history")
    assert 1 == said.code
    assert "Node 'Weather lookup' failed: the plugin answered HTTP 502. (720702017)\n" in said.err
    assert "failed" == history.read(FAILS)[0]["execute_status"]


@pytest.mark.parametrize(
    ("workflow_id", "question"),
    [
        (ASKS, "The workflow asks: Which city's weather would you like to know?"),
        (WANTS_FIELDS, "  city (string, required): Where to go"),
    ],
)
def test_a_workflow_that_asks_ends_with_3(call: Call, history: History, workflow_id: str, question: str) -> None:
    """The question is said, and what it wants filled in."""
    said = call("run", workflow_id, *QUICK, "--sandbox", "--store", "history")
    assert 3 == said.code
    assert question in said.err.splitlines()
    assert "interrupted" == history.read(workflow_id)[0]["execute_status"]


def test_json_lines_are_the_frames_and_the_ending(call: Call, history: History) -> None:
    """The last line says what became of the run; nothing else is on the output."""
    said = call("run", SHORT, "-p", "a=1", *QUICK, "--sandbox", "--json", "--store", "history")
    frames = said.lines()
    record = history.read(SHORT)[0]
    assert ["workflow_started", "data", "data", "data", "finished"] == [frame["event"] for frame in frames]
    assert record["execute_id"] == frames[0]["data"]["execution_id"] == frames[-1]["data"]["execution_id"]
    assert ("success", record["output"], True) == (
        frames[-1]["data"]["status"],
        frames[-1]["data"]["output_data"],
        frames[-1]["data"]["recorded"],
    )
    assert "" == said.err


def test_a_failure_as_json_lines(call: Call) -> None:
    """The code is the same, and the ending has the error."""
    said = call("run", FAILS, *QUICK, "--sandbox", "--json")
    assert (1, "failed", 720702017) == (
        said.code,
        said.lines()[-1]["data"]["status"],
        said.lines()[-1]["data"]["error_code"],
    )


def test_without_a_stream_the_result_is_waited_for(call: Call, history: History) -> None:
    """The output is shown once, whole, and recorded as one answer."""
    said = call("run", RETURNS_TEXT, "--no-stream", "--sandbox", "--store", "history")
    record = history.read(RETURNS_TEXT)[0]
    assert (0, f"{record['output']}\n", 0) == (said.code, said.out, record["run_mode"])
    ending = call("run", SHORT, "--no-stream", "--sandbox", "--json").json()
    assert ("success", "Received no parameters.") == (ending["status"], ending["output_data"]["output"])


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("v=hello", "hello"),
        ("v=3", 3),
        ("v=-0.5", -0.5),
        ("v=true", True),
        ("v=null", None),
        ('v="3"', "3"),
        ('v={"a": [1]}', {"a": [1]}),
        ("v=", ""),
        ("v=a=b", "a=b"),
        ("v=007", "007"),
        ("v=北京", "北京"),
        ("v=7000000000000000001", 7000000000000000001),
        ("v=123456789012345678901234", "123456789012345678901234"),
    ],
)
def test_a_value_is_json_where_it_reads_as_json(call: Call, assignment: str, value: object) -> None:
    """Everything else is text, and quotes make text of anything."""
    said = call("run", SHORT, "-p", assignment, "--no-stream", "--sandbox", "--json")
    assert {"v": value} == said.json()["output_data"]["parameters"]


def test_parameters_come_from_a_file_and_are_overruled(call: Call, tmp_path: Path) -> None:
    """-p wins, whatever the order."""
    (tmp_path / "input.json").write_text('{"a": 1, "b": 2}')
    said = call("run", SHORT, "-p", "b=3", "--parameters-file", "input.json", "--no-stream", "--sandbox", "--json")
    assert {"a": 1, "b": 3} == said.json()["output_data"]["parameters"]


def test_parameters_come_from_the_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named - is what is piped in."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    said = call("run", SHORT, "--parameters-file", "-", "--no-stream", "--sandbox", "--json")
    assert {"a": 1} == said.json()["output_data"]["parameters"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "novalue"], "The parameter 'novalue' is not NAME=VALUE."),
        (["-p", "=3"], "The parameter '=3' is not NAME=VALUE."),
        (
            ["--parameters-file", "none.json"],
            "The parameters file none.json cannot be read: No such file or directory.",
        ),
        (["--parameters-file", "list.json"], "The parameters file list.json holds no JSON object of names and values."),
        (["--parameters-file", "text.json"], "The parameters file text.json is not JSON."),
        (["--account", "work"], "--sandbox and --account cannot be used together: the sandbox is the account default."),
    ],
)
def test_a_wrong_call_is_one_sentence(call: Call, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """It names what is wrong, ends with 2, and nothing was run or recorded."""
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text.json").write_text("hello")
    said = call("run", SHORT, *arguments, "--sandbox")
    assert (2, "", f"Error: {sentence}\n") == (said.code, said.out, said.err)
    assert not (tmp_path / "data").exists()


def test_without_a_token_the_sentence_says_what_to_set(call: Call) -> None:
    """An account that cannot be used is a wrong call."""
    said = call("run", "123")
    assert 2 == said.code
    assert "set COZE_API_TOKEN" in said.err


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [
        (
            "C",
            "Error: The Coze account 'work' is incomplete: set accounts.work.public_key_id, accounts.work.private_key.",
        ),
        (
            "zh_CN.UTF-8",
            "错误：Coze 账号“work”的设置不完整：请设置 accounts.work.public_key_id、accounts.work.private_key。",
        ),
    ],
)
def test_what_an_account_lacks_is_named(
    call: Call, monkeypatch: pytest.MonkeyPatch, locale: str, sentence: str
) -> None:
    """When it is called; nothing else is kept from working."""
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__CLIENT_ID", "c")
    said = call("run", "123", "--account", "work")
    assert (2, f"{sentence}\n") == (said.code, said.err)
    assert 0 == call("list").code


@pytest.mark.parametrize("command", [["run", "123"], ["fetch", "123", "456"]])
def test_an_account_that_is_not_there_is_named(call: Call, command: list[str]) -> None:
    """Beside those that are; nothing is opened or recorded for it."""
    said = call(*command, "--account", "work")
    sentence = "There is no Coze account 'work': name one of those in the settings ('default'), or add it to them."
    assert (2, f"Error: {sentence}\n") == (said.code, said.err)
    assert not Path("data").exists()


def test_an_upstream_that_cannot_be_reached_is_a_failed_run(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is recorded with the reason; the token is nowhere."""
    monkeypatch.setenv("COZE_API_TOKEN", "pat_secret")
    monkeypatch.setenv("COZE_API_BASE", "http://127.0.0.1:1")
    said = call("run", "123", "--store", "history")
    record = history.read("123")[0]
    assert (1, "failed") == (said.code, record["execute_status"])
    assert record["error_message"] in said.err
    assert "pat_secret" not in said.err + said.out + str(record)


def test_the_words_of_a_run_reach_the_terminal_harmless(call: Call) -> None:
    """What the workflow says is shown, not obeyed."""
    said = call("run", SHORT, "-p", "a=\u009b31m\u202e", *QUICK, "--sandbox")
    assert not {"\x9b", "\u202e"} & set(said.out + said.err)
    assert "\\u009b31m\\u202e" in said.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_run_and_its_record_says_so(
    history: History, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The record is closed as interrupted before the process ends, without a traceback."""
    with started(
        "run", LONG, "-p", "packets=10000", "--sandbox", "--json", "--store", "history", folder=tmp_path
    ) as process:
        assert process.stdout is not None
        frames = [orjson.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(number)
        _, err = process.communicate()
    record = history.read(LONG)[0]
    execute_id = frames[0]["data"]["execution_id"]
    assert (code, "interrupted", execute_id) == (process.returncode, record["execute_status"], record["execute_id"])
    assert f"Stopped. Run {execute_id} is recorded up to this point" in err.decode()
    assert "Traceback" not in err.decode()


def test_a_reader_who_leaves_does_not_stop_the_recording(history: History, tmp_path: Path) -> None:
    """``run … | head -1`` records the whole run and says nothing about the pipe."""
    ended = subprocess.run(  # noqa: S602 - the pipe is what is tried
        f"{subprocess.list2cmdline(COMMAND)} run {LARGE} -p size=3000000 --sandbox --store history | head -c 10",
        shell=True,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=True,
    )
    record = history.read(LARGE)[0]
    assert ("success", 3_000_000) == (record["execute_status"], len(record["output"]["output"]))
    assert b"Error" not in ended.stderr


@pytest.mark.parametrize(
    ("language", "sentence"), [("C.UTF-8", "The history needs attention: "), ("zh_CN.UTF-8", "历史有问题需要处理：")]
)
def test_an_old_problem_is_not_told_of_a_run_that_is_recorded(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, language: str, sentence: str
) -> None:
    """A damaged file of waiting runs is a matter of the history, not of the run that has just ended."""
    monkeypatch.setenv("LANG", language)
    spool = spool_of(store_at(CHOSEN.location(history.folder)))
    assert spool is not None
    put_aside(spool, [(("w", "old"), [document("old", "w")])], "a test")
    batch = spool.batches()[0]
    damaged = batch.rename(batch.with_suffix(".damaged"))
    said = call("run", SHORT, *QUICK, "--sandbox", "--store", "history")
    assert (0, 1) == (said.code, len(history.read(SHORT)))
    problem = said.err.splitlines()[-1]
    assert (True, True) == (problem.startswith(sentence), str(damaged) in problem)


@pytest.mark.parametrize(
    ("waits", "is_recorded", "problems", "told"),
    [
        (True, False, ["1 run waits.", "A file."], [f"{_NOT}: 1 run waits.", f"{_ATTENTION}A file."]),
        (True, True, ["1 run waits."], [f"{_NOT}: 1 run waits."]),
        (False, True, ["2 runs wait."], [f"{_ATTENTION}2 runs wait."]),
        (False, False, ["A file."], [f"{_NOT}.", f"{_ATTENTION}A file."]),
        (False, False, [], [f"{_NOT}."]),
        (False, True, [], []),
    ],
)
def test_a_run_is_called_unrecorded_when_it_is(
    capsys: pytest.CaptureFixture[str], waits: bool, is_recorded: bool, problems: list[str], told: list[str]
) -> None:
    """It waits, or there is no record of it; whatever else the recorder complains of is told of the history."""
    session = Session(LANGUAGES["en"])
    session.as_json = True
    record = orjson.loads(document("run-1").body) if is_recorded else None
    RunReporter(session, embedded=True).ended(Ending("w", "run-1", "success", record=record, waits=waits), problems)
    assert told == capsys.readouterr().err.splitlines()
