"""Retention and deleted runs over HTTP."""

from typing import Any

import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio

_WORKFLOW = "7000000000000000001"


async def _some(web: Served, number: int = 3) -> list[str]:
    """Runs of the sandbox that have ended; the first one is pinned."""
    ids = []
    for _ in range(number):
        run = await web.client.post(f"/coze/workflows/{_WORKFLOW}/run", json={"parameters": {"input": "x"}})
        ids.append(run.json()["execution_id"])
    await web.client.patch(f"/coze/workflows/{_WORKFLOW}/history/{ids[0]}", json={"pinned": True})
    return ids


async def test_rules_are_set_previewed_carried_out_and_removed(web: Served) -> None:
    """The report is there afterwards, and the removed runs are in the bin."""
    ids = await _some(web)
    rule: dict[str, Any] = {"name": "few", "workflow": _WORKFLOW, "status": ["success"], "keep_runs": 1}
    made = (await web.client.put("/coze/retention/rules", json=rule)).json()
    assert ("registry", ["few"], None, ["keep"]) == (
        made["source"], [each["name"] for each in made["rules"]], made["max_bytes"], made["keep_tags"]
    )  # fmt: skip
    assert made["disk"]["total"] >= made["disk"]["documents"] / 100
    preview = (await web.client.get("/coze/retention/preview")).json()["report"]
    assert (1, {"pinned": 1, "newest": 1}) == (preview["runs"], preview["parts"][0]["kept"])
    done = (await web.client.post("/coze/retention/run?rule=few")).json()["run"]
    assert ("done", 1) == (done["outcome"], done["report"]["runs"])
    await web.client.post("/coze/retention/run")
    known = (await web.client.get("/coze/retention")).json()
    assert (0, done["report"]) == (known["last_run"]["report"]["runs"], known["last_removal"])
    assert "Last removal" in (await web.client.get("/storage", headers={"Accept": "text/html"})).text
    listed = (await web.client.get("/coze/bin")).json()
    assert ([ids[1]], 1) == ([each["execute_id"] for each in listed["entries"]], listed["total"])
    assert 200 == (await web.client.delete("/coze/retention/rules?name=few")).status_code
    assert [] == (await web.client.get("/coze/retention")).json()["rules"]


@pytest.mark.parametrize(
    "body", [{"status": "success"}, {"older_than": "soon"}, {"older_than": "1d", "since": "2h"}, {"keep_runs": -1}]
)
async def test_what_is_no_rule_is_refused(shared_web: Served, body: dict[str, Any]) -> None:
    """With a sentence."""
    refused = await shared_web.client.put("/coze/retention/rules", json=body)
    assert 422 == refused.status_code
    assert refused.json()["error"]["message"]


async def test_deleted_runs_are_listed_page_by_page_restored_and_removed(web: Served) -> None:
    """By ids, by workflow, or all."""
    ids = await _some(web)
    page = f"/coze/workflows/{_WORKFLOW}/history"
    for each in ids:
        assert 200 == (await web.client.delete(f"{page}/{each}")).status_code
    first = (await web.client.get("/coze/bin?limit=2")).json()
    second = (await web.client.get("/coze/bin", params={"after": first["next"]})).json()
    assert {*ids} == {each["execute_id"] for each in first["entries"] + second["entries"]}
    assert (True, False, 3) == (first["has_more"], second["has_more"], second["total"])
    named = {"runs": [{"workflow_id": _WORKFLOW, "execute_id": ids[1]}]}
    restored = (await web.client.post("/coze/bin/restore", json=named)).json()
    assert ([ids[1]], 1) == ([each["execute_id"] for each in restored["restored"]], restored["matches"])
    assert 200 == (await web.client.get(f"{page}/{ids[1]}")).status_code
    gone = {"runs": [{"workflow_id": _WORKFLOW, "execute_id": ids[0]}]}
    assert 1 == (await web.client.post("/coze/bin/empty", json=gone)).json()["removed"]
    assert 200 == (await web.client.delete(page)).status_code
    assert 2 == (await web.client.post("/coze/bin/restore", json={"workflow": _WORKFLOW})).json()["matches"]
    assert 200 == (await web.client.delete(f"{page}?forever=true")).status_code
    assert 0 == (await web.client.get("/coze/bin")).json()["total"]
    assert 0 == (await web.client.post("/coze/bin/empty", json={"all": True})).json()["removed"]


async def test_which_deleted_runs_has_to_be_said(shared_web: Served) -> None:
    """Once; and a cursor is one of ours."""
    for body in ({}, {"all": True, "workflow": "w"}):
        assert 422 == (await shared_web.client.post("/coze/bin/empty", json=body)).status_code
    assert 422 == (await shared_web.client.get("/coze/bin?after=x")).status_code
