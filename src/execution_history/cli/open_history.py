"""Opening a history to read it or take from it, with or without a server running on the same folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_, RecordDamaged
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.phrases import enumerated, remarked
from execution_history.query.fields import RecordFilter
from execution_history.query.model import MAX_SIZE, RecordKey, RecordQuery
from execution_history.records.record import ExecutionRecord, is_identifier
from execution_history.records.redaction import without_credentials
from execution_history.settings import Settings
from execution_history.stores import MemoryStore, SQLiteStore, store_of
from execution_history.stores.foreign_files import NotAFile, open_regular

SHORTEST_PREFIX: Final = 8
"""So many characters of an id's beginning stand for the whole; fewer would often stand for several."""

_HEAD: Final = 64 * 1024
_MOST_CANDIDATES: Final = 8


@asynccontextmanager
async def open_history(session: Session) -> AsyncIterator[tuple[ExecutionHistoryService, str]]:
    """Yield the history that the settings name, and its name.

    A folder that does not hold one is empty and stays as it is: looking into the wrong place leaves nothing there.

    Raises:
        SettingsError: a setting is wrong.
        StoreError: the store cannot be opened.
    """
    settings = session.settings()
    store = store_of(settings) if is_there(settings) else MemoryStore()
    async with ExecutionHistoryService(store) as service:
        yield service, place_of(settings.store)


def is_there(settings: Settings) -> bool:
    """Whether there is a history where the settings say.

    Raises:
        SettingsError: they name no store.
    """
    store = store_of(settings)
    return not isinstance(store, SQLiteStore) or _holds_history(store._folder)  # noqa: SLF001 - asked, not touched


def place_of(store: str) -> str:
    """Return a store as it may be shown: a URL without its password."""
    return without_credentials(store)


async def the_run(
    session: Session, service: ExecutionHistoryService, place: str, execute_id: str, workflow_id: str | None
) -> ExecutionRecord:
    """Return the one record that is meant, in the workflow when one is named, else in any.

    Args:
        session: the session, for its language.
        service: where the record is.
        place: the store's name.
        execute_id: the record's id, its beginning from 8 characters on, or the id that the run has at Coze.
        workflow_id: the workflow, where one is named.

    Raises:
        CommandFailed: there is none, or several may be meant; the message names them.
        StoreError: the store could not be read.
    """
    if workflow_id is not None:
        named = await service.get_execution_detail(workflow_id, execute_id)
        found = [] if named is None else [named]
    else:
        found = await service.find_execution(execute_id)
    if len(found) > 1:
        raise _ambiguous(execute_id, [record["workflow_id"] for record in found])
    record = found[0] if found else await _meant(service, execute_id, workflow_id)
    if record is None:
        raise _not_there(session, place, execute_id, workflow_id)
    return record


async def ids_of_run(
    session: Session, service: ExecutionHistoryService, place: str, execute_id: str, workflow_id: str | None
) -> RecordKey:
    """Return the ids of the one record that is meant, also where it cannot be read; see :func:`the_run`."""
    try:
        record = await the_run(session, service, place, execute_id, workflow_id)
        return _key_of(record)
    except RecordDamaged as error:
        key = RecordKey(error.workflow_id, error.execute_id)
    if workflow_id is None:
        alike = await service.select(RecordQuery(filter=RecordFilter(execute_id_prefix=key.execute_id), size=MAX_SIZE))
        keys = [*alike.damaged, *(_key_of(orjson.loads(body)) for body in alike.documents)]
        workflows = [each.workflow_id for each in keys if each.execute_id == key.execute_id]
        if len(workflows) > 1:
            raise _ambiguous(key.execute_id, workflows)
    return key


async def _meant(service: ExecutionHistoryService, given: str, workflow_id: str | None) -> ExecutionRecord | None:
    """Return the record whose id begins with *given* or whose id at Coze is *given*; ``None`` where there is none.

    Raises:
        CommandFailed: several may be meant.
        RecordDamaged: the one that is meant cannot be read.
    """
    if len(given) < SHORTEST_PREFIX or not is_identifier(given):
        return None
    workflows = () if workflow_id is None or not is_identifier(workflow_id) else (workflow_id,)
    for wanted in (
        RecordFilter(workflow_ids=workflows, execute_id_prefix=given),
        RecordFilter(workflow_ids=workflows, upstream_ids=(given,)),
    ):
        found = await service.select(RecordQuery(filter=wanted, size=_MOST_CANDIDATES))
        if found.documents and not found.reach.is_complete:
            raise CommandFailed(
                "The index is still being built, so it is not known yet which runs begin with "
                "'%(beginning)s': write the whole id, or wait a moment.",
                beginning=given,
            )
        records: list[ExecutionRecord] = [orjson.loads(document) for document in found.documents]
        keys = [*(_key_of(record) for record in records), *found.damaged]
        if len(keys) > 1:
            candidates: list[str] = [remarked(key.execute_id, key.workflow_id) for key in keys]
            candidates += ["…"] if found.has_more else []
            raise CommandFailed(
                "'%(beginning)s' matches several runs: %(candidates)s. Write more of the id.",
                beginning=given,
                candidates=enumerated(candidates),
            )
        if records:
            return records[0]
        if found.damaged:
            return await service.get_execution_detail(*found.damaged[0])  # says what is the matter with it
    return None


def _key_of(record: ExecutionRecord) -> RecordKey:
    return RecordKey(record["workflow_id"], record["execute_id"])


def _ambiguous(execute_id: str, workflows: list[str]) -> CommandFailed:
    return CommandFailed(
        "Several workflows have a run '%(execute_id)s' (%(workflows)s): name one with --workflow.",
        execute_id=execute_id,
        workflows=enumerated(workflows),
    )


def _not_there(session: Session, place: str, execute_id: str, workflow_id: str | None) -> CommandFailed:
    if workflow_id is not None:
        sentence = N_("Workflow '%(workflow_id)s' has no run '%(execute_id)s' in %(store)s.")
    elif len(execute_id) < SHORTEST_PREFIX:
        sentence = N_(
            "There is no run '%(execute_id)s' in %(store)s, and the beginning of an id needs at least %(least)s "
            "characters; `%(command)s` lists the runs there are."
        )
    else:
        sentence = N_("There is no run '%(execute_id)s' in %(store)s; `%(command)s` lists the runs there are.")
    return CommandFailed(
        sentence,
        code=ExitCode.NOT_FOUND,
        workflow_id=workflow_id,
        execute_id=execute_id,
        store=place,
        command=session.command("list"),
        least=SHORTEST_PREFIX,
    )


def _holds_history(folder: Path) -> bool:
    """Whether a history is there; what is no folder, or closed to us, is the store's to explain.

    Opening a store adopts the JSON files it finds, so files that are something else must not be taken for a history.
    """
    if not folder.is_dir():
        return folder.exists()
    try:
        return (folder / "history.db").exists() or any(map(_is_history, folder.glob("*.json")))
    except OSError:
        return True


def _is_history(file: Path) -> bool:
    """Whether a JSON file begins like one that we or an older deployment wrote."""
    try:
        with open_regular(file) as content:
            head = content.read(_HEAD)
    except NotAFile:
        return False
    return any(key in head for key in (b'"histories"', b'"execute_id"'))
