"""The pages in a real Chromium: keys, scripts, both languages, no scripts at all, hostile content, accessibility."""

import re
from importlib.resources import files
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from execution_history.web.pages import urls
from tests.web.pages.conftest import FIRST, OpenContext, Site

pytestmark = pytest.mark.anyio

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_AUDIT: Final = """async (rules) => {
  const found = await axe.run(document, { runOnly: { type: "tag", values: rules } });
  return found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" | ").slice(0, 400)}`);
}"""

_SEEN: Final = """[
  window.hacked, document.querySelectorAll("main img, main script, a[href^='javascript']").length,
  document.title + document.body.innerText + [...document.querySelectorAll("[title], [aria-label]")]
    .map((each) => each.title + each.ariaLabel).join(""),
]"""

HOSTILE: Final = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "\u202etxt.exe\u2066 \u200f",
    "\x1b[31m\x00\x07 \x9b",
    "</textarea></title></style><svg/onload=window.hacked=1>",
    "'; DROP TABLE executions; --",
)


Seeded = dict[str, str]


@pytest.fixture(scope="module")
async def seeded(site: Site) -> Seeded:
    """Runs of every status; their paths by what they are."""
    paths = {"success": await site.run(2, city="Paris", packets=6)}
    for _ in range(3):
        paths["failed"] = await site.run(3, city="Berlin")
    paths |= {"asks": await site.run(5), "fields": await site.run(16), "chinese": await site.run(11)}
    await site.application.service.follow_index()
    return paths


async def faults_of(page: Page) -> list[str]:
    """What axe finds wrong with a page."""
    # Through the inspector: the page's own policy lets no foreign script in.
    await page.evaluate(AXE)
    found: list[str] = await page.evaluate(_AUDIT, RULES)
    return found


@pytest.mark.parametrize(("language", "theme"), [("en-GB", "light"), ("zh-CN", "dark")])
async def test_every_page_is_accessible(
    site: Site, seeded: Seeded, open_context: OpenContext, language: str, theme: str
) -> None:
    """By axe's rules for WCAG 2.2 AA, in both languages and themes, on wide screens and phones."""
    old = (await site.application.service.get_execution_history(str(FIRST + 3)))["histories"][-1]["execute_id"]
    compare = f"/compare?run={FIRST + 3}/{old}&run={seeded['success'].split('/')[2]}/{seeded['success'].split('/')[4]}"
    addresses_ = ["/", "/runs?status=failed", *seeded.values(), f"/workflows/{FIRST + 3}", compare, "/nothing",
                  f"{seeded['success']}/value?find=a", f"{seeded['success']}/again",
                  f"/runs?open={seeded['failed'].split('/')[2]}/{seeded['failed'].split('/')[4]}"]  # fmt: skip
    binned = f"binned-{language}"
    await site.record("binned", binned, execute_status="success")
    await site.application.service.delete_execution_record("binned", binned)
    of_operators = ["/system", "/audit", "/storage", "/bin", "/keys", "/redaction", "/sign-in"]
    found: dict[str, list[str]] = {}
    for width in (1440, 390):
        context = await open_context(locale=language, color_scheme=theme, width=width)
        page = await context.new_page()
        for address in addresses_ if width == 1440 else [*addresses_[:4], *of_operators]:
            await page.goto(address)
            faults = await faults_of(page)
            # What is wider than a phone makes its readers push it to and fro.
            if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                faults.append("wider than the screen")
            if faults:
                found[f"{address} at {width}"] = faults
    assert {} == found


@pytest.mark.usefixtures("seeded")
async def test_keys_walk_open_and_close(open_context: OpenContext) -> None:
    """j and k walk the list, Enter opens beside it, j goes on with the next, Escape closes."""
    page = await (await open_context()).new_page()
    await page.goto(f"/workflows/{FIRST + 3}/runs")
    rows = page.locator("tr[data-row]")
    await page.keyboard.press("j")
    await expect(rows.nth(0)).to_have_class("is-failed current")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("j")
    await expect(rows.nth(1)).to_have_class("is-failed current")
    await page.keyboard.press("Enter")
    await expect(page.locator(".open-run h1")).to_contain_text("Failed after")
    second = await rows.nth(1).get_attribute("data-row")
    await expect(page).to_have_url(re.compile(re.escape(f"open={str(second).replace('/', '%2F')}")))
    await page.keyboard.press("j")
    third = await rows.nth(2).get_attribute("data-row")
    await expect(page.locator(".open-run article")).to_have_attribute("data-run", urls.run(*str(third).split("/")))
    await page.keyboard.press("Escape")
    await expect(page.locator(".open-run")).to_have_count(0)
    await expect(page).not_to_have_url(re.compile("open="))
    await page.go_back()
    await expect(page.locator(".open-run h1")).to_be_visible()


