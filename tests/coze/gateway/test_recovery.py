"""What becomes of runs whose recorder was killed: real processes, real kills."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.concurrency import run_in_threadpool

from execution_history import ExecutionHistoryService
from execution_history.coze.protocol.run_history import HistoryRequest, read_history
from execution_history.records.record import RecordChange
from execution_history.sandbox import WORKFLOWS, serve_sandbox
from tests.cli.processes import COMMAND, environment, read_document
from tests.coze.gateway.conftest import TOKEN, Gateway, gateway_to, scripted

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow.workflow_id for workflow in WORKFLOWS.values()}


class _Served:
    """A `serve` process: its address, and what kills it."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self.process, self.url = process, url

    async def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await run_in_threadpool(self.process.wait)


@contextlib.asynccontextmanager
async def _serving(folder: Path, upstream: str) -> AsyncIterator[_Served]:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--json", "--store", str(folder / "history")],
        env={**environment(), "COZE_API_BASE": upstream, "COZE_API_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        cwd=folder,
    )
    try:
        document = await run_in_threadpool(read_document, process.stdout)
        yield _Served(process, document["url"])
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def _start_async(url: str, name: str, **parameters: Any) -> str:
    body = {"workflow_id": _IDS[name], "parameters": parameters, "is_async": True}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        return str((await client.post(f"{url}/v1/workflow/run", json=body)).json()["execute_id"])


async def _begin_stream(url: str, name: str, **parameters: Any) -> httpx.Response:
    """A stream of which the first bytes have come."""
    client = httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    body = {"workflow_id": _IDS[name], "parameters": parameters}
    request = client.build_request("POST", f"{url}/v1/workflow/stream_run", json=body)
    return await client.send(request, stream=True)


async def test_the_next_start_finds_the_truth(tmp_path: Path) -> None:
    """The asynchronous run succeeded upstream and is recorded so; of the stream nothing is known, and that is said."""
    async with serve_sandbox(token=TOKEN, pace_ms=0) as sandbox:
        async with _serving(tmp_path, sandbox.base_url) as first:
            upstream_id = await _start_async(first.url, "takes_its_time", delay_ms=300)
            answer = await _begin_stream(first.url, "long_stream", pace_ms=5_000)
            await first.kill()
            with contextlib.suppress(httpx.TransportError):
                await answer.aread()
        async with gateway_to(tmp_path, sandbox.base_url) as second:
            found = await second.ended(_IDS["takes_its_time"])
            lost = (await second.records(_IDS["long_stream"]))[0]
            again = await second.application.recorder.end_orphans()
    assert ("success", upstream_id, "run_history") == (
        found["execute_status"],
        found["metadata"]["coze_execute_id"],
        found["metadata"]["proof"],
    )
    assert ("interrupted", "recorder_died", "running") == (
        lost["execute_status"],
        lost["metadata"]["proof"],
        lost["metadata"]["transition"]["from"],
    )
    assert 0 == again


async def test_of_two_that_look_one_takes_the_run_over(tmp_path: Path) -> None:
    """Each record is ended once, and what is alive is left alone."""
    async with serve_sandbox(token=TOKEN, pace_ms=0) as sandbox:
        async with _serving(tmp_path, sandbox.base_url) as dead:
            await _start_async(dead.url, "takes_its_time", delay_ms=200)
            await dead.kill()
        async with (
            _serving(tmp_path, sandbox.base_url) as alive,
            gateway_to(tmp_path, sandbox.base_url) as one,
            gateway_to(tmp_path, sandbox.base_url) as two,
        ):
            answer = await _begin_stream(alive.url, "long_stream", pace_ms=5_000)
            await asyncio.gather(one.application.recorder.end_orphans(), two.application.recorder.end_orphans())
            found = await one.ended(_IDS["takes_its_time"])
            assert ("success", True) == (found["execute_status"], "taken_over" in found["metadata"])
            assert "running" == (await one.records(_IDS["long_stream"]))[0]["execute_status"]
            await answer.aclose()


