"""Connections that are refused for a reason that does not pass: each with advice of its own."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server

import psycopg
import pytest

from execution_history.errors import StoreBusy, StoreUnwritable
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.presence import has_tables
from tests.stores.postgres.servers import own_server


@pytest.fixture(scope="module")
def role_url() -> Iterator[str]:
    """The URL, without its password, of a role that needs one."""
    with own_server() as server:
        with closing(psycopg.connect(server.url, autocommit=True)) as connection:
            connection.execute("CREATE ROLE pw LOGIN PASSWORD 'right'")
        server.require_password("pw")
        yield server.url.replace("//postgres@", "//pw@", 1)


def _refusal(url: str) -> str:
    with pytest.raises(StoreUnwritable) as raised:
        has_tables(location_of(url))
    return str(raised.value)


def test_a_password_that_is_missing_is_asked_for_with_its_places(
    role_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is one in a file that others may read, which libpq ignores."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    passes = tmp_path / "pgpass"
    passes.write_text("*:*:*:*:right\n")
    passes.chmod(0o644)
    monkeypatch.setenv("PGPASSFILE", str(passes))
    said = _refusal(role_url)
    assert all(place in said for place in ("requires a password", "password_file", "PGPASSWORD", "0600"))


def test_a_password_that_is_wrong_is_not_one_that_is_missing(role_url: str) -> None:
    """The sentence names the places one can come from, in their order."""
    said = _refusal(role_url.replace("pw@", "pw:geheim@", 1))
    assert "does not accept this user with this password" in said
    assert "geheim" not in said


def test_a_server_without_tls_is_no_server_that_is_away() -> None:
    """Nor is its address looked at."""
    with create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(8)
                client.sendall(b"N")
                client.recv(1)

        answering = threading.Thread(target=refuse)
        answering.start()
        said = _refusal(f"postgresql://me@127.0.0.1:{listener.getsockname()[1]}/h?sslmode=require&gssencmode=disable")
        answering.join()
    assert "check sslmode, sslrootcert and the certificate" in said


@pytest.mark.parametrize("parameters", ["service=nowhere", "host=a&port=1,2", "service=odd"])
def test_settings_that_only_libpq_can_judge_are_no_server_that_is_away(
    parameters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a service file, and lists of different lengths."""
    services = tmp_path / "services"
    services.write_text("[odd]\nsslmode=foo\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    assert "libpq cannot use the settings" in _refusal(f"postgresql:///h?{parameters}")


def test_a_server_that_is_away_is_told_on_one_short_line() -> None:
    """Without libpq's question whether it runs."""
    with pytest.raises(StoreBusy) as raised:
        has_tables(location_of("postgresql://me@127.0.0.1:1/h"))
    assert "Is the server" not in str(raised.value)
    assert "port 1 failed: Connection refused)" in str(raised.value)
