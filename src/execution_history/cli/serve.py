"""The commands ``serve`` and ``sandbox``: servers that run until they are stopped."""

import asyncio
import errno
import os
import socket
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from execution_history.cli.list import TRIAL_WORKFLOW
from execution_history.cli.open_history import place_of, refuse_archive
from execution_history.cli.options import command
from execution_history.cli.output import Cell, aligned
from execution_history.cli.session import CommandFailed, Session, turn_on_garbage_collection
from execution_history.cli.signals import stops_call
from execution_history.errors import N_, StoreBusy
from execution_history.presentation.phrases import enumerated
from execution_history.settings import Settings, load_sandbox_settings, missing_settings

if TYPE_CHECKING:
    from execution_history.application import Application
    from execution_history.sandbox import Sandbox

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared with, not bound to

_Demo = Annotated[
    bool,
    typer.Option(
        "--demo", help=N_("Show thirty days of made-up runs, in a temporary folder of their own: no store is touched.")
    ),
]
_Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help=N_("Also keep JSON files in this folder, near the history; see the command mirror."),
        show_default=N_("EXECUTION_HISTORY_MIRROR_FOLDER, or none"),
    ),
]
_KeysStore = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        help=N_("The history whose keys let people in, for an archive, which has none."),
        show_default=N_("EXECUTION_HISTORY_KEYS_STORE, or the store itself"),
    ),
]


def _quickest_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where it can be installed, which is not on Windows, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 - for a server only
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@command(event_loop=_quickest_loop)
async def serve(
    session: Session,
    host: Annotated[
        str | None,
        typer.Option(help=N_("The address to listen on."), show_default=N_("EXECUTION_HISTORY_HOST, or 127.0.0.1")),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help=N_("The port to listen on; 0 picks a free one."), show_default=N_("EXECUTION_HISTORY_PORT, or 8765")
        ),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help=N_("Also start the sandbox upstream and let the account default call it."))
    ] = False,
    demo: _Demo = False,
    sandbox_port: Annotated[
        int | None,
        typer.Option(
            help=N_("The sandbox's port; 0 picks a free one."),
            show_default=N_("EXECUTION_HISTORY_SANDBOX_PORT, or 8766"),
        ),
    ] = None,
    mirror: _Mirror = None,
    keys_store: _KeysStore = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help=N_("Log every request to the standard error."))
    ] = False,
) -> None:
    """Serve the HTTP application until Ctrl-C or SIGTERM."""
    from execution_history.cli.accounts import opened  # noqa: PLC0415 - a web framework that `list` need not wait for
    from execution_history.cli.server import return_freed_memory, serve_until_stopped  # noqa: PLC0415 - the same

    return_freed_memory()
    settings = session.settings(
        host=host, port=port, sandbox_port=sandbox_port, mirror_folder=mirror, keys_store=keys_store
    )
    with closing(_listen(settings)) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        waits = partial(_tell_of_waiting, session)
        async with opened(settings, sandbox=sandbox, demo=demo, serving=True, waits=waits) as application:
            await _check_access(session, application)
            announce = partial(_announce, session, application)
            await serve_until_stopped(application, listener, announce, access_log=access_log)
    session.notice("Stopped.")


