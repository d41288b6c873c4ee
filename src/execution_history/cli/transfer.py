"""The commands ``export`` and ``import``."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from execution_history.cli.open_history import open_history, place_of
from execution_history.cli.options import (
    Filters,
    OrderOption,
    SortOption,
    ViewOption,
    WorkflowArgument,
    command,
    read_filters,
)
from execution_history.cli.progress_bar import index_seconds, progress_bar
from execution_history.cli.run_pages import notice_damaged
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_, Message
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.formatting import duration, grouped, size, visible
from execution_history.presentation.time_zone import local_zone
from execution_history.query.time_buckets import zone_of
from execution_history.stores import store_of

if TYPE_CHECKING:
    from execution_history.transfer import ExportReport, ImportReport

Format = Literal["jsonl", "json", "csv", "parquet"]

_Target = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|FOLDER|-", help=N_("Where to write; - is the standard output."))
]
_Format = Annotated[
    Format | None, typer.Option("--format", help=N_("What to write; by default what the file name's extension says."))
]
_Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…", help=N_("CSV: the columns, with dots for fields inside: execute_id,input.city,output.score.")
    ),
]
_Excel = Annotated[
    bool,
    typer.Option(
        "--excel", help=N_("CSV: for Excel: UTF-8, long numbers and dates as they are, cells cut at 32,767 characters.")
    ),
]
_RawCells = Annotated[
    bool, typer.Option("--raw-cells", help=N_("CSV: do not prevent spreadsheets from reading texts as formulas."))
]
_Zone = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help=N_("The time zone of times without an offset, such as Asia/Shanghai; by default this machine's."),
    ),
]

_SHOWN_REFUSALS: Final = 20
_FORMATS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".zip": "json", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip


@command("workflow")
async def export_runs(
    session: Session,
    workflow_id: WorkflowArgument = None,
    target: _Target = "-",
    kind: _Format = None,
    columns: _Columns = None,
    excel: _Excel = False,
    raw_cells: _RawCells = False,
    sort: SortOption = "create_time",
    order: OrderOption = None,
    view: ViewOption = None,
    *,
    filters: Filters,
) -> ExitCode:
    """Write runs into a file, a folder or the standard output."""
    from execution_history import transfer  # noqa: PLC0415 - formats that `list` need not wait for

    kind = kind or _format_of(target)
    names: tuple[str, ...] = transfer.DEFAULT_COLUMNS
    if columns is not None:
        names = tuple(column.strip() for column in columns.split(",") if column.strip())
    async with open_history(session) as history:
        if view is not None:
            saved = await history.service.views.named(view)
            filters = saved.words() | filters
            sort, order = (saved.sort, order or saved.order) if sort == "create_time" else (sort, order)
        chosen = read_filters(filters, workflow_id)
        export = transfer.Export(
            format=kind,
            record_filter=chosen,
            columns=names,
            defuse=not raw_cells,
            excel=excel,
            sort=sort,
            descending=order == "desc",
        )
        if target == "-":
            with progress_bar(session, beside=sys.stdout.isatty()) as bar:
                report = await transfer.export_to_stream(history.service, sys.stdout.buffer, export, bar.of_runs)
        else:
            with progress_bar(session) as bar:
                report = await transfer.export_to_path(history.service, Path(target), export, bar.of_runs)
    notice_damaged(session, report.damaged, report.damaged_count)
    if target != "-":
        _show_export(session, target, kind, report)
    return ExitCode.SOME_REFUSED if report.damaged_count else ExitCode.SUCCESS


def _show_export(session: Session, target: str, kind: Format, report: "ExportReport") -> None:
    """Show what was written into a file or a folder."""
    if session.as_json:
        session.output.document({"target": target, "format": kind, **report.to_json()})
    else:
        done = session.translate.plural(
            "%(num)s run, %(size)s, in %(target)s.",
            "%(num)s runs, %(size)s, in %(target)s.",
            report.records,
            size=size(report.size),
            target=visible(target),
        )
        session.output.remark(done)


def _format_of(target: str) -> Format:
    """Return the format for a file's name."""
    found = "jsonl" if target == "-" else _FORMATS.get(Path(target).suffix.lower())
    if found is None:
        raise CommandFailed(
            "The name %(target)s does not say which format to write: end it in .jsonl, .json, .zip, .csv or "
            ".parquet, or use --format.",
            target=target,
        )
    return found


