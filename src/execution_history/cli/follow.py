"""The command ``follow``: what happens in a history, as it happens."""

import asyncio
from collections.abc import Sequence

import orjson
from rich.text import Text

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.list import status_cell
from execution_history.cli.open_history import is_there, open_history, place_of
from execution_history.cli.session import Session
from execution_history.cli.signals import stops_call
from execution_history.history.live_feed import LiveEvent
from execution_history.presentation.terminal_formatting import duration, local_time, one_line, visible

_LONGEST_LINE = 120
_LONGEST_ID = 40
_LOOK_SECONDS = 0.25


async def follow_history(session: Session, since: int | None, workflow_ids: Sequence[str]) -> ExitCode:
    """Tell every change until Ctrl-C, to programs as lines of JSON whose ``revision`` goes on with ``--since``."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with stops_call(task.cancel) as stops:
        try:
            await _until_there_is_one(session)
            await _follow(session, since, workflow_ids)
        except asyncio.CancelledError:
            if not stops:
                raise
    return ExitCode.SUCCESS  # to be stopped is how following ends


async def _until_there_is_one(session: Session) -> None:
    """Wait for the first run where there is no history yet: looking for it makes none."""
    settings = session.settings()
    is_told = session.as_json
    while not is_there(settings):
        if not is_told:
            session.output.remark(
                session.translate(
                    "There is no history in %(store)s yet; waiting for the first run. Press Ctrl-C to stop.",
                    store=place_of(settings.store),
                ),
                style="dim",
            )
        is_told = True
        await asyncio.sleep(_LOOK_SECONDS)


async def _follow(session: Session, since: int | None, workflow_ids: Sequence[str]) -> None:
    async with open_history(session) as (service, place), service.follow(since, workflow_ids) as events:
        if not session.as_json:
            session.output.remark(
                session.translate("Following %(store)s; press Ctrl-C to stop.", store=place), style="dim"
            )
        async for event in events:
            _tell(session, event)


def _tell(session: Session, event: LiveEvent) -> None:
    if session.as_json:
        session.output.json_line(orjson.loads(event.to_json()))
        return
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
    line.append(f"  {local_time(record['update_time'])}  {name}", style="default")
    line.append("" if took is None else f"  {duration(took)}", style="default")
    said = record.get("error_message") or record.get("output_line") or record.get("input_line") or ""
    return line.append(f"  {one_line(str(said), _LONGEST_LINE)}", style="dim")
