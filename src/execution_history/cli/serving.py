"""The commands that serve: ``serve`` and ``sandbox``."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Annotated, Any, Protocol

import typer
from rich.table import Table

from execution_history.cli.session import Exit, Store, fail, notes, out, run, settings_of
from execution_history.settings import Settings


class _Upstream(Protocol):
    """What is told of a sandbox that runs."""

    @property
    def base_url(self) -> str:
        """Where it answers."""

    @property
    def token(self) -> str:
        """The token it asks for."""


_TRIAL_ID = "7000000000000000002"


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one. [default: 8765]")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Start the sandbox upstream too and let account `default` call it.")
    ] = False,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
    store: Store = None,
) -> None:
    """Serve the HTTP API until Ctrl-C.

    \b
    Examples:
      execution-history serve --sandbox
      execution-history serve --port 9000 --store sqlite:///var/lib/history
    """

    async def work() -> None:
        from execution_history.cli.server import serve_until_told  # noqa: PLC0415 - `list` must not wait for it

        settings = settings_of(store, host=host, port=port)
        with closing(_listen(settings)) as listener:
            await serve_until_told(
                settings,
                listener,
                sandbox=sandbox,
                access_log=access_log,
                announce=lambda running: _announce(listener, settings, running),
            )

    _until_interrupted(work)


def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8766,
    token: Annotated[str, typer.Option(help="The bearer token it asks for.")] = "sandbox-token",  # noqa: S107 - made up, and said in the documentation
) -> None:
    """Serve an upstream that speaks the Coze workflow API, to try things without a Coze account."""

    async def work() -> None:
        from execution_history.sandbox import WORKFLOWS, serve_sandbox  # noqa: PLC0415 - the same

        async with serve_sandbox(host, port, token=token) as running:
            notes.print(f"Sandbox   {running.base_url}   token {running.token}", markup=False)
            out.print(_table({workflow.workflow_id: workflow.description for workflow in WORKFLOWS.values()}))
            await asyncio.Event().wait()

    _until_interrupted(work)


def _until_interrupted(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        run(work)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.OK) from None


def _listen(settings: Settings) -> socket.socket:
    """The listening socket; taken before anything else, so that a second server never touches the store."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns off the delay of small packets (TCP_NODELAY) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        fail(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): choose another with --port.",
            Exit.WRONG_CALL,
        )
    return listener


def _announce(listener: socket.socket, settings: Settings, sandbox: _Upstream | None) -> None:
    port = listener.getsockname()[1]
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{name}:{port}"
    notes.print(f"History   {base}   API documentation {base}/docs", markup=False, soft_wrap=True)
    notes.print(f"Store     {settings.store}", markup=False, soft_wrap=True)
    if sandbox is not None:
        notes.print(f"Sandbox   {sandbox.base_url}   token {sandbox.token}", markup=False, soft_wrap=True)
        body = f'{{"workflow_id": "{_TRIAL_ID}", "parameters": {{"city": "Paris"}}}}'
        notes.print("\nTry it:", markup=False)
        for line in (
            f"  curl -N {base}/coze/workflows/stream_run -H 'Content-Type: application/json' -d '{body}'",
            f"  curl {base}/coze/workflows/{_TRIAL_ID}/history",
        ):
            notes.print(line, markup=False, soft_wrap=True)


def _table(descriptions: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Workflow", no_wrap=True)
    table.add_column("What it does")
    for workflow_id, description in descriptions.items():
        table.add_row(workflow_id, description)
    return table
