"""The commands ``serve`` and ``sandbox``: servers that run until they are asked to stop."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import uvicorn

from execution_history.application import Application, open_application
from execution_history.cli.accounts import unusable_address
from execution_history.cli.allocator import return_freed_memory
from execution_history.cli.exit_codes import CommandFailed, ExitCode
from execution_history.cli.list import TRIAL_WORKFLOW
from execution_history.cli.log_lines import LineFormatter
from execution_history.cli.open_history import place_of
from execution_history.cli.output import Cell, aligned, cropped
from execution_history.cli.session import Session
from execution_history.cli.signals import stops_call
from execution_history.errors import N_
from execution_history.sandbox import WORKFLOWS, AddressError, Flavour, Sandbox, serve_sandbox
from execution_history.settings import Settings, missing_settings
from execution_history.web import create_app

_SECONDS_TO_FINISH: Final = 1
"""How long requests that are under way may go on after a signal to stop; a stream has no end to wait for."""

_LONGEST_HEAD: Final = 2 * 1024 * 1024
"""Bytes of a request's head: a filter of a million characters is refused in words, not by cutting the line."""

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared with, not bound to
_LOOPBACK: Final = ("127.", "::1", "localhost")


async def serve(
    session: Session,
    *,
    host: str | None,
    port: int | None,
    sandbox: bool,
    sandbox_port: int | None,
    access_log: bool,
) -> ExitCode:
    """Serve the HTTP application until Ctrl-C or SIGTERM."""
    return_freed_memory()
    settings = session.settings(host=host, port=port, sandbox_port=sandbox_port)
    with closing(_listen(settings)) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        try:
            async with open_application(settings, sandbox=sandbox) as application:
                await _serve_until_stopped(session, application, listener, access_log=access_log)
        except AddressError as error:
            raise unusable_address(error) from None
    session.output.remark(session.translate("Stopped."))
    return ExitCode.SUCCESS


async def serve_sandbox_alone(session: Session, *, host: str, port: int | None, token: str, studio: bool) -> ExitCode:
    """Serve the sandbox upstream until Ctrl-C or SIGTERM."""
    if not token:
        raise CommandFailed(ExitCode.WRONG_CALL, "The token of the sandbox must not be empty.")
    settings = session.settings(sandbox_port=port)
    flavour: Flavour = "studio" if studio else "coze"
    stop = asyncio.Event()
    with stops_call(stop.set):
        try:
            async with serve_sandbox(host, settings.sandbox_port, token=token, flavour=flavour) as running:
                _log_to_standard_error()
                _announce_sandbox(session, running)
                await stop.wait()
        except AddressError as error:
            raise unusable_address(error) from None
    session.output.remark(session.translate("Stopped."))
    return ExitCode.SUCCESS


class _Server(uvicorn.Server):
    """uvicorn, which tells when it answers, and leaves the process's signals to us."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: uvicorn's own way raises the signal again at the end, before the store is closed."""
        yield

    def stop(self) -> None:
        """Stop at the first call, at once at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True


async def _serve_until_stopped(
    session: Session, application: Application, listener: socket.socket, *, access_log: bool
) -> None:
    config = uvicorn.Config(
        create_app(application),
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,  # the gateway passes the upstream's on, and our own answers bring theirs
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
    )
    _log_to_standard_error()
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.WARNING)
    server = _Server(config, lambda: _announce(session, application))

    def stop() -> None:
        application.live.end()  # whoever follows the history would otherwise be cut off
        server.stop()

    with stops_call(stop):
        await server.serve(sockets=[listener])


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn's tells something.

    That a stop cuts off open streams is what stopping means, and an upstream's answer that breaks off is passed on so.
    """
    error = record.exc_info[1] if record.exc_info else None
    said = f"{record.msg} {error}"
    return "timeout graceful shutdown exceeded" not in said and "returned without completing response" not in said


