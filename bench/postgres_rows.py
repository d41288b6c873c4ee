"""The rows of a fixture in PostgreSQL, made by the store's own functions; those of a repeated run, from the run it repeats."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import orjson

from bench.fixture import TEXTS, Fixture
from execution_history.clock import now_ms
from execution_history.query.model import RecordKey
from execution_history.records.record import Document
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.postgres.record_rows import COLUMNS, RecordRow, array_text, row_of
from execution_history.stores.status_numbers import OPEN_NUMBERS

_PLACES: Final = {name: place for place, name in enumerate(COLUMNS)}
_LISTS: Final = [_PLACES[name] for name in ("tags", "failed_nodes", "terms")]


@cache
def maker() -> "RowMaker":
    """Return the one of this process."""
    return RowMaker()


class RowMaker:
    """Makes rows, in which lists are texts already; it knows those of all short runs with texts of their own."""

    def __init__(self) -> None:
        self._packer = Packer(shipped_dictionary())
        self._known: dict[int, RecordRow] = {}

    def rows(self, fixture: Fixture, begin: int) -> Iterator[tuple[Document, RecordRow]]:
        """Yield the records of the chunk that begins with this number, with their rows."""
        for number, record in enumerate(fixture.chunk(begin), begin):
            document = Document.of(record, orjson.dumps(record))
            known = self._known.get(number % TEXTS) if fixture.is_short else None
            row = self._new(document) if known is None else self._repeated(known, record, document)
            # An id upstream is searched for, and what is written of a run that can go on depends on its time.
            if fixture.is_short and document.upstream_id is None and row.counted.status not in OPEN_NUMBERS:
                self._known[number % TEXTS] = row
            yield document, row

    def _new(self, document: Document) -> RecordRow:
        row = row_of(document, self._packer, now_ms())
        for place in _LISTS:
            if row.columns[place] is not None:
                row.columns[place] = array_text(row.columns[place])
        return row

    def _repeated(self, known: RecordRow, record: dict[str, Any], document: Document) -> RecordRow:
        packing, packed = self._packer.pack(document.body)
        other = {
            "execute_id": document.execute_id,
            "create_time": document.create_time,
            "update_time": document.update_time,
            "size": len(document.body),
            "packing": packing,
            "conversation": record["conversation_id"],
            "document": packed,
        }
        columns = known.columns.copy()
        for name, value in other.items():
            columns[_PLACES[name]] = value
        return known._replace(
            key=RecordKey(known.key.workflow_id, document.execute_id),
            counted=known.counted._replace(create_time=document.create_time),
            columns=columns,
        )
