"""The rows of all tables of a damaged database, found through its trees and, where these are broken, beside them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import apsw

from execution_history.stores.sqlite.queries import Value
from execution_history.stores.sqlite.salvage.cells import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    INTERIOR,
    LEAF,
    BrokenCell,
    Row,
    children,
    keys_on,
    kind_of,
    rows_on,
)
from execution_history.stores.sqlite.salvage.log import Log
from execution_history.stores.sqlite.salvage.pages import Pages

RECORDS: Final = "executions"
"""The table of the records."""

_SCHEMA_ROOT: Final = 1
_FRAME: Final = re.compile(rb"\x28\xb5\x2f\xfd")  # RFC 8878, section 3.1.1
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"INTEGER": (int,), "TEXT": (str,), "BLOB": (bytes,)}


class Column(NamedTuple):
    """A column: the types of its values, its default, and whether it is the number of the row itself."""

    name: str
    types: tuple[type, ...]
    default: Value
    may_be_null: bool
    is_rowid: bool


class FoundRow(NamedTuple):
    """A row of a table, with as many values as the table has columns now.

    ``is_current`` is whether the tree of the table has it: others may be older, or removed.
    """

    table: str
    values: Row
    is_current: bool


def tables_of(connection: apsw.Connection) -> dict[str, list[Column]]:
    """Return the columns of the tables of a new database, which has the newest schema."""
    names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: _columns(connection, name) for name in names if not name.startswith("sqlite_")}


def _columns(connection: apsw.Connection, table: str) -> list[Column]:
    found = []
    for _, name, kind, is_required, default, key in connection.execute(f"PRAGMA table_info({table})").fetchall():
        is_rowid = bool(key) and kind == "INTEGER"
        value: Value = None if default is None else int(default) if kind == "INTEGER" else str(default).strip("'")
        may_be_null = is_rowid or not (is_required or key)
        found.append(Column(str(name), _TYPES[str(kind)], value, may_be_null, is_rowid))
    return found


class DamagedTables:
    """Reads the rows of a damaged database.

    Args:
        pages: its pages.
        log: its write-ahead log, of which what SQLite does not read any more is read too.
        log_content: the bytes of that.
        tables: the columns that each table should have.

    Attributes:
        broken: how many pages or rows could not be read so far.
        damaged: the tables of which pages or rows could not be read through their trees.
    """

    def __init__(self, pages: Pages, log: Log, log_content: bytes, tables: Mapping[str, list[Column]]) -> None:
        self._pages = pages
        self._log, self._log_content = log, log_content
        self._tables = tables
        self._seen: set[int] = set()
        self._numbers: dict[str, int] = {}
        self._schema: dict[tuple[str, str], int] | None = None
        self.broken = 0
        self.damaged: set[str] = set()
        self._damaged_leaves: list[int] = []

    def rows(self) -> Iterator[FoundRow]:
        """Yield the rows: those in the trees first, then those on pages that no tree leads to any more, then the log's.

        Of a row that changed several versions may be among them, and in the log rows that were removed later.
        """
        roots = self._roots("table")
        self.damaged |= self._tables.keys() - roots.keys() if self.broken else set()
        for table, root in roots.items():
            if table not in self._tables:
                continue
            known = self.broken
            for number, found in self._leaves(root):
                before = self.broken
                for rowid, values in found:
                    row = self._fitted(table, rowid, values, is_current=True)
                    if row is None:
                        self.broken += 1
                    else:
                        yield row
                if table == RECORDS and self.broken > before:
                    self._damaged_leaves.append(number)
            if self.broken > known:
                self.damaged.add(table)
        if self.broken or not self._tables.keys() <= roots.keys():
            yield from self._beside()
        for frame in self._log.others:
            page = self._log_content[frame.at : frame.at + self._pages.size]
            yield from self._guessed(page, frame.page)

    def frames(self) -> Iterator[bytes]:
        """Yield what begins like a packed document on pages of records on which a row could not be read.

        Each goes on to the end of its page.
        """
        for number in self._damaged_leaves:
            page = self._pages.page(number)
            for frame in _FRAME.finditer(page):
                yield page[frame.start() :]

    def keys(self, index: str) -> Iterator[Row]:
        """Yield the keys of rows as an index has them, as far as that can be read: so a row that is lost has a name."""
        waiting, seen = [self._roots("index").get(index, 0)], set[int]()
        while waiting:
            number = waiting.pop()
            page = self._pages.page(number)
            if number in seen or kind_of(page, number) not in (INDEX_INTERIOR, INDEX_LEAF):
                continue
            seen.add(number)
            yield from (key[:-1] for key in keys_on(page, number) if all(map(_is_text, key)))
            if kind_of(page, number) == INDEX_INTERIOR:
                with suppress(BrokenCell):
                    waiting += children(page, number)

    def last_number(self, table: str) -> int:
        """Return the largest number that a row of *table* had, as SQLite notes it; 0 where that was not found."""
        root = self._roots("table").get("sqlite_sequence", 0)
        page = self._pages.page(root)
        if kind_of(page, root) == LEAF:
            for _, values in rows_on(self._pages, page, root, lambda: None):
                self._is_sequence(values)
        return self._numbers.get(table, 0)

    def _is_sequence(self, values: Row) -> bool:
        """Return whether a row says which number a table has come to, which is noted."""
        if len(values) != 2 or values[0] not in self._tables or not isinstance(values[1], int):  # noqa: PLR2004 - as SQLite has it
            return False
        self._numbers[str(values[0])] = values[1]
        return True

    def _roots(self, kind: str) -> dict[str, int]:
        """Return the first page of each table, or of each index."""
        if self._schema is None:
            self._schema = {}
            for _, values in self._tree(_SCHEMA_ROOT):
                if len(values) == 5 and isinstance(values[3], int):  # noqa: PLR2004 - the columns of sqlite_schema
                    self._schema[str(values[0]), str(values[1])] = values[3]
        return {name: root for (what, name), root in self._schema.items() if what == kind}

    def _tree(self, root: int) -> Iterator[tuple[int, Row]]:
        for _, found in self._leaves(root):
            yield from found

    def _leaves(self, root: int) -> Iterator[tuple[int, Iterator[tuple[int, Row]]]]:
        """Yield the number of each leaf of a tree with its rows, each by its own."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            page = self._pages.page(number)
            if number in self._seen or len(page) < self._pages.size:
                self.broken += 1
                continue
            self._seen.add(number)
            below = self._below(page, number)
            waiting += reversed(below)
            if not below:
                yield number, rows_on(self._pages, page, number, self._note_broken)

    def _below(self, page: bytes, number: int) -> list[int]:
        """Return the pages below one of a tree; none for a leaf, and for one of which the kind itself is damaged."""
        kind = kind_of(page, number)
        if kind == LEAF:
            return []
        with suppress(BrokenCell):
            below = children(page, number)
            there = [child for child in below if 0 < child <= self._pages.count]
            self.broken += len(below) - len(there)
            if kind == INTERIOR and there:
                return there
        self.broken += 1
        return []

    def _note_broken(self) -> None:
        self.broken += 1

    def _beside(self) -> Iterator[FoundRow]:
        """Yield the rows on pages that are in use and that no tree has led to."""
        passed = self._seen | self._pages.unused()
        for number in self._pages.numbers():
            if number not in passed:
                yield from self._guessed(self._pages.page(number), number)

    def _guessed(self, page: bytes, number: int) -> Iterator[FoundRow]:
        """Yield the rows of a page whose table only they themselves tell."""
        if kind_of(page, number) != LEAF or len(page) < self._pages.size:
            return
        for rowid, values in rows_on(self._pages, page, number, lambda: None):
            if self._is_sequence(values):
                continue
            fitting = [row for table in self._tables if (row := self._fitted(table, rowid, values)) is not None]
            if len(fitting) > 1:  # not one that has had so few columns in an earlier version
                fitting = [row for row in fitting if len(self._tables[row.table]) == len(values)]
            if len(fitting) == 1:
                yield fitting[0]

    def _fitted(self, table: str, rowid: int, values: Row, *, is_current: bool = False) -> FoundRow | None:
        """Return a row as one of *table*, with defaults for columns that it had not yet; ``None`` if it is none."""
        columns = self._tables[table]
        fewest = sum(column.default is None and not column.may_be_null for column in columns)
        if not fewest <= len(values) <= len(columns):
            return None
        full = [*values, *(column.default for column in columns[len(values) :])]
        for place, (column, value) in enumerate(zip(columns, full, strict=True)):
            if column.is_rowid and value is None:
                full[place] = rowid
            elif value is None:
                if not column.may_be_null:
                    return None
            elif not isinstance(value, column.types) or not (table == RECORDS or _is_text(value)):
                return None  # the texts of a record are read from its document, which has a checksum
        return FoundRow(table, tuple(full), is_current)


def _is_text(value: Value) -> bool:
    """Return whether every byte of a text was UTF-8; true for any other value."""
    try:
        return not isinstance(value, str) or value.encode() is not None
    except UnicodeEncodeError:
        return False
