"""The command ``follow``: the changes of a history as they happen."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Annotated, Final

import orjson
import typer
from rich.text import Text

from execution_history.cli.open_history import open_history, place_of
from execution_history.cli.options import WorkflowArgument, command
from execution_history.cli.output import Cell, aligned, cropped, padded, shortened_to
from execution_history.cli.run_pages import LONGEST_GIST, status_cell
from execution_history.cli.session import ExitCode, Session
from execution_history.cli.signals import stops_call
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.clock import now_ms
from execution_history.errors import N_, StoreError
from execution_history.history.live_events import LiveEvent
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import brief_clock, clock, duration, gist, short_id
from execution_history.stores.factory import place_named
from execution_history.stores.presence import holds_history

_FOLDER_SECONDS: Final = 0.25
_DATABASE_SECONDS: Final = 2.0
"""How often to look for a history that is not there yet; each look into a database is a connection."""

_COLUMNS: Final = (13, 11, 11)
"""Of the status, the time and the duration, so that lines which come one by one stand under each other."""

_ID_COLUMNS: Final = 9
_NAME_COLUMNS: Final = 16


@command()
async def follow(
    session: Session,
    workflow_id: WorkflowArgument = None,
    since: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="REVISION", help=N_("Start after this revision; 0 begins with everything there is.")
        ),
    ] = None,
) -> ExitCode:
    """Show every change until Ctrl-C; programs get lines of JSON and resume after a ``revision`` with ``--since``."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as stops:
        try:
            await _wait_for_history(session)
            async with open_history(session) as history:
                if not session.as_json:
                    session.notice("Following %(store)s; press Ctrl-C to stop.", store=history.place, style="dim")
                followed = [] if workflow_id is None else [await history.workflow(workflow_id)]
                async with history.service.follow(since, followed) as events:
                    async for event in events:
                        await _show(session, history.service, event)
        except asyncio.CancelledError:
            if not stops:
                raise
    return ExitCode.SUCCESS  # stopping it is how the command ends


async def _wait_for_history(session: Session) -> None:
    """Wait for the first run where there is no history yet; checking for one does not create it."""
    store = session.settings().store
    if await holds_history(store):
        return
    if not session.as_json:
        session.notice(
            "There is no history in %(store)s yet; waiting for the first run. Press Ctrl-C to stop.",
            store=place_of(store),
            style="dim",
        )
    seconds = _DATABASE_SECONDS if place_named(store).folder is None else _FOLDER_SECONDS
    while not await holds_history(store):  # noqa: ASYNC110 - neither reports the first run
        await asyncio.sleep(seconds)


async def _show(session: Session, service: ExecutionHistoryService, event: LiveEvent) -> None:
    if session.as_json:
        session.output.json_line(orjson.loads(event.to_json()))
    elif event.kind == "reset":
        sentence = session.translate("The revision belongs to another history: read this one from the beginning.")
        session.output.answer(sentence, style="yellow")
    else:
        workflow_id, execute_id = event.workflow_id or "", event.execute_id or ""
        facts, text = [Cell(session.translate("deleted"), "dim")], ""
        show_time = clock if session.output.width is None else partial(brief_clock, now=now_ms())
        if event.summary is not None:
            record = orjson.loads(event.summary)
            facts = [status_cell(session.translate, record["execute_status"]), Cell(show_time(record["update_time"]))]
            facts += [] if record["duration_ms"] is None else [Cell(duration(record["duration_ms"]), right=True)]
            if record["execute_status"] == "interrupted":
                with suppress(StoreError):  # the question is in the record; without it the summary will do
                    record |= orjson.loads(await service.detail_bytes(workflow_id, execute_id) or b"{}")
            text = gist(record, LONGEST_GIST) or record["input_line"]
        names = await service.names()
        session.output.lines(_lines(session, facts, (workflow_id, execute_id), text, names))


def _lines(session: Session, facts: list[Cell], ids: tuple[str, str], text: str, names: Names) -> list[Text]:
    """Return a change on one line: on a terminal as wide as that, with short ids, elsewhere with all there is."""
    width, (workflow_id, execute_id) = session.output.width, ids
    if width is None:
        workflow = workflow_text(workflow_id, names, is_brief=False)
        return aligned([[*facts, Cell(workflow), Cell(execute_id), Cell(text, "dim")]])
    name = names[workflow_id].name if workflow_id in names else None
    workflow = short_id(workflow_id) if name is None else shortened_to(name, _NAME_COLUMNS)
    row = [padded(fact, columns) for fact, columns in zip(facts, _COLUMNS, strict=False)]
    row += [padded(Cell(""), columns) for columns in _COLUMNS[len(facts) :]]
    row += [padded(Cell(workflow), _ID_COLUMNS), Cell(short_id(execute_id)), Cell(text, "dim")]
    return [cropped(line, width) for line in aligned([row])]
