"""The texts that columns stand for, whole."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from execution_history.query.model import RecordKey
from execution_history.stores.postgres.connections import Connection
from execution_history.stores.postgres.moment import Moment
from execution_history.stores.postgres.queries import Statements
from execution_history.stores.postgres.stored_texts import is_shortened, text_of
from execution_history.stores.sql_fragments import Fragment

_KEYS_AT: Final = (
    "SELECT e.seq, e.workflow_id, e.execute_id, e.update_time FROM execution_history.executions e WHERE e.seq = ANY(%s)"
)
_LOOKED_UP: Final = "SELECT l.key, l.text FROM execution_history.long_texts l WHERE l.key = ANY(%s)"


def restored(connection: Connection, statements: Statements, stored: Iterable[str]) -> dict[str, str]:
    """Return the texts that *stored* ones stand for, by these.

    Raises:
        psycopg.Error: they could not be read.
    """
    sql = statements.placed(_LOOKED_UP)
    return _restored(stored, lambda shortened: connection.execute(sql, (shortened,)).fetchall())


def texts_of(moment: Moment, stored: Iterable[str]) -> dict[str, str]:
    """Return the texts that *stored* ones stand for, by these, as they are at one moment.

    Raises:
        psycopg.Error: they could not be read.
    """
    return _restored(stored, lambda shortened: moment.rows(Fragment(_LOOKED_UP, (shortened,))))


def _restored(stored: Iterable[str], look_up: Callable[[list[str]], Iterable[tuple[Any, ...]]]) -> dict[str, str]:
    listed = set(stored)
    shortened = [each for each in listed if is_shortened(each)]
    found = {each: text_of(each) for each in listed}
    if shortened:
        found |= {key: text_of(text) for key, text in look_up(shortened)}
    return found


def keys_of_stored(moment: Moment, stored: Iterable[RecordKey]) -> dict[RecordKey, RecordKey]:
    """Return the ids that *stored* ones stand for, by these."""
    keys = list(stored)
    texts = texts_of(moment, (part for key in keys for part in key))
    return {key: RecordKey(texts[key.workflow_id], texts[key.execute_id]) for key in keys}


def keys_at(moment: Moment, seqs: Sequence[int]) -> list[tuple[RecordKey, int]]:
    """Return the ids and the update times (ms) of the records at *seqs*, in this order."""
    found = {seq: (RecordKey(*key), updated) for seq, *key, updated in moment.rows(Fragment(_KEYS_AT, (list(seqs),)))}
    keys = keys_of_stored(moment, (key for key, _ in found.values()))
    return [(keys[found[seq][0]], found[seq][1]) for seq in seqs if seq in found]
