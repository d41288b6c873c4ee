"""The first minutes: the empty page, the demo beside the history, and the form that runs a workflow."""

import html
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import anyio
import httpx
import pytest
from anyio import run_process
from playwright.async_api import expect

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.chosen_store import CHOSEN
from tests.web.conftest import served
from tests.web.pages.conftest import FIRST, OpenContext, Site

pytestmark = pytest.mark.anyio

LONG_STREAM: Final = str(FIRST + 2)


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Site]:
    """A server as ``serve --sandbox`` runs it, on a history without runs."""
    settings = load_settings(store=CHOSEN.location(tmp_path / "history"), sandbox_port=0)
    async with (
        open_application(settings, sandbox=True, serving=True) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=60, headers={"accept": "text/html"}, follow_redirects=True) as client,
    ):
        yield Site(base, application, client)


async def test_the_empty_page_runs_a_sandbox_workflow(empty: Site, open_context: OpenContext) -> None:
    """With one click; its page follows it to its end."""
    page = await (await open_context()).new_page()
    await page.goto(empty.base)
    await page.get_by_role("button", name="Run a sandbox workflow").click()
    await expect(page.locator("h1")).to_contain_text("Succeeded after")


async def test_the_lines_on_the_empty_page_run_as_they_stand(empty: Site, open_context: OpenContext) -> None:
    """Copied by their button, with this server's own address, and run by a shell."""
    context = await open_context()
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=empty.base)
    page = await context.new_page()
    await page.goto(empty.base)
    await page.locator(".sample .copy").first.click()
    await expect(page.locator(".toast")).to_be_visible()
    line = await page.evaluate("navigator.clipboard.readText()")
    assert line.startswith(f"curl -N {empty.base}/coze/workflows/stream_run ")
    said = (await run_process(["bash", "-c", line], stderr=subprocess.DEVNULL)).stdout
    assert said.endswith(b"[DONE]\n\n")
    assert 1 == (await empty.application.service.page_bytes(LONG_STREAM, 5, 1)).total


async def test_the_demo_is_looked_at_and_left_again(empty: Site, open_context: OpenContext) -> None:
    """By whoever opens it, on the same address; the history, and everybody else's view of it, stays as it is."""
    page = await (await open_context()).new_page()
    await page.goto(empty.base)
    await page.get_by_role("button", name="Open the demo").click()
    await expect(page.get_by_text("Demo data")).to_be_visible()
    await expect(page.get_by_role("link", name="Order triage").first).to_be_visible()
    assert "No runs here" in (await empty.client.get("/")).text
    assert 0 == (await empty.client.get("/coze/history")).json()["total"]
    await page.goto(f"{empty.base}/workflows/7536912840317468672/run")
    await page.get_by_role("button", name="Start a run", exact=True).click()
    await expect(page.locator("h1")).to_contain_text("Succeeded after")
    await page.get_by_role("button", name="Leave").click()
    await expect(page.locator("h1")).to_contain_text("No runs here")
    assert [] == await empty.application.service.workflow_summaries()


async def test_an_old_cookie_of_a_demo_shows_the_history(empty: Site) -> None:
    """It names the demo of another start of the server, or one that nobody has opened yet."""
    assert "No runs here" in (await empty.client.get("/", headers={"cookie": "demo=old"})).text
    await empty.client.post("/demo")
    assert "Demo data" in (await empty.client.get("/")).text
    empty.client.cookies.clear()
    assert "No runs here" in (await empty.client.get("/", headers={"cookie": "demo=old"})).text


async def test_a_page_of_the_demo_that_was_left_changes_nothing_in_the_history(empty: Site) -> None:
    """Its forms say that they are the demo's: what stands open in another tab reaches no run of the history."""
    await empty.record("w", "kept", execute_status="success")
    await empty.client.post("/demo")
    shown = (await empty.client.get("/runs")).text
    empty.client.cookies.clear()
    forms = re.findall(r'<form\b[^>]*method="post"[^>]*>(<input type="hidden" name="of" value="demo">)?', shown)
    assert forms
    assert all(forms)
    fields = {"of": "demo", "do": "delete", "all": "1", "view": "status=success"}
    refused = await empty.client.post("/runs/act", data=fields)
    assert (422, True) == (refused.status_code, "That page showed the demo" in refused.text)
    assert await empty.application.service.get_execution_detail("w", "kept") is not None


async def test_the_demo_answers_no_call_of_the_gateway(empty: Site) -> None:
    """A browser's SDK calls the upstream of the history, whatever its cookies are."""
    await empty.client.post("/demo")
    assert empty.application.sandbox is not None
    called = await empty.client.post(
        "/v1/workflow/run",
        json={"workflow_id": str(FIRST + 1), "parameters": {}},
        headers={"authorization": f"Bearer {empty.application.sandbox.token}"},
    )
    assert 0 == called.json()["code"]
    assert 1 == (await empty.application.service.page_bytes(None, 5, 1)).total


async def test_a_question_of_the_demo_can_be_answered(empty: Site, open_context: OpenContext) -> None:
    """One of its runs waits in its own sandbox."""
    page = await (await open_context()).new_page()
    await page.goto(empty.base)
    await page.get_by_role("button", name="Open the demo").click()
    await page.goto(f"{empty.base}/workflows/7536913265582505984/runs?status=interrupted&since=1h")
    await page.locator("tr a[data-open]").first.click()
    await page.locator(".question textarea, .question input[type=text], .question input:not([type])").first.fill(
        "Ask them"
    )
    await page.get_by_role("button", name="Send answer").click()
    await expect(page.locator("article h1")).to_contain_text("Succeeded")


