"""The command ``stats``: totals, rates, durations and failures of runs."""

from collections.abc import Sequence
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from execution_history.cli.figure_table import notice_approximate, show_figures
from execution_history.cli.open_history import History, open_history
from execution_history.cli.options import Filters, WorkflowArgument, command, read_filters
from execution_history.cli.output import Cell, on_one_line_or_two
from execution_history.cli.run_pages import notice_damaged, notice_none, notice_reach
from execution_history.cli.session import Session
from execution_history.cli.stats_groups import show_groups
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.answers import json_of
from execution_history.presentation.formatting import grouped, one_line
from execution_history.presentation.phrases import enumerated
from execution_history.presentation.time_zone import local_zone_name
from execution_history.query.breakdown import MOST_GROUPS, BreakdownQuery, By, GroupSort
from execution_history.query.model import BucketSize, FailureGroup, Statistics, StatisticsQuery
from execution_history.query.time_buckets import bucket_size, moment_of, zone_of
from execution_history.query.values import read_time

_FORMATS: Final[dict[BucketSize, str]] = {
    "hour": "%Y-%m-%d %H:00",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
}
_MOST_FAILURES: Final = 10
_MOST_CODES: Final = 10


@command("workflow")
async def stats(
    session: Session,
    workflow_id: WorkflowArgument = None,
    bucket: Annotated[
        BucketSize | None,
        typer.Option("--bucket", help=N_("The time span of each row; a day, or more where days are too many.")),
    ] = None,
    by: Annotated[
        By | None,
        typer.Option(
            "--by",
            metavar="workflow|node|account|...",
            help=N_(
                "Rows of something else than time: of a workflow, a node of one workflow, an account and so on; with "
                "--bucket, JSON has the trend of each."
            ),
        ),
    ] = None,
    sort: Annotated[GroupSort, typer.Option(help=N_("The order of --by: the largest or newest first."))] = "runs",
    limit: Annotated[int, typer.Option(min=1, max=MOST_GROUPS, help=N_("How many rows --by shows."))] = 20,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help=N_("The time zone of the rows, such as Asia/Shanghai; by default this machine's.")
        ),
    ] = None,
    new_since: Annotated[
        str | None, typer.Option(metavar="TIME", help=N_("A failure first seen after this time counts as new."))
    ] = "1d",
    *,
    filters: Filters,
) -> None:
    """Show totals, buckets of time, error codes and groups of similar failures."""
    rows_zone = zone_of(zone or local_zone_name())
    async with open_history(session) as history:
        chosen = read_filters(filters, workflow_id, rows_zone)
        if by is not None:
            groups = BreakdownQuery(filter=chosen, by=by, sort=sort, limit=limit, bucket=bucket, zone=rows_zone.key)
            await _break_down(session, history, groups)
            return
        since = None if new_since is None else read_time("new_since", new_since, now=now_ms(), zone=rows_zone)
        query = StatisticsQuery(filter=chosen, bucket=bucket, zone=rows_zone.key, new_since=since)
        found = await history.answer(lambda: history.service.statistics(query))
    _show(session, found, rows_zone, history.place)


async def _break_down(session: Session, history: History, query: BreakdownQuery) -> None:
    found = await history.answer(lambda: history.service.breakdown(query))
    names = await history.service.names() if query.by == "workflow" else {}
    show_groups(session, found, query.by, names, query.zone, history.place)


def _show(session: Session, found: Statistics, rows_zone: ZoneInfo, place: str) -> None:
    """Show the totals, or print the same JSON as over HTTP."""
    notice_damaged(session, found.damaged)
    if session.as_json:
        session.output.document({"zone": rows_zone.key, **json_of(found)})
        return
    if found.totals.runs == 0:
        notice_none(session, found.reach, place)
    else:
        _show_buckets(session, found, rows_zone)
        _show_codes(session, found)
        _show_failures(session, found.failures, rows_zone)
        session.notice("Times are in %(zone)s.", zone=rows_zone.key, style="dim")
        notice_approximate(session, is_exact=found.percentiles_are_exact)
    notice_reach(session, found.reach, rows_zone)


def _show_buckets(session: Session, found: Statistics, zone: ZoneInfo) -> None:
    rows = [
        (Cell(f"{moment_of(each.start, zone):{_FORMATS[bucket_size(each.start, each.end)]}}"), each.figures)
        for each in found.buckets
    ]
    head = session.translate(N_("Time"))
    show_figures(session, head, rows, found.totals, is_exact=found.percentiles_are_exact)


def _show_codes(session: Session, found: Statistics) -> None:
    if found.error_codes:
        codes = [f"{one_line(code, 40)} × {grouped(n)}" for code, n in list(found.error_codes.items())[:_MOST_CODES]]
        session.output.answer()
        session.output.answer(session.translate("Error codes: %(codes)s", codes=enumerated(codes)))


def _show_failures(session: Session, failures: Sequence[FailureGroup], zone: ZoneInfo) -> None:
    """Show the groups of similar failures."""
    if not failures:
        return
    _, groups = session.translate, failures[:_MOST_FAILURES]
    heads = [Cell(_("Runs").upper(), "dim", right=True), Cell(_("Last seen").upper(), "dim")]
    facts = [
        [Cell(grouped(each.count), right=True), Cell(f"{moment_of(each.last_seen, zone):%Y-%m-%d %H:%M}")]
        for each in groups
    ]
    ids = [Cell(_("Example").upper(), "dim"), *(Cell(each.execute_id, "dim") for each in groups)]
    titles = [Cell(_("Failure").upper(), "dim"), *(_title(session, each) for each in groups)]
    session.output.answer()
    session.output.lines(on_one_line_or_two([heads, *facts], ids, titles, session.output.width))


def _title(session: Session, group: FailureGroup) -> Cell:
    code = "" if group.error_code is None else f" ({one_line(group.error_code, 40)})"
    mark = session.translate("new: ") if group.is_new else ""
    return Cell(f"{mark}{one_line(group.message, 120)}{code}", "red" if group.is_new else "")
