"""The command ``follow``: what happens in a history, as it happens."""

import asyncio
from typing import Annotated

import orjson
import typer
from rich.text import Text

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.open_history import is_there, open_history, place_of
from execution_history.cli.options import WorkflowArgument, command
from execution_history.cli.run_pages import status_cell
from execution_history.cli.session import Session
from execution_history.cli.signals import stops_call
from execution_history.errors import N_
from execution_history.history.live_feed import LiveEvent
from execution_history.presentation.formatting import clock, duration, one_line, visible

_LONGEST_LINE = 120
_LONGEST_ID = 40
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
                    sentence = session.translate("Following %(store)s; press Ctrl-C to stop.", store=place)
                    session.output.remark(sentence, style="dim")
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
        sentence = session.translate(
            "There is no history in %(store)s yet; waiting for the first run. Press Ctrl-C to stop.",
            store=place_of(settings.store),
        )
        session.output.remark(sentence, style="dim")
    while not is_there(settings):  # noqa: ASYNC110 - a folder does not report its first file
        await asyncio.sleep(_LOOK_SECONDS)


def _show(session: Session, event: LiveEvent) -> None:
    if session.as_json:
        session.output.json_line(orjson.loads(event.to_json()))
    else:
        session.output.answer(_line(session, event))


def _line(session: Session, event: LiveEvent) -> Text:
    if event.kind == "reset":
        return Text(
            session.translate("This is not the history that the revision came from: read it anew."), style="yellow"
        )
    name = f"{one_line(event.workflow_id or '', _LONGEST_ID)}  {visible(event.execute_id or '')}"
    if event.summary is None:
        return Text(session.translate("deleted"), style="dim").append(f"  {name}", style="default")
    record = orjson.loads(event.summary)
    status = status_cell(session.translate, record["execute_status"])
    line = Text(status.text, style=status.style)
    took = record["duration_ms"]
    line.append(f"  {clock(record['update_time'])}  {name}", style="default")
    line.append("" if took is None else f"  {duration(took)}", style="default")
    said = record.get("error_message") or record.get("output_line") or record.get("input_line") or ""
    return line.append(f"  {one_line(str(said), _LONGEST_LINE)}", style="dim")
