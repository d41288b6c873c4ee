"""Redaction of what a history has already: records, also deleted ones that can be restored, archives and the spool.

Records are rewritten in batches, each only if nobody changed it meanwhile, by the rules in force
(:mod:`execution_history.records.content_rules`). It may be stopped at any time: the next call goes on where it stopped,
as long as the rules are the same. In the end the store's files are made anew, so that they hold no earlier version.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from execution_history.access.audit import Act, Action
from execution_history.clock import now_ms
from execution_history.errors import ExecutionHistoryError
from execution_history.history.registry import change_entry
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job, JobRun, last_run, run_job
from execution_history.maintenance.archive import archives_of
from execution_history.maintenance.archive_redaction import redact_archive
from execution_history.maintenance.backup.status import REDACTION, source_of, statuses
from execution_history.maintenance.backup.target import read_backups, target_at
from execution_history.maintenance.redaction_report import EarlierBackups, OnProgress, RedactionExample, RedactionReport
from execution_history.maintenance.spool_redaction import redact_spool
from execution_history.query.model import RecordKey
from execution_history.recording.spool import spool_of
from execution_history.records.content_rules import ContentRules
from execution_history.records.partial import members_of, outline_of
from execution_history.records.record import Document
from execution_history.records.redaction import MARK
from execution_history.records.replacement import Replacement
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.capabilities import Bin, Erasable
from execution_history.stores.protocol import HistoryStore, ScanToken

JOB: Final = "redaction"

_PLACE: Final = EntryName(REDACTION, "place")
_LEFT_OVER: Final = EntryName(REDACTION, "left-over")  # there while files may hold earlier versions
_BATCH: Final = 200
_WRITTEN_AT_ONCE: Final = 16
_ATTEMPTS: Final = 20
_MOST_EXAMPLES: Final = 20
_OF_ONE_RULE: Final = 3
_AROUND: Final = 40
_PREFIX: Final = "metadata."


async def preview_redaction(
    service: ExecutionHistoryService,
    *,
    workflow_ids: Collection[str] = (),
    most: int | None = None,
    on_progress: OnProgress = lambda _: None,
) -> RedactionReport:
    """Return what :func:`redact_history` would do now, without changing anything.

    Args:
        service: the history, with the rules in force.
        workflow_ids: the workflows to look at; all of them unless given.
        most: how many records are looked at, the oldest first, and no archives; all of them, and these, unless given.
        on_progress: called after each batch.

    Raises:
        StoreError: the store could not be read.
    """
    redaction = _Redaction(service, RedactionReport(is_dry=True), frozenset(workflow_ids), on_progress)
    await redaction.walk(most=most)
    if most is None:
        await redaction.reach_files(None)
    return redaction.report


async def redact_history(
    service: ExecutionHistoryService,
    *,
    workflow_ids: Collection[str] = (),
    actor: str | None = None,
    erase: bool = True,
    on_progress: OnProgress = lambda _: None,
    clock: Callable[[], int] = now_ms,
) -> JobRun:
    """Redact the history by the rules in force; the report of the run is a :class:`RedactionReport` as JSON.

    Args:
        service: the history, with the rules in force.
        workflow_ids: the workflows to redact; all of them unless given.
        actor: who does it, for the audit log.
        erase: whether the store's files are made anew in the end.
        on_progress: called after each batch.
        clock: milliseconds since the epoch.

    Raises:
        StoreBusy: another process is doing it.
        StoreError: the store could not be read or written.
    """
    redaction = _Redaction(service, RedactionReport(), frozenset(workflow_ids), on_progress, clock)

    async def work() -> dict[str, Any]:
        named = {"only_workflows": sorted(workflow_ids)} if workflow_ids else {}
        async with Act(service, Action.REDACT, actor, **named) as act:
            await act.begin()
            try:
                await redaction.walk()
                await redaction.walk_bin()
                await redaction.finish(erase=erase)
                await redaction.reach_files(actor)
            finally:
                act.found = redaction.details()
        if redaction.report.has_changed:
            redaction.report.backups = await earlier_backups(service)
        return redaction.report.to_json()

    run = await run_job(service, Job(JOB, 0, work), clock=clock)
    assert run is not None  # noqa: S101 - it is always due
    return run


async def last_redaction(service: ExecutionHistoryService) -> JobRun | None:
    """Return the last run of :func:`redact_history`; ``None`` where there is none.

    Raises:
        StoreError: the store could not be read.
    """
    return await last_run(service, JOB)


class _Redaction:
    """One walk over a history."""

    def __init__(
        self,
        service: ExecutionHistoryService,
        report: RedactionReport,
        workflow_ids: frozenset[str],
        on_progress: OnProgress,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.report = report
        self._service = service
        self._store: HistoryStore = service.store
        self._rules = service.rules
        self._workflow_ids = workflow_ids
        self._on_progress = on_progress
        self._clock = clock
        self._digest = _digest_of(service.rules, workflow_ids)

    async def walk(self, most: int | None = None) -> None:
        """Look at all records, the oldest first, and redact them unless the report is of a trial."""
        await self._store.open()
        place = None if self.report.is_dry else await self._place()
        self.report.is_continued = place is not None
        while True:
            batch = await self._store.scan(place, _BATCH)
            self.report.damaged += len(batch.damaged)
            await self._redact([body for body in batch.documents if self._is_meant(body)])
            self._on_progress(self.report)
            place = batch.next
            if place is None or (most is not None and self.report.records >= most):
                return
            if not self.report.is_dry:
                await self._keep_place(place)

    async def walk_bin(self) -> None:
        """Redact the deleted records that can be restored; they stay deleted."""
        store = self._store
        if not isinstance(store, Bin):
            return
        for binned in await store.binned():
            if not self._workflow_ids or binned.key.workflow_id in self._workflow_ids:
                await self._redact_binned(store, binned.key)

    async def _redact_binned(self, store: Bin, key: RecordKey) -> None:
        body = (await store.binned_documents([key])).get(key)
        if body is None:
            is_there = any(each.key == key for each in await store.binned())
            self.report.damaged += is_there
            self.report.missed += not is_there  # it was restored meanwhile
            return
        self.report.records += 1
        self.report.bytes += len(body)
        made = await asyncio.to_thread(self._made, body)
        if made is None:
            return
        await change_entry(self._store, _LEFT_OVER, lambda _: b"true")
        if await store.replace_binned(made.after, made.expected):
            self._count(made)
            self.report.binned += 1
        else:
            self.report.missed += 1

    async def finish(self, *, erase: bool) -> None:
        """Forget the place, and make the store's files anew where that is wanted, and something is left in them."""
        store = self._store
        await change_entry(store, _PLACE, lambda _: None)
        if not isinstance(store, Erasable):
            return
        if erase and await store.entry(*_LEFT_OVER) is not None:
            await store.erase()
            await change_entry(store, _LEFT_OVER, lambda _: None)
        self.report.is_erased = await store.entry(*_LEFT_OVER) is None

    async def reach_files(self, actor: str | None) -> None:
        """Redact the archives of the history, and the steps of runs that wait for it."""
        report, is_dry = self.report, self.report.is_dry
        if (spool := spool_of(self._store)) is not None:
            report.spool = await asyncio.to_thread(redact_spool, spool, self._rules, self._workflow_ids, is_dry=is_dry)
        for file in await archives_of(self._service):
            found = await redact_archive(file, self._rules, self._workflow_ids, self._clock, actor=actor, is_dry=is_dry)
            report.archives.append(found)
            self._on_progress(report)

    def details(self) -> dict[str, object]:
        """Return what the audit log keeps of what was done."""
        report = self.report
        details: dict[str, object] = {"records": report.changed, "values": report.values}
        details["workflows"] = len(report.workflows)
        if archived := {each.file: each.changed for each in report.archives if each.changed}:
            details["archives"] = archived
        return details

    def _is_meant(self, body: bytes) -> bool:
        if not self._workflow_ids:
            return True
        return orjson.loads(bytes(memoryview(members_of(body)["workflow_id"]))) in self._workflow_ids

    async def _redact(self, bodies: Sequence[bytes]) -> None:
        """Redact some records that were read."""
        made = await asyncio.to_thread(lambda: [self._made(body) for body in bodies])
        self.report.records += len(bodies)
        self.report.bytes += sum(map(len, bodies))
        found = [each for each in made if each is not None]
        if found and not self.report.is_dry:
            await change_entry(self._store, _LEFT_OVER, lambda _: b"true")
        for begin in range(0, len(found), _WRITTEN_AT_ONCE):
            group = found[begin : begin + _WRITTEN_AT_ONCE]
            written = await asyncio.gather(*map(self._write, group), return_exceptions=True)
            for each in written:
                if isinstance(each, _Made):
                    self._count(each)
            for each in written:
                if isinstance(each, BaseException):
                    raise each

    def _made(self, body: bytes) -> "_Made | None":
        """Return a record as it is kept from now on; ``None`` where it is that already."""
        before = Document.of(outline_of(body), body)
        made = self._rules.of_run(before.workflow_id).redacted(before, self._clock())
        return None if made is None else _Made(made[0], made[1], before.update_time)

    async def _write(self, made: "_Made") -> "_Made | None":
        """Write a redacted record; return it as it was written, or ``None`` where there is nothing to redact any more.

        Where others have changed the record meanwhile, it is read and redacted again.
        """
        if self.report.is_dry:
            return made
        key = made.key
        for _ in range(_ATTEMPTS):
            if await self._store.update(*key, Replacement.by(made.after, made.expected)) is not None:
                return made
            body = await self._store.get(*key)
            again = None if body is None else await asyncio.to_thread(self._made, body)
            if again is None:
                return None
            made = again
        self.report.missed += 1
        return None

    def _count(self, made: "_Made") -> None:
        report = self.report
        report.changed += 1
        report.workflows[made.key.workflow_id] += 1
        for name, tally in made.found.items():
            for rule, count in tally.items():
                is_new = report.values[rule] < _OF_ONE_RULE and len(report.examples) < _MOST_EXAMPLES
                report.values[rule] += count
                if is_new:
                    report.examples.append(RedactionExample(*made.key, name, rule, made.excerpt(name)))

    async def _place(self) -> ScanToken | None:
        """Return where an earlier call with the same rules has stopped; ``None`` for the beginning."""
        entry = await self._store.entry(*_PLACE)
        if entry is None:
            return None
        try:
            kept = orjson.loads(entry.value)
            return ScanToken(str(kept["place"])) if kept["digest"] == self._digest else None
        except (ValueError, LookupError, TypeError):  # whoever wrote it, no redaction did
            return None

    async def _keep_place(self, place: ScanToken) -> None:
        value = orjson.dumps({"place": place, "digest": self._digest})

        def replaced(_: Entry | None) -> bytes:
            return value

        await change_entry(self._store, _PLACE, replaced)


