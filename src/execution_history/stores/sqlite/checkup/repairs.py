"""Repairs of a store in a folder that nobody else has open."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Final, Protocol, TypeVar

import apsw

from execution_history.errors import N_, Message, StoreBusy, quoted
from execution_history.presentation.formatting import grouped
from execution_history.query.model import RecordKey
from execution_history.stores.database_files import DATABASE
from execution_history.stores.protocol import WorkflowSummary
from execution_history.stores.sqlite.checkup.holders import holders_of
from execution_history.stores.sqlite.connections import open_file
from execution_history.stores.sqlite.error_mapping import faults
from execution_history.stores.sqlite.lifecycle import LOCK_FILE
from execution_history.stores.sqlite.process_lock import ProcessLock
from execution_history.stores.sqlite.salvage import SalvageReport, salvage
from execution_history.stores.sqlite.salvage.row_writer import OtherLosses
from execution_history.stores.verification import Loss, counted, named

_Result = TypeVar("_Result")
_MISPLACED: Final = N_("%(path)s is a folder, where the database should be a file: move it away.")


class Repairable(Protocol):
    """The part of an open store that repairs need."""

    async def recount(self) -> int:
        """Have the counters say how many rows there are; return of how many workflows they were wrong."""

    async def rewrite(self, keys: Iterable[RecordKey]) -> int:
        """Write damaged records anew, as they can be recovered; return how many were."""

    async def renew_files(self, workflow_ids: Collection[str]) -> None:
        """Make JSON files anew."""

    async def rebuild_index(self) -> None:
        """Make the index anew."""

    async def get(self, workflow_id: str, execute_id: str) -> bytes | None:
        """Return a record."""

    async def workflows(self) -> list[WorkflowSummary]:
        """Return the workflows that have history."""


class Repairs:
    """The repairs of one folder; each opens the store for itself, and returns a sentence on what was done.

    Args:
        folder: the store's folder.
        opened: opens the store, unless it is open.
        is_open: returns whether this process has it open.
    """

    def __init__(
        self, folder: Path, opened: Callable[[], AbstractAsyncContextManager[Repairable]], is_open: Callable[[], bool]
    ) -> None:
        self._folder, self._opened, self._is_open = folder, opened, is_open

    def holders(self) -> list[Message]:
        """Return a phrase for each other process that has the store open."""
        found = holders_of(self._folder / DATABASE)
        return [phrase for process, phrase in found.items() if process != os.getpid()]

    def is_in_use(self) -> bool:
        """Return whether any process, also this one, has the store open."""
        return self._is_open() or bool(holders_of(self._folder / DATABASE))

    async def counters(self) -> Message:
        """Count the rows of every workflow anew."""
        self._check_alone()
        async with self._opened() as store:
            count = await store.recount()
        one, several = (
            N_("The runs of 1 workflow were recounted."),
            N_("The runs of %(count)s workflows were recounted."),
        )
        return counted(count, one, several)

    async def records(self, keys: Collection[RecordKey]) -> Message:
        """Write damaged records anew, as they can be recovered."""
        self._check_alone()
        async with self._opened() as store:
            count = await store.rewrite(keys)
        one = N_("1 damaged run was recovered.")
        return counted(count, one, N_("%(count)s damaged runs were recovered."))

    async def files(self, workflow_ids: Collection[str]) -> Message:
        """Make JSON files anew from the database."""
        self._check_alone()
        async with self._opened() as store:
            await store.renew_files(workflow_ids)
        one = N_("1 JSON file was rewritten from the database.")
        return counted(len(workflow_ids), one, N_("%(count)s JSON files were rewritten from the database."))

    async def index(self) -> Message:
        """Make the index anew."""
        self._check_alone()
        async with self._opened() as store:
            await store.rebuild_index()
        return Message("The index was rebuilt from the records.")

    async def folder(self) -> Message:
        """Make a database of the JSON files, as every opening does where there is none."""
        async with self._opened() as store:
            total = sum(summary.total for summary in await store.workflows())
        return Message("history.db was built from the JSON files, with %(count)s runs.", count=grouped(total))

    async def database_indexes(self) -> Message:
        """Make the indexes within the database anew; the database, where it has rows that no index can have."""
        if await asyncio.to_thread(self._with_nobody_else, self._reindex):
            return Message("The indexes within history.db were rebuilt from its rows.")
        return await self.database()

    async def database(self) -> Message:
        """Make the database anew from what can be read of its pages and of the JSON files."""
        report = await asyncio.to_thread(self._with_nobody_else, lambda: salvage(self._folder))
        async with self._opened() as store:
            await store.renew_files(())
            total = sum(summary.total for summary in await store.workflows())
            lost = [key for key in report.lost if await store.get(*key) is None]
        return _told(report, total, lost, [key for key in report.lost if key not in lost])

    def _reindex(self) -> bool:
        """Make the indexes anew; return whether that was possible: damage may have made two rows alike."""
        with closing(open_file(self._folder / DATABASE, _MISPLACED)) as connection:
            try:
                connection.execute("REINDEX")
            except apsw.ConstraintError:
                return False
        return True

    def _with_nobody_else(self, work: Callable[[], _Result]) -> _Result:
        """Return the result of *work*, during which no process writes into the folder or has the database open."""
        self._check_alone()
        if self._is_open():
            raise StoreBusy(
                "The history in %(folder)s is open in this program: close it, then repair it.",
                folder=quoted(self._folder),
            )
        with faults(self._folder), closing(ProcessLock(self._folder / LOCK_FILE)) as lock:
            lock.acquire()
            self._check_alone()
            return work()

    def _check_alone(self) -> None:
        """Check that no other process has the history open.

        Raises:
            StoreBusy: one has.
        """
        if holders := self.holders():
            raise StoreBusy(
                "The history in %(folder)s is in use by %(holders)s: stop that first.",
                folder=quoted(self._folder),
                holders=named(holders),
            )


def _told(report: SalvageReport, total: int, lost_runs: Sequence[RecordKey], unproven: Sequence[RecordKey]) -> Message:
    """Return what was done, what nothing proves, and what is lost unless there is a backup."""
    sentence = Message(
        "history.db was rebuilt: %(records)s runs from its own pages, %(files)s more from the JSON files. "
        "The damaged one is in %(kept)s.",
        records=grouped(report.records),
        files=grouped(max(0, total - report.records)),
        kept=report.kept.name,
    )
    more = list[Message]()
    if unproven:
        one = N_("1 run is as its JSON file has it, which nothing proves: %(names)s.")
        several = N_("%(count)s runs are as their JSON files have them, which nothing proves: %(names)s.")
        more.append(counted(len(unproven), one, several, names=named(["/".join(key) for key in unproven])))
    if copied := report.others.copied:
        one = N_("1 name, view, price, rule or key was taken from their copy, .registry.")
        several = N_("%(count)s names, views, prices, rules and keys were taken from their copy, .registry.")
        more.append(counted(copied, one, several))
    losses = [*_lost_records(report, total, lost_runs), *_lost_others(report.others)]
    if losses:
        more += losses
        more.append(
            Message("execution-history restore FOLDER --missing takes what is lost from a backup, if there is one.")
        )
    for each in more:
        sentence = Message("%(first)s %(second)s", first=sentence, second=each)
    return Loss(sentence.msgid, **sentence.arguments) if losses else sentence


def _lost_records(report: SalvageReport, total: int, lost: Sequence[RecordKey]) -> Iterator[Message]:
    if lost:
        names = named(["/".join(key) for key in lost])
        one = N_("1 run is lost: %(names)s.")
        yield counted(len(lost), one, N_("%(count)s runs are lost: %(names)s."), names=names)
    elif (missing := (report.expected or 0) - total) > 0:
        yield counted(missing, N_("1 run is lost."), N_("%(count)s runs are lost."))


def _lost_others(others: OtherLosses) -> Iterator[Message]:
    if lost := [f"{kind} {quoted(key)}" for kind, key in others.entries]:
        yield Message("Lost: %(names)s.", names=named(lost))
    if others.binned:
        one = N_("1 deleted run that could be restored is lost.")
        yield counted(others.binned, one, N_("%(count)s deleted runs that could be restored are lost."))
    if others.lines:
        one = N_("1 line of the audit log is lost.")
        yield counted(others.lines, one, N_("%(count)s lines of the audit log are lost."))
    if "bin" in others.uncertain:
        yield Message("Deleted runs that could be restored may be lost.")
    if "audit" in others.uncertain:
        yield Message("Lines of the audit log may be lost.")
