"""The store that a folder or a URL names."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from execution_history.clock import now_ms
from execution_history.errors import SettingsError, quoted
from execution_history.presentation.command_line import command_line
from execution_history.records.price_book import Prices
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.redaction import shown_store, without_credentials
from execution_history.records.size_limit import LARGEST_RECORD
from execution_history.records.time_units import HOUR_MS
from execution_history.stores.capabilities import Bin, Priced
from execution_history.stores.folder_place import followed_in
from execution_history.stores.protocol import HistoryStore

if TYPE_CHECKING:
    from execution_history.settings import Settings
    from execution_history.stores.postgres.location import Location

_POSTGRES: Final = frozenset({"postgres", "postgresql"})

_DATABASE: Final = re.compile(
    r"(?:^|\s)(?:host|hostaddr|port|user|password|passfile|dbname|service|sslmode)\s*="
    r"|^(?:[^/\\]+|[\w.-]{2,}:.+)@[^/\\@]+(?:/|:\d+$)"
    r"|^(?:[\w.-]{2,}|\[[0-9a-fA-F:.]+\]):\d+(?:/|$)"
)
"""The address of a database without a scheme: pairs such as ``dbname=history``, ``user@host/…``, ``host:port/…``."""


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
            ``postgresql://user@host/database`` or ``memory:``. In the place of a folder there may be the file of an
            archive, which is only read.
        json_files: whether an embedded store keeps its JSON files beside the database.
        search: whether texts can be searched for in a store on a disk.
        record_limit_bytes: the largest size of a record that is made for the store.
        limits: what an embedded store may take to read JSON files that others wrote.
        clock: milliseconds since the epoch, for what a store forgets after some time.

    Raises:
        SettingsError: there is no such store, the folder has JSON files that follow a history, or what the store needs
            is not installed.
    """
    place = Place("sqlite", location) if isinstance(location, Path) else place_named(location)
    if place.folder is not None:
        _check_follows_none(place.folder)
        from execution_history.stores.sqlite import SQLiteStore  # noqa: PLC0415 - a database only where one is opened
        from execution_history.stores.sqlite.archive import ArchiveStore, is_archive  # noqa: PLC0415 - as above

        if is_archive(place.folder):
            return ArchiveStore(place.folder, search=search)
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
        _check_is_no_database(location)
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
    if not rest.startswith("//"):
        _check_is_no_database(location)
    raise SettingsError(
        "There is no store for %(scheme)s; use a folder, sqlite:folder, postgresql://user@host/database or memory:.",
        scheme=quoted(scheme),
    )


def location_shown(location: str) -> str | None:
    """Return *location* as a command takes it in any folder, without a password; ``None`` for a store in memory.

    Raises:
        SettingsError: there is no such store.
    """
    place = place_named(location)
    if place.kind == "memory":
        return None
    return shown_store(location) if place.folder is None else str(place.folder.absolute())


def _check_is_no_database(location: str) -> None:
    """Refuse what would become a folder, with a password in its name perhaps, though a database was meant.

    Raises:
        SettingsError: *location* reads like the address of a database; the message shows nothing of it.
    """
    if _DATABASE.search(location):
        raise SettingsError(
            "The store reads like the address of a database without its scheme: write "
            "postgresql://user@host:port/database, or, for a folder of such a name, sqlite: before it."
        )


def _check_follows_none(folder: Path) -> None:
    """Refuse a folder of JSON files that follow a history: opening it would make it a history of its own.

    Raises:
        SettingsError: JSON files follow in it.
    """
    with contextlib.suppress(OSError):  # the store has its own sentence for a folder that cannot be read
        if place := followed_in(folder):
            raise SettingsError(
                "The JSON files in %(folder)s follow a history (%(store)s): name that one as the store, or import the "
                "folder into another one; after %(command)s it can be one of its own.",
                folder=quoted(folder),
                store=place.shown_store,
                command=command_line("mirror", folder, "--forget", store=place.store or None),
            )


def folder_named(location: str) -> Path:
    """Return the folder that *location* names.

    Raises:
        SettingsError: it names something else.
    """
    folder = place_named(location).folder
    if folder is None:
        raise SettingsError(
            "JSON files need a folder, and %(location)s is none.", location=quoted(without_credentials(location))
        )
    return folder


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
    store = store_at(
        settings.store,
        json_files=settings.json_files,
        search=settings.search,
        record_limit_bytes=settings.record_limit_bytes,
        limits=settings.reading_limits,
    )
    if isinstance(store, Bin):
        store.bin_ms = round(settings.bin_hours * HOUR_MS)
    if isinstance(store, Priced):
        store.prices.fixed = Prices(settings.token_prices)
        store.prices.currency, store.prices.budget = settings.currency, settings.budget
    return store
