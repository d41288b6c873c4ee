"""The documentation of the API, which needs nothing from elsewhere."""

import re

import pytest

from execution_history.query.fields import FILTERS
from execution_history.records.record import KEYS
from execution_history.web.api.query_parameters import HISTORY_PARAMETERS
from execution_history.web.api.schemas.executions import Execution
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_the_documentation_needs_nothing_from_elsewhere(shared_web: Served) -> None:
    """Every file the page names is here, and no script stands in it."""
    page = (await shared_web.client.get("/docs")).text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert ["docs/assets/swagger-ui.css", "docs/assets/swagger-ui-bundle.js", "docs/start.js"] == named
    assert [] == re.findall(r"<script[^>]*>[^<]", page)
    for name in [*named, "openapi.json"]:
        assert 200 == (await shared_web.client.get("/" + name)).status_code
    assert "openapi.json" in (await shared_web.client.get("/docs/start.js")).text
    assert 404 == (await shared_web.client.get("/redoc")).status_code


async def test_every_route_is_described(shared_web: Served) -> None:
    """With what it does, what its parameters mean, and what each answer looks like."""
    document = (await shared_web.client.get("/openapi.json")).json()
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    history = "/coze/workflows/{workflow_id}/history"
    assert {
        ("get", "/coze/doctor"), ("get", "/coze/backups"),
        ("get", "/coze/prices"), ("put", "/coze/prices"), ("delete", "/coze/prices"), ("put", "/coze/prices/budget"),
        ("post", "/coze/history/reprice"), ("get", "/coze/redaction"), ("post", "/coze/redaction"),
        ("get", "/coze/retention"), ("get", "/coze/retention/preview"), ("post", "/coze/retention/run"),
        ("put", "/coze/retention/rules"), ("delete", "/coze/retention/rules"),
        ("get", "/coze/bin"), ("post", "/coze/bin/restore"), ("post", "/coze/bin/empty"),
        ("patch", "/coze/workflows/{workflow_id}"), ("put", "/coze/workflows/{workflow_id}"),
        ("post", "/coze/workflows/names/learn"),
        ("get", "/coze/workflows"), ("get", history), ("delete", history),
        ("get", f"{history}/{{execute_id}}"), ("delete", f"{history}/{{execute_id}}"),
        ("post", "/coze/workflows/stream_run"), ("post", "/coze/workflows/{workflow_id}/run"),
        ("get", "/coze/history"), ("get", "/coze/history/live"), ("get", "/coze/statistics"),
        ("get", "/coze/breakdown"),
        ("get", "/coze/workflows/{workflow_id}/breakdown"), ("get", "/coze/export"),
        ("get", "/coze/workflows/{workflow_id}/statistics"), ("get", f"{history}/{{execute_id}}/compare"),
        ("get", f"{history}/{{execute_id}}/trace"), ("get", "/coze/compare"),
        ("patch", f"{history}/{{execute_id}}"), ("post", "/coze/history/annotate"), ("post", "/coze/history/delete"),
        ("get", "/coze/history/changes/{change_id}"), ("post", "/coze/history/changes/{change_id}/stop"),
        ("post", "/coze/history/changes/{change_id}/undo"), ("post", "/coze/history/changes/{change_id}/resume"),
        ("get", "/coze/history/changes"), ("post", "/coze/import"),
        ("get", "/coze/views"), ("post", "/coze/views"), ("patch", "/coze/views/{view_id}"),
        ("delete", "/coze/views/{view_id}"),
        ("post", f"{history}/{{execute_id}}/resume"), ("post", f"{history}/{{execute_id}}/fetch"),
        ("get", "/coze/keys"), ("post", "/coze/keys"), ("delete", "/coze/keys/{key}"),
        ("post", "/coze/keys/{key}/renew"),
        ("post", "/coze/keys/sessions/end"), ("get", "/coze/audit"), ("get", "/coze/audit/export"),
        ("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics"),
        ("get", "/coze/overview"), ("patch", "/coze/workflows/{workflow_id}"), ("put", "/coze/workflows/{workflow_id}"),
        ("post", "/coze/workflows/names/learn"),
    } == set(operations)  # fmt: skip
    for (method, _), operation in operations.items():
        guarded = {"421"} if method == "get" else {"403", "421"}
        assert guarded <= set(operation["responses"])
        assert operation["summary"]
        assert operation["description"]
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))
        assert all(answer["description"] and answer["content"] for answer in operation["responses"].values())
    filters = {row.name for row in FILTERS} - {"workflow"}
    assert {"page_size", "page_index", "workflow_id", "account_id", *HISTORY_PARAMETERS, *filters} == {
        parameter["name"] for parameter in operations["get", history]["parameters"]
    }
    assert ["text/event-stream"] == list(
        operations["post", "/coze/workflows/stream_run"]["responses"]["200"]["content"]
    )
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_documented_record_is_the_record() -> None:
    """Key by key, in the same order."""
    assert list(KEYS) == list(Execution.model_fields)


