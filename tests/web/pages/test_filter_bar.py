"""The filter bar of lists: tabs with numbers, facets with counts, times, and saved views; and its pure parts."""

import html
import re
from zoneinfo import ZoneInfo

import pytest

from execution_history.query.breakdown import Breakdown, Group
from execution_history.query.model import Figures, IndexReach
from execution_history.web.pages.list_filters import Count, counts_of, current_tab, local_time, shown_value, tabs_of
from execution_history.web.pages.list_state import ListState, list_state
from execution_history.web.pages.viewer import Viewer, viewer_of
from tests.web.pages.conftest import Site

VIEWER: Viewer = viewer_of({"zone": "Asia/Shanghai"}, "en", 1_764_000_000_000)


def state(*pairs: tuple[str, str]) -> ListState:
    """The state of a list with these parameters."""
    return list_state("/runs", pairs)


def breakdown(counts: dict[str, int], covers: int | None = None) -> Breakdown:
    """A breakdown by status."""
    groups = [
        Group(
            key=key,
            title=key,
            last_run=0,
            figures=Figures(runs=runs, counts={}, success_rate=None, p50=None, p95=None, p99=None, tokens=0),
        )
        for key, runs in counts.items()
    ]
    return Breakdown(groups=groups, total_groups=len(groups), bucket_edges=(), reach=IndexReach(1, 1), covers=covers)


def test_a_tab_keeps_the_other_filters_and_the_order() -> None:
    """It sets its own filter alone, and goes to the first page."""
    tabs = {tab.key: tab for tab in tabs_of(state(("status", "failed"), ("tag", "a"), ("sort", "duration")), {})}
    assert "/runs?tag=a&sort=duration" == tabs["all"].address
    assert "/runs?tag=a&status=running&sort=duration" == tabs["running"].address
    assert "/runs?tag=a&pinned=true&sort=duration" == tabs["pinned"].address
    assert ["failed"] == [key for key, tab in tabs.items() if tab.is_current]


@pytest.mark.parametrize(
    ("pairs", "tab"),
    [
        ((), "all"),
        ((("tag", "x"),), "all"),
        ((("pinned", "true"),), "pinned"),
        ((("pinned", "false"),), ""),
        ((("status", "success"),), "success"),
        ((("status", "success"), ("status", "failed")), ""),
        ((("status", "success,failed"),), ""),
    ],
)
def test_a_list_between_the_tabs_is_in_none(pairs: tuple[tuple[str, str], ...], tab: str) -> None:
    """Several statuses at once, or what is not pinned, is shown by chips."""
    assert tab == current_tab(state(*pairs))


def test_numbers_of_tabs_say_whether_they_are_all() -> None:
    """What was counted among the newest runs only is the least that there is; a status without runs has none."""
    assert Count(7, is_exact=True) == counts_of(breakdown({"failed": 2, "success": 5}))["all"]
    counts = counts_of(breakdown({"failed": 2, "other": 1}, covers=3))
    assert (Count(2, is_exact=False), Count(0, is_exact=False)) == (counts["failed"], counts["running"])
    assert "other" in {tab.key for tab in tabs_of(state(), counts)}
    assert "other" not in {tab.key for tab in tabs_of(state(), {})}


def test_times_are_shown_and_edited_in_the_zone_of_the_reader() -> None:
    """Milliseconds of a link become a date and a time; what is relative stays so, and has no date to edit."""
    assert "2025-11-25 00:00:00" in shown_value(VIEWER, "since", "1764000000000")
    assert "2025-11-25T00:00" == local_time(VIEWER, "1764000000000")
    assert "2026-11-01T08:00" == local_time(VIEWER, "2026-11-01T08:00")
    assert "2026-11-01T16:00" == local_time(VIEWER, "2026-11-01T08:00Z")
    assert ("", "") == (local_time(VIEWER, "24h"), local_time(VIEWER, "9" * 30))
    assert "the last 24 hours" == shown_value(VIEWER, "since", "24h")
    assert ZoneInfo("Asia/Shanghai") == VIEWER.zone


async def _filled(site: Site, workflow_id: str) -> None:
    for number in range(4):
        metadata = {"tags": ["red"] if number % 2 else ["blue", "red"], "account": "eu", "pinned": number == 0}
        status = "failed" if number < 3 else "success"
        await site.record(workflow_id, f"{workflow_id}-{number}", execute_status=status, metadata=metadata)


@pytest.mark.anyio
async def test_tabs_have_numbers(site: Site) -> None:
    """At once where they are counters; a filtered list asks for them, and they count what the filters leave."""
    await _filled(site, "tabbed")
    page = (await site.client.get("/workflows/tabbed/runs?status=failed")).text
    assert ["All 4", "Failed 3", "Running 0", "Interrupted 0", "Success 1", "★ Pinned 1"] == _tabs(page)
    filtered = (await site.client.get("/workflows/tabbed/runs?tag=blue")).text
    assert "All 2" == _tabs(filtered)[0]
    address = re.search(r'data-tabs="([^"]*)"', filtered)
    assert address is not None
    counted = (await site.client.get(html.unescape(address[1]))).text
    assert ["All 2", "Failed 2", "Running 0", "Interrupted 0", "Success 0", "★ Pinned 1"] == _tabs(counted)


@pytest.mark.anyio
async def test_tabs_of_a_list_within_a_time_are_exact(site: Site) -> None:
    """Each status is counted by hours, however many runs there are, also of one workflow."""
    await _filled(site, "timed")
    expected = ["All 4", "Failed 3", "Running 0", "Interrupted 0", "Success 1", "★ Pinned 1"]
    assert expected == _tabs((await site.client.get("/workflows/timed/tabs?since=24h")).text)
    assert expected == _tabs((await site.client.get("/runs/tabs?since=24h&workflow=timed")).text)
    assert "All 0" == _tabs((await site.client.get("/workflows/timed/tabs?until=2020-01-01")).text)[0]


