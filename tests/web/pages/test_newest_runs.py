"""What pages say of very many runs, of which a store counts the newest."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from execution_history.application import open_application
from execution_history.clock import now_ms
from execution_history.query.breakdown_plan import MOST_RUNS
from execution_history.records.record import Document
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.sample_records import changed, document

pytestmark = pytest.mark.anyio

_NODES: Final = {"Ask": {"node_id": "7", "node_title": "Ask", "node_type": "LLM", "is_finish": True}}


def _run(number: int, **fields: Any) -> Document:
    began = now_ms() - 3_600_000
    return changed(document(f"e{number}", now=began, metadata={"account": "a"}), began + 1_000, "success", **fields)


@asynccontextmanager
async def _pages(store: str, runs: list[Document]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the pages of a history with these runs in *store*."""
    async with open_application(load_settings(store=store, json_files=False)) as application:
        await application.service.merge(runs)
        await application.service.follow_index()
        transport = httpx.ASGITransport(create_app(application))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def _words(client: httpx.AsyncClient, path: str, language: str = "en") -> str:
    answer = await client.get(path, headers={"accept": "text/html", "cookie": f"language={language}"})
    assert 200 == answer.status_code
    page = answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page[page.index("<main") : page.index("</main>")])).split())


async def test_nodes_are_those_of_all_runs(postgres_url: str) -> None:
    """In PostgreSQL too, however many there are: days are added up, and the rest is counted."""
    most = MOST_RUNS // 4
    runs = [_run(number, node_execute_status=_NODES) for number in range(most + 1)]
    async with _pages(postgres_url, runs) as client:
        shown = await _words(client, "/workflows/w/nodes")
        assert "newest" not in shown
        assert re.search(rf"they are known for 0 of {most // 1000}\W00{most % 1000 + 1} runs", shown)


async def test_values_of_filters_and_figures_by_account_say_it_too(tmp_path: Path) -> None:
    """Shares of what all runs have cost are left out then; what is counted by time is of all runs."""
    runs = [_run(number, metadata={"cost": {"amount": 1, "currency": "CNY"}}) for number in range(MOST_RUNS + 1)]
    english = f"Counted among the newest {MOST_RUNS:,} runs.".replace(",", " ")
    chinese = f"统计范围：最近 {MOST_RUNS:,} 次运行。".replace(",", " ")
    async with _pages(str(tmp_path / "history"), runs) as client:
        assert english in await _words(client, "/runs/facets?of=account")
        assert chinese in await _words(client, "/charts?by=account", "zh")
        by_time, by_account = [
            (await _words(client, path)).partition("As a table")[2].partition("Success rate and durations")[0]
            for path in ("/charts", "/charts?by=account")
        ]
        assert (False, True) == (english in by_time, english in by_account)
        assert (True, False) == ("100 %" in by_time, "100 %" in by_account)
