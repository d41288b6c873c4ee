"""Saved views: lists of runs that people come back to, by a name.

They are entries of the store's registry, of the kind ``view``. A view keeps filters as people write them, so that
``since=24h`` stays the last 24 hours.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, tzinfo
from typing import Any, Final, NamedTuple, TypedDict, Unpack, cast

import orjson

from execution_history.errors import (
    ExecutionHistoryError,
    InvalidInput,
    InvalidQuery,
    StoreBusy,
    ViewChanged,
    ViewNotFound,
    quoted,
)
from execution_history.history.registry import change_entry, new_id
from execution_history.presentation.run_columns import columns_of
from execution_history.query.fields import RecordFilter
from execution_history.query.model import PAGE_SECONDS, IndexReach, Order, RecordQuery, Sort, order_of, sort_of
from execution_history.query.parameters import filter_of
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

KIND: Final = "view"
LONGEST_NAME: Final = 100
MOST_VIEWS: Final = 200

_MOST_FILTERS: Final = 200

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A list of runs with a name.

    Attributes:
        id: what stays when it is renamed.
        name: what people call it; no two views have the same.
        filters: names of :data:`execution_history.query.fields.FILTERS` and their values as people write them; a name
            may come several times.
        sort: the order.
        order: whether the largest or newest comes first (``desc``), or the smallest or oldest (``asc``).
        columns: the columns of the list by their names (:mod:`execution_history.presentation.run_columns`), in order;
            none means the usual ones.
        starred: whether it stands before the others.
        position: its place among those; the smaller the sooner.
        version: of the change that made it so.
    """

    id: str
    name: str
    filters: tuple[tuple[str, str], ...] = ()
    sort: Sort = "create_time"
    order: Order = "desc"
    columns: tuple[str, ...] = ()
    starred: bool = False
    position: int = 0
    version: int = 0

    def record_filter(self, now: int, zone: tzinfo = UTC) -> RecordFilter:
        """Return its filter at the time *now* (milliseconds), where times without an offset are in *zone*.

        Raises:
            InvalidQuery: a filter cannot be read any more.
        """
        return filter_of(self.words(), now=now, zone=zone)

    def words(self) -> dict[str, list[str]]:
        """Return the values of its filters by their names."""
        words: dict[str, list[str]] = {}
        for name, value in self.filters:
            words.setdefault(name, []).append(value)
        return words

    def to_json(self) -> dict[str, Any]:
        """Return its fields, the filters as a list or a text by name."""
        words = {name: values[0] if len(values) == 1 else values for name, values in self.words().items()}
        return {**asdict(self), "filters": words}


class ViewCount(NamedTuple):
    """How many runs are in a view.

    Attributes:
        number: how many, at least; ``None`` where the filters of the view cannot be read now: its list tells why.
        is_exact: whether they were counted to the end.
        reach: how far the index has come.
    """

    number: int | None
    is_exact: bool
    reach: IndexReach

    def to_json(self) -> dict[str, Any]:
        """Return what answers have beside a view."""
        return {"count": self.number, "count_is_exact": None if self.number is None else self.is_exact}


class ViewFields(TypedDict, total=False):
    """What can be changed of a :class:`View`."""

    name: str
    filters: Pairs
    sort: str
    order: str
    columns: Sequence[str]
    starred: bool
    position: int


