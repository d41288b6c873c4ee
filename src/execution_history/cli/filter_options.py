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
from execution_history.query.model import RecordFilter
from execution_history.query.parameters import FILTER_WORDS, FilterWord, filter_of

Filters = dict[str, list[str]]
"""The filters of one call, by name."""

_PANEL: Final = N_("Filters")
_KEPT: Final = "filter_"


def with_filters(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every filter but those named; it receives them as its argument ``filters``.

    Args:
        without: the filters that the command offers in another way.
    """
    words = [word for word in FILTER_WORDS if word.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(*arguments: Any, **named: Any) -> None:  # noqa: ANN401 - whatever typer passes on
            given = {word.name: named.pop(_KEPT + word.name) for word in words}
            filters = {name: _texts(value) for name, value in given.items() if value}
            command(*arguments, **named, filters=filters)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "filters"]
        options = [_option(word) for word in words]
        called.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
        return called

    return decorate


def read_filters(filters: Filters, workflow_id: str | None = None, zone: tzinfo | None = None) -> RecordFilter:
    """The filter that the options ask for; times without an offset are in *zone*, by default this machine's.

    Raises:
        InvalidQuery: a value cannot be read.
    """
    return filter_of(filters, now=now_ms(), zone=zone or local_zone(), workflow_id=workflow_id)


def as_options(filters: Filters) -> list[str]:
    """The options that ask for *filters*, for a call that can be copied; a value may begin with a dash."""
    return [f"{_spelt(name)}={value}" for name, values in filters.items() for value in values]


def _option(word: FilterWord) -> inspect.Parameter:
    info = typer.Option(_spelt(word.name), help=word.meaning, rich_help_panel=_PANEL, metavar=word.kind.upper())
    given: Any = Annotated[list[str] | None, info] if word.is_repeatable else Annotated[str | None, info]
    return inspect.Parameter(_KEPT + word.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=given)


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
