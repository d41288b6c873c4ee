"""The server that ``serve`` runs; apart, because importing it takes longer than listing runs."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from execution_history.sandbox import Sandbox
from execution_history.settings import Settings
from execution_history.web import create_app
from execution_history.wiring import open_application

_SHUTDOWN_SECONDS = 3


async def serve_until_told(
    settings: Settings,
    listener: socket.socket,
    *,
    sandbox: bool,
    access_log: bool,
    announce: Callable[[Sandbox | None], None],
) -> None:
    """Open the application, serve it on *listener* until SIGINT or SIGTERM, and close it.

    Raises:
        StoreError: the store cannot be opened.
        OSError: the sandbox's port is taken.
    """
    async with open_application(settings, sandbox=sandbox) as application:
        config = uvicorn.Config(
            create_app(application),
            access_log=access_log,
            log_level="info" if access_log else "warning",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            server_header=False,
        )
        announce(application.sandbox)
        await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that stops on SIGINT and SIGTERM and then lets us close what is open.

    uvicorn itself raises the signal again once it has stopped, which would end the process before that.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take both signals for the time of serving."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