def _listen(settings: Settings) -> socket.socket:
    """Return the listening socket; taken before anything else, so that a second server does not even open the store.

    Raises:
        CommandFailed: the address cannot be listened on.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio turns off the delay of small packets (TCP_NODELAY) only where the protocol is named.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    except OSError as error:
        raise _unusable(settings, error) from None
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        raise _unusable(settings, error) from None
    return listener


def _unusable(settings: Settings, error: OSError) -> CommandFailed:
    sentence = N_("Cannot listen on %(host)s:%(port)s: %(reason)s. Choose another address with --host or --port.")
    if error.errno == errno.EADDRINUSE:
        sentence = N_(
            "Port %(port)s on %(host)s is in use: choose another with --port, or stop the program that uses it."
        )
    reason = error.strerror or str(error)
    return CommandFailed(ExitCode.WRONG_CALL, sentence, host=settings.host, port=settings.port, reason=reason)


def _announce(session: Session, application: Application) -> None:
    settings, sandbox = application.settings, application.sandbox
    for name, account in settings.accounts.items():
        # One without a token lets those through who bring their own.
        if account.missing not in ((), ("token",)):
            lacking = ", ".join(missing_settings(account, name))
            session.output.remark(
                session.translate(
                    "The Coze account '%(account)s' is incomplete: set %(settings)s.", account=name, settings=lacking
                ),
                style="yellow",
            )
    url = _address(settings.host, settings.port)
    if session.as_json:
        known = None if sandbox is None else {"base_url": sandbox.base_url, "token": sandbox.token}
        session.output.document(
            {"url": url, "docs": f"{url}/docs", "store": place_of(settings.store), "sandbox": known}
        )
        return
    rows = [
        (session.translate("History"), url, session.translate("API documentation %(url)s", url=f"{url}/docs")),
        (session.translate("Store"), place_of(settings.store), ""),
    ]
    if sandbox is not None:
        rows.append(
            (session.translate("Sandbox"), sandbox.base_url, session.translate("token %(token)s", token=sandbox.token))
        )
    _say_addresses(session, rows)
    if not settings.host.startswith(_LOOPBACK):
        session.output.remark(
            session.translate(
                "Listening on %(host)s: anyone who can reach this machine can read and delete these histories.",
                host=settings.host,
            ),
            style="yellow",
        )
    if sandbox is not None:
        body = f'{{"workflow_id": "{TRIAL_WORKFLOW}", "parameters": {{"city": "Paris"}}}}'
        session.output.remark("\n" + session.translate("Try it:"))
        session.output.remark(
            f"  curl -N {url}/coze/workflows/stream_run -H 'Content-Type: application/json' -d '{body}'"
        )
        session.output.remark(f"  curl {url}/coze/workflows/{TRIAL_WORKFLOW}/history")
        session.output.remark(f"  {session.command('list')}")
    session.output.remark("\n" + session.translate("Press Ctrl-C to stop."), style="dim")


def _say_addresses(session: Session, rows: list[tuple[str, str, str]]) -> None:
    """Print what is where: a name, a place, and more about it, under each other."""
    for line in aligned([[Cell(name), Cell(place, "bold"), Cell(more)] for name, place, more in rows]):
        session.output.remark(line)


def _announce_sandbox(session: Session, running: Sandbox) -> None:
    if session.as_json:
        workflows: list[dict[str, Any]] = [
            {"workflow_id": each.workflow_id, "name": each.name, "description": each.description}
            for each in WORKFLOWS.values()
        ]
        session.output.document(
            {
                "base_url": running.base_url,
                "token": running.token,
                "flavour": running.flavour,
                "workflows": workflows,
            }
        )
        return
    _ = session.translate
    _say_addresses(session, [(_("Sandbox"), running.base_url, _("token %(token)s", token=running.token))])
    use = _(
        "To use it: COZE_API_BASE=%(url)s COZE_API_TOKEN=%(token)s %(command)s",
        url=running.base_url,
        token=running.token,
        command=session.command("run", TRIAL_WORKFLOW),
    )
    session.output.remark(f"{use}\n")
    rows = [[Cell(_("Workflow").upper(), "dim"), Cell(_("What it does").upper(), "dim")]]
    rows += [[Cell(each.workflow_id), Cell(each.description)] for each in WORKFLOWS.values()]
    for line in aligned(rows):
        session.output.answer(cropped(line, session.output.width))
    session.output.remark("\n" + _("Press Ctrl-C to stop."), style="dim")


def _address(host: str, port: int) -> str:
    reachable = _EVERY_ADDRESS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
