"""Finished runs as traces: what a real receiver of OTLP over HTTP gets, and when."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.types import Receive, Scope, Send

from execution_history import ExecutionHistoryService
from execution_history.application import open_application
from execution_history.followers.trace_place import FOLLOWER, give_up
from execution_history.followers.traces import TraceFollower
from execution_history.history.annotations import Annotation
from execution_history.metrics import EXPORT_FAILURES, registry
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

_TRACE, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver:
    """A receiver of OTLP over HTTP, as an ASGI application: it keeps the spans, or answers as it is told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.spans: list[Span] = []
        self.headers: dict[bytes, bytes] = {}
        self.paths: list[str] = []
        self._came = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status = self.statuses.pop(0) if self.statuses else 200
        self.headers = dict(scope["headers"])
        self.paths.append(scope["path"])
        if status == 200:
            found = ExportTraceServiceRequest.FromString(gzip.decompress(body))
            self.spans += [
                span for group in found.resource_spans for scoped in group.scope_spans for span in scoped.spans
            ]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})
        async with self._came:
            self._came.notify_all()

    async def named(self, name: str, number: int = 1) -> Span:
        """The *number*-th span of this name, once it has come."""
        async with self._came:
            await self._came.wait_for(lambda: sum(span.name == name for span in self.spans) >= number)
        return [span for span in self.spans if span.name == name][number - 1]

    async def asked(self, times: int) -> None:
        """Return once there were so many requests."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.paths) >= times)


@asynccontextmanager
async def _followed(
    place: str | ExecutionHistoryService, **more: Any
) -> AsyncIterator[tuple[ExecutionHistoryService, Receiver, TraceFollower]]:
    receiver = Receiver()
    service = place if isinstance(place, ExecutionHistoryService) else ExecutionHistoryService(place)
    async with asyncio.timeout(60), service, served(receiver) as address:
        follower = TraceFollower(service, address, first_pause=0.01, **more)
        await follower.start()
        try:
            yield service, receiver, follower
        finally:
            await follower.aclose()


def _plain(span: Span) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


async def _run(service: ExecutionHistoryService, execute_id: str, status: str = "success", **more: Any) -> None:
    metadata = more.pop("metadata", None)
    await service.create_execution_record("w", execute_id, {"city": "Paris-secret"}, metadata=metadata)
    await service.update_execution_record("w", execute_id, status, **more)


async def test_a_run_is_a_span_with_the_names_of_the_conventions(place: str) -> None:
    """Of every store; without contents."""
    async with _followed(place) as (service, receiver, _):
        nodes = {
            "Writer": {"node_title": "Writer", "node_id": "1", "node_type": "LLM", "is_finish": True,
                       "start_time": 5_000, "update_time": 9_000, "content": "said-secret",
                       "usage": {"input_count": 3, "output_count": 4}},
            "Quick": {"node_title": "Quick", "update_time": 7_000},
            "Silent": {"node_title": "Silent"},
        }  # fmt: skip
        usage = {"input_count": 3, "output_count": 4, "token_count": 7}
        await _run(service, "e", output="out-secret", usage=usage, node_execute_status=nodes)
        run, writer, quick = [await receiver.named(name) for name in ("invoke_workflow w", "Writer", "Quick")]
        found = _plain(run)
        assert ("invoke_workflow", "coze", "w", 3, 4) == tuple(
            found[f"gen_ai.{name}"]
            for name in ("operation.name", "provider.name", "agent.name", "usage.input_tokens", "usage.output_tokens")
        )
        record = await service.get_execution_detail("w", "e")
        assert record is not None
        assert run.start_time_unix_nano == record["create_time"] * 1_000_000 <= run.end_time_unix_nano
        assert (Status.STATUS_CODE_OK, b"", 16, 8) == (
            run.status.code, run.parent_span_id, len(run.trace_id), len(run.span_id)
        )  # fmt: skip
        assert (run.trace_id, run.span_id) == (writer.trace_id, writer.parent_span_id)
        assert (5_000 * 10**6, 9_000 * 10**6) == (writer.start_time_unix_nano, writer.end_time_unix_nano)
        assert ("first_to_last_message", "one_message") == tuple(
            _plain(each)["execution_history.node.times"] for each in (writer, quick)
        )
        assert {"invoke_workflow w", "Writer", "Quick"} == {span.name for span in receiver.spans}
        assert "secret" not in str(receiver.spans)
        assert {"/v1/traces"} == set(receiver.paths)


async def test_a_failure_has_its_type_and_only_with_contents_its_message(tmp_path: Path) -> None:
    """Both inputs and outputs are in messages of the conventions then."""
    async with _followed(str(tmp_path)) as (service, receiver, _):
        await _run(service, "e", "failed", error_code=4000, error_message="what-secret")
        plain = await receiver.named("invoke_workflow w")
        assert (Status.STATUS_CODE_ERROR, "", "4000") == (
            plain.status.code, plain.status.message, _plain(plain)["error.type"]
        )  # fmt: skip
    async with _followed(str(tmp_path), has_contents=True) as (service, receiver, _):
        await _run(service, "e2", "failed", error_code=4000, error_message="what-secret")
        full = await receiver.named("invoke_workflow w")
        assert "what-secret" == full.status.message
        assert "Paris-secret" in _plain(full)["gen_ai.input.messages"]


async def test_runs_within_runs_and_callers_share_a_trace(tmp_path: Path) -> None:
    """A caller's traceparent counts most; the trace of the outermost run is that of all within."""
    async with _followed(str(tmp_path)) as (service, receiver, _):
        root = {"workflow_id": "w", "execute_id": "outer"}
        await _run(service, "outer", metadata={"traceparent": f"00-{_TRACE}-{_SPAN}-01"})
        await _run(service, "inner", metadata={"parent": root, "root": root})
        await _run(service, "alone", metadata={"traceparent": "nonsense"})
        outer, inner, alone = [await receiver.named("invoke_workflow w", number) for number in (1, 2, 3)]
        assert (bytes.fromhex(_TRACE), bytes.fromhex(_SPAN)) == (outer.trace_id, outer.parent_span_id)
        assert (outer.trace_id, outer.span_id) == (inner.trace_id, inner.parent_span_id)
        assert b"" == alone.parent_span_id
        assert alone.trace_id not in {outer.trace_id, b""}


