"""The last success before a run, as far as an index that is behind reaches back."""

import pytest

from execution_history.errors import ExecutionNotFound, StoreBusy
from execution_history.history.comparison import Run, compare_with_last_success
from execution_history.query.model import IndexReach, RecordQuery, Selection
from execution_history.stores import MemoryStore
from tests.sample_records import change, document, ids

pytestmark = pytest.mark.anyio


class ReachingStore(MemoryStore):
    """A store whose queries miss what is older than some time."""

    def __init__(self, since: int | None, unseen: int = 0) -> None:
        super().__init__()
        self._since = since
        self._unseen = unseen

    async def select(self, query: RecordQuery) -> Selection:
        """Only the newer records are found."""
        found = await super().select(query)
        newest = found.reach.newest
        reach = IndexReach(newest - self._unseen, newest, self._since, 0 if self._since is None else 1)
        kept = [body for body in found.documents if self._since is None or int(ids([body])[0][1:]) >= self._since]
        return Selection(documents=kept, total=len(kept), total_is_exact=False, next=None, has_more=False, reach=reach)


async def _filled(store: MemoryStore) -> MemoryStore:
    """With the successes e1000 and e2000, and the failures e3000 and e4000; each began at the time of its name."""
    for began, status in ((1_000, "success"), (2_000, "success"), (3_000, "failed"), (4_000, "failed")):
        await store.create(document(f"e{began}", now=began))
        await store.update("w", f"e{began}", change(began + 1, status))
    return store


@pytest.mark.parametrize(("run", "partner"), [("e4000", "e2000"), ("e2000", None)])
async def test_a_success_that_the_index_has_is_found_without_the_rest(run: str, partner: str | None) -> None:
    """What may be older than the index is not claimed to be missing."""
    store = await _filled(ReachingStore(since=1_500))
    if partner is None:
        with pytest.raises(StoreBusy, match="does not reach back"):
            await compare_with_last_success(store, Run(run), 0)
    else:
        assert partner == (await compare_with_last_success(store, Run(run), 0)).old.execute_id


async def test_an_index_that_misses_the_latest_changes_is_not_trusted() -> None:
    """A run may have succeeded in between."""
    with pytest.raises(StoreBusy, match="does not have the latest changes yet"):
        await compare_with_last_success(await _filled(ReachingStore(None, unseen=1)), Run("e4000"), 0)


async def test_a_whole_index_tells_that_there_is_no_success() -> None:
    """As it does to those who wait."""
    with pytest.raises(ExecutionNotFound):
        await compare_with_last_success(await _filled(ReachingStore(None)), Run("e1000"), 0)
