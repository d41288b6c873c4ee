"""The overview: what failed in a window of time, how each workflow did in it, and what is open now."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.history.answers import json_of
from execution_history.history.overview import SORTS, WINDOWS, OverviewQuery
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import order_of
from execution_history.web.api.query_parameters import parameters_of
from execution_history.web.api.schemas.executions import FINDING_HISTORY, described
from execution_history.web.api.schemas.overview import OverviewAnswer
from execution_history.web.responses import encode_shapes, json_answer, translator_for

_NAMES: Final = frozenset({"window", "sort", "order", "zone", "account_id"})

WindowName = Annotated[str, Query(alias="window", description=f"How far back it looks: {', '.join(WINDOWS)}.")]
SortName = Annotated[str, Query(alias="sort", description=f"The order of the workflows: {', '.join(SORTS)}.")]
Order = Annotated[
    str | None,
    Query(alias="order", description="desc or asc; by default names and success_rate asc, everything else desc."),
]
ZoneName = Annotated[str, Query(alias="zone", description="The time zone of days, such as Asia/Shanghai.")]


def add_overview(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route of the overview."""

    @router.get(
        "/overview", **described("What failed lately, and how each workflow did", OverviewAnswer, FINDING_HISTORY)
    )
    async def get_overview(
        request: Request,
        _window: WindowName = "24h",
        _sort: SortName = "failed",
        _order: Order = None,
        _zone: ZoneName = "UTC",
    ) -> Response:
        """Return the failures of a window in groups, each workflow's figures in it, and what is open now.

        By failures, starred workflows follow the failing ones; hidden ones come last.
        """
        words = parameters_of(request.query_params.multi_items(), _NAMES, filters=False)
        query = OverviewQuery(
            window=words.only("window") or "24h",  # type: ignore[arg-type] # checked by OverviewQuery
            sort=words.only("sort") or "failed",  # type: ignore[arg-type] # as above
            descending=None if (order := words.only("order")) is None else order_of(order) == "desc",
            zone=words.zone().key,
        )
        found = await service.overview(query)
        translate = translator_for(request.headers)
        content = json_of(found) | {"problems": [*map(translate.message, found.problems)]}
        return json_answer(encode_shapes({"success": True, **content}))
