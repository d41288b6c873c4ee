"""Health checks: whether the server is alive, and whether it can do its work."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from execution_history.followers.mirror import MirrorFollower
from execution_history.history.service import ExecutionHistoryService
from execution_history.recording.trouble import RecordingTrouble
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.schemas.executions import (
    GUARDED,
    READING,
    AliveAnswer,
    NotReadyAnswer,
    ReadyAnswer,
    Responses,
)
from execution_history.web.responses import answer, translator_for

_ALIVE: Final[Responses] = {**GUARDED, 422: READING[422]}


def health_router(
    service: ExecutionHistoryService, recorder: RecordingTrouble, mirror: MirrorFollower | None = None
) -> APIRouter:
    """Return the router of ``/healthz`` and ``/readyz``."""
    router = APIRouter(tags=["health"], route_class=HistoryRoute)

    @router.get("/healthz", summary="Whether the process is alive", response_model=AliveAnswer, responses=_ALIVE)
    async def healthz() -> Response:
        """Return always the same answer, at no cost."""
        return answer({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Whether runs can be recorded and read now",
        response_model=ReadyAnswer,
        responses={
            **READING,
            503: {"model": NotReadyAnswer, "description": "Something is wrong; each problem has a sentence."},
        },
    )
    async def readyz(request: Request) -> Response:
        """Read and write the store, and collect the problems of the recorder.

        A run that passed unrecorded is counted and is no problem by itself: the caller's run is what comes first.
        Nor is it one that JSON files which follow the history are behind it, unless they cannot be written.
        """
        translate = translator_for(request.headers)
        mirrored = () if mirror is None else mirror.problems()
        problems = [*map(translate.message, (*(await service.health()).problems, *recorder.problems(), *mirrored))]
        found = {"problems": problems, "unrecorded": recorder.unrecorded}
        if mirror is not None:
            found["mirror"] = (await mirror.status()).to_json()
        if not problems:
            return answer({"status": "ok", **found})
        error = {"code": "not_ready", "message": " ".join(problems)}
        content = {"success": False, "status": "not ready", **found, "error": error}
        return answer(content, HTTPStatus.SERVICE_UNAVAILABLE)

    return router
