"""The table of checks of a store in a folder, in the order in which they are made and repaired."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from execution_history.errors import N_, Message
from execution_history.query.model import RecordKey
from execution_history.stores.compression import StoredRecord
from execution_history.stores.jsonfiles.file_names import file_of
from execution_history.stores.sqlite.administration import remaining_ms
from execution_history.stores.sqlite.checkup.database_check import (
    content_faults,
    log_faults,
    misfit,
    page_faults,
    size_of,
    version_fault,
)
from execution_history.stores.sqlite.checkup.file_check import file_faults
from execution_history.stores.sqlite.checkup.index_check import index_faults
from execution_history.stores.sqlite.checkup.record_check import record_faults, wrong_counters
from execution_history.stores.sqlite.checkup.repairs import Repairable, Repairs
from execution_history.stores.sqlite.checkup.view import HistoryView, limited
from execution_history.stores.sqlite.connections import applied_migrations, one_moment
from execution_history.stores.sqlite.queries import migrations, query, rows
from execution_history.stores.time_check import Timed, times_outcome
from execution_history.stores.verification import (
    FROM_A_BACKUP,
    Check,
    Effort,
    Fault,
    Finding,
    Outcome,
    Progress,
    counted,
    named,
    runs_read,
)

_MOST_RUNNING: Final = 10_000
_FIRST_REVISIONS: Final = 4
"""The migration from which on rows say with which revision they came."""

_HAS_CHANGED: Final = "first_revision BETWEEN 1 AND revision - 1"
_NEW_DATABASE: Final = N_(
    "--repair builds a new history.db from every run that can be read in it or in the JSON files, and keeps the "
    "damaged one."
)

_COUNTERS: Final = Fault(
    N_("The counters of 1 workflow are wrong: %(names)s."),
    N_("The counters of %(count)s workflows are wrong: %(names)s."),
    N_("--repair recounts the runs."),
)
_RECOVERED: Final = Fault(
    N_("1 run is damaged in history.db, and can be recovered: %(names)s."),
    N_("%(count)s runs are damaged in history.db, and can be recovered: %(names)s."),
    N_("--repair writes them anew: from their JSON files, or with the flipped bit turned back."),
)
_CONTRADICTED: Final = Fault(
    N_("1 run has columns in history.db that contradict it: %(names)s."),
    N_("%(count)s runs have columns in history.db that contradict them: %(names)s."),
    _NEW_DATABASE,
)
_LOST: Final = Fault(
    N_("1 run is damaged, and in no JSON file: %(names)s."),
    N_("%(count)s runs are damaged, and in no JSON file: %(names)s."),
    FROM_A_BACKUP,
)
_BINNED: Final = Fault(
    N_("1 deleted run cannot be restored any more, as it is damaged: %(names)s."),
    N_("%(count)s deleted runs cannot be restored any more, as they are damaged: %(names)s."),
    is_problem=False,
)
_DIFFERING: Final = Fault(
    N_("1 JSON file is not what the database says: %(names)s."),
    N_("%(count)s JSON files are not what the database says: %(names)s."),
    N_("--repair rewrites them from the database."),
)
_BEHIND: Final = Fault(
    N_("1 JSON file was changed by others, or is behind: %(names)s."),
    N_("%(count)s JSON files were changed by others, or are behind: %(names)s."),
    N_("The next command that opens the history imports or completes them."),
    is_problem=False,
)
_SET_ASIDE: Final = Fault(
    N_("Set aside, and not in use: %(names)s."),
    N_("Set aside, and not in use: %(names)s."),
    N_("Delete them once you no longer need them."),
    is_problem=False,
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

    def checks(self, effort: Effort) -> list[Check]:
        """Return the checks; a quick look at a history takes a few seconds, however large it is."""
        is_quick = effort == "quick"
        table: list[tuple[str, str, Callable[[Progress], Outcome], bool]] = [
            ("processes", N_("Processes"), self._processes, True),
            ("database", N_("Database"), partial(self._database, effort), True),
            ("counters", N_("Counters"), partial(self._counters, effort), True),
            ("records", N_("Recorded runs"), partial(self._records, effort), True),
            ("files", N_("JSON files"), self._files, self._view.json_files and not is_quick),
            ("index", N_("Index"), partial(self._index, effort), True),
            ("times", N_("Times"), self._times, not is_quick),
        ]
        return [
            Check.in_thread(name, title, look, blocks=name == "database")
            for name, title, look, is_made in table
            if is_made
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

    def _database(self, effort: Effort, _: Progress) -> Outcome:
        if (finding := misfit(self._view)) is not None:
            return Outcome(Message(), [finding])
        if not self._view.database.exists():
            # A log without its database may still have much of it; SQLite would remove it.
            if size_of(self._view):
                sentence = Message("There is no history.db, only its log history.db-wal.")
                return Outcome(Message(), [Finding(sentence, Message(_NEW_DATABASE), repair=self._repairs.database)])
            remedy = Message("--repair builds it from the JSON files, as the next command that opens the history does.")
            sentence = Message("There is no history.db.")
            return Outcome(Message(), [Finding(sentence, remedy, repair=self._repairs.folder)])
        if (error := version_fault(self._view)) is not None:
            raise error
        pages, is_whole = page_faults(self._view, effort)
        found = [*log_faults(self._view), *pages] or content_faults(self._view, effort)
        repair = self._repairs.database
        remedy = Message(_NEW_DATABASE)
        if found and all(fault.is_of_indexes for fault in found):
            repair, remedy = self._repairs.database_indexes, Message("--repair rebuilds these indexes from the rows.")
        findings = [Finding(fault.sentence) for fault in found]
        if findings:  # one repair is enough for all
            findings[-1] = replace(findings[-1], remedy=remedy, repair=repair)
        summary = N_("%(size)s MB, schema %(schema)s, sound")
        if not is_whole:
            summary = N_("%(size)s MB, schema %(schema)s, sound as far as it was read in a second")
        size = f"{size_of(self._view) / 1e6:,.1f}"
        return Outcome(Message(summary, size=size, schema=len(migrations())), findings)

    def _counters(self, effort: Effort, _: Progress) -> Outcome:
        wrong = list[str]()
        with self._view.connection() as connection:
            with limited(connection, effort) as limit:
                wrong += [name for name, _ in wrong_counters(connection)]
            [(count,)] = rows(connection, "count_workflows")
        findings = _COUNTERS.of(wrong, self._repairs.counters)
        if limit.is_reached:
            return Outcome(Message("too many to be counted quickly"), findings)
        summary = counted(count, N_("the counters of 1 workflow"), N_("the counters of %(count)s workflows"))
        return Outcome(summary, findings)

    def _records(self, effort: Effort, tell: Progress) -> Outcome:
        found = record_faults(self._view, effort, tell)
        findings = [
            *_RECOVERED.of(_named(found.recovered), partial(self._repairs.records, found.recovered)),
            *_CONTRADICTED.of(_named(found.contradicted), self._repairs.database),
            *_LOST.of(_named(found.lost)),
            *_BINNED.of(_named(found.binned)),
        ]
        return Outcome(runs_read(found.count, found.total if effort == "quick" else 0), findings)

    def _files(self, tell: Progress) -> Outcome:
        found = file_faults(self._view, tell, are_in_use=self._repairs.is_in_use())
        differing = [
            Message("%(file)s (%(where)s)", file=file_of(self._view.folder, workflow_id).name, where=where)
            for workflow_id, where in found.differing.items()
        ]
        findings = [
            *_DIFFERING.of(differing, partial(self._repairs.files, list(found.differing))),
            *_BEHIND.of(found.behind),
            *_SET_ASIDE.of(found.kept),
        ]
        one, several = N_("1 file compared with the database"), N_("%(count)s files compared with the database")
        return Outcome(counted(found.count, one, several), findings)

    def _index(self, effort: Effort, tell: Progress) -> Outcome:
        found = index_faults(self._view, effort, tell, self._repairs.index)
        if not found.exists:
            return Outcome(Message("none yet; the first query builds it"))
        number, one, several = (
            found.records,
            N_("1 run, as in the database"),
            N_("%(count)s runs, as in the database"),
        )
        if found.behind:
            number, one, several = (
                found.behind,
                N_("1 change behind; the next query catches up"),
                N_("%(count)s changes behind; the next query catches up"),
            )
        return Outcome(counted(number, one, several), found.findings)

    def _times(self, tell: Progress) -> Outcome:
        with self._view.documents() as (connection, documents), one_moment(connection):
            [(total,)] = rows(connection, "total_of_all")

            def body_of(seq: int) -> bytes | None:
                found = [StoredRecord(*row) for *row, _ in rows(connection, "some_documents", f"[{seq}]")]
                return documents.find(connection, found[0]) if found else None

            timed = query("ids_and_times")
            if applied_migrations(connection) < _FIRST_REVISIONS:
                timed = timed.replace(_HAS_CHANGED, "0")
            records = map(Timed._make, connection.execute(timed))
            return times_outcome(records, body_of, self._clock(), lambda count: tell(count, max(total, count)))


def _named(keys: Sequence[RecordKey]) -> list[str]:
    return [f"{workflow_id}/{execute_id}" for workflow_id, execute_id in keys]
