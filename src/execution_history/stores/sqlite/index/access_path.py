"""The index that a query reads, chosen by counting the rows that each would return.

SQLite is given the index with ``INDEXED BY``: without statistics of the data it chooses an index that filters a little
and then sorts a million rows. A *walk* is one range of one index; several values of a column are several walks of one
statement, whose rows are merged in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Final

import apsw
import orjson

from execution_history.query.model import Sort
from execution_history.query.predicates import Exists, HasNode, HasTag, In, Prefix, Range, Suffix
from execution_history.stores.sql_fragments import TAIL, ColumnPredicate, Fragment, together, values_of
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.limits import USUAL, Limits
from execution_history.stores.sqlite.index.predicate_sql import has_name, is_one_of, render
from execution_history.stores.sqlite.index.text_index import TextMatches

_MOST_WALKS: Final = 128
_MANY: Final = 100_000
"""So many entries of an index are counted, in a few milliseconds, where very many rows are to be read by it."""

_Indexed = In | Range | Exists | HasTag | Prefix | Suffix
_JOINED: Final = "CROSS JOIN facets f ON f.seq = t.seq"

# Of equal ones the first in this order is chosen. The indexes have create_time after these columns.
_BY_COLUMNS: Final = (
    ("by_upstream", ("upstream",)),
    ("by_log", ("log_id",)),
    ("by_conversation", ("conversation",)),
    ("by_parent", ("parent",)),
    ("by_fingerprint", ("fingerprint",)),
    ("by_error", ("error_code",)),
    ("by_bot", ("bot",)),
    ("by_caller", ("caller",)),
    ("by_account", ("account",)),
    ("by_workflow_status", ("workflow", "status")),
    ("by_workflow", ("workflow",)),
    ("by_status", ("status",)),
    ("by_mode", ("run_mode",)),
)
_BY_RANGE: Final = {"duration": "by_duration", "tokens": "by_tokens", "cost": "by_cost", "rating": "by_rating"}


_BY_PRESENCE: Final = {"parent": ("nested", None), "error_code": ("with_error", "by_workflow_error")}
_BESIDE_COST: Final = {"by_cost": "by_time", "by_workflow_cost": "by_workflow"}


@dataclass(frozen=True, slots=True)
class AccessPath:
    """An index that rows are taken from.

    Attributes:
        index: its name; for the order of tags or of failed nodes the table of these.
        equal: its first columns that have to have one of some values.
        listed: the tag, or the failed node, for that order.
        text: the text by which the rows are found, if any.
        seqs: those rows, where they are few: intersecting the lists of a text again costs more than looking rows up.
        decided: further conditions that the index decides alone.
        is_ordered: whether its rows come in the order of the query.
    """

    index: str
    equal: tuple[In, ...] = ()
    listed: HasTag | In | None = None
    text: TextMatches | None = None
    seqs: tuple[int, ...] | None = None
    decided: tuple[ColumnPredicate, ...] = ()
    is_ordered: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether it walks a whole index."""
        return not self.equal and self.listed is None and self.text is None and not self.decided

    def source(self) -> str:
        """Return the tables of the FROM clause."""
        if self.seqs is not None:
            return "facets f NOT INDEXED"
        if self.text is not None:
            return "words CROSS JOIN facets f ON f.seq = words.rowid"
        return f"facets f INDEXED BY {self.index}" if self.listed is None else f"{self.index} t {_JOINED}"

    def prefix(self) -> str:
        """Return the table whose create_time and seq are in order."""
        return "f" if self.listed is None else "t"

    def count_walks(self) -> int:
        """Return the number of walks."""
        return prod(len(each.values) for each in self.equal)

    def walks(self) -> Iterator[Fragment]:
        """Yield the condition of each walk."""
        own = [render(predicate) for predicate in self.decided]
        if self.listed is not None:
            own.append(has_name("t", _name_of(self.listed)))
        if self.seqs is not None:
            listed = orjson.dumps(self.seqs).decode()
            own.append(Fragment("f.seq IN (SELECT value FROM json_each(?))", (listed,)))
        elif self.text is not None:
            own.append(self.text.fragment())
        for values in product(*(each.values for each in self.equal)):
            columns = [is_one_of(replace(p, values=(value,))) for p, value in zip(self.equal, values, strict=True)]
            yield together([*columns, *own])

    def bounded(self, tests: Sequence[Fragment], source: str | None = None) -> Fragment:
        """Return the statement that selects a 1 for each row that passes *tests*; its last parameter is the limit."""
        arms = [together([walk, *tests]) for walk in self.walks()]
        counted = self if self.decided else self.without_value()
        sql = " UNION ALL ".join(f"SELECT 1 FROM {source or counted.source()} WHERE {arm.sql}" for arm in arms)  # noqa: S608 - literals of ours
        return Fragment(f"{sql or 'SELECT 1 WHERE 0'} LIMIT ?", values_of(arms))

    def without_value(self) -> "AccessPath":
        """Return the path to the rows that have no value to sort by: only those with a cost are in its index."""
        return replace(self, index=_BESIDE_COST.get(self.index, self.index))

    def decides(self, predicate: ColumnPredicate) -> bool:
        """Return whether no row of a walk has to be tested for *predicate*."""
        return predicate in self.equal or predicate == self.listed or predicate in self.decided

    def tests(self, predicates: Sequence[ColumnPredicate]) -> list[Fragment]:
        """Return the conditions that a row of a walk has to be tested for."""
        return [render(predicate) for predicate in predicates if not self.decides(predicate)]

    def uses(self, predicate: ColumnPredicate) -> bool:
        """Return whether the index decides *predicate*, or narrows its rows by it."""
        is_range_of_time = isinstance(predicate, Range) and predicate.attribute.column == "create_time"
        if is_range_of_time:
            return self.is_ordered and self.index not in {"by_duration", "by_tokens", "by_cost"}
        return self.decides(predicate)


