"""The overview in a browser: what failed is seen at once, stays up to date, and can be tapped and sorted."""

import re
from typing import Final

import pytest
from playwright.async_api import Page, Position, expect

from execution_history.clock import now_ms
from execution_history.records.record import new_document
from execution_history.web.pages.sparkline import RUNS
from tests.web.pages.conftest import OpenContext, Site

pytestmark = pytest.mark.anyio

_DAY: Final = 86_400_000

_LEAST_TAPPED: Final = 44
"""Pixels that a finger needs (WCAG 2.5.5)."""


async def _failed(site: Site, workflow_id: str, execute_id: str, message: str) -> None:
    nodes = {
        "Writer": {
            "node_id": "7", "node_title": "Writer", "node_type": "LLM", "start_time": 1_764_000_000_000,
            "update_time": 1_764_000_003_000, "is_finish": False, "error_message": message,
        }
    }  # fmt: skip
    await site.record(
        workflow_id, execute_id, execute_status="failed", error_message=message, node_execute_status=nodes
    )


async def _overview(open_context: OpenContext, address: str = "/", **options: object) -> Page:
    page = await (await open_context(**options)).new_page()
    await page.goto(address)
    return page


async def test_a_failure_is_seen_as_it_happens(site: Site, open_context: OpenContext) -> None:
    """In the list and in the title of the tab, which say the same number."""
    # Something is new only where the history is older than what it is compared with.
    older = new_document(workflow_id="watched", execute_id="older", now=now_ms() - 3 * _DAY, execute_status="success")
    await site.application.service.merge([older])
    await site.record("watched", "first", execute_status="success")
    page = await _overview(open_context)
    await expect(page.locator("tr[data-row='watched']")).to_have_count(1)
    await _failed(site, "watched", "second", "the ferry sank")
    row = page.locator(".failures tr", has_text="the ferry sank")
    await expect(row.locator(".count")).to_have_text("1×")
    await expect(row.locator(".mark")).to_have_text("new")
    await expect(row.locator(".in-node")).to_have_text("in Writer")
    number = re.match(r"\s*(\d+) of \d+ runs? failed since yesterday", await page.locator("h1").inner_text())
    assert number is not None
    await expect(page).to_have_title(f"({number[1]}) Overview · execution-history")


async def test_a_window_and_an_order_are_a_click_away(site: Site, open_context: OpenContext) -> None:
    """Both stand in the address, each keeps the other, and a second click turns the order round."""
    await site.record("some", "one", execute_status="success")
    await site.record("some", "two", execute_status="success")
    await site.record("more", "one", execute_status="success")
    page = await _overview(open_context)
    await page.get_by_role("link", name="7 days").click()
    await expect(page).to_have_url(re.compile(r"/\?window=7d$"))
    await page.locator(".workflows thead").get_by_role("link", name="Runs").click()
    await expect(page).to_have_url(re.compile(r"/\?window=7d&sort=runs$"))
    rows = page.locator(".workflows tbody tr[data-row]")
    names = [await row.get_attribute("data-row") for row in await rows.all()]
    assert names.index("some") < names.index("more")
    await page.locator("th[aria-sort=descending] a").click()
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("Runs")
    names = [await row.get_attribute("data-row") for row in await rows.all()]
    assert names.index("more") < names.index("some")


async def test_a_failure_can_be_tapped_on_a_phone(site: Site, open_context: OpenContext) -> None:
    """Its error is there to be read, and its whole row leads to the runs; nothing is wider than the screen."""
    await _failed(site, "tapped", "one", "the ferry to the other side of the bay has not left the harbour yet")
    page = await _overview(open_context, "/?failures=all", width=390)
    row = page.locator(".failures tbody tr", has_text="the ferry to the other side")
    await expect(row.locator(".what a")).to_be_visible()
    # In one step: the page may be renewed between two.
    height, width, page_width = await page.evaluate(
        """(text) => {
          const rows = [...document.querySelectorAll(".failures tbody tr")];
          const row = rows.find((each) => each.textContent.includes(text));
          return [row.offsetHeight, row.offsetWidth, document.documentElement.scrollWidth];
        }""",
        "the ferry to the other side",
    )
    assert (True, True, 390) == (height >= _LEAST_TAPPED, width > 300, page_width)
    await row.click(position={"x": 60, "y": 12})
    await expect(page).to_have_url(re.compile(r"/runs\?fingerprint=[0-9a-f]+&since=24h$"))
    await expect(page.locator("tr[data-row]")).to_have_count(1)


