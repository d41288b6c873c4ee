"""Workflows by name on the page: the form in their heading, the lists, the search, the switcher, in Chromium too."""

import re

import pytest
from playwright.async_api import expect

from tests.web.pages.conftest import FIRST, OpenContext, Site
from tests.web.pages.test_browser import HOSTILE, faults_of

pytestmark = pytest.mark.anyio


async def _named(site: Site, workflow_id: str, **fields: str) -> None:
    """Send the form of a workflow's heading."""
    answer = await site.client.post(f"/workflows/{workflow_id}/name", data={**fields, "back": "/runs?status=failed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=failed")


async def test_a_workflow_is_shown_by_its_name_everywhere(site: Site) -> None:
    """With the end of its id beside it: overview, lists, run, charts, switcher, titles; without a name by its id."""
    path = await site.record("7300000000000000001", "one", execute_status="success", output="x")
    page = (await site.client.get("/runs")).text
    assert ">…00000001<" in re.sub("</?bdi>", "", page)

    await _named(site, "7300000000000000001", name="Wetter & Co", description="Says <b>rain</b>")

    for address in ("/", "/runs", "/workflows/7300000000000000001/runs", "/workflows/7300000000000000001", path,
                    "/switcher?q=WETTER"):  # fmt: skip
        page = re.sub("</?bdi>", "", (await site.client.get(address)).text)
        assert ">Wetter &amp; Co</span>" in page, address
        assert 'title="7300000000000000001">…00000001</span>' in page, address
    page = (await site.client.get("/workflows/7300000000000000001/runs")).text
    assert "Says &lt;b&gt;rain&lt;/b&gt;" in page
    assert "<title>All runs · Wetter &amp; Co" in page


async def test_the_form_changes_only_what_it_has(site: Site) -> None:
    """A star keeps the name, and a name keeps the star."""
    await site.record("star", "one", execute_status="success")
    await _named(site, "star", name="Shining")
    await _named(site, "star", starred="true")
    await _named(site, "star", description="")
    noted = (await site.application.service.names())["star"]
    assert (noted.name, noted.starred) == ("Shining", True)


async def test_starred_ones_stand_first_and_hidden_ones_behind_a_link(site: Site) -> None:
    """In the overview and the switcher; words find what is hidden, and names are never old."""
    for name in ("star-b", "star-a", "veiled"):
        await site.record(name, "one", execute_status="success")
    await _named(site, "star-b", starred="true")
    await _named(site, "veiled", hidden="true", name="Behind the veil")
    for address in ("/?window=30d", "/switcher"):
        page = (await site.client.get(address)).text
        assert "/workflows/veiled/" not in page
        assert "1 hidden" in page
        assert page.index("/workflows/star-b/runs") < page.index("/workflows/star-a/runs")
    assert "/workflows/veiled/" in (await site.client.get("/?window=30d&hidden=1")).text
    assert "/workflows/veiled/" in (await site.client.get("/switcher?q=behind")).text
    await _named(site, "veiled", hidden="false")
    assert "1 hidden" not in (await site.client.get("/?window=30d")).text


async def test_the_filter_takes_a_name(site: Site) -> None:
    """One name is one workflow; of several the page lists the ids, and the filter stays."""
    for workflow_id in ("twin-1", "twin-2"):
        await site.record(workflow_id, "only-" + workflow_id, execute_status="success", output="x")
    await _named(site, "twin-1", name="Twin")
    page = await site.client.get("/runs?workflow=twin")
    assert page.status_code == 200
    assert "/workflows/twin-1/runs/only-twin-1" in page.text
    assert "/workflows/twin-2/runs/only-twin-2" not in page.text
    await _named(site, "twin-2", name="Twin")
    page = await site.client.get("/runs?workflow=Twin")
    assert page.status_code == 422
    assert "names several workflows" in page.text
    assert "twin-1 (Twin)" in page.text
    assert "/workflows/twin-1" not in (await site.client.get("/workflows/Twin/runs")).text  # an address has an id


async def test_the_search_box_finds_workflows_and_runs_by_parts_of_ids(site: Site) -> None:
    """A name leads to its workflow; what ends like the words leads to the run, or to each of several."""
    await site.record("found-by-name", "0190aaaa-1111-7000-8000-00000abcdef1", execute_status="success")
    await site.record("found-by-name", "0190aaaa-2222-7000-8000-00000abcdef2", execute_status="failed")
    await _named(site, "found-by-name", name="Ferry times")
    await site.application.service.follow_index()
    assert '<a href="/workflows/found-by-name/runs">' in (await site.client.get("/runs?q=ferry+time")).text
    for words in ("ferry+times", "Ferry+times", "found-by-name", "by-name", "…ound-by-name", "…found-by"):
        answer = await site.client.get(f"/runs?q={words}")
        is_unique = words != "by-name"  # seven characters are too few
        assert answer.headers.get("location") == ("/workflows/found-by-name/runs" if is_unique else None), words
    answer = await site.client.get("/runs?q=…0abcdef1")
    assert answer.headers["location"] == "/workflows/found-by-name/runs/0190aaaa-1111-7000-8000-00000abcdef1"
    assert "0190aaaa-1111" in (await site.client.get("/runs?id_end=…abcdef1")).text
    assert "/workflows/found-by-name/" in (await site.client.get("/switcher?q=…by-name")).text
    answer = await site.client.get("/runs?q=0abcdef1")
    assert answer.headers["location"] == "/workflows/found-by-name/runs/0190aaaa-1111-7000-8000-00000abcdef1"
    page = (await site.client.get("/runs?q=0190aaaa")).text
    assert "/workflows/found-by-name/runs/0190aaaa-1111-7000-8000-00000abcdef1" in page
    assert "/workflows/found-by-name/runs/0190aaaa-2222-7000-8000-00000abcdef2" in page


async def test_a_form_of_another_origin_names_nothing(site: Site) -> None:
    """As all other forms, it takes the page's own origin only."""
    answer = await site.client.post(
        "/workflows/foreign/name", data={"name": "x"}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert "foreign" not in await site.application.service.names()


async def test_a_name_that_cannot_be_one_is_a_sentence(site: Site) -> None:
    """A name that is too long is refused by a page that says what is possible."""
    answer = await site.client.post("/workflows/w/name", data={"name": "x" * 201})
    assert answer.status_code == 422
    assert "at most 200 characters" in answer.text


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_workflow_is_renamed_in_a_browser(site: Site, open_context: OpenContext, scripts: bool) -> None:
    """With and without scripts: unfold, type, save, and the heading has the name; the star is one press."""
    workflow_id = f"renamed-{scripts}"
    await site.record(workflow_id, "one", execute_status="success", output="x")
    page = await (await open_context(java_script_enabled=scripts)).new_page()
    await page.goto(f"/workflows/{workflow_id}/runs?status=success")
    await page.locator(".naming summary").click()
    await page.get_by_label("Name", exact=True).fill("Quarterly report")
    await page.get_by_label("Description", exact=True).fill("For the board")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("h1 .called")).to_have_text("Quarterly report")
    await expect(page.locator(".about")).to_have_text("For the board")
    assert "status=success" in page.url
    await page.get_by_role("button", name="Star this workflow").click()
    await expect(page.get_by_role("button", name="Star this workflow")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("width", [1440, 390])
async def test_hostile_names_are_text(site: Site, open_context: OpenContext, width: int) -> None:
    """Nothing in a name or a description runs, turns the page round or makes it wider than a phone."""
    context = await open_context(width=width)
    page = await context.new_page()
    addresses = ["/", "/runs"]
    for number, text in enumerate(HOSTILE):
        harmless = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text)
        workflow_id = f"hostile-{width}-{number}"
        await site.record(workflow_id, "one", execute_status="failed", error_message="no")
        await _named(site, workflow_id, name=harmless + "y" * 100, description=harmless * 3)
        addresses += [f"/workflows/{workflow_id}/runs", f"/workflows/{workflow_id}"]
    for address in addresses:
        await page.goto(address)
        assert await page.evaluate("window.hacked") is None
        assert await page.evaluate("document.querySelectorAll('main img, main script').length") == 0
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.goto(f"/workflows/hostile-{width}-0/runs")
    await page.locator(".naming summary").click()
    assert await faults_of(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_renaming_is_seen_where_it_is_typed(site: Site, open_context: OpenContext) -> None:
    """The switcher finds the workflow by its new name at once."""
    await site.record(str(FIRST + 77), "one", execute_status="success")
    await _named(site, str(FIRST + 77), name="Ferry prices")
    page = await (await open_context()).new_page()
    await page.goto("/runs")
    await page.keyboard.press("w")
    await page.locator("#switch input").fill("ferry pr")
    await expect(page.locator(".found a")).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/workflows/{FIRST + 77}/runs")
