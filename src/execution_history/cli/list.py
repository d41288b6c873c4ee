"""The commands ``list`` and ``workflows``."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Final

import orjson
import typer
from rich.cells import cell_len
from rich.text import Text

from execution_history.cli.open_history import History, open_history
from execution_history.cli.options import (
    ColumnsOption,
    CursorOption,
    Filters,
    OrderOption,
    PageSizeOption,
    SortOption,
    ViewOption,
    WorkflowArgument,
    as_options,
    command,
    read_filters,
)
from execution_history.cli.output import Cell, aligned, natural_width, shortened_to
from execution_history.cli.run_pages import (
    DEFAULT_PAGE_SIZE,
    chosen_lines,
    counts_of,
    notice_counts,
    notice_damaged,
    run_lines,
    shape_of,
    show_reach,
    size_option,
)
from execution_history.cli.session import Session
from execution_history.cli.workflow_text import LONGEST_ID
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.answers import damaged_of
from execution_history.history.names import ListedWorkflow
from execution_history.presentation.formatting import brief_clock, clock, grouped, one_line, size
from execution_history.presentation.phrases import enumerated, status_word
from execution_history.presentation.run_columns import columns_of
from execution_history.presentation.translator import Translator
from execution_history.query.model import Order, RecordQuery, Selection, Sort
from execution_history.records.record import STATUSES

TRIAL_WORKFLOW: Final = "7000000000000000002"

_LEAST_NAME: Final = 12
"""Columns that a workflow's name keeps on the narrowest terminal."""

_Chosen = tuple[Filters, Sort, Order | None, tuple[str, ...]]


@command("workflow")
async def list_runs(
    session: Session,
    workflow_id: WorkflowArgument = None,
    page: Annotated[int, typer.Option(min=1, help=N_("The page to show, newest runs first."))] = 1,
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    sort: SortOption = "create_time",
    order: OrderOption = None,
    cursor: CursorOption = None,
    explain: Annotated[bool, typer.Option("--explain", help=N_("Explain how the runs are found."))] = False,
    view: ViewOption = None,
    columns: ColumnsOption = None,
    *,
    filters: Filters,
) -> None:
    """Show one page of runs; a plain list is read without the index."""
    shown = columns_of(columns or ())
    async with open_history(session) as history:
        if view is not None:
            filters, sort, order, shown = await _of_view(history, view, (filters, sort, order, shown))
        is_plain = not (filters or cursor or explain or order == "asc") and sort == "create_time"
        names, alike = await history.service.names(), list[str]()
        if is_plain:
            named = None if workflow_id is None else await history.workflow(workflow_id)
            found = await history.service.page_bytes(named, page_size, page)
            alike = await history.service.workflows_like(workflow_id) if workflow_id and not found.total else []
        else:
            chosen = read_filters(filters, workflow_id)
            query = RecordQuery(filter=chosen, sort=sort, descending=order != "asc", size=page_size, explain=explain)
            query = replace(query, after=cursor, index=None if cursor else page)
            found = await history.answer(lambda: history.service.select(query))
    if session.as_json:
        _print_json(session, found, is_plain=is_plain)
        return
    show_reach(session, found.reach)
    if shown:
        session.output.lines(chosen_lines(session, found.documents, names, shown))
    else:
        session.output.lines(run_lines(session, found.documents, names, of_all=workflow_id is None))
    position = ["--page", str(page + 1)] if is_plain else ["--cursor", found.next or ""]
    options = [*as_options(filters), *_order_options(sort, order, shown), *position, *size_option(page_size)]
    next_call = _next_call(session, workflow_id or "", options)
    if is_plain:
        _notice_position(session, found, history.place, workflow_id, page, page_size, next_call, alike)
        notice_damaged(session, found.damaged)
    else:
        for sentence in map(session.translate.message, found.explain):
            session.output.remark(sentence, style="dim")
        notice_counts(session, found, history.place, next_call)