async def test_a_page_that_was_kept_is_renewed_soon(site: Site, open_context: OpenContext) -> None:
    """One that is shown again lacks what has happened since; nothing else has to happen for it to be seen."""
    await _failed(site, "kept", "one", "the buoy is adrift")
    await _overview(open_context, "/?failures=all")
    await _failed(site, "kept", "two", "the anchor is lost")
    page = await _overview(open_context, "/?failures=all")
    await expect(page.locator(".failures tbody tr", has_text="the anchor is lost")).to_have_count(1)


async def test_nothing_is_replaced_under_a_pressed_finger(site: Site, open_context: OpenContext) -> None:
    """A page that became old between press and release waits: the tap leads where it was aimed."""
    await _failed(site, "pressed", "one", "the tide is out")
    page = await _overview(open_context, "/?failures=all")
    row = page.locator(".failures tbody tr", has_text="the tide is out")
    await row.hover(position={"x": 60, "y": 12})
    await page.mouse.down()
    await _failed(site, "pressed", "two", "the tide is high")
    renewed = "() => import(document.querySelector('link[href*=\"renewal\"]').href).then((it) => it.showWholePage())"
    assert (await page.evaluate(renewed)) is False
    await page.mouse.up()
    await expect(page).to_have_url(re.compile(r"/runs\?fingerprint=[0-9a-f]+&since=24h$"))


async def test_it_can_be_read_without_scripts(site: Site, open_context: OpenContext) -> None:
    """Failures, their bars and all links are made on the server."""
    await _failed(site, "read", "one", "no script has run")
    page = await _overview(open_context, "/?failures=all&window=30d", java_script_enabled=False)
    row = page.locator(".failures tbody tr", has_text="no script has run")
    await expect(row.locator(".spark .failed")).to_have_count(1)
    await row.locator(".wf a").click()
    await expect(page).to_have_url(re.compile("/workflows/read/runs$"))


async def test_each_of_the_last_runs_is_told_and_opened_from_its_tick(site: Site, open_context: OpenContext) -> None:
    """Pointing at it tells when it was and how long it took; a click or a tap opens it, without scripts the list."""
    await site.record("ticked", "one", execute_status="success")
    await _failed(site, "ticked", "two", "no tick")
    for touch in (False, True):
        page = await _overview(open_context, has_touch=touch)
        cell = page.locator("tr[data-row=ticked] .ticks-cell")
        await expect(cell.locator(".for-ears")).to_contain_text("failed 1")
        await page.locator("input[name=find]").focus()  # the page is not shown anew while somebody types there
        ticks, newest = cell.locator("svg"), Position(x=6 * RUNS - 4, y=10)
        if touch:
            await ticks.tap(position=newest)
        else:
            await ticks.hover(position=newest)
            await expect(cell.locator("title").last).to_contain_text("failed, ")
            await ticks.click(position=newest)
        await expect(page).to_have_url(re.compile("/workflows/ticked/runs/two$"))
    page = await _overview(open_context, java_script_enabled=False)
    await page.locator("tr[data-row=ticked] .ticks-cell a").click()
    await expect(page).to_have_url(re.compile("/workflows/ticked/runs$"))


async def test_numbers_are_labelled_on_a_phone(site: Site, open_context: OpenContext) -> None:
    """Where the heads of a table have no place, each number of overview, charts, nodes and prices says what it is."""
    await _failed(site, "labelled", "one", "no label")
    await site.application.service.set_price({"input": 1, "output": 2})
    page = await (await open_context(width=390)).new_page()
    label = "(cell) => getComputedStyle(cell, '::before').content"
    for address, cell, expected in (
        ("/", ".workflows tr[data-row=labelled] td.failed", "Failed"),
        ("/charts?window=24h", ".kinds td.num", "Runs"),
        ("/workflows/labelled/nodes", ".nodes td.p95", "p95"),
        ("/prices", ".prices td.num", "Input"),
    ):
        await page.goto(address)
        shown = page.locator(cell).first
        await expect(shown).to_be_visible()
        content = await shown.evaluate(label)
        assert f'"{expected}"' == content or (content == "none" and not await shown.text_content()), (address, content)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