async def test_the_names_of_the_shapes_stay(shared_web: Served) -> None:
    """Programs are generated from them; an answer made of a class of ours keeps the name that callers know."""
    shapes = (await shared_web.client.get("/openapi.json")).json()["components"]["schemas"]
    assert {
        "BackupFailureShape", "BackupShape", "BackupTimes", "BackupsAnswer", "LastBackupShape", "PlannedBackupsShape",
        "VerificationShape",
        "BinAnswer", "BinChoice", "BinEntry", "DiskAnswer", "EmptiedAnswer", "JobRunAnswer", "PartAnswer",
        "RestoredAnswer", "RetentionAnswer", "RetentionPreview", "RetentionReport", "RetentionRun", "RuleRequest",
        "WorkflowPartAnswer",
        "BudgetRequest", "PriceAnswer", "PriceRequest", "PriceVersion", "PricesAnswer", "RepriceAnswer",
        "AuditAnswer", "AuditLineAnswer", "KeyAnswer", "KeyLine", "KeyRenewal", "KeyRequest", "KeysAnswer",
        "RecordingRuleAnswer", "RedactionAnswer", "RedactionExampleAnswer", "RedactionReportAnswer",
        "RedactionRuleAnswer", "RedactionRulesAnswer", "RedactionRunAnswer",
        "ArchiveRedactionAnswer", "EarlierBackupsAnswer", "SpoolRedactionAnswer",
        "AliveAnswer", "AnnotateRequest", "AnnotationReportAnswer", "AnnotationRequest", "BucketAnswer",
        "BulkChangeAnswer", "ChangeAnswer", "ChangesAnswer", "MatchesAnswer", "ViewAnswer", "ViewChange",
        "ViewRequest", "ViewShape", "ViewsAnswer",
        "BreakdownAnswer", "GroupAnswer", "TrendPoint", "CheckAnswer", "DoctorAnswer", "FindingAnswer",
        "Count", "OpenRun", "OpenRunsAnswer", "OverviewAnswer", "WorkflowAnswer",
        "ComparisonAnswer", "DamagedRecord", "DeleteReportAnswer", "DeleteRequest", "DoneAnswer", "Error",
        "ErrorAnswer", "Execution", "ExecutionAnswer", "ExecutionName", "FailureAnswer", "FiguresAnswer",
        "LearnedNamesAnswer", "NamingAnswer", "NamingRequest",
        "FoundAnswer", "ImportAnswer", "ListedRunAnswer", "MirrorAnswer", "NotReadyAnswer", "Reach", "ReadyAnswer",
        "RefusalAnswer",
        "ResumeRequest",
        "RunAnswer", "RunRequest", "SeveralAnswer", "SnippetAnswer", "StatisticsAnswer", "StreamRunRequest",
        "TagChange", "TraceAnswer", "TracedRun", "Workflow", "WorkflowsAnswer",
    } == set(shapes)  # fmt: skip
    assert {"success", "totals", "buckets", "error_codes", "failures"} == set(shapes["StatisticsAnswer"]["required"])
    figures = {"runs", "counts", "success_rate", "p50", "p95", "p99", "tokens"}
    assert figures == set(shapes["FiguresAnswer"]["required"])
    assert figures | {"input_tokens", "output_tokens", "costs"} == set(shapes["FiguresAnswer"]["properties"])


async def test_the_description_has_the_ways_to_send_a_key(shared_web: Served) -> None:
    """So that clients made from it, and the documentation's own, can send one; without keys none is needed."""
    document = (await shared_web.client.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert ("bearer", "X-Execution-History-Key") == (schemes["bearer"]["scheme"], schemes["header"]["name"])
    assert [{}, {"bearer": []}, {"header": []}] == document["security"]
