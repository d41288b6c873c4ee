"""The command ``name``: what a workflow is called, and what else people note about it."""

from typing import Annotated

import typer

from execution_history.cli.completion import complete_workflow
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import Session
from execution_history.errors import N_
from execution_history.history.name_book import WorkflowName
from execution_history.history.service import ExecutionHistoryService
from execution_history.stores.factory import store_of
from execution_history.stores.presence import holds_history


@command()
async def name(
    session: Session,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", autocompletion=complete_workflow, help=N_("The workflow, by its id or its name.")
        ),
    ],
    new_name: Annotated[
        str | None, typer.Argument(metavar="NAME", help=N_("Its name; an empty text brings Coze's own back."))
    ] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help=N_("Its description; an empty text removes it."))
    ] = None,
    star: Annotated[
        bool | None, typer.Option("--star/--no-star", help=N_("Show it first among the workflows, or no longer."))
    ] = None,
    hide: Annotated[
        bool | None, typer.Option("--hide/--no-hide", help=N_("Leave it out of the page's lists, or no longer."))
    ] = None,
) -> None:
    """Name, describe, star or hide a workflow, and show what is noted about it."""
    settings = session.settings()
    is_change = any(each is not None for each in (new_name, description, star, hide))
    noted, has_runs = WorkflowName(workflow), False
    if is_change or await holds_history(settings.store):
        async with ExecutionHistoryService(store_of(settings), rules=settings.content_rules) as service:
            workflow_id = await service.workflow_named(workflow)
            noted = await service.name_workflow(
                workflow_id, name=new_name, description=description, starred=star, hidden=hide
            )
            has_runs = (await service.page_bytes(workflow_id, page_size=1)).total > 0
    _show(session, noted)
    if not (has_runs or session.as_json):
        session.notice("Workflow '%(workflow)s' has no runs here yet.", workflow=noted.workflow_id, style="dim")


def _show(session: Session, noted: WorkflowName) -> None:
    """Show what is noted about a workflow."""
    if session.as_json:
        texts = {"workflow_id": noted.workflow_id, "name": noted.name, "description": noted.description}
        session.output.document({**texts, "starred": noted.starred, "hidden": noted.hidden})
        return
    _ = session.translate
    facts = (
        (_("Workflow"), noted.workflow_id),
        (_("Name"), noted.name or ""),
        (_("Name in Coze"), noted.learned.name if noted.learned and noted.given else ""),
        (_("Description"), noted.description or ""),
        (_("Starred"), _("yes") if noted.starred else ""),
        (_("Hidden"), _("yes") if noted.hidden else ""),
    )
    session.output.lines(aligned([[Cell(f"  {label}", "dim"), Cell(value)] for label, value in facts if value]))
