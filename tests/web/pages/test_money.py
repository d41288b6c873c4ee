"""What runs cost, on the pages: charts of all workflows, and prices."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import expect

from execution_history import ExecutionHistoryService
from execution_history.web import create_app
from tests.faulty_store import FaultyStore
from tests.sample_records import changed, document
from tests.web.conftest import served
from tests.web.pages.conftest import FIRST, OpenContext, Site

pytestmark = pytest.mark.anyio

USAGE = {"input_count": 1_000, "output_count": 500, "token_count": 1_500}


async def form(site: Site, **fields: str) -> int:
    """Send the form of the page of prices; the status of the answer."""
    return (await site.client.post("/prices", data=fields, headers={"origin": site.base})).status_code


async def test_a_price_is_set_changed_and_removed_by_forms(site: Site) -> None:
    """A price that somebody else has changed meanwhile stays; what is wrong is said above the form as it was filled."""
    assert "There are no prices yet" in (await site.client.get("/prices")).text
    assert 303 == await form(site, action="set", workflow="form", input="0.25", output="1", total="", currency="usd")
    page = (await site.client.get("/prices")).text
    assert all(text in page for text in ("0.25", "USD", "Remove"))
    entry = re.findall(r'name="entry" value="(\d+)"', page)[0]
    await form(site, action="set", workflow="form", input="0.5", output="1", currency="usd")
    assert 409 == await form(site, action="remove", workflow="form", account="*", entry=entry)
    assert 303 == await form(site, action="remove", workflow="form", account="*")
    page = (await site.client.get("/prices")).text
    assert "Set again" in page
    versions = re.findall(r'href="(/prices/versions[^"]+)">1 earlier', page)[0].replace("&amp;", "&")
    page = (await site.client.get(versions)).text
    assert all(text in page for text in ("removed", ">0.25<", ">0.5<"))
    assert "There never was such a price." in (await site.client.get("/prices/versions?workflow=none")).text
    wrong = await site.client.post(
        "/prices", data={"action": "set", "account": "<b>", "input": "x", "output": "1"}, headers={"origin": site.base}
    )
    assert 422 == wrong.status_code
    assert "not &#39;x&#39;" in wrong.text
    assert 'name="account" value="&lt;b&gt;"' in wrong.text
    assert 422 == await form(site, action="burn")
    assert 303 == await form(site, action="budget", amount="100", currency="cny")
    assert 422 == await form(site, action="budget", amount="much")


async def test_charts_of_all_workflows_have_costs_and_the_month(site: Site) -> None:
    """Tokens of input and output apart, the budget, and tables by workflow, account and caller."""
    await form(site, action="set", input="1", output="2", currency="cny")
    await form(site, action="budget", amount="100", currency="cny")
    await site.record("costly", "c1", execute_status="success", usage=USAGE, metadata={"caller": "nightly"})
    await site.record("costly", "c2", execute_status="failed", error_message="no <b>", usage=USAGE,
                      node_execute_status={"Writer": {"node_type": "LLM", "error_message": "no"}})  # fmt: skip
    page = (await site.client.get("/charts?window=24h")).text
    assert 'href="/charts"' in page
    assert all(text in page for text in ("Tokens", "input", "output", "¥4.00", "This month, until today", "¥100.00"))
    assert re.search(r"no &lt;b&gt;.*?Writer", page, re.DOTALL)
    by_workflow = (await site.client.get("/charts?by=workflow")).text
    assert 'href="/workflows/costly?window=7d"' in by_workflow
    assert "nightly" in (await site.client.get("/charts?by=caller")).text
    alone = (await site.client.get("/workflows/costly")).text
    assert "¥4.00" in alone
    assert "¥100.00" not in alone, "a budget is for everything"
    chosen = (await site.client.get("/charts?from=2020-03-01&to=2020-01-01")).text
    assert 'name="from" value="2020-01-01"' in chosen
    assert "No runs in this period." in chosen
    today = (await site.client.get("/charts?from=today")).text
    assert re.search(r'name="from" value="(\d{4}-\d\d-\d\d)"></label>.*name="to" value="\1"', today)
    assert 200 == (await site.client.get("/charts?from=0001-01-01&to=9999-12-31")).status_code
    assert 200 == (await site.client.get("/charts?from=x&window=y&by=z")).status_code


async def test_costs_are_computed_again_by_a_button(site: Site) -> None:
    """First only what would change is told."""
    await form(site, action="remove", workflow="*", account="*")
    await site.record("again", "a1", execute_status="success", usage=USAGE)
    await form(site, action="set", workflow="again", input="1", output="2", currency="cny")
    await site.indexed()
    answers = [
        (await site.client.post("/prices/recalculation", data={"action": action}, headers={"origin": site.base})).text
        for action in ("try", "reprice", "try")
    ]
    assert re.search(r'role="status"><span>The cost of 1 of \d+ runs would change, from ', answers[0])
    assert re.search(r'role="status"><span>The cost of 1 of \d+ runs changed, from ', answers[1])
    assert 'role="status"><span>No costs would change.' in answers[2]


async def test_a_recalculation_that_takes_longer_is_followed_and_can_be_stopped(
    site: Site, open_context: OpenContext
) -> None:
    """The page shows how far it is, and by itself what has become of it."""
    store = FaultyStore()
    async with ExecutionHistoryService(store) as service:
        await service.merge([changed(document(f"e{number}"), 2_000, "success", usage=USAGE) for number in range(3)])
        await service.set_price({"input": 1, "output": 2})
        async with served(create_app(replace(site.application, service=service))) as base:
            page = await (await open_context()).new_page()
            line = page.locator(".change")
            for button, said in (("", "The cost of 3 of 3 runs changed"), ("Stop", "It was stopped before its end.")):
                store.running.clear()
                await service.set_price({"input": 3, "output": 4 + len(button)})
                await page.goto(f"{base}/prices")
                await page.get_by_label("Runs of the last").select_option("all")
                await page.get_by_role("button", name="Recalculate").click()
                await expect(page).to_have_url(re.compile(r"/prices\?recalculation=[\w-]+&window=all#again$"))
                await expect(line).to_contain_text("Recalculating costs: 3 of 3 runs.")
                if button:
                    await line.get_by_role("button", name=button).click()
                else:
                    store.running.set()
                await expect(line).to_contain_text(said)


async def test_a_chart_shows_the_values_of_a_bucket(site: Site, open_context: OpenContext) -> None:
    """Where one points, taps or walks with the arrow keys; without scripts they are titles, and stand in the table."""
    await site.run(3)
    address = f"/workflows/{FIRST + 3}?window=24h"
    page = await (await open_context(has_touch=True)).new_page()
    await page.goto(address)
    chart = page.locator(".chart").first
    values, readout, last = chart.locator(".values"), chart.locator(".readout"), chart.locator(".spot").last
    await last.hover()
    await expect(readout).to_contain_text("Failed 1")
    await expect(values).to_be_hidden()
    await page.mouse.move(0, 0)
    await expect(values).to_be_visible()
    await last.tap()
    await expect(readout).to_contain_text("Failed 1")
    field = page.locator(".chart .field").nth(1)
    await field.focus()
    await field.press("ArrowLeft")
    await expect(page.locator(".chart .readout").nth(1)).to_contain_text("p95")
    await field.press("Escape")
    await expect(page.locator(".chart .values").nth(1)).to_be_visible()
    plain = await (await open_context(java_script_enabled=False)).new_page()
    await plain.goto(address)
    assert "Failed 1" in (await plain.locator(".chart .spot title").nth(24).text_content() or "")
    await expect(plain.locator("table.list").first).to_contain_text("1")


@pytest.mark.parametrize(("language", "theme"), [("en-GB", "light"), ("zh-CN", "dark")])
async def test_pages_of_money_are_accessible_and_fit_a_phone(
    site: Site, open_context: OpenContext, language: str, theme: str
) -> None:
    """By axe's rules, and nothing is wider than the screen."""
    from tests.web.pages.test_browser import faults_of  # noqa: PLC0415 - its tests are not collected here

    await form(site, action="set", input="1", output="2", currency="cny")
    await site.record("wide", language, execute_status="success", usage=USAGE)
    found: dict[str, list[str]] = {}
    for width in (1440, 390):
        page = await (await open_context(locale=language, color_scheme=theme, width=width)).new_page()
        for address in (
            "/charts?window=24h&by=workflow",
            "/charts?window=30d",
            "/charts?window=1y",
            "/prices",
            "/prices/versions",
        ):
            await page.goto(address)
            # A phone in the dark and a wide screen in the light have every rule's cases between them.
            faults = await faults_of(page) if (width == 390) == (theme == "dark") else []
            if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append("wider than the screen")
            if faults:
                found[f"{width} {address}"] = faults
    assert {} == found