@command()
async def import_runs(
    session: Session,
    paths: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER", help=N_("What to import."))],
    coze_studio: Annotated[
        bool,
        typer.Option(
            "--coze-studio",
            help=N_("The file is a dump of Coze Studio's table workflow_execution, as CSV or JSON Lines."),
        ),
    ] = False,
    nodes: Annotated[
        str | None, typer.Option(metavar="FILE", help=N_("A dump of its table node_execution, for the timelines."))
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help=N_("Apply the rules of redaction and recording to the runs."))
    ] = False,
    zone: _Zone = None,
) -> ExitCode:
    """Merge files into the history, and show how many runs were added, replaced, skipped and refused."""
    from execution_history import transfer  # noqa: PLC0415 - as above

    if coze_studio and len(paths) != 1:
        raise CommandFailed("--coze-studio takes exactly one file: the dump of workflow_execution.")
    local = local_zone() if zone is None else zone_of(zone)
    settings = session.settings()
    limits = settings.reading_limits
    began = time.monotonic()
    async with ExecutionHistoryService(store_of(settings), rules=settings.content_rules) as service:
        with progress_bar(session) as bar:
            if coze_studio:
                dump = None if nodes is None else Path(nodes)
                report = await transfer.import_studio(
                    service, Path(paths[0]), dump, on_progress=bar.of_runs, zone=local, limits=limits, redact=redact
                )
            else:
                report = await transfer.import_history(
                    service, map(Path, paths), on_progress=bar.of_runs, zone=local, limits=limits, redact=redact
                )
        importing, indexing = time.monotonic() - began, None
        try:
            indexing = await index_seconds(session, service, N_("The runs are imported; indexing them now."))
        finally:  # who stops the index has imported all the same
            _show(session, report, importing, indexing, place_of(settings.store))
    return ExitCode.SOME_REFUSED if report.refused_count else ExitCode.SUCCESS


def _show(session: Session, report: "ImportReport", importing: float, indexing: float | None, place: str) -> None:
    """Show the report, and the seconds that the import and the index took."""
    if session.as_json:
        seconds = {"import": importing, "index": indexing}
        rounded = {f"{name}_seconds": None if each is None else round(each, 3) for name, each in seconds.items()}
        session.output.document(report.to_json() | rounded)
        return
    times = N_("Imported in %(importing)s, indexed in %(indexing)s.")
    if indexing is None:
        times = N_("Imported in %(importing)s; indexing continues the next time the history is used.")
    elif not indexing:  # there is no index
        times = N_("Imported in %(importing)s.")
    indexed = duration(int((indexing or 0.0) * 1000))
    sentence = session.translate(
        "%(added)s added, %(replaced)s replaced, %(skipped)s already there, %(refused)s refused; in %(store)s. "
        "%(times)s",
        added=grouped(report.added),
        replaced=grouped(report.replaced),
        skipped=grouped(report.skipped),
        refused=grouped(report.refused_count),
        store=place,
        times=Message(times, importing=duration(int(importing * 1000)), indexing=indexed),
    )
    session.output.answer(sentence)
    for each in report.refused[:_SHOWN_REFUSALS]:
        refusal = session.translate(
            "%(source)s, %(place)s: %(reason)s", source=each.source, place=each.place, reason=each.reason
        )
        session.output.answer(f"  {refusal}", style="yellow")
    if report.refused_count > _SHOWN_REFUSALS:
        session.output.remark(
            session.translate.plural(
                "And %(num)s more that was refused; --json lists it.",
                "And %(num)s more that were refused; --json lists them.",
                report.refused_count - _SHOWN_REFUSALS,
            )
        )
