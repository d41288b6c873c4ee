"""The text index: its answers are those of the specification, alone on a connection and within a store."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.errors import InvalidQuery
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.query.text import matches, parse_search
from execution_history.query.text.tokens import Tokens
from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
from tests.examples import examples
from tests.postgres_server import PostgresServer
from tests.sample_records import change, document
from tests.stores_under_test import beside_specification

pytestmark = pytest.mark.anyio

_WORDS = st.sampled_from(
    "deploy redeployed deployment ploy out of memory ai a GPT4模型 北京 京北 北京大学 大学 数据库 データ ﾃﾞｰﾀ Straße v2 "
    f"{'x' * 30} {'x' * 24 + 'y' * 6} 한국어 😀 user@example.com 12.5".split()
)
_TEXTS = st.lists(_WORDS, max_size=6).map(" ".join) | st.lists(_WORDS, max_size=3).map("，".join) | st.text(max_size=12)
_RECORDS = st.fixed_dictionaries(
    {"output": _TEXTS | st.lists(_TEXTS, max_size=2), "metadata": st.fixed_dictionaries({}, optional={"note": _TEXTS})}
)
_QUESTIONS = st.lists(
    st.builds(
        lambda sign, form, word: sign + form.format(word),
        st.sampled_from(["", "", "", "-"]),
        st.sampled_from(["{}", "{}", '"{}"', "{}*"]),
        _WORDS
        | st.sampled_from(["plo", "eplo", "of mem", "北", "学", "京大", "dep", "d", "4模", "xxxx", "NEAR(a", "^a"]),
    ),
    min_size=1,
    max_size=3,
).map(" ".join) | st.text(max_size=8)


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """A database in memory with the tables of the text index."""
    database = _database()
    yield database
    database.close()


def _database() -> apsw.Connection:
    database = apsw.Connection(":memory:")
    TextIndex().create_tables(database)
    return database


def _found(connection: apsw.Connection, records: dict[int, Any], text: str) -> set[int]:
    """What the index finds, looked at where it says that it has to be."""
    search = parse_search(text)
    match = TextIndex().match(search)
    found = match.among(connection, list(records))
    return found if match.is_exact else {rowid for rowid in found if matches(records[rowid], search)}


def _rows(connection: apsw.Connection, text: str) -> set[int]:
    """What the index finds among three rows."""
    search = parse_search(text)
    return TextIndex().match(search).among(connection, [1, 2, 3])


@given(st.lists(_RECORDS, max_size=12), st.lists(_QUESTIONS, min_size=1, max_size=8))
def test_the_index_finds_what_the_specification_finds(records: list[Any], questions: list[str]) -> None:
    """Nothing less and, after looking where it has to, nothing more."""
    connection, index = _database(), TextIndex()
    for rowid, record in enumerate(records, 1):
        index.put(connection, rowid, index.prepare(record))
    numbered = dict(enumerate(records, 1))
    for text in questions:
        try:
            search = parse_search(text)
        except InvalidQuery:
            continue
        expected = {rowid for rowid, record in numbered.items() if matches(record, search)}
        assert expected == _found(connection, numbered, text)


def test_a_record_is_replaced_and_forgotten(connection: apsw.Connection) -> None:
    """Its old words are gone with it; forgetting what is not there does nothing."""
    index = TextIndex()
    index.put(connection, 1, index.prepare({"output": "first 北京"}))
    index.put(connection, 2, index.prepare({"output": "first"}))
    index.put(connection, 1, index.prepare({"output": "second"}))
    assert [set(), {2}, {1}] == [_rows(connection, text) for text in ("北京", '"first"', '"second"')]
    index.remove(connection, 2)
    index.remove(connection, 3)
    assert [set(), {1}] == [_rows(connection, text) for text in ('"first"', '"second"')]


def test_what_was_rolled_back_is_not_found(connection: apsw.Connection) -> None:
    """And may come again."""
    index = TextIndex()
    connection.execute("BEGIN")
    index.put(connection, 1, index.prepare({"output": "word"}))
    connection.execute("ROLLBACK")
    assert set() == _rows(connection, '"word"')
    index.put(connection, 1, index.prepare({"output": "word"}))
    assert {1} == _rows(connection, '"word"')


@pytest.mark.parametrize(
    ("is_exact", "text"),
    [
        (True, "北"), (True, "北京"), (True, "plo"), (True, '"deploy"'), (True, "ai"), (True, "d*"), (True, "de*"),
        (True, "北京 ai"), (True, "北京 -ai"),
        (False, "北京大"), (False, "deploy"), (False, "dep*"), (False, '"out of"'), (False, "北京 -deploy"),
        (False, '"' + "x" * 30 + '"'), (False, "GPT4模型"),
    ],
)  # fmt: skip
def test_one_token_is_exact(is_exact: bool, text: str) -> None:
    """Several have to be looked at: the index does not know what stands beside what."""
    assert is_exact == TextIndex().match(parse_search(text)).is_exact


def test_a_large_text_is_indexed_whole() -> None:
    """In pieces that lose nothing at their borders, also where there are no words."""
    tokens = Tokens()
    words = " ".join(f"w{number}é" for number in range(40_000))
    assert {f"=w{number}é" for number in range(40_000)} <= set(tokens.of(words).split())
    found = set(tokens.of("一二三四五" * 30_000 + "天地").split())
    assert {"一", "五", "五一", "五天", "天地", "地"} <= found
    blob = "".join(f"{number:x}" for number in range(40_000))
    assert {f"~{blob[at : at + 3]}" for at in range(len(blob) - 2)} <= set(tokens.of(blob).split())


def test_a_text_of_very_many_words_is_found_like_others(connection: apsw.Connection) -> None:
    """Its words are kept in another form, which every question knows."""
    words = [f"word{number}z北京" for number in range(12_000)]
    records = {1: {"output": " ".join(words)}, 2: {"output": "word17z"}, 3: {"output": "zword17"}}
    for rowid, record in records.items():
        text_index = TextIndex()
        text_index.put(connection, rowid, text_index.prepare(record))
    for expected, text in [
        ({1, 2, 3}, "word17"), ({1, 2, 3}, "ord"), ({1, 2}, "word17*"), ({1, 2}, '"word17z"'), ({1}, "word17z北"),
        ({1, 2}, "w*"), ({1, 2}, "wo*"), ({1}, "d11999z"), ({2, 3}, "ord17 -北京"), (set(), "word12000z"),
    ]:  # fmt: skip
        assert expected == _found(connection, records, text)


def test_a_very_long_question_asks_for_a_bounded_number_of_tokens(connection: apsw.Connection) -> None:
    """And is still answered exactly."""
    text = "".join(chr(0x4E00 + number) for number in range(900))
    records = {1: {"output": text}, 2: {"output": text[:-1]}}
    for rowid, record in records.items():
        text_index = TextIndex()
        text_index.put(connection, rowid, text_index.prepare(record))
    assert 100 > TextIndex().match(parse_search(text)).expression.count('"')
    assert {1} == _found(connection, records, text)


@given(
    st.lists(st.tuples(_RECORDS, st.integers(0, 5), st.booleans()), max_size=25),
    st.lists(_QUESTIONS, min_size=1, max_size=4),
    st.sampled_from(["create_time", "tokens"]),
    st.booleans(),
)
@examples(10)
def test_frequent_texts_are_found_along_the_order(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: PostgresServer,
    records: list[Any],
    questions: list[str],
    sort: Any,
    is_filtered: bool,
) -> None:
    """Where rows with the text are many: the same pages and figures as the specification's."""

    async def compare() -> None:
        folder = tmp_path_factory.mktemp("h")
        async with beside_specification("sqlite", folder, postgres) as (model, store):
            assert isinstance(store, SQLiteStore)
            index = RecordIndex(
                folder / "sqlite", store._parts.reader, TextIndex(), Limits(few=0, few_with_text=0, at_once=3)
            )
            for each in (model, store):
                for number, (record, time, succeeds) in enumerate(records):
                    await each.create(document(f"e{number}", now=1_000 + time, output=record["output"]))
                    if succeeds:
                        await each.update("w", f"e{number}", change(status="success", metadata=record["metadata"]))
            for text in questions:
                statuses = ("success",) if is_filtered else ()
                query = RecordQuery(filter=RecordFilter(text=text, statuses=statuses), sort=sort, size=4)
                try:
                    parse_search(text)
                except InvalidQuery:
                    continue
                while True:
                    expected, found = await model.select(query), await index.select(query)
                    assert list(expected.documents) == list(found.documents)
                    assert expected.total == found.total if found.total_is_exact else expected.total >= found.total
                    if expected.next is None:
                        break
                    query = replace(query, after=expected.next)
                counted = await index.statistics(StatisticsQuery(filter=query.filter))
                assert expected.total == counted.totals.runs
            index.close()

    asyncio.run(compare())
