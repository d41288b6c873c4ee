"""The runs that a rule is about, oldest first and page by page: those that go, and those that are protected."""

from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import orjson

from execution_history.errors import StoreBusy
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.query.retention import RetentionRule
from execution_history.records.metadata import PRUNED
from execution_history.records.protection import Protection, protection_of
from execution_history.stores.capabilities import Sized, follow_index
from execution_history.stores.protocol import WorkflowSummary


class Candidate(NamedTuple):
    """A run that a rule is about.

    Attributes:
        key: its ids.
        create_time: when it began (milliseconds).
        update_time: the version that was judged (milliseconds).
        size: the bytes of its JSON.
        protection: why it stays; ``None`` where it goes.
        is_shortened: whether the same run of retention has taken its contents.
    """

    key: RecordKey
    create_time: int
    update_time: int
    size: int
    protection: Protection | None
    is_shortened: bool = False


Page = list[Candidate]

_PAGE: Final = 40
"""Runs that are judged at once: their summaries may be read on the event loop's thread, where everybody waits."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What would be gone by now, in a preview.

    Attributes:
        gone: the runs.
        shorter: those without contents, and by how many bytes of JSON they would be shorter.
        runs: how many each workflow would have lost.
        bytes: how many bytes of JSON it would have lost.
    """

    gone: set[RecordKey] = field(default_factory=set)
    shorter: dict[RecordKey, int] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def note_gone(self, run: Candidate) -> None:
        """Note that a run would be gone."""
        self.gone.add(run.key)
        self.runs[run.key.workflow_id] += 1
        self.bytes[run.key.workflow_id] += run.size

    def note_shorter(self, key: RecordKey, freed: int) -> None:
        """Note that a run would have lost its contents, of so many bytes of JSON."""
        self.shorter[key] = freed
        self.bytes[key.workflow_id] += freed

    def left_of(self, page: Page, *, is_of_contents: bool) -> Page:
        """Return the runs of a page as they would be; *is_of_contents* leaves out what has no contents any more."""
        return [
            each._replace(size=each.size - self.shorter.get(each.key, 0), is_shortened=each.key in self.shorter)
            if self.shorter
            else each
            for each in page
            if each.key not in self.gone and not (is_of_contents and each.key in self.shorter)
        ]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Finds the runs that rules are about; nothing is changed.

    Args:
        service: the history.
        keep_tags: the tags that keep a run.
        now: the present (milliseconds).
        tried: what would be gone by now, in a preview, which removes nothing.
    """

    service: ExecutionHistoryService
    keep_tags: Collection[str]
    now: int
    tried: Tried = field(default_factory=Tried)

    async def of(self, rule: RetentionRule, since: int = 0, kept: dict[str, int] | None = None) -> AsyncGenerator[Page]:
        """Yield the runs that *rule* is about, which began at *since* (milliseconds) or later.

        Whoever takes a page removes what it has before the next: a limit of bytes is counted anew after each.

        Args:
            rule: the rule.
            since: they began then (milliseconds) or later.
            kept: takes how many runs the limits by workflow keep: ``newest`` and ``bytes``. Where the rule has other
                filters than a workflow, those of workflows with no more runs than it keeps are not counted.

        Raises:
            InvalidQuery: a filter of the rule is not possible.
            StoreBusy: the index does not have all runs, which a number of runs to keep needs.
            StoreError: the store could not be read.
        """
        await follow_index(self.service.store)
        found = await self.service.with_workflow_ids(rule.matching(self.now))
        if since:
            found = replace(found, created_from=since)
        if not rule.is_by_workflow:
            async for page in self._walk_of(rule, found):
                yield page
            return
        for summary in await self._workflows(found):
            own = replace(found, workflow_ids=(summary.workflow_id,))
            stays = _Stays(summary.total if _is_whole(own) else None)
            if summary.total <= (rule.keep_runs or 0):
                stays.newest = stays.matching or 0  # most of very many workflows are small
            else:
                async for page in self._beyond_limits(rule, own, summary, stays):
                    stays.passed += len(page)
                    yield page
            stays.add_to({} if kept is None else kept, has_size=rule.keep_bytes is not None)

    async def walk(
        self, what: RecordFilter, *, frees_waiting: bool = False, is_of_contents: bool = False
    ) -> AsyncGenerator[Page]:
        """Yield the runs that match *what*, oldest first; those without contents are left out where that is asked.

        Raises:
            StoreError: the store could not be read.
        """
        query = RecordQuery(filter=what, size=_PAGE, descending=False, summaries=True)
        after: str | None = None
        while True:
            selection = await self.service.store.select(replace(query, after=after))
            records: list[dict[str, Any]] = [orjson.loads(body) for body in selection.documents]
            if is_of_contents:
                records = [each for each in records if PRUNED.of(each) is None]
            judged = await self._judged(records, frees_waiting=frees_waiting)
            yield self.tried.left_of(judged, is_of_contents=is_of_contents)
            after = selection.next
            if after is None:
                return

    def _walk_of(self, rule: RetentionRule, what: RecordFilter) -> AsyncGenerator[Page]:
        return self.walk(what, frees_waiting=rule.frees_waiting, is_of_contents=rule.action == "contents")

    async def _judged(self, records: Sequence[dict[str, Any]], *, frees_waiting: bool) -> Page:
        keys = [RecordKey(each["workflow_id"], each["execute_id"]) for each in records]
        store = self.service.store
        sizes = await store.sizes_of(keys) if isinstance(store, Sized) else dict.fromkeys(keys, 0)
        return [
            Candidate(
                key,
                each["create_time"],
                each["update_time"],
                sizes[key],
                protection_of(each, self.keep_tags, frees_waiting=frees_waiting),
                self._is_shortened(each),
            )
            for key, each in zip(keys, records, strict=True)
            if key in sizes  # else it is gone, and the index does not know yet
        ]

    def _is_shortened(self, record: dict[str, Any]) -> bool:
        pruned = PRUNED.of(record)
        at = None if pruned is None else pruned.get("at")
        return isinstance(at, int) and at >= self.now

    async def _workflows(self, what: RecordFilter) -> list[WorkflowSummary]:
        known = await self.service.store.workflows()
        return [self._left_of(each) for each in known if not what.workflow_ids or each.workflow_id in what.workflow_ids]

    def _left_of(self, summary: WorkflowSummary) -> WorkflowSummary:
        runs, size = self.tried.runs[summary.workflow_id], self.tried.bytes[summary.workflow_id]
        return replace(summary, total=summary.total - runs, size=summary.size - size)

    async def _beyond_limits(
        self, rule: RetentionRule, what: RecordFilter, summary: WorkflowSummary, stays: "_Stays"
    ) -> AsyncGenerator[Page]:
        """Yield the runs of one workflow that none of the limits of *rule* keeps."""
        boundary: RecordKey | None = None
        if rule.keep_runs:
            kept = await self._newest(replace(what, created_before=None), rule.keep_runs)
            stays.newest = (stays.matching or 0) if kept is None else rule.keep_runs
            if kept is None:
                return
            boundary, newest = RecordKey(kept["workflow_id"], kept["execute_id"]), kept["create_time"] + 1
            what = replace(what, created_before=min(newest, what.created_before or newest))
        excess = None if rule.keep_bytes is None else summary.size - rule.keep_bytes
        if excess is not None and excess <= 0:
            return
        async for page in self._walk_of(rule, what):
            older = _before(page, boundary)
            chosen = older if excess is None else up_to(older, excess)
            if chosen:
                yield chosen
            if excess is not None and rule.keep_bytes is not None:
                excess = await self._size(summary.workflow_id) - rule.keep_bytes
            if len(older) < len(page) or (excess is not None and excess <= 0):
                return

    async def _newest(self, what: RecordFilter, number: int) -> dict[str, Any] | None:
        """Return the run at place *number*, from 1 on, of those that match, newest first; ``None`` where there is none.

        Raises:
            StoreBusy: the index does not have all of them.
        """
        query = RecordQuery(filter=what, size=1, index=number, summaries=True)
        if any(self.tried.runs[workflow_id] for workflow_id in what.workflow_ids):
            query = replace(query, size=MAX_SIZE, index=None)  # some of them would be gone
        while True:
            selection = await self.service.store.select(query)
            if not selection.reach.is_complete and selection.reach.since is not None:
                raise StoreBusy("The index does not have all runs yet: this is tried again later.")
            records: list[dict[str, Any]] = [orjson.loads(body) for body in selection.documents]
            there = [
                each for each in records if RecordKey(each["workflow_id"], each["execute_id"]) not in self.tried.gone
            ]
            if query.index is not None:
                return there[0] if there else None
            if len(there) >= number or selection.next is None:
                return there[number - 1] if len(there) >= number else None
            number -= len(there)
            query = replace(query, after=selection.next)

    async def _size(self, workflow_id: str) -> int:
        found = await self.service.store.workflows(workflow_id)
        return next((self._left_of(each).size for each in found if each.workflow_id == workflow_id), 0)


@dataclass(slots=True)
class _Stays:
    """What limits keep of one workflow.

    Attributes:
        matching: how many of its runs match the rule; ``None`` where that would have to be counted.
        newest: how many stay as the newest.
        passed: how many no limit keeps.
    """

    matching: int | None
    newest: int = 0
    passed: int = 0

    def add_to(self, kept: dict[str, int], *, has_size: bool) -> None:
        """Add the counts to those of other workflows; only with *has_size* others than the newest stay."""
        within = self.matching - self.newest - self.passed if has_size and self.matching is not None else 0
        for name, count in (("newest", self.newest), ("bytes", within)):
            if count > 0:
                kept[name] = kept.get(name, 0) + count


def _is_whole(what: RecordFilter) -> bool:
    """Return whether all runs of a workflow match."""
    return what == RecordFilter(workflow_ids=what.workflow_ids, workflows=what.workflows, within=what.within)


def _before(page: Page, boundary: RecordKey | None) -> Page:
    """Return the runs before that of *boundary*: it is the oldest that stays."""
    place = next((place for place, each in enumerate(page) if each.key == boundary), len(page))
    return page[:place]


def up_to(page: Page, excess: int) -> Page:
    """Return as many of the first runs of a page as free *excess* bytes, or all."""
    chosen: Page = []
    for each in page:
        if excess <= 0:
            break
        chosen.append(each)
        excess -= each.size if each.protection is None else 0
    return chosen
