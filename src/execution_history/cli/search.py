"""The command ``search``."""

from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from execution_history.cli.open_history import open_history
from execution_history.cli.options import CursorOption, Filters, PageSizeOption, as_options, command, read_filters
from execution_history.cli.output import Cell, on_one_line_or_two
from execution_history.cli.run_pages import (
    DEFAULT_PAGE_SIZE,
    counts_of,
    notice_counts,
    notice_damaged,
    show_reach,
    size_option,
    status_cell,
)
from execution_history.cli.session import Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.errors import N_
from execution_history.presentation.formatting import clock, visible
from execution_history.query.search_results import Hit
from execution_history.query.text import Snippet
from execution_history.records.partial import outline_of


@command("q")
async def search(
    session: Session,
    text: Annotated[str, typer.Argument(metavar="TEXT", help=N_("The text to search for."))],
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    best: Annotated[
        bool, typer.Option("--best", help=N_("Best matches first among the hundred newest, instead of newest first."))
    ] = False,
    cursor: CursorOption = None,
    *,
    filters: Filters,
) -> None:
    """Show the runs that contain a text, each with the places where it occurs."""
    async with open_history(session) as history:
        chosen = read_filters(filters)
        found = await history.answer(
            lambda: history.service.search(text, record_filter=chosen, size=page_size, cursor=cursor, is_ranked=best)
        )
        names = await history.service.names()
    if session.as_json:
        session.output.document({"hits": [_as_json(hit) for hit in found.hits], **counts_of(found)})
        notice_damaged(session, found.damaged)
        return
    show_reach(session, found.reach)
    if found.hits:
        for line, hit in zip(_run_lines(session, [hit.body for hit in found.hits], names), found.hits, strict=True):
            session.output.answer(line)
            for snippet in hit.snippets:
                name = Text(f"  {visible(snippet.field)}: ", style="dim")
                session.output.answer(name.append_text(_highlighted(snippet)))
    words = ["search", *as_options(filters), "--cursor", found.next or "", *size_option(page_size)]
    notice_counts(session, found, history.place, session.command(*words, text=text))


def _as_json(hit: Hit) -> dict[str, Any]:
    snippets = [
        {"field": each.field, "text": each.text, "hits": [list(place) for place in each.hits]} for each in hit.snippets
    ]
    return {"execution": orjson.Fragment(hit.body), "snippets": snippets}


def _run_lines(session: Session, documents: list[bytes], names: Names) -> list[Text]:
    records = [outline_of(document) for document in documents]
    facts = [
        [
            status_cell(session.translate, record["execute_status"]),
            Cell(clock(record["create_time"])),
            Cell(workflow_text(record["workflow_id"], names, is_brief=session.output.width is not None)),
        ]
        for record in records
    ]
    return on_one_line_or_two(
        facts, [Cell(record["execute_id"], "bold") for record in records], (), session.output.width
    )


def _highlighted(snippet: Snippet) -> Text:
    """Return a snippet with its hits highlighted, on one line."""
    line, at = Text(), 0
    for begin, end in snippet.hits:
        line.append(_flat(snippet.text[at:begin]), style="not dim")
        line.append(_flat(snippet.text[begin:end]), style="bold reverse not dim")
        at = end
    return line.append(_flat(snippet.text[at:]), style="not dim")


def _flat(part: str) -> str:
    return visible(part).replace("\n", " ").replace("\t", " ")
