"""The texts that columns have shortened, looked up."""

from collections.abc import Iterable

from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.postgres.stored_texts import is_shortened, text_of


def restored(connection: Connection, statements: Statements, stored: Iterable[str]) -> dict[str, str]:
    """Return the texts for which *stored* ones stand, by what stands for them.

    Raises:
        psycopg.Error: they could not be read.
    """
    found = dict.fromkeys(stored, "")
    shortened = [each for each in found if is_shortened(each)]
    whole = dict(connection.execute(statements["long_texts"], (shortened,)).fetchall()) if shortened else {}
    return {each: text_of(whole.get(each, each)) for each in found}