async def _of_view(history: History, name: str, chosen: _Chosen) -> _Chosen:
    """Return the filters, the order and the columns of a saved view where none was *chosen*."""
    saved, (filters, sort, order, columns) = await history.service.views.named(name), chosen
    if sort == "create_time":
        sort, order = saved.sort, order or saved.order
    return saved.words() | filters, sort, order, columns or saved.columns


def _order_options(sort: Sort, order: Order | None, columns: Sequence[str]) -> list[str]:
    """Return the options for this order and these columns, without those that are the default."""
    sorting = [*(["--sort", sort] if sort != "create_time" else []), *(["--order", order] if order else [])]
    return [*sorting, *(["--columns", ",".join(columns)] if columns else [])]


def _print_json(session: Session, found: Selection, *, is_plain: bool) -> None:
    """Print the same JSON as over HTTP: a page of a plain list has neither a cursor nor a reach."""
    plain = {"total": found.total, "has_more": found.has_more, **damaged_of(found.damaged)}
    counts = (plain if is_plain else counts_of(found)) | ({"explain": found.explain} if found.explain else {})
    session.output.document({"histories": [orjson.Fragment(each) for each in found.documents], **counts})
    notice_damaged(session, found.damaged)


@command()
async def list_workflows(
    session: Session,
    learn: Annotated[
        bool, typer.Option("--learn", help=N_("Ask Coze for the names of the account's workflows first."))
    ] = False,
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help=N_("The configured Coze account that asks, with --learn."))
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help=N_("Use the sandbox started by `serve --sandbox` as the account default."))
    ] = False,
) -> None:
    """Show every workflow that has history."""
    if learn:
        await _learn_names(session, account, sandbox=sandbox)
    async with open_history(session) as history:
        workflows = await history.service.listed_workflows()
    if session.as_json:
        session.output.document({"workflows": workflows, "total": len(workflows)})
    elif not workflows:
        _notice_empty(session, None, history.place)
    else:
        _show_workflows(session, sorted(workflows, key=lambda each: (each.hidden, not each.starred)))


async def _learn_names(session: Session, account: str | None, *, sandbox: bool) -> None:
    """Ask an account's upstream for names, and print how many there were."""
    # What calls Coze is slow to import, and other commands need not wait for it.
    from execution_history.cli.accounts import account_named, opened  # noqa: PLC0415

    settings, name = account_named(session.settings(), account, sandbox=sandbox)
    async with opened(settings) as application:
        found = await application.names.learn(name)
    session.notice(
        "Coze named %(listed)s workflows; %(learned)s of these names are new or changed.",
        listed=grouped(found.listed),
        learned=grouped(found.learned),
        style="dim",
    )


def _next_call(session: Session, workflow_id: str, options: list[str]) -> str:
    """Return the call for the next page; a workflow id that begins with a dash comes last."""
    if workflow_id.startswith("-"):
        return session.command("list", *options, text=workflow_id)
    return session.command("list", *filter(None, [workflow_id]), *options)


