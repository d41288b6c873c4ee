"""Names of workflows are learned from what passes, and from upstreams that are asked; nothing that passes changes."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from starlette.types import Scope, Send

from execution_history.coze import SyncRecordingTransport
from execution_history.errors import UpstreamRefused
from execution_history.history.name_book import LearnedName, WorkflowName
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import Sandbox, serve_sandbox
from execution_history.sandbox.workflows import WORKFLOWS
from tests.coze.gateway.conftest import TOKEN, Gateway, canned, gateway_to, scripted

pytestmark = pytest.mark.anyio

_ONE, _TWO = "7000000000000000001", "7000000000000000002"
_PAGE = {"code": 0, "data": {"items": [{"workflow_id": "7", "workflow_name": "weather", "description": "Tells it"}]}}


async def _names(service: ExecutionHistoryService, count: int) -> Mapping[str, WorkflowName]:
    """The names, once there are so many; learning goes on beside the answers."""
    while len(found := await service.names()) < count:
        await asyncio.sleep(0.01)
    return found


async def test_a_list_that_passes_names_its_workflows(gateway: Gateway) -> None:
    """Every workflow of a passing list has its name and description, with where they come from."""
    answer = await gateway.client.get("/v1/workflows", params={"page_size": 100})

    names = await _names(gateway.application.service, len(WORKFLOWS))
    assert {item["workflow_id"]: item["workflow_name"] for item in answer.json()["data"]["items"]} == {
        workflow_id: name.name for workflow_id, name in names.items()
    }
    assert names[_ONE].description == WORKFLOWS[_ONE].description
    assert (learned := names[_ONE].learned)
    assert learned.source == "coze"


@pytest.mark.parametrize(
    ("path", "count"),
    [(f"/v1/workflows/{_TWO}", 1), ("//v1/bots/7100000000000000001", 3),
     ("/v1/bot/get_online_info?bot_id=7100000000000000001", 3)],
)  # fmt: skip
async def test_a_detail_that_passes_names_its_workflows(
    tmp_path: Path, sandbox: Sandbox, path: str, count: int
) -> None:
    """The detail of a workflow names it, and that of a bot those that it may call."""
    async with gateway_to(tmp_path, sandbox.base_url) as gateway:
        assert (await gateway.client.get(gateway.base_url + path)).json()["code"] == 0
        names = await _names(gateway.application.service, count)
    assert {each: name.name for each, name in names.items()} == {each: WORKFLOWS[each].name for each in names}


async def test_coze_studio_names_its_workflows_too(tmp_path: Path) -> None:
    """The role that a workflow plays in Coze Studio's detail is its name."""
    async with serve_sandbox(token=TOKEN, flavour="studio") as studio, gateway_to(tmp_path, studio.base_url) as gateway:
        await gateway.client.get(f"/v1/workflows/{_ONE}")
        names = await _names(gateway.application.service, 1)
    assert names[_ONE].name == "short_answer"
    assert (learned := names[_ONE].learned)
    assert learned.source == "coze-studio"


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_an_answer_passes_as_it_came(tmp_path: Path, encoding: str) -> None:
    """Bytes and encoding of an answer that names workflows are the upstream's."""
    body = json.dumps(_PAGE).encode()
    body = gzip.compress(body, mtime=0) if encoding else body
    headers = [(b"content-type", b"application/json"), *([(b"content-encoding", b"gzip")] if encoding else [])]
    async with scripted(tmp_path, canned(200, headers, body)) as (gateway, _):
        async with gateway.client.stream("GET", "/v1/workflows") as response:
            got = b"".join([chunk async for chunk in response.aiter_raw()])
        names = await _names(gateway.application.service, 1)
    assert (got, names["7"].name) == (body, "weather")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[1]"),
        (200, b'{"code":4100,"data":{"items":[{"workflow_id":"7","workflow_name":"x"}]}}'),
        (200, b'{"code":0,"data":[{"workflow_id":"7","workflow_name":"x"}]}'),
        (200, b'{"code":0,"data":{"items":{"workflow_id":7}}}'),
        (200, b'{"code":0,"data":{"items":[null,{"workflow_name":"x"},{"workflow_id":"7","workflow_name":[]}]}}'),
        (500, json.dumps(_PAGE).encode()),
        (200, json.dumps(_PAGE).encode() + b" " * 5_000_000),
    ],
    ids=range(8),
)
async def test_what_names_no_workflow_passes_and_teaches_nothing(tmp_path: Path, status: int, body: bytes) -> None:
    """Errors, other shapes and endless answers pass whole, and leave no name."""
    async with scripted(tmp_path, canned(status, [(b"content-type", b"application/json")], body)) as (gateway, _):
        answer = await gateway.client.get("/v1/workflows")
        await gateway.application.recorder.aclose()  # whatever is being learned is kept by then
        assert (answer.status_code, answer.content) == (status, body)
        assert not await gateway.application.service.names()


