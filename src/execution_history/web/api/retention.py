"""Retention over HTTP: rules, a preview, a run now, and the deleted runs that can be restored."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from execution_history.access.principals import current_actor
from execution_history.errors import InvalidInput
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.report import disk_json
from execution_history.maintenance.retention import Retention
from execution_history.query.model import MAX_SIZE, RecordKey
from execution_history.web.api.schemas.executions import CHANGING, NAMING, READING, DoneAnswer, described
from execution_history.web.api.schemas.retention import (
    BinAnswer,
    BinChoice,
    EmptiedAnswer,
    RestoredAnswer,
    RetentionAnswer,
    RetentionPreview,
    RetentionRun,
    RuleRequest,
)
from execution_history.web.responses import answer

_PREVIEW_SECONDS = 10.0
_RUN_SECONDS = 10.0

RuleName = Annotated[str, Query(description="The rule.")]
RuleNames = Annotated[list[str], Query(alias="rule", description="Only this rule; repeatable.")]
AfterEntry = Annotated[str | None, Query(alias="after", description="The next of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MAX_SIZE, description="Runs on a page.")]


def add_retention(router: APIRouter, retention: Retention) -> None:
    """Add the routes of rules and of what they do."""

    @router.get("/retention", **described("Rules, size and last run", RetentionAnswer, READING))
    async def get_retention() -> Response:
        """Return the rules by which old runs go, what the history takes, and what the last run of retention did."""
        return await _state(retention)

    @router.put("/retention/rules", **described("Set a rule", RetentionAnswer, CHANGING))
    async def set_rule(request: RuleRequest) -> Response:
        """Add a rule, or replace the one of the same name; rules in the settings win and can only be changed there.

        Besides the fields that are listed, a rule takes every filter but those for times, a text or a list of texts.
        """
        await retention.rule_book.put(request.model_dump(exclude_none=True), current_actor())
        return await _state(retention)

    @router.delete("/retention/rules", **described("Remove a rule", DoneAnswer, CHANGING))
    async def remove_rule(name: RuleName) -> Response:
        """Remove a rule; the call can be repeated."""
        await retention.rule_book.remove(name, current_actor())
        return answer({"success": True})

    @router.get("/retention/preview", **described("What would go, and what stays", RetentionPreview, READING))
    async def preview(rule: RuleNames = []) -> Response:  # noqa: B006 - FastAPI copies it
        """Return what a run of retention would do now; nothing is changed.

        A rule that takes longer than ten seconds to look at has `is_complete` false. A run of
        retention removes the same runs in the same order. For the limit of the size more of the oldest may follow, once
        space was given back and the history measured: how much of the disk a run frees is known then.
        """
        report = await retention.preview(rule, seconds=_PREVIEW_SECONDS)
        return answer({"success": True, "report": report.to_json()})

    @router.post("/retention/run", **described("Carry out the rules now", RetentionRun, CHANGING))
    async def run(rule: RuleNames = []) -> Response:  # noqa: B006 - FastAPI copies it
        """Carry out the rules and the limit of the size; `run` is null when it goes on after ten seconds.

        It ends by itself then, and `GET …/retention` has its report.
        """
        done = await retention.prune_within(_RUN_SECONDS, rule)
        return answer({"success": True, "run": None if done is None else done.to_json()})


def add_bin(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of deleted runs."""

    @router.get("/bin", **described("Deleted runs that can be restored", BinAnswer, READING))
    async def list_bin(after: AfterEntry = None, limit: Limit = 20) -> Response:
        """Return deleted runs, the last deleted first."""
        return answer({"success": True, **(await service.bin.page(after, limit)).to_json()})

    @router.post("/bin/restore", **described("Restore deleted runs", RestoredAnswer, CHANGING | NAMING))
    async def restore(request: BinChoice) -> Response:
        """Restore deleted runs as they were, unless their ids are taken by other runs now.

        A `rule` of retention that removed one takes it again with its next run, unless it is pinned, rated or has one
        of the `keep_tags`.
        """
        keys = await _chosen(service, request)
        restored = await service.bin.restore(keys)
        return answer({"success": True, "restored": [key._asdict() for key in restored], "matches": len(keys)})

    @router.post("/bin/empty", **described("Remove deleted runs for good", EmptiedAnswer, CHANGING | NAMING))
    async def empty(request: BinChoice) -> Response:
        """Remove deleted runs so that they can never be restored."""
        removed = await service.bin.empty(await _chosen(service, request))
        return answer({"success": True, "removed": removed})


async def _chosen(service: ExecutionHistoryService, request: BinChoice) -> list[RecordKey]:
    """Return the deleted runs that a request names: some, those of a workflow, or all.

    Raises:
        InvalidInput: it names none of these, or several.
    """
    ways = [request.runs is not None, request.workflow is not None, request.all]
    if ways.count(True) != 1:
        raise InvalidInput("Say which deleted runs: runs, workflow or all.")
    if request.runs is not None:
        return [RecordKey(each.workflow_id, each.execute_id) for each in request.runs]
    if request.workflow is not None:
        return await service.bin.of_workflow(await service.workflow_named(request.workflow))
    return await service.bin.of_workflow(None)


async def _state(retention: Retention) -> Response:
    rules, last = await retention.rule_book.rules(), await retention.last_run()
    content: dict[str, Any] = {
        **rules.to_json(),
        "max_bytes": retention.settings.max_bytes,
        "keep_tags": list(retention.settings.keep_tags),
        "disk": disk_json(await retention.disk_use()),
        "last_run": None if last is None else last.to_json(),
        "last_removal": await retention.last_removal(),
    }
    return answer({"success": True, **content})
