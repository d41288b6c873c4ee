"""Predicates and their SQL in PostgreSQL: what a record fulfils, its row fulfils, also where a value is odd or long."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.query.fields import (
    ATTRIBUTES,
    EXECUTE_ID,
    FAILED_NODE,
    FINGERPRINT,
    HAS_OUTPUT,
    PINNED,
    STATE,
    WORKFLOW,
)
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
from execution_history.stores.postgres.connections import Connections
from execution_history.stores.postgres.predicate_sql import render
from execution_history.stores.postgres.record_rows import stored_key
from execution_history.stores.sql_fragments import fingerprint_number, fingerprint_text, of_columns
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.sample_filters import BASE, HOUR, documents
from tests.stores.postgres.filled import empty_history, fill

_LONG = "北" * 150
_ODD_NUMBERS = st.sampled_from([0, 1, -1, 5, 10, BASE, 2**63 - 1, -(2**63 - 1), 2**63, -(2**63), 2**70, 10**400])
_SUFFIXES = st.sampled_from(
    ["\0", "\x01", "x" * 899, "", "1", "E", "\U0010ffff", "00000001", "-run-00000001", "x" * 300, "\ud7ff"]
)
_NUMBERS = _ODD_NUMBERS | st.integers(0, 60).map(lambda step: BASE + step * HOUR // 2)
_TEXTS = st.sampled_from(
    ["x", "y", "北京", "", "w", "5", "4000", "timeout", "e1", "\0", "\x01", "\0\x01", "x" * 900, _LONG, "\U0010ffff"]
)
_IDS = st.sampled_from(["e1", "e2", "e\0", "e\x01", "e\x01\x02", "x" * 900, "x" * 899 + "y", _LONG, _LONG + "x", "E"])
_PREFIXES = st.sampled_from(
    ["", "e", "e1", "E", "\U0010ffff", "e\ud7ff", "\0", "e\0", "e\x01", "x" * 79, "x" * 80, "x" * 81, "x" * 899, _LONG]
)
_ODD = st.sampled_from([None, True, 1.5, 2**63, -(2**63), "", "x" * 900, "\0", [], {"name": 5}, ["x", 5, "\0"], "5", 5])
_ODD_FIELDS = st.dictionaries(
    st.sampled_from(["run_mode", "bot_id", "conversation_id", "error_code", "error_message", "usage", "output"]), _ODD
)
_ODD_METADATA = st.dictionaries(
    st.sampled_from(["account", "caller", "tags", "pinned", "rating", "parent", "coze_execute_id", "ended_at"]), _ODD
)
_NODES = st.sampled_from(["x", "y", "7", "x_2", "none", ""])
_RANGED = [each for each in ATTRIBUTES if each.column in {"create_time", "duration", "tokens", "rating", "run_mode"}]


@st.composite
def _odd_documents(draw: st.DrawFn) -> Document:
    """A record some of whose values are of the wrong kind, or that PostgreSQL has no text for."""
    record: dict[str, Any] = orjson.loads(draw(documents(_IDS)).body)
    record |= draw(_ODD_FIELDS)
    record["metadata"] |= draw(_ODD_METADATA)
    return Document.of(record, orjson.dumps(record))


def _values(attribute: Attribute, fingerprints: list[str]) -> st.SearchStrategy[Any]:
    if attribute is STATE:
        return st.sampled_from(["running", "success", "failed", "interrupted", "other"])
    if attribute in (HAS_OUTPUT, PINNED):
        return st.booleans()
    if attribute is FINGERPRINT:
        return st.sampled_from(["0" * 16, "F" * 16, "no fingerprint", "", *fingerprints])
    if attribute is FAILED_NODE:
        return _NODES
    if attribute is EXECUTE_ID:
        return _IDS
    is_text = attribute.stored_as == "shared text" or attribute.column in {
        "conversation",
        "upstream",
        "parent",
        "log_id",
    }
    return _TEXTS if is_text or attribute is WORKFLOW else _NUMBERS


@st.composite
def _predicates(draw: st.DrawFn, fingerprints: list[str]) -> Predicate:
    """A predicate that columns decide."""
    kind = draw(st.sampled_from(["in", "in", "range", "tag", "prefix", "suffix", "and"]))
    if kind == "in":
        attribute = draw(st.sampled_from(ATTRIBUTES))
        return In(attribute, tuple(draw(st.lists(_values(attribute, fingerprints), max_size=3))))
    if kind == "range":
        ends = st.none() | _NUMBERS
        return Range(draw(st.sampled_from(_RANGED)), draw(ends), draw(ends))
    if kind == "tag":
        return HasTag(draw(_TEXTS))
    if kind == "prefix":
        return Prefix(EXECUTE_ID, draw(_PREFIXES))
    if kind == "suffix":
        return Suffix(EXECUTE_ID, draw(_SUFFIXES))
    return combined([draw(_predicates(fingerprints)), draw(_predicates(fingerprints))])


@pytest.fixture(scope="module")
def history(postgres: PostgresServer) -> Iterator[Connections]:
    """A history that each test fills."""
    with postgres.new_history() as url, empty_history(url) as connections:
        yield connections


@given(records=st.lists(documents() | _odd_documents(), max_size=12), data=st.data())
@examples(13)
def test_a_row_fulfils_what_its_record_fulfils(
    history: Connections, records: list[Document], data: st.DataObject
) -> None:
    """Each predicate, rendered, finds exactly the records that it holds of."""
    fill(history, records)
    stored = {}
    for document in records:
        record = orjson.loads(document.body)
        stored[stored_key(document.workflow_id, document.execute_id)] = record, attributes_of(record)
    fingerprints = [facts.fingerprint for _, facts in stored.values() if facts.fingerprint is not None]
    for _ in range(8):
        predicate = data.draw(_predicates(fingerprints))
        fragment = render(predicate)
        sql = f"SELECT e.workflow_id, e.execute_id FROM execution_history.executions e WHERE {fragment.sql}"  # noqa: S608 - what is tested
        with history.reading() as connection:
            found = connection.execute(history.statements.placed(sql), fragment.values).fetchall()
        assert {key for key, (record, facts) in stored.items() if predicate.holds(record, facts)} == set(found)


def test_what_only_documents_can_decide_is_left_to_them() -> None:
    """It is no condition on columns, and has no SQL."""
    condition, text = JsonPath(parse_condition("input.x = 1")), Text(parse_search("x"))
    node, tag = In(FAILED_NODE, ("LLM",)), HasTag("x")
    assert [node, tag] == of_columns(And((condition, text, node, tag)))
    for predicate in (condition, text):
        with pytest.raises(TypeError, match="No column decides"):
            render(predicate)


@pytest.mark.parametrize("fingerprint", ["0" * 16, "7" + "f" * 15, "8" + "0" * 15, "f" * 16])
def test_a_fingerprint_is_one_number_and_back(fingerprint: str) -> None:
    """In the order of its text, and within the 64 bits of a column."""
    number = fingerprint_number(fingerprint)
    assert number is not None
    assert -(2**63) <= number < 2**63
    assert fingerprint == fingerprint_text(number)


@pytest.mark.parametrize("text", ["", "F" * 16, "0" * 15, "0" * 17, "no fingerprint", "-" + "1" * 15])
def test_what_is_no_fingerprint_has_no_number(text: str) -> None:
    """So that a filter by it finds nothing."""
    assert fingerprint_number(text) is None
