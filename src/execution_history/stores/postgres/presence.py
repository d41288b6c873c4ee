"""Whether a database has a history."""

from contextlib import closing

from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.error_mapping import faults
from execution_history.stores.postgres.location import Location
from execution_history.stores.postgres.schema import is_there


def has_tables(location: Location) -> bool:
    """Return whether there is a history at *location*.

    Raises:
        StoreError: the database cannot be reached.
    """
    connections = Connections(location)
    with faults(), closing(connections.connect()) as connection:
        return is_there(connection, connections.statements)
