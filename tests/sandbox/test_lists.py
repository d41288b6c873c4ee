"""GET /v1/workflows and what the table of workflows promises."""

from typing import Any

import httpx
import pytest

from execution_history.sandbox import WORKFLOWS

pytestmark = pytest.mark.anyio


async def page(client: httpx.AsyncClient, **query: str | int) -> dict[str, Any]:
    """Return the body of a list answer."""
    answer: dict[str, Any] = (await client.get("/v1/workflows", params=query)).json()
    return answer


async def test_every_workflow_is_listed(client: httpx.AsyncClient) -> None:
    """The list names each workflow with a description, in the order of the ids."""
    items = (await page(client, page_size=100))["data"]["items"]

    assert [item["workflow_id"] for item in items] == list(WORKFLOWS)
    assert all(item["description"].endswith(".") for item in items)


async def test_the_list_comes_in_pages(client: httpx.AsyncClient) -> None:
    """Ten workflows make a page unless told otherwise, and has_more tells of the rest."""
    first = (await page(client))["data"]
    last = (await page(client, page_num=2, page_size=20))["data"]

    assert (len(first["items"]), first["has_more"]) == (10, True)
    assert (len(last["items"]), last["has_more"]) == (len(WORKFLOWS) - 20, False)


async def test_the_unpublished_workflow_is_not_among_the_published(client: httpx.AsyncClient) -> None:
    """Asked for published workflows only, the list leaves out the one that was never published."""
    items = (await page(client, page_size=100, publish_status="published_online"))["data"]["items"]

    names = {item["workflow_name"] for item in items}
    assert {workflow.name for workflow in WORKFLOWS.values()} - names == {"never_published"}


@pytest.mark.parametrize("query", [{"page_num": "0"}, {"page_size": "0"}, {"page_size": "101"}, {"page_num": "x"}])
async def test_an_impossible_page_is_refused(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    """Pages count from 1 and hold at most 100."""
    assert (await page(client, **query))["code"] == 4000


async def test_one_workflow_is_described(client: httpx.AsyncClient) -> None:
    """The detail of a workflow is its entry in the list."""
    workflow_id = next(iter(WORKFLOWS))
    detail = (await client.get(f"/v1/workflows/{workflow_id}")).json()["data"]["workflow_detail"]

    assert detail == (await page(client))["data"]["items"][0]


async def versions(client: httpx.AsyncClient, name: str, **query: str | int) -> dict[str, Any]:
    """Return the body of an answer that lists versions."""
    workflow_id = next(entry.workflow_id for entry in WORKFLOWS.values() if entry.name == name)
    answer: dict[str, Any] = (await client.get(f"/v1/workflows/{workflow_id}/versions", params=query)).json()
    return answer


async def test_versions_come_in_pages(client: httpx.AsyncClient) -> None:
    """The token of one page leads to the next, and the last one has none."""
    first = (await versions(client, "short_answer", page_size=2))["data"]
    last = (await versions(client, "short_answer", page_size=2, page_token=first["next_page_token"]))["data"]

    assert [item["version"] for item in first["items"]] == ["v0.0.3", "v0.0.2"]
    assert [item["version"] for item in last["items"]] == ["v0.0.1"]
    assert (first["has_more"], last["has_more"], last["next_page_token"]) == (True, False, "")


@pytest.mark.parametrize(
    ("name", "query"), [("never_published", {}), ("short_answer", {"publish_status": "unpublished_draft"})]
)
async def test_what_is_not_published_has_no_versions(
    client: httpx.AsyncClient, name: str, query: dict[str, str]
) -> None:
    """An unpublished workflow has an empty list, and so have the drafts of any."""
    assert (await versions(client, name, **query))["data"] == {"items": [], "has_more": False, "next_page_token": ""}


@pytest.mark.parametrize("query", [{"page_token": "x"}, {"page_size": "0"}, {"page_size": "101"}])
async def test_an_impossible_page_of_versions_is_refused(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    """A token that was never given out, or a size out of range, gets 4000."""
    assert (await versions(client, "short_answer", **query))["code"] == 4000


def test_the_ids_are_numbers_of_19_digits() -> None:
    """Workflow ids look like those of Coze and begin at ...001."""
    expected = [str(7_000_000_000_000_000_000 + number) for number in range(1, len(WORKFLOWS) + 1)]

    assert list(WORKFLOWS) == expected
