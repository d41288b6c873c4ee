"""The line about what the index lacks in a real Chromium: it renews itself, and goes when nothing is missing."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.async_api import expect

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.late_index import build_held_up, records, settled
from tests.web.conftest import served
from tests.web.pages.conftest import OpenContext, Site
from tests.web.pages.test_browser import faults_of

pytestmark = pytest.mark.anyio

NEWEST: Final = 1_764_000_000_000


@dataclass(frozen=True)
class LateSite(Site):
    """A site whose index has only the newest runs until its build is let go."""

    held: ExitStack


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[LateSite]:
    """In the place of the site of the other tests."""
    settings = load_settings(store=str(tmp_path / "history"), json_files=False)
    with ExitStack() as held:
        held.enter_context(build_held_up(tmp_path / "history"))
        async with (
            open_application(settings) as application,
            served(create_app(application)) as base,
            httpx.AsyncClient(base_url=base, timeout=30) as client,
        ):
            await application.service.store.merge(list(records(NEWEST)))
            await client.get("/runs?status=failed")
            await settled(application.service)
            yield LateSite(base, application, client, held)


async def test_what_was_missing_comes_in_by_itself(site: LateSite, open_context: OpenContext) -> None:
    """A list and a page of charts say what they lack, accessibly and also on a phone, until they lack nothing."""
    context = await open_context(width=390)
    pages = {}
    for path in ("/runs?status=failed", "/", "/workflows/forecast?window=1y"):
        pages[path] = page = await context.new_page()
        await page.goto(path)
        line = page.locator("[data-indexing]")
        await expect(line).to_contain_text("every run from 2025-11-23 06:21:01 on is included")
        assert [] == await faults_of(page)
        assert not await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    site.held.close()
    await site.application.service.follow_index()
    for page in pages.values():
        await expect(page.locator("[data-indexing]")).to_have_count(0)
        await expect(page.locator(".toast")).to_have_text("Indexing is done; nothing is missing here any more.")
    await expect(pages["/runs?status=failed"].locator("tr[data-row]")).to_have_count(10)
