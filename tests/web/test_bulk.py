"""Changes of all runs that match, over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def filled(web: Served) -> Served:
    """A server with 120 failed runs and a successful one."""
    service = web.application.service

    async def run(execute_id: str, status: str) -> None:
        await service.create_execution_record("w", execute_id, {})
        await service.update_execution_record("w", execute_id, status)

    await asyncio.gather(*(run(f"f{number}", "failed") for number in range(120)), run("ok", "success"))
    await service.follow_index()
    return web


async def _post(web: Served, path: str, **body: Any) -> Any:
    return (await web.client.post(f"/coze/history/{path}", json=body)).json()


async def test_what_matches_is_deleted_and_the_deletion_undone(filled: Served) -> None:
    """A dry run counts; the change has an id, says how far it is, and can be undone by it once."""
    words = {"status": "failed", "since": "1h", "workflow": ["w"]}
    assert {"success": True, "matches": 120, "matches_are_exact": True} == await _post(
        filled, "delete", filters=words, dry_run=True
    )
    change = (await _post(filled, "delete", filters=words))["change"]
    assert ("delete", "done", 120) == (change["action"], change["state"], change["changed"])
    assert 1 == (await filled.client.get("/coze/history")).json()["total"]
    shown = (await filled.client.get(f"/coze/history/changes/{change['id']}")).json()
    assert change == shown["change"]
    restored = (await _post(filled, f"changes/{change['id']}/undo"))["change"]
    assert ("restore", "done", 120) == (restored["action"], restored["state"], restored["changed"])
    assert 121 == (await filled.client.get("/coze/history")).json()["total"]
    assert 422 == (await filled.client.post(f"/coze/history/changes/{change['id']}/undo")).status_code


async def test_what_matches_is_annotated(filled: Served) -> None:
    """Tags are added to all that match, and taken off again."""
    change = (await _post(filled, "annotate", filters={"status": "failed"}, tags={"add": ["seen"]}, pinned=True))[
        "change"
    ]
    assert ("done", 120) == (change["state"], change["changed"])
    await filled.application.service.follow_index()
    assert 120 == (await filled.client.get("/coze/history", params={"tag": "seen", "pinned": "true"})).json()["total"]
    await _post(filled, "annotate", filters={"tag": "seen"}, tags={"remove": ["seen"]})
    await filled.application.service.follow_index()
    assert 0 == (await filled.client.get("/coze/history", params={"tag": "seen"})).json()["total"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "either executions, or filters"),
        ({"filters": {"status": "failed"}, "executions": [{"workflow_id": "w", "execute_id": "e"}]}, "either"),
        ({"filters": {}}, "the whole history"),
        ({"filters": {"status": ""}}, "the whole history"),
        ({"filters": {"stat": "failed"}}, "There is no filter"),
        ({"filters": {"since": "never"}}, "since"),
        ({"filters": {"since": "2026-11-01"}, "zone": "Mars"}, "Mars"),
    ],
)
async def test_what_cannot_be_meant_changes_nothing(filled: Served, body: dict[str, Any], sentence: str) -> None:
    """Neither runs nor filters, both, no filter at all, or one that cannot be read: an error names it."""
    refused = await filled.client.post("/coze/history/delete", json=body)
    assert 422 == refused.status_code
    assert sentence in refused.json()["error"]["message"]
    assert 121 == (await filled.client.get("/coze/history")).json()["total"]


async def test_an_unknown_change_is_not_found(filled: Served) -> None:
    """It is shown and stopped as little as it is undone."""
    assert 404 == (await filled.client.get("/coze/history/changes/none")).status_code
    assert 404 == (await filled.client.post("/coze/history/changes/none/stop")).status_code
    assert 422 == (await filled.client.post("/coze/history/changes/none/undo")).status_code


async def test_a_dry_run_of_named_runs_changes_nothing(filled: Served) -> None:
    """How many of them exist is counted; none is deleted or annotated."""
    named = [{"workflow_id": "w", "execute_id": each} for each in ("f1", "ok", "ok", "none")]
    before = (await filled.client.get("/coze/history")).json()
    for path in ("delete", "annotate"):
        body = {"executions": named, "dry_run": True} | ({"pinned": True} if path == "annotate" else {})
        assert {"success": True, "matches": 2, "matches_are_exact": True} == await _post(filled, path, **body)
    assert before == (await filled.client.get("/coze/history")).json()


async def test_changes_are_listed_and_carried_on(filled: Served) -> None:
    """The newest first; one that was stopped goes on with its id, and one that is done cannot."""
    await _post(filled, "annotate", filters={"status": "success"}, tags=["seen"])
    begun = (await _post(filled, "annotate", filters={"status": "failed"}, pinned=True, wait_seconds=0))["change"]
    await _post(filled, f"changes/{begun['id']}/stop")
    await filled.application.service.bulk.wait(begun["id"])
    listed = (await filled.client.get("/coze/history/changes")).json()
    assert (2, "stopped", "http") == (listed["total"], listed["changes"][0]["state"], listed["changes"][0]["by"])
    assert {"status": ["failed"]} == listed["changes"][0]["filters"]
    assert 1 == (await filled.client.get("/coze/history/changes", params={"limit": 1})).json()["total"]
    change = (await _post(filled, f"changes/{begun['id']}/resume"))["change"]
    assert (begun["id"], "done", 120, 0) == (change["id"], change["state"], change["total"], change["left_alone"])
    assert 422 == (await filled.client.post(f"/coze/history/changes/{begun['id']}/resume")).status_code
