"""Whatever fails in recording, the caller of a run gets the upstream's whole answer."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
import httpx
import pytest

from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.recorder import Recorder
from execution_history.sandbox import WORKFLOWS, Sandbox, serve_sandbox
from execution_history.stores import MemoryStore

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
_CALLS = {"short_answer": "/v1/workflow/run", "long_stream": "/v1/workflow/stream_run"}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Serve a sandbox that never waits."""
    async with serve_sandbox(delay_ms=0, pace_ms=0) as served:
        yield served


def _clock(right: int) -> Callable[[], int]:
    """A clock that can be read so often, and then fails: each step of a recording reads it."""
    readings = itertools.count()

    def read() -> int:
        if next(readings) >= right:
            raise LookupError("The clock has stopped.")
        return 1_000_000

    return read


@pytest.mark.parametrize("right", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", _CALLS)
async def test_a_recording_that_fails_at_any_step_breaks_no_run(sandbox: Sandbox, name: str, right: int) -> None:
    """Neither through the asynchronous transport nor through the other."""
    request: dict[str, Any] = {"headers": {"Authorization": f"Bearer {sandbox.token}"}}
    request |= {"url": sandbox.base_url + _CALLS[name], "json": {"workflow_id": _IDS[name], "parameters": {}}}

    def post() -> httpx.Response:
        with httpx.Client(transport=SyncRecordingTransport(Recorder(MemoryStore(), clock=_clock(right)))) as client:
            return client.post(**request)

    async with asyncio.timeout(30):
        async with httpx.AsyncClient() as client:
            expected = (await client.post(**request)).text
        async with httpx.AsyncClient(
            transport=RecordingTransport(Recorder(MemoryStore(), clock=_clock(right)))
        ) as client:
            answer = await client.post(**request)
        other = await anyio.to_thread.run_sync(post)
    for each in (answer, other):
        assert 200 == each.status_code
        assert expected.count('"') == each.text.count('"')  # ids and times differ from run to run
