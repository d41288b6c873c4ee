"""Health checks: whether the server is alive, and whether it can do its work."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.application import Application, trouble_told
from execution_history.errors import NotAllowed, StoreError
from execution_history.maintenance.backup.status import current, statuses
from execution_history.presentation.translator import Translator
from execution_history.web.api.gauges import Gauges, exposition
from execution_history.web.api.refusals import add_refusals
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.schemas.executions import (
    GUARDED,
    READING,
    AliveAnswer,
    NotReadyAnswer,
    ReadyAnswer,
    Responses,
)
from execution_history.web.errors import error_content
from execution_history.web.readiness import checks_of, findings
from execution_history.web.responses import answer, translator_for

_ALIVE: Final[Responses] = {**GUARDED, 422: READING[422]}
_READY: Final[Responses] = {
    **READING,
    503: {"model": NotReadyAnswer, "description": "The store cannot be used; each problem has a sentence."},
}
_METRICS: Final[Responses] = {
    **READING,
    200: {"content": {"text/plain": {}}, "description": "Prometheus' text format, or OpenMetrics if accepted."},
}


def health_router(application: Application) -> APIRouter:
    """Return the router of ``/healthz``, ``/readyz`` and ``/metrics``."""
    router = APIRouter(tags=["health"], route_class=HistoryRoute)
    gauges = Gauges(application)

    @router.get("/healthz", summary="Whether the process is alive", response_model=AliveAnswer, responses=_ALIVE)
    async def healthz() -> Response:
        """Return always the same answer, at no cost."""
        return answer({"status": "ok"})

    @router.get(
        "/readyz", summary="Whether runs can be recorded and read now", response_model=ReadyAnswer, responses=_READY
    )
    async def readyz(request: Request) -> Response:
        """Read and write the store, and collect what is wrong.

        Only a store that cannot be used is a problem, and answered with 503: a server whose other parts need attention
        still passes runs on and records them, and a load balancer is not to take it out. A run that passed unrecorded
        is counted and is no warning by itself: the caller's run is what comes first.
        """
        return await _readiness(application, translator_for(request.headers))

    @router.get(
        "/metrics",
        summary="The metrics of this process and its store, for Prometheus",
        response_class=Response,
        responses=_METRICS,
    )
    async def metrics(request: Request) -> Response:
        """Return counters of this process, and what can be read of the store now; docs/observability.md has them all.

        Of several processes on one store each has its own counters. Where the store cannot be read, that is a metric.
        """
        if not application.workflows.are_all:
            raise NotAllowed("Metrics are of all workflows, and your key is for some only.")
        body, media_type = exposition(await gauges.samples(), request.headers.get("accept", ""))
        return Response(body, media_type=media_type, headers={"cache-control": "no-store"})

    add_refusals(router)
    return router


async def _readiness(application: Application, translate: Translator) -> Response:
    """Return the answer of ``/readyz``, with sentences in the language of *translate*."""
    wrong = await findings(application)
    sentences: dict[str, list[str]] = {"problem": [], "warning": []}
    checks: dict[str, str] = dict.fromkeys(checks_of(application), "ok")
    for check, severity, sentence in wrong:
        sentences[severity].append(translate.message(sentence))
        if checks.get(check) != "problem":
            checks[check] = severity
    found: dict[str, Any] = {
        "problems": sentences["problem"],
        "warnings": sentences["warning"],
        "checks": checks,
        "unrecorded": trouble_told(application).unrecorded,
    }
    if application.mirror is not None:
        found["mirror"] = (await application.mirror.status()).to_json()
    if backups := await _backups(application):
        found["backups"] = backups
    if not found["problems"]:
        return answer({"status": "ok", **found})
    error = error_content("not_ready", " ".join(found["problems"]))
    content = {"success": False, "status": "not ready", **found, "error": error}
    return answer(content, HTTPStatus.SERVICE_UNAVAILABLE)


async def _backups(application: Application) -> list[dict[str, Any]]:
    """Return when backups were made and verified, by place, as far as the store can be read."""
    with suppress(StoreError):  # which is a problem by itself
        return [
            {
                "place": each.place,
                "last": None if each.last is None else each.last.ended_at,
                "verified": None if each.verified is None else each.verified.at,
            }
            for each in current(await statuses(application.service), application.backups)
        ]
    return []
