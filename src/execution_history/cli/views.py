"""The command ``views``: saved lists of runs."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

import typer

from execution_history.cli.open_history import History, open_history
from execution_history.cli.options import ColumnsOption, Filters, OrderOption, as_options, command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, ExitCode, Session
from execution_history.errors import N_
from execution_history.history.service import ExecutionHistoryService
from execution_history.history.views import View, ViewCount, ViewFields
from execution_history.presentation.formatting import grouped, one_line
from execution_history.presentation.run_columns import columns_of
from execution_history.presentation.time_zone import local_zone
from execution_history.query.model import Order, Sort

_LONGEST: Final = 60


@command()
async def views(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="[VIEW]", help=N_("The name of a view."))] = None,
    save: Annotated[
        bool, typer.Option("--save", help=N_("Save the filters, the order and the columns under this name."))
    ] = False,
    rename: Annotated[str | None, typer.Option("--rename", metavar="NAME", help=N_("Give it this name."))] = None,
    star: Annotated[
        bool | None, typer.Option("--star/--no-star", help=N_("Show it before the others, or not."))
    ] = None,
    place: Annotated[int | None, typer.Option(min=1, help=N_("Its place among the views, from 1."))] = None,
    delete: Annotated[bool, typer.Option("--delete", help=N_("Delete the view; its runs stay."))] = False,
    sort: Annotated[Sort | None, typer.Option(help=N_("What to sort the runs by."))] = None,
    order: OrderOption = None,
    columns: ColumnsOption = None,
    *,
    filters: Filters,
) -> ExitCode:
    """Show the saved views, or save, change or delete one."""
    changes: ViewFields = {} if rename is None else {"name": rename}
    changes |= {} if star is None else {"starred": star}
    if name is None and (save or delete or changes or place is not None):
        raise CommandFailed("Name the view first: views NAME --save --status failed --since 24h.")
    if (filters or sort or order or columns) and not save:
        raise CommandFailed("Add --save to keep these filters, this order or these columns under a name.")
    shown = columns_of(columns or ())
    async with open_history(session) as history:
        service = history.service
        if name is None:
            return await _show(session, history, await service.views.all())
        if save:
            return await _show(session, history, [await _saved(service, name, filters, sort, order, shown)])
        view = await service.views.named(name)
        if delete:
            return await _delete(session, service, view)
        if changes:
            view = await service.views.change(view.id, **changes)
        if place is not None:
            view = await _moved(service, view, place)
        return await _show(session, history, [view])


async def _delete(session: Session, service: ExecutionHistoryService, view: View) -> ExitCode:
    await service.views.drop(view.id)
    if session.as_json:
        session.output.document({"deleted": 1, "view": view.to_json()})
    else:
        session.notice("Deleted the view '%(name)s'.", name=view.name)
    return ExitCode.SUCCESS


async def _moved(service: ExecutionHistoryService, view: View, place: int) -> View:
    """Put a view at this place, from 1, and return it."""
    others = [each.id for each in await service.views.all() if each.id != view.id]
    await service.views.arrange([*others[: place - 1], view.id, *others[place - 1 :]])
    return await service.views.named(view.id)


async def _saved(
    service: ExecutionHistoryService,
    name: str,
    filters: Filters,
    sort: Sort | None,
    order: Order | None,
    columns: Sequence[str],
) -> View:
    """Save a view, or give one of this name these filters, this order and these columns."""
    pairs = [(key, value) for key, values in filters.items() for value in values]
    fields: ViewFields = {
        "filters": pairs, "sort": sort or "create_time", "order": order or "desc", "columns": columns,
    }  # fmt: skip
    same = [view for view in await service.views.all() if view.name.casefold() == name.strip().casefold()]
    if same:
        return await service.views.change(same[0].id, **fields)
    return await service.views.save(name, pairs, sort=fields["sort"], order=fields["order"], columns=columns)


async def _show(session: Session, history: History, found: list[View]) -> ExitCode:
    views = history.service.views
    counts = [await history.answer(partial(views.count, view, zone=local_zone())) for view in found]
    if session.as_json:
        shown: list[dict[str, Any]] = [
            view.to_json() | count.to_json() for view, count in zip(found, counts, strict=True)
        ]
        session.output.document({"views": shown, "total": len(shown)})
        return ExitCode.SUCCESS
    _ = session.translate
    if not found:
        session.notice(
            "No view is saved yet. Save one: %(command)s",
            command=session.command("views", _("Failed today"), "--save", "--status", "failed", "--since", "24h"),
        )
        return ExitCode.SUCCESS
    heads = [
        Cell(_("View").upper(), "dim"),
        Cell(_("Runs").upper(), "dim", right=True),
        Cell(_("Filters").upper(), "dim"),
    ]
    rows = [_row(view, count) for view, count in zip(found, counts, strict=True)]
    session.output.lines(aligned([heads, *rows]), are_cut=True)
    return ExitCode.SUCCESS


def _row(view: View, count: ViewCount) -> list[Cell]:
    order = [f"--sort {view.sort}"] if view.sort != "create_time" else []
    order += ["--order asc"] if view.order == "asc" else []
    order += [f"--columns {','.join(view.columns)}"] if view.columns else []
    words = " ".join([*as_options(view.words()), *order])
    number = "–" if count.number is None else f"{grouped(count.number)}{'' if count.is_exact else '+'}"
    return [
        Cell(("★ " if view.starred else "") + one_line(view.name, _LONGEST)),
        Cell(number, right=True),
        Cell(one_line(words, 2 * _LONGEST), "dim"),
    ]
