"""Damaged records on the pages: where they are missing it is said which, and that somebody has to act."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.stores.sqlite import SQLiteStore
from execution_history.web import create_app
from tests.stores.sqlite.damage import damage
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

LONG = "e1" + "x" * 60
ENGLISH = "1 run is left out: its data is damaged."


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A reader of a history without JSON files, in which one of the two runs of ``w`` is damaged."""
    settings = load_settings(store=str(tmp_path / "history"), json_files=False)
    async with (
        open_application(settings) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30, headers={"accept": "text/html"}) as client,
    ):
        for workflow_id, execute_id in (("w", "e0"), ("w", LONG), ("v", "e0")):
            await application.service.create_execution_record(workflow_id, execute_id, {"city": "Paris"})
        await client.get("/coze/history?status=running")
        damage(tmp_path / "history", LONG)
        yield client


@pytest.mark.parametrize("path", ["/runs", "/workflows/w/runs", "/runs?q=Paris", "/runs?status=running"])
async def test_a_list_names_what_it_leaves_out(client: httpx.AsyncClient, path: str) -> None:
    """In both languages, with a link to the page that says more; the id is shortened."""
    page = (await client.get(path)).text
    assert ENGLISH in page
    assert page.index(ENGLISH) < page.index("<table")
    line = page[page.index(ENGLISH) : page.index("<table")]
    assert f'href="/workflows/w/runs/{LONG}"' in line
    assert f">{LONG}<" not in line
    chinese = (await client.get(path, headers={"cookie": "language=zh"})).text
    assert "略去 1 次运行：它们的数据已损坏。" in chinese


async def test_a_list_of_nothing_but_damage_is_not_called_empty(client: httpx.AsyncClient) -> None:
    """There are runs, only none that can be shown; where nothing is damaged there is no such line."""
    page = (await client.get(f"/workflows/w/runs?id={LONG}")).text
    assert ENGLISH in page
    assert "No runs match." not in page
    assert "damaged" not in (await client.get("/workflows/v/runs")).text


async def test_problems_of_the_store_need_attention(client: httpx.AsyncClient) -> None:
    """They are not always about something that was not recorded."""
    await client.get("/workflows/w/runs")
    page = await _page_with(client, "<dt>Needs attention</dt>")
    assert "Not recorded" not in page
    assert "<dt>需要处理</dt>" in (await client.get("/", headers={"cookie": "language=zh"})).text


async def _page_with(client: httpx.AsyncClient, text: str) -> str:
    """The overview once it has *text*: it does not wait for what the writer says."""
    async with asyncio.timeout(30):
        while text not in (page := (await client.get("/")).text):
            pass
    return page


def _wait(event: threading.Event, _: object) -> bool:
    return event.wait(30)


async def test_the_overview_does_not_wait_for_a_busy_writer(tmp_path: Path) -> None:
    """As an import keeps it busy: it shows what the writer said last, and what it says later on a later page."""
    settings = load_settings(store=str(tmp_path / "history"), json_files=False)
    async with (
        open_application(settings) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30, headers={"accept": "text/html"}) as client,
    ):
        service, store = application.service, application.service.store
        assert isinstance(store, SQLiteStore)
        for execute_id in ("e0", LONG):
            await service.create_execution_record("w", execute_id)
        damage(tmp_path / "history", LONG)
        await client.get("/workflows/w/runs")
        for is_known in (False, True):
            is_over = threading.Event()
            busy = store._parts.writer.submit(partial(_wait, is_over))
            try:
                assert is_known == ("<dt>Needs attention</dt>" in (await client.get("/")).text)
                assert not busy.done()
            finally:
                is_over.set()
                await busy
            await _page_with(client, "<dt>Needs attention</dt>")
