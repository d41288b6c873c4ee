"""The command ``follow``: what happens in a history, as it happens."""

import asyncio
from typing import Annotated

import orjson
import typer
from rich.text import Text

from execution_history.cli.open_history import is_there, open_history, place_of
from execution_history.cli.options import WorkflowArgument, command
from execution_history.cli.output import Cell, on_one_line_or_two
from execution_history.cli.run_pages import LONGEST_GIST, LONGEST_ID, status_cell
from execution_history.cli.session import ExitCode, Session
from execution_history.cli.signals import stops_call
from execution_history.errors import N_
from execution_history.history.live_feed import LiveEvent
from execution_history.presentation.formatting import clock, duration, gist, one_line

_LOOK_SECONDS = 0.25


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
    """Show every change until Ctrl-C, to programs as lines of JSON whose ``revision`` goes on with ``--since``."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as stops:
        try:
            await _until_there_is_one(session)
            async with open_history(session) as (service, place):
                if not session.as_json:
                    session.notice("Following %(store)s; press Ctrl-C to stop.", store=place, style="dim")
                async with service.follow(since, [] if workflow_id is None else [workflow_id]) as events:
                    async for event in events:
                        _show(session, event)
        except asyncio.CancelledError:
            if not stops:
                raise
    return ExitCode.SUCCESS  # to be stopped is how following ends


async def _until_there_is_one(session: Session) -> None:
    """Wait for the first run where there is no history yet: looking for it makes none."""
    settings = session.settings()
    if not (session.as_json or is_there(settings)):
        session.notice(
            "There is no history in %(store)s yet; waiting for the first run. Press Ctrl-C to stop.",
            store=place_of(settings.store),
            style="dim",
        )
    while not is_there(settings):  # noqa: ASYNC110 - a folder does not report its first file
        await asyncio.sleep(_LOOK_SECONDS)


def _show(session: Session, event: LiveEvent) -> None:
    if session.as_json:
        session.output.json_line(orjson.loads(event.to_json()))
    elif event.kind == "reset":
        sentence = session.translate("The revision belongs to another history: read this one from the beginning.")
        session.output.answer(sentence, style="yellow")
    else:
        session.output.lines(_lines(session, event))


def _lines(session: Session, event: LiveEvent) -> list[Text]:
    workflow, execute_id = Cell(one_line(event.workflow_id or "", LONGEST_ID)), Cell(event.execute_id or "")
    facts, text = [Cell(session.translate("deleted"), "dim")], ""
    if event.summary is not None:
        record = orjson.loads(event.summary)
        took, text = record["duration_ms"], gist(record, LONGEST_GIST) or record["input_line"]
        facts = [status_cell(session.translate, record["execute_status"]), Cell(clock(record["update_time"]))]
        facts += [] if took is None else [Cell(duration(took))]
    return on_one_line_or_two([[*facts, workflow]], [execute_id], [Cell(text, "dim")], session.output.width)
