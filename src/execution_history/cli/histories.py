"""Opening a history to read it or take from it, with or without a server running on the same folder."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from execution_history.cli.exits import CommandFailed, ExitCode
from execution_history.cli.session import Session
from execution_history.record import ExecutionRecord
from execution_history.service import ExecutionHistoryService
from execution_history.settings import Settings
from execution_history.store import HistoryStore
from execution_history.stores import MemoryStore, SQLiteStore, store_at

_HEAD: Final = 64 * 1024


@asynccontextmanager
async def open_history(session: Session) -> AsyncIterator[tuple[ExecutionHistoryService, str]]:
    """The history that the settings name, and its name.

    A folder that does not hold one is empty and stays as it is: looking into the wrong place leaves nothing there.

    Raises:
        SettingsError: a setting is wrong.
        StoreError: the store cannot be opened.
    """
    settings = session.settings()
    store = _store(settings) if is_there(settings) else MemoryStore()
    async with ExecutionHistoryService(store) as service:
        yield service, place_of(settings.store)


def is_there(settings: Settings) -> bool:
    """Whether there is a history where the settings say.

    Raises:
        SettingsError: they name no store.
    """
    store = _store(settings)
    return not isinstance(store, SQLiteStore) or _holds_history(store._folder)  # noqa: SLF001 - asked, not touched


def _store(settings: Settings) -> HistoryStore:
    return store_at(settings.store, json_files=settings.json_files, search=settings.search)


def place_of(store: str) -> str:
    """A store as it may be shown: a URL without its password."""
    return re.sub(r"(://[^/@:]*:)[^/@]*@", r"\1…@", store)


async def the_run(
    session: Session, service: ExecutionHistoryService, place: str, execute_id: str, workflow_id: str | None
) -> ExecutionRecord:
    """The record with this id, in the workflow when one is named, else in any.

    Raises:
        CommandFailed: there is none, or several workflows have one.
        StoreError: the store could not be read.
    """
    if workflow_id is not None:
        record = await service.get_execution_detail(workflow_id, execute_id)
        if record is None:
            raise CommandFailed(
                session.say("error.no_run_in_workflow", workflow_id=workflow_id, execute_id=execute_id, store=place),
                ExitCode.NOT_FOUND,
            )
        return record
    found = await service.find_execution(execute_id)
    if not found:
        raise CommandFailed(
            session.say("error.no_run", execute_id=execute_id, store=place, command=session.command("list")),
            ExitCode.NOT_FOUND,
        )
    if len(found) > 1:
        workflows = ", ".join(record["workflow_id"] for record in found)
        raise CommandFailed(
            session.say("error.ambiguous", execute_id=execute_id, workflows=workflows), ExitCode.WRONG_CALL
        )
    return found[0]


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
    with file.open("rb") as content:
        head = content.read(_HEAD)
    return any(key in head for key in (b'"histories"', b'"execute_id"'))
