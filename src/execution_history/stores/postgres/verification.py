"""The shared store as something to be examined and repaired, beside whoever uses it.

Every transaction writes its rows and its sums together, so at any one moment both are of the same transactions. What
they differ by does not change while others write: it is found in one moment, and added at any later time.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final, cast
from uuid import UUID

import psycopg
from psycopg import sql

from execution_history.errors import N_, Message
from execution_history.query.model import RecordKey
from execution_history.records.time_units import DAY_MS
from execution_history.stores.administration import Administration, AuditEntry, Entry
from execution_history.stores.compression import StoredRecord
from execution_history.stores.postgres.change_log import VERSIONS
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.conversation import LOCK_SECONDS
from execution_history.stores.postgres.days import forget_days, is_sum_of_runs
from execution_history.stores.postgres.deltas import Deltas
from execution_history.stores.postgres.lifecycle import SharedStore
from execution_history.stores.postgres.record_rows import Counted
from execution_history.stores.postgres.row_check import RowCheck, RowFaults, all_rows, mend_rows, rows_at
from execution_history.stores.postgres.stored_texts import text_of
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
    sample_of,
)

_LEFT: Final = re.compile(r"_cc(?:new|old)\d*\Z")
"""The end of the name of an index that a rebuild has not finished (postgresql.org, REINDEX)."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_LINES_AT_ONCE: Final = 5_000
_MOST_RUNNING: Final = 10_000
_AT_ONCE: Final = 2_000
_TOLD_EVERY: Final = 1_000
_CROWDED: Final = 0.9
_MOST: Final = 1_000
_MENDED_AT_ONCE: Final = 50

_LOST: Final = Fault(N_("1 run is damaged: %(names)s."), N_("%(count)s runs are damaged: %(names)s."), FROM_A_BACKUP)
_MISPLACED: Final = Fault(
    N_("1 run has other ids than its row: %(names)s."),
    N_("%(count)s runs have other ids than their rows: %(names)s."),
    FROM_A_BACKUP,
)
_DIFFERING: Final = Fault(
    N_("1 run has columns or rows that contradict it: %(names)s."),
    N_("%(count)s runs have columns or rows that contradict them: %(names)s."),
    N_("--repair rewrites these from the documents, while the history stays in use."),
)
_WRONG_DAYS: Final = Fault(
    N_("The sums of 1 day are not those of its runs: %(names)s."),
    N_("The sums of %(count)s days are not those of their runs: %(names)s."),
    N_("--repair has them added up again."),
)