class Views:
    """The saved views of a history.

    Args:
        store: the history.
        clock: milliseconds since the epoch.
        with_ids: returns a filter with the ids of the workflows that it calls by name.
    """

    def __init__(
        self, store: HistoryStore, clock: Callable[[], int], with_ids: Callable[[RecordFilter], Awaitable[RecordFilter]]
    ) -> None:
        self._store, self._clock, self._with_ids = store, clock, with_ids

    async def all(self) -> list[View]:
        """Return all views: those with a star first, then by their places and names.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        found = [view for entry in await self._store.entries(KIND) if (view := _readable(entry)) is not None]
        return sorted(found, key=lambda view: (not view.starred, view.position, view.name.casefold()))

    async def named(self, name: str) -> View:
        """Return the view of this name, or with this id.

        Raises:
            ViewNotFound: there is none.
            StoreError: the store could not be read.
        """
        views = await self.all()
        same = [view for view in views if name in (view.id, view.name)]
        like = [view for view in views if view.name.casefold() == name.strip().casefold()]
        if not (same or like):
            raise ViewNotFound(name, [view.name for view in views])
        return (same or like)[0]

    async def count(self, view: View, *, zone: tzinfo = UTC, wait_seconds: float | None = PAGE_SECONDS) -> ViewCount:
        """Return how many runs are in a view now.

        Args:
            view: the view.
            zone: where its times without an offset are local.
            wait_seconds: how long to wait for an index that follows; ``None``: until it has everything.

        Raises:
            StoreError: the store could not be read.
        """
        await self._store.open()
        try:
            matching = await self._with_ids(view.record_filter(self._clock(), zone))
            query = RecordQuery(filter=matching, size=1, summaries=True, wait_seconds=wait_seconds)
            found = await self._store.select(query)
        except InvalidQuery:
            return ViewCount(None, is_exact=False, reach=IndexReach(0, 0))
        return ViewCount(found.total, found.total_is_exact and found.reach.is_complete, found.reach)

    async def save(
        self,
        name: str,
        filters: Pairs,
        *,
        sort: str = "create_time",
        order: str = "desc",
        columns: Sequence[str] = (),
        starred: bool = False,
    ) -> View:
        """Keep a new view, after all others, and return it.

        Raises:
            InvalidInput: the name is none or another view's, or there are too many views.
            InvalidQuery: a filter, the order or a column is invalid.
            StoreError: it could not be written.
        """
        views = await self.all()
        if len(views) >= MOST_VIEWS:
            raise InvalidInput("There are %(most)s views, and no room for more: delete one first.", most=MOST_VIEWS)
        view = View(
            id=new_id(),
            name=_free(_name_of(name), views),
            filters=self._checked(filters),
            sort=sort_of(sort),
            order=order_of(order),
            columns=columns_of(columns),
            starred=starred,
            position=max((each.position for each in views), default=0) + 1,
        )
        entry = await self._store.put_entry(KIND, view.id, _bytes_of(view), expected=0)
        if entry is None:
            raise StoreBusy("The view could not be kept: try again.")
        return _view_of(entry)

    async def change(self, view_id: str, *, expected: int | None = None, **fields: Unpack[ViewFields]) -> View:
        """Change what is given of a view, and return it; what others change of it at the same time stays.

        Args:
            view_id: the view.
            expected: the version that it must have; ``None`` for any.
            fields: what to change.

        Raises:
            ViewNotFound: there is no such view.
            ViewChanged: it has another version.
            InvalidInput: the name is none or another view's.
            InvalidQuery: a filter, the order or a column is invalid.
            StoreError: it could not be written.
        """
        changes: dict[str, Any] = dict(fields)
        reads: dict[str, Callable[[Any], Any]] = {
            "name": _name_of,
            "filters": self._checked,
            "sort": sort_of,
            "order": order_of,
            "columns": columns_of,
        }
        for name, read in reads.items():
            if name in changes:
                changes[name] = read(changes[name])
        others = [view for view in await self.all() if view.id != view_id]

        def changed(entry: Entry | None) -> bytes:
            if entry is None:
                raise ViewNotFound(view_id, [each.name for each in others])
            view = _view_of(entry)
            if expected is not None and view.version != expected:
                raise ViewChanged(view.name)
            if "name" in changes:
                _free(changes["name"], others)
            made = replace(view, **changes)
            return entry.value if made == view else _bytes_of(made)

        entry = await change_entry(self._store, EntryName(KIND, view_id), changed)
        return _view_of(cast("Entry", entry))

    async def arrange(self, view_ids: Sequence[str]) -> list[View]:
        """Put the views into this order, those that are not named behind them, and return all.

        Raises:
            ViewNotFound: one of them does not exist.
            StoreError: the order could not be written.
        """
        rest = [view.id for view in await self.all() if view.id not in view_ids]
        for place, view_id in enumerate(dict.fromkeys([*view_ids, *rest]), 1):
            await self.change(view_id, position=place)
        return await self.all()

    async def drop(self, view_id: str) -> bool:
        """Remove a view; return whether there was one.

        Raises:
            StoreError: it could not be removed.
        """
        await self._store.open()
        return await self._store.drop_entry(KIND, view_id)

    def _checked(self, filters: Pairs) -> tuple[tuple[str, str], ...]:
        """Return *filters* without blank values.

        Raises:
            InvalidInput: there are too many.
            InvalidQuery: one is invalid.
        """
        kept = tuple(dict.fromkeys((name, value.strip()) for name, value in filters if value.strip()))
        if len(kept) > _MOST_FILTERS:
            raise InvalidInput("A view has at most %(most)s filters.", most=_MOST_FILTERS)
        View(id="", name="", filters=kept).record_filter(self._clock())
        return kept


def _name_of(name: object) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not 1 <= len(text) <= LONGEST_NAME or any(unicodedata.category(each) in {"Cc", "Cs"} for each in text):
        raise InvalidInput(
            "The name of a view is a text of 1 to %(longest)s characters, not %(name)s.",
            longest=LONGEST_NAME,
            name=quoted(name),
        )
    return text


def _free(name: str, views: Iterable[View]) -> str:
    if any(view.name.casefold() == name.casefold() for view in views):
        raise InvalidInput("There is a view called %(name)s already.", name=quoted(name))
    return name


def _bytes_of(view: View) -> bytes:
    return orjson.dumps({name: value for name, value in asdict(view).items() if name not in {"id", "version"}})


def _readable(entry: Entry) -> View | None:
    """Return the view that an entry holds; ``None`` where it holds none, whoever wrote it."""
    try:
        view = _view_of(entry)
        _name_of(view.name)
        sort_of(view.sort)
        columns_of(view.columns)
    except (ExecutionHistoryError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return view if (type(view.starred), type(view.position)) == (bool, int) else None


def _view_of(entry: Entry) -> View:
    """Return the view that an entry holds; what another version of this program kept beside it is left out."""
    kept = orjson.loads(entry.value)
    known = {name: kept[name] for name in View.__dataclass_fields__ if name in kept}
    known.setdefault("order", "asc" if kept.get("ascending") is True else "desc")  # as it was called before
    known.setdefault("starred", kept.get("is_starred") is True)
    known["filters"] = tuple((str(name), str(value)) for name, value in kept.get("filters", ()))
    known["columns"] = tuple(kept.get("columns", ()))
    return View(**{**known, "id": entry.name.key, "version": entry.version})
