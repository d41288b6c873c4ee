"""Whether a database has the tables of a history."""

from contextlib import closing

from psycopg import sql

from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.error_mapping import faults
from execution_history.stores.postgres.location import Location


def has_tables(location: Location) -> bool:
    """Return whether there is a history at *location*.

    Raises:
        StoreError: the database cannot be reached, or refuses to say.
    """
    table = sql.Identifier(location.schema, "executions").as_string()
    with faults(), closing(Connections(location).connect()) as connection:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()
    return row is not None and bool(row[0])
