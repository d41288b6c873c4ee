"""Lists in a real Chromium: everything that matches, the filter bar, menus, and a phone."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.web.pages.conftest import OpenContext, Site
from tests.web.pages.test_browser import faults_of

pytestmark = pytest.mark.anyio

ERROR = "The plugin timed out"


@pytest.fixture(scope="module")
async def filled(site: Site) -> Site:
    """Seventy failed runs with long inputs, some of them tagged, and two that succeeded."""
    for number in range(70):
        await site.record(
            "many",
            f"run-{number:02}",
            parameters={"question": "word " * 60},
            execute_status="failed",
            error_message=ERROR,
            error_code=7,
            metadata={"tags": ["odd"] if number % 2 else [], "account": "eu"},
        )
    for number in range(2):
        await site.record("many", f"ok-{number}", execute_status="success")
    return site


async def test_all_that_match_are_deleted_and_brought_back(filled: Site, open_context: OpenContext) -> None:
    """The box in the head selects the page, one more box all that match; the line on top undoes it."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    await page.locator("[data-every]").check()
    await expect(page.locator("tr[data-row] input:checked")).to_have_count(50)
    await page.get_by_label("All 70 that match").check()
    await expect(page.get_by_role("button", name="Compare")).to_be_hidden()
    await page.locator(".act").get_by_role("button", name="Delete").click()
    await expect(page.locator(".change")).to_contain_text("70 runs deleted.")
    assert 2 == (await filled.application.service.get_execution_history("many"))["total"]
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(".change")).to_contain_text("70 runs restored.")
    await expect(page.locator(".tab[aria-current]")).to_have_text(re.compile("Failed\\s+70"))
    await filled.indexed()


@pytest.mark.usefixtures("filled")
async def test_who_unticks_a_run_does_not_mean_all(open_context: OpenContext) -> None:
    """The box for all that match is cleared, and that in the head stands between."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    await page.locator("[data-every]").check()
    await page.get_by_label("All 70 that match").check()
    await page.locator("tr[data-row] input").nth(3).uncheck()
    await expect(page.get_by_label("All 70 that match")).not_to_be_checked()
    assert await page.locator("[data-every]").evaluate("(box) => box.indeterminate")


@pytest.mark.usefixtures("filled")
async def test_facets_and_tabs_are_filled_in(open_context: OpenContext) -> None:
    """Numbers of a filtered list's tabs come by themselves, facets when the menu is opened; a value filters."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?account=eu")
    await expect(page.locator(".tab.is-failed")).to_have_text(re.compile("Failed\\s+70"))
    await page.get_by_text("+ Filter").click()
    await page.locator(".facets").get_by_role("link", name=re.compile("odd")).click()
    await expect(page).to_have_url(re.compile("account=eu&tag=odd"))
    await expect(page.locator(".tab.is-all")).to_have_text(re.compile("All\\s+35"))
    await page.get_by_role("link", name="Remove the filter Tag odd").click()
    await expect(page).not_to_have_url(re.compile("tag="))


@pytest.mark.usefixtures("filled")
async def test_a_time_range_has_an_end(open_context: OpenContext) -> None:
    """From and to are in the reader's zone; both are chips that can be removed."""
    page = await (await open_context()).new_page()
    await page.goto("/runs")
    await page.get_by_text("Time", exact=True).click()
    await page.get_by_label("From", exact=True).fill("2026-01-01T08:00")
    await page.get_by_label("To", exact=True).fill("2026-01-02T09:30")
    await page.locator(".range").get_by_role("button", name="Apply").click()
    await expect(page).to_have_url(re.compile("since=2026-01-01T08%3A00&until=2026-01-02T09%3A30"))
    await expect(page.locator(".chip")).to_have_count(2)
    await page.get_by_text("Time", exact=True).click()
    await expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-01T08:00")
    await page.get_by_role("link", name="7 days").click()
    await expect(page).to_have_url(re.compile(r"/runs\?since=7d$"))


@pytest.mark.usefixtures("filled")
async def test_views_have_a_menu(open_context: OpenContext) -> None:
    """A list is saved by its name; the menu of the top bar leads to it, Escape closes the menu and leaves the page."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    await page.get_by_text("Save view").click()
    await page.get_by_label("Name of the view").fill("Failed here")
    await page.locator(".save").get_by_role("button", name="Save").click()
    await expect(page.locator("h1")).to_contain_text("Failed here")
    await page.goto("/")
    await page.get_by_role("link", name="Views").click()
    entry = page.locator(".views-menu").get_by_role("link", name=re.compile("Failed here\\s+70"))
    await expect(entry).to_be_visible()
    assert [] == await faults_of(page)
    await page.keyboard.press("Escape")
    await expect(entry).to_have_count(0)
    await page.get_by_role("link", name="Views").click()
    await entry.click()
    await expect(page.locator("h1")).to_contain_text("Failed here")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("language", "theme"), [("en-GB", "light"), ("zh-CN", "dark")])
async def test_lists_are_accessible_with_everything_open(open_context: OpenContext, language: str, theme: str) -> None:
    """By axe's rules, on a wide screen and on a phone; nothing is wider than a phone."""
    for width in (1440, 390):
        page = await (await open_context(locale=language, color_scheme=theme, width=width)).new_page()
        chosen = "/workflows/many/runs?columns=status,started,run,tags,cost,output"
        for address in (
            "/workflows/many/runs?status=failed&tag=odd",
            chosen,
            "/runs/changes",
            "/views",
            "/runs/facets",
        ):
            await page.goto(address)
            for menu in await page.locator(".menu > summary, .filters > summary").all():
                await menu.evaluate("(summary) => { summary.parentElement.open = true; }")
            # A phone in the dark and a wide screen in the light have every rule's cases between them.
            if (width == 390) == (theme == "dark"):
                assert [] == await faults_of(page), address
            assert await _fits(page), f"{address} at {width}"


