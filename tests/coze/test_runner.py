"""Workflows run through us against the sandbox, over real sockets, and what their records say."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from execution_history import unrecorded
from execution_history.coze import CozeRunner, Reconciler, RecordingTransport, Upstream
from execution_history.errors import AccountError, UnknownAccount
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import WORKFLOWS, serve_sandbox
from execution_history.sandbox.errors import Refusal
from execution_history.sandbox.steps import Inputs, Step
from execution_history.settings import AccountSettings
from tests.coze.gateway.conftest import Scripted, canned
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow.workflow_id for workflow in WORKFLOWS.values()}
_QUICK: Mapping[str, object] = {"pace_ms": 0, "delay_ms": 0}


class _House:
    """A service, a recorder and a runner on one sandbox."""

    def __init__(self, folder: Path, accounts: dict[str, AccountSettings], timeout: float = 5) -> None:
        self.service = ExecutionHistoryService(folder / "history")
        self.recorder = Recorder(self.service.store, progress_interval_ms=50)
        self.upstream = Upstream(accounts, self.recorder, timeout_seconds=timeout, connect_seconds=timeout)
        self.runner = CozeRunner(self.recorder, self.upstream)

    async def record(self, workflow_id: str) -> dict[str, Any]:
        """The newest record of a workflow."""
        return dict((await self.service.get_execution_history(workflow_id))["histories"][0])

    async def aclose(self) -> None:
        """Close everything in order."""
        await self.upstream.aclose()
        await self.recorder.aclose()
        await self.service.aclose()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[_House]:
    """Everything, with the account default on the sandbox and one with a wrong token."""
    async with serve_sandbox() as sandbox:
        made = _House(
            tmp_path,
            {
                "default": AccountSettings(base_url=sandbox.base_url, token=SecretStr(sandbox.token)),
                "wrong": AccountSettings(base_url=sandbox.base_url, token=SecretStr("not-the-token")),
            },
        )
        yield made
        await made.aclose()


_OUTCOMES = [
    ("short_answer", "success", "envelope", "done_event"),
    ("long_stream", "success", "envelope", "done_event"),
    ("fails_in_a_node", "failed", "envelope", "error_event"),
    ("never_published", "failed", "rejected", "rejected"),
    ("asks_a_question", "interrupted", "envelope", "interrupt_event"),
    ("breaks_the_connection", "failed", "connection_broken", "connection_broken"),
    ("no_terminator", "failed", "not_json", "stream_ended_early"),
    ("large_output", "success", "envelope", "done_event"),
    ("chinese", "success", "envelope", "done_event"),
    ("pings", "success", "envelope", "done_event"),
    ("returns_text", "success", "envelope", "done_event"),
    ("server_error", "failed", "http_status", "http_status"),
]


@pytest.mark.parametrize(("name", "status", "proof", "_stream_proof"), _OUTCOMES, ids=str)
async def test_a_run_is_recorded_with_its_proof(
    house: _House, name: str, status: str, proof: str, _stream_proof: str
) -> None:
    """execute_workflow never raises for an upstream failure, and answers what the record says."""
    result = await house.runner.execute_workflow(_IDS[name], {**_QUICK, "city": "巴黎"}, conversation_id="c1")
    record = await house.record(_IDS[name])
    assert (status, proof, 0) == (record["execute_status"], record["metadata"]["proof"], record["run_mode"])
    assert result == {
        "execution_id": record["execute_id"],
        "status": status,
        "output_data": record["output"],
        "error_message": record["error_message"],
        "conversation_id": "c1",
        **({"interrupt": record["metadata"]["interrupt"]} if status == "interrupted" else {}),
    }
    assert (status == "failed") == bool(record["error_message"])
    assert "巴黎" == record["input_parameters"]["city"]


@pytest.mark.parametrize(("name", "status", "_proof", "proof"), _OUTCOMES, ids=str)
async def test_a_stream_is_recorded_with_its_proof(
    house: _House, name: str, status: str, _proof: str, proof: str
) -> None:
    """The frames are those that existing callers know; the record says how the run ended and how we know."""
    frames = [frame async for frame in house.runner.stream_workflow(_IDS[name], _QUICK, conversation_id="c1")]
    record = await house.record(_IDS[name])
    assert (status, proof, 1) == (record["execute_status"], record["metadata"]["proof"], record["run_mode"])
    assert "workflow_started" == frames[0]["event"]
    assert record["execute_id"] == frames[0]["data"]["execution_id"]
    assert (status == "failed") == (frames[-1]["event"] == "error")
    for frame in frames[1:]:
        if frame["event"] == "data":
            assert {"type", "execute_id", "node_id", "status", "message", "error", "data"} == set(frame["data"])
            assert "c1" == frame["conversation_id"]


async def test_a_run_of_ours_passes_unrecorded_in_such_a_block(house: _House) -> None:
    """No record of it stays behind."""
    with unrecorded():
        result = await house.runner.execute_workflow(_IDS["short_answer"], {**_QUICK})
    assert "success" == result["status"]
    assert [] == await house.service.get_all_workflows()


async def test_a_run_of_ours_names_us_as_its_caller(house: _House) -> None:
    """Not the HTTP library that carries it."""
    await house.runner.execute_workflow(_IDS["short_answer"])
    assert "execution-history" == (await house.record(_IDS["short_answer"]))["metadata"]["caller"]["name"]


async def test_a_record_of_a_long_stream_holds_all_that_was_said(house: _House) -> None:
    """Every node with its content, usage, debug page and both ids."""
    await house.runner.execute_workflow(_IDS["long_stream"], _QUICK)
    said: dict[str, str] = {}
    async for frame in house.runner.stream_workflow(_IDS["long_stream"], _QUICK):
        message = frame["data"].get("message") if frame["event"] == "data" else None
        if message is not None:
            said[message["node_title"]] = said.get(message["node_title"], "") + message["content"]
    record = await house.record(_IDS["long_stream"])
    recorded: dict[str, str] = {}
    for node in record["node_execute_status"].values():
        recorded[node["node_title"]] = recorded.get(node["node_title"], "") + node["content"]
    assert said == recorded
    assert {"input_count", "output_count", "token_count"} == set(record["usage"])
    assert f"execute_id={record['metadata']['coze_execute_id']}" in record["debug_url"]
    assert record["metadata"]["log_id"]


async def test_an_unescaped_line_separator_survives(house: _House) -> None:
    """U+2028 and U+0085 in a payload are text, not line ends."""
    async for _ in house.runner.stream_workflow(_IDS["chinese"], _QUICK):
        pass
    assert {"\u2028", "\x85"} <= set((await house.record(_IDS["chinese"]))["output"]["output"])


async def test_five_megabytes_are_kept_whole(house: _House) -> None:
    """What Coze would cut at 1 MB."""
    result = await house.runner.execute_workflow(_IDS["large_output"], _QUICK)
    assert len(result["output_data"]["output"]) >= 5_000_000


async def test_a_wrong_token_is_a_rejection(house: _House) -> None:
    """The record says what Coze said; the token is nowhere."""
    result = await house.runner.execute_workflow(_IDS["short_answer"], account_id="wrong")
    record = await house.record(_IDS["short_answer"])
    assert ("failed", 4100) == (result["status"], record["error_code"])
    assert "not-the-token" not in str(record)


async def test_half_a_surrogate_pair_never_breaks_a_run(house: _House) -> None:
    """In an input or in any id: it is sent and recorded in its visible form."""
    half = "a\ud800"
    result = await house.runner.execute_workflow(_IDS["short_answer"], {half: half}, half, half, user_id=half)
    record = await house.record(_IDS["short_answer"])
    assert "success" == result["status"]
    assert ("a\\ud800", "a\\ud800", {"a\\ud800": "a\\ud800"}) == (
        record["bot_id"], record["conversation_id"], record["input_parameters"],
    )  # fmt: skip


async def test_an_unknown_account_is_an_error_before_anything_is_recorded(house: _House) -> None:
    """The sentence says which there are."""
    with pytest.raises(UnknownAccount, match=r"'nobody': name one of those in the settings \('default', 'wrong'\)"):
        await house.runner.execute_workflow("7", account_id="nobody")
    assert [] == await house.service.get_all_workflows()


async def test_an_account_without_a_token_says_what_to_set(tmp_path: Path) -> None:
    """Out of the box there is none."""
    house = _House(tmp_path, {})
    with pytest.raises(AccountError, match="COZE_API_TOKEN"):
        await anext(house.runner.stream_workflow("7"))
    await house.aclose()


async def test_a_refused_connection_is_a_failure_that_never_began(tmp_path: Path) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    house = _House(tmp_path, {"default": AccountSettings(base_url=f"http://127.0.0.1:{port}", token=SecretStr("t"))})
    result = await house.runner.execute_workflow("7")
    assert "failed" == result["status"]
    assert "never began" in (result["error_message"] or "")
    assert "connection_failed" == (await house.record("7"))["metadata"]["proof"]
    await house.aclose()


async def _asked(house: _House, **parameters: object) -> str:
    """The id of a run that asks."""
    workflow_id = _IDS["asks_a_question"]
    frames = [frame async for frame in house.runner.stream_workflow(workflow_id, {**_QUICK, **parameters})]
    return str(frames[0]["data"]["execution_id"])


async def test_an_answer_that_is_not_taken_leaves_the_run_as_its_record_says(house: _House, tmp_path: Path) -> None:
    """What the caller is told is what is recorded: interrupted, and why the answer did not get through."""
    workflow_id, execute_id = _IDS["asks_a_question"], await _asked(house)
    question = (await house.record(workflow_id))["metadata"]["interrupt"]
    async with serve_sandbox() as restarted:
        account = AccountSettings(base_url=restarted.base_url, token=SecretStr(restarted.token))
        later = _House(tmp_path, {"default": account})
        frames = [
            frame
            async for frame in later.runner.stream_resumption(workflow_id, execute_id, "Paris", account_id="default")
        ]
        rejected = await later.record(workflow_id)
        await later.aclose()
    assert ["workflow_started", "error"] == [frame["event"] for frame in frames]
    assert "Coze did not take the answer: This workflow has no such execution" in rejected["error_message"]
    assert rejected["error_message"] == frames[1]["data"]["message"]
    assert ("interrupted", question) == (rejected["execute_status"], rejected["metadata"]["interrupt"])


async def test_an_answer_that_does_not_arrive_says_nothing_of_the_beginning(house: _House, tmp_path: Path) -> None:
    """The run has begun long ago, and waits."""
    workflow_id = _IDS["asks_a_question"]
    asked = await house.runner.execute_workflow(workflow_id, _QUICK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    later = _House(tmp_path, {"default": AccountSettings(base_url=f"http://127.0.0.1:{port}", token=SecretStr("t"))})
    result = await later.runner.resume_workflow(workflow_id, asked["execution_id"], "Paris", account_id="default")
    record = await later.record(workflow_id)
    await later.aclose()
    assert result is not None
    assert ("interrupted", result["error_message"]) == (result["status"], record["error_message"])
    assert str(record["error_message"]).startswith("The answer did not get to Coze: 127.0.0.1 could not be reached")
    assert "never began" not in record["error_message"]


async def test_a_silent_upstream_is_a_timeout_with_an_open_end(tmp_path: Path) -> None:
    """The workflow may still be running there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        account = AccountSettings(base_url=f"http://127.0.0.1:{port}", token=SecretStr("t"))
        house = _House(tmp_path, {"default": account}, timeout=0.2)
        result = await house.runner.execute_workflow("7")
        assert "may still be running" in (result["error_message"] or "")
        assert "timeout" == (await house.record("7"))["metadata"]["proof"]
        await house.aclose()


