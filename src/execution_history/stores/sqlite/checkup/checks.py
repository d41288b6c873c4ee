"""The table of checks of a store in a folder, in the order in which they are made and repaired."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.errors import N_, Message
from execution_history.query.model import RecordKey
from execution_history.stores.sqlite.administration import remaining_ms
from execution_history.stores.sqlite.checkup.database_check import (
    content_faults,
    log_faults,
    page_faults,
    size_of,
    version_fault,
)
from execution_history.stores.sqlite.checkup.file_check import file_faults
from execution_history.stores.sqlite.checkup.index_check import index_faults
from execution_history.stores.sqlite.checkup.record_check import record_faults, wrong_counters
from execution_history.stores.sqlite.checkup.repairs import Repairable, Repairs
from execution_history.stores.sqlite.checkup.view import HistoryView
from execution_history.stores.sqlite.connections import one_moment
from execution_history.stores.sqlite.queries import migrations, query, rows
from execution_history.stores.time_check import times_outcome
from execution_history.stores.verification import Check, Finding, Outcome, Progress, counted, named

_MOST_RUNNING: Final = 10_000
_NEW_DATABASE: Final = N_(
    "--repair builds a new history.db from every run that can be read in it or in the JSON files, and keeps the "
    "damaged one."
)


class FolderCheckup:
    """The checks of one folder.

    Args:
        folder: the store's folder.
        has_files: whether it keeps JSON files.
        opened: opens the store for a repair, unless it is open.
        clock: milliseconds since the epoch.
        is_open: returns whether this process has the store open.
    """

    def __init__(
        self,
        folder: Path,
        has_files: bool,  # noqa: FBT001 - by position from one place
        opened: Callable[[], AbstractAsyncContextManager[Repairable]],
        clock: Callable[[], int],
        is_open: Callable[[], bool],
    ) -> None:
        self._view = HistoryView(folder, json_files=has_files)
        self._clock = clock
        self._repairs = Repairs(folder, opened, is_open)

    def checks(self) -> list[Check]:
        """Return the checks."""
        files = ("files", N_("JSON files"), self._files)
        long = (
            ("counters", N_("Counters"), self._counters),
            ("records", N_("Recorded runs"), self._records),
            *([files] if self._view.json_files else []),
            ("index", N_("Index"), self._index),
            ("times", N_("Times"), self._times),
        )
        return [
            Check.in_thread("processes", N_("Processes"), self._processes),
            Check.in_thread("database", N_("Database"), self._database, is_long=True, blocks=True),
            *(Check.in_thread(*check, is_long=True) for check in long),
        ]

    def holders(self) -> list[Message]:
        """Return a phrase for each other process that has the store open."""
        return self._repairs.holders()

    def running(self) -> tuple[list[bytes], Mapping[str, int]]:
        """Return the running records, ten thousand at most, and what remains of the leases of recorders (ms)."""
        with self._view.documents() as (connection, documents):
            found = documents.read(connection, (row[2:] for row in rows(connection, "open_documents", 0)))
            bodies = [body for _, body in found if body is not None][:_MOST_RUNNING]
            now = self._clock()
            leases = {
                owner: remaining_ms(expires, boot, ends, now)
                for owner, expires, boot, ends in rows(connection, "leases")
            }
            return bodies, leases

    def _processes(self, _: Progress) -> Outcome:
        holders = self.holders()
        if not holders:
            return Outcome(Message("no other process has the history open"))
        sentence = Message("In use by %(holders)s.", holders=named(holders))
        remedy = Message("Checks read beside it; --repair needs it to be stopped.")
        return Outcome(
            counted(
                len(holders),
                N_("1 other process has the history open"),
                N_("%(count)s other processes have the history open"),
            ),
            [Finding(sentence, remedy, is_problem=False)],
        )

    def _database(self, _: Progress) -> Outcome:
        if not self._view.database.exists():
            remedy = Message("--repair builds it from the JSON files, as the next command that opens the history does.")
            # A log without its database may still have much of it; SQLite would remove it.
            repair = self._repairs.database if size_of(self._view) else self._repairs.folder
            return Outcome(Message("none"), [Finding(Message("There is no history.db."), remedy, repair=repair)])
        if (error := version_fault(self._view)) is not None:
            raise error
        found = [*log_faults(self._view), *page_faults(self._view)] or content_faults(self._view)
        repair = self._repairs.database
        remedy = Message(_NEW_DATABASE)
        if found and all(fault.is_of_indexes for fault in found):
            repair, remedy = self._repairs.database_indexes, Message("--repair rebuilds these indexes from the rows.")
        findings = [Finding(fault.sentence) for fault in found]
        if findings:  # one repair is enough for all
            findings[-1] = replace(findings[-1], remedy=remedy, repair=repair)
        size = f"{size_of(self._view) / 1e6:,.1f}"
        return Outcome(Message("%(size)s MB, schema %(schema)s, sound", size=size, schema=len(migrations())), findings)

    def _counters(self, _: Progress) -> Outcome:
        with self._view.connection() as connection:
            wrong = [name for name, _ in wrong_counters(connection)]
            [(count,)] = rows(connection, "count_workflows")
        findings = []
        if wrong:
            findings.append(
                Finding(
                    _of(wrong, N_("The counters of 1 workflow are wrong: %(names)s."),
                        N_("The counters of %(count)s workflows are wrong: %(names)s.")),
                    Message("--repair recounts the runs."),
                    repair=self._repairs.counters,
                )
            )  # fmt: skip
        summary = counted(count, N_("the counters of 1 workflow"), N_("the counters of %(count)s workflows"))
        return Outcome(summary, findings)

    def _records(self, tell: Progress) -> Outcome:
        found = record_faults(self._view, tell)
        findings = []
        if found.recovered:
            findings.append(
                Finding(
                    _runs(found.recovered, N_("1 run is damaged in history.db, and sound in its JSON file: %(names)s."),
                          N_("%(count)s runs are damaged in history.db, and sound in their JSON files: %(names)s.")),
                    Message("--repair rewrites them from there."),
                    repair=partial(self._repairs.records, found.recovered),
                )
            )  # fmt: skip
        if found.contradicted:
            findings.append(
                Finding(
                    _runs(found.contradicted, N_("1 run has columns in history.db that contradict it: %(names)s."),
                          N_("%(count)s runs have columns in history.db that contradict them: %(names)s.")),
                    Message(_NEW_DATABASE),
                    repair=self._repairs.database,
                )
            )  # fmt: skip
        if found.lost:
            findings.append(
                Finding(
                    _runs(found.lost, N_("1 run is damaged, and in no JSON file: %(names)s."),
                          N_("%(count)s runs are damaged, and in no JSON file: %(names)s.")),
                    Message("Import them from a backup or an export, or delete them."),
                )
            )  # fmt: skip
        if found.binned:
            sentence = Message("%(count)s deleted runs cannot be restored any more: damaged.", count=found.binned)
            findings.append(Finding(sentence, is_problem=False))
        return Outcome(counted(found.count, N_("1 run read"), N_("%(count)s runs read")), findings)

    def _files(self, tell: Progress) -> Outcome:
        found = file_faults(self._view, tell, are_in_use=self._repairs.is_in_use())
        findings = []
        if found.differing:
            names = [
                Message("%(file)s (%(where)s)", file=self._view.file_of(workflow_id).name, where=where)
                for workflow_id, where in found.differing.items()
            ]
            findings.append(
                Finding(
                    _of(names, N_("1 JSON file is not what the database says: %(names)s."),
                        N_("%(count)s JSON files are not what the database says: %(names)s.")),
                    Message("--repair rewrites them from the database."),
                    repair=partial(self._repairs.files, list(found.differing)),
                )
            )  # fmt: skip
        if found.behind:
            findings.append(
                Finding(
                    _of(found.behind, N_("1 JSON file was changed by others, or is behind: %(names)s."),
                        N_("%(count)s JSON files were changed by others, or are behind: %(names)s.")),
                    Message("The next command that opens the history imports or completes them."),
                    is_problem=False,
                )
            )  # fmt: skip
        if found.kept:
            sentence = Message("Set aside earlier: %(names)s.", names=named(found.kept))
            remedy = Message("Delete them once you no longer need them.")
            findings.append(Finding(sentence, remedy, is_problem=False))
        one, several = N_("1 file compared with the database"), N_("%(count)s files compared with the database")
        return Outcome(counted(found.count, one, several), findings)

    def _index(self, _: Progress) -> Outcome:
        found = index_faults(self._view)
        findings = []
        if found.fault is not None:
            remedy = Message("--repair rebuilds the index from the records.")
            findings.append(Finding(found.fault, remedy, repair=self._repairs.index))
        if not found.exists:
            return Outcome(Message("none yet; the first query builds it"))
        if found.behind:
            return Outcome(
                counted(
                    found.behind,
                    N_("1 change behind; the next query catches up"),
                    N_("%(count)s changes behind; the next query catches up"),
                ),
                findings,
            )
        summary = counted(found.records, N_("1 run, as in the database"), N_("%(count)s runs, as in the database"))
        return Outcome(summary, findings)

    def _times(self, tell: Progress) -> Outcome:
        with self._view.connection() as connection, one_moment(connection):
            [(total,)] = rows(connection, "total_of_all")
            found = connection.execute(query("ids_and_times"))
            return times_outcome(found, self._clock(), lambda count: tell(count, max(total, count)))


def _of(names: Sequence[str], one: str, several: str) -> Message:
    """Return a sentence about what *names* name."""
    return counted(len(names), one, several, names=named(names))


def _runs(keys: Sequence[RecordKey], one: str, several: str) -> Message:
    return _of([f"{workflow_id}/{execute_id}" for workflow_id, execute_id in keys], one, several)
