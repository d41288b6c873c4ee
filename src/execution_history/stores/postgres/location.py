"""The URL of a history in PostgreSQL: libpq's connection URI, and parameters of ours."""

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from execution_history.errors import SettingsError, quoted
from execution_history.records.redaction import without_credentials
from execution_history.stores.postgres.queries import DEFAULT_SCHEMA

_OURS: Final = frozenset({"schema", "password_file", "pool_size", "prepared_statements"})
_MOST_SCHEMA_BYTES: Final = 63
"""PostgreSQL cuts longer names (NAMEDATALEN)."""

_POOL_SIZE: Final = 8
_TAKEN: Final = ("pg_", "information_schema")

_PATIENCE: Final = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""After how long a server that says nothing is given up: seconds, milliseconds of what was sent and not confirmed."""


class Location(NamedTuple):
    """Where a history is.

    Attributes:
        conninfo: for libpq; it may have a password.
        schema: the schema of its tables.
        pool_size: the most connections for reading that one process opens; it has two more, for writing and listening.
        prepares: whether statements are prepared on the server; PgBouncer before 1.21 cannot do that in its
            transaction mode.
        name: the same in every process that opens this history, without a password.
    """

    conninfo: str
    schema: str
    pool_size: int
    prepares: bool
    name: str


def location_of(url: str) -> Location:
    """Return what *url* names.

    It is ``postgresql://user@host/database``, with any parameters of libpq and with ``schema`` (a history of its own
    in the same database), ``password_file`` (its first line is the password), ``pool_size`` and
    ``prepared_statements`` (``on`` or ``off``).

    Raises:
        SettingsError: it is no such URL, or the file cannot be read.
    """
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        ours = {name: value for name, value in pairs if name in _OURS}
        theirs = urlencode([pair for pair in pairs if pair[0] not in _OURS], quote_via=quote)
        known = conninfo_to_dict(urlunsplit((parts.scheme, parts.netloc, parts.path, theirs, "")))
    except (ValueError, psycopg.ProgrammingError) as error:
        raise SettingsError(
            "The store %(location)s is no URL of a PostgreSQL database (%(reason)s); write "
            "postgresql://user@host/database.",
            location=quoted(without_credentials(url)),
            reason=without_credentials(str(error).strip()),
        ) from None
    if parts.fragment or any("@" in str(known.get(name, "")) for name in ("host", "port", "dbname")):
        raise SettingsError(
            "The URL of the store has a password with a character that has a meaning in URLs, such as @, / or #: "
            "percent-encode it."
        )
    if "password_file" in ours:
        known["password"] = _password_in(ours["password_file"])
    schema = _schema(ours.get("schema", DEFAULT_SCHEMA))
    named = {name: str(value) for name, value in known.items() if name in {"host", "hostaddr", "port", "dbname"}}
    if "service" in known:
        named["service"] = str(known["service"])
    known.setdefault("application_name", "execution-history")
    known["client_encoding"] = "UTF8"
    return Location(
        conninfo=make_conninfo("", **{**_PATIENCE, **known}),
        schema=schema,
        pool_size=_number(ours.get("pool_size", str(_POOL_SIZE))),
        prepares=_flag(ours.get("prepared_statements", "on")),
        name=f"postgresql:{make_conninfo('', **named)} schema={schema}",
    )


def _schema(name: str) -> str:
    if not 0 < len(name.encode()) <= _MOST_SCHEMA_BYTES or {"\0", "%"} & set(name) or name.startswith(_TAKEN):
        raise SettingsError(
            "%(schema)s cannot be the name of a schema: it has 1 to 63 bytes, no %% and is none of PostgreSQL's own.",
            schema=quoted(name),
        )
    return name


def _password_in(path: str) -> str:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(
            "The password file %(path)s of the store cannot be read (%(reason)s): check that it exists and is yours.",
            path=quoted(path),
            reason=getattr(error, "strerror", None) or error,
        ) from None
    return lines[0] if lines else ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1000):  # noqa: PLR2004 - more than any server takes
        raise SettingsError("pool_size is a number from 1 to 999, not %(value)s.", value=quoted(text))
    return int(text)


def _flag(text: str) -> bool:
    if text not in {"on", "off"}:
        raise SettingsError("prepared_statements is on or off, not %(value)s.", value=quoted(text))
    return text == "on"