@pytest.mark.usefixtures("seeded")
async def test_keys_search_and_help(open_context: OpenContext) -> None:
    """/ goes to the search, Escape leaves it, ? shows the sheet, and letters typed into fields stay letters."""
    page = await (await open_context()).new_page()
    await page.goto("/runs")
    await page.keyboard.press("/")
    await page.keyboard.type("j?w")
    await expect(page.locator(".search input")).to_have_value("j?w")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    assert [] == await faults_of(page)
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()


@pytest.mark.usefixtures("seeded")
async def test_the_switcher_finds_a_workflow_by_what_one_types(site: Site, open_context: OpenContext) -> None:
    """w opens it, typing narrows it down, Enter goes there."""
    await site.record("客服机器人", "one", execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto("/")
    await page.keyboard.press("w")
    await page.locator("#switch input").fill("客服")
    await expect(page.locator(".found a")).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/workflows/%E5%AE%A2%E6%9C%8D%E6%9C%BA%E5%99%A8%E4%BA%BA/runs")


async def test_a_long_message_of_a_node_widens_nothing(site: Site, open_context: OpenContext) -> None:
    """The waterfall fits beside the list of runs, however much a node has written in one line."""
    node = {
        "node_id": "1", "node_title": "Writer", "node_type": "LLM", "is_finish": True, "start_time": 1_000,
        "update_time": 2_000, "content": "word " * 400, "packets": [[1, 900, 2_000]], "packet_count": 1, "usage": None,
    }  # fmt: skip
    await site.record("wordy", "one", execute_status="success", node_execute_status={"Writer": node})
    page = await (await open_context(width=1280)).new_page()
    for address in ("/workflows/wordy/runs/one", "/workflows/wordy/runs?open=wordy%2Fone"):
        await page.goto(address)
        widths = "(table) => [table.scrollWidth, table.parentElement.clientWidth]"
        table, place = await page.locator("table.waterfall").evaluate(widths)
        assert table <= place


async def test_a_run_is_followed_while_it_goes_on(site: Site, open_context: OpenContext) -> None:
    """Its page says so, fills with what the nodes say, and ends with the sentence of its end."""
    page = await (await open_context()).new_page()
    running = await site.client.post("/coze/workflows/stream_run", json={"workflow_id": str(FIRST + 1)})
    path = f"/workflows/{FIRST + 1}/runs/" + running.text.partition('"execution_id":"')[2].partition('"')[0]
    await page.goto(path)
    await page.locator(".again details summary").click()
    await page.locator(".again textarea").fill('{"pace_ms": 700}')
    await page.get_by_role("button", name="Run again").click()
    await expect(page.locator("h1")).to_contain_text("Running for")
    await expect(page).not_to_have_url(re.compile(re.escape(path)))
    await expect(page.locator("h1")).to_contain_text("Succeeded after")
    await expect(page.locator(".waterfall")).to_contain_text("End")
    await expect(page.locator("article[data-live]")).to_have_count(0)


async def test_a_question_is_answered_where_it_is_asked(site: Site, open_context: OpenContext) -> None:
    """And the page goes on to the end of the run."""
    path = await site.run(5)
    page = await (await open_context()).new_page()
    await page.goto(path)
    await expect(page.locator("h1")).to_contain_text("Which city's weather")
    await page.get_by_label("Your answer").fill("Oslo")
    await page.get_by_role("button", name="Send answer").click()
    await expect(page.locator("h1")).to_contain_text("Succeeded after")
    await expect(page.locator("[data-json='/output']")).to_contain_text("Oslo")


async def test_new_runs_are_told_without_moving_the_list(site: Site, open_context: OpenContext) -> None:
    """One line at the top; what one reads stays where it is."""
    await site.record("quiet", "first", execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto("/workflows/quiet/runs")
    await site.record("quiet", "second", execute_status="success")
    await expect(page.locator(".news-link")).to_have_text("1 new run")
    await expect(page.locator("tr[data-row]")).to_have_count(1)
    await page.locator(".news-link").click()
    await expect(page.locator("tr[data-row]")).to_have_count(2)


async def test_chosen_runs_are_deleted_and_brought_back(site: Site, open_context: OpenContext) -> None:
    """x chooses, Delete does it at once, Undo brings it back."""
    for name in ("one", "two", "three"):
        await site.record("bin", name, execute_status="success")
    page = await (await open_context()).new_page()
    await page.goto("/workflows/bin/runs")
    await expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator("tr[data-row]")).to_have_count(1)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("tr[data-row]")).to_have_count(3)


