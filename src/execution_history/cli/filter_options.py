"""The options that choose runs, made from the one table of filters that HTTP has too."""

import functools
import inspect
from collections.abc import Callable
from datetime import tzinfo
from typing import Annotated, Any, Final

import typer

from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.time_zone import local_zone
from execution_history.query.fields import FILTERS, FilterField, RecordFilter
from execution_history.query.parameters import filter_of

Filters = dict[str, list[str]]
"""The filters of one call, by name."""

_PANEL: Final = N_("Filters")
_KEPT: Final = "filter_"


def with_filters(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every filter but those named; it receives them as its argument ``filters``.

    Args:
        without: the filters that the command offers in another way.
    """
    rows = [row for row in FILTERS if row.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(*arguments: Any, **named: Any) -> None:  # noqa: ANN401 - whatever typer passes on
            given = {row.name: named.pop(_KEPT + row.name) for row in rows}
            filters = {name: _texts(value) for name, value in given.items() if value}
            command(*arguments, **named, filters=filters)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "filters"]
        options = list(map(_option, rows))
        called.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
        return called

    return decorate


def read_filters(filters: Filters, workflow_id: str | None = None, zone: tzinfo | None = None) -> RecordFilter:
    """Return the filter that the options ask for; times without an offset are in *zone*, by default this machine's.

    Raises:
        InvalidQuery: a value cannot be read.
    """
    return filter_of(filters, now=now_ms(), zone=zone or local_zone(), workflow_id=workflow_id)


def as_options(filters: Filters) -> list[str]:
    """Return the options that ask for *filters*, for a call that can be copied; a value may begin with a dash."""
    return [f"{_spelt(name)}={value}" for name, values in filters.items() for value in values]


def _option(row: FilterField) -> inspect.Parameter:
    info = typer.Option(_spelt(row.name), help=row.meaning, rich_help_panel=_PANEL, metavar=row.values.kind.upper())
    given: Any = Annotated[list[str] | None, info] if row.is_repeatable else Annotated[str | None, info]
    return inspect.Parameter(_KEPT + row.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=given)


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
