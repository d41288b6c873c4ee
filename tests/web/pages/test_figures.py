"""The page with the figures of a workflow."""

import re
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


async def _page(store: MemoryStore, address: str, language: str = "en") -> str:
    """The page of charts at an address, of a history in *store*."""
    app, router = FastAPI(), APIRouter()
    FigurePages(ExecutionHistoryService(store), Renderer()).add_to(router)
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return (await client.get(address, headers={"cookie": f"language={language}"})).text


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
    page, chinese = await _page(store, "/workflows/w"), await _page(store, "/workflows/w", "zh")
    assert (0 if is_exact else 11) == page.count("≈ 1.0")
    assert is_exact == ("approximate: the error is below 2 %" not in page)
    assert is_exact == ("近似值，误差小于 2 %" not in chinese)


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("/charts?window=24h", r"since=24h"),
        ("/workflows/w?window=30d&by=account", r"since=30d"),
        ("/charts?window=1y&by=workflow", r"since=[0-9T%A-Z.-]+"),
        ("/charts?from=2020-01-01&to=2099-01-01", r"since=[0-9T%A-Z.-]+&amp;until=[0-9T%A-Z.-]+"),
    ],
)
async def test_from_a_kind_of_failure_one_comes_to_its_runs_within_the_time(address: str, within: str) -> None:
    """Not to those before it: the list has as many runs as the chart counts."""
    store, began = MemoryStore(), now_ms() - 60_000
    metadata = {"account": "a", "cost": {"amount": 1, "currency": "CNY"}}
    failed = [document(f"e{n}", now=began, metadata=metadata) for n in range(2)]
    await store.merge(changed(each, began + 1_000, "failed", error_message="no ferry") for each in failed)
    page = await _page(store, address)
    links = re.findall(r'data-open href="([^"]*fingerprint=[^"]*)"', page)
    assert 1 == len(links)
    assert re.search(rf"[?&;]{within}(&|$)", links[0]), links


async def test_more_currencies_than_are_charted_are_counted() -> None:
    """Three have charts and figures; of the others the page says how many there are, in the reader's language."""
    store, began = MemoryStore(), now_ms() - 60_000
    await store.merge(
        changed(document(name, now=began, metadata={"cost": {"amount": n, "currency": name}}), began + 1_000, "success")
        for n, name in enumerate(("CNY", "USD", "EUR", "GBP", "JPY"), 1)
    )
    page = await _page(store, "/charts")
    assert "2 more currencies are not shown." in page
    assert 3 == page.count('<span class="title">Cost</span>')
    assert "另有 2 种货币未显示。" in await _page(store, "/charts", "zh")


async def test_a_run_with_a_time_to_come_is_in_no_chart_of_the_past() -> None:
    """Another machine's clock, or an import, may say 2099: the charts end now."""
    store, began = MemoryStore(), now_ms() - 60_000
    await store.merge([changed(document("a", now=began), began + 1_000, "success")])
    await store.merge([changed(document("b", now=began + 2_000_000_000_000), began + 2_000_000_001_000, "success")])
    assert 0 < (await _page(store, "/workflows/w")).count("<tr") < 20
