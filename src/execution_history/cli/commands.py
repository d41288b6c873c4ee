"""The command line as a whole: its commands, its global options, its help."""

from importlib.metadata import version
from typing import Annotated

import typer

from execution_history.cli import reading, running, serving
from execution_history.cli.session import EXIT_CODES, Globals

app = typer.Typer(
    name="execution-history",
    help="The history of every Coze workflow run, kept on your own disk.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"execution-history {version('execution-history')}")
        raise typer.Exit


@app.callback()
def options(
    store: Annotated[str | None, typer.Option("--store", metavar="FOLDER|URL", help="Where the history is.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """The history of every Coze workflow run, kept on your own disk."""
    del show_version
    Globals.store, Globals.debug = store, debug


app.command("serve")(serving.serve)
app.command("sandbox")(serving.sandbox)
app.command("run")(running.run_workflow)
app.command("list")(reading.list_runs)
app.command("workflows")(reading.list_workflows)
app.command("show")(reading.show)
app.command("delete")(reading.delete)
app.command("clear")(reading.clear)


def main() -> None:
    """Run the command line."""
    app()