async def _interrupted(gateway: Gateway, upstream_id: str) -> None:
    """A record that somebody gave up on too early."""
    service = gateway.application.service
    await service.create_execution_record("7", "e", metadata={"coze_execute_id": upstream_id})
    await service.update_execution_record("7", "e", "interrupted", error_message="given up")


async def test_a_late_truth_replaces_interrupted_and_nothing_replaces_a_success(tmp_path: Path) -> None:
    """The caller's own question is enough to learn it."""
    entry = {"execute_id": "111", "execute_status": "Success", "output": '{"Output":"late"}', "run_mode": 2}
    success = read_history(200, orjson.dumps({"code": 0, "data": [entry]}))
    failure = read_history(200, orjson.dumps({"code": 0, "data": [{**entry, "execute_status": "Fail"}]}))
    async with gateway_to(tmp_path, "http://127.0.0.1:9") as gateway:
        await _interrupted(gateway, "111")
        poller = gateway.application.upstream.transport().poller
        for history in (success, failure):
            await poller.merge_history(HistoryRequest("7", "111"), history)  # type: ignore[arg-type]
        record = (await gateway.records("7"))[0]
    assert ("success", "late", None) == (record["execute_status"], record["output"], record["error_message"])
    assert {"from": "interrupted", "to": "success"} == {k: record["metadata"]["transition"][k] for k in ("from", "to")}


async def test_a_refused_answer_leaves_the_question_open(tmp_path: Path) -> None:
    """The run goes back to interrupted, keeps its question, and takes the next answer."""
    async with serve_sandbox(token=TOKEN, pace_ms=0) as sandbox, gateway_to(tmp_path, sandbox.base_url) as gateway:
        run = {"workflow_id": _IDS["asks_a_question"], "parameters": {}}
        await gateway.client.post("/v1/workflow/stream_run", json=run)
        record = (await gateway.records(_IDS["asks_a_question"]))[0]
        question = record["metadata"]["interrupt"]
        wrong = {"workflow_id": run["workflow_id"], "event_id": question["event_id"], "resume_data": "x"}
        refused = await gateway.client.post("/v1/workflow/stream_resume", json={**wrong, "interrupt_type": 99})
        assert refused.json()["code"]
        record = (await gateway.records(_IDS["asks_a_question"]))[0]
        assert ("interrupted", question) == (record["execute_status"], record["metadata"]["interrupt"])
        path = f"/coze/workflows/{run['workflow_id']}/history/{record['execute_id']}/resume"
        answered = (await gateway.client.post(path, json={"data": "Paris"})).json()
        assert (True, record["execute_id"]) == (answered["success"], answered["execution_id"])
        again = await gateway.client.post(path, json={"data": "Rome"})
        assert (409, "not_interrupted") == (again.status_code, again.json()["error"]["code"])
        missing = await gateway.client.post("/coze/workflows/7/history/nobody/resume", json={"data": 1})
        assert 404 == missing.status_code


async def test_a_run_that_happened_elsewhere_is_fetched_once(tmp_path: Path) -> None:
    """Over HTTP; what the upstream does not know is a clear refusal."""
    async with serve_sandbox(token=TOKEN, pace_ms=0) as sandbox, gateway_to(tmp_path, sandbox.base_url) as gateway:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as direct:
            body = {"workflow_id": _IDS["short_answer"], "parameters": {"a": 1}}
            run = (await direct.post(f"{sandbox.base_url}/v1/workflow/run", json=body)).json()
        path = f"/coze/workflows/{_IDS['short_answer']}/history/{run['execute_id']}/fetch"
        first, second = [(await gateway.client.post(path)).json()["execution"] for _ in range(2)]
        assert first == second
        assert ("success", 0) == (first["execute_status"], first["run_mode"])
        assert 1 == len(await gateway.records(_IDS["short_answer"]))
        unknown = await gateway.client.post(path.replace(run["execute_id"], "123"))
        assert (404, "not_found") == (unknown.status_code, unknown.json()["error"]["code"])


