"""The URL of a history in PostgreSQL: libpq's connection URI, and parameters of ours."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from execution_history.errors import N_, Message, SettingsError, quoted
from execution_history.stores.postgres.queries import DEFAULT_SCHEMA

_OURS: Final = frozenset({"schema", "password_file", "pool_size", "prepared_statements"})
_MOST_SCHEMA_BYTES: Final = 63
"""PostgreSQL cuts longer names (NAMEDATALEN)."""

_POOL_SIZE: Final = 8
_MOST_CONNECTIONS: Final = 999
_TAKEN: Final = ("pg_", "information_schema")

_URL: Final = re.compile(
    r"(?P<place>//(?:[^\s/?#@\[\]]*@)?(?:\[[\w.:%]*\]|[\w.,:%-])*)(?P<database>/[^\s/?#@&=;]*)?(?:\?(?P<query>[^\s#]*))?"
)
_NO_CHARACTER: Final = re.compile(r"[\x00-\x1f]|%(?:00|(?![0-9A-Fa-f]{2}))")
_ELSEWHERE: Final = {"database": "dbname", "db": "dbname", "pass": "password", "pwd": "password", "ssl": "sslmode"}
"""What parameters of libpq are called by other drivers."""

_CHOICES: Final = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "prepared_statements": ("on", "off"),
    "sslcertmode": ("disable", "allow", "require"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
_MOST: Final = 2**31 - 1
_NUMBERS: Final = {
    "pool_size": (1, _MOST_CONNECTIONS),
    "connect_timeout": (-1, _MOST),
    "tcp_user_timeout": (0, _MOST),
    **dict.fromkeys(("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"), (0, _MOST)),
}
"""The least and the most of each."""

_LAST_PORT: Final = 65_535

_UNENCODED: Final = N_(
    "The URL of the store has a character that is reserved in URLs, such as @, /, ?, #, [, a space or a percent "
    "sign, perhaps in the password: percent-encode it."
)

_USUAL: Final = {
    "application_name": "execution-history",
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

    def __repr__(self) -> str:
        """Return the name: the rest may have a password."""
        return f"Location({quoted(self.name)})"


def location_of(url: str) -> Location:
    """Return what *url* names.

    It is ``postgresql://user@host/database``, with any parameters of libpq and with ``schema`` (a history of its own
    in the same database), ``password_file`` (its first line is the password), ``pool_size`` and
    ``prepared_statements`` (``on`` or ``off``).

    No fault is told with a part of the URL, where it could be one of a password: only with names of parameters.

    Raises:
        SettingsError: it is no such URL, or the file cannot be read.
    """
    known, ours = _read(url.strip())
    if "password_file" in ours:
        if known.get("password"):
            raise SettingsError("The URL of the store has both a password and a password_file: leave one of them out.")
        known["password"] = _password_in(ours["password_file"])
    _check({**known, **ours})
    named = {name: value for name, value in known.items() if name in {"host", "hostaddr", "port", "dbname"}}
    if "service" in known:
        named["service"] = known["service"]
    schema = _schema(ours.get("schema", DEFAULT_SCHEMA))
    given = _of_libpq()
    usual = {name: value for name, value in _USUAL.items() if not given[name][1]}
    known["client_encoding"] = "UTF8"
    return Location(
        conninfo=make_conninfo("", **{**usual, **known}),
        schema=schema,
        pool_size=int(ours.get("pool_size", _POOL_SIZE)),
        prepares=ours.get("prepared_statements") != "off",
        name=f"postgresql:{make_conninfo('', **named)} schema={schema}",
    )


def _read(url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters of libpq in *url*, those ahead of the ``?`` too, and ours.

    Raises:
        SettingsError: it is no URL of a PostgreSQL database.
    """
    _, _, rest = url.partition(":")
    if not rest.startswith("//"):
        raise SettingsError(
            "The URL of the store lacks the two slashes after its scheme: write postgresql://user@host/database."
        )
    found = _URL.fullmatch(rest)
    if found is None or _NO_CHARACTER.search(rest):
        raise SettingsError(_UNENCODED)
    ours, theirs, libpqs = {}, [], _of_libpq()
    for position, pair in enumerate(filter(None, (found["query"] or "").split("&")), 1):
        name, separator, value = pair.partition("=")
        name = unquote(name)
        if name in _OURS:
            ours[name] = unquote(value)
        elif separator and name in libpqs:
            theirs.append(pair)
        else:
            raise _unknown(name, position, {*libpqs, *_OURS})
    # The slash ends what libpq searches for an @.
    given = f"postgresql:{found['place']}{found['database'] or '/'}?{'&'.join(theirs)}"
    try:
        known = {name: str(value) for name, value in conninfo_to_dict(given).items()}
    except psycopg.ProgrammingError:  # its text has pieces of the URL
        raise SettingsError(_UNENCODED) from None
    # A role with a colon is a password that was encoded together with the colon ahead of it.
    if any("@" in known.get(name, "") for name in ("host", "port", "dbname")) or ":" in known.get("user", ""):
        raise SettingsError(_UNENCODED)
    return known, ours


