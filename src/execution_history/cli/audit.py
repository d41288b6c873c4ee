"""The command ``audit``: who deleted, exported, imported and changed keys."""

from dataclasses import asdict
from typing import Annotated

import typer

from execution_history.access.audit import AuditLine, lines
from execution_history.cli.open_history import open_history
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.formatting import clock, one_line
from execution_history.presentation.time_zone import local_zone
from execution_history.query.values import read_time

_LONGEST = 60

_Since = Annotated[str | None, typer.Option(metavar="TIME", help=N_("Only what was done since: 2h or 7d ago, monday."))]


@command()
async def audit(session: Session, since: _Since = None) -> None:
    """Show who deleted, exported and imported runs and changed keys."""
    begin = 0 if since is None else read_time("since", since, now=now_ms(), zone=local_zone())
    async with open_history(session) as history:
        found = [line async for line in lines(history.service.store, begin)]
    if session.as_json:
        session.output.document({"lines": [asdict(line) for line in found]})
        return
    _ = session.translate
    if not found:
        session.notice("The audit log is empty.")
        return
    heads = (_("When"), _("Who"), _("What"), _("Details"))
    rows = [[Cell(head.upper(), "dim") for head in heads], *(_cells(session, line) for line in found)]
    session.output.lines(aligned(rows), are_cut=True)


def _cells(session: Session, line: AuditLine) -> list[Cell]:
    texts = (clock(line.at), one_line(line.actor, _LONGEST), session.translate(line.label), one_line(line.details_text))
    return [Cell(text) for text in texts]
