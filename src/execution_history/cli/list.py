"""The commands ``list`` and ``workflows``."""

from collections.abc import Sequence
from typing import Any, Final

from rich.text import Text

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.open_history import open_history
from execution_history.cli.output import Cell, aligned, cropped, natural_width
from execution_history.cli.session import Session
from execution_history.clock import now_ms
from execution_history.history.keyword_query import damaged_of
from execution_history.presentation.terminal_formatting import (
    SHAPES,
    UNKNOWN_SHAPE,
    duration,
    gist,
    grouped,
    local_time,
    one_line,
)
from execution_history.presentation.translator import Translator
from execution_history.presentation.wording import status_word
from execution_history.query.model import IndexReach, RecordKey, Selection
from execution_history.records.attributes import attributes_of
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.records.record import STATUSES
from execution_history.stores.protocol import WorkflowSummary

TRIAL_WORKFLOW: Final = "7000000000000000002"

_LONGEST_GIST: Final = 200
_LEAST_GIST: Final = 24
_LONGEST_ID: Final = 60
_MOST_NAMED: Final = 10


def status_cell(_: Translator, status: str) -> Cell:
    """Return a status as its shape and its word."""
    shape, colour = SHAPES.get(status, UNKNOWN_SHAPE)
    return Cell(f"{shape} {status_word(_, status)}", colour)