class PostgresVerification(SharedStore):
    """The part of the shared store that checks and repairs it. Whatever it does, others may go on using the store."""

    def checks(self, effort: Effort = "usual") -> Sequence[Check]:
        """See :meth:`Verifiable.checks`."""
        is_quick = effort == "quick"
        # Rows before sums: these are corrected by what the rows say.
        table: list[tuple[str, str, Callable[[Progress], Outcome], bool]] = [
            ("server", N_("Server"), self._look_at_server, True),
            ("database", N_("Database"), partial(self._look_at_indexes, effort), True),
            ("records", N_("Recorded runs"), partial(self._look_at_records, effort), True),
            ("counters", N_("Counters"), self._look_at_sums, not is_quick),
            ("index", N_("Index"), self._look_at_terms, True),
            ("times", N_("Times"), self._look_at_times, not is_quick),
        ]
        return [
            Check(name, title, partial(self._looked, look), blocks=name == "server")
            for name, title, look, is_made in table
            if is_made
        ]

    def record_source(self) -> None:
        """See :meth:`Verifiable.record_source`."""

    def holders(self) -> list[Message]:
        """See :meth:`Verifiable.holders`: nobody has to stop for a repair."""
        return []

    async def administration(self, kind: str, actions: Collection[str]) -> tuple[list[Entry], list[AuditEntry]]:
        """See :meth:`Verifiable.administration`."""
        await self.open()
        store, after, found = cast("Administration", self), 0, list[AuditEntry]()
        while lines := await store.audit(after, _LINES_AT_ONCE):
            found += [line for line in lines if line.action in actions]
            after = lines[-1].number
        return await store.entries(kind), found

    async def note(self, actor: str, action: str, details: bytes) -> None:
        """See :meth:`Verifiable.note`."""
        await self.open()
        await cast("Administration", self).append_audit(actor, action, details)

    async def running(self) -> tuple[list[bytes], Mapping[str, int]]:
        """See :meth:`Verifiable.running`."""
        await self.open()

        def read(connection: Connection) -> tuple[list[bytes], dict[str, int]]:
            statements = self._statements
            rows = connection.execute(statements["open_documents"], ([0], _MOST_RUNNING)).fetchall()
            bodies = [self._connections.body(connection, StoredRecord(*row)) for row in rows]
            leases = connection.execute(statements["leases"]).fetchall()
            return [each for each in bodies if each is not None], {text_of(owner): int(left) for owner, left in leases}

        return await self._read(read)

    async def _looked(self, look: Callable[[Progress], Outcome], tell: Progress) -> Outcome:
        """Return what a check finds, which it looks for in a thread."""
        await self.open()
        return await self._in_thread(look, tell)

    def _look_at_server(self, _: Progress) -> Outcome:
        [(version, most, used, is_standby)] = self._connections.rows("server_state")
        findings = []
        if is_standby:
            findings.append(Finding(Message("The server is a standby: nothing can be recorded in it.")))
        if used > most * _CROWDED:
            findings.append(
                Finding(
                    Message("%(used)s of the server's %(most)s connections are in use.", used=used, most=most),
                    Message("Raise max_connections, or lower pool_size in the URL of the store."),
                    is_problem=False,
                )
            )
        summary = Message("PostgreSQL %(version)s, %(used)s of %(most)s connections in use",
                          version=version, used=used, most=most)  # fmt: skip
        return Outcome(summary, findings)

    def _look_at_indexes(self, effort: Effort, tell: Progress) -> Outcome:
        invalid = [name for (name,) in self._connections.rows("invalid_indexes", self._place.schema)]
        findings = [self._unusable(name, Message("Index %(name)s is not valid.", name=name)) for name in invalid]
        checkable = () if effort == "quick" else self._connections.rows("checkable_indexes", self._place.schema)
        indexes = [row for row in checkable if row[0] not in invalid]
        for number, (name, identifier, schema) in enumerate(indexes, 1):
            tell(number, len(indexes))
            try:
                self._check_index(schema, identifier)
            except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
                sentence = Message("Index %(name)s is damaged: %(reason)s", name=name, reason=_first_line(error))
                findings.append(self._unusable(name, sentence))
            except psycopg.errors.InsufficientPrivilege:
                return Outcome(Message("indexes are valid; this role may not read them with amcheck"), findings)
        summary = Message("%(count)s indexes read with amcheck", count=len(indexes))
        if effort == "quick":
            summary = Message("indexes are valid")
        elif not indexes:
            summary = Message("indexes are valid; with the extension amcheck they are read, too")
        return Outcome(summary, findings)

    def _check_index(self, schema: str, identifier: int) -> None:
        """Have an index read and compared with its table by the extension amcheck, which is in *schema*.

        Raises:
            psycopg.errors.DataCorrupted: it is damaged.
            psycopg.errors.InsufficientPrivilege: this role may not do that.
            StoreError: it could not be done.
        """
        text = sql.SQL("SELECT {}(%s::bigint::oid::regclass, true)").format(sql.Identifier(schema, "bt_index_check"))
        with self._connections.reading() as connection:
            found: psycopg.Error | None = None
            try:
                connection.execute(text, (identifier,))
            except (
                psycopg.errors.DataCorrupted,
                psycopg.errors.IndexCorrupted,
                psycopg.errors.InsufficientPrivilege,
            ) as error:
                found = error
        if found is not None:
            raise found

    def _unusable(self, name: str, sentence: Message) -> Finding:
        async def repair() -> Message:
            await self._in_thread(self._reindex, name)
            if _LEFT.search(name):
                return Message("Index %(name)s, which a rebuild had left, was removed.", name=name)
            return Message("Index %(name)s was rebuilt.", name=name)

        return Finding(sentence, Message("--repair rebuilds it while the history stays in use."), repair=repair)

    def _reindex(self, name: str) -> None:
        text = sql.SQL("DROP INDEX CONCURRENTLY {}" if _LEFT.search(name) else "REINDEX INDEX CONCURRENTLY {}")
        with self._connections.reading() as connection:
            connection.execute("SET lock_timeout = 0")  # it waits for older transactions, and nobody waits for it
            try:
                connection.execute(text.format(sql.Identifier(self._place.schema, name)))
            finally:
                connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")

    def _look_at_sums(self, tell: Progress) -> Outcome:
        deltas, count, wrong = self._connections.read_moment(partial(self._counted, tell))
        findings = []
        if wrong:
            tables = named([f"{name} ({number})" for name, number in wrong.items()])
            sentence = Message("Counters and sums are wrong in %(tables)s.", tables=tables)
            remedy = Message("--repair corrects them by what the rows say.")
            findings.append(Finding(sentence, remedy, repair=partial(self._corrected, deltas)))
        findings += self._look_at_days(tell)
        findings += self._look_at_feed()
        summary = counted(count, N_("counters and sums of 1 run"), N_("counters and sums of %(count)s runs"))
        return Outcome(summary, findings)

    def _look_at_days(self, tell: Progress) -> list[Finding]:
        """Return what is wrong with the sums of days, each of which is compared at a moment of its own."""
        wrong: list[tuple[str, int]] = []
        days = self._connections.rows("valid_days")
        for number, (workflow_id, day, until, has_nodes) in enumerate(days, 1):
            compare = partial(is_sum_of_runs, self._statements, workflow_id, day, until, has_nodes)
            if not self._connections.read_moment(compare):
                wrong.append((workflow_id, day))
            tell(number, len(days))
        names = [f"{text_of(workflow_id)} {date.fromordinal(_EPOCH + day)}" for workflow_id, day in wrong]
        return _WRONG_DAYS.of(names, partial(self._forgotten, wrong))

    async def _forgotten(self, days: Sequence[tuple[str, int]]) -> Message:
        def write(connection: Connection, _: UUID) -> None:
            forget_days(connection, self._statements, ((workflow_id, day * DAY_MS) for workflow_id, day in days))

        await self._in_thread(self._connections.run, write)
        one = N_("1 day is added up again in the background.")
        return counted(len(days), one, N_("%(count)s days are added up again in the background."))

    def _look_at_feed(self) -> list[Finding]:
        """Return what is wrong with the change feed: a revision must never be used twice."""
        [(revision, newest)] = self._connections.rows("feed_reach")
        if newest <= revision:
            return []

        async def repair() -> Message:
            await self._in_thread(self._connections.execute, "raise_feed", (newest,))
            return Message("The change feed goes on from revision %(newest)s.", newest=newest)

        sentence = Message(
            "The change feed ends with revision %(revision)s, and there are changes up to %(newest)s.",
            revision=revision,
            newest=newest,
        )
        return [Finding(sentence, Message("--repair lets it go on from there."), repair=repair)]

    def _counted(self, tell: Progress, connection: Connection) -> tuple[Deltas, int, dict[str, int]]:
        """Return what the sums lack, how many rows were counted, and how many sums of each table are wrong."""
        deltas, number = Deltas(0), 0
        [(total,)] = connection.execute(self._statements["total_counted"]).fetchall()
        columns = ", ".join(Counted._fields)
        text = f"SELECT workflow_id, {columns} FROM execution_history.executions"  # noqa: S608 - literals of ours
        for number, (workflow_id, *values) in enumerate(_streamed(connection, self._statements.placed(text)), 1):
            deltas.count(workflow_id, Counted(*values), 1)
            if not number % _TOLD_EVERY:
                tell(number, max(total, number))
        return deltas, number, deltas.subtract_stored(connection, self._statements)

    async def _corrected(self, deltas: Deltas) -> Message:
        def write(connection: Connection, _: UUID) -> None:
            deltas.write(connection, self._statements)

        await self._in_thread(self._connections.run, write)
        return Message("Counters and sums were corrected by what the rows say.")

    def _look_at_records(self, effort: Effort, tell: Progress) -> Outcome:
        found, total = self._connections.read_moment(partial(self._compared, effort, tell))
        differing = [f"{'/'.join(map(text_of, key))} ({', '.join(names)})" for key, names in found.differing.items()]
        findings = [
            *_LOST.of(found.lost),
            *_MISPLACED.of(found.misplaced),
            *_DIFFERING.of(differing, partial(self._mended, list(found.differing))),
        ]
        return Outcome(runs_read(found.count, total if effort == "quick" else 0), findings)

    def _compared(self, effort: Effort, tell: Progress, connection: Connection) -> tuple[RowFaults, int]:
        statements = self._statements
        [(total,)] = connection.execute(statements["total_counted"]).fetchall()
        check = RowCheck(self._connections, connection, effort, self._clock())
        if effort == "quick":
            [(newest,)] = connection.execute(statements["newest_arrival"]).fetchall()
            found: Iterable[tuple[Any, ...]] = connection.execute(rows_at(statements), (sample_of(newest),))
        else:
            found = _streamed(connection, all_rows(statements))
        return check.compare(found, lambda count: tell(count, max(total, count))), total

    async def _mended(self, keys: Sequence[RecordKey]) -> Message:
        count = 0
        for begin in range(0, len(keys), _MENDED_AT_ONCE):
            some = keys[begin : begin + _MENDED_AT_ONCE]
            work = partial(mend_rows, self._connections, some, self._clock())
            count += await self._in_thread(self._connections.run, work)
        one = N_("The row of 1 run was rewritten from its document.")
        return counted(count, one, N_("The rows of %(count)s runs were rewritten from their documents."))

    def _look_at_terms(self, _: Progress) -> Outcome:
        [(missing,)] = self._connections.rows("count_missing_terms", _MOST)
        findings = []
        if missing:
            one, several = (
                N_("1 run is not indexed for text search yet."),
                N_("%(count)s runs are not indexed for text search yet."),
            )
            remedy = Message("A running server or recorder does that; until then searches read these runs themselves.")
            findings.append(Finding(counted(missing, one, several), remedy, is_problem=False))
        [(place, goal)] = self._connections.rows("backfilled")
        if place < goal:
            sentence = Message("Runs recorded by earlier versions lack columns by which they are found and added up.")
            remedy = Message("A running server fills them in the background; until then such filters leave them out.")
            findings.append(Finding(sentence, remedy, is_problem=False))
        return Outcome(Message("written together with the runs"), findings)

    def _look_at_times(self, tell: Progress) -> Outcome:
        def read(connection: Connection) -> Outcome:
            [(total,)] = connection.execute(self._statements["total_counted"]).fetchall()

            def body_of(seq: int) -> bytes | None:
                row = connection.execute(self._statements["document_at"], (seq,)).fetchone()
                return None if row is None else self._connections.body(connection, StoredRecord(*row))

            found = _streamed(connection, self._statements["all_times"], VERSIONS)
            records = (Timed(seq, text_of(name), time, has_changed) for seq, name, time, has_changed in found)
            return times_outcome(records, body_of, self._clock(), lambda count: tell(count, max(total, count)))

        return self._connections.read_moment(read)


def _streamed(connection: Connection, text: bytes, *values: int) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement that has very many, with a cursor on the server."""
    with connection.cursor(name="examined") as cursor:
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(text, values)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