async def _fits(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.usefixtures("filled")
async def test_on_a_phone_the_error_is_seen_and_the_whole_row_opens_its_run(open_context: OpenContext) -> None:
    """However long the input was; a row and its box are at least 44 px high."""
    page = await (await open_context(width=390)).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    row = page.locator("tr[data-row]").first
    error = row.get_by_text(ERROR)
    await expect(error).to_be_visible()
    box, target = await row.bounding_box(), await row.locator(".target").bounding_box()
    assert box is not None
    assert target is not None
    assert min(box["height"], target["height"], target["width"]) >= 44
    assert await error.evaluate("(node) => { const a = node.getBoundingClientRect(); return a.right <= innerWidth; }")
    await page.mouse.click(box["x"] + box["width"] - 20, box["y"] + box["height"] - 8)
    await expect(page.locator("article h1")).to_contain_text("Failed after")


@pytest.mark.usefixtures("filled")
async def test_without_scripts_lists_can_be_filtered_and_all_changed(open_context: OpenContext) -> None:
    """The form, the values with counts as a page, and all that match once a run is ticked."""
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    await page.locator("tr[data-row] input").first.check()
    await page.get_by_label("All 70 that match").check()
    await page.locator(".act").get_by_role("button", name="Pin", exact=True).click()
    await expect(page.locator(".change")).to_contain_text("70 runs changed.")
    await expect(page.locator(".tab.is-pinned")).to_contain_text("70")
    await page.get_by_text("+ Filter").click()
    await page.get_by_role("link", name="Filter values").click()
    await page.locator(".facets").get_by_role("link", name=re.compile("odd")).click()
    await expect(page.locator(".tab.is-failed")).to_contain_text("35")


@pytest.mark.usefixtures("filled")
async def test_columns_are_chosen_and_kept_in_a_view(open_context: OpenContext) -> None:
    """Boxes choose them, arrows move them while the menu stays open; the view that is saved has them."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?status=failed")
    await page.locator("#columns > summary").click()
    menu = page.locator("#columns")
    for name in ("Duration", "Tokens", "Input → output or error"):
        await menu.get_by_label(name, exact=True).uncheck()
    await menu.get_by_label("Tags", exact=True).check()
    await menu.get_by_role("button", name="Apply").last.click()
    heads = page.locator("thead th")
    await expect(heads).to_contain_text(["Selection", "Status", "Started", "Tags"])
    await page.locator("#columns > summary").click()
    await menu.get_by_role("button", name="Tags further left").press("Enter")
    await expect(heads).to_contain_text(["Selection", "Status", "Tags", "Started"])
    await expect(menu.get_by_role("button", name="Tags further left")).to_be_visible()
    await page.get_by_text("Save view").click()
    await page.get_by_label("Name of the view").fill("By tags")
    await page.locator(".save").get_by_role("button", name="Save").click()
    await expect(page).to_have_url(re.compile("columns=status%2Ctags%2Cstarted&view="))
    await expect(page.locator("tr[data-row]").first).to_contain_text("odd")


async def test_changes_are_a_page(filled: Site, open_context: OpenContext) -> None:
    """The line of a change leads there; what was deleted comes back from there."""
    page = await (await open_context()).new_page()
    await page.goto("/workflows/many/runs?status=success")
    await page.locator("[data-every]").check()
    await page.locator(".act").get_by_role("button", name="Delete").click()
    await page.locator(".change").get_by_role("link", name="All changes").click()
    row = page.locator(".changes-list tbody tr").first
    await expect(row).to_contain_text("2 runs deleted.")
    await row.get_by_role("button", name="Undo").click()
    await expect(page.locator(".change")).to_contain_text("2 runs restored.")
    await expect(page.locator(".changes-list tbody tr").nth(1)).to_contain_text("2 runs were deleted; that was undone.")
    await filled.indexed()


@pytest.mark.usefixtures("filled")
async def test_without_scripts_all_that_match_can_be_chosen_and_columns_too(open_context: OpenContext) -> None:
    """The bar has their number, also where they are on one page and nothing is ticked; so do columns."""
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto("/workflows/many/runs?status=success")
    await page.get_by_label("All 2 that match").check()
    await page.locator(".act").get_by_role("button", name="Pin", exact=True).click()
    await expect(page.locator(".change")).to_contain_text("2 runs changed.")
    await page.locator("#columns > summary").click()
    await page.locator("#columns").get_by_label("Run id").check()
    await page.locator("#columns").get_by_role("button", name="Apply").last.click()
    await expect(page.locator("thead")).to_contain_text("Run id")
