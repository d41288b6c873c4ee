"""Pages that follow what happens: through the event stream, shared by all tabs, and by asking where there is none."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, Route, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from execution_history.application import open_application
from execution_history.coze import CozeRunner
from execution_history.records.encoding import encode
from execution_history.sandbox import Workflow, serve_sandbox
from execution_history.sandbox.steps import Finished, Inputs, Node, Packet, Pause, Step
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.chosen_store import CHOSEN
from tests.web.conftest import served
from tests.web.pages.conftest import FIRST, OpenContext, Site

pytestmark = pytest.mark.anyio

STREAM: Final = "/coze/history/live"
_HIDE: Final = """(is) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => is });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
_CREATE: Final = """
import asyncio, sys
from execution_history import ExecutionHistoryService
async def main():
    service = ExecutionHistoryService(sys.argv[1])
    await service.create_execution_record(sys.argv[2], sys.argv[3], {"city": "Oslo"})
    await service.update_execution_record(sys.argv[2], sys.argv[3], execute_status="success")
    await service.aclose()
asyncio.run(main())
"""


@dataclass
class Gate:
    """What stands before the stream: it counts who listens, can refuse, and can cut everybody off."""

    app: ASGIApp
    is_shut: bool = False
    listening: set[asyncio.Task[Any]] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    refusals: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but a stream while the gate is shut."""
        if scope["type"] != "http" or scope["path"] != STREAM:
            await self.app(scope, receive, send)
            return
        if self.is_shut:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            await self._note(refusals=1)
            return
        task = asyncio.ensure_future(self.app(scope, receive, send))
        self.listening.add(task)
        await self._note()
        await asyncio.gather(task, return_exceptions=True)
        self.listening.discard(task)
        await self._note()

    async def until(self, count: int) -> None:
        """Return when so many listen."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.listening) == count)

    async def until_refused(self) -> None:
        """Return when somebody has been refused."""
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: self.refusals > 0)

    def cut(self) -> None:
        """End every stream in the middle."""
        for task in self.listening:
            task.cancel()

    async def _note(self, refusals: int = 0) -> None:
        self.refusals += refusals
        async with self.changed:
            self.changed.notify_all()


@dataclass(frozen=True)
class Gated:
    """A site with a gate before its stream."""

    base: str
    gate: Gate


@pytest.fixture
async def gated(site: Site) -> AsyncIterator[Gated]:
    """The site once more, on another port, with a gate."""
    gate = Gate(create_app(site.application))
    async with served(gate) as base:
        yield Gated(base, gate)
        gate.cut()


