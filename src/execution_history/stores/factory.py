"""The store that a folder or a URL names."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from execution_history.clock import now_ms
from execution_history.errors import SettingsError, quoted
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.redaction import without_credentials
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.stores.protocol import HistoryStore

if TYPE_CHECKING:
    from execution_history.settings import Settings
    from execution_history.stores.postgres.location import Location

_POSTGRES: Final = frozenset({"postgres", "postgresql"})


class Place(NamedTuple):
    """What a location names: a kind of store, and the folder of one that lies in a folder."""

    kind: Literal["memory", "postgres", "sqlite"]
    folder: Path | None = None


def store_at(
    location: str | Path,
    *,
    json_files: bool = True,
    search: bool = True,
    record_limit_bytes: int = LARGEST_RECORD,
    limits: ReadingLimits | None = None,
    clock: Callable[[], int] = now_ms,
) -> HistoryStore:
    """Return the store at *location*, not yet opened.

    Args:
        location: a folder, or ``sqlite:///absolute/folder``, ``sqlite:relative/folder``,
            ``postgresql://user@host/database`` or ``memory:``.
        json_files: whether an embedded store keeps its JSON files beside the database.
        search: whether texts can be searched for in a store on a disk.
        record_limit_bytes: the largest size of a record that is made for the store.
        limits: what an embedded store may take to read JSON files that others wrote.
        clock: milliseconds since the epoch, for what a store forgets after some time.

    Raises:
        SettingsError: there is no such store, or what it needs is not installed.
    """
    place = Place("sqlite", location) if isinstance(location, Path) else place_named(location)
    if place.folder is not None:
        from execution_history.stores.sqlite import SQLiteStore  # noqa: PLC0415 - a database only where one is opened

        return SQLiteStore(
            place.folder,
            json_files=json_files,
            search=search,
            record_limit_bytes=record_limit_bytes,
            limits=limits,
            clock=clock,
        )
    if place.kind == "postgres":
        database = database_at(str(location))
        from execution_history.stores.postgres.store import PostgresStore  # noqa: PLC0415 - an extra, checked just now

        return PostgresStore(database, search=search, record_limit_bytes=record_limit_bytes, clock=clock)
    from execution_history.stores.memory.store import MemoryStore  # noqa: PLC0415 - who opens a folder needs none

    return MemoryStore(record_limit_bytes, clock)


def place_named(location: str) -> Place:
    """Return what *location* names.

    Raises:
        SettingsError: there is no such store.
    """
    scheme, separator, rest = location.partition(":")
    is_url = separator and (scheme.isalnum() or rest.startswith("//"))
    if not is_url or len(scheme) < 2:  # noqa: PLR2004 - one letter is a Windows drive
        if not location:
            raise SettingsError("The store is an empty string; name a folder or a URL such as sqlite:data/history.")
        return Place("sqlite", Path(location))
    if scheme == "memory":
        return Place("memory")
    if scheme.strip().lower().partition("+")[0] in _POSTGRES:  # SQLAlchemy names the driver behind a plus
        return Place("postgres")
    if scheme == "sqlite":
        path = unquote(urlsplit(location).path if rest.startswith("//") else rest)
        if not path:
            raise SettingsError(
                "The store %(location)s names no folder; write sqlite:///absolute/folder or sqlite:folder.",
                location=quoted(without_credentials(location)),
            )
        return Place("sqlite", Path(path))
    raise SettingsError(
        "There is no store for %(scheme)s; use a folder, sqlite:folder, postgresql://user@host/database or memory:.",
        scheme=quoted(scheme),
    )


def database_at(url: str) -> "Location":
    """Return the PostgreSQL database that *url* names.

    Raises:
        SettingsError: it names none, or psycopg, which is an extra, is not installed.
    """
    try:
        from execution_history.stores.postgres.location import location_of  # noqa: PLC0415 - an extra
    except ImportError as error:
        if (error.name or "").startswith("execution_history"):
            raise
        raise SettingsError(
            "A history in PostgreSQL needs psycopg, which cannot be loaded (%(reason)s): "
            "pip install 'execution-history[postgres]', or pip install '.[postgres]' in a checkout.",
            reason=str(error).partition("\n")[0].rstrip("."),
        ) from None
    return location_of(url)


def store_of(settings: "Settings") -> HistoryStore:
    """Return the store that *settings* name, not yet opened.

    Raises:
        SettingsError: they name none.
    """
    return store_at(
        settings.store,
        json_files=settings.json_files,
        search=settings.search,
        record_limit_bytes=settings.record_limit_bytes,
        limits=settings.reading_limits,
    )
