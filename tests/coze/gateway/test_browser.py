"""The real @coze/api in a page of another origin, in a real Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from execution_history.sandbox import WORKFLOWS, Sandbox
from tests.coze.gateway.conftest import TOKEN, Gateway, gateway_to
from tests.coze.gateway.test_javascript import modules
from tests.coze.gateway.test_websockets import Echo
from tests.web.conftest import served
from tests.web.pages.conftest import chromium

pytestmark = pytest.mark.anyio

__all__ = ["chromium", "modules"]  # fixtures

_PAGE = Path(__file__).with_name("javascript") / "page.html"
_SHORT = next(workflow.workflow_id for workflow in WORKFLOWS.values() if workflow.name == "short_answer")


@pytest.fixture(scope="module")
async def origin(modules: Path) -> AsyncIterator[str]:
    """The origin of a server that has the page and the SDK."""
    routes = [Route("/", lambda _: FileResponse(_PAGE)), Mount("/", StaticFiles(directory=modules))]
    async with served(Starlette(routes=routes)) as base:
        yield base


@asynccontextmanager
async def _page(browser: Browser, address: str) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-GB")
    page = await context.new_page()
    await page.goto(address)
    try:
        yield page
    finally:
        await context.close()


async def _calls(page: Page, gateway: Gateway) -> dict[str, Any]:
    script = "given => window.callCoze(...given)"
    found: dict[str, Any] = await page.evaluate(script, [gateway.base_url, TOKEN, _SHORT])
    return found


async def test_a_page_of_an_allowed_origin_runs_workflows(
    tmp_path: Path, sandbox: Sandbox, chromium: Browser, origin: str
) -> None:
    """Whole and streamed, with the log id of each answer, and recorded."""
    async with (
        gateway_to(tmp_path, sandbox.base_url, allowed_origins=[origin]) as gateway,
        _page(chromium, origin) as page,
    ):
        found = await _calls(page, gateway)
        assert (0, "Done") == (found["run"]["code"], found["stream"][-1]["event"])
        assert "logid: " in found["speech"]["msg"]  # of the sandbox, which makes no sound
        records = await gateway.records(_SHORT)
        assert ["success", "success"] == [record["execute_status"] for record in records]


async def test_a_page_of_another_origin_runs_nothing(
    tmp_path: Path, sandbox: Sandbox, chromium: Browser, origin: str
) -> None:
    """The browser does not even send its calls, and the page reads no reason."""
    async with (
        gateway_to(tmp_path, sandbox.base_url, allowed_origins=["http://elsewhere.test"]) as gateway,
        _page(chromium, origin) as page,
    ):
        found = await _calls(page, gateway)
        assert {"Network Error"} == {found[call]["msg"] for call in ("run", "speech")}
        assert [] == await gateway.records(_SHORT)
        simple = "address => fetch(address, {method: 'POST', mode: 'no-cors', body: '{}'}).catch(e => e.name)"
        assert "TypeError" == await page.evaluate(simple, f"{gateway.base_url}/v1/workflow/run")
        assert [] == await gateway.application.service.get_all_workflows()


async def test_a_page_without_an_origin_can_be_let_in(tmp_path: Path, sandbox: Sandbox, chromium: Browser) -> None:
    """One from a file, as Electron has them."""
    (tmp_path / "page.html").write_text("<title>A page</title>")
    async with (
        gateway_to(tmp_path, sandbox.base_url, allowed_origins=["null"]) as gateway,
        _page(chromium, (tmp_path / "page.html").as_uri()) as page,
    ):
        headers = "{authorization: 'Bearer ' + token, 'content-type': 'application/json'}"
        script = f"([address, token, body]) => fetch(address, {{method: 'POST', headers: {headers}, body}})"
        given = [f"{gateway.base_url}/v1/workflow/run", TOKEN, f'{{"workflow_id": "{_SHORT}"}}']
        assert 0 == (await page.evaluate(f"{script}.then(answer => answer.json())", given))["code"]
        assert ["success"] == [record["execute_status"] for record in await gateway.records(_SHORT)]


async def test_a_page_of_an_allowed_origin_opens_web_sockets(tmp_path: Path, chromium: Browser, origin: str) -> None:
    """To the gateway; a page of another origin does not."""
    async with served(Echo()) as upstream, _page(chromium, origin) as page:
        for allowed, expected in ((origin, "字"), ("http://elsewhere.test", 1006)):
            async with gateway_to(tmp_path, upstream, allowed_origins=[allowed]) as gateway:
                address = gateway.base_url.replace("http://", "ws://")
                assert expected == await page.evaluate("address => window.echo(address)", f"{address}/v1/chat")
