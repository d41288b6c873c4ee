"""Pages while the index lacks the older part of the history: none waits for it, and each says what is missing."""

import re
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest

from execution_history.application import open_application
from execution_history.settings import load_settings
from execution_history.web import create_app
from tests.late_index import COUNT, MISSING, build_held_up, records, settled
from tests.web.conftest import served

pytestmark = pytest.mark.anyio

NEWEST: Final = 1_764_000_000_000
"""When the last run began: 2025-11-24 16:00:00 UTC; the index has every run from 2025-11-22 22:21:00.001 UTC on."""
FILTERED: Final = ("/", "/runs?status=failed", "/runs?q=plugin", "/runs?sort=duration", "/workflows/forecast?window=1y")


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A reader in Shanghai of a history whose index has only the newest runs."""
    folder = tmp_path_factory.mktemp("late") / "history"
    settings = load_settings(store=str(folder), json_files=False)
    headers = {"accept": "text/html", "cookie": "zone=Asia/Shanghai"}
    with build_held_up(folder):
        async with (
            open_application(settings) as application,
            served(create_app(application)) as base,
            httpx.AsyncClient(base_url=base, timeout=30, headers=headers) as client,
        ):
            await application.service.store.merge(list(records(NEWEST)))
            await client.get("/runs?status=failed")
            await settled(application.service)
            yield client


@pytest.mark.parametrize("path", FILTERED)
async def test_a_page_says_from_when_on_it_is_whole_and_how_much_is_missing(
    client: httpx.AsyncClient, path: str
) -> None:
    """In the reader's language and zone, as a status that assistive technology finds and the page renews."""
    page = (await client.get(path)).text
    line = page[page.index('<p class="indexing"') :].partition("</p>")[0]
    assert 'role="status"' in line
    assert "Still indexing: every run from <time" in line
    assert ">2025-11-23 06:21:01</time> on is included; older ones are added automatically (7\u202f550 to go)." in line
    assert f'data-indexing="/indexing{"?texts=1" if "q=" in path else ""}"' in line
    chinese = (await client.get(path, headers={"cookie": "zone=Asia/Shanghai; language=zh"})).text
    assert "2025-11-23 06:21:01</time> 及之后的运行已全部包含，更早的会自动补上（还剩 7\u202f550 次）。" in chinese


@pytest.mark.parametrize("path", ["/runs", "/workflows/forecast/runs"])
async def test_a_list_without_filters_needs_no_index(client: httpx.AsyncClient, path: str) -> None:
    """It is whole, and so is its number of runs."""
    page = (await client.get(path)).text
    assert "data-indexing" not in page
    assert f"{COUNT // 1000}\u202f{COUNT % 1000:03d} runs" in page
    assert "e10049" in page


async def test_nothing_found_so_far_is_not_called_nothing(client: httpx.AsyncClient) -> None:
    """The failures are among the older runs."""
    listed = (await client.get("/runs?status=failed")).text
    assert "No matches among the runs indexed so far." in listed
    assert "No runs match." not in listed
    assert re.search(r"\b0 runs", listed) is None
    assert (
        "No runs in this period among those indexed so far."
        in (await client.get("/workflows/forecast?window=24h")).text
    )
    assert "Nothing failed" not in (await client.get("/")).text


async def test_the_line_is_renewed_by_itself(client: httpx.AsyncClient) -> None:
    """Without the page around it, also where the texts are what is missing."""
    for path in ("/indexing", "/indexing?texts=1"):
        piece = (await client.get(path)).text
        assert piece.lstrip().startswith('<p class="indexing"')
        assert f'data-indexing="{path}"' in piece


async def test_a_comparison_does_not_wait_for_what_is_missing(client: httpx.AsyncClient) -> None:
    """The last success is found where the index has it; otherwise it is not claimed that there is none."""
    assert 200 == (await client.get("/compare?run=forecast/e10000")).status_code
    answer = await client.get("/compare?run=forecast/e00100")
    assert 503 == answer.status_code
    assert "does not reach back to the last success before this run" in answer.text


@pytest.mark.parametrize("path", ["/coze/history?status=failed", "/coze/history?q=plugin", "/coze/statistics"])
async def test_programs_are_told_how_far_the_answer_reaches(client: httpx.AsyncClient, path: str) -> None:
    """With the keys that the documentation of the API has."""
    answer = (await client.get(path)).json()
    assert {"revision": COUNT, "newest": COUNT, "since": 1_763_850_060_001, "missing": MISSING} == answer["reach"]
    assert answer.get("total_is_exact", False) is False
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert set(answer["reach"]) == set(schemas["Reach"]["properties"])
    shape = "StatisticsAnswer" if "statistics" in path else "FoundAnswer"
    assert "reach" in schemas[shape]["properties"]
