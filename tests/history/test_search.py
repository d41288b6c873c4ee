"""Searching through the service: hits with their places, by time and by rank."""

from pathlib import Path

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import InvalidCursor, InvalidQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.search_results import SearchPage

pytestmark = pytest.mark.anyio


async def _filled(service: ExecutionHistoryService) -> None:
    for number, note in enumerate(["deploy", "nothing", "redeployed 北京", "the deploy of the day", "deploy deploy"]):
        await service.create_execution_record("w" if number % 2 else "v", f"e{number}", {"said": note})


def _ids(page: SearchPage) -> list[str]:
    return [orjson.loads(hit.body)["execute_id"] for hit in page.hits]


async def test_hits_come_newest_first_with_their_places(place: str) -> None:
    """And by cursor, a page after the other."""
    async with ExecutionHistoryService(place) as service:
        await _filled(service)
        page = await service.search("Deploy", size=3)
        assert (["e4", "e3", "e2"], True) == (_ids(page), page.has_more)
        assert ["deploy", "deploy"] == [page.hits[0].snippets[0].text[a:b] for a, b in page.hits[0].snippets[0].hits]
        assert ("input_parameters", "redeployed 北京") == (
            page.hits[2].snippets[0].field, page.hits[2].snippets[0].text,
        )  # fmt: skip
        following = await service.search("Deploy", size=3, cursor=page.next)
        assert (["e0"], False, None) == (_ids(following), following.has_more, following.next)
        with pytest.raises(InvalidCursor):
            await service.search("other", cursor=page.next)


async def test_the_best_hits_come_first_when_that_is_asked(place: str) -> None:
    """Within a filter too; the total is that of all hits."""
    async with ExecutionHistoryService(place) as service:
        await _filled(service)
        page = await service.search("deploy", is_ranked=True, size=3)
        assert (["e4", "e0", "e3"], None, False) == (_ids(page), page.next, page.has_more)
        assert 4 == page.total
        within = await service.search("deploy", is_ranked=True, record_filter=RecordFilter(workflow_ids=("v",)))
        assert ["e4", "e0", "e2"] == _ids(within)


async def test_what_cannot_be_searched_is_refused(place: str) -> None:
    """With one sentence, before the store is asked."""
    async with ExecutionHistoryService(place) as service:
        with pytest.raises(InvalidQuery, match="no word to look for"):
            await service.search("?!")


async def test_a_switched_off_search_says_how_to_switch_it_on(tmp_path: Path) -> None:
    """With the name of the setting; what was indexed before is not needed."""
    async with ExecutionHistoryService(tmp_path) as service:
        await _filled(service)
        assert 4 == (await service.search("deploy")).total
    async with ExecutionHistoryService(tmp_path, search=False) as service:
        with pytest.raises(InvalidQuery, match="EXECUTION_HISTORY_SEARCH"):
            await service.search("deploy")
    async with ExecutionHistoryService(tmp_path) as service:
        assert 4 == (await service.search("deploy")).total
