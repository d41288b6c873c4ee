"""The command ``bin``: deleted runs, restored or removed for good."""

from collections import Counter
from functools import partial
from typing import Annotated, Final, Literal

import typer

from execution_history.cli.completion import complete_workflow
from execution_history.cli.open_history import History, open_history
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.run_pages import WHOLE_IDS
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.workflow_text import workflow_text
from execution_history.clock import now_ms
from execution_history.errors import N_, quoted
from execution_history.history.bin import BinPage
from execution_history.maintenance.retention import retention_of
from execution_history.presentation.formatting import brief_clock, clock, short_id, size
from execution_history.stores.capabilities import Binned

_SHOWN: Final = 50
_MOST: Final = 1_000_000


@command("workflow")
async def bin_(
    session: Session,
    action: Annotated[
        Literal["restore", "empty"] | None,
        typer.Argument(help=N_("What to do; without it the deleted runs are listed, the last deleted first.")),
    ] = None,
    execute_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="EXECUTE_ID", help=N_("The deleted runs, by their ids, or the beginnings or ends of these.")
        ),
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(
            "--workflow",
            metavar="WORKFLOW",
            autocompletion=complete_workflow,
            help=N_("All that were of this workflow."),
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=N_("All of them."))] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help=N_("How many to list."))] = _SHOWN,
) -> ExitCode:
    """List the deleted runs that can be restored, restore some, or remove them for good."""
    if action is not None and bool(execute_ids) + (workflow is not None) + every != 1:
        raise CommandFailed("Say which deleted runs: ids, --workflow or --all.")
    again: list[str] = []
    async with open_history(session) as history:
        if action is None:
            return await _list(session, history, limit)
        entries = await _named(history, execute_ids or [], workflow)
        keys = [entry.key for entry in entries]
        if not keys:
            raise CommandFailed("No such run is in the bin.", code=ExitCode.NOT_FOUND)
        if action == "restore":
            restored = set(await history.service.bin.restore(keys))
            known = retention_of(history.service, session.settings())
            again = await known.taken_again({entry.key: entry.rule for entry in entries if entry.key in restored})
            done = len(restored)
            told = session.translate.plural("Restored %(num)s run.", "Restored %(num)s runs.", done)
        else:
            done = await history.service.bin.empty(keys)
            told = session.translate.plural("Removed %(num)s run for good.", "Removed %(num)s runs for good.", done)
    if session.as_json:
        session.output.document({"restored" if action == "restore" else "removed": done, "matches": len(keys)})
        return ExitCode.SUCCESS
    session.output.answer(told)
    for rule in again:
        session.notice(
            "With its next run the rule %(rule)s removes this again, unless it is pinned, rated or tagged %(tags)s: "
            "%(command)s",
            rule=quoted(rule),
            tags=session.translate(", ").join(session.settings().keep_tags),
            command=session.command("tag", entries[0].key.execute_id, "--pin"),
            style="yellow",
        )
    if done < len(keys):
        session.notice(
            "The others are not in the bin any more, are damaged, or their ids are taken by other runs.", style="yellow"
        )
    return ExitCode.SUCCESS


async def _named(history: History, execute_ids: list[str], workflow: str | None) -> list[Binned]:
    """Return the deleted runs of a call: of these ids, of the workflow, or all."""
    entries = list((await history.service.bin.page(limit=_MOST)).entries)
    if workflow is not None:
        workflow_id = await history.workflow(workflow)
        return [entry for entry in entries if entry.key.workflow_id == workflow_id]
    if not execute_ids:
        return entries
    found: list[Binned] = []
    for part in execute_ids:
        matching = [entry for entry in entries if entry.key.execute_id == part]
        # As they are listed, and as other commands take them: by the beginning or the end.
        if (shown := part.strip("…")) and not matching:
            ids = ((entry, entry.key.execute_id) for entry in entries)
            matching = [entry for entry, known in ids if known.startswith(shown) or known.endswith(shown)]
        if len(matching) > 1:
            raise CommandFailed("'%(text)s' matches several deleted runs; write more of the id.", text=part)
        found += matching
    return found


async def _list(session: Session, history: History, limit: int) -> ExitCode:
    page, names = await history.service.bin.page(limit=limit), await history.service.names()
    if session.as_json:
        session.output.document(page.to_json())
        return ExitCode.SUCCESS
    _ = session.translate
    if page.entries:
        heads = (_("Deleted"), _("Until"), _("Size"), _("Run"), _("Workflow"), _("Rule"))
        is_brief, now = session.output.width is not None and session.output.width < WHOLE_IDS, now_ms()
        time = partial(brief_clock, now=now) if is_brief else clock
        ids = _ids(page) if is_brief else {}
        rows = [[Cell(head.upper(), "dim", right=number == 2) for number, head in enumerate(heads)]]  # noqa: PLR2004 - the size
        rows += [
            [
                Cell(time(entry.deleted_at)),
                Cell(time(entry.ends), "dim"),
                Cell(size(entry.size), right=True),
                Cell(ids.get(entry.key.execute_id, entry.key.execute_id), "bold"),
                Cell(workflow_text(entry.key.workflow_id, names)),
                Cell(entry.rule or "", "dim"),
            ]
            for entry in page.entries
        ]
        session.output.lines(aligned(rows), are_cut=True)
    session.output.remark(_summary(session, page))
    return ExitCode.SUCCESS


def _ids(page: BinPage) -> dict[str, str]:
    """Return the ids of a page in short, those that would be the same in short left out."""
    shown = {entry.key.execute_id: short_id(entry.key.execute_id) for entry in page.entries}
    counts = Counter(shown.values())
    return {whole: short for whole, short in shown.items() if counts[short] == 1}


def _summary(session: Session, page: BinPage) -> str:
    if not page.total:
        return session.translate("The bin is empty.")
    return session.translate.plural(
        "%(num)s run is in the bin (%(size)s).", "%(num)s runs are in the bin (%(size)s).", page.total,
        size=size(page.bytes),
    )  # fmt: skip
