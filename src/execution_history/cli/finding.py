"""Runs that are asked for by filter, order and text: ``list`` with any of these, and ``search``."""

from dataclasses import dataclass
from typing import Any

import orjson
from rich.text import Text

from execution_history.cli.exits import ExitCode
from execution_history.cli.filters import Filters, read_filters
from execution_history.cli.histories import open_history
from execution_history.cli.listing import run_lines, status_cell
from execution_history.cli.session import Session
from execution_history.cli.wording import grouped, local_time, one_line, visible
from execution_history.hits import Hit
from execution_history.query import IndexReach, RecordQuery, Sort
from execution_history.text import Snippet

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
            "total": found.total,
            "total_is_exact": found.total_is_exact,
            "has_more": found.has_more,
            "next_cursor": found.next,
            **({"explain": list(found.explain)} if request.explain else {}),
        }
        session.output.document(orjson.dumps(answer))
        return ExitCode.SUCCESS
    if found.documents:
        for line in run_lines(session, found.documents, of_all=request.workflow_id is None):
            session.output.answer(line)
    for sentence in found.explain:
        session.output.remark(sentence, style="dim")
    _say_reach(session, found.reach)
    key = "found.total" if found.total_is_exact else "found.at_least"
    if not found.documents and not found.has_more:
        session.output.remark(session.say("found.nothing", store=place))
    else:
        session.output.remark(session.say(key, total=grouped(found.total)), style="dim")
    if found.next is not None:
        session.output.remark(session.say("found.next", cursor=found.next), style="dim")
    return ExitCode.SUCCESS


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What ``search`` was asked for."""

    text: str
    filters: Filters
    size: int
    cursor: str | None
    best: bool


async def search_runs(session: Session, request: SearchRequest) -> ExitCode:
    """Show the runs that have a text, each with the places where they have it; 5 when there is none."""
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
            "total": page.total,
            "total_is_exact": page.total_is_exact,
            "has_more": page.has_more,
            "next_cursor": page.next,
        }
        session.output.document(orjson.dumps(answer))
        return ExitCode.SUCCESS
    for hit in page.hits:
        _show_hit(session, hit)
    _say_reach(session, page.reach)
    if not page.hits and not page.has_more:
        session.output.remark(session.say("found.nothing", store=place))
        return ExitCode.NOT_FOUND
    key = "found.total" if page.total_is_exact else "found.at_least"
    session.output.remark(session.say(key, total=grouped(page.total)), style="dim")
    if page.next is not None:
        session.output.remark(session.say("found.next", cursor=page.next), style="dim")
    return ExitCode.SUCCESS


def _as_json(hit: Hit) -> dict[str, Any]:
    pieces = [
        {"field": each.field, "text": each.text, "hits": [list(place) for place in each.hits]} for each in hit.snippets
    ]
    return {"execution": orjson.Fragment(hit.body), "snippets": pieces}


def _show_hit(session: Session, hit: Hit) -> None:
    """The run on one line, and under it the pieces of its texts."""
    record = orjson.loads(hit.body)
    status = status_cell(session.say, record["execute_status"])
    head = Text(status.text, style=status.style)
    head.append(
        f"  {local_time(record['create_time'])}  {one_line(record['workflow_id'], _LONGEST_ID)}  ", style="default"
    )
    head.append(visible(record["execute_id"]), style="bold")
    session.output.answer(head)
    for piece in hit.snippets:
        session.output.answer(Text(f"  {visible(piece.field)}: ", style="dim").append_text(_marked(piece)))


def _marked(piece: Snippet) -> Text:
    """A piece with its hits marked, on one line."""
    line, at = Text(), 0
    for begin, end in piece.hits:
        line.append(_flat(piece.text[at:begin]), style="not dim")
        line.append(_flat(piece.text[begin:end]), style="bold reverse not dim")
        at = end
    return line.append(_flat(piece.text[at:]), style="not dim")


def _flat(part: str) -> str:
    return visible(part).replace("\n", " ").replace("\t", " ")


def _say_reach(session: Session, reach: IndexReach) -> None:
    """That the answer does not know everything yet, where it does not."""
    if not reach.is_complete:
        session.output.remark(
            session.say("found.reach", done=grouped(reach.revision), newest=grouped(reach.newest)), style="yellow"
        )