async def _ended(house: _House, workflow_id: str) -> dict[str, Any]:
    """The newest record, once it has ended; the change feed tells."""
    while True:
        record = await house.record(workflow_id)
        if record["execute_status"] != "running":
            return record
        await asyncio.sleep(0.01)


async def test_a_caller_who_leaves_a_stream_does_not_end_the_recording(house: _House) -> None:
    """The upstream is read to its end, and the record says how that was."""
    async with aclosing(house.runner.stream_workflow(_IDS["long_stream"], {"pace_ms": 5})) as frames:
        await anext(frames)
        await anext(frames)
    record = await asyncio.wait_for(_ended(house, _IDS["long_stream"]), 60)
    assert ("success", "done_event") == (record["execute_status"], record["metadata"]["proof"])
    assert isinstance(record["output"], dict)


async def test_a_caller_who_is_cancelled_does_not_end_the_recording(tmp_path: Path) -> None:
    """While the upstream is still thinking about its answer."""
    slow, has_come = WORKFLOWS[_IDS["slow_answer"]], asyncio.Event()

    def thinks(inputs: Inputs) -> Iterator[Step]:
        has_come.set()
        assert not isinstance(slow.behaviour, Refusal)
        return slow.behaviour(inputs)

    workflows = {slow.workflow_id: replace(slow, behaviour=thinks)}
    async with serve_sandbox(workflows=workflows) as sandbox:
        account = AccountSettings(base_url=sandbox.base_url, token=SecretStr(sandbox.token))
        house = _House(tmp_path, {"default": account})
        call = asyncio.create_task(house.runner.execute_workflow(slow.workflow_id, {"delay_ms": 300}))
        await asyncio.wait_for(has_come.wait(), 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert "success" == (await asyncio.wait_for(_ended(house, slow.workflow_id), 60))["execute_status"]
        await house.aclose()


async def test_a_caller_who_leaves_before_the_run_is_sent_leaves_no_running_record(house: _House) -> None:
    """At any moment of the way out: the run then never began, or goes to its end."""
    for pauses in range(12):
        call = asyncio.create_task(house.runner.execute_workflow(_IDS["short_answer"], {"n": pauses}))
        for _ in range(pauses):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    async with aclosing(house.runner.stream_workflow(_IDS["short_answer"])) as frames:
        await anext(frames)
    async with asyncio.timeout(60):
        while (await house.service.workflow_summaries())[0].counts["running"]:
            await asyncio.sleep(0.01)
    assert "never_sent" == (await house.record(_IDS["short_answer"]))["metadata"]["proof"]


async def test_progress_is_saved_while_a_stream_runs(house: _House) -> None:
    """What has come so far is in the record before the end."""
    async with aclosing(house.runner.stream_workflow(_IDS["long_stream"], {"pace_ms": 40})) as frames:
        async for _ in frames:
            record = await house.record(_IDS["long_stream"])
            if record["node_execute_status"] is not None:
                assert "running" == record["execute_status"]
                break
        else:
            pytest.fail("the stream ended before anything of it was saved")


async def test_closing_says_that_recording_stopped(house: _House) -> None:
    """A run that is under way when we close is interrupted, not failed and not left running."""
    async with aclosing(house.runner.stream_workflow(_IDS["long_stream"], {"pace_ms": 200})) as frames:
        await anext(frames)
        await anext(frames)
        await house.upstream.aclose()
    record = await house.record(_IDS["long_stream"])
    assert ("interrupted", "abandoned") == (record["execute_status"], record["metadata"]["proof"])


async def test_an_async_start_stays_running_with_its_upstream_id(house: _House) -> None:
    """Through the bare transport, as a program of its own would call it."""
    account = house.upstream.check("default")
    assert account.token is not None
    headers = {"Authorization": f"Bearer {account.token.get_secret_value()}"}
    body = {"workflow_id": _IDS["takes_its_time"], "parameters": {"delay_ms": 0}, "is_async": True}
    async with httpx.AsyncClient(transport=RecordingTransport(house.recorder), headers=headers) as client:
        answer = await client.post(account.base_url + "/v1/workflow/run", json=body)
        assert (await client.get(account.base_url + "/v1/workflows", params={"workspace_id": "1"})).status_code == 200
    record = await house.record(_IDS["takes_its_time"])
    assert ("running", 2, answer.json()["execute_id"]) == (
        record["execute_status"], record["run_mode"], record["metadata"]["coze_execute_id"],
    )  # fmt: skip


async def test_bytes_pass_the_transport_untouched(house: _House) -> None:
    """What a client reads through us is what the upstream sent, packet for packet."""
    account = house.upstream.check("default")
    assert account.token is not None
    headers = {"Authorization": f"Bearer {account.token.get_secret_value()}"}
    body = {"workflow_id": _IDS["chinese"], "parameters": dict(_QUICK)}
    seen = []
    for transport in (RecordingTransport(house.recorder), httpx.AsyncHTTPTransport()):
        async with httpx.AsyncClient(transport=transport, headers=headers) as client:
            answer = await client.post(account.base_url + "/v1/workflow/stream_run", json=body)
            events = [line for line in answer.content.split(b"\n") if b"execute_" not in line]
            seen.append((answer.status_code, answer.headers["content-type"], events))
    assert seen[0] == seen[1]


async def test_a_stream_that_cannot_be_read_ends_with_the_reason(tmp_path: Path) -> None:
    """Its frames say so as those of a failure do, though the run may have succeeded."""
    headers = [(b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")]
    async with served(Scripted(canned(200, headers, b"this is no gzip"))) as base:
        house = _House(tmp_path, {"default": AccountSettings(base_url=base, token=SecretStr("t"))})
        frames = [frame async for frame in house.runner.stream_workflow("w", _QUICK)]
        record = await house.record("w")
        await house.aclose()
    assert ("interrupted", "unreadable") == (record["execute_status"], record["metadata"]["proof"])
    assert ("error", record["error_message"]) == (frames[-1]["event"], frames[-1]["data"]["message"])


def _accounts(**named: tuple[str, str]) -> dict[str, AccountSettings]:
    return {name: AccountSettings(base_url=base, token=SecretStr(token)) for name, (base, token) in named.items()}


async def _waiting(folder: Path, account: str, upstream: str, **more: object) -> str:
    """The id of a run that a recorder has kept, and that waits for its answer at *upstream*."""
    house = _House(folder, {})
    question = {"event_id": "1/2", "type": 2, "data": "Which city?"}
    metadata = {"account": account, "upstream": upstream, "interrupt": question, **more}
    recording = await house.recorder.open("w", metadata=metadata, run_mode=1)
    await recording.close("interrupted", metadata={"proof": "interrupt_event"})
    await house.aclose()
    return recording.execute_id


def _echo() -> Scripted:
    return Scripted(canned(200, [(b"content-type", b"text/event-stream")], b"id: 0\nevent: Done\ndata: {}\n\n"))


async def test_an_answer_goes_nowhere_but_where_the_run_waits(tmp_path: Path) -> None:
    """Without an account at that address nothing leaves, and the sentence says what to set."""
    elsewhere = _echo()
    async with served(elsewhere) as base:
        execute_id = await _waiting(tmp_path, "default", "http://studio.internal:8888")
        house = _House(tmp_path, _accounts(default=(base, "t"), work=(base, "t")))
        with pytest.raises(AccountError, match=r"COZE_API_BASE=http://studio\.internal:8888 and COZE_API_TOKEN"):
            await house.runner.resume_workflow("w", execute_id, "Paris")
        assert "interrupted" == (await house.record("w"))["execute_status"]
        await house.aclose()
    assert [] == elsewhere.asked


@pytest.mark.parametrize(
    ("account", "expected"),
    [("mine", "Bearer mine"), ("gone", "Bearer another")],
    ids=["the account that began it", "another at its address"],
)
async def test_an_answer_has_the_token_of_an_account_at_its_address(
    tmp_path: Path, account: str, expected: str
) -> None:
    """That of the account which began the run, as long as it calls the address."""
    waits = _echo()
    async with served(waits) as base:
        execute_id = await _waiting(tmp_path, account, base)
        named = {"another": (base, "another"), "mine": (base, "mine"), "default": ("http://127.0.0.1:9", "default")}
        house = _House(tmp_path, _accounts(**named))
        result = await house.runner.resume_workflow("w", execute_id, "Paris")
        await house.aclose()
    assert result is not None
    assert "success" == result["status"]
    assert [expected.encode()] == [dict(scope["headers"])[b"authorization"] for scope, _ in waits.asked]


async def test_a_fetched_run_is_answered_with_the_account_that_fetched_it(house: _House, tmp_path: Path) -> None:
    """And not with the account default, which may call another region."""
    asked = await _asked(house)
    there = await house.service.get_execution_detail(_IDS["asks_a_question"], asked)
    assert there is not None
    account = house.upstream.check("default")
    refusing = AccountSettings(base_url="http://127.0.0.1:9", token=SecretStr("t"))
    other = _House(tmp_path / "other", {"default": refusing, "cn": account})
    fetched = await Reconciler(other.recorder, other.upstream).fetch(
        _IDS["asks_a_question"], there["metadata"]["coze_execute_id"], "cn"
    )
    result = await other.runner.resume_workflow(_IDS["asks_a_question"], fetched["execute_id"], "Paris")
    await other.aclose()
    assert ("interrupted", "cn") == (fetched["execute_status"], fetched["metadata"]["account"])
    assert result is not None
    assert "success" == result["status"]


async def test_a_record_that_no_recorder_kept_acts_with_no_other_account(tmp_path: Path) -> None:
    """Whoever writes a record does not choose with whose token it is answered."""
    waits = _echo()
    async with served(waits) as base:
        house = _House(tmp_path, _accounts(victim=(base, "victim"), default=("http://127.0.0.1:9", "default")))
        metadata = {"account": "victim", "upstream": base, "interrupt": {"event_id": "1/2", "type": 2}}
        await house.service.create_execution_record("w", "e", metadata=metadata)
        await house.service.update_execution_record("w", "e", "interrupted")
        with pytest.raises(AccountError, match="no recorder here has kept"):
            await house.runner.resume_workflow("w", "e", "Paris")
        await house.aclose()
    assert [] == waits.asked


async def test_the_address_of_the_default_account_counts_without_configuration(tmp_path: Path) -> None:
    """Redirects within it are followed as within any other."""
    house = _House(tmp_path, {})
    assert {"https://api.coze.com"} == house.upstream.origins
    await house.aclose()
