"""The sandbox on a socket of its own, in the event loop that is running."""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from execution_history.sandbox.app import DEFAULT_DELAY_MS, DEFAULT_PACE_MS, DEFAULT_TOKEN, sandbox_application
from execution_history.sandbox.dialect import Flavour
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.responses import BREAK_EXTENSION
from execution_history.sandbox.workflows import WORKFLOWS, Workflow

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  compared with, not bound to


class AddressError(OSError):
    """The sandbox could not listen at its address; the message is one sentence for a person."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host = host
        self.port = port
        self.reason = reason
        super().__init__(
            f"The sandbox cannot listen on {host}:{port} ({reason}); choose another port, or 0 for any free one."
        )


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is being served: where it is, the token it expects, and the edition of Coze it stands for."""

    base_url: str
    token: str
    flavour: Flavour = "coze"


@asynccontextmanager
async def serve_sandbox(
    host: str = "127.0.0.1",
    port: int = 0,
    token: str = DEFAULT_TOKEN,
    *,
    delay_ms: int = DEFAULT_DELAY_MS,
    pace_ms: int = DEFAULT_PACE_MS,
    flavour: Flavour = "coze",
    workflows: Mapping[str, Workflow] = WORKFLOWS,
) -> AsyncIterator[Sandbox]:
    """Serve a sandbox for the length of an ``async with`` block; port 0 takes any free port.

    ``workflows`` are what it can run, by id; the other arguments are those of ``create_sandbox``. Requests are
    answered from before the block is entered. On leaving it, open connections are broken, not waited for. Signals are
    left alone.

    Raises:
        AddressError: the port is taken, not allowed, or the host is not this machine's.
        ValueError: the token is empty.

    """
    engine = Engine(delay_ms=delay_ms, pace_ms=pace_ms, workflows=workflows)
    app = _Breakable(sandbox_application(engine, token, flavour))
    with _listen(host, port) as listener:
        server = app.server = _server(app)
        await server.startup(sockets=[listener])
        try:
            yield Sandbox(_base_url(host, listener.getsockname()[1]), token, flavour)
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(server, engine, listener)


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # longer than clients keep idle connections: httpx does so for 5 seconds
    )
    config.load()
    server = uvicorn.Server(config)
    # Server.serve() would take over the process's signals; startup() and shutdown() are its parts without that.
    server.lifespan = config.lifespan_class(config)
    return server


async def _stop(server: uvicorn.Server, engine: Engine, listener: socket.socket) -> None:
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await engine.aclose()
    await asyncio.sleep(0)  # lets the aborted connections tell their handlers
    await server.shutdown(sockets=[listener])


class _Breakable:
    """Lends the application the means to break the connection of the request it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.server: uvicorn.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the extension."""
        if scope["type"] == "http":
            client = scope["client"]

            def close(reset: bool) -> None:  # noqa: FBT001  the extension's only argument
                self._close(client, reset=reset)

            scope["extensions"] = {**scope.get("extensions", {}), BREAK_EXTENSION: close}
        await self._app(scope, receive, send)

    def _close(self, client: tuple[str, int], *, reset: bool) -> None:
        connections = () if self.server is None else tuple(self.server.server_state.connections)
        for connection in connections:
            if isinstance(connection, H11Protocol) and connection.client == client:
                if reset:
                    _reset(connection.transport)
                else:
                    connection.transport.close()


def _reset(transport: asyncio.Transport) -> None:
    # Closing with a lingering time of zero sends RST instead of FIN; Windows counts it in shorts.
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only where the protocol is named; create_server() does not name it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise AddressError(host, port, getattr(error, "strerror", None) or str(error)) from error
    return listener


def _base_url(host: str, port: int) -> str:
    reachable = _EVERY_ADDRESS.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
