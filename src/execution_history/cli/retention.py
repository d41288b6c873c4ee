"""The commands ``prune`` and ``retention``: what goes by which rule, and the rules."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import typer

from execution_history.access.principals import current_actor
from execution_history.cli.open_history import open_history, open_service, refuse_archive
from execution_history.cli.options import Filters, command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.cli.workflow_text import Names, workflow_text
from execution_history.errors import N_
from execution_history.maintenance.report import disk_json
from execution_history.maintenance.retention import Retention, retention_of
from execution_history.presentation.formatting import clock, grouped, one_line, size
from execution_history.presentation.retention_text import (
    ACTIONS,
    ONE,
    filters_text,
    kept_text,
    last_outcome,
    limits_text,
    listed_runs,
    outcome_text,
    rule_name,
    use_text,
)

_LONGEST: Final = 40
_ARCHIVE: Final = N_("%(store)s is an archive, from which nothing is removed: delete the file once it is not needed.")

_Age = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help=N_("Runs that began longer ago than this: 12h, 30d or 6w.")),
]
_Runs = Annotated[
    str | None,
    typer.Option("--keep-runs", metavar="NUMBER", help=N_("All but this many of the newest runs of each workflow.")),
]
_Bytes = Annotated[
    str | None,
    typer.Option(
        "--keep-bytes",
        metavar="SIZE",
        help=N_("The oldest runs of each workflow that takes more than this, such as 2GB."),
    ),
]


_Listed = Annotated[
    bool, typer.Option("--runs", help=N_("List the runs too, the first 200 of each rule: which rule removes which."))
]


@command()
async def prune(
    session: Session,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=N_("Change nothing: show what would be removed, and what is kept and why.")),
    ] = False,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME", help=N_("Only this rule; repeatable."))
    ] = None,
    runs: _Listed = False,
) -> ExitCode:
    """Carry out the rules of retention and the size limit now, or show what they would do."""
    refuse_archive(session, _ARCHIVE)
    async with open_history(session) as history:
        retention = retention_of(history.service, session.settings())
        if dry_run:
            report = (await retention.preview(rule or ())).to_json()
        else:
            run = await retention.prune(rule or (), current_actor())
            if run.report is None:
                raise CommandFailed(
                    "The run of retention failed: %(reason)s", code=ExitCode.STORE_TROUBLE, reason=run.reason
                )
            report = run.report
        names = await history.service.names() if runs else None
    if session.as_json:
        session.output.document(report)
    else:
        _show_report(session, report, names)
    return ExitCode.SUCCESS


@command()
async def retention(
    session: Session,
    action: Annotated[
        Literal["set", "remove"] | None,
        typer.Argument(help=N_("What to do; without it the rules, the size and the last run are shown.")),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help=N_("The name of the rule; by default what it says."))
    ] = None,
    older_than: _Age = None,
    keep_runs: _Runs = None,
    keep_bytes: _Bytes = None,
    contents: Annotated[
        bool,
        typer.Option("--contents", help=N_("Remove only what went in and came out; the lines and all figures stay.")),
    ] = False,
    runs: _Listed = False,
    *,
    filters: Filters,
) -> ExitCode:
    """Show the rules of retention and what the last run did, or change the rules."""
    refuse_archive(session, _ARCHIVE)
    limits = {"older_than": older_than, "keep_runs": keep_runs, "keep_bytes": keep_bytes}
    if action != "set" and (filters or contents or any(limits.values())):
        raise CommandFailed("Limits and filters belong to retention set.")
    if (action == "remove") is (name is None) and action != "set":
        raise CommandFailed("A name belongs to retention remove, which needs one, and to retention set.")
    async with open_service(session, makes=action == "set") as service:
        known = retention_of(service, session.settings())
        if action == "set":
            what = "contents" if contents else "remove"
            await known.rule_book.put({"name": name, **filters, **limits, "action": what}, current_actor())
        elif action == "remove" and not await known.rule_book.remove(name or "", current_actor()):
            raise CommandFailed(
                "There is no rule called '%(name)s'.", code=ExitCode.NOT_FOUND, name=one_line(name or "", _LONGEST)
            )
        await _show(session, known, await service.names() if runs else None)
    return ExitCode.SUCCESS


async def _show(session: Session, known: Retention, names: Names | None) -> None:
    """Show the rules, what the history takes, the last run and the last that removed something.

    Args:
        session: what it is shown in.
        known: the retention.
        names: those of workflows, to list the runs that went too.
    """
    rules, use, last = await known.rule_book.rules(), disk_json(await known.disk_use()), await known.last_run()
    limit, removal = known.settings.max_bytes, await known.last_removal()
    if session.as_json:
        ran = {"last_run": None if last is None else last.to_json(), "last_removal": removal}
        session.output.document({**rules.to_json(), "max_bytes": limit, "disk": use, **ran})
        return
    _ = session.translate
    if rules.rules:
        heads = (_("Name"), _("Removes"), _("Filters"), _("Limits"))
        rows = [[Cell(head.upper(), "dim") for head in heads]]
        rows += [_rule_cells(session, rule.to_json()) for rule in rules.rules]
        session.output.lines(aligned(rows), are_cut=True)
    else:
        session.notice(
            "There are no rules yet; set one: %(command)s",
            command=session.command("retention", "set", "--status", "success", "--older-than", "30d"),
        )
    if use is not None:
        session.output.answer(use_text(_, use, limit))
    if last is not None and (removal is None or removal["began"] != (last.report or {}).get("began")):
        has_rules = bool(rules.rules) or limit is not None
        reason = "" if last.reason is None else _.message(last.reason)
        outcome = reason if last.report is None else last_outcome(_, last.report, has_rules=has_rules)
        session.output.answer(_("Last run %(time)s: %(outcome)s", time=clock(last.began), outcome=outcome))
        told = N_("Last removal %(time)s: %(outcome)s")
    else:
        told = N_("Last run %(time)s: %(outcome)s")
    if removal is not None:
        session.output.answer(_(told, time=clock(removal["began"]), outcome=outcome_text(_, removal)))
        if names is not None:
            _show_runs(session, removal["parts"], names)
    if rules.is_fixed:
        session.notice("The rules are in the settings, and are changed there.", style="dim")


def _rule_cells(session: Session, rule: Mapping[str, Any]) -> list[Cell]:
    _ = session.translate
    what = filters_text(rule) or _("all runs")
    return [
        Cell(one_line(rule["name"], _LONGEST), "bold"),
        Cell(_(ACTIONS[rule["action"]])),
        Cell(one_line(what, _LONGEST)),
        Cell(limits_text(_, rule)),
    ]


def _show_report(session: Session, report: Mapping[str, Any], names: Names | None) -> None:
    """Show what went by which rule, what stayed, and what that freed; with *names* of workflows also run by run."""
    _ = session.translate
    parts: list[Mapping[str, Any]] = report["parts"]
    if parts:
        heads = (_("Rule"), _("Removes"), _("Runs"), _("Size"), _("Kept"))
        rows = [[Cell(head.upper(), "dim", right=number in (2, 3)) for number, head in enumerate(heads)]]
        rows += [_part_cells(session, part) for part in parts]
        session.output.lines(aligned(rows), are_cut=True)
    if names is not None:
        _show_runs(session, parts, names)
    for part in parts:
        if part["error"] is not None:
            session.notice(
                "The rule %(rule)s: %(error)s", rule=part["rule"], error=_.message(part["error"]), style="yellow"
            )
    session.output.answer(outcome_text(_, report))
    use = report["after"] or report["before"]
    if use is not None:
        session.output.answer(use_text(_, use, report["limit"]))


def _show_runs(session: Session, parts: Sequence[Mapping[str, Any]], names: Names) -> None:
    """Show the runs that went, each with the rule that removed it."""
    _ = session.translate
    heads = (_("Run"), _("Rule"), _("Removes"), _("Began"), _("Size"), _("Workflow"))
    rows = [[Cell(head.upper(), "dim", right=number == 4) for number, head in enumerate(heads)]]  # noqa: PLR2004 - the size
    rows += [
        [
            Cell(each["execute_id"]),
            Cell(one_line(rule_name(_, part["rule"]), _LONGEST)),
            Cell(_(ONE[part["action"]])),
            Cell(clock(each["create_time"])),
            Cell(size(each["bytes"]), right=True),
            Cell(workflow_text(each["workflow_id"], names)),
        ]
        for part, each in listed_runs(parts)
    ]
    if len(rows) > 1:
        session.output.lines(aligned(rows), are_cut=True)


def _part_cells(session: Session, part: Mapping[str, Any]) -> list[Cell]:
    _ = session.translate
    count = grouped(part["runs"]) if part["is_complete"] else _("at least %(count)s", count=grouped(part["runs"]))
    return [
        Cell(one_line(rule_name(_, part["rule"]), _LONGEST), "bold"),
        Cell(_(ACTIONS[part["action"]])),
        Cell(count, right=True),
        Cell(size(part["bytes"]), right=True),
        Cell(kept_text(_, part["kept"])),
    ]
