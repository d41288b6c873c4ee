"""What passes without a record is counted and logged, once for each call."""

from collections.abc import Callable

import anyio.to_thread
import httpx
import pytest

from execution_history import unrecorded
from execution_history.coze import RecordingTransport, SyncRecordingTransport
from execution_history.coze.transport.call_recording import CONTEXT, RunContext
from execution_history.recording.recorder import Recorder
from execution_history.stores import MemoryStore

pytestmark = pytest.mark.anyio


def _request(context: RunContext | None = None) -> httpx.Request:
    extensions = {} if context is None else {CONTEXT: context}
    return httpx.Request("POST", "http://x/v1/workflow/run", json={"workflow_id": "w"}, extensions=extensions)


def _answer(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"code": 0})


async def _sent(
    kind: str, recorder: Recorder, request: httpx.Request, answer: Callable[[httpx.Request], httpx.Response] = _answer
) -> int:
    if kind == "asynchronous":
        async with httpx.AsyncClient(transport=RecordingTransport(recorder, httpx.MockTransport(answer))) as client:
            return (await client.send(request)).status_code

    def send() -> int:
        with httpx.Client(transport=SyncRecordingTransport(recorder, httpx.MockTransport(answer))) as client:
            return client.send(request).status_code

    return await anyio.to_thread.run_sync(send)


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
async def test_a_call_that_passes_unrecorded_is_counted(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Because nobody reads its body, or because its record cannot begin; a recorded one is not."""
    recorder = Recorder(MemoryStore(), new_id=lambda: "always the same")
    assert 200 == await _sent(kind, recorder, _request())
    assert 0 == recorder.unrecorded
    assert 200 == await _sent(kind, recorder, _request())
    assert 200 == await _sent(kind, recorder, _request(RunContext(is_unrecorded=True)))
    assert 2 == recorder.unrecorded
    told = [record.getMessage() for record in caplog.records if "passes unrecorded" in record.getMessage()]
    assert ["already has", "larger than any"] == [
        next(words for words in ("already has", "larger than any") if words in each) for each in told
    ]


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
async def test_a_call_passes_unrecorded_where_its_caller_wants_it(kind: str) -> None:
    """By a header, which is not sent, or in a block; it is no trouble that is counted."""
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, json={"code": 0})

    store = MemoryStore()
    recorder = Recorder(store)
    request = _request()
    request.headers["X-Execution-History"] = "off"
    assert 200 == await _sent(kind, recorder, request, answer)
    with unrecorded():
        assert 200 == await _sent(kind, recorder, _request(), answer)
    assert ([], 0) == (await store.workflows(), recorder.unrecorded)
    assert 200 == await _sent(kind, recorder, _request(), answer)
    assert ["w"] == [workflow.workflow_id for workflow in await store.workflows()]
    assert not any("x-execution-history" in headers for headers in seen)