@command("store")
async def sandbox(
    session: Session,
    host: Annotated[str, typer.Option(help=N_("The address to listen on."))] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            help=N_("The port to listen on; 0 picks a free one."),
            show_default=N_("EXECUTION_HISTORY_SANDBOX_PORT, or 8766"),
        ),
    ] = None,
    token: Annotated[str, typer.Option(help=N_("The bearer token that the sandbox expects."))] = "sandbox-token",  # noqa: S107 - guards nothing
    studio: Annotated[
        bool,
        typer.Option(
            "--studio",
            help=N_("Answer as Coze Studio, the open-source edition, does: other paths, numeric ids, fewer fields."),
        ),
    ] = False,
) -> None:
    """Serve the sandbox upstream until Ctrl-C or SIGTERM."""
    from execution_history.cli.accounts import explained_address  # noqa: PLC0415 - as above
    from execution_history.cli.log import log_to_standard_error  # noqa: PLC0415 - as above
    from execution_history.sandbox import serve_sandbox  # noqa: PLC0415 - as above

    if not token:
        raise CommandFailed("The token of the sandbox must not be empty.")
    number = load_sandbox_settings(sandbox_port=port).sandbox_port
    stop = asyncio.Event()
    with stops_call(stop.set), explained_address():
        async with serve_sandbox(host, number, token=token, flavour="studio" if studio else "coze") as running:
            log_to_standard_error()
            _announce_sandbox(session, running)
            await stop.wait()
    session.notice("Stopped.")


