"""Runs that are asked for by filter, order and text: ``list`` with any of these, and ``search``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from rich.text import Text

from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.filter_options import Filters, as_options, read_filters
from execution_history.cli.list import DEFAULT_PAGE_SIZE, run_lines, say_damaged, say_reach, status_cell
from execution_history.cli.open_history import open_history
from execution_history.cli.output import Cell, aligned, natural_width
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.history.keyword_query import damaged_of
from execution_history.presentation.terminal_formatting import grouped, local_time, one_line, visible
from execution_history.query.model import RecordQuery, Selection, Sort
from execution_history.query.search_results import Hit, SearchPage
from execution_history.query.text import Snippet
from execution_history.records.partial import outline_of

_LONGEST_ID = 60


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What ``list`` was asked for beyond a page of everything."""

    workflow_id: str | None
    filters: Filters
    sort: Sort
    ascending: bool
    page_size: int
    page_index: int
    cursor: str | None
    explain: bool

    @property
    def is_plain(self) -> bool:
        """Whether a page of the newest runs is all that is asked for."""
        asks = self.filters or self.cursor or self.explain or self.ascending
        return not asks and self.sort == "create_time"

    def words_behind(self, cursor: str) -> list[str]:
        """Return the words of the command that shows the page behind this one."""
        words = ["list", *([] if self.workflow_id is None else [self.workflow_id]), *as_options(self.filters)]
        words += [] if self.sort == "create_time" else ["--sort", self.sort]
        words += ["--ascending"] if self.ascending else []
        words += [] if self.page_size == DEFAULT_PAGE_SIZE else ["--page-size", str(self.page_size)]
        return [*words, "--cursor", cursor]


async def list_found(session: Session, request: ListRequest) -> ExitCode:
    """Show one page of the runs that are asked for."""
    query = RecordQuery(
        filter=read_filters(request.filters, request.workflow_id),
        sort=request.sort,
        descending=not request.ascending,
        size=request.page_size,
        after=request.cursor,
        index=None if request.cursor else request.page_index,
        explain=request.explain,
    )
    async with open_history(session) as (service, place):
        found = await service.select(query)
    if session.as_json:
        answer = {
            "histories": [orjson.Fragment(body) for body in found.documents],
            **_how_many(found),
            **({"explain": list(found.explain)} if request.explain else {}),
        }
        session.output.document(orjson.dumps(answer))
        say_damaged(session, found.damaged)
        return ExitCode.SUCCESS
    if found.documents:
        for line in run_lines(session, found.documents, of_all=request.workflow_id is None):
            session.output.answer(line)
    for sentence in found.explain:
        session.output.remark(session.translate.message(sentence), style="dim")
    _say_how_many(session, found, place, None if found.next is None else request.words_behind(found.next))
    return ExitCode.SUCCESS


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What ``search`` was asked for."""

    text: str
    filters: Filters
    size: int
    cursor: str | None
    best: bool

    def words_behind(self, cursor: str) -> list[str]:
        """Return the words of the command that shows the page behind this one."""
        size = [] if self.size == DEFAULT_PAGE_SIZE else ["--page-size", str(self.size)]
        return ["search", *as_options(self.filters), *size, "--cursor", cursor]


async def search_runs(session: Session, request: SearchRequest) -> ExitCode:
    """Show the runs that have a text, each with the places where they have it."""
    async with open_history(session) as (service, place):
        page = await service.search(
            request.text,
            record_filter=read_filters(request.filters),
            size=request.size,
            cursor=request.cursor,
            is_ranked=request.best,
        )
    if session.as_json:
        answer = {
            "hits": [_as_json(hit) for hit in page.hits],
            **_how_many(page),
        }
        session.output.document(orjson.dumps(answer))
        say_damaged(session, page.damaged)
        return ExitCode.SUCCESS
    _show_hits(session, page.hits)
    _say_how_many(session, page, place, None if page.next is None else request.words_behind(page.next), request.text)
    return ExitCode.SUCCESS


def _as_json(hit: Hit) -> dict[str, Any]:
    pieces = [
        {"field": each.field, "text": each.text, "hits": [list(place) for place in each.hits]} for each in hit.snippets
    ]
    return {"execution": orjson.Fragment(hit.body), "snippets": pieces}


def _show_hits(session: Session, hits: Sequence[Hit]) -> None:
    """Each run on one line, or two where the terminal is too narrow, and under it the pieces of its texts."""
    records = [outline_of(hit.body) for hit in hits]
    heads = aligned(
        [
            [
                status_cell(session.translate, record["execute_status"]),
                Cell(local_time(record["create_time"])),
                Cell(one_line(record["workflow_id"], _LONGEST_ID)),
            ]
            for record in records
        ]
    )
    names = [Text("  " + visible(record["execute_id"]), style="bold") for record in records]
    width = session.output.width
    is_narrow = width is not None and natural_width(heads) + natural_width(names) > width
    for head, name, hit in zip(heads, names, hits, strict=True):
        for line in (head, name) if is_narrow else (Text.assemble(head, name),):
            session.output.answer(line)
        for piece in hit.snippets:
            session.output.answer(Text(f"  {visible(piece.field)}: ", style="dim").append_text(_marked(piece)))


def _marked(piece: Snippet) -> Text:
    """Return a piece with its hits marked, on one line."""
    line, at = Text(), 0
    for begin, end in piece.hits:
        line.append(_flat(piece.text[at:begin]), style="not dim")
        line.append(_flat(piece.text[begin:end]), style="bold reverse not dim")
        at = end
    return line.append(_flat(piece.text[at:]), style="not dim")


def _flat(part: str) -> str:
    return visible(part).replace("\n", " ").replace("\t", " ")


def _how_many(found: Selection | SearchPage) -> dict[str, Any]:
    """Return what programs get beside the runs, with the same keys as over HTTP."""
    answer: dict[str, Any] = {
        "total": found.total,
        "total_is_exact": found.total_is_exact and found.reach.is_complete,
        "has_more": found.has_more,
        "next_cursor": found.next,
        **damaged_of(found.damaged),
    }
    reach = found.reach
    return answer if reach.is_complete else answer | {"reach": {"revision": reach.revision, "newest": reach.newest}}


def _say_how_many(
    session: Session, found: Selection | SearchPage, place: str, behind: list[str] | None, text: str | None = None
) -> None:
    """How many there are, as far as that is known, and the call for the page behind this one."""
    _, reach = session.translate, found.reach
    say_damaged(session, found.damaged)
    if not reach.is_complete:
        say_reach(session, reach)
    if found.total == 0 and not found.has_more:
        session.output.remark(_("No runs in %(store)s match.", store=place))
        return
    is_exact = found.total_is_exact and reach.is_complete
    sentence = N_("Found: %(total)s.") if is_exact else N_("Found: at least %(total)s.")
    session.output.remark(_(sentence, total=grouped(found.total)), style="dim")
    if behind is not None:
        command = session.command(*behind, text=text)
        session.output.remark(_("Next: %(command)s", command=command), style="dim")
