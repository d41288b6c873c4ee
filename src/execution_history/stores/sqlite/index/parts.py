"""The seam for what else follows the change feed in ``index.db``, such as the text index."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import apsw


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of an SQL condition: a literal of ours, and the values for its question marks."""

    sql: str
    values: tuple[int | str, ...] = ()


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

    def add(self, connection: apsw.Connection, rowid: int, record: Mapping[str, Any]) -> None:
        """Take in *record*, a parsed document of the 19 keys, in the place of what *rowid* had before, if anything."""

    def remove(self, connection: apsw.Connection, rowid: int) -> None:
        """Forget what *rowid* had; there may be nothing."""

    def matching(self, text: str) -> Fragment | None:
        """The condition on ``f.seq`` that a row has *text*; ``None`` where this part knows nothing about texts.

        Raises:
            InvalidQuery: the text cannot be searched for.
        """
