"""Open a history and find runs in it, with or without a server running on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.errors import N_, Message, StoreError, quoted
from execution_history.history.overview import Overview
from execution_history.history.run_lookup import FoundRun, FoundRuns
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.views import ViewCount
from execution_history.history.workflow_lookup import SHORTEST_PART
from execution_history.maintenance.removals import Removal, removals_of
from execution_history.presentation.formatting import clock
from execution_history.presentation.phrases import STATUSES, enumerated
from execution_history.presentation.retention_text import BUDGET
from execution_history.query.breakdown import Breakdown
from execution_history.query.model import RecordKey, Selection, Statistics
from execution_history.records.record import ExecutionRecord
from execution_history.records.redaction import shown_store
from execution_history.stores.capabilities import Binned
from execution_history.stores.factory import place_named, store_of
from execution_history.stores.presence import holds_history

_DAMAGED: Final = N_("damaged")

_Answer = TypeVar("_Answer", bound=Selection | Statistics | Breakdown | Overview | ViewCount)

_INDEXING_SECONDS: Final = 2.0


class History:
    """An opened history, in which runs are found as people name them.

    Args:
        service: the history.
        place: its name, as it may be shown.
        command: returns a call of this program on the same store, to copy.
    """

    def __init__(self, service: ExecutionHistoryService, place: str, command: Callable[..., str]) -> None:
        self.service = service
        self.place = place
        self._command = command

    async def answer(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Return the answer of *ask*, after some time with the index where that is behind, if need be.

        Where no server runs on the history, only commands bring the index on.

        Raises:
            ExecutionHistoryError: whatever *ask* raises.
        """
        found = await ask()
        if found.reach.is_complete:
            return found
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(_INDEXING_SECONDS):
                await self.service.follow_index()
        return await ask()

    async def workflow(self, text: str) -> str:
        """Return the id of the workflow that a person names by *text*: by its id, its name, or a part of its id.

        Raises:
            AmbiguousName: several are called so; the message lists them.
            StoreError: the store could not be read.
        """
        return await self.service.workflow_named(text)

    async def run(self, execute_id: str, workflow: str | None) -> ExecutionRecord:
        """Return the one record that *execute_id* names, in the workflow where one is named, else in any.

        Args:
            execute_id: the record's id, its beginning or its end from 8 characters on, the id that the run has at
                Coze, or its log id there.
            workflow: the workflow, where one is named.

        Raises:
            AmbiguousName: several workflows are called so.
            CommandFailed: there is none, or there are several; the message names them.
            RecordDamaged: it cannot be read.
            StoreError: the store could not be read.
        """
        key = await self.key_of_run(execute_id, workflow)
        record = await self.service.get_execution_detail(*key)
        if record is None:  # deleted meanwhile
            raise await self._not_found(execute_id, workflow)
        return record

    async def key_of_run(self, execute_id: str, workflow: str | None) -> RecordKey:
        """Return the ids of the record that :meth:`run` returns, also where it cannot be read."""
        workflow_id = None if workflow is None else await self.workflow(workflow)
        found = await self.service.find_runs(execute_id, workflow_id)
        if not found.runs:
            raise await self._not_found(execute_id, workflow, workflow_id)
        if len(found.runs) == 1 and (found.is_certain or found.runs[0].execute_id == execute_id):
            return found.runs[0].key
        if len(found.runs) == 1:
            raise CommandFailed(
                "The index is still being built, so it is not known yet which runs have '%(part)s' in their id: write "
                "the whole id, or wait a moment.",
                part=execute_id,
            )
        names = await self.service.names()
        raise _ambiguous(execute_id, found, names)

    async def _not_found(self, execute_id: str, workflow: str | None, workflow_id: str | None = None) -> CommandFailed:
        gone = await self.service.bin.find(execute_id, workflow_id)
        gone = [each for each in gone if len(execute_id) >= SHORTEST_PART or each.key.execute_id == execute_id]
        if len(gone) == 1:
            return _removed(gone[0], self._command("bin", "restore", gone[0].key.execute_id))
        taken = await removals_of(self.service.store, execute_id, workflow_id)
        taken = [each for each in taken if len(execute_id) >= SHORTEST_PART or each.key.execute_id == execute_id]
        if len(taken) == 1:
            return _taken(taken[0], self._command("restore", "FOLDER", "--missing", "--removed"))
        if workflow is not None:
            sentence = N_("Workflow '%(workflow_id)s' has no run '%(execute_id)s' in %(store)s.")
        elif len(execute_id) < SHORTEST_PART:
            sentence = N_(
                "There is no run '%(execute_id)s' in %(store)s, and the beginning of an id needs at least %(least)s "
                "characters; `%(command)s` lists the runs there are."
            )
        else:
            sentence = N_("There is no run '%(execute_id)s' in %(store)s; `%(command)s` lists the runs there are.")
        return CommandFailed(
            sentence,
            code=ExitCode.NOT_FOUND,
            workflow_id=workflow,
            execute_id=execute_id,
            store=self.place,
            command=self._command("list"),
            least=SHORTEST_PART,
        )