def _unknown(name: str, position: int, known: set[str]) -> SettingsError:
    """Return the error for a parameter of which nobody knows; one that resembles none may be a piece of a password."""
    near = [_ELSEWHERE[name]] if name in _ELSEWHERE else get_close_matches(name, known, 1, 0.75)
    if near:
        return SettingsError(
            "The URL of a store has no parameter %(name)s: perhaps you meant %(near)s.", name=name, near=near[0]
        )
    return SettingsError(
        "Parameter %(position)s in the URL of the store is neither a libpq parameter nor one of ours (%(names)s); & "
        "and = in a value are percent-encoded as %%26 and %%3D.",
        position=position,
        names=", ".join(sorted(_OURS)),
    )


def _of_libpq() -> dict[str, tuple[str | None, str]]:
    """Return libpq's parameters: the variable of each, and its value where the URL has none, by name."""
    return {
        option.keyword.decode(): (
            option.envvar.decode() if option.envvar else None,
            option.val.decode("utf-8", "replace") if option.val else "",
        )
        for option in Conninfo.get_defaults()
    }


def _check(given: Mapping[str, str]) -> None:
    """Refuse the values that libpq would refuse in the middle of connecting.

    Args:
        given: the parameters in the URL; libpq's own variables fill in what is missing.

    Raises:
        SettingsError: there is such a value.
    """
    for name, (variable, value) in {**dict.fromkeys(_OURS, (None, "")), **_of_libpq()}.items():
        text: str = given.get(name, value)
        place = N_("the URL of the store") if name in given or variable is None else variable
        if name == "port" and not all(_is_number(port, 1, _LAST_PORT) for port in text.split(",") if port):
            raise SettingsError(
                "The port in %(place)s is not a number from 1 to 65535; where it is a piece of a password, "
                "percent-encode what is reserved in URLs, such as @, / or #.",
                place=Message(place),
            )
        if not text and name not in given:
            continue
        if name in _CHOICES and text not in _CHOICES[name]:
            raise SettingsError(
                "%(parameter)s in %(place)s must be one of %(choices)s.",
                parameter=name,
                place=Message(place),
                choices=", ".join(_CHOICES[name]),
            )
        if name in _NUMBERS and not _is_number(text, *_NUMBERS[name]):
            least, most = _NUMBERS[name]
            raise SettingsError(
                "%(parameter)s in %(place)s must be a whole number from %(least)s to %(most)s.",
                parameter=name,
                place=Message(place),
                least=least,
                most=most,
            )


def _is_number(text: str, least: int, most: int) -> bool:
    return re.fullmatch(r"-?[0-9]{1,10}", text) is not None and least <= int(text) <= most


def _schema(name: str) -> str:
    if not 0 < len(name.encode()) <= _MOST_SCHEMA_BYTES or {"\0", "%"} & set(name) or name.startswith(_TAKEN):
        raise SettingsError(
            "The schema in the URL of the store is not a valid name: it has 1 to 63 bytes and no percent sign, and "
            "is none of PostgreSQL's own."
        )
    return name


def _password_in(path: str) -> str:
    try:
        lines = Path(path).expanduser().read_text("utf-8").splitlines()
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(
            "The file that password_file in the URL of the store names cannot be read (%(reason)s): check its path, "
            "and that it is yours.",
            reason=getattr(error, "strerror", None) or type(error).__name__,
        ) from None
    if not lines or not lines[0]:
        raise SettingsError(
            "The file that password_file in the URL of the store names has no password in its first line."
        )
    return lines[0]
