"""The command ``audit``: who deleted, exported, imported and redacted runs, changed keys and rules, and so on."""

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from execution_history.access.audit import AuditFilter, AuditLine, lines, newest_lines
from execution_history.cli.open_history import open_history
from execution_history.cli.options import command
from execution_history.cli.output import Cell, on_one_line_or_two
from execution_history.cli.session import CommandFailed, Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.audit_sentences import actor_text, details_text
from execution_history.presentation.formatting import clock, one_line
from execution_history.presentation.time_zone import local_zone

_LONGEST: Final = 60
_MOST: Final = 1_000_000

_Since = Annotated[str, typer.Option(metavar="TIME", help=N_("Only what was done since: 2h or 7d ago, monday."))]
_Until = Annotated[
    str, typer.Option(metavar="TIME", help=N_("Only what was done until then; a date includes its day."))
]
_Actions = Annotated[
    list[str] | None, typer.Option("--action", metavar="ACTION", help=N_("Only this, such as delete; repeatable."))
]
_By = Annotated[
    str, typer.Option(metavar="WHO", help=N_("Only by them: a part of the name or id of a key, or a user."))
]
_Limit = Annotated[int | None, typer.Option(min=1, max=_MOST, help=N_("Only the newest so many."))]
_Format = Annotated[
    Literal["csv", "jsonl"] | None,
    typer.Option("--format", help=N_("Export the entries instead of showing them; that is an entry too.")),
]
_Target = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help=N_("Where to export to; - is the standard output."))
]


@command()
async def audit(
    session: Session,
    since: _Since = "",
    until: _Until = "",
    action: _Actions = None,
    by: _By = "",
    limit: _Limit = None,
    kind: _Format = None,
    target: _Target = "-",
) -> None:
    """Show who did what with the history."""
    if kind is not None and limit is not None:
        raise CommandFailed("An export has all entries that match: leave out --limit, or use --since.")
    if kind is None and target != "-":
        raise CommandFailed("--output belongs to an export: add --format csv or --format jsonl.")
    chosen = AuditFilter.of(action or (), by, since, until, now=now_ms(), zone=local_zone())
    async with open_history(session) as history:
        if kind is not None:
            await _export(history.service, chosen, kind, target)
            return
        if limit is None:
            found = [line async for line in lines(history.service.store, chosen)]
        else:
            found = await _newest(history.service, chosen, limit)
    if session.as_json:
        session.output.document({"lines": [asdict(line) for line in found]})
        return
    _ = session.translate
    if not found:
        if chosen == AuditFilter():
            session.notice("The audit log is empty.")
        else:
            session.notice("No entry matches.")
        return
    heads = [Cell(head.upper(), "dim") for head in (_("When"), _("Who"), _("What"), _("Details"))]
    rows = [heads, *(_cells(session, line) for line in found)]
    # What was done is not cut: on a narrow terminal it stands below.
    session.output.lines(
        on_one_line_or_two([row[:-1] for row in rows], [row[-1] for row in rows], [], session.output.width)
    )


async def _newest(service: ExecutionHistoryService, chosen: AuditFilter, limit: int) -> list[AuditLine]:
    """Return the newest lines, the oldest of them first, as all are shown."""
    found: list[AuditLine] = []
    page = await newest_lines(service.store, limit, chosen)
    found += page.lines
    while len(found) < limit and page.next is not None:
        page = await newest_lines(service.store, limit - len(found), chosen, page.next)
        found += page.lines
    return found[::-1]


async def _export(
    service: ExecutionHistoryService, chosen: AuditFilter, kind: Literal["csv", "jsonl"], to: str
) -> None:
    """Write the entries into a file, which appears whole or not at all, or to the standard output."""
    from execution_history.transfer.atomic_output import new_file  # noqa: PLC0415 - `audit` alone does not export
    from execution_history.transfer.audit_export import audit_chunks  # noqa: PLC0415 - as above

    with contextlib.ExitStack() as stack:
        stream = sys.stdout.buffer if to == "-" else stack.enter_context(new_file(Path(to)))
        async for piece in audit_chunks(service.store, chosen, kind):
            stream.write(piece)


def _cells(session: Session, line: AuditLine) -> list[Cell]:
    _ = session.translate
    about = one_line(details_text(_, line.action, line.details))
    texts = (clock(line.at), one_line(actor_text(_, line.actor), _LONGEST), _(line.label), about)
    return [Cell(text) for text in texts]