def choose(
    index: apsw.Connection,
    predicates: Sequence[ColumnPredicate],
    sort: Sort,
    text: TextMatches | None = None,
    limits: Limits = USUAL,
) -> AccessPath:
    """Return the path with the fewest rows, among those whose rows need no sorting unless they are few."""
    for predicate in predicates:
        if isinstance(predicate, In) and not predicate.values:
            # SQLite has no plan for INDEXED BY with a condition that is never true: there is nothing to walk.
            return AccessPath("by_time", (predicate,))
    paths = [path for path in _paths(predicates, sort) if path.count_walks() <= _MOST_WALKS]
    best, fewest = _smallest(index, [path for path in paths if not path.is_whole], predicates, limits)
    if text is not None:
        seqs = text.few(index, limits.few_with_text if best is None else fewest)
        if seqs is not None:
            return AccessPath("text", text=text, seqs=seqs, is_ordered=False)
    return best or next(path for path in paths if path.is_ordered)


def choose_for_many(
    index: apsw.Connection, predicates: Sequence[ColumnPredicate], text: TextMatches | None, limits: Limits, most: int
) -> AccessPath:
    """Return a path to the newest *most* rows, which are read one by one in any case: so many can be sorted, too.

    The index of one value is better than that of all times, even where that has most of the rows: others may be newer.
    """
    path = choose(index, predicates, "create_time", text, replace(limits, few=max(limits.few, most)))
    if not path.is_whole:
        return path
    ordered = [each for each in _paths(predicates, "create_time") if each.is_ordered and not each.is_whole]
    best, _ = _smallest(
        index, [each for each in ordered if each.count_walks() <= _MOST_WALKS], predicates, replace(limits, few=_MANY)
    )
    return best or next((each for each in ordered if each.count_walks() == 1), path)


def choose_for_counting(predicates: Sequence[ColumnPredicate], otherwise: AccessPath) -> AccessPath:
    """Return a path that uses every predicate, so that no row has to be read; else *otherwise*."""
    for path in _paths(predicates, "create_time"):
        if path.count_walks() <= _MOST_WALKS and all(map(path.uses, predicates)):
            return path
    return otherwise


