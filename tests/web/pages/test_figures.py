"""The page with the figures of a workflow."""

from dataclasses import replace

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import Statistics, StatisticsQuery
from execution_history.stores import MemoryStore
from execution_history.web.pages.statistics_page import FigurePages
from execution_history.web.pages.templates import Renderer
from tests.sample_records import changed, document

pytestmark = pytest.mark.anyio


class _OfVeryMany(MemoryStore):
    """Counts as a history of very many runs does."""

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """Its percentiles are approximate."""
        return replace(await super().statistics(query), percentiles_are_exact=False)


@pytest.mark.parametrize("is_exact", [True, False])
async def test_approximate_percentiles_are_marked(*, is_exact: bool) -> None:
    """With a sign at each and one sentence, in the reader's language."""
    store = MemoryStore() if is_exact else _OfVeryMany()
    began = now_ms() - 60_000
    await store.merge([changed(document("a", now=began), began + 1_000, "success")])
    app, router = FastAPI(), APIRouter()
    FigurePages(ExecutionHistoryService(store), Renderer()).add_to(router)
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        page = (await client.get("/workflows/w")).text
        chinese = (await client.get("/workflows/w", headers={"cookie": "language=zh"})).text
    assert (0 if is_exact else 11) == page.count("≈ 1.0")
    assert is_exact == ("approximate: the error is below 2 %" not in page)
    assert is_exact == ("近似值，误差小于 2 %" not in chinese)


async def test_a_run_with_a_time_to_come_is_in_no_chart_of_the_past() -> None:
    """Another machine's clock, or an import, may say 2099: the charts end now."""
    store, began = MemoryStore(), now_ms() - 60_000
    await store.merge([changed(document("a", now=began), began + 1_000, "success")])
    await store.merge([changed(document("b", now=began + 2_000_000_000_000), began + 2_000_000_001_000, "success")])
    app, router = FastAPI(), APIRouter()
    FigurePages(ExecutionHistoryService(store), Renderer()).add_to(router)
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/workflows/w")
    assert 200 == answer.status_code
    assert answer.text.count("<tr") < 20
