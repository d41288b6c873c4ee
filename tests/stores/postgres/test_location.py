"""The URL of a history in PostgreSQL: what it may be, and that no fault of one shows a password."""

import traceback
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from execution_history.errors import SettingsError
from execution_history.records.redaction import shown_store
from execution_history.settings import Settings
from execution_history.stores.factory import store_at
from execution_history.stores.postgres.location import location_of

_MARK: Final = "geheim"


def _known(url: str) -> dict[str, str]:
    return {name: str(value) for name, value in conninfo_to_dict(location_of(url).conninfo).items()}


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("postgresql:///history?host=/var/run/postgresql", {"dbname": "history", "host": "/var/run/postgresql"}),
        ("postgresql:///history", {"dbname": "history"}),
        ("postgresql://", {}),
        ("postgresql:///?service=hist", {"service": "hist"}),
        ("postgres://me@%2Frun%2Fpg/h", {"user": "me", "host": "/run/pg", "dbname": "h"}),
        ("postgresql://me@[::1]:5433,b:5434/h", {"user": "me", "host": "::1,b", "port": "5433,5434", "dbname": "h"}),
        ("postgresql://me:p%40ss@h", {"user": "me", "password": "p@ss", "host": "h"}),
        ("postgresql://h?user=me@corp", {"user": "me@corp", "host": "h"}),
        ("postgresql+psycopg://me@h/d", {"user": "me", "host": "h", "dbname": "d"}),
        (" POSTGRESQL://me@h/d\n", {"user": "me", "host": "h", "dbname": "d"}),
    ],
)
def test_a_url_is_read_as_psql_reads_it(url: str, known: dict[str, str]) -> None:
    """One without a host too, whose slashes all stay; and one of SQLAlchemy, which names a driver."""
    names = ("user", "password", "host", "port", "dbname", "service")
    assert known == {name: value for name, value in _known(url).items() if name in names}
    store_at(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql:me:geheim@h/d", "lacks the two slashes"),
        ("postgresql:/me:geheim@h/d", "lacks the two slashes"),
        ("postgresql://u:p@geheim@host/db", "percent-encode"),
        ("postgresql://u:geheim#x@host/db", "percent-encode"),
        ("postgresql://u:pa geheim@host/db", "percent-encode"),
        ("postgresql://u:geheim%ss@host/db", "percent-encode"),
        ("postgresql://u:ge[he]geheim@host/db", "percent-encode"),
        ("postgresql://u%3Ageheim@host/db", "percent-encode"),
        ("postgresql://u:pa?geheim@host/db", "percent-encode"),
        ("postgresql://u:pa/geheim@host/db", "percent-encode"),
        ("postgresql://u:geheim/db", "port in the URL of the store is not a number"),
        ("postgresql://h:1815x/d", "port in the URL of the store is not a number from 1 to 65535"),
        ("postgresql://h:181500/d", "port in the URL of the store is not a number from 1 to 65535"),
        ("postgresql://h/d?port=geheim", "port in the URL of the store is not a number from 1 to 65535"),
        ("postgresql://h/d?user=u&passwort=geheim", "no parameter passwort: perhaps you meant password"),
        ("postgresql://h/d?ssl=geheim", "no parameter ssl: perhaps you meant sslmode"),
        ("postgresql://h/d?schemas=geheim", "no parameter schemas: perhaps you meant schema"),
        ("postgresql://h/d?user=u&password=x&geheim=y", "Parameter 3"),
        ("postgresql://h/d?sslmode=geheim", "sslmode in the URL of the store must be one of disable, allow, prefer"),
        ("postgresql://h/d?connect_timeout=geheim", "connect_timeout in the URL of the store must be a whole number"),
        ("postgresql://h/d?pool_size=0", "pool_size in the URL of the store must be a whole number from 1 to 999"),
        ("postgresql://h/d?prepared_statements=geheim", "prepared_statements in the URL .* one of on, off"),
        ("postgresql://h/d?schema=pg_geheim", "schema in the URL"),
        ("postgresql://h/d?schema=information_schema", "schema in the URL"),
        ("postgresql://h/d?schema=geheim%25b", "schema in the URL"),
        ("postgresql://h/d?password_file=/geheim", "cannot be read .No such file or directory.: check its path"),
        ("postgresql://h/d?password_file=~geheim/x", "cannot be read"),
    ],
)
def test_a_fault_names_its_place_and_shows_no_value(url: str, sentence: str) -> None:
    """Before anything is connected, and without the text of any library."""
    with pytest.raises(SettingsError, match=sentence) as raised:
        location_of(url)
    assert _MARK not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(("variable", "value"), [("PGSSLMODE", "foo"), ("PGPORT", "x"), ("PGCONNECT_TIMEOUT", "soon")])
def test_a_variable_of_libpq_is_named_where_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """They fill in what the URL leaves out."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"in {variable} "):
        location_of("postgresql://h/d")
    location_of("postgresql://h:1/d?sslmode=prefer&connect_timeout=1")


def test_a_password_comes_from_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of a file, also of one at home; two passwords are refused, and a file without one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "pw"
    file.write_text("geheim\nmore\n")
    assert "geheim" == _known("postgresql://me@h/d?password_file=~/pw")["password"]
    assert _MARK not in repr(location_of("postgresql://me@h/d?password_file=~/pw"))
    for url in ("postgresql://me:other@h/d?password_file=~/pw", "postgresql://h/d?password=o&password_file=~/pw"):
        with pytest.raises(SettingsError, match="both a password and a password_file"):
            location_of(url)
    for empty in ("", "\nmore"):
        file.write_text(empty)
        with pytest.raises(SettingsError, match="no password in its first line"):
            location_of("postgresql://me@h/d?password_file=~/pw")


_ODD: Final = st.text(st.sampled_from("@/?#%:[] &=+;,\\'\"\t\n\0.$é"), max_size=3)
_SCHEMES: Final = (
    "postgresql://",
    "postgres://",
    "POSTGRESQL://",
    "postgresql+psycopg://",
    "postgresql:",
    "postgresql:/",
)
_SECRETS: Final = (
    "{}me:{}@h/d", "{}me:{}@h:5432/d?sslmode=prefer", "{}:{}@/d", "{}me:x@h/d?password={}",
    "{}h/d?user=me&sslpassword={}&port=1", "{}h/d?passwort={}", "{}h/d?oauth_client_secret={}",
)  # fmt: skip
_OTHERS: Final = (
    "{}h/d?sslmode={}", "{}h/d?pool_size={}", "{}h/d?port={}", "{}h/d?password_file={}", "{}h/d?schema=pg_{}",
    "{}h/d?password=x&{}=y",
)  # fmt: skip
"""Where the value is none of a secret, so that settings may show it."""


@given(scheme=st.sampled_from(_SCHEMES), shape=st.sampled_from(_SECRETS + _OTHERS), parts=st.tuples(_ODD, _ODD, _ODD))
def test_no_fault_of_a_url_shows_a_secret(scheme: str, shape: str, parts: tuple[str, str, str]) -> None:
    """Wherever one stands, and whatever characters are in it: not in the sentence, a traceback, a name or a setting."""
    first, middle, last = parts
    url = shape.format(scheme, f"{first}{_MARK}{middle}{_MARK}{last}")
    settings = Settings(store=url)
    shown = [shown_store(url), repr(settings), settings.model_dump_json()] if shape in _SECRETS else []
    try:
        shown.append(repr(location_of(url)))
    except SettingsError as error:
        shown += [repr(error), "".join(traceback.format_exception(error))]
    assert [] == [text for text in shown if _MARK in text]
