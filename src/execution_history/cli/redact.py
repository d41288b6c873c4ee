"""The command ``redact``: the rules of redaction and of recording, and redaction of what a history has already."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from execution_history.access.principals import current_actor
from execution_history.cli.completion import complete_workflow
from execution_history.cli.open_history import archive_named, open_history
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.progress_bar import progress_bar
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.archive_redaction import redact_archive
from execution_history.maintenance.redaction import preview_redaction, redact_history
from execution_history.maintenance.redaction_report import RedactionReport
from execution_history.presentation import redaction_sentences as sentences
from execution_history.presentation.formatting import grouped, one_line, size
from execution_history.records.content_rules import ContentRules

_LONGEST: Final = 60
_LONGEST_SENTENCE: Final = 200
_MOST_WORKFLOWS: Final = 20


@command()
async def redact(
    session: Session,
    workflow: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKFLOW",
            autocompletion=complete_workflow,
            help=N_("Only the runs of these workflows, by id or name."),
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=N_("Only report what would be redacted; change nothing."))
    ] = False,
    rules: Annotated[bool, typer.Option("--rules", help=N_("Show the rules in force, and do nothing else."))] = False,
    erase: Annotated[
        bool,
        typer.Option(
            "--erase/--no-erase",
            help=N_("Make the files of the store anew afterwards; whoever writes meanwhile waits."),
        ),
    ] = True,
) -> ExitCode:
    """Redact what the history has already, by the rules in the settings."""
    if (file := archive_named(session.settings().store)) is not None and not rules:
        return await _redact_archive(session, file, workflow or [], dry_run=dry_run)
    async with open_history(session) as history:
        if rules:
            _show_rules(session, history.service.rules)
            return ExitCode.SUCCESS
        named = [await history.workflow(name) for name in workflow or ()]
        report = await _redacted(session, history.service, named, dry_run=dry_run, erase=erase)
    _show_report(session, report)
    has_trouble = any(each["trouble"] and each["is_there"] for each in report["archives"])
    return ExitCode.SOME_REFUSED if report["missed"] or report["damaged"] or has_trouble else ExitCode.SUCCESS


async def _redact_archive(session: Session, file: Path, named: list[str], *, dry_run: bool) -> ExitCode:
    """Redact one archive, or look at what would be redacted.

    Raises:
        CommandFailed: it cannot be redacted.
    """
    rules, clock = session.settings().content_rules, now_ms
    async with open_history(session) as history:
        workflow_ids = [await history.workflow(name) for name in named]
    found = await redact_archive(file, rules, workflow_ids, clock, is_dry=dry_run)
    if found.trouble is not None:
        raise CommandFailed(
            "The archive %(file)s was not redacted: %(reason)s.",
            code=ExitCode.STORE_TROUBLE,
            file=file,
            reason=session.translate.message(found.trouble).rstrip("."),
        )
    report = RedactionReport(records=found.records, bytes=found.bytes, changed=found.changed)
    report.values.update(found.values)
    report.is_dry, report.is_erased = dry_run, True
    if session.as_json:
        session.output.document({**asdict(found), "dry_run": dry_run})
    else:
        _show_report(session, report.to_json())
    return ExitCode.SUCCESS


async def _redacted(
    session: Session, service: ExecutionHistoryService, workflow_ids: list[str], *, dry_run: bool, erase: bool
) -> dict[str, Any]:
    """Redact the history, or look at what would be redacted; return the report.

    Raises:
        CommandFailed: it failed.
    """
    with progress_bar(session) as bar:

        def show(report: RedactionReport) -> None:
            bar.of_redaction(report.records, report.changed, report.bytes)

        if dry_run:
            return (await preview_redaction(service, workflow_ids=workflow_ids, on_progress=show)).to_json()
        try:
            run = await redact_history(
                service, workflow_ids=workflow_ids, actor=current_actor(), erase=erase, on_progress=show
            )
        except asyncio.CancelledError:
            session.notice("Stopped. The same command continues where it stopped.", style="yellow")
            raise
    if run.report is None:
        raise CommandFailed("The redaction failed: %(reason)s", code=ExitCode.STORE_TROUBLE, reason=run.reason)
    return run.report


def _show_rules(session: Session, rules: ContentRules) -> None:
    """Show the rules in force, the built-in ones first."""
    if session.as_json:
        session.output.document(rules.to_json())
        return
    translate = session.translate
    heads = [translate(each) for each in (N_("Rule"), N_("Workflows"), N_("Becomes"), N_("Finds"))]
    rows = [
        [rule.name, rule.workflow, translate(sentences.ACTIONS[rule.action]), sentences.found_by(translate, rule)]
        for rule in rules.redaction
    ]
    _show_table(session, heads, rows)
    session.output.heading(translate("Recorded"))
    recorded = [[rule.workflow, sentences.recorded_by(translate, rule)] for rule in rules.recording]
    _show_table(session, [], recorded or [["*", translate("everything")]])
    session.notice("The rules are in the settings redaction and recording.", style="dim")


def _show_table(session: Session, heads: list[str], rows: Iterable[Iterable[str]]) -> None:
    lines = [[Cell(head, "bold") for head in heads]] if heads else []
    lines += [[Cell(one_line(text, _LONGEST_SENTENCE)) for text in row] for row in rows]
    session.output.lines(aligned(lines), are_cut=True)


def _show_report(session: Session, report: dict[str, Any]) -> None:
    """Show what was, or would be, redacted: by rule, by workflow, with examples."""
    if session.as_json:
        session.output.document(report)
        return
    translate = session.translate
    session.output.answer(sentences.outcome(translate, report, grouped))
    rows = [[sentences.rule_label(translate, name), grouped(count)] for name, count in report["values"].items()]
    if rows:
        session.output.heading(translate("By rule"))
        session.output.lines(aligned([[Cell(f"  {name}"), Cell(count, right=True)] for name, count in rows]))
        session.output.heading(translate("By workflow"))
        found = list(report["workflows"].items())
        shown = [
            [Cell(f"  {one_line(name, _LONGEST)}"), Cell(grouped(count), right=True)]
            for name, count in found[:_MOST_WORKFLOWS]
        ]
        session.output.lines(aligned(shown))
        if len(found) > _MOST_WORKFLOWS:
            session.output.answer("  …")
    if report["dry_run"] and report["examples"]:
        session.output.heading(translate("Examples, as they would be"))
        examples = [
            [
                Cell(f"  {each['execute_id'][-8:]}", "dim"),
                Cell(one_line(each["field"], 30)),
                Cell(one_line(each["text"], 100)),
            ]
            for each in report["examples"]
        ]
        session.output.lines(aligned(examples), are_cut=True)
    session.notice("Searched: %(size)s of JSON.", size=size(report["bytes"]), style="dim")
    for sentence in sentences.remarks(translate, report, session.command):
        session.output.remark(sentence, style="yellow")
