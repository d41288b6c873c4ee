"""Names of workflows over HTTP: listed, changed, and taken in the place of ids by filters."""

from typing import Any

import pytest

from execution_history.history.name_book import WorkflowName
from tests.web.conftest import Served

pytestmark = pytest.mark.anyio


async def _workflows(web: Served) -> dict[str, dict[str, Any]]:
    answer = (await web.client.get("/coze/workflows")).json()
    return {each["workflow_id"]: each for each in answer["workflows"]}


async def test_a_workflow_is_named_changed_and_listed(web: Served) -> None:
    """PATCH changes what the body has, PUT everything; the list has the names beside the counts."""
    await web.application.service.create_execution_record("a/b", "e")
    address = "/coze/workflows/a%2Fb"
    noted = {"name": "Weather", "description": "Tells it", "starred": True, "hidden": False}
    answer = await web.client.patch(address, json={"name": " Weather ", "description": "Tells it", "starred": True})
    assert answer.json() == {"success": True, "workflow_id": "a/b", **noted}
    listed = (await _workflows(web))["a/b"]
    assert {key: listed[key] for key in noted} == noted
    assert (listed["total"], listed["counts"]["running"]) == (1, 1)

    answer = await web.client.patch(address, json={"description": None, "hidden": True})
    assert answer.json() | {"success": True} == {
        "success": True, "workflow_id": "a/b", **noted, "description": None, "hidden": True,
    }  # fmt: skip
    answer = await web.client.put(address, json={"name": "Rain"})
    assert answer.json()["name"] == "Rain"
    assert await web.application.service.names() == {"a/b": WorkflowName("a/b", "Rain")}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"name": "x" * 201}, "at most 200"),
        ({"name": 5}, "name"),
        ({"title": "x"}, "title"),
        ({"starred": 2}, "starred"),
        ({"name": "a\x00"}, "control character"),
        ([], "JSON object"),
    ],
)
async def test_what_is_no_name_is_refused(shared_web: Served, body: object, wrong: str) -> None:
    """The error names what is wrong, and nothing is kept."""
    answer = await shared_web.client.patch("/coze/workflows/w", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
    assert wrong in answer.json()["error"]["message"]
    assert not await shared_web.application.service.names()


async def test_filters_take_a_name_and_addresses_an_id(web: Served) -> None:
    """History, statistics and export take a name as ``workflow``; in a path it is an id that nobody has."""
    service = web.application.service
    for workflow_id in ("one", "two"):
        await service.create_execution_record(workflow_id, f"run-{workflow_id}")
    await service.name_workflow("one", name="Weather")
    for name in ("Weather", "weather", "one"):
        found = (await web.client.get("/coze/history", params={"workflow": name})).json()
        assert [each["execute_id"] for each in found["histories"]] == ["run-one"]
        counted = (await web.client.get("/coze/statistics", params={"workflow": name})).json()
        assert counted["totals"]["runs"] == 1
        exported = (await web.client.get("/coze/export", params={"workflow": name})).text
        assert ("run-one" in exported, "run-two" in exported) == (True, False)
    assert (await web.client.get("/coze/workflows/Weather/history")).json()["total"] == 0
    assert (await web.client.get("/coze/workflows/Weather/history", params={"status": "running"})).json()["total"] == 0
    page = await service.get_execution_history(None, workflow="Weather")
    assert [each["execute_id"] for each in page["histories"]] == ["run-one"]


async def test_a_name_of_several_is_a_conflict_that_lists_them(web: Served) -> None:
    """The error has its own code and status, and the ids to choose from."""
    for workflow_id in ("one", "two"):
        await web.application.service.name_workflow(workflow_id, name="Weather")
    for path in ("history", "statistics", "export", "history/live"):
        answer = await web.client.get(f"/coze/{path}", params={"workflow": "Weather"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ambiguous_name")
        assert "one (Weather)" in answer.json()["error"]["message"]
        assert "two (Weather)" in answer.json()["error"]["message"]


async def test_the_end_of_an_id_is_a_filter(web: Served) -> None:
    """``id_end`` finds the runs whose ids end so, few characters or many."""
    for execute_id in ("a-12345678", "b-12345678", "c-87654321"):
        await web.application.service.create_execution_record("w", execute_id)
    for end, count in (("8", 2), ("12345678", 2), ("b-12345678", 1), ("none-12345678", 0)):
        assert (await web.client.get("/coze/history", params={"id_end": end})).json()["total"] == count