def _tabs(page: str) -> list[str]:
    tabs = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL)
    assert tabs is not None
    return [
        " ".join(html.unescape(re.sub(r"<[^>]*>", " ", link)).split())
        for link in re.findall(r"<a .*?</a>", tabs[0], re.DOTALL)
    ]


@pytest.mark.anyio
async def test_facets_have_values_with_counts(site: Site) -> None:
    """As a piece of the page and as a page of its own; a value is added to the filters, or taken away."""
    await _filled(site, "faceted")
    page = (await site.client.get("/workflows/faceted/facets?status=failed&account=eu")).text
    assert re.search(r'href="/workflows/faceted/runs\?status=failed&amp;account=eu&amp;tag=red"[^>]*>.*?3</span>', page)
    assert 'href="/workflows/faceted/runs?status=failed" aria-current="true"' in page
    piece = (await site.client.get("/workflows/faceted/facets?piece=1")).text
    assert "<html" not in piece
    assert "blue" in piece
    alone = (await site.client.get("/workflows/faceted/facets?of=tag")).text
    assert "blue" in alone
    assert "eu" not in re.findall(r'class="value">([^<]*)', alone)


@pytest.mark.anyio
async def test_what_a_form_leaves_empty_is_not_in_the_address(site: Site) -> None:
    """The address of a filtered list names its filters and no others."""
    answer = await site.client.get("/runs?status=failed&bot=&tag=%20&min_tokens=&tag=a&sort=duration")
    assert (303, "/runs?status=failed&tag=a&sort=duration") == (answer.status_code, answer.headers["location"])


@pytest.mark.anyio
async def test_the_form_offers_every_filter_and_keeps_all_values(site: Site) -> None:
    """Repeated ones too: applying it anew changes nothing."""
    page = (await site.client.get("/runs?tag=a&tag=b&error=1,2&has_output=false&mode=async&log=l1")).text
    form = page[page.index('class="grid"') :]
    form = form[: form.index("</form>")]
    for value in ('name="tag" value="a"', 'name="tag" value="b"', 'name="error" value="1,2"', 'name="log" value="l1"'):
        assert value in form
    assert re.search(r'name="has_output">.*?value="false" selected', form)
    assert re.search(r'name="mode">.*?value="async" selected', form)


@pytest.mark.anyio
async def test_a_list_is_saved_as_a_view(site: Site) -> None:
    """It has its name as title and a place in the menu with its count; it is changed, renamed, starred and deleted."""
    await _filled(site, "viewed")
    kept = {"filters": "workflow=viewed&status=failed&sort=duration", "name": "<b>My</b> failures"}
    saved = await site.client.post("/views", data=kept)
    address = saved.headers["location"]
    assert address.startswith("/runs?workflow=viewed&status=failed&sort=duration&view=")
    assert "&lt;b&gt;My&lt;/b&gt; failures" in (await site.client.get(address)).text
    menu = (await site.client.get("/views?menu=1")).text
    assert re.search(r"&lt;b&gt;My&lt;/b&gt; failures.*?3</span>", menu, re.DOTALL)
    view_id = address.rpartition("=")[2]
    assert "Update this view" in (await site.client.get(f"{address}&tag=red")).text
    for action, more in (("star", {}), ("rename", {"name": "Mine"}), ("update", {"filters": "status=failed&tag=red"})):
        answer = await site.client.post(f"/views/{view_id}", data={"do": action, **more})
        assert 303 == answer.status_code, action
    page = (await site.client.get("/views")).text
    assert "★" in page
    assert re.search(rf'href="/runs\?status=failed&amp;tag=red&amp;view={view_id}">(<bdi>)?Mine', page)
    gone = (await site.client.post(f"/views/{view_id}", data={"do": "delete"})).headers["location"]
    page = (await site.client.get(gone)).text
    assert "Deleted the view “Mine”." in html.unescape(page)
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="(name|filters)" value="([^"]*)"', page)}
    assert "/runs?status=failed&tag=red&view=" in (await site.client.post("/views", data=fields)).headers["location"]


@pytest.mark.anyio
async def test_views_are_arranged(site: Site) -> None:
    """One place up or down at a time; what is no view or no name is refused."""
    ids = [
        (await site.client.post("/views", data={"name": name, "filters": "tag=x"}))
        .headers["location"]
        .rpartition("=")[2]
        for name in ("first", "second")
    ]
    await site.client.post(f"/views/{ids[1]}", data={"do": "up"})
    menu = (await site.client.get("/views?menu=1")).text
    assert menu.index("second") < menu.index("first")
    assert 422 == (await site.client.post("/views", data={"name": "SECOND", "filters": ""})).status_code
    assert 422 == (await site.client.post(f"/views/{ids[0]}", data={"do": "dance"})).status_code
    assert 404 == (await site.client.post("/views/none", data={"do": "star"})).status_code


@pytest.mark.anyio
async def test_a_list_by_cost_shows_costs(site: Site) -> None:
    """The dearest first, with the sign of the currency."""
    for number, amount in enumerate((0.5, 2, 0.0031)):
        cost = {"amount": amount, "currency": "CNY", "price": "1"}
        await site.record("dear", f"dear-{number}", execute_status="success", metadata={"cost": cost})
    page = (await site.client.get("/workflows/dear/runs?sort=cost")).text
    assert ["¥2.00", "¥0.500", "¥0.0031"] == re.findall(r"¥[0-9.]+", page)
