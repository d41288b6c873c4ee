"""The quick checks of the doctor over HTTP, and what was found in the course of time."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import last_run
from execution_history.maintenance.check_job import CHECK_JOB
from execution_history.maintenance.doctor import Doctor
from execution_history.settings import Settings
from execution_history.web.api.refusals import add_refusals
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.schemas.executions import READING
from execution_history.web.responses import answer, translator_for


class FindingAnswer(BaseModel):
    """One thing that a check has found: a problem, or a remark, and what to do about it."""

    problem: bool
    sentence: str
    remedy: str | None = None
    repairable: bool = Field(description="Whether `execution-history doctor --repair` repairs it.")


class CheckAnswer(BaseModel):
    """What came of one check."""

    check: str
    verdict: str = Field(description="ok, remark or problem.")
    summary: str
    findings: list[FindingAnswer]
    repaired: list[str]
    lost: bool = Field(description="Whether a repair saved less than there was.")
    refusal: str | None = None
    seconds: float


class DoctorAnswer(BaseModel):
    """The quick checks, and the last time that the whole history was read by a server."""

    problems: int
    checks: list[CheckAnswer]
    last_check: dict[str, Any] | None = Field(
        description="When the whole history was last read, how many bytes, and what was repaired then."
    )


def doctor_router(service: ExecutionHistoryService, settings: Settings) -> APIRouter:
    """Return the router of ``/coze/doctor``."""
    router = APIRouter(tags=["health"], route_class=HistoryRoute)

    @router.get("/coze/doctor", summary="Quick checks of the history", response_model=DoctorAnswer, responses=READING)
    async def doctor(request: Request) -> Response:
        """Check versions, permissions, space, what waits, samples of the history, and runs nobody records any more.

        What reads the whole history is left to `execution-history doctor`, and to the server, which does it slowly.
        """
        translate = translator_for(request.headers).message
        reports = [report async for report in Doctor(service.store, settings).examine(is_quick=True)]
        last = await last_run(service, CHECK_JOB)
        content = {
            "problems": sum(finding.is_problem for report in reports for finding in report.findings),
            "checks": [report.to_json(translate) for report in reports],
            "last_check": None if last is None else last.to_json(),
        }
        return answer(content)

    add_refusals(router)
    return router
