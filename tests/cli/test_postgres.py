"""The command line on a history in PostgreSQL: what is special about a store that is not a folder."""

import signal
from pathlib import Path

import pytest
from psycopg import sql

from tests.cli.conftest import Call, History
from tests.cli.processes import read_document, started
from tests.postgres_server import PostgresServer
from tests.stores.postgres.servers import own_server

_AWAY = "postgresql://me:s3cret@127.0.0.1:1/history"
_RUN = '{"workflow_id": "w", "execute_id": "run-00001", "execute_status": "success", "create_time": 1700000000000}'


@pytest.fixture
def _trusts(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--postgres"):
        pytest.skip("only a server of the tests' own is known to let in any role, with any password")


def _schemas(server: PostgresServer, url: str) -> int:
    """How many schemas there are of the name in *url*."""
    name = url.partition("schema=")[2].partition("&")[0]
    with server.connected() as connection:
        found = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [name]).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("words", [["list"], ["workflows"], ["stats"], ["search", "x"], ["export", "-o", "-"]])
def test_looking_makes_no_tables(call: Call, postgres: PostgresServer, postgres_url: str, words: list[str]) -> None:
    """A database without a history is an empty one, and stays as it is."""
    assert 0 == call(*words, "--store", postgres_url).code
    assert 0 == _schemas(postgres, postgres_url)


def test_a_folder_is_moved_and_both_have_the_same(call: Call, history: History, postgres_url: str) -> None:
    """As the README says; the runs are then listed from there, and come back byte for byte."""
    history.keep("run-1", execute_status="success", output={"a": "北京"})
    history.keep("run-2", execute_status="failed", error_code=4000)
    assert 0 == call("copy", "history", postgres_url).code
    assert 2 == call("list", "--json", "--store", postgres_url).json()["total"]
    assert 0 == call("copy", postgres_url, "back", "--json").code
    shown = [call("show", "run-1", "--json", "--store", place).out for place in ("history", postgres_url, "back")]
    assert 1 == len(set(shown))


def test_an_import_says_nothing_of_an_index(call: Call, tmp_path: Path, postgres_url: str) -> None:
    """There is none to wait for."""
    (tmp_path / "in.jsonl").write_text(_RUN)
    said = call("import", "in.jsonl", "--store", postgres_url)
    assert (0, True) == (said.code, said.out.startswith("1 added, 0 replaced"))
    assert "index" not in said.out + said.err
    assert 0 == call("import", "in.jsonl", "--store", postgres_url, "--json").json()["index_seconds"]


@pytest.mark.parametrize("words", [["list"], ["--debug", "list"], ["follow"]])
def test_a_server_that_is_away_is_one_sentence_without_a_password(call: Call, words: list[str]) -> None:
    """Which says what to look at; the code is that of a store's trouble."""
    said = call(*words, "--store", _AWAY)
    sentence = said.err.splitlines()[-1]
    assert (4, True) == (said.code, sentence.startswith("Error: The PostgreSQL server of this history cannot be"))
    assert "s3cret" not in said.out + said.err


@pytest.mark.parametrize("words", [["list"], ["--debug", "list"], ["serve", "--port", "0"], ["copy", "history"]])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql:me:s3cret@h/d",
        "postgresql://me:s3 cret@127.0.0.1:1/d",
        "postgresql://me:s3%cret@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1/d?passwort=s3cret",
        "postgresql://me:s3cret@127.0.0.1:1/d?sslmode=foo",
        "postgresql://me:s3cret@127.0.0.1:1x/d",
    ],
)
def test_a_wrong_url_is_a_wrong_call_and_shows_no_password(
    call: Call, history: History, words: list[str], url: str
) -> None:
    """Nothing is connected: the code is that of a setting, also for those faults that libpq finds later."""
    history.keep()
    said = call(*words, *(["--store"] if words != ["copy", "history"] else []), url)
    assert 2 == said.code
    assert not any(piece in said.out + said.err for piece in ("s3", "cret"))


def test_serve_waits_for_a_database_that_starts_beside_it(tmp_path: Path) -> None:
    """It says so once, and serves when the database is there."""
    with own_server() as database:
        database.crash()
        with started("serve", "--port", "0", "--json", "--store", database.url, folder=tmp_path) as process:
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            database.start()
            announced = read_document(process.stdout)
            process.send_signal(signal.SIGTERM)
            _, more = process.communicate()
    assert said.endswith("Waiting up to 30 seconds for it.\n")
    assert "cannot be reached" in said
    assert (0, b"Stopped.\n", database.url) == (process.returncode, more, announced["store"])


@pytest.mark.usefixtures("_trusts")
def test_a_role_without_rights_is_told_so(
    call: Call, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """It may neither make the tables nor read those of others."""
    role = postgres_url.partition("schema=")[2].partition("&")[0]
    theirs = postgres_url.replace("postgres@", f"{role}@", 1)
    with postgres.connected() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        (tmp_path / "in.jsonl").write_text(_RUN)
        refused = call("import", "in.jsonl", "--store", theirs)
        assert (4, True) == (refused.code, "open the history once with a role that may" in refused.err)
        assert 0 == call("import", "in.jsonl", "--store", postgres_url).code
        assert (4, True) == ((said := call("list", "--store", theirs)).code, "lacks a right" in said.err)
    finally:
        with postgres.connected() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_a_damaged_run_is_named_with_its_database(
    call: Call, postgres: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """A run whose data is damaged is left out of lists and named; there is no file to do anything about."""
    (tmp_path / "in.jsonl").write_text(_RUN)
    assert 0 == call("import", "in.jsonl", "--store", postgres_url).code
    schema = postgres_url.partition("schema=")[2].partition("&")[0]
    with postgres.connected() as connection:
        connection.execute(sql.SQL("UPDATE {} SET document = 'x'").format(sql.Identifier(schema, "executions")))
    said = call("show", "run-00001", "--store", postgres_url)
    assert (4, True) == (said.code, "its data in " in said.err)
    assert "history.db" not in said.err


@pytest.mark.usefixtures("_trusts")
def test_a_server_names_the_database_without_the_password(postgres_url: str, tmp_path: Path) -> None:
    """To people and to programs."""
    url = postgres_url.replace("postgres@", "postgres:s3cret@", 1)
    with started("serve", "--port", "0", "--json", "--store", url, folder=tmp_path) as process:
        announced = read_document(process.stdout)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    assert announced["store"] == url.replace("s3cret", "…")
    assert (0, False) == (process.returncode, b"s3cret" in err)