async def test_json_opens_copies_and_tells_its_path(site: Site, open_context: OpenContext) -> None:
    """A branch that was not sent is fetched when it is opened; what is copied is what is stored."""
    output = {"list": [{"n": number, "said": "\u202e\x1b'<b>'"} for number in range(300)], "held": '{"a": [1]}'}
    path = await site.record("json", "one", execute_status="success", output=output)
    context = await open_context()
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.goto(path)
    tree = page.locator("[data-json='/output']")
    listed = tree.locator("[data-at='/output/list']")
    await listed.locator("> summary").click()
    await tree.locator("[data-at='/output/list'] > a.more").click()
    await expect(tree.locator("[data-at='/output/list/100']")).to_be_attached()
    last = tree.locator("[data-at='/output/list/59']")
    await expect(last).to_have_attribute("open", "")
    said = tree.locator("[data-at='/output/list/59/said']")
    await expect(said).to_contain_text("\\u202e␛'<b>'")
    await said.hover()
    await page.get_by_role("button", name="Copy value").click()
    await expect(page.locator(".toast")).to_have_text("Copied")
    assert "\u202e\x1b'<b>'" == await page.evaluate("navigator.clipboard.readText()")
    await expect(page.locator(".toast")).to_be_hidden()
    await said.hover()
    await page.get_by_role("button", name="Copy path").click()
    await expect(page.locator(".toast")).to_be_visible()
    assert ".output.list[59].said" == await page.evaluate("navigator.clipboard.readText()")
    assert [] == await faults_of(page)


