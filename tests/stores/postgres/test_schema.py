"""The tables: made once, whoever comes first, and used by those that may not make any."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from execution_history.errors import StoreBusy, StoreTooNew, StoreUnwritable
from execution_history.stores.postgres.location import location_of
from execution_history.stores.postgres.presence import has_tables
from execution_history.stores.postgres.queries import migrations
from execution_history.stores.postgres.store import PostgresStore
from tests.postgres_server import PostgresServer
from tests.sample_records import document

pytestmark = pytest.mark.anyio

_SCHEMA: Final = Path(__file__).parent / "schema.txt"
_COLUMNS: Final = """
SELECT table_name, column_name, data_type, is_nullable, coalesce(collation_name, '') FROM information_schema.columns
WHERE table_schema = %s ORDER BY table_name, ordinal_position
"""
_TABLES: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
_INDEXES: Final = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY indexname"
_OPTIONS: Final = """
SELECT relname, array_to_string(reloptions, ', ') FROM pg_class
WHERE relnamespace = %s::regnamespace AND reloptions IS NOT NULL ORDER BY relname
"""


@asynccontextmanager
async def opened(url: str, **more: Any) -> AsyncIterator[PostgresStore]:
    """The history at *url*."""
    store = PostgresStore(location_of(url), **more)
    try:
        await store.open()
        yield store
    finally:
        await store.aclose()


async def test_the_tables_are_the_sum_of_the_migrations(postgres: PostgresServer, postgres_url: str) -> None:
    """Whoever changes a table sees it here: schema.txt has what all steps together make."""
    async with opened(postgres_url):
        schema = location_of(postgres_url).schema
        with postgres.connected() as connection:
            lines = [" ".join(row) for row in connection.execute(_COLUMNS, (schema,))]
            lines += [row[0].replace(schema, "execution_history") for row in connection.execute(_INDEXES, (schema,))]
            lines += [" ".join(row) for row in connection.execute(_OPTIONS, (schema,))]
    assert _SCHEMA.read_text("utf-8").splitlines() == lines


async def test_many_that_come_first_make_the_tables_once(postgres: PostgresServer, postgres_url: str) -> None:
    """They wait for each other, and every one of them works."""
    stores = [PostgresStore(location_of(postgres_url)) for _ in range(8)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        await asyncio.gather(*(store.create(document(f"e{number}")) for number, store in enumerate(stores)))
        assert [8] * 8 == [(await store.workflows())[0].total for store in stores]
    finally:
        await asyncio.gather(*(store.aclose() for store in stores))
    with postgres.connected() as connection:
        table = sql.Identifier(location_of(postgres_url).schema, "migrations")
        taken = connection.execute(sql.SQL("SELECT number FROM {} ORDER BY number").format(table)).fetchall()
    assert [(step.number,) for step in migrations()] == taken


async def test_a_newer_version_may_have_added_something(postgres: PostgresServer, postgres_url: str) -> None:
    """This one goes on beside it, unless its tables are said to need newer code: then it names the way out."""
    table = sql.Identifier(location_of(postgres_url).schema, "migrations")
    add = sql.SQL("INSERT INTO {} (number, name, oldest_code) VALUES (%s, 'later', %s)").format(table)
    async with opened(postgres_url) as store:
        with postgres.connected() as connection:
            connection.execute(add, (len(migrations()) + 1, 1))
        async with opened(postgres_url) as other:
            await other.create(document("a"))
        with postgres.connected() as connection:
            connection.execute(add, (len(migrations()) + 2, len(migrations()) + 1))
        with pytest.raises(StoreTooNew, match="install that one"):
            await PostgresStore(location_of(postgres_url)).open()
        # Whoever has it open has to be stopped before such a step; nothing is lost meanwhile.
        assert 1 == (await store.workflows())[0].total


@pytest.fixture
def role(postgres: PostgresServer) -> Any:
    """A role that may not make anything."""
    name = f"user_{secrets.token_hex(8)}"
    with postgres.connected() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p%%40ss'").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


async def test_a_role_without_rights_to_make_tables_uses_them(
    postgres: PostgresServer, postgres_url: str, role: str
) -> None:
    """It reads and writes in tables that are there; where they are not, it says which right is missing."""
    own = postgres_url.replace("//postgres@", f"//{role}:{quote('p%40ss')}@", 1)
    assert own != postgres_url
    with pytest.raises(StoreUnwritable, match="open the history once with a role that may"):
        await PostgresStore(location_of(own)).open()
    async with opened(postgres_url):
        schema = sql.Identifier(location_of(postgres_url).schema)
        with postgres.connected() as connection:
            for grant in (
                "GRANT USAGE ON SCHEMA {} TO {}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}",
                "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}",
            ):
                connection.execute(sql.SQL(grant).format(schema, sql.Identifier(role)))
        async with opened(own) as store:
            await store.create(document("a"))
            assert await store.get("w", "a") is not None
            assert () == (await store.health()).problems


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://postgres@/postgres?host=/nowhere", "cannot be reached"),
        ("postgresql://postgres@127.0.0.1:1/postgres", "cannot be reached"),
    ],
)
async def test_a_server_that_is_not_there_is_named(url: str, sentence: str) -> None:
    """By one sentence, without a password."""
    with pytest.raises(StoreBusy, match=sentence) as raised:
        await PostgresStore(location_of(url.replace("postgres@", "postgres:geheim@"))).open()
    assert "geheim" not in str(raised.value)


async def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    """It is nothing that passes."""
    url = postgres.url.replace("/postgres?", "/not_there?", 1)
    with pytest.raises(StoreUnwritable, match="not_there"):
        await PostgresStore(location_of(url)).open()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


async def test_a_role_that_is_not_there_is_no_server_that_is_away(postgres_url: str) -> None:
    """Waiting does not help: the sentence says what to look at."""
    url = postgres_url.replace("//postgres@", "//nobody_at_all@", 1)
    assert url != postgres_url
    with pytest.raises(StoreUnwritable, match="check user, password and database"):
        await PostgresStore(location_of(url)).open()


async def test_a_schema_that_an_administrator_made_is_used(
    postgres: PostgresServer, postgres_url: str, role: str
) -> None:
    """By its owner, who may make nothing else in the database."""
    own = postgres_url.replace("//postgres@", f"//{role}:{quote('p%40ss')}@", 1)
    schema = sql.Identifier(location_of(own).schema)
    with postgres.connected() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(schema, sql.Identifier(role)))
    async with opened(own) as store:
        await store.create(document("a"))
        assert await store.get("w", "a") is not None


async def test_a_database_of_another_encoding_is_refused(postgres: PostgresServer) -> None:
    """It could not keep every text."""
    name = sql.Identifier(f"latin_{secrets.token_hex(4)}")
    with postgres.connected() as connection:
        make = "CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        connection.execute(sql.SQL(make).format(name))
        try:
            url = postgres.url.replace("/postgres?", f"/{name.as_string().strip(chr(34))}?", 1)
            with pytest.raises(StoreUnwritable, match="LATIN1"):
                await PostgresStore(location_of(url)).open()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def test_health_names_the_right_that_is_missing(postgres: PostgresServer, postgres_url: str, role: str) -> None:
    """The one that is forgotten most: without the sequence nothing new can be recorded."""
    own = postgres_url.replace("//postgres@", f"//{role}:{quote('p%40ss')}@", 1)
    async with opened(postgres_url):
        schema = sql.Identifier(location_of(postgres_url).schema)
        with postgres.connected() as connection:
            for grant in (
                "GRANT USAGE ON SCHEMA {} TO {}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}",
            ):
                connection.execute(sql.SQL(grant).format(schema, sql.Identifier(role)))
        async with opened(own) as store:
            [problem] = (await store.health()).problems
            assert "arrivals" in problem
            with pytest.raises(StoreUnwritable):
                await store.create(document("a"))


@pytest.mark.parametrize("table", ["executions (id integer)", "migrations (id integer, migration text)"])
async def test_tables_of_another_program_are_left_alone(
    postgres: PostgresServer, postgres_url: str, table: str
) -> None:
    """The sentence says where a history can be instead."""
    schema = sql.Identifier(location_of(postgres_url).schema)
    with postgres.connected() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        connection.execute(sql.SQL("CREATE TABLE {}." + table).format(schema))
        with pytest.raises(StoreUnwritable, match=r"tables of another program.*\?schema=execution_history"):
            await PostgresStore(location_of(postgres_url)).open()
        kept = connection.execute(_TABLES, (location_of(postgres_url).schema,)).fetchall()
    assert [(table.partition(" ")[0],)] == kept


@pytest.mark.parametrize("is_made", [True, False])
def test_a_schema_that_is_out_of_reach_is_not_an_empty_history(
    postgres: PostgresServer, postgres_url: str, role: str, is_made: bool
) -> None:
    """Of a role that could not make one there either; one that can is told that there is none yet."""
    own = postgres_url.replace("//postgres@", f"//{role}:{quote('p%40ss')}@", 1)
    if is_made:
        with postgres.connected() as connection:
            schema = sql.Identifier(location_of(postgres_url).schema)
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    with pytest.raises(StoreUnwritable, match=r"the role lacks the right CREATE.*check the schema in the URL"):
        has_tables(location_of(own))
    assert not has_tables(location_of(postgres_url))
