"""The seam for what else follows the change feed in ``index.db``, such as the text index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import apsw

from execution_history.query.text import Search


@dataclass(frozen=True, slots=True)
class Match:
    """A question to a full-text table whose rowids are those of ``facets``.

    Attributes:
        table: the table.
        expression: what stands behind MATCH.
        is_exact: whether every row that it gives has what is searched for; otherwise each document has to be looked at.
    """

    table: str
    expression: str
    is_exact: bool


class Part(Protocol):
    """Tables of its own in ``index.db``, kept by the indexer within its transactions.

    A part never begins or ends a transaction. What it keeps in Python must survive a rollback: the last records that it
    was given may come again.

    Attributes:
        name: short, unique among the parts.
        version: changes when what it stores changes its meaning; the index is then made anew.
    """

    name: str
    version: str

    def create_tables(self, connection: apsw.Connection) -> None:
        """Make its tables in a new ``index.db``."""

    def prepare(self, record: Mapping[str, Any]) -> str:
        """Return what it keeps of *record*, a document of the 19 keys or its outline."""

    def put(self, connection: apsw.Connection, rowid: int, prepared: str) -> None:
        """Take in what was *prepared*, in the place of what *rowid* had before, if anything."""

    def remove(self, connection: apsw.Connection, rowid: int) -> None:
        """Forget what *rowid* had; there may be nothing."""

    def match(self, search: Search) -> Match | None:
        """Return what finds the rows that may have the texts of *search*; ``None`` where this part knows no texts."""
