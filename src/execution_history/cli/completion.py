"""What a shell offers while a call is typed: workflows, runs and the values of filters.

An offer is quick and never fails: what cannot be read in a second is not offered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import typer

from execution_history.cli.session import Session
from execution_history.query.model import MAX_SIZE
from execution_history.query.values import FILTER_STATUSES

if TYPE_CHECKING:
    from execution_history.cli.open_history import History

Offer = tuple[str, str]
"""What may stand in the call, and a remark that some shells show beside it."""

Complete = Callable[[typer.Context, str], list[Offer]]

_SECONDS: Final = 1.0
_TIMES: Final = ("today", "yesterday", "monday", "1h", "24h", "7d", "30d")
_VALUES: Final = {
    "status": FILTER_STATUSES,
    "mode": ("sync", "stream", "async"),
    "bool": ("true", "false"),
    "time": _TIMES,
}
"""The values of a filter by its kind; the others are anything."""


def complete_workflow(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the ids and names of the history's workflows that begin so."""

    async def find() -> list[Offer]:
        async with _history(context) as history:
            workflows = await history.service.listed_workflows()
        by_id = ((each.workflow_id, f"{each.name or ''} {each.total} ×".strip()) for each in workflows)
        by_name = ((each.name, f"{each.workflow_id} {each.total} ×") for each in workflows if each.name)
        return _beginning(incomplete, (*by_id, *by_name))

    return _answered(find)


def complete_run(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the ids among those of the newest runs that begin so, of one workflow where the call names one."""

    async def find() -> list[Offer]:
        from execution_history.presentation.formatting import clock  # noqa: PLC0415 - not for every call
        from execution_history.records.partial import outline_of  # noqa: PLC0415 - as above

        async with _history(context) as history:
            # The newest ones need no index, which may have to be built first.
            found = await history.service.page_bytes(context.params.get("workflow"), MAX_SIZE, 1)
        records = map(outline_of, found.documents)
        remark = "{execute_status} {create_time} {workflow_id}"
        shown = ({**each, "create_time": clock(each["create_time"])} for each in records)
        return _beginning(incomplete, ((each["execute_id"], remark.format_map(each)) for each in shown))

    return _answered(find)


def complete_column(context: typer.Context, incomplete: str) -> list[Offer]:
    """Return the columns of lists that begin so, after those that the call has by now."""
    from execution_history.presentation.run_columns import RUN_COLUMNS  # noqa: PLC0415 - not for every call

    del context
    return _listed(incomplete, RUN_COLUMNS)


def completes_kind(kind: str) -> Complete | None:
    """Return what offers the values of a filter of this *kind*; ``None`` where they may be anything."""
    values = _VALUES.get(kind)
    if values is None:
        return None

    def complete(context: typer.Context, incomplete: str) -> list[Offer]:
        del context
        return _listed(incomplete, values)

    return complete


@asynccontextmanager
async def _history(context: typer.Context) -> AsyncIterator["History"]:
    """Yield the history that the call so far names."""
    from execution_history.cli.open_history import open_history  # noqa: PLC0415 - not for every call

    root = context.find_root()
    session = Session(context.find_object(Session).translate)  # type: ignore[union-attr] # main puts it there
    session.store = context.params.get("store") or root.params.get("store")
    async with open_history(session) as history:
        yield history


def _answered(find: Callable[[], Coroutine[None, None, list[Offer]]]) -> list[Offer]:
    async def in_time() -> list[Offer]:
        async with asyncio.timeout(_SECONDS):
            return await find()

    try:
        return asyncio.run(in_time())
    except Exception:  # noqa: BLE001 - whatever it is, somebody is typing, and nothing is offered
        return []


def _listed(incomplete: str, values: Iterable[str]) -> list[Offer]:
    """Return *values* that may stand behind the last comma."""
    done, comma, _last = incomplete.rpartition(",")
    return _beginning(incomplete, ((done + comma + value, "") for value in values))


def _beginning(incomplete: str, offers: Iterable[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer[0].startswith(incomplete)]
