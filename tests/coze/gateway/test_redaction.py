"""Secrets on their way through the gateway: callers and Coze get them, records do not, and that is not undone."""

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from execution_history.errors import InputsWithheld
from execution_history.records.contents import prune_contents
from execution_history.records.record import Document
from execution_history.records.replacement import Replacement
from execution_history.sandbox import WORKFLOWS
from tests.coze.gateway.conftest import Gateway, canned, gateway_to, nobody, scripted

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow.workflow_id for workflow in WORKFLOWS.values()}
_JSON = (b"content-type", b"application/json")
_TOKEN = "pat_" + "Ab1" * 8


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("mode", ["run", "stream_run"])
async def test_the_caller_gets_its_secrets_back_and_no_file_has_them(sandbox: Any, tmp_path: Path, mode: str) -> None:
    """The workflow echoes its parameters; they are in no document, JSON file, log or index."""
    parameters = {"api_key": "hunter2x", "note": f"use {_TOKEN}", "city": "Beijing"}
    body = {"workflow_id": _IDS["short_answer"], "parameters": parameters}
    async with gateway_to(tmp_path, sandbox.base_url) as gateway:
        answer = await gateway.client.post(f"/v1/workflow/{mode}", json=body)
        assert "hunter2x" in answer.text
        assert _TOKEN in answer.text
        record = await gateway.ended(_IDS["short_answer"])
        assert record["execute_status"] == "success"
        assert record["input_parameters"] == {"api_key": "[redacted]", "note": "use [redacted]", "city": "Beijing"}
        assert record["metadata"]["redacted"]["input_parameters"] == {"secret_names": 1, "coze_token": 1}
        assert "[redacted]" in orjson.dumps(record["output"]).decode()
        await gateway.application.service.search("Beijing")
        kept = _files(tmp_path)
    for secret in (b"hunter2x", _TOKEN.encode()):
        assert secret not in kept
        assert secret not in _files(tmp_path)


async def test_a_call_with_the_header_passes_unrecorded(tmp_path: Path) -> None:
    """Coze does not see the header; any other value of it changes nothing else."""
    body = {"workflow_id": "7", "parameters": {}}
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0,"data":"1"}')) as (gateway, upstream):
        for value in ("off", "OFF", "on"):
            answer = await gateway.client.post("/v1/workflow/run", json=body, headers={"X-Execution-History": value})
            assert answer.json()["code"] == 0
        assert 1 == len(await gateway.records("7"))
        assert 3 == len(upstream.asked)
        assert all(b"x-execution-history" not in dict(scope["headers"]) for scope, _ in upstream.asked)
        assert 0 == gateway.application.recorder.unrecorded


async def test_a_workflow_that_is_not_recorded_passes(tmp_path: Path) -> None:
    """Nobody polls for its end either."""
    rules = [{"workflow": "7", "record": "nothing"}]
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0,"execute_id":"5"}'), recording=rules) as (up, asked):
        for workflow in ("7", "8"):
            body = {"workflow_id": workflow, "is_async": True}
            assert (await up.client.post("/v1/workflow/run", json=body)).json()["execute_id"] == "5"
        assert ([], 1) == (await up.records("7"), len(await up.records("8")))
        assert not any("/v1/workflows/7/" in scope["path"] for scope, _ in asked.asked)


async def _keep(gateway: Gateway, execute_id: str, parameters: Any, output: Any) -> None:
    service = gateway.application.service
    await service.create_execution_record("7", execute_id, parameters)
    await service.update_execution_record("7", execute_id, "success", output=output)


async def _prune(gateway: Gateway, execute_id: str) -> None:
    store = gateway.application.service.store
    body = await store.get("7", execute_id)
    assert body is not None
    before = Document.of(orjson.loads(body), body)
    after = prune_contents(before, before.update_time + 1, "r")
    assert after is not None
    assert await store.update("7", execute_id, Replacement.by(after, before.update_time)) is not None


async def test_what_was_taken_out_is_never_handed_out_as_an_answer_of_coze(tmp_path: Path) -> None:
    """The upstream's own answer stands; an input that was redacted is no part of the answer."""
    async with gateway_to(tmp_path, nobody()) as gateway:
        await _keep(gateway, "input", {"api_key": "hunter2x"}, "fine")
        await _keep(gateway, "output", {}, f"the key is {_TOKEN}")
        await _keep(gateway, "pruned", {"q": "x" * 300}, "y" * 300)
        await _prune(gateway, "pruned")
        answers: dict[str, httpx.Response] = {}
        for execute_id in ("input", "output", "pruned"):
            answers[execute_id] = await gateway.client.get(f"/v1/workflows/7/run_histories/{execute_id}")
        assert {"input": 0, "output": 5000, "pruned": 5000} == {
            execute_id: answer.json()["code"] for execute_id, answer in answers.items()
        }


@pytest.mark.parametrize(
    ("execute_id", "parameters", "said"),
    [
        ("redacted", None, "redacted: 'api_key'"),
        ("redacted", {"api_key": "[redacted]", "q": 1}, "redacted: 'api_key'"),
        ("removed", None, "removed some of them"),
        ("pruned", None, "has no inputs any more"),
    ],
)
async def test_a_run_whose_inputs_are_gone_is_not_repeated_with_them(
    tmp_path: Path, execute_id: str, parameters: dict[str, Any] | None, said: str
) -> None:
    """The sentence names them, and nothing is sent; with inputs that are entered again it runs."""
    rules = [{"key": "gone", "action": "remove"}]
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0}'), redaction=rules) as (gateway, upstream):
        await _keep(gateway, "redacted", {"api_key": "hunter2x", "q": 1}, "fine")
        await _keep(gateway, "removed", {"gone": "x", "q": 1}, "fine")
        await _keep(gateway, "pruned", {"q": "x" * 300}, "y" * 300)
        await _prune(gateway, "pruned")
        record = await gateway.application.service.get_execution_detail("7", execute_id)
        assert record is not None
        with pytest.raises(InputsWithheld, match=said):
            await anext(gateway.application.runner.stream_again(record, parameters))
        assert not upstream.asked
        await anext(gateway.application.runner.stream_again(record, {"api_key": "hunter3x"}))
