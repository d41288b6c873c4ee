"""The commands ``export`` and ``import``."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.cli.filter_options import Filters, read_filters
from execution_history.cli.list import say_damaged
from execution_history.cli.open_history import open_history, place_of
from execution_history.cli.session import Session
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.terminal_formatting import grouped, visible
from execution_history.stores import store_of
from execution_history.transfer import (
    DEFAULT_COLUMNS,
    Export,
    ExportFormat,
    ImportReport,
    Tell,
    export_to_path,
    export_to_stream,
    import_history,
    import_studio,
)
from execution_history.transfer import Progress as Step

_SHOWN_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What ``export`` was asked for; the target ``-`` is the standard output."""

    workflow_id: str | None
    filters: Filters
    format: ExportFormat | None
    target: str
    columns: str | None
    for_excel: bool
    raw_cells: bool


async def export_runs(session: Session, request: ExportRequest) -> ExitCode:
    """Write runs into a file, a folder or the standard output."""
    kind = request.format or _format_of(request.target)
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    if request.columns is not None:
        columns = tuple(column.strip() for column in request.columns.split(",") if column.strip())
    export = Export(
        format=kind,
        wanted=read_filters(request.filters, request.workflow_id),
        columns=columns,
        defuse=not request.raw_cells,
        mark=request.for_excel,
    )
    async with open_history(session) as (service, _):
        if request.target == "-":
            with _bar(session, beside=sys.stdout.isatty()) as tell:
                report = await export_to_stream(service, sys.stdout.buffer, export, tell)
        else:
            with _bar(session) as tell:
                report = await export_to_path(service, Path(request.target), export, tell)
    say_damaged(session, report.damaged, report.damaged_count)
    code = ExitCode.SOME_REFUSED if report.damaged_count else ExitCode.SUCCESS
    if request.target == "-":
        return code
    if session.as_json:
        session.output.document({"target": request.target, "format": kind, **report.to_json()})
    else:
        done = session.translate.plural(
            "%(num)s run, %(size)s, in %(target)s.",
            "%(num)s runs, %(size)s, in %(target)s.",
            report.records,
            num=grouped(report.records),
            size=decimal(report.size),
            target=visible(request.target),
        )
        session.output.remark(done)
    return code


def _format_of(target: str) -> ExportFormat:
    """Return the format that belongs to a file's name."""
    known: dict[str, ExportFormat] = {
        ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".zip": "json", ".csv": "csv", ".parquet": "parquet",
    }  # fmt: skip
    if target == "-":
        return "jsonl"
    suffix = Path(target).suffix.lower()
    if suffix not in known:
        raise CommandFailed(
            ExitCode.WRONG_CALL,
            "The name %(target)s does not tell the format: end it in .jsonl, .json, .zip, .csv or "
            ".parquet, or give --format.",
            target=target,
        )
    return known[suffix]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What ``import`` was asked for."""

    paths: Sequence[str]
    from_studio: bool
    nodes: str | None


async def import_runs(session: Session, request: ImportRequest) -> ExitCode:
    """Merge files into the history, and tell what was taken and what was not."""
    if request.from_studio and len(request.paths) != 1:
        raise CommandFailed(
            ExitCode.WRONG_CALL, "--coze-studio takes exactly one file: the dump of workflow_execution."
        )
    settings = session.settings()
    limits = settings.reading_limits
    async with ExecutionHistoryService(store_of(settings)) as service:
        with _bar(session) as tell:
            if request.from_studio:
                nodes = None if request.nodes is None else Path(request.nodes)
                report = await import_studio(service, Path(request.paths[0]), nodes, tell=tell, limits=limits)
            else:
                paths = [Path(path) for path in request.paths]
                report = await import_history(service, paths, tell=tell, limits=limits)
    if session.as_json:
        session.output.document(report.to_json())
    else:
        _show(session, report, place_of(settings.store))
    return ExitCode.SOME_REFUSED if report.refused_count else ExitCode.SUCCESS


def _show(session: Session, report: ImportReport, place: str) -> None:
    counts: dict[str, Any] = {
        "added": grouped(report.added),
        "replaced": grouped(report.replaced),
        "skipped": grouped(report.skipped),
        "refused": grouped(report.refused_count),
    }
    session.output.answer(
        session.translate(
            "%(added)s added, %(replaced)s replaced, %(skipped)s already there, %(refused)s refused; in %(store)s.",
            store=place,
            **counts,
        )
    )
    tell = session.translate.message
    for each in report.refused[:_SHOWN_REFUSALS]:
        session.output.answer(f"  {visible(each.source)}, {tell(each.place)}: {tell(each.reason)}", style="yellow")
    if report.refused_count > _SHOWN_REFUSALS:
        session.output.remark(
            session.translate.plural(
                "And %(num)s more that was refused; --json lists it.",
                "And %(num)s more that were refused; --json lists them.",
                report.refused_count - _SHOWN_REFUSALS,
                num=grouped(report.refused_count - _SHOWN_REFUSALS),
            )
        )


@contextmanager
def _bar(session: Session, *, beside: bool = False) -> Iterator[Tell]:
    """Show a progress bar on a terminal, unless it would stand *beside* an answer there; nothing elsewhere."""
    console = Console(stderr=True)
    hidden = beside or session.as_json or not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None)

        def tell(step: Step) -> None:
            said = session.translate.plural(
                "%(num)s run, %(size)s",
                "%(num)s runs, %(size)s",
                step.records,
                num=grouped(step.records),
                size=decimal(step.size),
            )
            if step.total_records is not None:
                bar.update(task, description=said, total=step.total_records, completed=step.records)
            else:
                bar.update(task, description=said, total=step.total_size, completed=step.size)

        yield tell
