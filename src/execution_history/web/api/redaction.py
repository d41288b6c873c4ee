"""Redaction over HTTP: the rules in force, and redaction of what the history has already."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from execution_history.access.principals import current_actor
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.redaction import last_redaction, preview_redaction
from execution_history.maintenance.redaction_runs import RedactionRuns
from execution_history.web.api.query_parameters import truth
from execution_history.web.api.schemas.executions import CHANGING, NAMING, READING, described
from execution_history.web.api.schemas.redaction import RedactionAnswer, RedactionRulesAnswer
from execution_history.web.responses import answer

OfWorkflows = Annotated[
    list[str] | None, Query(alias="workflow_id", description="Only these workflows, by id or name; all by default.")
]
DryRun = Annotated[str, Query(alias="dry_run", description="true: only report what would be redacted.")]


def add_redaction(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of redaction."""
    runs = RedactionRuns(service)

    @router.get("/redaction", **described("What is redacted and recorded", RedactionRulesAnswer, READING))
    async def list_rules() -> Response:
        """Return the rules of redaction, the built-in ones first, those of recording, and the last redaction.

        They are in the settings, and are changed there.
        """
        last = await last_redaction(service)
        return answer({"success": True, **service.rules.to_json(), "last": None if last is None else last.to_json()})

    @router.post("/redaction", **described("Redact the history", RedactionAnswer, CHANGING | NAMING))
    async def redact(workflows: OfWorkflows = None, dry_run: DryRun = "false") -> Response:
        """Redact what the history has already, by the rules in force; new runs are redacted before they are kept.

        A redaction that takes longer than ten seconds goes on after the answer, and is in `GET /coze/redaction`.
        """
        named = [await service.workflow_named(workflow) for workflow in workflows or ()]
        if truth("dry_run", dry_run):
            report = (await preview_redaction(service, workflow_ids=named)).to_json()
            return answer({"success": True, "run": None, "report": report})
        run = await runs.begin(current_actor(), named)
        found = None if run is None else run.to_json()
        return answer({"success": True, "run": found, "report": None if run is None else run.report})
