"""The options and arguments that several commands have."""

from typing import Annotated

import typer

from execution_history.errors import N_

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

WorkflowOption = Annotated[
    str | None,
    typer.Option("--workflow", metavar="ID", help=N_("The workflow, where several have a run with this id.")),
]
ExecuteId = Annotated[
    str,
    typer.Argument(
        metavar="EXECUTE_ID",
        help=N_("The run's id as list shows it, or its first characters (8 or more), or its id at Coze."),
    ),
]