async def test_a_store_that_is_closed_costs_no_answer(tmp_path: Path) -> None:
    """Where names cannot be kept the call succeeds all the same."""
    body = json.dumps(_PAGE).encode()
    async with scripted(tmp_path, canned(200, [], body)) as (gateway, _):
        await gateway.application.service.store.aclose()
        assert (await gateway.client.get("/v1/workflows")).content == body


async def test_a_synchronous_client_learns_names_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """What passes a recording transport without a server is read as well."""
    async with ExecutionHistoryService(tmp_path) as service:
        transport = SyncRecordingTransport(Recorder(service.store))
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(transport=transport, base_url=sandbox.base_url, headers=headers) as client:
            await asyncio.to_thread(client.get, f"/v1/workflows/{_ONE}")
        assert (await _names(service, 1))[_ONE].name == "short_answer"


async def test_an_upstream_is_asked_for_its_list(tmp_path: Path, sandbox: Sandbox) -> None:
    """An account's workflows are listed page after page; a second time there is no news."""
    async with gateway_to(tmp_path, sandbox.base_url) as gateway:
        learned = [(await gateway.client.post("/coze/workflows/names/learn")).json() for _ in range(2)]
        names = await gateway.application.service.names()
    count = len(WORKFLOWS)
    assert [each | {"listed": count} for each in learned] == learned
    assert [each["learned"] for each in learned] == [count, 0]
    assert names.keys() == WORKFLOWS.keys()


async def test_an_upstream_without_a_list_is_asked_for_each(tmp_path: Path) -> None:
    """Coze Studio, which has no list, is asked for each workflow that has history here and no name."""
    async with (
        serve_sandbox(token=TOKEN, flavour="studio", delay_ms=0, pace_ms=0) as studio,
        gateway_to(tmp_path, studio.base_url) as gateway,
    ):
        await gateway.application.runner.execute_workflow(_ONE, {})
        learned = await gateway.application.names.learn()
        names = await gateway.application.service.names()
    assert (learned, {each: name.name for each, name in names.items()}) == ((1, 1), {_ONE: "short_answer"})


async def test_the_lists_of_workspaces_are_asked_for_where_there_is_no_other(tmp_path: Path) -> None:
    """An upstream that wants to know the workspace is told each that the account has."""
    asked: list[str] = []

    async def respond(scope: Scope, _: bytes, send: Send) -> None:
        path, query = scope["path"], scope["query_string"].decode()
        asked.append(f"{path}?{query}")
        body: object = {"code": 4000, "msg": "workspace_id is required"}
        if path == "/v1/workspaces":
            body = {"code": 0, "data": {"workspaces": [{"id": "w1"}, {"id": 2}, None], "total_count": 3}}
        elif "workspace_id=w1" in query:
            more = {"has_more": True} if "page_num=1" in query else {}
            number = query.partition("page_num=")[2][0]
            body = {"code": 0, "data": {"items": [{"workflow_id": number, "workflow_name": f"n{number}"}], **more}}
        await canned(200, [], json.dumps(body).encode())(scope, b"", send)

    async with scripted(tmp_path, respond) as (gateway, _):
        assert await gateway.application.names.learn() == (2, 2)
    assert [each for each in asked if "workspace_id" in each] == [
        "/v1/workflows?workspace_id=w1&page_num=1&page_size=30",
        "/v1/workflows?workspace_id=w1&page_num=2&page_size=30",
        "/v1/workflows?workspace_id=2&page_num=1&page_size=30",
    ]


async def test_an_upstream_that_refuses_says_why(tmp_path: Path, sandbox: Sandbox) -> None:
    """A wrong token, and an upstream that is not there, are an error with the reason."""
    async with gateway_to(tmp_path, sandbox.base_url, token="wrong") as gateway:
        with pytest.raises(UpstreamRefused, match=r"names no workflow: .*token"):
            await gateway.application.names.learn()
    async with gateway_to(tmp_path, "http://127.0.0.1:9") as gateway:
        answer = await gateway.client.post("/coze/workflows/names/learn")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_refused")


async def test_a_run_names_its_workflow(tmp_path: Path) -> None:
    """``metadata.workflow_name`` of a run that is created, changed, merged or recorded is a name for its workflow."""
    async with ExecutionHistoryService(tmp_path, json_files=False, clock=lambda: 5) as service:
        await service.create_execution_record("a", metadata={"workflow_name": "Made"})
        record = await service.create_execution_record("b")
        await service.update_execution_record("b", record["execute_id"], metadata={"workflow_name": "Changed"})
        recorder = Recorder(service.store)
        await recorder.open("c", metadata={"workflow_name": "Recorded"})
        await recorder.aclose()
        await service.create_execution_record("d", metadata={"workflow_name": 5})

        names = await service.names()
        assert {each: name.name for each, name in names.items()} == {"a": "Made", "b": "Changed", "c": "Recorded"}
        assert names["a"].learned == LearnedName("Made", "run", 5)

        await service.learn_names([("a", "of_coze", None)], "coze")
        await service.create_execution_record("a", metadata={"workflow_name": "Made again"})
        assert (await service.names())["a"].name == "of_coze"  # what the upstream says comes before
