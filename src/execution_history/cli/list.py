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
from execution_history.presentation.terminal_translator import Speech
from execution_history.query.model import RecordKey, Selection
from execution_history.records.attributes import facts_of
from execution_history.records.encoding import encode
from execution_history.records.partial import outline_of
from execution_history.records.record import STATUSES
from execution_history.stores.protocol import WorkflowSummary

TRIAL_WORKFLOW: Final = "7000000000000000002"

_LONGEST_GIST: Final = 200
_LEAST_GIST: Final = 24
_LONGEST_ID: Final = 60
_MOST_NAMED: Final = 10


def status_cell(say: Speech, status: str) -> Cell:
    """A status as its shape and its word."""
    shape, colour = SHAPES.get(status, UNKNOWN_SHAPE)
    word = say(f"status.{status}") if status in SHAPES else one_line(status, 20)
    return Cell(f"{shape} {word}", colour)


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
        session.output.remark(session.say("list.past_end", page=page_index, pages=grouped(pages)))
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
        facts = {"count": grouped(count or len(damaged)), "runs": runs, "program": session.command()}
        sentence = session.say("found.damaged", **facts)
        session.output.remark(sentence, style="yellow")


def run_lines(session: Session, documents: Sequence[bytes], *, of_all: bool) -> list[Text]:
    """A line for each run; two where the terminal is too narrow for one."""
    now, width = now_ms(), session.output.width
    records = [outline_of(document) for document in documents]
    facts = [
        _heads(session.say, of_all=of_all),
        *(_facts(session.say, record, now, of_all=of_all) for record in records),
    ]
    ids = [Cell(session.say("head.execute_id"), "dim"), *(Cell(record["execute_id"]) for record in records)]
    gists = [session.say("head.gist"), *(gist(record, _LONGEST_GIST) for record in records)]
    said = [Cell(text, "dim") for text in gists]
    if width is None or natural_width(aligned(_beside(facts, ids))) + _LEAST_GIST < width:
        return [cropped(line, width) for line in aligned(_beside(facts, ids, said))]
    seconds = aligned(_beside([[Cell("")] for _ in ids], ids, said))
    return [cropped(line, width) for pair in zip(aligned(facts), seconds, strict=True) for line in pair]


def _beside(rows: list[list[Cell]], *columns: list[Cell]) -> list[list[Cell]]:
    return [[*row, *cells] for row, *cells in zip(rows, *columns, strict=True)]


def _heads(say: Speech, *, of_all: bool) -> list[Cell]:
    heads = [Cell(say(f"head.{name}"), "dim") for name in ("status", "started")]
    heads += [Cell(say(f"head.{name}"), "dim", right=True) for name in ("duration", "tokens")]
    return [*heads, Cell(say("head.workflow"), "dim")] if of_all else heads


def _facts(say: Speech, record: dict[str, Any], now: int, *, of_all: bool) -> list[Cell]:
    known = facts_of(record)
    facts = [
        status_cell(say, record["execute_status"]),
        Cell(local_time(known.create_time)),
        Cell(duration(known.elapsed_ms(now)), right=True),
        Cell(grouped(known.tokens), right=True),
    ]
    return [*facts, Cell(one_line(record["workflow_id"], _LONGEST_ID))] if of_all else facts


def _show_workflows(session: Session, summaries: list[WorkflowSummary]) -> None:
    """A line for each workflow; on a narrow terminal the heads are shapes, which a last line explains."""
    say, width = session.say, session.output.width
    has_other = any(summary.counts.get("other") for summary in summaries)
    names: list[str] = [*STATUSES, *(["other"] if has_other else [])]
    marks = [_mark(say, name) for name in names]
    lines = aligned([_workflow_heads(say, marks), *(_workflow_cells(summary, names) for summary in summaries)])
    if width is not None and natural_width(lines) > width:
        shapes = [Cell(mark.text[0], mark.style, right=True) for mark in marks]
        lines = aligned([_workflow_heads(say, shapes), *(_workflow_cells(summary, names) for summary in summaries)])
        lines.append(Text("  ".join(mark.text for mark in marks), style="dim"))
    for line in lines:
        session.output.answer(cropped(line, width))


def _mark(say: Speech, name: str) -> Cell:
    shape, colour = SHAPES.get(name, UNKNOWN_SHAPE)
    return Cell(f"{shape} {say(f'status.{name}' if name in SHAPES else 'head.other')}", colour, right=True)


def _workflow_heads(say: Speech, marks: list[Cell]) -> list[Cell]:
    first = [Cell(say("head.workflow"), "dim"), Cell(say("head.runs"), "dim", right=True)]
    return [*first, *marks, Cell(say("head.last_run"), "dim")]


def _workflow_cells(summary: WorkflowSummary, names: list[str]) -> list[Cell]:
    counts = [Cell(grouped(summary.counts.get(name) or None), right=True) for name in names]
    first = [Cell(one_line(summary.workflow_id, _LONGEST_ID)), Cell(grouped(summary.total), right=True)]
    return [*first, *counts, Cell(local_time(summary.last_create_time))]


def _say_empty(session: Session, workflow_id: str | None, place: str) -> None:
    if workflow_id is not None:
        command = session.command("workflows")
        sentence = session.say("list.empty_workflow", workflow_id=workflow_id, store=place, command=command)
    else:
        run = session.command("run", TRIAL_WORKFLOW, "-p", "city=Paris", "--sandbox")
        sentence = session.say("list.empty", store=place, run=run, serve=session.command("serve", "--sandbox"))
    session.output.remark(sentence)


def _say_where(session: Session, workflow_id: str | None, page: Selection, page_index: int, page_size: int) -> None:
    """How much of it this was, and how to see the rest."""
    pages = -(-page.total // page_size)
    first = (page_index - 1) * page_size + 1
    if page.documents:
        counted = session.say(
            "list.counted",
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
        session.output.remark(session.say("list.next", command=session.command(*words)), style="dim")


DEFAULT_PAGE_SIZE: Final = 20
