"""The command ``doctor``: examines a history, and repairs it."""

from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.cells import cell_len
from rich.text import Text

from execution_history.cli.help_page import wrapped
from execution_history.cli.open_history import place_of, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_, Message
from execution_history.maintenance.doctor import CheckReport, Doctor
from execution_history.stores import store_of
from execution_history.stores.presence import holds_history
from execution_history.stores.verification import Finding

_SIGNS: Final = {"ok": ("✓", "green"), "remark": ("!", "yellow"), "problem": ("✗", "red")}
_TITLE_COLUMNS: Final = 14
_INDENT: Final = _TITLE_COLUMNS + 2
_LEAST_WIDTH: Final = 50
_MOST_WIDTH: Final = 110


@command()
async def doctor(
    session: Session,
    repair: Annotated[
        bool, typer.Option("--repair", help=N_("Repair what can be repaired, and report what was done."))
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help=N_("Look at samples: a few seconds, however large the history is."))
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help=N_("Also compare the text index with all texts, which takes longer."))
    ] = False,
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror", metavar="FOLDER", help=N_("Also check the JSON files in this folder, which follow the history.")
        ),
    ] = None,
) -> ExitCode:
    """Examine the history, and repair it."""
    if quick and thorough:
        raise CommandFailed("Use either --quick or --thorough.", code=ExitCode.WRONG_CALL)
    settings = session.settings(mirror_folder=mirror)
    store = place_of(settings.store)
    if not await holds_history(settings.store):
        raise CommandFailed("There is no history in %(store)s.", code=ExitCode.NOT_FOUND, store=store)
    refuse_archive(
        session, N_("%(store)s is an archive, which doctor does not check: it was compared when it was written.")
    )
    history, reports = store_of(settings), []
    try:
        with progress_bar(session) as bar:
            async for report in Doctor(history, settings).examine(
                is_quick=quick, is_thorough=thorough, repair=repair, progress=lambda check: bar.of_check(check.title)
            ):
                reports.append(report)
                if not session.as_json:
                    _show(session, report)
    finally:
        await history.aclose()
    problems = sum(finding.is_problem for report in reports for finding in report.findings)
    repaired = sum(len(report.repaired) for report in reports)
    if session.as_json:
        checks = [report.to_json(session.translate.message) for report in reports]
        session.output.document({"store": store, "problems": problems, "repaired": repaired, "checks": checks})
    else:
        repairable = sum(finding.repair is not None for report in reports for finding in report.findings)
        _conclude(session, problems, repaired, repairable, is_quick=quick, was_repair=repair)
        if any(report.has_losses for report in reports):
            session.output.answer(session.translate("Something was lost: see above."), "red")
    return ExitCode.SOME_REFUSED if problems else ExitCode.SUCCESS


def _show(session: Session, report: CheckReport) -> None:
    """Show the line of a check, and below it what was found and done."""
    _ = session.translate
    sign, style = _SIGNS[report.verdict]
    title = _(report.title)
    line = Text()
    line.append(f"{sign} ", style=style)
    line.append(title, style="bold")
    # What was looked at stands beside its title only where it was found sound; else the first finding does.
    findings = list(report.findings)
    beside, shade = _.message(report.summary) if report.verdict != "problem" else "", ""
    if not beside and findings and not report.repaired:
        beside, shade = _.message(findings[0].sentence), _shade_of(findings[0])
        findings[0] = replace(findings[0], sentence=Message())
    first, *others = wrapped(beside, _width(session) - _INDENT) or [""]
    line.append(" " * max(1, _TITLE_COLUMNS - cell_len(title)))
    line.append(first, style=shade)
    line.rstrip()
    session.output.answer(line)
    for text in others:
        session.output.answer(Text(" " * _INDENT + text, style=shade))
    for sentence in report.repaired:
        _show_indented(session, _.message(sentence), "green", "→ ")
    for finding in findings:
        _show_finding(session, finding)
    if report.refusal is not None:
        _show_indented(session, _("Not repaired: %(reason)s", reason=_.message(report.refusal)), "red")


def _shade_of(finding: Finding) -> str:
    return "red" if finding.is_problem else "yellow"


def _show_finding(session: Session, finding: Finding) -> None:
    if finding.sentence:
        _show_indented(session, session.translate.message(finding.sentence), _shade_of(finding))
    if finding.remedy is not None:
        _show_indented(session, session.translate.message(finding.remedy), "dim")


def _show_indented(session: Session, text: str, style: str, sign: str = "") -> None:
    for number, line in enumerate(wrapped(text, _width(session) - _INDENT)):
        session.output.answer(
            Text(" " * (_INDENT - len(sign)) + (sign if not number else " " * len(sign)) + line, style)
        )


def _conclude(
    session: Session, problems: int, repaired: int, repairable: int, *, is_quick: bool, was_repair: bool
) -> None:
    """Show what came of all checks together."""
    _ = session.translate
    session.output.answer()
    if repaired:
        session.output.answer(_.plural("%(num)s repair was made.", "%(num)s repairs were made.", repaired), "green")
    if not problems:
        session.output.answer(_("No problem is left.") if repaired else _("No problem was found."), "green")
    elif was_repair:
        session.output.answer(_.plural("%(num)s problem is left.", "%(num)s problems are left.", problems), "red")
    else:
        session.output.answer(_.plural("%(num)s problem was found.", "%(num)s problems were found.", problems), "red")
    if repairable and not repaired:
        session.notice("To repair: %(command)s", command=session.command("doctor", "--repair"))
    if is_quick:
        session.notice("Only samples were read; leave out --quick for the whole history.", style="dim")


def _width(session: Session) -> int:
    return max(_LEAST_WIDTH, min(_MOST_WIDTH, session.output.width or _MOST_WIDTH))
