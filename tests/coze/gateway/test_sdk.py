"""The real cozepy through the gateway: what it receives, and what is recorded."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from cozepy import AsyncCoze, AsyncTokenAuth, Coze, CozeAPIError, Message, TokenAuth, WorkflowExecuteStatus
from starlette.concurrency import run_in_threadpool

from execution_history.sandbox import WORKFLOWS, Sandbox
from tests.coze.gateway.conftest import TOKEN, Gateway, gateway_to, nobody

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow.workflow_id for workflow in WORKFLOWS.values()}
# What differs from one run to the next: ids, log ids, times, and the ids in addresses.
_CHANGING = re.compile(r"[0-9A-F]{32}|\d{10,}|[0-9a-f]{8}-[0-9a-f-]{27}")
_SMALL = {"large_output": {"size": 200_000}}


@asynccontextmanager
async def _coze(base_url: str, token: str = TOKEN) -> AsyncIterator[AsyncCoze]:
    coze = AsyncCoze(auth=AsyncTokenAuth(token), base_url=base_url)
    try:
        yield coze
    finally:
        await coze._requester._async_client.aclose()  # type: ignore[union-attr]


def _plain(value: Any) -> str:
    return _CHANGING.sub("…", str(value))


async def _run(coze: AsyncCoze, name: str) -> str:
    """What a plain run gives, or how it fails."""
    try:
        result = await coze.workflows.runs.create(workflow_id=_IDS[name], parameters=_SMALL.get(name, {"a": "巴黎"}))
    except httpx.TransportError:
        return "broken"
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of it, it is to be the same
        return _plain((type(error).__name__, getattr(error, "code", None), getattr(error, "msg", str(error))))
    return _plain(result)


async def _stream(coze: AsyncCoze, name: str) -> list[str]:
    """What a streamed run gives, event by event, and how it fails."""
    events: list[str] = []
    try:
        async for event in coze.workflows.runs.stream(workflow_id=_IDS[name], parameters=_SMALL.get(name, {"b": 1})):
            events.append(_plain(event))  # noqa: PERF401 - those before a failure count
    except httpx.TransportError:
        events.append("broken")
    except Exception as error:  # noqa: BLE001 - as above
        events.append(_plain((type(error).__name__, getattr(error, "code", None), getattr(error, "msg", str(error)))))
    return events


@pytest.mark.parametrize("name", _IDS)
async def test_the_sdk_receives_what_it_receives_without_us(gateway: Gateway, sandbox: Sandbox, name: str) -> None:
    """Every workflow of the sandbox, whole and streamed: results, events, errors."""
    async with _coze(sandbox.base_url) as direct, _coze(gateway.base_url) as through:
        assert await _stream(direct, name) == await _stream(through, name)
        expected, found = await _run(direct, name), await _run(through, name)
        # A connection that breaks before any answer is one sentence of ours instead.
        assert expected == found or (expected, "gave no answer" in found) == ("broken", True)
    assert 2 <= len(await gateway.records(_IDS[name]))


async def test_an_answered_question_is_one_record(gateway: Gateway) -> None:
    """interrupted, then running, then its ending; the timeline goes on and the answer is kept."""
    async with _coze(gateway.base_url) as coze:
        before = len(await gateway.records(_IDS["asks_for_fields"]))
        events = [e async for e in coze.workflows.runs.stream(workflow_id=_IDS["asks_for_fields"], parameters={})]
        asked = events[-1].interrupt
        assert asked is not None
        record = (await gateway.records(_IDS["asks_for_fields"]))[0]
        assert ("interrupted", asked.interrupt_data.event_id, 5) == (
            record["execute_status"],
            record["metadata"]["interrupt"]["event_id"],
            record["metadata"]["interrupt"]["type"],
        )
        nodes = list(record["node_execute_status"] or {})
        resumed = coze.workflows.runs.resume(
            workflow_id=_IDS["asks_for_fields"],
            event_id=asked.interrupt_data.event_id,
            resume_data='{"city": "巴黎"}',
            interrupt_type=asked.interrupt_data.type,
        )
        assert [event async for event in resumed]
    records = await gateway.records(_IDS["asks_for_fields"])
    assert before + 1 == len(records)
    assert ("success", None) == (records[0]["execute_status"], records[0]["metadata"]["interrupt"])
    assert "巴黎" in str(records[0]["output"])
    assert nodes == list(records[0]["node_execute_status"])[: len(nodes)]
    assert ['{"city": "巴黎"}'] == [answer["resume_data"] for answer in records[0]["metadata"]["answers"]]


async def test_an_asynchronous_run_is_followed_to_its_end(gateway: Gateway) -> None:
    """With the caller's token; the caller's own question is answered by the upstream as ever."""
    async with _coze(gateway.base_url) as coze:
        started = await coze.workflows.runs.create(
            workflow_id=_IDS["takes_its_time"], parameters={"delay_ms": 30}, is_async=True
        )
        record = await gateway.ended(_IDS["takes_its_time"])
        assert ("success", 2, started.execute_id, "run_history") == (
            record["execute_status"],
            record["run_mode"],
            record["metadata"]["coze_execute_id"],
            record["metadata"]["proof"],
        )
        told = await coze.workflows.runs.run_histories.retrieve(
            workflow_id=_IDS["takes_its_time"], execute_id=str(started.execute_id)
        )
    assert WorkflowExecuteStatus.SUCCESS == told.execute_status


async def test_what_coze_trims_of_an_asynchronous_run_is_fetched_node_by_node(gateway: Gateway) -> None:
    """The end node's output is cut and said to be; every output node's is whole."""
    async with _coze(gateway.base_url) as coze:
        await coze.workflows.runs.create(
            workflow_id=_IDS["large_output"], parameters={"size": 5_000_000, "nodes": 2}, is_async=True
        )
    record = await gateway.ended(_IDS["large_output"])
    reports = {k: len(v["content"]) for k, v in record["node_execute_status"].items() if k.startswith("Report")}
    assert {"Report": 1_250_000, "Report 2": 1_250_000} == reports
    assert (True, "success") == (record["is_output_trimmed"], record["execute_status"])


@pytest.mark.parametrize(("name", "status"), [("fails_later", "failed"), ("asks_later", "interrupted")])
async def test_an_asynchronous_run_that_does_not_succeed_says_so(gateway: Gateway, name: str, status: str) -> None:
    """It fails with Coze's reason, or asks; the question can be answered from our side and is followed on."""
    async with _coze(gateway.base_url) as coze:
        await coze.workflows.runs.create(workflow_id=_IDS[name], parameters={"delay_ms": 20}, is_async=True)
    record = await gateway.ended(_IDS[name])
    assert status == record["execute_status"]
    if status == "failed":
        assert record["error_message"]
        return
    before = len(await gateway.records(_IDS[name]))
    path = f"/coze/workflows/{_IDS[name]}/history/{record['execute_id']}/resume"
    answer = (await gateway.client.post(path, json={"data": "Paris"})).json()
    assert "running" == answer["status"]
    assert "success" == (await gateway.ended(_IDS[name]))["execute_status"]
    assert before == len(await gateway.records(_IDS[name]))


