"""Which index a question walks, decided by looking how many rows each would give.

SQLite is told the index (``INDEXED BY``) rather than asked for one: without statistics of the data it takes an index
that filters a little and then sorts a million rows. A *walk* is one range of one index; several values of a column
are several walks, whose rows are put together in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

import apsw
import orjson

from execution_history.query.model import Sort
from execution_history.stores.sqlite.index.connections import rows
from execution_history.stores.sqlite.index.predicate_sql import Among, Condition, Other, Tagged, Within
from execution_history.stores.sqlite.index.sql_fragment import Fragment
from execution_history.stores.sqlite.index.text_candidates import Candidates

FEW: Final = 4_000
"""So many rows can be sorted, or looked at one by one, without anybody noticing."""

_FEW_WITH_TEXT: Final = 6_000
"""So many rows with a text are faster sorted than found along the order: with more, twenty stand close together."""

_MOST_WALKS: Final = 128
_FROM_TAGS: Final = "tags t CROSS JOIN facets f ON f.seq = t.seq"

# In this order the first of equals is taken. The indexes have create_time behind these columns.
_BY_COLUMNS: Final = (
    ("by_upstream", ("upstream",)),
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
_BY_RANGE: Final = {"duration": "by_duration", "tokens": "by_tokens", "rating": "by_rating"}


@dataclass(frozen=True, slots=True)
class Driver:
    """An index that rows are taken from.

    Attributes:
        index: its name; ``tags`` for the tags' own order.
        equal: the columns of its beginning that have to be one of some values.
        tag: the tag, when it is the tags' order.
        text: what the rows are found by, when it is a text.
        seqs: those rows, where they are few: intersecting the lists of a text again costs more than looking rows up.
        given: further conditions that the index answers by itself.
        is_ordered: whether its rows come in the order that is asked for.
    """

    index: str
    equal: tuple[Among, ...] = ()
    tag: Tagged | None = None
    text: Candidates | None = None
    seqs: tuple[int, ...] | None = None
    given: tuple[Condition, ...] = ()
    is_ordered: bool = True

    def source(self) -> str:
        """What stands behind FROM."""
        if self.seqs is not None:
            return "facets f NOT INDEXED"
        if self.text is not None:
            return f"{self.text.match.table} CROSS JOIN facets f ON f.seq = {self.text.match.table}.rowid"
        return _FROM_TAGS if self.tag is not None else f"facets f INDEXED BY {self.index}"

    def prefix(self) -> str:
        """The table whose create_time and seq are in order."""
        return "f" if self.tag is None else "t"

    def walks(self) -> Iterator[Fragment]:
        """The condition of each walk."""
        own = [condition.fragment() for condition in self.given]
        if self.tag is not None:
            own.append(Fragment("t.tag = ?", (self.tag.tag,)))
        if self.seqs is not None:
            listed = orjson.dumps(self.seqs).decode()
            own.append(Fragment("f.seq IN (SELECT value FROM json_each(?))", (listed,)))
        elif self.text is not None:
            own.append(self.text.fragment())
        for values in product(*(among.values for among in self.equal)):
            columns = [Fragment(f"f.{a.column} = ?", (v,)) for a, v in zip(self.equal, values, strict=True)]
            yield together([*columns, *own])

    def answers(self, condition: Condition) -> bool:
        """Whether no row of a walk has to be tested for *condition*."""
        if isinstance(condition, Within) and condition.column == "create_time":
            return self.is_ordered and self.index not in {"by_duration", "by_tokens"}
        return condition in self.equal or condition is self.tag or condition in self.given


def together(fragments: Sequence[Fragment]) -> Fragment:
    """All of *fragments*; without any, what is always true."""
    kept = [fragment for fragment in fragments if fragment.sql]
    sql = " AND ".join(f"({fragment.sql})" if " OR " in fragment.sql else fragment.sql for fragment in kept)
    return Fragment(sql or "1", tuple(value for fragment in kept for value in fragment.values))


def choose(
    index: apsw.Connection, conditions: Sequence[Condition], sort: Sort, text: Candidates | None = None
) -> Driver:
    """The driver that gives the fewest rows, among those whose rows need no sorting unless they are few."""
    for condition in conditions:
        if isinstance(condition, Among) and not condition.values:
            # SQLite has no plan for an index that is told and a condition that is never true: there is nothing to walk.
            return Driver("by_time", (condition,))
    candidates = [driver for driver in _candidates(conditions, sort) if prod_of(driver) <= _MOST_WALKS]
    best, fewest = _smallest(index, candidates, conditions)
    if text is not None:
        bound = _FEW_WITH_TEXT if best is None else fewest
        seqs = text.few(index, bound)
        if seqs is not None:
            return Driver("text", text=text, seqs=seqs, is_ordered=False)
    return best or next(driver for driver in candidates if driver.is_ordered)


def _smallest(
    index: apsw.Connection, candidates: Sequence[Driver], conditions: Sequence[Condition]
) -> tuple[Driver | None, int]:
    """The driver with the fewest rows, and how many; ``None`` when each has many, or there is no choice."""
    times = [c for c in conditions if isinstance(c, Within) and c.column == "create_time"]
    best, fewest = None, FEW + 1
    for driver in candidates if len(candidates) > 1 else ():
        found = _count(index, driver, times)
        if found < fewest and (driver.is_ordered or found < FEW):
            best, fewest = driver, found
    return best, fewest


def text_driver(text: Candidates) -> Driver:
    """The driver that takes rows from the text index."""
    return Driver("text", text=text, is_ordered=False)


def choose_for_counting(conditions: Sequence[Condition], otherwise: Driver) -> Driver:
    """A driver that answers every condition by itself, so that no row has to be looked at; else *otherwise*."""
    for driver in _candidates(conditions, "create_time"):
        if prod_of(driver) <= _MOST_WALKS and all(map(driver.answers, conditions)):
            return driver
    return otherwise


def prod_of(driver: Driver) -> int:
    """How many walks a driver makes."""
    return prod(len(among.values) for among in driver.equal)


def _candidates(conditions: Sequence[Condition], sort: Sort) -> list[Driver]:
    among = {c.column: c for c in conditions if isinstance(c, Among)}
    by_time = sort == "create_time"
    found = []
    for condition in conditions:
        if isinstance(condition, Tagged):
            found.append(Driver("tags", tag=condition, is_ordered=by_time))
        elif isinstance(condition, Within) and condition.column in _BY_RANGE:
            is_order = condition.column == sort and "workflow" not in among
            if not is_order:
                found.append(Driver(_BY_RANGE[condition.column], given=(condition,), is_ordered=False))
        elif isinstance(condition, Other) and condition.sql == "f.pinned = 1":
            found.append(Driver("by_pin", given=(condition,), is_ordered=by_time))
        elif isinstance(condition, Other) and condition.name == "execute id":
            found.append(Driver("by_id", given=(condition,), is_ordered=False))
    for name, columns in _BY_COLUMNS:
        if all(column in among for column in columns):
            found.append(Driver(name, tuple(among[column] for column in columns), is_ordered=by_time))
    return [*found, *_in_order(among, sort)]


def _in_order(among: dict[str, Among], sort: Sort) -> list[Driver]:
    """The drivers that are always there: the whole index in the order that is asked for."""
    if sort == "create_time":
        return [Driver("by_time")]
    found = [Driver(f"by_{sort}")]
    if "workflow" in among:
        found.insert(0, Driver(f"by_workflow_{sort}", (among["workflow"],)))
    return found


def _count(index: apsw.Connection, driver: Driver, times: Sequence[Condition]) -> int:
    """How many rows the driver's walks have, up to a few more than :data:`FEW`."""
    if not driver.equal and driver.tag is None and not driver.given:
        return FEW + 1
    found = 0
    for walk in driver.walks():
        limited = together([walk, *(condition.fragment() for condition in times)])
        if driver.tag is not None:
            limited = together([walk])
            sql = f"SELECT count(*) FROM (SELECT 1 FROM tags t WHERE {limited.sql} LIMIT {FEW + 1})"  # noqa: S608
        else:
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {driver.source()} WHERE {limited.sql} LIMIT {FEW + 1})"  # noqa: S608
        found += int(rows(index, sql, limited.values)[0][0])
        if found > FEW:
            break
    return found
