"""Rows of runs in a real Chromium: they open, name their workflow, and are chosen."""

import re

import pytest
from playwright.async_api import expect

from execution_history.clock import now_ms
from execution_history.records.record import RecordChange
from tests.web.pages.conftest import OpenContext, Site

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def filled(site: Site) -> Site:
    """Eight runs of a workflow with a name."""
    for number in range(8):
        await site.record("rows", f"row-{number}", parameters={"n": number}, execute_status="success", output="out")
    await site.application.service.name_workflow("rows", name="Order triage")
    return site


@pytest.mark.usefixtures("filled")
async def test_a_click_anywhere_in_a_row_opens_it(open_context: OpenContext) -> None:
    """Beside its list on a wide screen, where the row still names its workflow; on its own page on a narrower one."""
    page = await (await open_context(width=1280)).new_page()
    await page.goto("/runs")
    await page.locator("tr[data-row] td.num").first.click()
    await expect(page.locator(".open-run")).to_be_visible()
    await expect(page.locator(".runs td.wf .called").first).to_have_text("Order triage")
    await expect(page.locator(".runs td.wf .called").first).to_be_visible()
    page = await (await open_context(width=1000)).new_page()
    await page.goto("/runs")
    await page.locator("tr[data-row] td.gist").first.click()
    await expect(page).to_have_url(re.compile("/workflows/rows/runs/row-7$"))


@pytest.mark.usefixtures("filled")
async def test_boxes_and_selected_text_open_nothing(open_context: OpenContext) -> None:
    """A click on a box selects its run, and text of a row can be selected."""
    page = await (await open_context(width=1280)).new_page()
    await page.goto("/runs")
    await page.locator("tr[data-row] .target").first.click()
    text = await page.locator("tr[data-row] .out").first.bounding_box()
    assert text is not None
    await page.mouse.move(text["x"], text["y"] + 8)
    await page.mouse.down()
    await page.mouse.move(text["x"] + text["width"], text["y"] + 8)
    await page.mouse.up()
    assert "out" in await page.evaluate("getSelection().toString()")
    assert "open=" not in page.url


@pytest.mark.usefixtures("filled")
async def test_the_bar_of_a_phone_stands_above_the_boxes(open_context: OpenContext) -> None:
    """Wherever one taps on the bar, no box of a row behind it is hit."""
    page = await (await open_context(width=390)).new_page()
    await page.goto("/runs")
    for number in range(2):
        await page.locator("tr[data-row] .target").nth(number).click()
    hits = "(bar) => { const { left, top, height } = bar.getBoundingClientRect(); return [...Array(9).keys()].every("
    hits += "(n) => bar.contains(document.elementFromPoint(left + 22, top + 2 + (n * (height - 4)) / 8))); }"
    assert await page.locator(".act").evaluate(hits)


@pytest.mark.usefixtures("filled")
async def test_the_bar_says_how_many_are_selected_and_what_cannot_be_done(open_context: OpenContext) -> None:
    """More than six cannot be compared, which is said beside the button; a comparison leads back to its list."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/rows/runs?status=success")
    await page.locator("[data-every]").check()
    await expect(page.locator("[data-chosen]")).to_have_text("8 selected")
    await expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    await expect(page.get_by_text("Only two to 6 runs can be compared.")).to_be_visible()
    for number in range(6):
        await page.locator("tr[data-row] input").nth(number).uncheck()
    await expect(page.locator("[data-chosen]")).to_have_text("2 selected")
    await page.locator(".act").get_by_text("Export", exact=True).click()
    async with page.expect_download() as downloading:
        await page.locator(".act").get_by_role("button", name="CSV", exact=True).click()
    lines = (await (await downloading.value).path()).read_text().splitlines()
    assert 3 == len(lines), lines
    assert lines[0].startswith("execute_id,")
    await page.get_by_role("button", name="Compare").click()
    await page.get_by_role("link", name="Back to the list").click()
    await expect(page).to_have_url(re.compile(r"/workflows/rows/runs\?status=success$"))


async def test_what_is_folded_is_known_by_its_name(site: Site, open_context: OpenContext) -> None:
    """While a run changes, its Details stay open and its Metadata folded; the title of the tab keeps the workflow."""
    await site.record("folds", "one", execute_status="running", metadata={"team": {"a": 1}})
    page = await (await open_context()).new_page()
    await page.goto("/workflows/folds/runs/one")
    await expect(page.locator("#facts")).to_have_attribute("open", "")
    # What a live update brings may have further details before those that are there already.
    node = {"name": "Write", "content": "text", "node_title": "Write", "is_finish": True, "packets": [[0, 5, 4]]}
    service = site.application.service
    change = RecordChange.of(now_ms(), "success", None, fields={"node_execute_status": {"Write": node}, "output": "ok"})
    await service.store.update("folds", "one", change)
    await expect(page.locator("article.is-success")).to_be_visible()
    await expect(page).to_have_title(re.compile("^Succeeded.* · folds · execution-history$"))
    await expect(page.locator("#facts")).to_have_attribute("open", "")
    await expect(page.locator("#metadata")).not_to_have_attribute("open", "")
