"""The finder without any engine: steps carried out on plain lists give what the specification gives."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.query import steps
from execution_history.query.cursor import Position, position_of
from execution_history.query.fields import RecordFilter
from execution_history.query.finder import find
from execution_history.query.model import IndexReach, RecordKey, RecordQuery, Selection
from execution_history.query.path_conditions import parse_condition
from execution_history.query.predicates import Text
from execution_history.records.attributes import attributes_of
from execution_history.records.record import Document
from execution_history.stores import MemoryStore
from tests.examples import examples
from tests.sample_filters import BASE, documents, filters
from tests.sample_records import document

_REACH = IndexReach(0, 0)


class _Lists:
    """An engine over a list of records, which reads at most two documents at once.

    Attributes:
        steps: the steps that it has carried out.
    """

    def __init__(self, query: RecordQuery, bodies: list[bytes]) -> None:
        self.steps: list[steps.Step] = []
        self._query = query
        self._bodies = bodies
        undecided = query.filter.predicate().of_documents().parts
        tests = [
            each for each in query.filter.predicate().parts if each not in undecided and not isinstance(each, Text)
        ]
        self._rows = []
        for seq, body in enumerate(bodies):
            record = orjson.loads(body)
            facts = attributes_of(record)
            position = position_of(query, facts, seq)
            if all(each.holds(record, facts) for each in tests):
                self._rows.append(steps.Row(position.value, position.create_time, seq, 1))
        self._rows.sort(key=lambda row: row.position.rank(descending=query.descending))

    def execute(self, step: steps.Step) -> Any:
        """Carry *step* out."""
        self.steps.append(step)
        match step:
            case steps.Rows(after, limit, skip):
                return self._behind(after)[skip : skip + limit]
            case steps.Portion(after):
                rows = self._behind(after)[:3]
                return rows, rows[-1].position if rows else None
            case steps.Documents(seqs):
                return len(seqs[:2]), [self._stored(seq) for seq in seqs[:2]]
            case steps.Summaries():
                return {}
            case steps.Total():
                return len(self._rows), True
            case steps.Explain():
                return ("From lists.",)
        raise AssertionError(step)

    def _behind(self, after: Position | None) -> list[steps.Row]:
        descending = self._query.descending
        rank = None if after is None else after.rank(descending=descending)
        return [row for row in self._rows if rank is None or row.position.rank(descending=descending) > rank]

    def _stored(self, seq: int) -> steps.StoredDocument:
        return steps.StoredDocument(seq, 1, RecordKey("w", str(seq)), self._bodies[seq])


def _find(query: RecordQuery, engine: _Lists, clock: Callable[[], float] = lambda: 0.0) -> Selection:
    return steps.run(find(query, _REACH, clock=clock), engine.execute)


@given(
    records=st.lists(documents(), max_size=15),
    wanted=filters(),
    sort=st.sampled_from(["create_time", "duration", "tokens"]),
    descending=st.booleans(),
    size=st.integers(1, 5),
    summaries=st.booleans(),
)
@examples(15)
def test_an_engine_of_lists_gives_the_pages_of_the_specification(
    records: list[Document], wanted: RecordFilter, sort: Any, descending: bool, size: int, summaries: bool
) -> None:
    """By cursor from page to page, for any filter and order."""

    async def compare() -> None:
        model = MemoryStore()
        for record in records:
            await model.merge([record])
        bodies = list((await model.scan(None, 100)).documents)
        query = RecordQuery(filter=wanted, sort=sort, descending=descending, size=size, summaries=summaries)
        after: str | None = None
        while True:
            own = replace(query, after=after)  # arrivals are numbered otherwise
            expected, found = await model.select(query), _find(own, _Lists(own, bodies))
            assert [bytes(body) for body in expected.documents] == [bytes(body) for body in found.documents]
            assert expected.has_more == found.has_more
            assert expected.total == found.total or not found.total_is_exact
            if expected.next is None:
                break
            query, after = replace(query, after=expected.next), found.next

    asyncio.run(compare())


def _documents_read(engine: _Lists) -> int:
    return sum(len(step.seqs[:2]) for step in engine.steps if isinstance(step, steps.Documents))


def test_looking_into_documents_stops_after_its_time_and_goes_on_from_there() -> None:
    """The page says that more may follow, and its cursor leads to the first record that was not looked at."""
    bodies = [document(f"e{number}", now=BASE + number, parameters={"n": number}).body for number in range(9)]
    query = RecordQuery(filter=RecordFilter(conditions=(parse_condition("input.n = 0"),)))
    late = iter([0.0, 0.0, 9.0])
    engine = _Lists(query, bodies)
    first = _find(query, engine, lambda: next(late))
    assert ([], True, 2) == (list(first.documents), first.has_more, _documents_read(engine))
    following = replace(query, after=first.next)
    rest = _find(following, _Lists(following, bodies))
    assert ([bodies[0]], None) == (list(rest.documents), rest.next)


@pytest.mark.parametrize("has_changed", [True, False])
def test_a_record_that_has_changed_since_its_row_was_read_is_tested_again(has_changed: bool) -> None:
    """It is left out where it is no longer what was asked for; the row alone is believed where nothing has changed."""
    query = RecordQuery(filter=RecordFilter(statuses=("running",)))
    engine = _Lists(query, [document("a").body])
    ended = orjson.loads(document("a").body) | {"execute_status": "success"}
    engine._bodies = [orjson.dumps(ended)]
    if has_changed:
        engine._rows = [row._replace(revision=0) for row in engine._rows]
    assert (0 if has_changed else 1) == len(_find(query, engine).documents)


def test_a_damaged_record_is_named_where_it_belongs() -> None:
    """On its page, not on one that was full before it."""
    bodies = [document(f"e{number}", now=BASE + number).body for number in range(4)]
    query = RecordQuery(size=2)
    engine = _Lists(query, bodies)
    engine._bodies = [bodies[0], bodies[1], bodies[2], None]  # type: ignore[list-item]
    first = _find(query, engine)
    assert ([bodies[2]], (RecordKey("w", "3"),)) == (list(first.documents), first.damaged)
    following = replace(query, after=first.next)
    assert () == _find(following, _Lists(following, bodies)).damaged
