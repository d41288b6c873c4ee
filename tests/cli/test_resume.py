"""``resume`` and ``fetch``, against a sandbox that another process serves."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.cli.conftest import Call, History
from tests.cli.processes import read_document, started

_ASKS, _SHORT = "7000000000000000005", "7000000000000000001"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A sandbox that outlives the calls, as the account default; its address."""
    with started("sandbox", "--port", "0", "--json", folder=tmp_path) as process:
        base_url = str(read_document(process.stdout)["base_url"])
        monkeypatch.setenv("COZE_API_BASE", base_url)
        monkeypatch.setenv("COZE_API_TOKEN", "sandbox-token")
        yield base_url


def _asked(call: Call, *arguments: str) -> str:
    """Run the workflow that asks; the id of its record."""
    said = call("run", _ASKS, "-p", "pace_ms=0", "--json", "--store", "history", *arguments)
    assert 3 == said.code
    return str(said.lines()[-1]["data"]["execution_id"] if not arguments else said.json()["execution_id"])


@pytest.mark.parametrize("options", [(), ("--no-stream",)], ids=["streamed", "not streamed"])
@pytest.mark.usefixtures("sandbox")
def test_an_answer_goes_on_with_the_same_record(call: Call, history: History, options: tuple[str, ...]) -> None:
    """Whether the run was streamed or not; it ends with 0 and the answer's output."""
    execute_id = _asked(call, *options)
    said = call("resume", execute_id, "Paris", "--store", "history")
    assert (0, True) == (said.code, "weather of Paris" in said.out)
    assert [("success", execute_id)] == [(r["execute_status"], r["execute_id"]) for r in history.read(_ASKS)]


@pytest.mark.usefixtures("sandbox")
def test_an_answer_may_come_from_the_standard_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash stands for it."""
    execute_id = _asked(call)
    monkeypatch.setattr("sys.stdin", io.StringIO("Paris"))
    assert 0 == call("resume", execute_id, "-", "--store", "history").code


@pytest.mark.usefixtures("sandbox")
def test_only_a_run_that_asks_can_be_answered(call: Call) -> None:
    """A second answer is a wrong call and says why."""
    execute_id = _asked(call)
    call("resume", execute_id, "Paris", "--store", "history")
    said = call("resume", execute_id, "Rome", "--store", "history")
    assert (2, True) == (said.code, "is not waiting for an answer" in said.err)
    assert 5 == call("resume", "nobody", "Rome", "--store", "history").code


@pytest.mark.usefixtures("sandbox")
def test_a_forgotten_question_is_told_as_the_record_tells_it(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A sandbox that was started again knows nothing of it: the run stays interrupted, and ends the call with 3."""
    execute_id = _asked(call)
    with started("sandbox", "--port", "0", "--json", folder=tmp_path) as again:
        monkeypatch.setenv("COZE_API_BASE", str(read_document(again.stdout)["base_url"]))
        said = call("resume", execute_id, "Paris", "--account", "default", "--store", "history")
        told = call("resume", execute_id, "Paris", "--account", "default", "--json", "--store", "history").lines()[-1]
    assert (3, True) == (said.code, said.err.startswith(f"◇ interrupted  {execute_id}"))
    assert "Coze did not take the answer: This workflow has no such execution" in said.err
    assert ["interrupted"] == [record["execute_status"] for record in history.read(_ASKS)]
    assert "interrupted" == told["data"]["status"]
    assert "the run never began" not in call("show", execute_id, "--store", "history").out


def test_the_sandbox_of_a_server_needs_no_token(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that waits there is answered there, and one that happened there is fetched with --sandbox."""
    arguments = ["--port", "0", "--sandbox", "--sandbox-port", "0", "--json", "--store", "history"]
    with started("serve", *arguments, folder=tmp_path) as process:
        announced = read_document(process.stdout)
        base_url = announced["sandbox"]["base_url"]
        monkeypatch.setenv("EXECUTION_HISTORY_SANDBOX_PORT", base_url.rpartition(":")[2])
        execute_id = _asked_through(announced["url"])
        assert 0 == call("resume", execute_id, "Paris", "--store", "history").code
        execute_id = _asked_through(announced["url"])
        assert 0 == call("resume", execute_id[:18], "Paris", "--sandbox", "--store", "history").code
        there = call("show", execute_id, "--json", "--store", "history").json()["metadata"]["coze_execute_id"]
        assert 2 == call("fetch", _ASKS, there, "--store", "history").code
        assert 0 == call("fetch", _ASKS, there, "--sandbox", "--store", "new").code
        monkeypatch.setenv("COZE_API_TOKEN", "of-somebody-else")
        execute_id = _asked_through(announced["url"])
        assert 0 == call("resume", execute_id, "Paris", "--store", "history").code


def _asked_through(server: str) -> str:
    """Let a server run the workflow that asks; the id of its record."""
    body = {"workflow_id": _ASKS, "parameters": {"pace_ms": 0}}
    with httpx.stream("POST", f"{server}/coze/workflows/stream_run", json=body) as answer:
        frames = [line for line in answer.iter_lines() if "execution_id" in line]
    return str(orjson.loads(frames[0].removeprefix("data: "))["data"]["execution_id"])


def test_an_answer_goes_nowhere_but_where_the_run_waits(
    call: Call, sandbox: str, monkeypatch: pytest.MonkeyPatch, history: History
) -> None:
    """Without an account at that address the sentence says what to set; a second account there is taken."""
    execute_id = _asked(call)
    monkeypatch.setenv("COZE_API_BASE", "http://127.0.0.1:9")
    said = call("resume", execute_id, "Paris", "--store", "history")
    assert (2, True) == (said.code, f"set COZE_API_BASE={sandbox} and COZE_API_TOKEN" in said.err)
    assert ["interrupted"] == [record["execute_status"] for record in history.read(_ASKS)]
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__SECOND__TOKEN", "sandbox-token")
    monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__SECOND__BASE_URL", sandbox)
    assert 0 == call("resume", execute_id, "Paris", "--store", "history").code


def test_a_run_that_happened_elsewhere_is_fetched_once(call: Call, sandbox: str) -> None:
    """Twice is the same record; a run that nobody knows is a wrong call."""
    headers = {"Authorization": "Bearer sandbox-token"}
    body = {"workflow_id": _SHORT, "parameters": {"city": "Paris"}}
    answer = httpx.post(f"{sandbox}/v1/workflow/run", json=body, headers=headers).json()
    fetched = [call("fetch", _SHORT, answer["execute_id"], "--json", "--store", "history").json() for _ in range(2)]
    assert fetched[0] == fetched[1]
    assert ("success", answer["execute_id"], "run_history") == (
        fetched[0]["execute_status"],
        fetched[0]["metadata"]["coze_execute_id"],
        fetched[0]["metadata"]["proof"],
    )
    unknown = call("fetch", _SHORT, "123", "--store", "history")
    assert (5, True) == (unknown.code, "has no history of run '123'" in unknown.err)
