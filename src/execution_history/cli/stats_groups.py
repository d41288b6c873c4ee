"""The groups of the command ``stats``: a row for each workflow, node, account and so on."""

from typing import Final

from execution_history.cli.figure_table import notice_approximate, show_figures
from execution_history.cli.output import Cell
from execution_history.cli.run_pages import notice_damaged, notice_none, notice_reach
from execution_history.cli.session import Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.history.answers import json_of
from execution_history.presentation.formatting import grouped, one_line
from execution_history.query.breakdown import Breakdown, By, Group
from execution_history.query.fields import LABELS
from execution_history.query.time_buckets import zone_of

_LONGEST: Final = 40


def show_groups(session: Session, found: Breakdown, by: By, names: Names, zone: str, place: str) -> None:
    """Show the groups as a table, or as the same JSON as over HTTP.

    Args:
        session: the session.
        found: the groups.
        by: what the runs were counted by.
        names: of workflows.
        zone: the time zone of the query.
        place: the history.
    """
    notice_damaged(session, found.damaged)
    if session.as_json:
        session.output.document({"zone": zone, **json_of(found)})
        return
    if not found.groups:
        notice_none(session, found.reach, place)
    else:
        rows = [(_cell(each, by, names), each.figures) for each in found.groups]
        show_figures(session, session.translate(LABELS[by]), rows, is_exact=found.percentiles_are_exact)
        _remark(session, found, by)
    notice_reach(session, found.reach, zone_of(zone))


def _cell(group: Group, by: By, names: Names) -> Cell:
    if by == "workflow":
        return Cell(workflow_text(group.key, names))
    if by == "node" and group.title != group.key:
        return Cell(f"{one_line(group.title, _LONGEST)} ({one_line(group.key, _LONGEST)})")
    return Cell(one_line(group.key, _LONGEST))


def _remark(session: Session, found: Breakdown, by: By) -> None:
    if by == "node":
        session.notice(
            "Of nodes in runs that have ended; times last from a node's first message to its last one, where both are "
            "known.",
            style="dim",
        )
    if found.covers is not None:
        session.notice("Only the newest %(count)s runs were counted.", count=grouped(found.covers), style="dim")
    if (missing := found.total_groups - len(found.groups)) > 0:
        session.notice("%(count)s more are not shown: --limit shows more.", count=grouped(missing), style="dim")
    notice_approximate(session, is_exact=found.percentiles_are_exact)