def _paths(predicates: Sequence[ColumnPredicate], sort: Sort) -> list[AccessPath]:
    among = {each.attribute.column: each for each in predicates if isinstance(each, In)}
    alone = (_alone(each, sort, among.get("workflow")) for each in predicates if not isinstance(each, HasNode))
    found = [path for path in alone if path is not None]
    for name, columns in _BY_COLUMNS:
        if all(column in among for column in columns):
            equal = tuple(among[column] for column in columns)
            found.append(AccessPath(name, equal, is_ordered=sort == "create_time"))
    return [*found, *_in_order(among.get("workflow"), sort)]


def _alone(predicate: _Indexed, sort: Sort, workflow: In | None) -> AccessPath | None:
    """Return the path of an index that serves *predicate* alone, if there is one, unless it is that of the order."""
    by_time = sort == "create_time"
    if isinstance(predicate, HasTag):
        return AccessPath("tags", listed=predicate, is_ordered=by_time)
    column = predicate.attribute.column
    if isinstance(predicate, (Prefix, Suffix)):
        return _by_part_of_id(predicate)
    if isinstance(predicate, Exists):
        return _by_presence(predicate, workflow, by_time=by_time)
    if isinstance(predicate, Range):
        is_order = column == sort and workflow is None
        has_index = column in _BY_RANGE and not is_order
        return AccessPath(_BY_RANGE[column], decided=(predicate,), is_ordered=False) if has_index else None
    if predicate.attribute.stored_as == "several" and len(predicate.values) == 1:
        return AccessPath(column, listed=predicate, is_ordered=by_time)
    is_pin = column == "pinned" and predicate.values == (True,)
    return AccessPath("by_pin", decided=(predicate,), is_ordered=by_time) if is_pin else None


def _by_presence(predicate: Exists, workflow: In | None, *, by_time: bool) -> AccessPath | None:
    if not predicate.is_there or predicate.attribute.column not in _BY_PRESENCE:
        return None
    alone, in_workflow = _BY_PRESENCE[predicate.attribute.column]
    if workflow is None or in_workflow is None:
        return AccessPath(alone, decided=(predicate,), is_ordered=by_time)
    return AccessPath(in_workflow, (workflow,), decided=(predicate,), is_ordered=by_time)


def _by_part_of_id(part: Prefix | Suffix) -> AccessPath | None:
    if isinstance(part, Suffix) and len(part.suffix) < TAIL:
        return None
    return AccessPath("by_id" if isinstance(part, Prefix) else "by_id_end", decided=(part,), is_ordered=False)


def _name_of(listed: HasTag | In) -> str:
    return listed.tag if isinstance(listed, HasTag) else str(listed.values[0])


def _in_order(workflow: In | None, sort: Sort) -> list[AccessPath]:
    """Return the paths that are always possible: a whole index in the order of the query."""
    if sort == "create_time":
        return [AccessPath("by_time")]
    found = [AccessPath(f"by_{sort}")]
    if workflow is not None:
        found.insert(0, AccessPath(f"by_workflow_{sort}", (workflow,)))
    return found


def _smallest(
    index: apsw.Connection, paths: Sequence[AccessPath], predicates: Sequence[ColumnPredicate], limits: Limits
) -> tuple[AccessPath | None, int]:
    """Return the path with the fewest rows, and their number; ``None`` when each has many, or there is no choice."""
    best, fewest = None, limits.few + 1
    if not paths:
        return best, fewest
    times = [render(p) for p in predicates if isinstance(p, Range) and p.attribute.column == "create_time"]
    bounded = [path.bounded(times) if path.listed is None else path.bounded((), f"{path.index} t") for path in paths]
    sql = ", ".join(f"(SELECT count(*) FROM ({each.sql}))" for each in bounded)  # noqa: S608 - literals of ours
    values = [value for each in bounded for value in (*each.values, limits.few + 1)]
    for path, found in zip(paths, rows(index, f"SELECT {sql}", values)[0], strict=True):
        if found < fewest and (path.is_ordered or found < limits.few):
            best, fewest = path, found
    return best, fewest
