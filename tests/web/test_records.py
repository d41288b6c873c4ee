"""Reading and deleting histories, over a socket, as existing callers do."""

from urllib.parse import quote

import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_pages_pass_stored_bytes_through(web: Served) -> None:
    """Byte for byte, with paging and exact totals."""
    for number in range(5):
        await web.application.service.create_execution_record("w", f"e{number}", {"文": "字\u2028"})
    answer = await web.client.get("/coze/workflows/w/history?page_size=2&page_index=2")
    stored = [await web.application.service.detail_bytes("w", name) for name in ("e2", "e1")]
    assert (
        b'{"success":true,"histories":[' + b",".join(body or b"" for body in stored) + b'],"total":5,"has_more":true}'
        == answer.content
    )
    assert "application/json" == answer.headers["content-type"]


async def test_a_page_has_twenty_records_where_nothing_else_is_said(web: Served) -> None:
    """The first twenty-one runs need a second page."""
    for number in range(21):
        await web.application.service.create_execution_record("w", f"e{number}")
    page = (await web.client.get("/coze/workflows/w/history?account_id=other")).json()
    assert (20, 21, True, "e20") == (
        len(page["histories"]), page["total"], page["has_more"], page["histories"][0]["execute_id"],
    )  # fmt: skip


async def test_an_unknown_workflow_has_an_empty_page(web: Served) -> None:
    """Not an error; a page after the last one is empty too."""
    assert (
        b'{"success":true,"histories":[],"total":0,"has_more":false}'
        == (await web.client.get("/coze/workflows/w/history")).content
    )
    after = await web.client.get(f"/coze/workflows/w/history?page_index={'9' * 30}")
    assert (200, []) == (after.status_code, after.json()["histories"])


async def test_workflows_are_listed_with_counts(web: Served) -> None:
    """Per status, with the last run."""
    assert {"success": True, "workflows": [], "total": 0} == (await web.client.get("/coze/workflows")).json()
    await web.application.service.create_execution_record("w")
    listed = (await web.client.get("/coze/workflows?account_id=other")).json()["workflows"]
    assert [("w", 1, 1)] == [(entry["workflow_id"], entry["total"], entry["counts"]["running"]) for entry in listed]
    assert listed[0]["last_create_time"] > 10**12


async def test_the_runs_around_and_within_a_run(web: Served) -> None:
    """As one list, each run before those within it; a limit counts what it leaves out."""
    service = web.application.service
    await service.create_execution_record("w", "root")
    for number in range(3):
        parent = {"workflow_id": "w", "execute_id": "root"}
        await service.create_execution_record("w", f"child-{number}", metadata={"parent": parent})
    await service.follow_index()
    found = (await web.client.get("/coze/workflows/w/history/child-1/trace")).json()
    assert ["root", "child-0", "child-1", "child-2"] == [run["execute_id"] for run in found["runs"]]
    assert (0, False, None) == (found["left_out"], found["is_circular"], found["missing_parent"])
    assert [{"workflow_id": "w", "execute_id": name} for name in ("root", "child-1")] == found["path"]
    assert 2 == (await web.client.get("/coze/workflows/w/history/child-1/trace?limit=2")).json()["left_out"]
    for path, status in (("w/history/none/trace", 404), ("w/history/root/trace?limit=0", 422)):
        assert status == (await web.client.get(f"/coze/workflows/{path}")).status_code


async def test_records_and_histories_are_deleted(web: Served) -> None:
    """Once; then there is nothing."""
    for name in ("a", "b"):
        await web.application.service.create_execution_record("w", name)
    paths = ["/coze/workflows/w/history/a"] * 2 + ["/coze/workflows/w/history"] * 2
    statuses = [(await web.client.delete(path)).status_code for path in paths]
    assert [200, 404, 200, 404] == statuses


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_deleting_a_record_without_an_id_deletes_nothing(web: Served, slashes: str) -> None:
    """A caller whose execute id is empty, and who follows redirects, does not clear the history."""
    await web.application.service.create_execution_record("w", "a")
    answer = await web.client.delete(f"/coze/workflows/w/history{slashes}", follow_redirects=True)
    assert (404, "not_found") == (answer.status_code, answer.json()["error"]["code"])
    assert 1 == (await web.client.get("/coze/workflows/w/history")).json()["total"]


@pytest.mark.parametrize(
    "workflow_id",
    ["../../etc/passwd", "a/b", "a%2Fb", "%", "工作流", "😀", "a b?c#d", "stream_run", "history", "a/history/b", "\0"],
)
async def test_any_id_can_stand_in_a_path(shared_web: Served, workflow_id: str) -> None:
    """Percent-encoded, slashes included: listed, read and deleted."""
    made = await shared_web.application.service.create_execution_record(workflow_id, "x/y%2F")
    path = f"/coze/workflows/{quote(workflow_id, safe='')}/history"
    assert [made] == (await shared_web.client.get(path)).json()["histories"]
    record = f"{path}/{quote('x/y%2F', safe='')}"
    assert made == (await shared_web.client.get(record)).json()["execution"]
    assert [200, 404] == [(await shared_web.client.delete(name)).status_code for name in (record, path)]
