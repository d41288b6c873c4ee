"""What operators see of a server: metrics, ids of requests, and what is wrong."""

import asyncio
import contextvars
import logging
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from execution_history import metrics
from execution_history.clock import now_ms
from execution_history.jobs.job import Job, run_job
from execution_history.request_id import begin_request
from execution_history.stores import place_named
from tests.coze.gateway.conftest import Gateway, canned, scripted
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio

_MADE = re.compile(r"[0-9a-f]{16}")
_STATUSES = {"running", "success", "failed", "interrupted", "other"}


class Value(NamedTuple):
    """A sample of an answer of ``/metrics``."""

    name: str
    labels: dict[str, str]
    value: float


async def scraped(web: Served | Gateway) -> list[Value]:
    """All samples."""
    answer = await web.client.get("/metrics")
    assert 200 == answer.status_code
    families = text_string_to_metric_families(answer.text)
    return [Value(each.name, each.labels, each.value) for family in families for each in family.samples]


def total(values: list[Value], metric: metrics.Metric, suffix: str = "", /, **labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    return sum(
        each.value for each in values if each.name == metric.name + suffix and labels.items() <= each.labels.items()
    )


async def test_metrics_are_those_of_the_table_and_no_others(shared_web: Served) -> None:
    """With its labels; after one run of each kind nothing is there that no table names."""
    await shared_web.application.service.create_execution_record("w-secret", "e-secret", {"city": "Paris"})
    await shared_web.client.get("/coze/workflows/w-secret/history")
    text = (await shared_web.client.get("/metrics")).text
    known = {metric.name: set(metric.labels) for metric in metrics.METRICS}
    for each in await scraped(shared_web):
        name = next(
            (each.name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if each.name.endswith(end)), each.name
        )
        name = name if name in known else each.name
        if name.startswith("execution_history_process_"):
            continue
        assert name in known
        assert known[name] | {"le"} >= set(each.labels) >= known[name]
    assert "secret" not in text


async def test_the_format_is_the_one_that_is_accepted(shared_web: Served) -> None:
    """Prometheus asks for OpenMetrics; whoever asks for nothing gets the text format."""
    plain = await shared_web.client.get("/metrics")
    modern = await shared_web.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")
    assert "_created" not in plain.text + modern.text


async def test_metrics_tell_of_the_store(web: Served) -> None:
    """Records by status, the feed, the index, the recorder's lease."""
    service = web.application.service
    for number in range(3):
        await service.create_execution_record("w", f"e{number}", {})
    await service.update_execution_record("w", "e0", "success", output={})
    await service.follow_index()
    found = await scraped(web)
    assert [1, 2, 0] == [total(found, metrics.RUNS, status=each) for each in ("success", "running", "failed")]
    assert _STATUSES == {each.labels["status"] for each in found if each.name == metrics.RUNS.name}
    assert (1, 1, 0) == tuple(total(found, each) for each in (metrics.WORKFLOWS, metrics.STORE_UP, metrics.INDEX_LAG))
    assert await service.revision() == total(found, metrics.REVISION)
    assert 1 <= total(found, metrics.RECORDERS)
    assert 0 < total(found, metrics.DISK, part="database")
    assert 4 <= total(found, metrics.COMMIT_SECONDS, "_count")
    assert 0 == total(found, metrics.QUEUE)


async def test_metrics_of_a_closed_store_say_so(web: Served) -> None:
    """What the process knows by itself is there all the same."""
    await web.application.service.store.aclose()
    found = await scraped(web)
    assert [0.0] == [each.value for each in found if each.name == metrics.STORE_UP.name]
    assert 1 == total(found, metrics.INFO)
    assert not [each for each in found if each.name == metrics.RUNS.name]


async def test_metrics_of_jobs_are_those_of_their_last_runs(web: Served) -> None:
    """One that failed is a warning, too: the server works."""

    async def fail() -> dict[str, Any]:
        raise ZeroDivisionError

    async def work() -> dict[str, Any]:
        return {}

    for name, does in (("backup", fail), ("prune", work)):
        await run_job(web.application.service, Job(name, 3600, does))
    found = await scraped(web)
    assert [0, 1] == [total(found, metrics.JOB_OK, name=name) for name in ("backup", "prune")]
    assert total(found, metrics.JOB_AT, name="prune") == pytest.approx(now_ms() / 1000, abs=60)
    ready = await web.client.get("/readyz", headers={"accept-language": "zh"})
    assert (200, "warning") == (ready.status_code, ready.json()["checks"]["jobs"])
    [warning] = ready.json()["warnings"]
    assert "backup" in warning
    assert "失败" in warning


async def test_a_disk_that_is_nearly_full_is_a_warning(web: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is full, which is a problem."""
    if place_named(web.application.settings.store).folder is None:
        return
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=10**12, free=10**8))
    ready = await web.client.get("/readyz")
    assert (200, "warning") == (ready.status_code, ready.json()["checks"]["disk"])
    assert "100 MB are free" in ready.json()["warnings"][0]
    found = await scraped(web)
    assert 1 == total(found, metrics.PROBLEMS, check="disk", severity="warning")
    assert 10**8 == total(found, metrics.DISK_FREE)


async def test_an_answer_has_the_id_of_its_request(shared_web: Served) -> None:
    """The caller's where it is short and plain, else a new one; an error names it in its body, too."""
    for sent, is_taken in (("abc-1:2", True), ("a" * 129, False), ("a b", False), ('"', False), ("", False)):
        answer = await shared_web.client.get("/coze/nowhere", headers={"x-request-id": sent} if sent else {})
        given = answer.headers["x-request-id"]
        assert (given == sent) if is_taken else _MADE.fullmatch(given)
        assert given == answer.json()["error"]["request_id"]
    page = await shared_web.client.get("/nowhere", headers={"accept": "text/html"})
    assert page.headers["x-request-id"] in page.text


async def test_lines_of_the_log_have_the_id_of_their_request(
    shared_web: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever task writes them."""
    from execution_history.cli.log import JSONFormatter, LineFormatter  # noqa: PLC0415

    written: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(LineFormatter().format(record))
            written.append(JSONFormatter().format(record))

    async def broken(*_: object) -> None:
        await asyncio.to_thread(logging.getLogger("execution_history.web").error, "In a %s", "thread")
        raise ZeroDivisionError

    monkeypatch.setattr(type(shared_web.application.service), "page_bytes", broken)
    handler = Handler()
    logging.getLogger("execution_history").addHandler(handler)
    try:
        await shared_web.client.get("/coze/workflows/w/history", headers={"x-request-id": "mine"})
    finally:
        logging.getLogger("execution_history").removeHandler(handler)
    assert written[0].endswith("ERROR execution_history.web: In a thread [request mine]")
    lines = [orjson.loads(line) for line in written[1::2]]
    assert ["mine", "mine"] == [line["request_id"] for line in lines]
    assert ("error", "execution_history.web", "In a thread") == tuple(
        lines[0][name] for name in ("level", "logger", "message")
    )
    assert "ZeroDivisionError" in lines[1]["traceback"]
    assert len(caplog.records) == 2


def test_an_id_that_is_a_key_is_not_logged() -> None:
    """Callers choose the id; whatever they take for one, no form of the log shows a credential."""
    from execution_history.cli.log import JSONFormatter, LineFormatter  # noqa: PLC0415

    def lines() -> list[str]:
        begin_request(f"eh_0123abcd_{'x' * 43}")
        record = logging.LogRecord("execution_history.web", logging.INFO, "", 0, "Hello", None, None)
        return [formatter.format(record) for formatter in (LineFormatter(), JSONFormatter())]

    for line in contextvars.copy_context().run(lines):
        assert "eh_0123abcd" in line
        assert "xxx" not in line


async def test_the_gateway_adds_the_id_under_a_name_of_its_own(tmp_path: Path) -> None:
    """An upstream's own ``X-Request-Id`` passes, as the caller's does to it."""
    head = [(b"content-type", b"application/json"), (b"x-request-id", b"theirs")]
    async with scripted(tmp_path, canned(200, head, b'{"code":0}')) as (gateway, upstream):
        answer = await gateway.client.get("/v1/workflows", headers={"x-request-id": "mine"})
        assert ("theirs", "mine") == (answer.headers["x-request-id"], answer.headers["x-execution-history-request-id"])
        assert b"mine" == dict(upstream.asked[0][0]["headers"])[b"x-request-id"]
        refused = await gateway.client.get("/v1/workflows", headers={"x-execution-history-account": "nobody"})
        given = refused.headers["x-execution-history-request-id"]
        assert given == refused.json()["detail"]["request_id"]


async def test_metrics_tell_how_requests_through_the_gateway_ended(tmp_path: Path) -> None:
    """By kind and outcome, with the bytes that passed; the record names the caller's span."""
    before: list[Value] = []
    body = {"workflow_id": "7", "parameters": {}}
    async with scripted(tmp_path, canned(200, [(b"content-type", b"application/json")], b'{"code":0}')) as (gateway, _):
        before = await scraped(gateway)
        traced = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        for path in ("/v1/workflow/run", "/v1/workflow/%72un"):
            await gateway.client.post(path, json=body, headers=traced)
        await gateway.client.get("/v1/workflows", headers={"x-execution-history-account": "nobody"})
        after = await scraped(gateway)
        assert traced["traceparent"] == (await gateway.newest("7"))["metadata"]["traceparent"]

    def gained(metric: metrics.Metric, suffix: str = "", /, **labels: str) -> float:
        return total(after, metric, suffix, **labels) - total(before, metric, suffix, **labels)

    assert 2 == gained(metrics.GATEWAY_REQUESTS, kind="run", outcome="answered")
    assert 1 == gained(metrics.GATEWAY_REQUESTS, kind="other", outcome="refused")
    assert 2 == gained(metrics.UPSTREAM_SECONDS, "_count", kind="run")
    assert len(b'{"code":0}') < gained(metrics.GATEWAY_BYTES, direction="response")
    assert len(orjson.dumps(body)) <= gained(metrics.GATEWAY_BYTES, direction="request")
    assert (2, 2) == (gained(metrics.RUNS_BEGUN), gained(metrics.RUNS_ENDED))
    assert 3 == gained(metrics.HTTP_REQUESTS, area="gateway")
