"""The filters of a list as they stand in its address: read, shown as chips, taken away. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from execution_history.errors import InvalidQuery, quoted
from execution_history.query.model import SORTS, RecordFilter, Sort
from execution_history.query.parameters import filter_of, is_filter_word
from execution_history.web.pages.viewer import Reader

Pairs = Sequence[tuple[str, str]]

SEARCH: Final = "q"


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on: its name, its value, and the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class ListState:
    """What the address of a list asks for."""

    path: str
    pairs: Pairs
    sort: Sort
    is_ascending: bool
    after: str | None

    @property
    def words(self) -> str:
        """What is searched for."""
        return next((value for name, value in self.pairs if name == SEARCH), "")

    @property
    def is_plain(self) -> bool:
        """Whether it is the newest runs, first page, without any filter."""
        return not self.pairs and self.sort == "create_time" and not self.is_ascending and self.after is None

    def values(self, name: str) -> list[str]:
        """The values that the filter *name* has, several in one text taken apart."""
        return [part for key, value in self.pairs if key == name for part in value.split(",")]

    def value(self, name: str) -> str:
        """The value of a filter that has one; empty when it is off."""
        return next((value for key, value in self.pairs if key == name), "")

    def chips(self) -> list[Chip]:
        """The filters that are on, in the order of the address."""
        return [
            Chip(name, value, self._address([*self.pairs[:number], *self.pairs[number + 1 :]]))
            for number, (name, value) in enumerate(self.pairs)
        ]

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """What a form that sets the filters *but* has to carry along."""
        order: list[tuple[str, str]] = [("sort", self.sort)] if self.sort != "create_time" else []
        order += [("order", "asc")] if self.is_ascending else []
        return [*(pair for pair in self.pairs if pair[0] not in but), *order]

    def sorted_by(self, sort: Sort) -> str:
        """The address of the same list by *sort*, or in the other direction when it is sorted so already."""
        turns = sort == self.sort and not self.is_ascending
        return self._address(self.pairs, sort, is_ascending=turns)

    def page_after(self, cursor: str) -> str:
        """The address of the page behind this one."""
        return self._address(self.pairs, self.sort, is_ascending=self.is_ascending, more=[("after", cursor)])

    def first_page(self) -> str:
        """The address of the first page."""
        return self._address(self.pairs, self.sort, is_ascending=self.is_ascending)

    def query(self) -> str:
        """The filters as a query string."""
        return urlencode(list(self.pairs))

    def record_filter(self, reader: Reader, workflow_id: str | None) -> RecordFilter:
        """The filter for a store.

        Raises:
            InvalidQuery: a value cannot be read.
        """
        words: dict[str, list[str]] = {}
        for name, value in self.pairs:
            words.setdefault(name, []).append(value)
        return filter_of(words, now=reader.now, zone=reader.zone, workflow_id=workflow_id)

    def _address(
        self,
        pairs: Pairs,
        sort: Sort | None = None,
        *,
        is_ascending: bool | None = None,
        more: Iterable[tuple[str, str]] = (),
    ) -> str:
        sort = sort or self.sort
        is_ascending = self.is_ascending if is_ascending is None else is_ascending
        query = [*pairs]
        query += [("sort", sort)] if sort != "create_time" else []
        query += [("order", "asc")] if is_ascending else []
        query += more
        return f"{self.path}?{urlencode(query)}" if query else self.path


def list_state(path: str, given: Iterable[tuple[str, str]]) -> ListState:
    """What a list at *path* is asked for by the *given* query parameters; those that mean nothing here are dropped.

    Raises:
        InvalidQuery: the order is not one.
    """
    pairs: list[tuple[str, str]] = []
    sort: Sort = "create_time"
    is_ascending, after = False, None
    for name, value in given:
        if is_filter_word(name) and value.strip() and (name, value.strip()) not in pairs:
            pairs.append((name, value.strip()))
        elif name == "sort" and value:
            sort = _sort(value)
        elif name == "order":
            is_ascending = value == "asc"
        elif name == "after":
            after = value or None
    return ListState(path, tuple(pairs), sort, is_ascending, after)


def _sort(value: str) -> Sort:
    for sort in SORTS:
        if value == sort:
            return sort
    raise InvalidQuery(
        "%(value)s is not a sort order; there are %(names)s.", value=quoted(value), names=", ".join(SORTS)
    )