async def test_a_run_is_sent_once_when_it_ends(tmp_path: Path) -> None:
    """Not while it runs or waits for an answer, and not again for a tag."""
    async with _followed(str(tmp_path)) as (service, receiver, _):
        await service.create_execution_record("w", "running", {})
        await _run(service, "asking", "interrupted", metadata={"interrupt": {"event_id": "1"}})
        await _run(service, "first")
        await receiver.named("invoke_workflow w")
        await service.annotate("w", "first", Annotation(add_tags=("good",)))
        await _run(service, "second")
        await receiver.named("invoke_workflow w", 2)
        sent = [_plain(span)["execution_history.execute_id"] for span in receiver.spans]
        assert ["first", "second"] == sent


async def test_what_a_receiver_does_not_take_now_waits(tmp_path: Path) -> None:
    """The reason is a problem for as long as it lasts; nothing is left out or changed, also by another process."""
    registry()
    async with _followed(str(tmp_path), headers={"authorization": "Bearer s3cret"}) as (service, receiver, follower):
        receiver.statuses = [503, 401]
        await _run(service, "e")
        await receiver.asked(2)
        first = await receiver.named("invoke_workflow w")
        assert b"Bearer s3cret" == receiver.headers[b"authorization"]
        assert first.span_id
        while follower.problems():
            await asyncio.sleep(0)
        receiver.statuses = [401] * 1_000
        await _run(service, "later")
        while not follower.problems():
            await asyncio.sleep(0)
        [problem] = follower.problems()
        assert "answers 401" in problem
        assert "s3cret" not in problem
    labels = {"reason": "status"}
    assert 2 <= (registry().get_sample_value(EXPORT_FAILURES.name, labels) or 0)
    async with _followed(str(tmp_path)) as (_, receiver, _):
        later = await receiver.named("invoke_workflow w")
        assert "later" == _plain(later)["execution_history.execute_id"]


async def test_a_run_that_a_receiver_never_takes_does_not_hold_up_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, and the log names it."""
    async with _followed(str(tmp_path)) as (service, receiver, _):
        receiver.statuses = [400]
        await _run(service, "bad")
        await receiver.asked(1)
        await _run(service, "good")
        sent = await receiver.named("invoke_workflow w")
        assert "good" == _plain(sent)["execution_history.execute_id"]
    assert any("does not take the run 'w'/'bad'" in line for line in caplog.messages)


async def test_without_the_setting_the_feed_keeps_nothing_for_a_receiver(tmp_path: Path) -> None:
    """Unless another process sends at the moment."""
    async with _followed(str(tmp_path)) as (service, receiver, _):
        await _run(service, "e")
        await receiver.named("invoke_workflow w")
        await give_up(service)
        assert await service.place_of(FOLLOWER) is not None
    async with ExecutionHistoryService(str(tmp_path)) as service:
        await give_up(service)
        assert await service.place_of(FOLLOWER) is None


async def test_a_server_sends_traces_and_tells_when_it_cannot(tmp_path: Path) -> None:
    """As ``serve`` does with the setting ``otel_endpoint``: a warning, not a problem."""
    import httpx  # noqa: PLC0415

    settings = load_settings(store=str(tmp_path / "history"), otel_endpoint="http://127.0.0.1:9")
    async with (
        open_application(settings, serving=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30) as client,
    ):
        await _run(application.service, "e")
        assert application.traces is not None
        while not application.traces.problems():
            await asyncio.sleep(0)
        ready = await client.get("/readyz")
        assert (200, "warning") == (ready.status_code, ready.json()["checks"]["otel"])
        assert "cannot be reached" in ready.json()["warnings"][0]
