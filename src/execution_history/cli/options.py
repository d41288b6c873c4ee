"""The options that several commands share, and the decorator that makes a function a command with them."""

import functools
import inspect
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Annotated, Any, Final

import typer

from execution_history.cli.completion import complete_column, complete_run, complete_workflow, completes_kind
from execution_history.cli.session import CommandFailed, LoopFactory, Session, Work
from execution_history.clock import now_ms
from execution_history.errors import N_
from execution_history.presentation.time_zone import local_zone
from execution_history.query.fields import FILTERS, FilterField, RecordFilter
from execution_history.query.model import MAX_SIZE, Order, Sort
from execution_history.query.parameters import filter_of
from execution_history.query.values import FLAG_WORDS

Filters = dict[str, list[str]]
"""The filters of one call, by name."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        help=N_("Where the history is kept."),
        show_default=N_("EXECUTION_HISTORY_STORE, or data/execution_history"),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help=N_("Write only JSON for programs to the standard output."))]
DebugOption = Annotated[bool, typer.Option("--debug", help=N_("Show where an error came from."))]

ExecuteId = Annotated[
    str,
    typer.Argument(
        metavar="EXECUTE_ID",
        autocompletion=complete_run,
        help=N_(
            "The run's id as list shows it, or its first or last characters (8 or more), or its id or log id at Coze."
        ),
    ),
]
WorkflowArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="WORKFLOW",
        autocompletion=complete_workflow,
        help=N_("Only the runs of this workflow, by its id or its name."),
    ),
]
WorkflowOption = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        metavar="WORKFLOW",
        autocompletion=complete_workflow,
        help=N_("The workflow, where several have a run with this id."),
    ),
]
ViewOption = Annotated[
    str | None,
    typer.Option("--view", metavar="NAME", help=N_("The runs of a saved view; other filters narrow them down.")),
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="NAMES",
        autocompletion=complete_column,
        help=N_("The columns to show, in order, with commas: status,started,workflow,tags,output and so on."),
    ),
]
PageSizeOption = Annotated[int, typer.Option("--page-size", "-n", min=1, max=MAX_SIZE, help=N_("Runs per page."))]
CursorOption = Annotated[
    str | None,
    typer.Option("--cursor", metavar="CURSOR", help=N_("Continue after this position, as the previous page names it.")),
]
SortOption = Annotated[Sort, typer.Option("--sort", help=N_("What to sort the runs by."))]
OrderOption = Annotated[
    Order | None,
    typer.Option(
        "--order", help=N_("desc: the newest, longest or dearest first; asc: the oldest, shortest or cheapest first.")
    ),
]

_PANEL: Final = N_("Filters")
_PREFIX: Final = "filter_"


def _keyword(name: str, annotation: Any, *, default: object) -> inspect.Parameter:  # noqa: ANN401 - any type
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_CONTEXT: Final = _keyword("context", typer.Context, default=inspect.Parameter.empty)
_SAME_AS_ARGUMENT: Final = _keyword(
    "same_workflow",
    Annotated[
        str | None,
        typer.Option(
            "--workflow",
            metavar="WORKFLOW",
            autocompletion=complete_workflow,
            help=N_("The same as the argument WORKFLOW."),
        ),
    ],
    default=None,
)
"""What commands have that take a workflow as an argument, because others take it so."""

_COMMON: Final = (
    _keyword("store", StoreOption, default=None),
    _keyword("as_json", JsonOption, default=False),
    _keyword("debug", DebugOption, default=False),
)


def command(
    *without: str, event_loop: LoopFactory | None = None
) -> Callable[[Callable[..., Work]], Callable[..., None]]:
    """Make a function a command, with its own options, then those of all commands, then those for filters.

    The function takes the session first, and returns an exit code, or ``None`` for success. Only a function with the
    argument ``filters`` has options for filters; it receives their values by name.

    Args:
        without: common options and filters, by name, that the command does not have or defines itself.
        event_loop: makes the event loop that the command runs in; asyncio's own unless given.
    """
    common = [option for option in _COMMON if option.name not in without]
    rows = [row for row in FILTERS if row.name not in without]

    def decorate(work: Callable[..., Work]) -> Callable[..., None]:
        own = dict(inspect.signature(work).parameters)
        del own["session"]
        is_filtered = own.pop("filters", None) is not None
        names_twice = "workflow_id" in own and own["workflow_id"].annotation == WorkflowArgument

        @functools.wraps(work)
        def wrapper(*, context: typer.Context, **values: Any) -> None:  # noqa: ANN401 - whatever typer passes on
            session = Session.of(context, **{option.name: values.pop(option.name) for option in common})
            if is_filtered:
                texts = {row.name: values.pop(_PREFIX + row.name) for row in rows}
                values["filters"] = {name: _as_list(text) for name, text in texts.items() if text}
            if names_twice:
                argument, option = values["workflow_id"], values.pop("same_workflow")
                if argument is not None and option not in (None, argument):
                    session.perform(_refuse_two(argument, option), event_loop)
                values["workflow_id"] = option if argument is None else argument
            session.perform(work(session, **values), event_loop)

        options = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in own.values()]
        options += [_SAME_AS_ARGUMENT] if names_twice else []
        options = [_CONTEXT, *options, *common, *(map(_option, rows) if is_filtered else ())]
        wrapper.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {option.name: option.annotation for option in options}
        return wrapper

    return decorate


async def _refuse_two(argument: str, option: str) -> None:
    raise CommandFailed(
        "The workflow is named twice, and differently: '%(argument)s' and --workflow '%(option)s'.",
        argument=argument,
        option=option,
    )


def read_filters(filters: Filters, workflow: str | None = None, zone: tzinfo | None = None) -> RecordFilter:
    """Return the filter that the options and the argument *workflow*, an id or a name, describe.

    Times without an offset are in *zone*, by default this machine's.

    Raises:
        InvalidQuery: a value cannot be read.
    """
    words = filters if workflow is None else filters | {"workflow": [workflow]}
    return filter_of(words, now=now_ms(), zone=zone or local_zone())


def as_options(filters: Filters) -> list[str]:
    """Return the options that describe *filters*, for a call that can be copied; a value may begin with a dash."""
    return [f"{_option_name(name)}={value}" for name, values in filters.items() for value in values]


def with_flag_values(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a call with a value for each filter that is true or false: ``--pinned`` alone is true."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = arguments[:end], arguments[end:]
    following = [*options[1:], "--"]
    is_alone = [
        each in _FLAGS and after.lower() not in FLAG_WORDS for each, after in zip(options, following, strict=False)
    ]
    return [f"{each}=true" if alone else each for each, alone in zip(options, is_alone, strict=True)] + [*rest]


def _option(row: FilterField) -> inspect.Parameter:
    info = typer.Option(
        _option_name(row.name),
        help=row.meaning,
        rich_help_panel=_PANEL,
        metavar=row.values.kind.upper(),
        autocompletion=complete_workflow if row.name == "workflow" else completes_kind(row.values.kind),
    )
    kind: Any = Annotated[list[str] | None, info] if row.is_repeatable else Annotated[str | None, info]
    return _keyword(_PREFIX + row.name, kind, default=None)


def _option_name(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_FLAGS: Final = frozenset(_option_name(row.name) for row in FILTERS if row.values.kind == "bool")


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
