"""The real cozepy through our transport, and accounts that prove themselves with JWT OAuth."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from cozepy import AsyncCoze, AsyncTokenAuth, CozeAPIError
from cozepy.request import AsyncHTTPClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from execution_history.coze import CozeRunner, RecordingTransport, Upstream
from execution_history.errors import AccountError
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import serve_sandbox
from execution_history.settings import AccountSettings
from tests.web.conftest import private_key

pytestmark = pytest.mark.anyio

_SHORT, _LONG, _REJECTED = (f"700000000000000000{number}" for number in (1, 2, 4))


async def test_cozepy_is_recorded_without_a_change_of_its_calls(tmp_path: Path) -> None:
    """The lines of the README: run, stream, an error, and calls that run nothing."""
    async with ExecutionHistoryService(tmp_path / "h") as service, serve_sandbox(pace_ms=0) as sandbox:
        transport = RecordingTransport(Recorder(service.store))
        client = AsyncHTTPClient(transport=transport)  # type: ignore[no-untyped-call]
        coze = AsyncCoze(auth=AsyncTokenAuth(sandbox.token), base_url=sandbox.base_url, http_client=client)
        result = await coze.workflows.runs.create(workflow_id=_SHORT, parameters={"a": "b"})
        events = [event async for event in coze.workflows.runs.stream(workflow_id=_LONG, parameters={})]
        with pytest.raises(CozeAPIError):
            await coze.workflows.runs.create(workflow_id=_REJECTED)
        await coze.workflows.runs.run_histories.retrieve(workflow_id=_SHORT, execute_id=result.execute_id or "")
        await client.aclose()
        assert len(events) > 5
        found = {}
        for workflow_id in await service.get_all_workflows():
            page = await service.get_execution_history(workflow_id)
            assert 1 == page["total"]
            found[workflow_id] = (page["histories"][0]["execute_status"], page["histories"][0]["run_mode"])
        assert {_SHORT: ("success", 0), _LONG: ("success", 1), _REJECTED: ("failed", 0)} == found


class _TokenService:
    """Gives tokens for signed requests, and runs every workflow for those who have one."""

    def __init__(self) -> None:
        self.asked = 0

    async def token(self, request: Request) -> Response:
        """A fresh token, as Coze answers (coze-protocol 4.5)."""
        assert request.headers["authorization"].startswith("Bearer ey")
        self.asked += 1
        return JSONResponse(
            {"access_token": f"fresh-{self.asked}", "expires_in": 4_000_000_000, "token_type": "Bearer"}
        )

    async def run(self, request: Request) -> Response:
        """The token that came, as the run's output."""
        return JSONResponse({"code": 0, "msg": "", "data": request.headers["authorization"], "debug_url": ""})


@asynccontextmanager
async def _serving(service: _TokenService) -> AsyncIterator[str]:
    app = Starlette(
        routes=[
            Route("/api/permission/oauth2/token", service.token, methods=["POST"]),
            Route("/v1/workflow/run", service.run, methods=["POST"]),
        ]
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


async def test_an_account_with_a_key_fetches_its_token_and_keeps_it(tmp_path: Path) -> None:
    """JWT OAuth: one token for many runs, and nothing of it in the history."""
    (tmp_path / "key.pem").write_text(private_key())
    service = _TokenService()
    async with _serving(service) as base, ExecutionHistoryService(tmp_path / "h") as history:
        account = AccountSettings(
            base_url=base, client_id="c", public_key_id="p", private_key_file=tmp_path / "key.pem"
        )
        recorder = Recorder(history.store)
        upstream = Upstream({"default": account}, recorder)
        runner = CozeRunner(recorder, upstream)
        results = [await runner.execute_workflow("7") for _ in range(3)]
        assert ["Bearer fresh-1"] * 3 == [result["output_data"] for result in results]
        assert 1 == service.asked
        await upstream.aclose()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read"), (b" \n", "is empty"), (b"pat\xe2\x80\x8b_x", r"U\+200B"), (b"\xff", "cannot be read")],
)
async def test_a_token_file_without_a_token_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """In one sentence with nothing of what is in it, before anything is recorded."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    async with ExecutionHistoryService("memory:") as history:
        recorder = Recorder(history.store)
        runner = CozeRunner(recorder, Upstream({"default": AccountSettings(token_file=path)}, recorder))
        with pytest.raises(AccountError, match=rf"accounts\.default\.token_file.*{problem}") as raised:
            await runner.execute_workflow("7")
        assert "pat" not in str(raised.value).replace(str(path), "")
        assert [] == await history.get_all_workflows()


async def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """In one sentence, before anything is recorded."""
    account = AccountSettings(client_id="c", public_key_id="p", private_key_file=tmp_path / "missing.pem")
    async with ExecutionHistoryService("memory:") as history:
        recorder = Recorder(history.store)
        runner = CozeRunner(recorder, Upstream({"default": account}, recorder))
        with pytest.raises(AccountError, match=r"accounts\.default\.private_key_file"):
            await runner.execute_workflow("7")
        assert [] == await history.get_all_workflows()
