"""Retention of a history: its rules, a preview, and the runs that carry it out.

Whoever carries it out holds the lease of the job ``retention``, so that one process does so at a time.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from execution_history.access.audit import Act, Action
from execution_history.clock import now_ms
from execution_history.errors import InvalidInput, StoreError, message_of, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.jobs.job import Job, JobRun, last_run, run_job
from execution_history.maintenance.budget import Budget, measured
from execution_history.maintenance.candidates import Candidates, Tried
from execution_history.maintenance.places import Places
from execution_history.maintenance.pruner import Pruner, Trial
from execution_history.maintenance.removals import has_removed, keep_removal, last_removal
from execution_history.maintenance.report import RetentionReport, RulePart
from execution_history.maintenance.rules import RuleBook, rules_of_settings
from execution_history.maintenance.space import Space, Step
from execution_history.query.model import RecordKey
from execution_history.query.retention import RetentionRule
from execution_history.records.protection import KEEP_TAGS
from execution_history.stores.capabilities import Bin, DiskUse, Sized

if TYPE_CHECKING:
    from execution_history.settings import Settings

_log = logging.getLogger("execution_history.maintenance")

JOB: Final = "retention"
EVERY_SECONDS: Final = 3_600
_MOST_ROOM_OF_LOG: Final = 0.2
"""The share of a size limit that the log may take of it: a small store has a small log."""


_LOOK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """What the settings say of retention.

    Attributes:
        rules: the rules; none: those of the registry hold.
        max_bytes: how many bytes the store may take; ``None``: any number.
        keep_tags: the tags that keep a run.
    """

    rules: tuple[RetentionRule, ...] = ()
    max_bytes: int | None = None
    keep_tags: Collection[str] = KEEP_TAGS


class Retention:
    """Carries out the retention of one history.

    Args:
        service: the history.
        settings: what the settings say.
        clock: milliseconds since the epoch.

    Attributes:
        rule_book: the rules.
        settings: what the settings say.
    """

    def __init__(
        self,
        service: ExecutionHistoryService,
        settings: RetentionSettings | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.settings: RetentionSettings = settings or RetentionSettings()
        self.rule_book: RuleBook = RuleBook(service, self.settings.rules)
        self._service, self._clock = service, clock
        self._running: set[asyncio.Task[JobRun]] = set()

    @property
    def job(self) -> Job:
        """The job that a server runs."""
        return self._job("serve", ())

    async def last_run(self) -> JobRun | None:
        """Return the last run that changed something, or tried to; ``None`` where there is none.

        Raises:
            StoreError: the store could not be read.
        """
        return await last_run(self._service, JOB)

    async def last_removal(self) -> dict[str, Any] | None:
        """Return the report of the last run that removed something, as JSON; ``None`` where there is none.

        Raises:
            StoreError: the store could not be read.
        """
        await self._service.store.open()
        known, last = await last_removal(self._service.store), await self.last_run()
        if known is None and last is not None and last.report is not None and has_removed(last.report):
            return last.report  # of an earlier version, which kept no other
        return known

    async def taken_again(self, restored: Mapping[RecordKey, str | None]) -> list[str]:
        """Return the rules, by their names, that would remove a run again as soon as they are carried out.

        Args:
            restored: the rule that had removed each of the runs; ``None`` where people had.

        Raises:
            StoreError: the store could not be read.
        """
        removed_by = set(restored.values())
        only = [rule.name for rule in (await self.rule_book.rules()).rules if rule.name in removed_by]
        parts = (await self.preview(only, seconds=_LOOK_SECONDS)).parts if only else []
        return [
            part.rule
            for part in parts
            if part.runs > len(part.listed)  # more than are listed: these are among them, or soon are
            or any(RecordKey(each.workflow_id, each.execute_id) in restored for each in part.listed)
        ]

    async def disk_use(self) -> DiskUse | None:
        """Return what the store takes of its disk; ``None`` where it cannot tell.

        Raises:
            StoreError: that cannot be read.
        """
        store = self._service.store
        await store.open()
        return await store.disk_use() if isinstance(store, Sized) else None

    async def preview(self, only: Collection[str] = (), *, seconds: float | None = None) -> RetentionReport:
        """Return what :meth:`prune` would do now, without changing anything: the same runs in the same order.

        Of the size limit it has what goes before the store is measured anew; how much of the disk that frees is about.

        Args:
            only: the names of the rules; all of them unless given.
            seconds: how long to look; a rule that needs longer is not complete.

        Raises:
            InvalidInput: there is no rule of such a name.
            StoreError: the store could not be read.
        """
        store, ends = self._service.store, None if seconds is None else time.monotonic() + seconds
        tried = Tried()
        run = await self._begun(only, Trial(store, self._clock, tried), tried, is_dry=True)
        await self._apply_rules(run, only, ends)
        if run.budget is not None:
            await run.budget.preview(run.report, ends)
        run.report.ended = self._clock()
        return run.report

    async def prune(self, only: Collection[str] = (), actor: str | None = None) -> JobRun:
        """Carry out the rules and the budget now; return the run, whose report :class:`RetentionReport` describes.

        Args:
            only: the names of the rules, without the budget; all of them, and the budget, unless given.
            actor: who does it, for the audit log.

        Raises:
            InvalidInput: there is no rule of such a name.
            StoreBusy: another process is carrying it out.
            StoreError: the store could not be read or written.
        """
        await self._chosen(only)
        run = await run_job(self._service, self._job(actor, only), clock=self._clock)
        assert run is not None  # noqa: S101 - it is always due
        return run

    async def prune_within(self, seconds: float, only: Collection[str] = (), actor: str | None = None) -> JobRun | None:
        """Do what :meth:`prune` does; return the run, or ``None`` where it goes on in the background after *seconds*.

        Raises:
            InvalidInput: as for :meth:`prune`, and the other errors of it that come within *seconds*.
        """
        await self._chosen(only)
        task = asyncio.create_task(self.prune(only, actor))
        self._running.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait((task,), timeout=seconds)
        return task.result() if task.done() else None

    async def aclose(self) -> None:
        """Stop what goes on in the background; it is begun anew by the next run."""
        for task in (running := list(self._running)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[JobRun]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("A run of retention failed: %s", error)  # whoever waits for it gets the error

    def _job(self, actor: str | None, only: Collection[str]) -> Job:
        async def work() -> dict[str, Any]:
            return (await self.carry_out(only, actor)).to_json()

        return Job(JOB, EVERY_SECONDS, work)

    async def carry_out(self, only: Collection[str] = (), actor: str | None = None) -> RetentionReport:
        """Do the work of :meth:`prune`; for whoever has the lease of the job.

        Raises:
            InvalidInput: there is no rule of such a name.
            StoreError: the store could not be read or written; what was done before stays so.
        """
        async with Act(self._service, Action.PRUNE, actor) as act:
            report = await self._carry_out(only, act)
            await keep_removal(self._service.store, report.to_json())
            if act.has_begun:
                act.found = _audited(report)
        return report

    async def _carry_out(self, only: Collection[str], act: Act) -> RetentionReport:
        """Do the work, and begin *act* before anything goes."""
        store, tried = self._service.store, Tried()
        run = await self._begun(only, Pruner(store, self._clock, act.begin), tried, is_dry=False)
        report = run.report
        touched = await self._apply_rules(run, only)
        if isinstance(store, Sized):
            await store.give_back(touched)  # also of what has left the bin by now
            if run.budget is not None:
                await run.budget.shrink(store, report)
            report.after = await store.disk_use()
        await run.places.save()
        report.batches, report.longest_ms = run.pruner.pace.batches, 1000 * run.pruner.pace.longest
        report.ended = self._clock()
        return report

    async def _begun(self, only: Collection[str], pruner: Pruner, tried: Tried, *, is_dry: bool) -> "_Run":
        """Return a run, or the preview of one, with the store as it is measured now."""
        store = self._service.store
        await store.open()
        use, binned = await measured(store, store) if isinstance(store, Sized) else (None, 0)
        report = RetentionReport(
            began=self._clock(),
            dry_run=is_dry,
            limit=self.settings.max_bytes,
            bin_ms=store.bin_ms if isinstance(store, Bin) else 0,
            before=use,
        )
        candidates = Candidates(self._service, self.settings.keep_tags, self._clock(), tried)
        places, space = Places(store, self._clock), Space.of(use or DiskUse(), binned)
        budget = None
        if self.settings.max_bytes is not None and not only and use is not None:
            room = store.log_room if isinstance(store, Sized) else 0
            limit = self.settings.max_bytes - min(room, int(self.settings.max_bytes * _MOST_ROOM_OF_LOG))
            budget = Budget(store, limit, candidates, pruner, places, space)
        return _Run(report, candidates, pruner, places, space, budget)

    async def _apply_rules(self, run: "_Run", only: Collection[str], ends: float | None = None) -> set[str]:
        """Carry out the rules, until *ends* (``time.monotonic``); return the workflows of which runs went."""
        touched: set[str] = set()
        for rule in await self._chosen(only):
            part = RulePart(rule.name, rule.action)
            run.report.parts.append(part)
            try:
                async for workflow_id in self._apply(rule, part, run, ends):
                    touched.add(workflow_id)
            except (InvalidInput, StoreError) as error:
                part.error = message_of(error)
        return touched

    async def _apply(
        self, rule: RetentionRule, part: RulePart, run: "_Run", ends: float | None = None
    ) -> AsyncGenerator[str]:
        """Carry out one rule; yield the workflow of each run that went."""
        has_place = rule.action == "contents" and not rule.is_by_workflow
        since = await run.places.begin(rule.name, rule.to_json()) if has_place else 0
        keep_ms = run.report.bin_ms
        step: Step = "discard" if rule.action == "remove" and keep_ms else rule.action
        async for page in run.candidates.of(rule, since, part.kept):
            for each in page:
                part.keep(each)
            for candidate, freed in await run.pruner.prune(page, rule.action, rule.name, keep_ms=keep_ms):
                part.add(candidate, freed)
                run.space.note(step, freed)
                yield candidate.key.workflow_id
            if has_place and page:
                run.places.note(rule.name, page[-1].create_time)
            if ends is not None and time.monotonic() > ends:
                part.is_complete = False
                return

    async def _chosen(self, only: Collection[str]) -> list[RetentionRule]:
        rules = (await self.rule_book.rules()).rules
        for name in only:
            if name not in {rule.name for rule in rules}:
                raise InvalidInput("There is no rule called %(name)s.", name=quoted(name))
        return [rule for rule in rules if not only or rule.name in only]


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run, or a preview, works with."""

    report: RetentionReport
    candidates: Candidates
    pruner: Pruner
    places: Places
    space: Space
    budget: Budget | None


def _audited(report: RetentionReport) -> dict[str, object]:
    """Return what the audit log keeps of a run: how many runs went by which rule."""
    parts = [
        {"rule": part.rule, "action": part.action, "runs": part.runs, "bytes": part.bytes}
        for part in report.parts
        if part.runs
    ]
    return {"parts": parts, "freed": report.freed}


def retention_of(service: ExecutionHistoryService, settings: "Settings") -> Retention:
    """Return the retention that *settings* describe.

    Raises:
        SettingsError: a rule of the settings is wrong.
    """
    rules = rules_of_settings(settings.retention)
    return Retention(service, RetentionSettings(rules, settings.max_bytes, tuple(settings.keep_tags)))