async def test_coze_studio_is_understood(tmp_path: Path) -> None:
    """Its histories are told in the official shape, and its interrupted runs can be answered."""
    async with (
        serve_sandbox(token=TOKEN, pace_ms=0, flavour="studio") as studio,
        gateway_to(tmp_path, studio.base_url) as gateway,
    ):
        body = {"workflow_id": _IDS["short_answer"], "parameters": {"a": 1}}
        run = (await gateway.client.post("/v1/workflow/run", json=body)).json()
        path = f"/v1/workflows/{_IDS['short_answer']}/run_histories/{run['execute_id']}"
        told = await gateway.client.get(path)
        entry = told.json()["data"][0]
        assert ("coze-studio", str(run["execute_id"]), "Success") == (
            told.headers["x-execution-history-source"], entry["execute_id"], entry["execute_status"],
        )  # fmt: skip
        await gateway.client.post(
            "/v1/workflow/stream_run", json={"workflow_id": _IDS["asks_a_question"], "parameters": {}}
        )
        record = (await gateway.records(_IDS["asks_a_question"]))[0]
        resume = f"/coze/workflows/{_IDS['asks_a_question']}/history/{record['execute_id']}/resume"
        assert "success" == (await gateway.client.post(resume, json={"data": "Paris"})).json()["status"]


@pytest.mark.parametrize(("code", "status"), [(4200, 200), (4100, 401)])
async def test_an_upstream_that_will_not_tell_is_given_up_truthfully(tmp_path: Path, code: int, status: int) -> None:
    """Interrupted, with what it said."""
    refused = orjson.dumps({"code": code, "msg": "not for you"})
    accepted = orjson.dumps({"code": 0, "msg": "", "execute_id": "111", "debug_url": ""})

    async def respond(scope: Any, _body: bytes, send: Any) -> None:
        is_run = scope["path"] == "/v1/workflow/run"
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200 if is_run else status, "headers": headers})
        await send({"type": "http.response.body", "body": accepted if is_run else refused})

    async with scripted(tmp_path, respond) as (gateway, _):
        await gateway.client.post("/v1/workflow/run", json={"workflow_id": "7", "is_async": True})
        record = await gateway.ended("7")
    assert ("interrupted", "upstream_silent", "not for you") == (
        record["execute_status"],
        record["metadata"]["proof"],
        record["metadata"]["asked_upstream"],
    )


async def test_a_hundred_megabytes_pass_in_flat_memory(tmp_path: Path) -> None:
    """A download and an upload through a real server process, and a recorded stream that is cut in the record."""
    async with (
        serve_sandbox(token=TOKEN, pace_ms=0) as sandbox,
        _serving(tmp_path, sandbox.base_url) as served,
        httpx.AsyncClient(base_url=served.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client,
    ):
        await client.get("/v1/workflows")
        before = _memory(served.process.pid)
        size = 0
        async with client.stream("GET", "/v1/sandbox/bytes?size=100000000") as answer:
            async for chunk in answer.aiter_raw():
                size += len(chunk)

        async def pieces() -> AsyncIterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            for _ in range(1_600):
                yield b"x" * 65_536
            yield b"\r\n--b--\r\n"

        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        uploaded = (await client.post("/v1/files/upload", content=pieces(), headers=headers)).json()
        assert (100_000_000, 1_600 * 65_536) == (size, uploaded["data"]["bytes"])
        assert _memory(served.process.pid) - before < 30_000


def _memory(process: int) -> int:
    """The most resident memory so far, in kilobytes."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


async def test_a_run_recorded_elsewhere_is_never_claimed_from_the_living(tmp_path: Path) -> None:
    """Compare-and-set: a claim needs the recorder that is named to be the dead one still."""
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.create_execution_record("7", "e", metadata={"recorder": "somebody else"})
        claim = RecordChange.of(
            1, metadata={"recorder": "me"}, only_from=frozenset({"running"}), only_while={"recorder": "dead"}
        )
        assert await service.store.update("7", "e", claim) is None