@pytest.mark.parametrize("name", ["forgotten", "output_expired"])
async def test_what_the_upstream_has_forgotten_is_told_from_here(gateway: Gateway, sandbox: Sandbox, name: str) -> None:
    """The SDK gets its history, with the output; without us it gets an error, or nothing."""
    async with _coze(gateway.base_url) as coze, _coze(sandbox.base_url) as direct:
        run = await coze.workflows.runs.create(workflow_id=_IDS[name], parameters={"city": "Paris"})
        asked = {"workflow_id": _IDS[name], "execute_id": str(run.execute_id)}
        told = await coze.workflows.runs.run_histories.retrieve(**asked)
        try:
            missing = not (await direct.workflows.runs.run_histories.retrieve(**asked)).output
        except CozeAPIError:
            missing = True
    assert (True, WorkflowExecuteStatus.SUCCESS) == (missing, told.execute_status)
    assert "Output" in told.output
    path = f"/v1/workflows/{_IDS[name]}/run_histories/{run.execute_id}"
    assert "history" == (await gateway.client.get(path)).headers["x-execution-history-source"]


async def test_a_chat_is_recorded(gateway: Gateway) -> None:
    """With its conversation, its answer and its usage."""
    async with _coze(gateway.base_url) as coze:
        chat = coze.workflows.chat.stream(
            workflow_id=_IDS["short_answer"],
            additional_messages=[Message.build_user_question_text("How is the weather?")],
            bot_id="73",
        )
        events = [event async for event in chat]
    record = next(r for r in await gateway.records(_IDS["short_answer"]) if r["bot_id"] == "73")
    assert ("success", True) == (record["execute_status"], bool(record["conversation_id"]))
    assert any(event.message is not None for event in events)
    assert record["output"]


