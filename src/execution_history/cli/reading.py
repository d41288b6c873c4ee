"""Commands that read and delete: ``list``, ``workflows``, ``show``, ``delete``, ``clear``."""

from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from execution_history.cli import wording
from execution_history.cli.session import (
    AsJson,
    Exit,
    Store,
    fail,
    notes,
    out,
    run,
    settings_of,
    write_json,
    write_line,
)
from execution_history.service import MAX_PAGE_SIZE, ExecutionHistoryService
from execution_history.store import Page, WorkflowSummary

_EMPTY = "No runs yet. Try one without a Coze account:  execution-history run 7000000000000000002 --sandbox"

_WIDE = 110

PageNumber = Annotated[int, typer.Option("--page", min=1, help="Which page, newest first.")]
PageSize = Annotated[int, typer.Option("--page-size", min=1, max=MAX_PAGE_SIZE, help="Runs on a page.")]
WorkflowOption = Annotated[str | None, typer.Option("--workflow", help="The workflow, where an id is not unique.")]


def list_runs(
    workflow_id: Annotated[str | None, typer.Argument(help="Only the runs of this workflow.")] = None,
    page: PageNumber = 1,
    page_size: PageSize = 20,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first.

    \b
    Examples:
      execution-history list
      execution-history list 7000000000000000002 --page 2
      execution-history list --json | jq '.histories[].execute_id'
    """

    async def work() -> Page:
        async with _service(store) as service:
            return await service.page_bytes(workflow_id, page_size, page)

    found = run(work)
    if as_json:
        end = b'],"total":%d,"has_more":%s}' % (found.total, b"true" if found.has_more else b"false")
        write_line(b'{"histories":[' + b",".join(found.documents) + end)
    elif not found.total:
        notes.print(_EMPTY, markup=False)
    else:
        out.print(_runs_table([orjson.loads(document) for document in found.documents], workflow_id is None))
        shown = f"{len(found.documents)} of {found.total} runs"
        notes.print(f"{shown}; the next page: --page {page + 1}" if found.has_more else shown, markup=False)


def list_workflows(
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List the workflows that have history, with counts and the last run."""

    async def work() -> list[WorkflowSummary]:
        async with _service(store) as service:
            return await service.workflow_summaries()

    summaries = run(work)
    if as_json:
        write_json({"workflows": summaries, "total": len(summaries)})
    elif not summaries:
        notes.print(_EMPTY, markup=False)
    else:
        out.print(_workflows_table(summaries))


def show(
    execute_id: Annotated[str, typer.Argument(help="The execution's id, as `list` shows it.")],
    workflow: WorkflowOption = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: how it ended, its input and output, what every node said.

    \b
    Examples:
      execution-history show 01a20dac-804a-73d2-9add-5349dff98ce0
      execution-history show 01a20dac-804a-73d2-9add-5349dff98ce0 --json
    """

    async def work() -> dict[str, Any]:
        async with _service(store) as service:
            return await _the_one(service, execute_id, workflow)

    record = run(work)
    if as_json:
        write_json(record)
    else:
        _print_record(record)


def delete(
    execute_id: Annotated[str, typer.Argument(help="The execution's id, as `list` shows it.")],
    workflow: WorkflowOption = None,
    store: Store = None,
) -> None:
    """Delete the record of one run."""

    async def work() -> bool:
        async with _service(store) as service:
            record = await _the_one(service, execute_id, workflow)
            return await service.delete_execution_record(record["workflow_id"], execute_id)

    if not run(work):
        fail(f"There is no run {execute_id!r}.", Exit.NOT_FOUND)
    notes.print(f"Deleted {wording.harmless(execute_id)}.", markup=False)


def clear(
    workflow_id: Annotated[str, typer.Argument(help="The workflow whose whole history goes.")],
    store: Store = None,
) -> None:
    """Delete the whole history of a workflow."""

    async def work() -> bool:
        async with _service(store) as service:
            return await service.clear_workflow_history(workflow_id)

    if not run(work):
        fail(f"Workflow {workflow_id!r} has no history.", Exit.NOT_FOUND)
    notes.print(f"Deleted the history of {wording.harmless(workflow_id)}.", markup=False)


def _service(store: str | None) -> ExecutionHistoryService:
    settings = settings_of(store)
    return ExecutionHistoryService(settings.store, json_files=settings.json_files)


async def _the_one(service: ExecutionHistoryService, execute_id: str, workflow: str | None) -> dict[str, Any]:
    found: list[dict[str, Any]] = [dict(record) for record in await service.find_execution(execute_id)]
    found = [record for record in found if workflow is None or record["workflow_id"] == workflow]
    if not found:
        fail(
            f"There is no run {execute_id!r} in this history; `execution-history list` shows what there is.",
            Exit.NOT_FOUND,
        )
    if len(found) > 1:
        names = ", ".join(repr(record["workflow_id"]) for record in found[:5])
        fail(f"Several workflows have a run {execute_id!r} ({names}): name one with --workflow.", Exit.WRONG_CALL)
    return found[0]


def _runs_table(records: list[dict[str, Any]], of_all: bool) -> Table:  # noqa: FBT001 - one private caller
    wide = out.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    columns = ["Status", "Started", "Took", "Tokens"] if wide else ["Status", "Started"]
    for name in columns:
        width = {"Status": 13, "Started": 19 if wide else 14}.get(name)
        table.add_column(name, no_wrap=True, min_width=width, justify="right" if name in {"Took", "Tokens"} else "left")
    longest = max(len(record["execute_id"]) for record in records)
    table.add_column("Execution", no_wrap=True, min_width=min(longest, 36))
    if of_all:
        table.add_column("Workflow", overflow="ellipsis", no_wrap=True, max_width=22, ratio=None if wide else 1)
    if wide or not of_all:
        table.add_column("Output or error", overflow="ellipsis", no_wrap=True, ratio=1)
    for record in records:
        said = record["error_message"] if record["execute_status"] == "failed" else record["output"]
        cells: list[Text | str] = [
            wording.status_text(record["execute_status"]),
            wording.local_time(record["create_time"], short=not wide),
        ]
        cells += [wording.took(record), wording.tokens(record)] if wide else []
        cells.append(Text(wording.harmless(record["execute_id"])))
        cells += [Text(wording.one_line(record["workflow_id"]))] if of_all else []
        cells += [Text(wording.one_line(said))] if wide or not of_all else []
        table.add_row(*cells)
    return table


def _workflows_table(summaries: list[WorkflowSummary]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(
        "Workflow", overflow="fold", min_width=min(24, max(len(summary.workflow_id) for summary in summaries))
    )
    for name in (
        "Runs",
        *(f"{shape} {status if out.width >= _WIDE else ''}" for status, (shape, _) in wording.SHAPES.items()),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Last run", no_wrap=True)
    for summary in summaries:
        counts = (str(summary.counts[status] or "") for status in wording.SHAPES)
        table.add_row(
            Text(wording.harmless(summary.workflow_id)),
            str(summary.total),
            *counts,
            wording.local_time(summary.last_create_time),
        )
    return table


def _print_record(record: dict[str, Any]) -> None:
    headline = wording.status_text(record["execute_status"])
    headline.append(f" after {wording.took(record)}" if record["execute_status"] != "running" else " since then")
    if record["error_message"]:
        headline.append(f": {wording.harmless(str(record['error_message']))}")
    if record["error_code"] is not None:
        headline.append(f" ({wording.harmless(str(record['error_code']))})")
    out.print(headline)
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(record):
        if value not in (None, ""):
            facts.add_row(name, Text(wording.harmless(str(value))))
    out.print(facts)
    _print_value("Input", record["input_parameters"])
    _print_value("Output", record["output"])
    _print_nodes(record["node_execute_status"])


def _facts(record: dict[str, Any]) -> list[tuple[str, object]]:
    metadata = record["metadata"]
    modes = {0: "synchronous", 1: "streamed", 2: "asynchronous"}
    return [
        ("Execution", record["execute_id"]),
        ("Workflow", record["workflow_id"]),
        ("Started", wording.local_time(record["create_time"])),
        ("Changed", wording.local_time(record["update_time"])),
        ("Mode", modes.get(record["run_mode"], record["run_mode"])),
        ("Tokens", wording.tokens(record)),
        ("Bot", record["bot_id"]),
        ("Conversation", record["conversation_id"]),
        ("How we know", metadata.get("proof")),
        ("Coze execution", metadata.get("coze_execute_id")),
        ("Coze log id", metadata.get("log_id")),
        ("Debug page", record["debug_url"]),
    ]


def _print_value(name: str, value: object) -> None:
    if value in (None, {}, ""):
        return
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    out.print()
    out.print(Text(name, style="bold"))
    out.print(Text(wording.harmless(text)), soft_wrap=True)


def _print_nodes(nodes: object) -> None:
    if not isinstance(nodes, dict) or not nodes:
        return
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for column in ("Node", "Finished", "Took"):
        table.add_column(column, no_wrap=True, justify="right" if column == "Took" else "left")
    table.add_column("Said", no_wrap=True, overflow="ellipsis", ratio=1)
    for name, node in nodes.items():
        facts = node if isinstance(node, dict) else {}
        began, ended = facts.get("start_time"), facts.get("update_time")
        table.add_row(
            Text(wording.one_line(name, 40)),
            "yes" if facts.get("is_finish") else "no",
            wording.duration(ended - began) if isinstance(began, int) and isinstance(ended, int) else "",
            Text(wording.one_line(facts.get("content"))),
        )
    out.print(table)