async def test_json_is_walked_with_the_keyboard(site: Site, open_context: OpenContext) -> None:
    """Arrows move and fold; the tools follow."""
    path = await site.record("walk", "one", execute_status="success", output={"a": {"b": 1}, "c": 2})
    page = await (await open_context()).new_page()
    await page.goto(path)
    tree = page.locator("[data-json='/output']")
    await tree.locator("summary").first.focus()
    await page.keyboard.press("ArrowLeft")
    assert await tree.locator("[data-at='/output/a']").get_attribute("open") is None
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await expect(tree.locator("[data-at='/output/a/b']")).to_be_focused()
    await expect(tree.locator("[data-at='/output/a/b'] .tools")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await expect(tree.locator("[data-at='/output/c']")).to_be_focused()


async def test_times_are_in_the_readers_zone(seeded: Seeded, open_context: OpenContext) -> None:
    """Already on the first page, by the browser, and from the second on by the server."""
    context = await open_context(timezone_id="America/St_Johns")
    page = await context.new_page()
    for _ in range(2):
        await page.goto(seeded["success"])
        await expect(page.locator("time[data-exact]").first).to_contain_text("-03:30")
    assert "America/St_Johns" in [cookie["value"] for cookie in await context.cookies() if cookie["name"] == "zone"]


async def test_language_and_theme_are_chosen_and_kept(seeded: Seeded, open_context: OpenContext) -> None:
    """On every page, without a flash: the server writes them into the page."""
    page = await (await open_context()).new_page()
    await page.goto(seeded["failed"])
    await page.get_by_role("button", name="中文").click()
    await expect(page.locator("h1")).to_contain_text("失败，用时")
    await page.get_by_role("button", name="主题").click()
    await page.get_by_role("button", name="主题").click()
    await page.goto("/runs")
    assert "dark" == await page.evaluate("document.documentElement.dataset.theme")
    assert "rgb(20, 22, 26)" == await page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.usefixtures("seeded")
async def test_pages_are_useful_without_scripts(site: Site, open_context: OpenContext) -> None:
    """Reading, filtering, opening branches, answering and repeating need none."""
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto("/runs")
    await page.locator(".filters summary").click()
    await page.locator("select[name=status]").select_option("failed")
    await page.get_by_role("button", name="Apply").click()
    assert 3 == await page.locator("tr[data-row]").count()
    await page.locator("a[data-open]").first.click()
    assert "Failed after" in await page.locator("h1").inner_text()
    failed = page.url
    await page.get_by_role("button", name="Run again").click()
    await page.wait_for_url(lambda url: url != failed)
    assert (await page.locator("h1").inner_text()).strip().startswith(("Running for", "Failed after"))  # soon again
    path = await site.record("plain", "one", execute_status="success", output={"list": list(range(300))})
    await page.goto(path)
    await page.locator("[data-at='/output/list'] > summary").click()
    await page.locator("[data-at='/output/list'] > a.more").click()
    await expect(page).to_have_url(re.compile(re.escape("/value?at=%2Foutput%2Flist&from=60")))
    await page.get_by_role("button", name="中文").click()
    assert "复制" not in await page.locator("main").inner_text()  # buttons that could do nothing are not there


async def test_hostile_content_stays_text(site: Site, open_context: OpenContext) -> None:
    """In every field of a record and on every page that shows it; several texts in each."""
    context = await open_context()
    page = await context.new_page()
    for number, text in enumerate(("".join(HOSTILE[:4]), "".join(HOSTILE[4:]))):
        content: dict[str, Any] = {text: [text, {text: text}], "held": f'{{"k": "{text[:3]}"}}'}
        node = {"node_type": text, "start_time": 1, "update_time": 2, "content": text, "packets": [[1, 5, 3]],
                "packet_count": 1, "is_finish": False, "usage": {}}  # fmt: skip
        asked = {text: {"type": text, "description": text, "default_value": text}}
        interrupt = {"event_id": text, "type": 5, "node_title": text, "data": text, "required_parameters": asked}
        metadata = {"proof": text, "account": text, "caller": {"name": text}, "interrupt": interrupt, text: text,
                    "tags": [text.strip()], "note": text, "log_id": text, "coze_execute_id": text}  # fmt: skip
        identifier = text.replace("\x00", "0")
        for status in ("failed", "interrupted"):
            await site.record(
                identifier, f"{status}{identifier}", parameters=content, metadata=metadata, execute_status=status,
                output=content, error_message=text, error_code=text, debug_url=f"javascript:{text}", usage={"x": text},
                node_execute_status={text: node},
            )  # fmt: skip
            path = urls.run(identifier, f"{status}{identifier}")
            key = urls.key_of(identifier, f"{status}{identifier}")
            lists = [f"{path}/value?at=/output&find={number}", urls.runs(identifier), urls.workflow(identifier),
                     f"/compare?run={urls.segment(key)}&run={urls.segment(key)}",
                     f"/runs?tag={urls.segment(text)}", "/"] if status == "interrupted" else []  # fmt: skip
            for address in (path, f"/runs?open={urls.segment(key)}", *lists):
                answer = await page.goto(address)
                assert answer is not None
                assert answer.status in {200, 422}, (address, answer.status)
                hacked, foreign, shown = await page.evaluate(_SEEN)
                assert (None, 0) == (hacked, foreign), address
                assert not set("\u202e\u2066\x1b\x9b") & set(shown), address


SHOTS: Final = [(width, theme) for width in (1440, 390) for theme in ("light", "dark")]


@pytest.mark.parametrize(("width", "theme"), SHOTS)
async def test_pages_are_drawn(
    seeded: Seeded, open_context: OpenContext, width: int, theme: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At both widths and in both themes: a picture of each, of something rather than of nothing."""
    page = await (await open_context(width=width, color_scheme=theme)).new_page()
    folder = tmp_path_factory.mktemp(f"pictures-{width}-{theme}")
    for name, address in {"overview": "/", "runs": "/runs", "run": seeded["failed"]}.items():
        await page.goto(address)
        picture = await page.screenshot(path=folder / f"{name}.png", full_page=True)
        assert 10_000 < len(picture)