async def test_the_caller_is_known_and_its_token_is_nowhere(gateway: Gateway) -> None:
    """SDK and version stand in the metadata."""
    async with _coze(gateway.base_url) as coze:
        await coze.workflows.runs.create(workflow_id=_IDS["pings"])
    record = (await gateway.records(_IDS["pings"]))[0]
    assert {"name": "cozepy", "version": "0.20.0"} == {k: record["metadata"]["caller"][k] for k in ("name", "version")}
    assert TOKEN not in str(record)


async def test_a_wrong_token_is_coze_s_own_refusal(gateway: Gateway) -> None:
    """And the history is not told to somebody whom the upstream refuses."""
    async with _coze(gateway.base_url, "wrong") as coze:
        with pytest.raises(CozeAPIError) as refused:
            await coze.workflows.runs.create(workflow_id=_IDS["short_answer"])
        assert 4100 == refused.value.code
        record = next(r for r in await gateway.records(_IDS["short_answer"]) if r["error_code"] == 4100)
        with pytest.raises(CozeAPIError):
            await coze.workflows.runs.run_histories.retrieve(
                workflow_id=_IDS["short_answer"], execute_id=record["execute_id"]
            )


async def test_the_workflow_list_passes(gateway: Gateway) -> None:
    """What records nothing just passes."""
    async with _coze(gateway.base_url) as coze:
        page = await coze.workflows.list(workspace_id="1", page_size=5)
    assert 5 == len(page.items)


async def test_the_synchronous_sdk_works_too(gateway: Gateway) -> None:
    """Run, stream, resume and history, from a thread."""

    def call() -> tuple[int, str]:
        coze = Coze(auth=TokenAuth(TOKEN), base_url=gateway.base_url)
        run = coze.workflows.runs.create(workflow_id=_IDS["returns_text"])
        events = list(coze.workflows.runs.stream(workflow_id=_IDS["long_stream"], parameters={}))
        told = coze.workflows.runs.run_histories.retrieve(
            workflow_id=_IDS["returns_text"], execute_id=str(run.execute_id)
        )
        coze._requester._sync_client.close()  # type: ignore[union-attr]
        return len(events), str(told.execute_status)

    count, status = await run_in_threadpool(call)
    assert (True, "WorkflowExecuteStatus.SUCCESS") == (count > 10, status)


async def test_our_own_errors_are_errors_of_the_sdk(tmp_path: Any) -> None:
    """An upstream that is not there, an account that nobody knows: one sentence with a code."""
    async with gateway_to(tmp_path, nobody()) as gateway, _coze(gateway.base_url) as coze:
        with pytest.raises(CozeAPIError, match="gave no answer") as refused:
            await coze.workflows.runs.create(workflow_id="7")
        assert 5000 == refused.value.code
        with pytest.raises(CozeAPIError, match="gave no answer"):
            _ = [event async for event in coze.workflows.runs.stream(workflow_id="7")]
        answer = await gateway.client.get("/v1/workflows", headers={"x-execution-history-account": "nobody"})
        assert (200, 4000) == (answer.status_code, answer.json()["code"])
        assert "no Coze account 'nobody': name one of those" in answer.json()["msg"]
        records = await gateway.records("7")
    assert [("failed", "connection_failed")] * 2 == [(r["execute_status"], r["metadata"]["proof"]) for r in records]
