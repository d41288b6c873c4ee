"""The pages on a real socket with the sandbox behind them, and a real Chromium to look at them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from execution_history.application import Application, open_application
from execution_history.clock import now_ms
from execution_history.records.record import RecordChange
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.chosen_store import CHOSEN
from tests.web.conftest import served

CHROMIUM: Final = next(filter(Path.exists, map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium"))), None)
"""Debian's; without windows it draws the same pages for half the work, and a context for a third."""
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FIRST: Final = 7_000_000_000_000_000_000

OpenContext = Callable[..., Awaitable[BrowserContext]]

_LONGEST_WAIT: Final = 30_000  # milliseconds; a browser that shares its machine with other tests can be slow
expect.set_options(timeout=_LONGEST_WAIT)


@dataclass(frozen=True)
class Site:
    """The pages, their application, and a client that asks for them as a browser does."""

    base: str
    application: Application
    client: httpx.AsyncClient

    async def run(self, number: int, **parameters: Any) -> str:
        """Run a workflow of the sandbox to its end; the path of its page."""
        workflow_id = str(FIRST + number)
        answer = await self.client.post(
            "/coze/workflows/stream_run", json={"workflow_id": workflow_id, "parameters": {"pace_ms": 1, **parameters}}
        )
        execute_id = answer.text.partition('"execution_id":"')[2].partition('"')[0]
        await self.indexed()
        return f"/workflows/{workflow_id}/runs/{execute_id}"

    async def record(self, workflow_id: str, execute_id: str, **fields: Any) -> str:
        """Keep a record of any content; the path of its page is made by the caller where the ids are odd."""
        service = self.application.service
        await service.create_execution_record(workflow_id, execute_id, fields.pop("parameters", None))
        # As recorders do it, which may set every key of the metadata.
        status, metadata = fields.pop("execute_status", None), fields.pop("metadata", None)
        change = RecordChange.of(now_ms(), status, metadata, fields=fields)
        await service.store.update(workflow_id, execute_id, change)
        await self.indexed()
        return f"/workflows/{workflow_id}/runs/{execute_id}"

    async def indexed(self) -> None:
        """Return when the index, which answers what lists ask, has taken in everything that was written."""
        await self.application.service.follow_index()


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One site for all tests of a module."""
    settings = load_settings(store=CHOSEN.location(tmp_path_factory.mktemp("site") / "history"), sandbox_port=0)
    async with (
        open_application(settings, sandbox=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30, headers={"accept": "text/html"}) as client,
    ):
        yield Site(base, application, client)


@pytest.fixture(scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium; without it the tests that look with it are skipped, but never in continuous integration."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not there: .ci/run installs it from Debian.")
        pytest.skip("Chromium is not there: install Debian's package chromium-headless-shell to look at the pages.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
async def open_context(chromium: Browser, site: Site) -> AsyncIterator[OpenContext]:
    """Makes browser contexts on the site; what a page logs as an error fails the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    async def opened(*, width: int = 1440, **options: Any) -> BrowserContext:
        given = {"locale": "en-GB", "timezone_id": "Asia/Shanghai", **options}
        context = await chromium.new_context(viewport={"width": width, "height": 900}, base_url=site.base, **given)
        context.set_default_timeout(_LONGEST_WAIT)
        context.on("weberror", lambda fault: faults.append(str(fault.error)))
        context.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        contexts.append(context)
        return context

    yield opened
    for context in contexts:
        await context.close()
    # A page that answers 404 or 422 on purpose is told to the console too.
    assert [] == [fault for fault in faults if "the server responded with a status of 4" not in fault]
