"""Prices over HTTP: listed, set, removed, and costs computed again."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.records.price_book import EVERY
from execution_history.web.api.query_parameters import documented, parameters_of, truth
from execution_history.web.api.schemas.executions import CHANGING, NAMING, PRICING, READING, DoneAnswer, described
from execution_history.web.api.schemas.prices import BudgetRequest, PriceRequest, PricesAnswer, RepriceAnswer
from execution_history.web.responses import answer

_REPRICING: Final = frozenset({"dry_run", "zone", "account_id"})

OfWorkflow = Annotated[str, Query(description="The workflow of the price; * for all.")]
OfAccount = Annotated[str, Query(description="The account of the price; * for all.")]
OfEntry = Annotated[int | None, Query(description="The entry that you have seen; another one is not removed.")]
DryRun = Annotated[str, Query(alias="dry_run", description="true: only tell what would change; nothing is written.")]


def add_prices(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the routes of prices, of the budget, and of costs that are computed again."""

    @router.get("/prices", **described("What tokens cost", PricesAnswer, READING))
    async def list_prices() -> Response:
        """Return all prices, the general ones first, with their earlier versions, and the budget of a month."""
        return await _listed(service)

    @router.put("/prices", **described("Set a price", PricesAnswer, PRICING))
    async def set_price(request: PriceRequest) -> Response:
        """Set the price for the runs of a workflow, an account, both or all, and return all prices.

        Runs that end from now on cost it; runs that have ended keep what they cost. Prices in the settings win, and can
        only be changed there.
        """
        await service.set_price(request.model_dump(exclude={"entry"}, exclude_none=True), expected=request.entry)
        return await _listed(service)

    @router.delete("/prices", **described("Remove a price", DoneAnswer, PRICING))
    async def remove_price(workflow: OfWorkflow = EVERY, account: OfAccount = EVERY, entry: OfEntry = None) -> Response:
        """Remove a price; runs that have ended keep what they cost, and the call can be repeated."""
        await service.remove_price(workflow, account, expected=entry)
        return answer({"success": True})

    @router.put("/prices/budget", **described("Set the budget of a month", PricesAnswer, CHANGING))
    async def set_budget(request: BudgetRequest) -> Response:
        """Set what may be spent in a month, null for no limit, and the currency of prices that name none."""
        await service.set_budget(request.amount, request.currency)
        return await _listed(service)

    @router.post(
        "/history/reprice",
        **described("Recalculate costs", RepriceAnswer, CHANGING | NAMING),
        openapi_extra=documented(),
    )
    async def reprice(request: Request, _dry_run: DryRun = "false") -> Response:
        """Compute again what the matching runs that have ended cost, with the prices that hold now.

        Runs for which no price holds, or whose tokens are not known, keep what they have. The sums are by currency.
        """
        words = parameters_of(request.query_params.multi_items(), _REPRICING)
        dry_run = truth("dry_run", words.only("dry_run") or "false")
        report = await service.reprice(words.record_filter(now_ms()), dry_run=dry_run)
        return answer({"success": True, **report.to_json()})


async def _listed(service: ExecutionHistoryService) -> Response:
    return answer({"success": True, **(await service.price_list()).to_json()})
