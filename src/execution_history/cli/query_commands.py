"""The commands that ask a history, and those that note, take out and bring in: registered with the command line."""

from typing import Annotated, Literal

import typer

from execution_history.cli import diff, search, stats, tag
from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.filter_options import Filters, with_filters
from execution_history.cli.list import DEFAULT_PAGE_SIZE, list_runs
from execution_history.cli.options import DebugOption, ExecuteId, JsonOption, StoreOption, WorkflowOption
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.history.annotations import Annotation
from execution_history.query.model import MAX_SIZE

SortName = Literal["create_time", "duration", "tokens"]
BucketName = Literal["hour", "day", "week", "month"]
FormatName = Literal["jsonl", "json", "csv", "parquet"]

WorkflowArgument = Annotated[
    str | None, typer.Argument(metavar="WORKFLOW_ID", help=N_("Only the runs of this workflow."))
]
CursorOption = Annotated[
    str | None,
    typer.Option("--cursor", metavar="CURSOR", help=N_("Continue after this position, as the previous page names it.")),
]
PageSizeOption = Annotated[int, typer.Option(min=1, max=MAX_SIZE, help=N_("Runs per page."))]


def add_questions(app: typer.Typer) -> None:
    """Register ``list``, ``search``, ``follow``, ``stats``, ``diff``, ``tag``, ``export`` and ``import``."""
    app.command("list")(_list)
    app.command("search")(_search)
    app.command("follow")(_follow)
    app.command("stats")(_stats)
    app.command("diff")(_diff)
    app.command("tag")(_tag)
    app.command("export")(_export)
    app.command("import")(_import)


@with_filters("workflow")
def _list(
    context: typer.Context,
    workflow_id: WorkflowArgument = None,
    page: Annotated[int, typer.Option(min=1, help=N_("The page to show, newest runs first."))] = 1,
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    sort: Annotated[SortName, typer.Option(help=N_("What to sort the runs by."))] = "create_time",
    ascending: Annotated[bool, typer.Option("--ascending", help=N_("Oldest, shortest or cheapest first."))] = False,
    cursor: CursorOption = None,
    explain: Annotated[bool, typer.Option("--explain", help=N_("Explain how the runs are found."))] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
    *,
    filters: Filters,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = search.ListRequest(workflow_id, filters, sort, ascending, page_size, page, cursor, explain)
    if request.is_plain:
        session.perform(lambda: list_runs(session, workflow_id, page, page_size))
    session.perform(lambda: search.list_found(session, request))


@with_filters("q")
def _search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help=N_("The text to search for."))],
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    best: Annotated[
        bool, typer.Option("--best", help=N_("Best matches first among the hundred newest, instead of newest first."))
    ] = False,
    cursor: CursorOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
    *,
    filters: Filters,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = search.SearchRequest(text, filters, page_size, cursor, best)
    session.perform(lambda: search.search_runs(session, request))


def _follow(
    context: typer.Context,
    workflow_id: WorkflowArgument = None,
    since: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="REVISION", help=N_("Start after this revision; 0 begins with everything there is.")
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.follow import follow_history  # noqa: PLC0415 - only this command needs it

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: follow_history(session, since, [] if workflow_id is None else [workflow_id]))


@with_filters("workflow")
def _stats(
    context: typer.Context,
    workflow_id: WorkflowArgument = None,
    by: Annotated[
        BucketName | None,
        typer.Option(
            "--by", help=N_("The time span of each row; by default a day, or more where there are many days.")
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help=N_("The time zone of the rows, such as Asia/Shanghai; by default this machine's.")
        ),
    ] = None,
    new_since: Annotated[
        str | None, typer.Option(metavar="TIME", help=N_("A failure first seen after this time counts as new."))
    ] = "1d",
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
    *,
    filters: Filters,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = stats.StatsRequest(workflow_id, filters, by, zone, new_since)
    session.perform(lambda: stats.show_statistics(session, request))


def _diff(
    context: typer.Context,
    execute_id: ExecuteId,
    other: Annotated[
        str | None,
        typer.Argument(metavar="EXECUTE_ID", help=N_("The run to compare with; the first one is then the older side.")),
    ] = None,
    workflow: WorkflowOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: diff.diff_runs(session, execute_id, other, workflow))


def _tag(
    context: typer.Context,
    execute_id: ExecuteId,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help=N_("Tags to add."))] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help=N_("A tag to remove; repeatable."))
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help=N_("The note; an empty text removes it."))] = None,
    rating: Annotated[
        int | None, typer.Option(metavar="0-5", help=N_("From 1 (bad) to 5 (very good); 0 removes it."))
    ] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help=N_("Pin the run, or unpin it."))] = None,
    workflow: WorkflowOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    session = Session.of(context, store, as_json=as_json, debug=debug)

    async def work() -> ExitCode:
        annotation = Annotation(tuple(tags or ()), tuple(remove or ()), note, rating, pin)
        return await tag.note_run(session, execute_id, workflow, annotation)

    session.perform(work)


@with_filters("workflow")
def _export(
    context: typer.Context,
    workflow_id: WorkflowArgument = None,
    target: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE|FOLDER|-", help=N_("Where to write; - is the standard output.")),
    ] = "-",
    kind: Annotated[
        FormatName | None,
        typer.Option("--format", help=N_("What to write; by default what the file name's extension says.")),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help=N_("CSV: the columns, with dots for fields inside: execute_id,input.city,output.score."),
        ),
    ] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help=N_("CSV: begin with the byte order mark by which Excel recognizes UTF-8."))
    ] = False,
    raw_cells: Annotated[
        bool, typer.Option("--raw-cells", help=N_("CSV: do not prevent spreadsheets from reading texts as formulas."))
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
    *,
    filters: Filters,
) -> None:
    from execution_history.cli.transfer import ExportRequest, export_runs  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    request = ExportRequest(workflow_id, filters, kind, target, columns, excel, raw_cells)
    session.perform(lambda: export_runs(session, request))


def _import(
    context: typer.Context,
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
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.transfer import ImportRequest, import_runs  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: import_runs(session, ImportRequest(paths, coze_studio, nodes)))
