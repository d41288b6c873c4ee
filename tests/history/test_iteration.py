"""What a filter means is given whole, also where the index that answers is behind."""

import pytest

from execution_history.history.comparison import Run, compare_with_last_success
from execution_history.history.iteration import selected
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.stores import MemoryStore
from execution_history.stores.capabilities import OnReach, ignored
from tests.sample_records import change, document, ids

pytestmark = pytest.mark.anyio


class LateStore(MemoryStore):
    """Answers from an index that is some changes behind, and follows by *pace* changes with every question."""

    def __init__(self, behind: int, pace: int) -> None:
        super().__init__()
        self._behind = behind
        self._pace = pace
        self.waits: list[bool] = []

    async def index_reach(self, *, has_texts: bool = True) -> IndexReach:  # noqa: ARG002 - there are no texts
        """As far as it has followed."""
        newest = await self.revision()
        return IndexReach(newest - self._behind, newest)

    async def follow_index(self, progress: OnReach = ignored, *, has_texts: bool = True) -> None:
        """With questions, until everything has been followed."""
        self.waits.append(has_texts)
        while not (reach := (await self.select(RecordQuery())).reach).is_complete:
            progress(reach)

    async def rebuild_index(self) -> None:
        """There is nothing to rebuild."""

    async def select(self, query: RecordQuery) -> Selection:
        """Nothing is found before everything has been followed."""
        self._behind = max(0, self._behind - self._pace)
        reach = await self.index_reach()
        if reach.is_complete:
            return await super().select(query)
        return Selection(documents=[], total=0, total_is_exact=False, next=None, has_more=False, reach=reach)


async def test_an_index_that_is_behind_is_waited_for() -> None:
    """No record that was there at the beginning is left out."""
    store = LateStore(behind=5, pace=1)
    await store.merge([document(f"e{number}") for number in range(5)])

    found = [
        body
        async for page in selected(store, RecordFilter(statuses=("running",)), descending=False)
        for body in page.documents
    ]

    assert ["e0", "e1", "e2", "e3", "e4"] == ids(found)


async def test_only_a_search_waits_for_texts() -> None:
    """They come after everything else."""
    store = LateStore(behind=0, pace=1)
    for record_filter in (RecordFilter(statuses=("running",)), RecordFilter(text="word")):
        assert [] == [page async for page in selected(store, record_filter, descending=False) if page.documents]
    assert [False, True] == store.waits


async def test_the_last_success_is_not_missed_by_an_index_that_is_behind() -> None:
    """It is found as soon as the index has got there."""
    store = LateStore(behind=3, pace=1)
    for number in range(3):
        await store.create(document(f"e{number}", now=1_000 + number))
        await store.update("w", f"e{number}", change(2_000, "success"))

    assert "e1" == (await compare_with_last_success(store, Run("e2"))).old.execute_id
