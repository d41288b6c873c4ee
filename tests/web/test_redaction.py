"""Redaction over HTTP and on its page."""

from pathlib import Path

import pytest

from tests.web.conftest import opened

pytestmark = pytest.mark.anyio

TOKEN = "pat_" + "Ab1" * 8
_KEEP = {"detector": "secrets", "action": "keep", "workflow": "old"}


async def _fill(folder: Path) -> None:
    """Runs with secrets that no rule held for when they were recorded."""
    async with opened(folder, redaction=[_KEEP]) as web:
        for name in ("e1", "e2"):
            body = {"parameters": {"password": "hunter2x"}}
            service = web.application.service
            await service.create_execution_record("old", name, body["parameters"])
            await service.update_execution_record("old", name, "success", output=f"use {TOKEN}")


async def test_the_rules_are_listed_and_the_history_is_redacted(tmp_path: Path) -> None:
    """A trial changes nothing; the last redaction is told with the rules."""
    await _fill(tmp_path)
    async with opened(tmp_path, recording=[{"workflow": "x", "record": "nothing"}]) as web:
        client = web.client
        listed = (await client.get("/coze/redaction")).json()
        assert ("secret_names", True, None) == (
            listed["redaction"][0]["name"], listed["redaction"][0]["built_in"], listed["last"],
        )  # fmt: skip
        assert [{"workflow": "x", "record": "nothing"}] == listed["recording"]
        for _ in range(2):
            trial = (await client.post("/coze/redaction?dry_run=true&workflow_id=old")).json()
            assert (None, 2, True) == (trial["run"], trial["report"]["changed"], trial["report"]["dry_run"])
        done = (await client.post("/coze/redaction")).json()
        assert ("done", 2) == (done["run"]["outcome"], done["report"]["changed"])
        assert done["run"] == (await client.get("/coze/redaction")).json()["last"]
        assert 422 == (await client.post("/coze/redaction?dry_run=perhaps")).status_code
        [_, line] = await web.application.service.store.audit(0, 10)
        assert ("local", "redact") == (line.actor, line.action)


async def test_the_page_shows_rules_previews_and_redacts(tmp_path: Path) -> None:
    """What would be taken out is shown without it; the page of a run says what was."""
    await _fill(tmp_path)
    async with opened(tmp_path, redaction=[{"key": "<b>", "workflow": "w"}]) as web:
        client, origin = web.client, {"origin": str(web.client.base_url).rstrip("/")}
        page = (await client.get("/redaction")).text
        assert "Tokens of Coze" in page
        assert "&lt;b&gt;" in page
        preview = (await client.post("/redaction", data={"action": "preview"}, headers=origin)).text
        assert "To be redacted: 4 values in 2 of 2 records." in preview
        assert "hunter2x" not in preview
        done = (await client.post("/redaction", data={"action": "redact"}, headers=origin)).text
        assert "Redacted: 4 values in 2 of 2 records." in done
        assert "Last redaction" in (await client.get("/redaction")).text
        assert "2 values were redacted" in (await client.get("/workflows/old/runs/e1")).text
        assert 422 == (await client.post("/redaction", data={"action": "x"}, headers=origin)).status_code


async def test_a_run_is_not_repeated_from_its_page_with_redacted_inputs(tmp_path: Path) -> None:
    """The page says which to enter again."""
    async with opened(tmp_path) as web:
        await web.application.service.create_execution_record("7", "e", {"password": "hunter2x"})
        origin = {"origin": str(web.client.base_url).rstrip("/")}
        refused = await web.client.post("/workflows/7/runs/e/again", headers=origin)
        assert 409 == refused.status_code
        assert "password" in refused.text
        assert "Enter them again" in refused.text