async def list_runs(session: Session, workflow_id: str | None, page_index: int, page_size: int) -> ExitCode:
    """Show one page of runs, of one workflow or of all."""
    async with open_history(session) as (service, place):
        page = await service.page_bytes(workflow_id, page_size, page_index)
    if session.as_json:
        more = encode({"total": page.total, "has_more": page.has_more, **damaged_of(page.damaged)})
        session.output.document(b'{"histories":[' + b",".join(page.documents) + b"]," + more[1:])
    elif page.total == 0:
        _say_empty(session, workflow_id, place)
    elif not page.documents and not page.damaged:
        pages = -(-page.total // page_size)
        session.output.remark(
            session.translate(
                "There is no page %(page)s; the last one is %(pages)s.", page=page_index, pages=grouped(pages)
            )
        )
    else:
        if page.documents:
            for line in run_lines(session, page.documents, of_all=workflow_id is None):
                session.output.answer(line)
        _say_where(session, workflow_id, page, page_index, page_size)
    say_damaged(session, page.damaged)
    return ExitCode.SUCCESS


async def list_workflows(session: Session) -> ExitCode:
    """Show every workflow that has history."""
    async with open_history(session) as (service, place):
        summaries = await service.workflow_summaries()
    if session.as_json:
        session.output.document({"workflows": summaries, "total": len(summaries)})
    elif not summaries:
        _say_empty(session, None, place)
    else:
        _show_workflows(session, summaries)
    return ExitCode.SUCCESS


def say_damaged(session: Session, damaged: Sequence[RecordKey], count: int | None = None) -> None:
    """Which runs are left out because they cannot be read, *count* of them where not all are known by name."""
    if damaged:
        named = [key.execute_id for key in damaged[:_MOST_NAMED]]
        runs = ", ".join(named + (["…"] if len(damaged) > _MOST_NAMED else []))
        count = count or len(damaged)
        sentence = session.translate.plural(
            "Left out is %(num)s run that cannot be read, because history.db is damaged there: "
            "%(runs)s. To repair it: %(program)s import BACKUP. To give it up: %(program)s delete ID.",
            "Left out are %(num)s runs that cannot be read, because history.db is damaged there: "
            "%(runs)s. To repair them: %(program)s import BACKUP. To give them up: %(program)s "
            "delete ID.",
            count,
            num=grouped(count),
            runs=runs,
            program=session.command(),
        )
        session.output.remark(sentence, style="yellow")


def say_reach(session: Session, reach: IndexReach) -> None:
    """How far the index is that an answer comes from."""
    known = session.translate(
        "The index is still being built: this answer covers %(done)s of %(newest)s changes.",
        done=grouped(reach.revision),
        newest=grouped(reach.newest),
    )
    session.output.remark(known, style="yellow")


def run_lines(session: Session, documents: Sequence[bytes], *, of_all: bool) -> list[Text]:
    """Return a line for each run; two where the terminal is too narrow for one."""
    now, width = now_ms(), session.output.width
    records = [outline_of(document) for document in documents]
    facts = [
        _heads(session.translate, of_all=of_all),
        *(_facts(session.translate, record, now, of_all=of_all) for record in records),
    ]
    ids = [Cell(session.translate("Run id").upper(), "dim"), *(Cell(record["execute_id"]) for record in records)]
    gists = [session.translate("Output or error").upper(), *(gist(record, _LONGEST_GIST) for record in records)]
    said = [Cell(text, "dim") for text in gists]
    if width is None or natural_width(aligned(_beside(facts, ids))) + _LEAST_GIST < width:
        return [cropped(line, width) for line in aligned(_beside(facts, ids, said))]
    seconds = aligned(_beside([[Cell("")] for _ in ids], ids, said))
    return [cropped(line, width) for pair in zip(aligned(facts), seconds, strict=True) for line in pair]


def _beside(rows: list[list[Cell]], *columns: list[Cell]) -> list[list[Cell]]:
    return [[*row, *cells] for row, *cells in zip(rows, *columns, strict=True)]


def _heads(_: Translator, *, of_all: bool) -> list[Cell]:
    heads = [Cell(name.upper(), "dim") for name in (_("Status"), _("Started"))]
    heads += [Cell(name.upper(), "dim", right=True) for name in (_("Duration"), _("Tokens"))]
    return [*heads, Cell(_("Workflow").upper(), "dim")] if of_all else heads


def _facts(_: Translator, record: dict[str, Any], now: int, *, of_all: bool) -> list[Cell]:
    known = attributes_of(record)
    facts = [
        status_cell(_, record["execute_status"]),
        Cell(local_time(known.create_time)),
        Cell(duration(known.elapsed_ms(now)), right=True),
        Cell(grouped(known.tokens), right=True),
    ]
    return [*facts, Cell(one_line(record["workflow_id"], _LONGEST_ID))] if of_all else facts


def _show_workflows(session: Session, summaries: list[WorkflowSummary]) -> None:
    """Show a line for each workflow; on a narrow terminal the heads are shapes, which a last line explains."""
    _, width = session.translate, session.output.width
    has_other = any(summary.counts.get("other") for summary in summaries)
    names: list[str] = [*STATUSES, *(["other"] if has_other else [])]
    marks = [_mark(_, name) for name in names]
    lines = aligned([_workflow_heads(_, marks), *(_workflow_cells(summary, names) for summary in summaries)])
    if width is not None and natural_width(lines) > width:
        shapes = [Cell(mark.text[0], mark.style, right=True) for mark in marks]
        lines = aligned([_workflow_heads(_, shapes), *(_workflow_cells(summary, names) for summary in summaries)])
        lines.append(Text("  ".join(mark.text for mark in marks), style="dim"))
    for line in lines:
        session.output.answer(cropped(line, width))


def _mark(_: Translator, name: str) -> Cell:
    shape, colour = SHAPES.get(name, UNKNOWN_SHAPE)
    word = status_word(_, name) if name in SHAPES else _("other")
    return Cell(f"{shape} {word}", colour, right=True)


def _workflow_heads(_: Translator, marks: list[Cell]) -> list[Cell]:
    first = [Cell(_("Workflow").upper(), "dim"), Cell(_("Runs").upper(), "dim", right=True)]
    return [*first, *marks, Cell(_("Last run").upper(), "dim")]


def _workflow_cells(summary: WorkflowSummary, names: list[str]) -> list[Cell]:
    counts = [Cell(grouped(summary.counts.get(name) or None), right=True) for name in names]
    first = [Cell(one_line(summary.workflow_id, _LONGEST_ID)), Cell(grouped(summary.total), right=True)]
    return [*first, *counts, Cell(local_time(summary.last_create_time))]


def _say_empty(session: Session, workflow_id: str | None, place: str) -> None:
    if workflow_id is not None:
        command = session.command("workflows")
        sentence = session.translate(
            "Workflow '%(workflow_id)s' has no runs in %(store)s; `%(command)s` lists the workflows that have.",
            workflow_id=workflow_id,
            store=place,
            command=command,
        )
    else:
        run = session.command("run", TRIAL_WORKFLOW, "-p", "city=Paris", "--sandbox")
        sentence = session.translate(
            "No runs are recorded in %(store)s yet. Record one without a Coze account:\n  "
            "%(run)s\n"
            "or serve the HTTP API with a sandbox to try it on:\n  "
            "%(serve)s",
            store=place,
            run=run,
            serve=session.command("serve", "--sandbox"),
        )
    session.output.remark(sentence)


def _say_where(session: Session, workflow_id: str | None, page: Selection, page_index: int, page_size: int) -> None:
    """How much of it this was, and how to see the rest."""
    pages = -(-page.total // page_size)
    first = (page_index - 1) * page_size + 1
    if page.documents:
        counted = session.translate(
            "Runs %(first)s to %(last)s of %(total)s, page %(page)s of %(pages)s.",
            first=grouped(first),
            last=grouped(first + len(page.documents) - 1),
            total=grouped(page.total),
            page=page_index,
            pages=grouped(pages),
        )
        session.output.remark(counted, style="dim")
    if page.has_more:
        words = ["list", *([] if workflow_id is None else [workflow_id]), "--page", str(page_index + 1)]
        words += [] if page_size == DEFAULT_PAGE_SIZE else ["--page-size", str(page_size)]
        session.output.remark(session.translate("Next: %(command)s", command=session.command(*words)), style="dim")


DEFAULT_PAGE_SIZE: Final = 20
