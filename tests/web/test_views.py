"""Saved views over HTTP."""

import pytest

from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def test_a_view_is_saved_counted_changed_and_deleted(web: Served) -> None:
    """By its id or its name; somebody else's change in between is a conflict."""
    service, client = web.application.service, web.client
    await service.create_execution_record("w", "e", {})
    await service.update_execution_record("w", "e", "failed")
    await service.follow_index()
    saved = await client.post("/coze/views", json={"name": "Failed", "filters": {"status": "failed", "tag": []}})
    assert 201 == saved.status_code
    view = saved.json()["view"]
    assert ({"status": "failed"}, "create_time", "desc") == (view["filters"], view["sort"], view["order"])
    [listed] = (await client.get("/coze/views", params={"counts": "true"})).json()["views"]
    assert (1, True, "Failed") == (listed["count"], listed["count_is_exact"], listed["name"])
    columns = {"columns": ["run", "tags"]}
    assert columns["columns"] == (await client.patch("/coze/views/Failed", json=columns)).json()["view"]["columns"]
    assert 422 == (await client.patch("/coze/views/Failed", json={"columns": ["colour"]})).status_code
    view = (await client.get("/coze/views")).json()["views"][0]
    changed = (await client.patch("/coze/views/Failed", json={"name": "Bad", "starred": True})).json()["view"]
    assert ("Bad", True, {"status": "failed"}) == (changed["name"], changed["starred"], changed["filters"])
    late = await client.patch(f"/coze/views/{view['id']}", json={"position": 3, "version": view["version"]})
    assert (409, "view_changed") == (late.status_code, late.json()["error"]["code"])
    assert 200 == (await client.delete(f"/coze/views/{view['id']}")).status_code
    assert 0 == (await client.get("/coze/views")).json()["total"]


async def test_a_view_is_counted_by_the_name_of_its_workflow(web: Served) -> None:
    """A name that several workflows have has no number, and hides none of the other views."""
    service, client = web.application.service, web.client
    for workflow_id in ("w1", "w2"):
        await service.create_execution_record(workflow_id, "e", {})
        await service.name_workflow(workflow_id, name="Same")
    await service.name_workflow("w1", name="Report")
    await service.follow_index()
    for name, workflow in (("One", "Report"), ("Two", "Same"), ("Three", "Twice")):
        await client.post("/coze/views", json={"name": name, "filters": {"workflow": workflow}})
    for workflow_id in ("w3", "w4"):
        await service.name_workflow(workflow_id, name="Twice")
    listed = (await client.get("/coze/views", params={"counts": "true"})).json()["views"]
    assert [("One", 1), ("Two", 1), ("Three", None)] == [(view["name"], view["count"]) for view in listed]


async def test_what_is_no_view_is_refused(web: Served) -> None:
    """A wrong filter, an unknown field and a view that is not there have their own errors."""
    wrong = await web.client.post("/coze/views", json={"name": "x", "filters": {"stat": "failed"}})
    assert (422, "invalid_input") == (wrong.status_code, wrong.json()["error"]["code"])
    assert 422 == (await web.client.post("/coze/views", json={"name": "x", "colour": 1})).status_code
    assert 404 == (await web.client.patch("/coze/views/none", json={"name": "x"})).status_code
    assert 404 == (await web.client.delete("/coze/views/none")).status_code


async def test_views_of_workflows_by_name_are_counted(web: Served) -> None:
    """A name means the workflow that it names now; one that several have breaks no other view."""
    service, client = web.application.service, web.client
    await service.create_execution_record("w", "e", {})
    await service.name_workflow("w", name="Weather")
    await service.follow_index()
    await client.post("/coze/views", json={"name": "One", "filters": {"workflow": "Weather"}})
    [listed] = (await client.get("/coze/views", params={"counts": "true"})).json()["views"]
    assert 1 == listed["count"]
    await service.name_workflow("v", name="Weather")
    await client.post("/coze/views", json={"name": "All", "filters": {}})
    views = (await client.get("/coze/views", params={"counts": "true"})).json()["views"]
    assert [None, 1] == [view.get("count") for view in views]
