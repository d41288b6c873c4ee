"""Damaged records over HTTP: a clear error for the one, a name in the answers about many, and exports."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.stores.sqlite.damage import damage
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio

_LOST = [{"workflow_id": "w", "execute_id": "e1"}]


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    """The application on a history without JSON files, with four runs, one of which, ``w/e1``, is damaged."""
    settings = load_settings(store=str(tmp_path / "history"), json_files=False)
    async with (
        open_application(settings) as application,
        served(create_app(application)) as base,
        httpx.AsyncClient(base_url=base, timeout=30) as client,
    ):
        for workflow_id, execute_id in (("w", "e0"), ("w", "e1"), ("w", "e2"), ("v", "e1")):
            await application.service.create_execution_record(workflow_id, execute_id, {"city": "Paris"})
        await client.get("/coze/history?status=running")
        damage(tmp_path / "history", "e1")
        yield Served(application, client)


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/coze/workflows/w/history/e1", None),
        ("GET", "/coze/workflows/w/history/e1/compare", None),
        ("GET", "/coze/workflows/w/history/e0/compare?with=e1", None),
        ("PATCH", "/coze/workflows/w/history/e1", {"pinned": True}),
    ],
)
async def test_a_damaged_record_that_is_asked_for_is_an_error(
    web: Served, method: str, path: str, content: object
) -> None:
    """In JSON, with a status and a word of its own, and with what to do."""
    answer = await web.client.request(method, path, json=content)
    assert (500, "record_damaged") == (answer.status_code, answer.json()["error"]["code"])
    message = answer.json()["error"]["message"]
    assert "Run 'e1' of workflow 'w' cannot be read" in message
    assert "take the run from a backup" in message


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/coze/workflows/w/history", ["e2", "e0"]),
        ("/coze/history", ["e1", "e2", "e0"]),
        ("/coze/history?workflow=w&view=summary", ["e2", "e0"]),
        ("/coze/history?q=Paris&workflow=w", ["e2", "e0"]),
        ("/coze/history?where=input.city+%3D+Paris&workflow=w", ["e2", "e0"]),
    ],
)
async def test_lists_leave_a_damaged_record_out_and_name_it(web: Served, path: str, left: list[str]) -> None:
    """The total counts it as far as it is known to belong; where nothing is damaged there is no such key."""
    answer = (await web.client.get(path)).json()
    assert (left, _LOST) == ([record["execute_id"] for record in answer["histories"]], answer["damaged"])
    assert len(left) <= answer["total"] <= len(left) + 1
    whole = (await web.client.get(path.replace("/w/", "/v/").replace("workflow=w", "workflow=v"))).json()
    assert path == "/coze/history" or "damaged" not in whole


async def test_statistics_count_what_they_need_not_look_into(web: Served) -> None:
    """What they would have to look into they name."""
    assert (4, None) == (
        (counted := (await web.client.get("/coze/statistics")).json())["totals"]["runs"], counted.get("damaged"),
    )  # fmt: skip
    counted = (await web.client.get("/coze/statistics?where=input.city+%3D+Paris")).json()
    assert (3, _LOST) == (counted["totals"]["runs"], counted["damaged"])


async def test_several_are_annotated_without_the_damaged_one(web: Served) -> None:
    """Which is refused, with the reason."""
    keys = [{"workflow_id": "w", "execute_id": name} for name in ("e0", "e1", "e2")]
    answer = (await web.client.post("/coze/history/annotate", json={"executions": keys, "pinned": True})).json()
    assert (2, ["e1"]) == (answer["changed"], [each["execute_id"] for each in answer["refused"]])
    assert "cannot be read" in answer["refused"][0]["reason"]


@pytest.mark.parametrize("query", ["", "&workflow=w"])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
async def test_an_export_leaves_it_out_and_readiness_names_it(web: Served, kind: str, query: str) -> None:
    """No line is broken; whoever would rather have no export than one that lacks a record says so."""
    answer = await web.client.get(f"/coze/export?format={kind}{query}")
    assert 200 == answer.status_code
    if kind == "jsonl":
        names = [orjson.loads(line)["execute_id"] for line in answer.content.splitlines()]
        assert (["e0", "e2"] if query else ["e0", "e2", "e1"]) == names
    if kind == "json" and query:
        assert ["e2", "e0"] == [record["execute_id"] for record in answer.json()["histories"]]
    ready = await web.client.get("/readyz")
    assert (200, True) == (ready.status_code, "w/e1" in ready.json()["warnings"][0])

    strict = await web.client.get(f"/coze/export?format={kind}&strict=true{query}")
    assert (500, "record_damaged") == (strict.status_code, strict.json()["error"]["code"])
    fine = await web.client.get("/coze/export?strict=true&workflow=v")
    assert (200, 1) == (fine.status_code, len(fine.content.splitlines()))


async def test_a_damaged_record_is_deleted_and_all_is_well(web: Served) -> None:
    """From the API, where nothing of it has to be read."""
    await web.client.get("/coze/workflows/w/history")
    assert 200 == (await web.client.delete("/coze/workflows/w/history/e1")).status_code
    assert [] == (await web.client.get("/readyz")).json()["warnings"]
    assert 2 == (await web.client.get("/coze/workflows/w/history")).json()["total"]


@pytest.mark.parametrize("path", ["/", "/runs", "/workflows/w/runs", "/workflows/w"])
async def test_pages_are_shown_without_it(web: Served, path: str) -> None:
    """And the page of the record itself says what is the matter."""
    answer = await web.client.get(path, headers={"accept": "text/html"})
    assert 200 == answer.status_code
    page = await web.client.get("/workflows/w/runs/e1", headers={"accept": "text/html"})
    assert (500, True) == (page.status_code, "cannot be read" in page.text)
