"""A server that runs for months: uvicorn until a signal to stop, and the memory that it gives back."""

import asyncio
import contextlib
import ctypes
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

import uvicorn

from execution_history.application import Application
from execution_history.cli.log import log_to_standard_error
from execution_history.cli.server_protocol_h11 import AddressedH11Protocol
from execution_history.cli.server_protocol_websocket import RefusingWebSocketProtocol
from execution_history.cli.signals import stops_call
from execution_history.web import create_app
from execution_history.web.observation import ACCESS_LOG

_SECONDS_TO_FINISH: Final = 1
"""The time that open requests have to finish after a signal to stop; a stream would never finish."""

_LONGEST_HEAD: Final = 2 * 1024 * 1024
"""Bytes of a request's head: a filter of a million characters gets an error answer, not a closed connection."""

_LARGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of a WebSocket message."""

SWITCH_SECONDS: Final = 0.0005
"""After so long a thread of the server lets another have the interpreter that waits for it.

With Python's own 5 ms a write waited up to 90 ms while a JSON file was made anew and the index followed: it asks for
the interpreter after each statement.
"""

_TRANSPORT: Final = "execution_history.coze.transport.aiohttp_transport"

_MOST_ARENAS: Final = 2
_LARGE: Final = 1024 * 1024
_TRIM_SECONDS: Final = 30
_OPTIONS: Final = {
    -8: _MOST_ARENAS,  # M_ARENA_MAX
    -3: _LARGE,  # M_MMAP_THRESHOLD
    -1: _LARGE,  # M_TRIM_THRESHOLD
}
"""Values by the numbers of the options in glibc's ``malloc.h``."""


async def serve_until_stopped(
    application: Application, listener: socket.socket, announce: Callable[[], None], *, access_log: bool
) -> None:
    """Serve *application* until Ctrl-C or SIGTERM, and *announce* when it answers."""
    sys.setswitchinterval(SWITCH_SECONDS)
    config = server_config(application)
    log_to_standard_error(application.settings.log_format, application.settings.log_level)
    logging.getLogger(ACCESS_LOG).setLevel(logging.INFO if access_log else logging.WARNING)
    server = _Server(config, announce)

    def stop() -> None:
        for each in application.open_ones():
            each.live.end()  # event streams would otherwise be cut off
        server.stop()

    trimming = asyncio.create_task(_trim_now_and_then())
    with stops_call(stop):
        await server.serve(sockets=[listener])
    trimming.cancel()


def server_config(application: Application) -> uvicorn.Config:
    """Return how uvicorn serves *application*: with our limits, and no log of its own."""
    settings, certificate = application.settings, application.certificate
    return uvicorn.Config(
        create_app(application),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,  # the gateway passes the upstream's on, and our own answers bring theirs
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        timeout_keep_alive=settings.keep_alive_seconds,
        http=_http_protocol(),
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ws=RefusingWebSocketProtocol,
        ws_max_size=_LARGEST_MESSAGE,
        proxy_headers=False,  # uvicorn believes whatever this machine sends; web/proxies.py is told whom to believe
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
    )


def _http_protocol() -> type[asyncio.Protocol]:
    """Return the quickest protocol that is installed; httptools has no wheels for some systems."""
    try:
        import httptools  # noqa: F401, PLC0415 - as said
    except ImportError:
        return AddressedH11Protocol
    from execution_history.cli.server_protocol import LimitedHttpToolsProtocol  # noqa: PLC0415 - as said

    return LimitedHttpToolsProtocol


def return_freed_memory() -> None:
    """Make glibc return freed memory to the system, or to the next thread that allocates.

    By default it gives threads heaps of their own, up to eight for each core, and each keeps what it once needed: after
    a block of 20 MB was freed, all blocks below 20 MB come from the heap, which keeps up to 40 MB at its end. Other C
    libraries are left as they are.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # musl has no such function
            mallopt = ctypes.CDLL(None).mallopt
            for option, value in _OPTIONS.items():
                mallopt(option, value)


def trim_memory() -> None:
    """Give the system what lies free between blocks that are in use, as far as the C library can."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # as above
            ctypes.CDLL(None).malloc_trim(0)


async def _trim_now_and_then() -> None:
    """Trim the memory for as long as the server runs: a large run leaves many free blocks below the largest."""
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        await asyncio.to_thread(trim_memory)


class _Server(uvicorn.Server):
    """uvicorn, except that it calls *announce* once it answers, and leaves the process's signals to us."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then call *announce*."""
        await super().startup(sockets)
        self._announce()
        # The first call of the gateway needs it, and everything that answers until then need not wait for it.
        threading.Thread(
            target=import_module, args=(_TRANSPORT,), name="execution-history-imports", daemon=True
        ).start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: uvicorn's own way raises the signal again at the end, before the store is closed."""
        yield

    def stop(self) -> None:
        """Stop at the first call, at once at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True
