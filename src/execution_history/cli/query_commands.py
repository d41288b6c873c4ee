"""The commands that ask a history, and those that note, take out and bring in: registered with the command line."""

from typing import Annotated, Literal

import typer

from execution_history.cli import diff, search, stats, tag
from execution_history.cli.exit_codes import ExitCode
from execution_history.cli.filter_options import Filters, with_filters
from execution_history.cli.list import DEFAULT_PAGE_SIZE, list_runs
from execution_history.cli.session import DebugOption, JsonOption, Session, StoreOption
from execution_history.history.annotations import Annotation
from execution_history.query.model import MAX_SIZE

SortName = Literal["create_time", "duration", "tokens"]
BucketName = Literal["hour", "day", "week", "month"]
FormatName = Literal["jsonl", "json", "csv", "parquet"]

WorkflowArgument = Annotated[str | None, typer.Argument(metavar="WORKFLOW_ID", help="argument.list_workflow")]
WorkflowOption = Annotated[str | None, typer.Option("--workflow", metavar="ID", help="option.workflow")]
ExecuteId = Annotated[str, typer.Argument(metavar="EXECUTE_ID", help="argument.execute_id")]
CursorOption = Annotated[str | None, typer.Option("--cursor", metavar="CURSOR", help="option.cursor")]
PageSizeOption = Annotated[int, typer.Option(min=1, max=MAX_SIZE, help="option.page_size")]


def add_questions(app: typer.Typer) -> None:
    """Register ``list``, ``search``, ``follow``, ``stats``, ``diff``, ``tag``, ``export`` and ``import``."""
    app.command("list", help="help.list")(_list)
    app.command("search", help="help.search")(_search)
    app.command("follow", help="help.follow")(_follow)
    app.command("stats", help="help.stats")(_stats)
    app.command("diff", help="help.diff")(_diff)
    app.command("tag", help="help.tag")(_tag)
    app.command("export", help="help.export")(_export)
    app.command("import", help="help.import")(_import)


@with_filters("workflow")
def _list(
    context: typer.Context,
    workflow_id: WorkflowArgument = None,
    page: Annotated[int, typer.Option(min=1, help="option.page")] = 1,
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    sort: Annotated[SortName, typer.Option(help="option.sort")] = "create_time",
    ascending: Annotated[bool, typer.Option("--ascending", help="option.ascending")] = False,
    cursor: CursorOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="option.explain")] = False,
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
    text: Annotated[str, typer.Argument(metavar="TEXT", help="argument.text")],
    page_size: PageSizeOption = DEFAULT_PAGE_SIZE,
    best: Annotated[bool, typer.Option("--best", help="option.best")] = False,
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
    since: Annotated[int | None, typer.Option(min=0, metavar="REVISION", help="option.since_revision")] = None,
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
    by: Annotated[BucketName | None, typer.Option("--by", help="option.by")] = None,
    zone: Annotated[str | None, typer.Option(metavar="ZONE", help="option.zone")] = None,
    new_since: Annotated[str | None, typer.Option(metavar="TIME", help="option.new_since")] = "1d",
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
    other: Annotated[str | None, typer.Argument(metavar="EXECUTE_ID", help="argument.other")] = None,
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
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="argument.tags")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="option.remove")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="option.note")] = None,
    rating: Annotated[int | None, typer.Option(metavar="0-5", help="option.rating")] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help="option.pin")] = None,
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
    target: Annotated[str, typer.Option("--output", "-o", metavar="FILE|FOLDER|-", help="option.output")] = "-",
    kind: Annotated[FormatName | None, typer.Option("--format", help="option.format")] = None,
    columns: Annotated[str | None, typer.Option(metavar="NAME,…", help="option.columns")] = None,
    excel: Annotated[bool, typer.Option("--excel", help="option.excel")] = False,
    raw_cells: Annotated[bool, typer.Option("--raw-cells", help="option.raw_cells")] = False,
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
    paths: Annotated[list[str], typer.Argument(metavar="FILE|FOLDER", help="argument.paths")],
    coze_studio: Annotated[bool, typer.Option("--coze-studio", help="option.coze_studio")] = False,
    nodes: Annotated[str | None, typer.Option(metavar="FILE", help="option.nodes")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    from execution_history.cli.transfer import ImportRequest, import_runs  # noqa: PLC0415 - as above

    session = Session.of(context, store, as_json=as_json, debug=debug)
    session.perform(lambda: import_runs(session, ImportRequest(paths, coze_studio, nodes)))
