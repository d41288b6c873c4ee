"""The tables of a history: made and brought up to date when it is opened, by one process at a time."""

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import errors, sql

from execution_history.errors import N_, Message, StoreTooNew, StoreUnwritable, quoted
from execution_history.stores.compression import CURRENT, shipped_dictionary
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.error_mapping import reason_of
from execution_history.stores.postgres.queries import DEFAULT_SCHEMA, Migration, Statements, migrations

_LOCK: Final = 0x6578_6563_6869_7374
"""The advisory lock under which tables are made; any number that is ours."""

_LOCK_SECONDS: Final = 10

_NOT_MADE: Final = N_(
    "The tables of this history are not there or are of an older version, and this PostgreSQL role may not make them "
    "in the schema %(schema)s (%(reason)s): open the history once with a role that may, or check the schema in the URL."
)

_SCHEMA_EXISTS: Final = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
_MAY_MAKE: Final = """
SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE, USAGE') FROM pg_catalog.pg_namespace WHERE nspname = %s),
    has_database_privilege(current_database(), 'CREATE'))
"""

_DISTRIBUTED: Final = ("executions", "nodes", "counters", "rollups", "durations", "deletions", "bin")
_REFERENCE: Final = ("long_texts",)
_DISTRIBUTED_SINCE: Final = {1: _DISTRIBUTED, 4: ("costs",), 6: ("days", "day_stamps")}
"""The tables that a migration makes and that are spread over the nodes of a cluster, beside those of the first one."""


def prepare(connection: Connection, statements: Statements) -> None:
    """Make or change the tables, where that is needed and this code knows how.

    Nothing is written where they are up to date, so that a role without the right to make tables can use them.

    Args:
        connection: commits each statement by itself.
        statements: for the schema.

    Raises:
        StoreTooNew: a newer version has changed the tables so that this one cannot use them.
        StoreUnwritable: the role may not make them.
        psycopg.Error: it could not be done.
    """
    [(encoding,)] = connection.execute("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise StoreUnwritable(
            "The database of this history has the encoding %(encoding)s, and a history needs UTF8: make another "
            "database with ENCODING 'UTF8'.",
            encoding=encoding,
        )
    known = migrations()
    missing = _missing(connection, statements, known)
    if not missing:
        return
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_SECONDS}s",))
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if _exists(connection, statements):
                missing = _missing(connection, statements, known)
            elif not connection.execute(_SCHEMA_EXISTS, (statements.schema,)).fetchone():
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(statements.schema)))
            for step in missing:
                _take(connection, statements, step)
    except errors.InsufficientPrivilege as error:
        raise StoreUnwritable(_NOT_MADE, schema=quoted(statements.schema), reason=reason_of(error)) from None
    except (errors.DuplicateTable, errors.DuplicateObject) as error:
        raise _is_taken(statements, error) from None


def is_there(connection: Connection, statements: Statements) -> bool:
    """Return whether there is a history in the schema.

    Raises:
        StoreUnwritable: there is none, and the role may not make one: what looks empty is out of reach.
    """
    if _exists(connection, statements):
        return True
    if connection.execute(_MAY_MAKE, (statements.schema,)).fetchone() != (True,):
        reason = Message("the role lacks the right CREATE")
        raise StoreUnwritable(_NOT_MADE, schema=quoted(statements.schema), reason=reason)
    return False


def _missing(connection: Connection, statements: Statements, known: Sequence[Migration]) -> list[Migration]:
    """Return the steps that have not been taken."""
    if not _exists(connection, statements):
        return list(known)
    try:
        taken = connection.execute(statements["migrations_taken"]).fetchall()
    except errors.UndefinedColumn as error:
        raise _is_taken(statements, error) from None
    least = max((oldest for _, oldest in taken), default=1)
    if least > known[-1].number:
        raise StoreTooNew(
            "The history in the schema %(schema)s is used by a newer version of execution-history: install that one.",
            schema=quoted(statements.schema),
        )
    numbers = {number for number, _ in taken}
    return [step for step in known if step.number not in numbers]


def _is_taken(statements: Statements, error: psycopg.Error) -> StoreUnwritable:
    return StoreUnwritable(
        "The schema %(schema)s has tables of another program (%(reason)s): name one in the URL that is for the history "
        "alone, such as ?schema=%(default)s.",
        schema=quoted(statements.schema),
        reason=reason_of(error),
        default=DEFAULT_SCHEMA,
    )


def _exists(connection: Connection, statements: Statements) -> bool:
    found = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = 'migrations')",
        (statements.schema,),
    ).fetchone()
    return found is not None and bool(found[0])


def _take(connection: Connection, statements: Statements, step: Migration) -> None:
    connection.execute(statements.placed(step.script))
    if step.number == 1:
        connection.execute(statements["add_dictionary"], (CURRENT, shipped_dictionary()))
    if step.number in _DISTRIBUTED_SINCE:
        _distribute(connection, statements, _DISTRIBUTED_SINCE[step.number])
    connection.execute(statements["add_migration"], (step.number, step.name, step.oldest_code))


def _distribute(connection: Connection, statements: Statements, tables: Sequence[str]) -> None:
    """Spread *tables* over the nodes of a cluster, where the database has the extension Citus."""
    if not connection.execute("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'").fetchone():
        return

    def named(table: str) -> str:
        return sql.Identifier(statements.schema, table).as_string(connection)

    for table in tables:
        if table == _DISTRIBUTED[0]:
            connection.execute("SELECT create_distributed_table(%s, 'workflow_id')", (named(table),))
            continue
        values = (named(table), named(_DISTRIBUTED[0]))
        connection.execute("SELECT create_distributed_table(%s, 'workflow_id', colocate_with => %s)", values)
    for table in _REFERENCE if tables is _DISTRIBUTED else ():
        connection.execute("SELECT create_reference_table(%s)", (named(table),))
