"""Saved views over HTTP: the lists of runs that people come back to."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from execution_history.history.keyword_query import texts_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.views import Pairs
from execution_history.web.api.schemas.executions import CHANGING, DELETING, READING, REVISING, DoneAnswer, described
from execution_history.web.api.schemas.views import ViewAnswer, ViewChange, ViewRequest, ViewsAnswer
from execution_history.web.responses import answer

ViewId = Annotated[str, Path(description="The id of the view, or its name, percent-encoded.")]
Counts = Annotated[bool, Query(description="Count the runs of each view too.")]


def add_views(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of saved views."""

    @router.get("/views", **described("List saved views", ViewsAnswer, READING, "views"))
    async def list_views(*, counts: Counts = False) -> Response:
        """Return all saved views: those with a star first, then in their order."""
        views = await service.views.all()
        found = await asyncio.gather(*(service.views.count(view) for view in views)) if counts else ()
        shown = [view.to_json() | (found[place].to_json() if found else {}) for place, view in enumerate(views)]
        return answer({"success": True, "views": shown, "total": len(shown)})

    @router.post("/views", status_code=HTTPStatus.CREATED, **described("Save a view", ViewAnswer, CHANGING, "views"))
    async def save_view(request: ViewRequest) -> Response:
        """Keep filters and an order under a name. Times such as 24h stay relative to when the view is looked at."""
        view = await service.views.save(
            request.name,
            _pairs(request.filters),
            sort=request.sort,
            order=request.order,
            columns=request.columns,
            starred=request.starred,
        )
        return answer({"success": True, "view": view.to_json()}, HTTPStatus.CREATED)

    @router.patch("/views/{view_id}", **described("Change a view", ViewAnswer, REVISING, "views"))
    async def change_view(view_id: ViewId, request: ViewChange) -> Response:
        """Rename, rearrange or star a view, or give it other filters; a missing field stays as it is.

        With `version` the change is refused where somebody else has changed the view since.
        """
        given: dict[str, Any] = {name: value for name, value in request if value is not None and name != "version"}
        if request.filters is not None:
            given["filters"] = _pairs(request.filters)
        found = await service.views.named(view_id)
        view = await service.views.change(found.id, expected=request.version, **given)
        return answer({"success": True, "view": view.to_json()})

    @router.delete("/views/{view_id}", **described("Delete a view", DoneAnswer, DELETING, "views"))
    async def delete_view(view_id: ViewId) -> Response:
        """Remove a view; the runs in it stay."""
        await service.views.drop((await service.views.named(view_id)).id)
        return answer({"success": True})


def _pairs(filters: dict[str, Any]) -> Pairs:
    return [(name, text) for name, value in filters.items() for text in texts_of(name, value)]
