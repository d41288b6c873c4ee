"""The filters of a list in its address: read, shown as chips, removed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from urllib.parse import urlencode

from execution_history.presentation.run_columns import columns_of
from execution_history.query.fields import RecordFilter
from execution_history.query.model import Order, Sort, sort_of
from execution_history.query.parameters import filter_of, is_filter
from execution_history.web.pages.viewer import Viewer

Pairs = Sequence[tuple[str, str]]

SEARCH: Final = "q"


class Chip(NamedTuple):
    """A filter that is on: its name, its value, and the address of the list without it."""

    name: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class ListState:
    """The state of a list, as its address has it."""

    path: str
    pairs: Pairs
    sort: Sort = "create_time"
    is_ascending: bool = False
    after: str | None = None
    view: str = ""
    columns: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address."""
        query = [*self.pairs, *self._looks(), *([("after", self.after)] if self.after else [])]
        query += [("view", self.view)] if self.view else []
        return f"{self.path}?{urlencode(query)}" if query else self.path

    @property
    def words(self) -> str:
        """The search text."""
        return self.value(SEARCH)

    @property
    def order(self) -> Order:
        """The order."""
        return "asc" if self.is_ascending else "desc"

    @property
    def is_plain(self) -> bool:
        """Whether it is the first page of the newest runs, without any filter."""
        return self == ListState(self.path, (), columns=self.columns)

    def value(self, name: str) -> str:
        """Return the value of a filter; empty when it is off."""
        return next((value for key, value in self.pairs if key == name), "")

    def values(self, name: str) -> list[str]:
        """Return all values of a filter."""
        return [value for key, value in self.pairs if key == name]

    def chips(self) -> list[Chip]:
        """Return the filters that are on, in the order of the address."""
        return [Chip(*pair, self.without(*pair)) for pair in self.pairs]

    def without(self, name: str, value: str) -> str:
        """Return the address of the list without one value of a filter."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair != (name, value)), after=None).address

    def also(self, name: str, value: str) -> str:
        """Return the address of the list with one more value of a filter, or without it where it is on."""
        if (name, value) in self.pairs:
            return self.without(name, value)
        return replace(self, pairs=(*self.pairs, (name, value)), after=None).address

    def only(self, pairs: Pairs, *names: str) -> str:
        """Return the address of the list with *pairs* in place of all values of the filters *names*."""
        kept = tuple(pair for pair in self.pairs if pair[0] not in names)
        return replace(self, pairs=(*kept, *pairs), after=None).address

    def besides(self, *names: str) -> "ListState":
        """Return the first page of the list without the filters *names*."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] not in names), after=None)

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """Return the hidden fields of a form that sets the filters *but*."""
        view = [("view", self.view)] if self.view else []
        return [
            *(pair for pair in self.pairs if pair[0] not in but),
            *(pair for pair in self._looks() if pair[0] not in but),
            *view,
        ]

    def sorted_by(self, sort: Sort) -> str:
        """Return the address of the same list sorted by *sort*, or reversed where it is sorted so already."""
        is_reversed = sort == self.sort and not self.is_ascending
        return replace(self, sort=sort, is_ascending=is_reversed, after=None).address

    def with_columns(self, columns: Sequence[str]) -> str:
        """Return the address of the same page with these columns."""
        return replace(self, columns=tuple(columns)).address

    def page_after(self, cursor: str | None) -> str:
        """Return the address of the page after *cursor*; for ``None`` that of the first page."""
        return replace(self, after=cursor).address

    def query(self) -> str:
        """Return the filters as a query string."""
        return urlencode(list(self.pairs))

    def query_of(self, columns: Sequence[str]) -> str:
        """Return the filters as a query string, with the columns that rows are to have."""
        return urlencode([*self.pairs, ("shown", ",".join(columns))])

    def kept(self, workflow_id: str | None) -> str:
        """Return what a saved view keeps of the list, as a query string: the filters, the order and the columns."""
        workflow = [] if workflow_id is None else [("workflow", workflow_id)]
        return urlencode([*workflow, *self.pairs, *self._looks()])

    def query_with(self, name: str, value: str) -> str:
        """Return the filters and the order as a query string, with one more parameter."""
        return urlencode([*self.hidden(), (name, value)])

    def exported(self, viewer: Viewer, workflow_id: str | None) -> list[tuple[str, str]]:
        """Return the parameters with which the API exports the same runs in the same order."""
        workflow = [] if workflow_id is None else [("workflow", workflow_id)]
        order = [("sort", self.sort), ("order", self.order)]
        return [*workflow, *self.pairs, *order, ("zone", viewer.zone.key)]

    def export_query(self, viewer: Viewer, workflow_id: str | None) -> str:
        """Return those parameters as a query string."""
        return urlencode(self.exported(viewer, workflow_id))

    def record_filter(self, viewer: Viewer, workflow_id: str | None) -> RecordFilter:
        """Return the filter for a store.

        Raises:
            InvalidQuery: a value cannot be read.
        """
        words: dict[str, list[str]] = {}
        for name, value in self.pairs:
            words.setdefault(name, []).append(value)
        return filter_of(words, now=viewer.now, zone=viewer.zone, workflow_id=workflow_id)

    def _looks(self) -> list[tuple[str, str]]:
        """Return the parameters of the order and of the columns."""
        return [*self._order(), *([("columns", ",".join(self.columns))] if self.columns else [])]

    def _order(self) -> list[tuple[str, str]]:
        order: list[tuple[str, str]] = [("sort", self.sort)] if self.sort != "create_time" else []
        return [*order, ("order", "asc")] if self.is_ascending else order


def list_state(path: str, parameters: Sequence[tuple[str, str]]) -> ListState:
    """Return the state of a list at *path* from its query parameters; unknown ones are dropped.

    Raises:
        InvalidQuery: there is no such order or column.
    """
    others = dict(parameters)
    pairs = dict.fromkeys((name, value.strip()) for name, value in parameters if is_filter(name) and value.strip())
    sort = sort_of(others.get("sort") or "create_time")
    return ListState(
        path,
        tuple(pairs),
        sort,
        others.get("order") == "asc",
        others.get("after") or None,
        others.get("view", ""),
        columns_of(value for name, value in parameters if name == "columns"),
    )
