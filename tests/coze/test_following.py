"""Runs that go on upstream are followed to their end, whatever goes wrong on the way."""

import asyncio
from collections.abc import Mapping

import httpx
import orjson
import pytest

from execution_history.coze.tracking.history_client import Address, RunHistoryClient
from execution_history.coze.tracking.poller import PolledRun, RunPoller
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import WORKFLOWS, serve_sandbox
from tests.faulty_store import FaultyStore

pytestmark = pytest.mark.anyio

_WORKFLOW = next(each.workflow_id for each in WORKFLOWS.values() if each.name == "takes_its_time")


class _Forgetful(FaultyStore):
    """A store that fails in a way of its own when it is read for the first time."""

    failures = 1

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """See :meth:`HistoryStore.get`."""
        if self.failures:
            self.failures -= 1
            raise LookupError("A fault of the store.")
        return await super().get(workflow_id, execute_id)


async def test_what_is_raised_while_a_run_is_followed_does_not_end_that(caplog: pytest.LogCaptureFixture) -> None:
    """An account that could not authorise, and a store that could not be read: the run is polled again."""
    store = _Forgetful()
    recorder = Recorder(store)
    recording = await recorder.open(_WORKFLOW, run_mode=2)
    failures = [RuntimeError("No token now.")]
    async with serve_sandbox(pace_ms=0) as sandbox, httpx.AsyncHTTPTransport() as transport:
        proof = {"Authorization": f"Bearer {sandbox.token}"}

        async def authorise() -> Mapping[str, str]:
            if failures:
                raise failures.pop()
            return proof

        body = {"workflow_id": _WORKFLOW, "parameters": {"delay_ms": 1}, "is_async": True}
        async with httpx.AsyncClient(base_url=sandbox.base_url, headers=proof) as client:
            upstream_id = (await client.post("/v1/workflow/run", json=body)).json()["execute_id"]
        poller = RunPoller(recorder, RunHistoryClient(transport), first_pause=0.001, per_second=1000)
        address = Address(sandbox.base_url, authorise)
        poller.poll(PolledRun(_WORKFLOW, recording.execute_id, upstream_id, address, recorder.clock()))
        async with asyncio.timeout(60):
            while "running" == await _status(store, recording.execute_id):
                await asyncio.sleep(0.01)
        await poller.aclose()
    assert "success" == await _status(store, recording.execute_id)
    assert not failures
    assert not store.failures
    assert 2 == sum("is polled again" in message for message in caplog.messages)


async def _status(store: FaultyStore, execute_id: str) -> str:
    [body] = await store.find(execute_id)
    return str(orjson.loads(body)["execute_status"])