def _notice_position(
    session: Session,
    found: Selection,
    place: str,
    workflow_id: str | None,
    page: int,
    page_size: int,
    next_call: str,
    alike: Sequence[str],
) -> None:
    """Print which part of the history the page is, and how to see the rest."""
    _, pages, first = session.translate, -(-found.total // page_size), (page - 1) * page_size + 1
    if found.total == 0:
        _notice_empty(session, workflow_id, place, alike)
    elif found.documents:
        session.notice(
            "Runs %(first)s to %(last)s of %(total)s, page %(page)s of %(pages)s.",
            first=grouped(first),
            last=grouped(first + len(found.documents) - 1),
            total=grouped(found.total),
            page=page,
            pages=grouped(pages),
            style="dim",
        )
    elif not found.damaged:
        session.notice("There is no page %(page)s; the last one is %(pages)s.", page=page, pages=grouped(pages))
    if found.has_more:
        session.notice("Next: %(command)s", command=next_call, style="dim")


def _notice_empty(session: Session, workflow_id: str | None, place: str, alike: Sequence[str] = ()) -> None:
    if workflow_id is not None:
        session.notice(
            "Workflow '%(workflow_id)s' has no runs in %(store)s; `%(command)s` lists the workflows that have.",
            workflow_id=workflow_id,
            store=place,
            command=session.command("workflows"),
        )
        if alike:
            session.notice("Did you mean %(names)s?", names=enumerated(f"'{one_line(each, 40)}'" for each in alike))
    else:
        session.notice(
            "No runs are recorded in %(store)s yet. Record one without a Coze account:\n  "
            "%(run)s\n"
            "or serve the HTTP API with a sandbox to try it on:\n  "
            "%(serve)s",
            store=place,
            run=session.command("run", TRIAL_WORKFLOW, "-p", "city=Paris", "--sandbox"),
            serve=session.command("serve", "--sandbox"),
        )


def _show_workflows(session: Session, workflows: list[ListedWorkflow]) -> None:
    """Show a line for each workflow; a narrow terminal has shapes as heads, short times, and names as they fit."""
    _, width = session.translate, session.output.width
    has_other = any(each.counts.get("other") for each in workflows)
    names: list[str] = [*STATUSES, *(["other"] if has_other else [])]
    marks = [_mark(_, name) for name in names]
    with_ids = any(each.name for each in workflows)
    heads, cells = (
        partial(_workflow_heads, _, with_ids=with_ids),
        partial(_workflow_cells, names=names, with_ids=with_ids),
    )
    lines = aligned([heads(marks), *(cells(each, time=clock) for each in workflows)])
    if width is not None and (excess := natural_width(lines) - width) > 0:
        brief = partial(brief_clock, now=now_ms())
        rows = [
            heads([Cell(mark.text[0], mark.style, right=True) for mark in marks], with_size=False),
            *(cells(each, time=brief, with_size=False) for each in workflows),
        ]
        excess = natural_width(aligned(rows)) - width
        if excess > 0:
            columns = max(_LEAST_NAME, max(cell_len(row[0].text) for row in rows) - excess)
            rows = [[row[0]._replace(text=shortened_to(row[0].text, columns)), *row[1:]] for row in rows]
        lines = aligned(rows)
        lines.append(Text("  ".join(mark.text for mark in marks), style="dim"))
    session.output.lines(lines, are_cut=True)


def _mark(_: Translator, name: str) -> Cell:
    shape, colour = shape_of(name)
    word = _("other") if name == "other" else status_word(_, name)
    return Cell(f"{shape} {word}", colour, right=True)


def _workflow_heads(_: Translator, marks: list[Cell], *, with_ids: bool, with_size: bool = True) -> list[Cell]:
    own_id = [Cell(_("Id").upper(), "dim")] if with_ids else []
    first = [Cell(_("Workflow").upper(), "dim"), *own_id, Cell(_("Runs").upper(), "dim", right=True)]
    size_head = [Cell(_("Size").upper(), "dim", right=True)] if with_size else []
    return [*first, *marks, *size_head, Cell(_("Last run").upper(), "dim")]


def _workflow_cells(
    workflow: ListedWorkflow, names: list[str], time: Callable[[int], str], *, with_ids: bool, with_size: bool = True
) -> list[Cell]:
    counts = [Cell(grouped(workflow.counts.get(name) or None), right=True) for name in names]
    called = one_line(workflow.name or workflow.workflow_id, LONGEST_ID)
    first = Cell(f"★ {called}" if workflow.starred else called, "dim" if workflow.hidden else "")
    own_id = [Cell(one_line(workflow.workflow_id, LONGEST_ID), "dim")] if with_ids else []
    figures = [Cell(grouped(workflow.total), right=True), *counts]
    figures += [Cell(size(workflow.size), right=True)] if with_size else []
    return [first, *own_id, *figures, Cell(time(workflow.last_create_time))]
