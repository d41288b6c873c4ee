"""The command ``stats``: what can be counted of runs."""

import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from execution_history.cli.exits import ExitCode
from execution_history.cli.filters import Filters, read_filters
from execution_history.cli.histories import open_history
from execution_history.cli.output import Cell, aligned, cropped
from execution_history.cli.session import Session
from execution_history.cli.wording import grouped, local_time, one_line
from execution_history.clock import now_ms
from execution_history.query import BucketSize, Figures, Statistics, StatisticsQuery
from execution_history.query_words import read_time
from execution_history.wording import duration

_FORMATS: Final[dict[BucketSize, str]] = {
    "hour": "%Y-%m-%d %H:00",
    "day": "%Y-%m-%d",
    "week": "%Y-%m-%d",
    "month": "%Y-%m",
}
_MOST_FAILURES: Final = 10
_LOCALTIME: Final = Path("/etc/localtime")


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """What ``stats`` was asked for."""

    workflow_id: str | None
    filters: Filters
    bucket: BucketSize
    zone: str | None
    new_since: str | None


async def show_statistics(session: Session, request: StatsRequest) -> ExitCode:
    """Show totals, buckets of time, error codes and failures that are alike."""
    zone = request.zone or local_zone()
    new_since = None if request.new_since is None else read_time("new_since", request.new_since, now=now_ms())
    query = StatisticsQuery(
        filter=read_filters(request.filters, request.workflow_id),
        bucket=request.bucket,
        zone=zone,
        new_since=new_since,
    )
    async with open_history(session) as (service, place):
        found = await service.statistics(query)
    if session.as_json:
        session.output.document(_as_json(found, zone))
    elif found.totals.runs == 0:
        session.output.remark(session.say("found.nothing", store=place))
    else:
        _show(session, found, request.bucket, zone)
    return ExitCode.SUCCESS


def local_zone() -> str:
    """The IANA name of this machine's time zone, as far as it can be told; otherwise UTC."""
    named = os.environ.get("TZ", "").lstrip(":")
    if not named and _LOCALTIME.is_symlink():
        named = str(_LOCALTIME.resolve()).rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(named).key if named else "UTC"
    except (ValueError, OSError, KeyError):
        return "UTC"


def _as_json(found: Statistics, zone: str) -> dict[str, Any]:
    return {
        "zone": zone,
        "totals": asdict(found.totals),
        "buckets": [{"start": b.start, "end": b.end, **asdict(b.figures)} for b in found.buckets],
        "error_codes": found.error_codes,
        "failures": [asdict(group) for group in found.failures],
        "is_complete": found.reach.is_complete,
    }


def _show(session: Session, found: Statistics, bucket: BucketSize, zone: str) -> None:
    say = session.say
    names = ("when", "runs", "failed", "success_rate", "p50", "p95", "p99", "tokens")
    rows = [[Cell(say(f"head.{name}"), "dim", right=name != "when") for name in names]]
    for each in found.buckets:
        when = datetime.fromtimestamp(each.start / 1000, ZoneInfo(zone)).strftime(_FORMATS[bucket])
        rows.append(_row(when, each.figures))
    rows.append([Cell(cell.text, "bold", right=cell.right) for cell in _row(say("stats.total"), found.totals)])
    _print(session, rows)
    if found.failures:
        session.output.answer()
        heads = [Cell(say("head.count"), "dim", right=True), Cell(say("head.last_seen"), "dim")]
        rows = [[*heads, Cell(say("head.failure"), "dim"), Cell(say("head.example"), "dim")]]
        for group in found.failures[:_MOST_FAILURES]:
            code = "" if group.error_code is None else f" ({one_line(group.error_code, 40)})"
            mark = say("stats.new") if group.is_new else ""
            title = Cell(f"{mark}{one_line(group.title, 70)}{code}", "red" if group.is_new else "")
            count = Cell(grouped(group.count), right=True)
            rows.append([count, Cell(local_time(group.last_seen)), title, Cell(group.execute_id, "dim")])
        _print(session, rows)
    if not found.reach.is_complete:
        reach = say("found.reach", done=grouped(found.reach.revision), newest=grouped(found.reach.newest))
        session.output.remark(reach, style="yellow")


def _row(name: str, figures: Figures) -> list[Cell]:
    rate = "" if figures.success_rate is None else f"{100 * figures.success_rate:.1f} %"
    times = ["" if each is None else duration(each) for each in (figures.p50, figures.p95, figures.p99)]
    failed = Cell(grouped(figures.counts["failed"] or None), "red" if figures.counts["failed"] else "", right=True)
    others = [Cell(text, right=True) for text in (rate, *times, grouped(figures.tokens or None))]
    return [Cell(name), Cell(grouped(figures.runs), right=True), failed, *others]


def _print(session: Session, rows: list[list[Cell]]) -> None:
    for line in aligned(rows):
        session.output.answer(cropped(line, session.output.width))
