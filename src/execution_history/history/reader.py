"""The reading half of the service: pages, filters, statistics, single records, workflows.

Existing deployments rely on ``get_execution_history``, ``get_execution_detail`` and ``get_all_workflows``.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import orjson

from execution_history.errors import InvalidInput, InvalidPage, quoted
from execution_history.history.failure_examples import with_examples
from execution_history.history.failure_states import with_known_states
from execution_history.history.iteration import selected
from execution_history.history.keyword_query import FilterValue, HistoryPage, keyword_filter, page_of
from execution_history.history.workflow_lookup import WorkflowLookup
from execution_history.metrics import READ_SECONDS
from execution_history.query.breakdown import Breakdown, BreakdownQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import IndexReach, RecordQuery, Selection, Sort, Statistics, StatisticsQuery
from execution_history.records.identifiers import may_exist
from execution_history.records.record import ExecutionRecord
from execution_history.stores.capabilities import Indexed, OnReach, follow_index, ignored, reach_of
from execution_history.stores.protocol import Batch, StoreHealth, WorkflowSummary

if TYPE_CHECKING:
    from execution_history.query.search_results import SearchPage

MAX_PAGE_SIZE: Final = 100
_SCANNED_AT_ONCE: Final = 2_000


class HistoryReading(WorkflowLookup):
    """The queries of a history; the first call opens the store.

    Every filter may call workflows by their names: :meth:`with_workflow_ids` finds their ids.
    """

    async def get_execution_history(
        self,
        workflow_id: str | None,
        page_size: int = 20,
        page_index: int = 1,
        *,
        record_filter: RecordFilter | None = None,
        sort: Sort = "create_time",
        descending: bool = True,
        cursor: str | None = None,
        **words: FilterValue,
    ) -> HistoryPage:
        """Return one page of a workflow's records, or for ``None`` of all, newest first; an unknown workflow has none.

        Args:
            workflow_id: the workflow, or ``None`` for all; a filter that names only other workflows finds nothing.
            page_size: the number of records, 1 to 100.
            page_index: the number of the page, from 1; ignored with a cursor.
            record_filter: which records.
            words: the same as keywords, such as ``status="failed", since="2h", where='input.city = "北京"'``; the names
                are those of :data:`execution_history.query.fields.FILTERS`.
            sort: ``create_time``, ``duration``, ``tokens`` or ``cost``.
            descending: the largest, or newest, first.
            cursor: the ``next_cursor`` of the previous page.

        Raises:
            AmbiguousName: several workflows have a name in the filter; so for all filters here.
            InvalidIdentifier: the workflow id is not text.
            InvalidPage: *page_size* is not in 1..100 or *page_index* is below 1.
            InvalidQuery: a filter is unknown or invalid, or the cursor belongs to another query.
            StoreError: the store could not be read.
        """
        is_plain = record_filter is None and not words and cursor is None and sort == "create_time" and descending
        _check_page(page_size, page_index)
        page: HistoryPage = {
            "histories": [],
            "total": 0,
            "has_more": False,
            "next_cursor": None,
            "total_is_exact": True,
        }
        if workflow_id is None or may_exist(workflow_id=workflow_id):
            if record_filter is not None and words:
                raise InvalidInput("Records are filtered by record_filter or by words, not by both.")
            record_filter = await self.with_workflow_ids(record_filter or keyword_filter(words, now=self._clock()))
            named = record_filter.workflow_ids
            if workflow_id is not None:
                record_filter = replace(record_filter, workflow_ids=(workflow_id,))
            index = page_index if cursor is None else None
            query = RecordQuery(
                filter=record_filter, sort=sort, descending=descending, size=page_size, after=cursor, index=index
            )
            if not named or workflow_id is None or workflow_id in named:
                page = page_of(await self.select(query))
        if is_plain:
            del page["next_cursor"], page["total_is_exact"]
        return page

    async def select(self, query: RecordQuery) -> Selection:
        """Return one page of the records that *query* selects, as stored bytes or summaries; see its fields.

        Raises:
            InvalidQuery: the cursor is broken or another query's, or the store has no text search.
            StoreError: the store could not be read.
        """
        chosen = await self.with_workflow_ids(query.filter)
        store = await self._opened()
        with READ_SECONDS.timed("list"):
            return await store.select(query if chosen is query.filter else replace(query, filter=chosen))

    async def search(
        self,
        text: str,
        *,
        record_filter: RecordFilter | None = None,
        size: int = 20,
        cursor: str | None = None,
        is_ranked: bool = False,
    ) -> "SearchPage":
        """Return one page of the records that contain *text*, newest first, with the places where they contain it.

        Args:
            text: the search, in the syntax of :mod:`execution_history.query.text.syntax`.
            record_filter: which records; its own text is ignored.
            size: the number of hits, 1 to 100.
            cursor: the ``next`` of the previous page.
            is_ranked: rank the hundred newest hits, best first; then there is one page only.

        Raises:
            InvalidQuery: the text cannot be searched for, text search is switched off, or the cursor belongs to
                another query.
            StoreError: the store could not be read.
        """
        # Tables of characters and patterns, which only a search needs.
        from execution_history.query.search_results import RANKED, best_of, page_of_hits  # noqa: PLC0415
        from execution_history.query.text import parse_search  # noqa: PLC0415

        search = parse_search(text)
        record_filter = replace(record_filter or RecordFilter(), text=text)
        query = RecordQuery(filter=record_filter, size=size, after=cursor)
        if is_ranked:
            return page_of_hits(best_of(await self.select(replace(query, size=RANKED)), search, size), search)
        return page_of_hits(await self.select(query), search)

    async def batches(
        self, record_filter: RecordFilter, *, sort: Sort = "create_time", descending: bool = False
    ) -> AsyncGenerator[Batch]:
        """Yield the records that match *record_filter* in batches, in the order of *sort*, reversed where *descending*.

        Oldest first and without a filter the order is that of arrival, and the store is read from its beginning to
        its end, which is several times as fast as reading pages. A record that is created or changes meanwhile may
        be yielded or not; each is whole.

        Raises:
            InvalidQuery: the filter contains a text to find, and the store has no text search.
            StoreError: the store could not be read.
        """
        record_filter = await self.with_workflow_ids(record_filter)
        await self.store.open()
        if descending or sort != "create_time" or record_filter.given():
            async for batch in selected(self.store, record_filter, descending=descending, sort=sort):
                yield batch
            return
        batch = await self.store.scan(None, _SCANNED_AT_ONCE)
        yield batch
        while batch.next is not None:
            batch = await self.store.scan(batch.next, _SCANNED_AT_ONCE)
            yield batch

    async def statistics(self, query: StatisticsQuery) -> Statistics:
        """Return the statistics of the records that match *query*; see its fields.

        Raises:
            InvalidQuery: there is no such time zone, or there would be too many buckets.
            StoreError: the store could not be read.
        """
        now = self._clock() if query.now is None else query.now
        query = replace(query, filter=await self.with_workflow_ids(query.filter), now=now)
        store = await self._opened()
        with READ_SECONDS.timed("statistics"):
            found = await with_examples(await store.statistics(query), store.get_many)
            return await with_known_states(found, query, store.select)

    async def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """Return the figures by workflow, node, account and so on of the records that match *query*; see its fields.

        Raises:
            InvalidQuery: there is no such time zone, or there would be too many buckets.
            StoreError: the store could not be read.
        """
        query = replace(query, filter=await self.with_workflow_ids(query.filter))
        store = await self._opened()
        with READ_SECONDS.timed("breakdown"):
            return await store.breakdown(query)

    async def breakdowns(self, queries: Sequence[BreakdownQuery]) -> list[Breakdown]:
        """Return the result of :meth:`breakdown` for each of *queries*, in their order; of the same runs in one read.

        Raises:
            InvalidQuery: as for :meth:`breakdown`.
            StoreError: the store could not be read.
        """
        named = [replace(each, filter=await self.with_workflow_ids(each.filter)) for each in queries]
        store = await self._opened()
        with READ_SECONDS.timed("breakdown"):
            return await store.breakdowns(named)

    async def revision(self) -> int:
        """Return the number of the newest change, without waiting for an index.

        Raises:
            StoreError: the store could not be read.
        """
        return await (await self._opened()).revision()

    @property
    def has_index(self) -> bool:
        """Whether ``select`` and ``statistics`` are answered by an index, which may be behind."""
        return isinstance(self.store, Indexed)

    async def index_reach(self, *, has_texts: bool = True) -> IndexReach:
        """Return how far the index that answers ``select`` and ``statistics`` has followed the history.

        Args:
            has_texts: whether texts count, which are indexed after everything else, and which only searches need.

        Raises:
            StoreError: the store could not be read.
        """
        return await reach_of(await self._opened(), has_texts=has_texts)

    async def follow_index(self, progress: OnReach = ignored) -> None:
        """Wait until the index has everything that is in the store now; call *progress* now and then until then.

        Raises:
            StoreBusy: the index has stopped.
            StoreError: the store could not be read, or the index not be written.
        """
        await follow_index(await self._opened(), progress)

    async def rebuild_index(self) -> None:
        """Rebuild the index that answers ``select`` and ``statistics``; return when it is complete.

        Raises:
            StoreError: the store could not be read, or the index not be written.
        """
        store = await self._opened()
        if isinstance(store, Indexed):
            await store.rebuild_index()

    async def page_bytes(self, workflow_id: str | None, page_size: int = 20, page_index: int = 1) -> Selection:
        """Return a page as stored bytes, neither parsed nor encoded again; ``None`` stands for all workflows.

        Raises:
            InvalidIdentifier: the workflow id is not text.
            InvalidPage: *page_size* is not in 1..100 or *page_index* is below 1.
            StoreError: the store could not be read.
        """
        _check_page(page_size, page_index)
        workflow_ids = () if workflow_id is None else (workflow_id,)
        if workflow_id is not None and not may_exist(workflow_id=workflow_id):
            nowhere = IndexReach(0, 0)
            return Selection(documents=[], total=0, total_is_exact=True, next=None, has_more=False, reach=nowhere)
        record_filter = RecordFilter(workflow_ids=workflow_ids)
        return await self.select(RecordQuery(filter=record_filter, size=page_size, index=page_index))

    async def get_execution_detail(self, workflow_id: str, execute_id: str) -> ExecutionRecord | None:
        """Return one record, or ``None``.

        Raises:
            InvalidIdentifier: an id is not text.
            RecordDamaged: it cannot be read.
            StoreError: the store could not be read.
        """
        body = await self.detail_bytes(workflow_id, execute_id)
        return None if body is None else parsed(body)

    async def detail_bytes(self, workflow_id: str, execute_id: str) -> bytes | None:
        """Return one record as stored bytes, or ``None``.

        Raises:
            InvalidIdentifier: an id is not text.
            RecordDamaged: it cannot be read.
            StoreError: the store could not be read.
        """
        if not may_exist(workflow_id=workflow_id, execute_id=execute_id):
            return None
        store = await self._opened()
        with READ_SECONDS.timed("detail"):
            return await store.get(workflow_id, execute_id)

    async def get_all_workflows(self) -> list[str]:
        """Return the ids of the workflows that have history, the one with the newest record first.

        Raises:
            StoreError: the store could not be read.
        """
        return [summary.workflow_id for summary in await self.workflow_summaries()]

    async def workflow_summaries(self) -> list[WorkflowSummary]:
        """Return the workflows that have history, with counts per status and the time of the last run.

        Raises:
            StoreError: the store could not be read.
        """
        store = await self._opened()
        with READ_SECONDS.timed("workflows"):
            return await store.workflows()

    async def health(self) -> StoreHealth:
        """Return whether histories can be read and written now; never raises."""
        return await self.store.health()


def parsed(body: bytes) -> ExecutionRecord:
    """Return a stored record as a dict."""
    return cast("ExecutionRecord", orjson.loads(body))


def _check_page(page_size: object, page_index: object) -> None:
    if type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidPage(
            "page_size is a whole number from 1 to %(max_page_size)s, not %(page_size)s.",
            max_page_size=MAX_PAGE_SIZE,
            page_size=quoted(page_size),
        )
    if type(page_index) is not int or page_index < 1:
        raise InvalidPage("page_index is a whole number from 1 on, not %(page_index)s.", page_index=quoted(page_index))