async def test_a_workflow_is_run_with_an_earlier_input(site: Site, open_context: OpenContext) -> None:
    """The newest one stands in the form, others can be chosen; without scripts, too."""
    await site.run(1, city="Oslo")
    await site.run(1, city="Rome")
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto(f"{site.base}/workflows/{FIRST + 1}/runs")
    await page.get_by_role("link", name="Start a run", exact=True).click()
    await expect(page.locator("textarea")).to_have_value('{\n  "pace_ms": 1,\n  "city": "Rome"\n}')
    await page.get_by_role("link", name="Oslo").click()
    await page.get_by_label("Synchronous: one answer at the end").check()
    await page.get_by_role("button", name="Start a run", exact=True).click()
    await page.wait_for_url("**/runs/*")
    execute_id = page.url.rpartition("/")[2]
    record = await site.application.service.get_execution_detail(str(FIRST + 1), execute_id)
    assert record is not None
    assert ({"pace_ms": 1, "city": "Oslo"}, 0) == (record["input_parameters"], record["run_mode"])


@pytest.mark.parametrize(
    ("typed", "account", "sentence"),
    [
        ("{city: Paris}", "default", "The input is not JSON"),
        ("{" * 500, "default", "The input is not JSON"),
        ('["Paris"]', "default", "The input is a JSON object"),
        ("", "nobody", "nobody"),
    ],
)
async def test_what_is_wrong_is_said_beside_the_input_and_nothing_typed_is_lost(
    site: Site, typed: str, account: str, sentence: str
) -> None:
    """And no run begins."""
    workflow_id = str(FIRST + 12)
    fields = {"parameters": typed, "mode": "run", "bot_id": "<b>7</b>", "account": account}
    answer = await site.client.post(f"/workflows/{workflow_id}/run", data=fields)
    assert 422 == answer.status_code
    assert 'aria-describedby="wrong"' in answer.text
    assert sentence in html.unescape(answer.text.partition('id="wrong"')[2].partition("</p>")[0])
    assert "&lt;b&gt;7&lt;/b&gt;" in answer.text
    assert typed in html.unescape(answer.text.partition("<textarea")[2])
    assert 0 == (await site.application.service.page_bytes(workflow_id, 1, 1)).total


async def test_a_workflow_without_runs_can_be_run_by_its_id(site: Site) -> None:
    """The form begins with an empty input; what cannot be an id leads to the overview."""
    answer = await site.client.get("/run", params={"workflow": f" {FIRST + 13} "}, follow_redirects=True)
    assert (200, True) == (answer.status_code, "Run a workflow" in answer.text)
    assert "/" == (await site.client.get("/run", params={"workflow": ""})).headers["location"]


async def test_a_recorded_function_is_not_run_from_the_page(site: Site) -> None:
    """It belongs to its program; the page says so and has no form for it."""
    await site.record("tools.sync", "run-1", metadata={"recorded_as": "function", "proof": "returned"})
    text = (await site.client.get("/workflows/tools.sync/run")).text
    assert "belongs to a Python program" in text
    assert "<textarea" not in text


async def test_the_form_has_no_faults_that_a_machine_finds(site: Site, open_context: OpenContext) -> None:
    """On a phone in Chinese as well: no sideways scrolling, every field with a name."""
    await site.run(1, city="Oslo" * 60)
    page = await (await open_context(width=390, locale="zh-CN")).new_page()
    await page.goto(f"{site.base}/workflows/{FIRST + 1}/run")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fields = await page.locator("main :is(input:not([type=hidden]), textarea, select)").all()
    assert all(
        [await field.evaluate("(each) => each.labels.length + (each.ariaLabel ?? '').length") for field in fields]
    )


async def test_the_workflows_of_the_sandbox_have_names_from_the_start(empty: Site) -> None:
    """Nobody has asked for them yet; the server has asked its own sandbox."""
    with anyio.fail_after(20):
        while LONG_STREAM not in (names := await empty.application.service.names()):
            await anyio.lowlevel.checkpoint()
    assert names[LONG_STREAM].name


async def test_the_empty_page_says_that_no_token_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to set one; with one it names the account that would run."""
    monkeypatch.delenv("COZE_API_TOKEN", raising=False)
    for token, sentence in ((None, "set COZE_API_TOKEN"), ("pat_x", "with the account that this server")):
        if token is not None:
            monkeypatch.setenv("COZE_API_TOKEN", token)
        settings = load_settings(store=CHOSEN.location(tmp_path / "history"))
        async with (
            open_application(settings, serving=True) as application,
            served(create_app(application)) as base,
            httpx.AsyncClient(base_url=base, timeout=60, headers={"accept": "text/html"}) as client,
        ):
            assert sentence in html.unescape((await client.get("/")).text)


async def test_no_line_of_an_example_is_clipped(empty: Site, open_context: OpenContext) -> None:
    """A long one is wrapped, on a phone too."""
    page = await (await open_context(width=390)).new_page()
    await page.goto(empty.base)
    for pre in await page.locator(".sample pre").all():
        assert await pre.evaluate("each => each.scrollWidth <= each.clientWidth")