def _removed(entry: Binned, command: str) -> CommandFailed:
    """Return the error for a run that is in the bin, from which *command* restores it."""
    by_people = N_("Run '%(run)s' was deleted at %(at)s; until %(until)s `%(command)s` restores it.")
    by_rule = N_(
        "The rule %(rule)s of retention removed run '%(run)s' at %(at)s; until %(until)s `%(command)s` restores it."
    )
    return CommandFailed(
        by_people if entry.rule is None else by_rule,
        code=ExitCode.NOT_FOUND,
        rule=quoted(entry.rule),
        run=entry.key.execute_id,
        at=clock(entry.deleted_at),
        until=clock(entry.ends),
        command=command,
    )


def _taken(removal: Removal, command: str) -> CommandFailed:
    """Return the error for a run that retention removed for good; *command* restores it from a backup."""
    sentences = {
        (False, "remove"): N_("The rule %(rule)s of retention removed run '%(run)s' at %(at)s; %(restores)s"),
        (True, "remove"): N_("The size limit removed run '%(run)s' at %(at)s; %(restores)s"),
        (True, "bin"): N_("Run '%(run)s' was in the bin, which the size limit emptied at %(at)s; %(restores)s"),
    }
    return CommandFailed(
        sentences[removal.rule == BUDGET, removal.action],
        code=ExitCode.NOT_FOUND,
        rule=quoted(removal.rule),
        run=removal.key.execute_id,
        at=clock(removal.at),
        restores=Message("`%(command)s` brings back what a backup in FOLDER has of it.", command=command),
    )


@asynccontextmanager
async def open_history(session: Session) -> AsyncIterator[History]:
    """Yield the history that the settings name.

    A place that does not hold one is empty and stays as it is: looking into the wrong place leaves nothing there.

    Raises:
        SettingsError: a setting is wrong.
        StoreError: the store cannot be opened.
    """
    settings = session.settings()
    store = store_of(
        settings if await holds_history(settings.store) else settings.model_copy(update={"store": "memory:"})
    )
    async with ExecutionHistoryService(store, rules=settings.content_rules) as service:
        yield History(service, place_of(settings.store), session.command)


@asynccontextmanager
async def open_service(session: Session, *, makes: bool) -> AsyncIterator[ExecutionHistoryService]:
    """Open the history and yield its service; only with *makes* one is made where there is none.

    Raises:
        CommandFailed: there is no history, and *makes* is false.
        StoreError: it cannot be opened.
    """
    if makes:
        settings = session.settings()
        async with ExecutionHistoryService(store_of(settings), rules=settings.content_rules) as service:
            yield service
    else:
        async with open_history(session) as history:
            yield history.service


def refuse_archive(session: Session, sentence: str, **arguments: object) -> None:
    """Refuse a command that makes no sense for an archive, where the settings name one.

    Args:
        session: has the settings.
        sentence: what to do instead; ``%(store)s`` in it is the archive.
        **arguments: what else stands in it.

    Raises:
        CommandFailed: they do.
    """
    store = session.settings().store
    if archive_named(store) is not None:
        raise CommandFailed(Message(sentence, store=place_of(store), **arguments))


def archive_named(store: str) -> Path | None:
    """Return the file of the archive that the address *store* names; ``None`` where it names none."""
    folder = place_named(store).folder
    if folder is None or not folder.is_file():
        return None
    from execution_history.stores.sqlite.archive import is_archive  # noqa: PLC0415 - a folder needs none

    return folder if is_archive(folder) else None


def place_of(store: str) -> str:
    """Return the address of a store as it may be shown: a URL without its password."""
    return shown_store(store)


def _ambiguous(text: str, found: FoundRuns, names: Names) -> CommandFailed:
    """Return the error for a text that names several runs; each is listed with its time, status and workflow."""
    if all(run.execute_id == text for run in found.runs):
        return CommandFailed(
            "Several workflows have a run '%(execute_id)s' (%(workflows)s): name one with --workflow.",
            execute_id=text,
            workflows=enumerated(workflow_text(run.workflow_id, names) for run in found.runs),
        )
    return CommandFailed(
        "'%(text)s' matches several runs; write more of the id:",
        text=text,
        listing=[*(_described(run, names) for run in found.runs), *(["…"] if found.has_more else [])],
    )


def _described(run: FoundRun, names: Names) -> Message:
    return Message(
        "%(run)s  %(time)s  %(status)s  %(workflow)s",
        run=run.execute_id,
        time="-" if run.create_time is None else clock(run.create_time),
        status=Message(STATUSES.get(run.status or "", run.status or _DAMAGED)),
        workflow=workflow_text(run.workflow_id, names),
    )