@dataclass(frozen=True, slots=True)
class _Made:
    """A redacted record, what was found in it by value and rule, and the version that it was made of."""

    after: Document
    found: dict[str, dict[str, int]]
    expected: int

    @property
    def key(self) -> RecordKey:
        """The record's."""
        return RecordKey(self.after.workflow_id, self.after.execute_id)

    def excerpt(self, name: str) -> str:
        """Return the text around the first mark in the value *name*."""
        members = members_of(self.after.body)
        if name.startswith(_PREFIX):
            members = members_of(memoryview(members["metadata"]))
        value = members.get(name.removeprefix(_PREFIX))
        text = "" if value is None else bytes(memoryview(value)).decode()
        at = max(text.find(MARK), 0)
        start, end = max(at - _AROUND, 0), at + _AROUND
        return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


async def earlier_backups(service: ExecutionHistoryService) -> list[EarlierBackups]:
    """Return where the history has backups, with their number where the place can be read."""
    found = []
    for status in await statuses(service):
        if status.last is None:
            continue
        count = None
        with suppress(ExecutionHistoryError):
            backups = await asyncio.to_thread(lambda place: read_backups(target_at(place)), status.place)
            count = sum(each.manifest.source == source_of(service) for each in backups.all)
        if count != 0:
            found.append(EarlierBackups(status.place, count))
    return found


def _digest_of(rules: ContentRules, workflow_ids: frozenset[str]) -> str:
    """Return what tells a walk with these rules from one with others."""
    known = [[rule.to_json() for rule in rules.redaction], sorted(workflow_ids)]
    return blake2b(orjson.dumps(known), digest_size=8).hexdigest()