async def list_page(site: Site, gated: Gated, open_context: OpenContext, name: str, query: str = "") -> Page:
    """A list of the workflow *name*, which has one run."""
    await site.record(name, "first", execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto(f"{gated.base}/workflows/{name}/runs{query}")
    return page


async def test_a_run_of_another_process_appears(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """Without a reload, told by the stream, and without anything being asked for meanwhile."""
    await site.record("elsewhere", "first", execute_status="success")
    page = await (await open_context()).new_page()
    async with page.expect_response(lambda answer: "/news?" in answer.url):
        await page.goto(f"{gated.base}/workflows/elsewhere/runs")
        await gated.gate.until(1)
    command = [sys.executable, "-c", _CREATE, str(site.application.settings.store), "elsewhere", "second"]
    process = await asyncio.create_subprocess_exec(*command)
    assert 0 == await process.wait()
    await expect(page.locator(".news-link")).to_have_text("1 new run")
    await expect(page.locator("tr[data-row]")).to_have_count(1)
    await page.locator(".news-link").click()
    await expect(page.locator("tr[data-row]")).to_have_count(2)


async def test_the_overview_and_the_charts_follow(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """A new workflow stands on the first page, and a new run is counted by the charts, without a reload."""
    context = await open_context()
    overview, charts = await context.new_page(), await context.new_page()
    await site.record("charted", "first", execute_status="success")
    await charts.goto(f"{gated.base}/workflows/charted")
    await expect(charts.locator(".figures dd").first).to_have_text("1")
    await gated.gate.until(1)
    await overview.goto(f"{gated.base}/")
    await expect(overview.locator("tr[data-row='appears']")).to_have_count(0)
    await site.record("charted", "second", execute_status="success")
    await site.record("appears", "first", execute_status="success")
    await expect(overview.locator("tr[data-row='appears']")).to_have_count(1)
    await expect(charts.locator(".figures dd").first).to_have_text("2")


async def test_an_overview_in_use_stays_as_it_is(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """What one types, while its new form is on the way too, is not taken away by a run that comes."""
    await site.record("used", "first", execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto(f"{gated.base}/")
    await gated.gate.until(1)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await answered.wait()
        await route.continue_()

    await page.route(f"{gated.base}/", hold)
    await site.record("comes-late", "first", execute_status="success")
    async with asyncio.timeout(60):
        await asked.wait()
    await page.locator("input[name=find]").fill("half a name")
    async with page.expect_response(f"{gated.base}/") as response:
        answered.set()
    await (await response.value).finished()
    await page.locator("h2").first.click()
    await expect(page.locator("input[name=find]")).to_have_value("half a name")
    await expect(page.locator("tr[data-row='comes-late']")).to_have_count(0)
    await page.locator("input[name=find]").fill("")
    await page.locator("h2").first.click()
    await expect(page.locator("tr[data-row='comes-late']")).to_have_count(1)


async def test_what_does_not_match_the_view_does_not_show(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """Neither by status nor by a condition that only the server can judge."""
    await site.record("picky", "zero", execute_status="failed", output={"n": 5})
    page = await list_page(site, gated, open_context, "picky", "?status=failed&where=output.n+%3E+3")
    await gated.gate.until(1)
    for number, (status, n) in enumerate((("success", 9), ("failed", 1), ("failed", 9))):
        async with page.expect_response(lambda answer: "/news?" in answer.url):
            await site.record("picky", f"one-{number}", execute_status=status, output={"n": n})
    await expect(page.locator(".news-link")).to_have_text("1 new run")


async def _place_of(page: Page, selector: str) -> list[float]:
    """Where an element stands, found and measured in one step: a moment later another may stand there."""
    place: list[float] = await page.evaluate(
        "(at) => { const { x, y, width, height } = document.querySelector(at).getBoundingClientRect(); "
        "return [x, y, width, height] }",
        selector,
    )
    return place


async def test_a_list_keeps_its_place_and_renews_its_rows(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """Rows change where they stand, what is new is told above, and nothing moves."""
    for number in range(60):
        await site.record("still", f"run-{number:02}")
    page = await (await open_context(locale="zh-CN")).new_page()
    await page.goto(f"{gated.base}/workflows/still/runs")
    await gated.gate.until(1)
    row = page.locator("tr[data-row='still/run-40']")
    await row.locator("a[data-open]").focus()
    place = await _place_of(page, "tr[data-row='still/run-40']")
    await site.application.service.update_execution_record("still", "run-40", execute_status="failed")
    await site.record("still", "new", execute_status="success")
    await expect(row).to_have_attribute("data-status", "failed")
    await expect(page.locator(".news-link")).to_be_visible()
    assert place == await _place_of(page, "tr[data-row='still/run-40']")
    await expect(row.locator("a[data-open]")).to_be_focused()


async def test_a_run_that_grows_does_not_move_what_one_reads(
    site: Site, gated: Gated, open_context: OpenContext
) -> None:
    """Nodes come above it, what is folded stays folded, what is typed stays typed."""
    service = site.application.service
    await service.create_execution_record("grows", "one", {"list": [{"n": number} for number in range(12)]})
    await site.indexed()
    page = await (await open_context()).new_page()
    await page.goto(f"{gated.base}/workflows/grows/runs/one")
    await gated.gate.until(1)
    await page.locator("[name=note]").fill("half a thought")
    await page.locator("[data-at='/input_parameters/list/3'] > summary").click()
    line = page.locator("[data-at='/input_parameters/list/5']")
    await line.evaluate("(line) => scrollTo(0, line.getBoundingClientRect().top + scrollY - 80)")
    before = await _place_of(page, "[data-at='/input_parameters/list/5']")
    node = {"node_type": "LLM", "is_finish": True, "content": "…", "packets": [], "packet_count": 0, "usage": None}
    record = await service.get_execution_detail("grows", "one")
    assert record is not None
    began = record["create_time"]
    nodes = {f"Node {number}": {**node, "start_time": began, "update_time": began + 5} for number in range(8)}
    await service.update_execution_record("grows", "one", node_execute_status=nodes)
    await expect(page.locator(".waterfall tbody tr")).to_have_count(16)
    after = await _place_of(page, "[data-at='/input_parameters/list/5']")
    assert 1 > abs(before[1] - after[1])
    assert await page.locator("[data-at='/input_parameters/list/3']").get_attribute("open") is None
    await expect(page.locator("[name=note]")).to_have_value("half a thought")


async def test_a_run_that_has_ended_is_followed_too(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """What somebody notes about it elsewhere is there."""
    path = await site.record("noted", "one", execute_status="interrupted", error_message="waiting")
    page = await (await open_context()).new_page()
    await page.goto(gated.base + path)
    await gated.gate.until(1)
    await site.client.post(f"{path}/notes", data={"add": "seen"})
    await expect(page.locator(".notes .chip")).to_contain_text("seen")


async def test_a_stream_that_is_cut_is_taken_up_again(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """What happened in between is there, whether it can go on or has to ask."""
    page = await list_page(site, gated, open_context, "cut")
    await gated.gate.until(1)
    gated.gate.is_shut = True
    gated.gate.cut()
    await gated.gate.until_refused()
    await site.record("cut", "second", execute_status="success")
    await expect(page.locator(".news-link")).to_have_text("1 new run")
    gated.gate.is_shut = False
    await gated.gate.until(1)
    await site.record("cut", "third", execute_status="success")
    await expect(page.locator(".news-link")).to_have_text("2 new runs")


async def test_a_refused_stream_is_asked_around(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """A proxy that lets none through leaves the pages alive."""
    gated.gate.is_shut = True
    page = await list_page(site, gated, open_context, "refused")
    await gated.gate.until_refused()
    await site.record("refused", "second", execute_status="success")
    await expect(page.locator(".news-link")).to_have_text("1 new run")


async def test_a_hidden_tab_lets_go_of_its_stream(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """And has caught up when it is shown again."""
    page = await list_page(site, gated, open_context, "hidden")
    await gated.gate.until(1)
    await page.evaluate(_HIDE, True)
    await gated.gate.until(0)
    await site.record("hidden", "second", execute_status="success")
    await expect(page.locator(".news-link")).to_have_count(0)
    await page.evaluate(_HIDE, False)
    await expect(page.locator(".news-link")).to_have_text("1 new run")
    await gated.gate.until(1)


async def test_many_tabs_share_one_stream(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """More than a browser has connections: every one of them loads, and every one hears."""
    page = await list_page(site, gated, open_context, "many")
    pages = [page, *[await page.context.new_page() for _ in range(7)]]
    for each in pages[1:]:
        await each.goto(page.url)
    await gated.gate.until(1)
    await site.record("many", "second", execute_status="success")
    for each in pages:
        await expect(each.locator(".news-link")).to_have_text("1 new run")
    assert 1 == len(gated.gate.listening)
    for each in pages:
        await each.close()
    await gated.gate.until(0)


async def test_a_browser_without_shared_workers_listens_by_itself(
    site: Site, gated: Gated, open_context: OpenContext
) -> None:
    """As those of some phones."""
    await site.record("phone", "first", execute_status="success")
    page = await (await open_context(width=390)).new_page()
    await page.add_init_script("delete window.SharedWorker")
    await page.goto(f"{gated.base}/workflows/phone/runs")
    await gated.gate.until(1)
    await site.record("phone", "second", execute_status="success")
    await expect(page.locator(".news-link")).to_have_text("1 new run")


async def test_an_empty_list_fills_by_itself(site: Site, gated: Gated, open_context: OpenContext) -> None:
    """There is nothing in it that could move."""
    await site.record("other", "first", execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto(f"{gated.base}/runs?tag=awaited")
    await gated.gate.until(1)
    await site.record("other", "second", execute_status="success", metadata={"tags": ["awaited"]})
    await expect(page.locator("tr[data-row]")).to_have_count(1)


@dataclass
class Talk:
    """A workflow that speaks until it may end, however long a browser takes to look at it."""

    may_end: bool = False

    def workflow(self) -> Workflow:
        """The workflow, for a sandbox."""
        return Workflow(str(FIRST), "talk", "Speaks until it may end.", self._steps)

    async def run(self, runner: CozeRunner) -> None:
        """Run it to its end, as a stream."""
        async for _ in runner.stream_workflow(str(FIRST)):
            pass

    def _steps(self, inputs: Inputs) -> Iterator[Step]:
        node = Node("1", "Talker", "LLM")
        yield Packet(node, "Well, ", is_last=False)
        while not self.may_end:
            yield Pause(10)
        yield Packet(node, "that is all.", is_last=True)
        yield Finished(encode({"said": len(inputs.parameters)}).decode())


async def test_a_run_is_followed_from_its_first_word(tmp_path: Path, open_context: OpenContext) -> None:
    """A run beside its list: its page is there while it runs, fills as it speaks, and shows its end."""
    talk = Talk()
    async with serve_sandbox(workflows={str(FIRST): talk.workflow()}) as upstream:
        accounts = {"default": {"base_url": upstream.base_url, "token": upstream.token}}
        settings = load_settings(store=CHOSEN.location(tmp_path / "history"), accounts=accounts)
        async with open_application(settings) as application:
            gate = Gate(create_app(application))
            async with served(gate) as base:
                talk.may_end = True
                await talk.run(application.runner)
                talk.may_end = False
                page = await (await open_context()).new_page()
                await page.goto(f"{base}/workflows/{FIRST}/runs")
                await gate.until(1)
                running = asyncio.create_task(talk.run(application.runner))
                await page.locator(".news-link").click()
                await page.locator("tr[data-status=running] a[data-open]").click()
                await expect(page.locator(".open-run h1")).to_contain_text("Running for")
                await expect(page.locator(".open-run")).to_contain_text("Well,")
                talk.may_end = True
                await running
                await expect(page.locator(".open-run h1")).to_contain_text("Succeeded after")
                await expect(page.locator("tr.current")).to_have_attribute("data-status", "success")
                gate.cut()