def _listen(settings: Settings) -> socket.socket:
    """Return the listening socket; opened before anything else, so that a second server does not even open the store.

    Raises:
        CommandFailed: the address cannot be listened on.
    """
    with ExitStack() as cleanup:
        try:
            family, kind, _, _, address = socket.getaddrinfo(
                settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            # asyncio turns off the delay of small packets (TCP_NODELAY) only where the protocol is named.
            listener = cleanup.enter_context(socket.socket(family, kind, socket.IPPROTO_TCP))
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError as error:
            raise _unusable(settings, error) from None
        cleanup.pop_all()
    return listener


async def _check_access(session: Session, application: "Application") -> None:
    """Check that strangers cannot come in.

    Raises:
        CommandFailed: the server would listen beyond this machine and ask for no key, or for keys that nobody has.
    """
    settings = application.settings
    if settings.is_local or settings.open_to_network:
        return
    if settings.require_key is False or not await application.gate.keys.any():
        if settings.require_key is not False and settings.keys_store is None:
            refuse_archive(
                session,
                N_(
                    "Listening on %(host)s without a key would let in anyone who can reach this machine, and an "
                    "archive has no keys: name a history whose keys let people in with --keys-store, or, if something "
                    "in front controls access, set EXECUTION_HISTORY_OPEN_TO_NETWORK=true."
                ),
                host=settings.host,
            )
        raise CommandFailed(
            "Listening on %(host)s without a key would let in anyone who can reach this machine: add a key first "
            "(%(command)s), or, if something in front controls access, set EXECUTION_HISTORY_OPEN_TO_NETWORK=true.",
            host=settings.host,
            command=session.command("keys", "add", "NAME", "--scope", "admin"),
        )


def _unusable(settings: Settings, error: OSError) -> CommandFailed:
    sentence = N_("Cannot listen on %(host)s:%(port)s: %(reason)s. Choose another address with --host or --port.")
    if error.errno == errno.EADDRINUSE:
        sentence = N_(
            "Port %(port)s on %(host)s is in use: choose another with --port, or stop the program that uses it."
        )
    reason = error.strerror or str(error)
    return CommandFailed(sentence, host=settings.host, port=settings.port, reason=reason)


def _tell_of_waiting(session: Session, error: StoreBusy) -> None:
    from execution_history.application import DATABASE_SECONDS  # noqa: PLC0415 - as above

    session.notice(
        "%(problem)s Waiting up to %(seconds)s seconds for it.",
        problem=error.message,
        seconds=DATABASE_SECONDS,
        style="yellow",
    )


def _announce(session: Session, application: "Application") -> None:
    turn_on_garbage_collection()
    settings, sandbox = application.settings, application.sandbox
    _warn(session, settings)
    url = _address(settings.host, settings.port, is_secure=settings.tls_certificate is not None)
    if session.as_json:
        known = None if sandbox is None else {"base_url": sandbox.base_url, "token": sandbox.token}
        session.output.document(
            {
                "url": url,
                "docs": f"{url}/docs",
                "store": place_of(settings.store),
                "sandbox": known,
                "demo": application.is_demo,
            }
        )
        return
    _ = session.translate
    rows = [(_("History"), url, _("API documentation %(url)s", url=f"{url}/docs"))]
    about = _("a demo, removed when this ends") if application.is_demo else ""
    rows += [(_("Store"), place_of(settings.store), about)]
    if application.mirror is not None:
        rows += [(_("JSON files"), str(application.mirror.folder), _("near the history, not current"))]
    rows += [] if sandbox is None else [_address_of(session, sandbox)]
    _print_addresses(session, rows)
    if not settings.is_local and settings.needs_key is None:
        session.notice(
            "Listening on %(host)s without a key, as open_to_network allows: something in front has to control access.",
            host=settings.host,
            style="yellow",
        )
    if sandbox is not None and not application.is_demo:
        body = f'{{"workflow_id": "{TRIAL_WORKFLOW}", "parameters": {{"city": "Paris"}}}}'
        session.output.remark(
            f"\n{_('Try it:')}\n"
            f"  curl -N {url}/coze/workflows/stream_run -H 'Content-Type: application/json' -d '{body}'\n"
            f"  curl {url}/coze/workflows/{TRIAL_WORKFLOW}/history\n"
            f"  {session.command('list')}"
        )
    session.output.remark("\n" + _("Press Ctrl-C to stop."), style="dim")


def _warn(session: Session, settings: Settings) -> None:
    """Tell of settings that are probably not meant so."""
    for name, account in settings.accounts.items():
        # An account without a token still serves callers who send their own.
        if account.missing not in ((), ("token",)):
            lacking = enumerated(missing_settings(account, name))
            session.notice(
                "The Coze account '%(account)s' is incomplete: set %(settings)s.",
                account=name,
                settings=lacking,
                style="yellow",
            )
    if {"*", "null"} & set(settings.allowed_origins):
        session.notice(
            "A page of any site may call the gateway: the setting allowed_origins has * or null. Name the origins of "
            "your own pages instead.",
            style="yellow",
        )


def _address_of(session: Session, sandbox: "Sandbox") -> tuple[str, str, str]:
    return session.translate("Sandbox"), sandbox.base_url, session.translate("token %(token)s", token=sandbox.token)


def _print_addresses(session: Session, rows: list[tuple[str, str, str]]) -> None:
    """Print rows of a name, an address and a remark, aligned."""
    for line in aligned([[Cell(name), Cell(place, "bold"), Cell(remark)] for name, place, remark in rows]):
        session.output.remark(line)


def _announce_sandbox(session: Session, running: "Sandbox") -> None:
    from execution_history.sandbox import WORKFLOWS  # noqa: PLC0415 - as above

    if session.as_json:
        workflows: list[dict[str, Any]] = [
            {"workflow_id": each.workflow_id, "name": each.name, "description": each.description}
            for each in WORKFLOWS.values()
        ]
        about = {"base_url": running.base_url, "token": running.token, "flavour": running.flavour}
        session.output.document({**about, "workflows": workflows})
        return
    _ = session.translate
    _print_addresses(session, [_address_of(session, running)])
    use = _(
        "To use it: COZE_API_BASE=%(url)s COZE_API_TOKEN=%(token)s %(command)s",
        url=running.base_url,
        token=running.token,
        command=session.command("run", TRIAL_WORKFLOW),
    )
    session.output.remark(f"{use}\n")
    rows = [[Cell(_("Workflow").upper(), "dim"), Cell(_("What it does").upper(), "dim")]]
    rows += [[Cell(each.workflow_id), Cell(each.description)] for each in WORKFLOWS.values()]
    session.output.lines(aligned(rows), are_cut=True)
    session.output.remark("\n" + _("Press Ctrl-C to stop."), style="dim")


def _address(host: str, port: int, *, is_secure: bool = False) -> str:
    reachable, scheme = _EVERY_ADDRESS.get(host, host), "https" if is_secure else "http"
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"
