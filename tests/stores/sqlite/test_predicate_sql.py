"""Predicates and their SQL: what a record fulfils, its row fulfils, also where it lacks a value or has an odd one."""

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.query.fields import EXECUTE_ID, FAILED_NODE, FINGERPRINT, HAS_OUTPUT, PINNED, STATE
from execution_history.query.path_conditions import parse_condition
from execution_history.query.predicates import (
    And,
    Attribute,
    HasTag,
    In,
    JsonPath,
    Predicate,
    Prefix,
    Range,
    Suffix,
    Text,
)
from execution_history.query.predicates import all_of as combined
from execution_history.query.text import parse_search
from execution_history.records.attributes import attributes_of
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore
from execution_history.stores.sql_fragments import of_columns
from execution_history.stores.sqlite.index.predicate_sql import STORED, render
from tests.examples import examples
from tests.sample_filters import BASE, HOUR, documents

_ODD_NUMBERS = st.sampled_from([0, 1, -1, 5, 10, BASE, 2**63 - 1, -(2**63 - 1), 2**63, -(2**63), 2**70, 10**400])
_SUFFIXES = st.sampled_from(["", "1", "E", "\U0010ffff", "00000001", "-run-00000001", "x" * 300, "\ud7ff"])
_NUMBERS = _ODD_NUMBERS | st.integers(0, 60).map(lambda step: BASE + step * HOUR // 2)
_TEXTS = st.sampled_from(
    ["x", "y", "北京", "", "w", "5", "4000", "timeout", "e1", "\0", "x" * 2_000, "\U0010ffff", "111"]
)
_ODD = st.sampled_from([None, True, 1.5, 2**70, -(2**64), "", "x" * 2_000, [], {}, {"name": 5}, ["x", 5, "x"], "5", 5])
_ODD_FIELDS = st.dictionaries(
    st.sampled_from(["run_mode", "bot_id", "conversation_id", "error_code", "error_message", "usage", "output"]), _ODD
)
_ODD_METADATA = st.dictionaries(
    st.sampled_from(["account", "caller", "tags", "pinned", "rating", "parent", "coze_execute_id", "ended_at"]), _ODD
)


@st.composite
def _odd_documents(draw: st.DrawFn) -> Document:
    """A record some of whose values are of the wrong kind."""
    record: dict[str, Any] = orjson.loads(draw(documents()).body)
    record |= {key: value for key, value in draw(_ODD_FIELDS).items() if _is_json(value)}
    record["metadata"] |= {key: value for key, value in draw(_ODD_METADATA).items() if _is_json(value)}
    return Document.of(record, orjson.dumps(record))


def _is_json(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def _values(attribute: Attribute, fingerprints: list[str]) -> st.SearchStrategy[Any]:
    if attribute is STATE:
        return st.sampled_from(["running", "success", "failed", "interrupted", "other"])
    if attribute in (HAS_OUTPUT, PINNED):
        return st.booleans()
    if attribute is FINGERPRINT:
        return st.sampled_from(["0" * 16, "F" * 16, "no fingerprint", "", *fingerprints])
    is_text = attribute.stored_as == "shared text" or attribute.column in {
        "conversation",
        "upstream",
        "parent",
        "log_id",
    }
    return _TEXTS if is_text or attribute is EXECUTE_ID else _NUMBERS


@st.composite
def _predicates(draw: st.DrawFn, fingerprints: list[str]) -> Predicate:
    """A predicate that columns decide."""
    kind = draw(st.sampled_from(["in", "in", "range", "tag", "prefix", "suffix", "and"]))
    if kind == "in":
        attribute = draw(st.sampled_from(STORED))
        return In(attribute, tuple(draw(st.lists(_values(attribute, fingerprints), max_size=3))))
    if kind == "range":
        numbers = [
            each for each in STORED if each.column in {"create_time", "duration", "tokens", "rating", "run_mode"}
        ]
        ends = st.none() | _NUMBERS
        return Range(draw(st.sampled_from(numbers)), draw(ends), draw(ends))
    if kind == "tag":
        return HasTag(draw(_TEXTS))
    if kind == "prefix":
        return Prefix(EXECUTE_ID, draw(st.sampled_from(["", "e", "e1", "E", "\U0010ffff", "e\ud7ff", "\0"])))
    if kind == "suffix":
        return Suffix(EXECUTE_ID, draw(_SUFFIXES))
    return combined([draw(_predicates(fingerprints)), draw(_predicates(fingerprints))])


@given(records=st.lists(documents() | _odd_documents(), max_size=12), data=st.data())
@examples(15)
def test_a_row_fulfils_what_its_record_fulfils(
    tmp_path_factory: pytest.TempPathFactory, records: list[Document], data: st.DataObject
) -> None:
    """Each predicate, rendered, finds exactly the records that it holds of."""

    async def compare() -> None:
        store = SQLiteStore(tmp_path_factory.mktemp("h"), json_files=False)
        await store.open()
        await store.merge(records)
        stored = {
            (record["workflow_id"], record["execute_id"]): (record, attributes_of(record))
            for body in (await store.scan(None, 100)).documents
            for record in (orjson.loads(body),)
        }
        fingerprints = [facts.fingerprint for _, facts in stored.values() if facts.fingerprint is not None]
        for _ in range(8):
            predicate = data.draw(_predicates(fingerprints))
            fragment = render(predicate)
            sql = f"SELECT t.text, f.execute_id FROM facets f, texts t WHERE t.id = f.workflow AND {fragment.sql}"  # noqa: S608 - what is tested
            found = await asyncio.to_thread(
                store._parts.index.answer,
                lambda index, _history, _reach, sql=sql, values=fragment.values: index.execute(sql, values).fetchall(),
            )
            expected = {key for key, (record, facts) in stored.items() if predicate.holds(record, facts)}
            assert expected == set(found), predicate
        await store.aclose()

    asyncio.run(compare())


def test_what_only_documents_can_decide_is_left_to_them() -> None:
    """It is no condition on columns, and has no SQL."""
    condition, text = JsonPath(parse_condition("input.x = 1")), Text(parse_search("x"))
    node, tag = In(FAILED_NODE, ("LLM",)), HasTag("x")
    whole = And((condition, text, node, tag))
    assert [node, tag] == of_columns(whole)
    assert And((condition,)) == whole.of_documents()
    for predicate in (condition, text):
        with pytest.raises(TypeError, match="No column decides"):
            render(predicate)


def test_ranges_of_one_attribute_become_one() -> None:
    """So that one index range serves both ends; predicates within predicates are taken out."""
    created = next(each for each in STORED if each.column == "create_time")
    both = combined([Range(created, least=5), And((Range(created, most=9), HasTag("x"))), Range(created, least=3)])
    assert And((HasTag("x"), Range(created, 5, 9))) == both
