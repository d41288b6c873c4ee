"""The pages of the system and of the audit log."""

import re
import shlex
from html import unescape
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from execution_history.access.audit import Action, note
from execution_history.errors import InvalidInput
from execution_history.jobs.job import Job, Report, run_job
from execution_history.maintenance.backup import back_up
from execution_history.maintenance.backup.target import target_at
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio

_HTML = {"accept": "text/html"}


async def _page(web: Served, path: str, **headers: str) -> str:
    answered = await web.client.get(path, headers={**_HTML, **headers})
    assert 200 == answered.status_code
    return answered.text


async def test_the_system_is_seen_in_one_place(web: Served, tmp_path: Path) -> None:
    """What runs by itself and how it went, why nothing was freed, the backups, the checks, and what is wrong."""
    service = web.application.service
    page = await _page(web, "/system")
    for sentence in ("nothing needs attention", "There has been no backup.", "in order", "free on the disk of"):
        assert sentence in page
    await note(service.store, Action.RESTORE, place="/backups", id="2026-11-30T120000Z-f", begun=True)
    await note(service.store, Action.RESTORE, place="/backups", id="2026-11-30T120000Z-f", moment="…")
    await note(service.store, Action.RESTORE, place="/others", id="x", missing=[1])
    page = await _page(web, "/system")
    assert "There has been no backup." not in page
    assert re.search("restored from the backup .*2026-11-30T120000Z-f.* in .*/backups.*not been backed up since", page)
    await service.create_execution_record("w", "one", parameters={})
    await web.client.put("/coze/retention/rules", json={"older_than": "30d"})
    await web.client.post("/coze/retention/run")
    await back_up(service, target_at(tmp_path / "my backups"))

    async def fails() -> Report:
        raise InvalidInput("The bucket is gone.")

    await run_job(service, Job("backup", 60, fails))
    page = await _page(web, "/system")
    assert "Nothing was removed: no run matches." in page
    assert "The last run of the job backup failed: The bucket is gone." in page
    assert re.search(r"backups</bdi></th>.*?never verified.*?<td class=\"num\" data-label=\"Runs\">1</td>", page)
    command = shlex.join(("execution-history", "backup", "verify", str(tmp_path / "my backups"), "--store"))
    assert f"To verify one: {command} /" in unescape(page)
    assert "任务 backup" in await _page(web, "/system", **{"accept-language": "zh"})


async def test_a_page_whose_key_is_revoked_leads_to_signing_in(web: Served, chromium: Browser) -> None:
    """By itself, as it follows what happens; and from there back to where it was."""
    gate, service = web.application.gate, web.application.service
    gate.checked_again_seconds = 0.2
    await service.create_execution_record("w", "one", parameters={})
    await service.follow_index()
    await gate.keys.add("stays", ["admin"])  # without any, nobody would need one
    secrets = [(await gate.keys.add(name, ["read"])).secret for name in ("first", "second")]
    context = await chromium.new_context(base_url=str(web.client.base_url))
    page = await context.new_page()
    await page.goto("/runs?status=running")
    for secret in secrets:
        await page.locator("input[name=key]").fill(secret)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_url(re.compile(r"/runs\?status=running$"))
        await expect(page.locator("tr[data-row]")).to_have_count(1)
        await gate.keys.revoke(secret[3:11])
        await expect(page).to_have_url(re.compile("/sign-in"))
    await context.close()


async def test_the_audit_log_is_searched_and_leads_to_what_it_is_about(web: Served) -> None:
    """In sentences, a page at a time; a filter that cannot be read is said above the form, which keeps it."""
    store = web.application.service.store
    await web.application.service.open()
    await web.client.get("/coze/export?status=failed")
    for number in range(120):
        await note(store, Action.CLEAR, workflow_id=f"w {number}")
    page = await _page(web, "/audit")
    assert 100 == page.count("Deleted the history of a workflow</a></td>")
    assert 'href="/workflows/w%20119/runs"' in page
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    assert 20 == (await _page(web, older[1])).count("Deleted the history of a workflow</a></td>")
    exported = await _page(web, "/audit?action=export&by=local")
    assert 'href="/runs?status=failed"' in exported
    assert "JSON Lines, status=failed" in exported
    assert "导出运行" in await _page(web, "/audit", **{"accept-language": "zh"})
    assert "No entry matches." in await _page(web, "/audit?until=2001-01-01")
    wrong = await web.client.get("/audit?since=soonish", headers=_HTML)
    assert (422, True) == (wrong.status_code, 'value="soonish"' in wrong.text)
    found = re.search(r'href="(/coze/audit/export[^"]+format=csv[^"]*)"', exported)
    assert found is not None
    table = await web.client.get(found[1].replace("&amp;", "&"))
    assert (200, 2) == (table.status_code, len(table.text.splitlines()))
    newest = (await web.client.get("/coze/audit?limit=1")).json()
    assert ("audit.export", 121) == (newest["lines"][0]["action"], newest["next"] - 1)
    assert 422 == (await web.client.get("/coze/audit?action=dance")).status_code
    assert 422 == (await web.client.get("/coze/audit/export?format=xml")).status_code
