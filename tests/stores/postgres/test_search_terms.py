"""The numbers of searchable tokens: alike everywhere, and no record that has a text is left out by them."""

import os
import subprocess
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_history.query.text import matches, parse_search
from execution_history.query.text.tokens import needed
from execution_history.records.record import Document
from execution_history.stores.compression import Packer, shipped_dictionary
from execution_history.stores.postgres.record_rows import COLUMNS, row_of
from execution_history.stores.postgres.search_terms import has_tokens, may_have, number_of, terms_of
from tests.sample_filters import BASE, HOUR, SEARCHED_TEXTS, documents
from tests.sample_records import document


@pytest.mark.parametrize(
    ("token", "number"), [("abc", 891568578), ("^d", 792643428), ("北京", -865370479), ("", 0), ("=deploy", 1998684853)]
)
def test_the_number_of_a_token_never_changes(token: str, number: int) -> None:
    """A history that was written by another version is searched with it."""
    assert number == number_of(token)


def test_the_numbers_of_a_record_are_the_same_in_every_process() -> None:
    """Whatever Python's own hashes of texts are there; sorted, and each once."""
    code = (
        "from execution_history.stores.postgres.search_terms import terms_of\n"
        "print(terms_of({'output': 'deploy deploy 北京 4000', 'metadata': {'note': 'x'}}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert 1 == len(found)
    terms = orjson.loads(found.pop())
    assert sorted(set(terms)) == terms
    assert {number_of(token) for token in ("^d", "=deploy", "北", "北京", "^4")} <= set(terms)
    assert all(-(2**31) <= term < 2**31 for term in terms)


def test_no_record_is_left_out_for_what_it_must_not_have() -> None:
    """Two tokens may have the same number: only a document tells that a word is not in it."""
    required, both = has_tokens(parse_search("deploy")), has_tokens(parse_search("deploy -retry -北"))
    assert required == both
    assert "NOT" not in both.sql


def test_a_record_whose_tokens_are_not_known_may_have_any_text() -> None:
    """As long as it runs."""
    assert may_have(has_tokens(parse_search("deploy"))).sql.endswith(" OR e.terms IS NULL")


@pytest.mark.parametrize(("hours", "is_known"), [(0.5, False), (2, True)])
def test_the_tokens_of_a_run_are_written_when_it_ends_or_is_old(hours: float, is_known: bool) -> None:
    """An import brings runs that never end: each search would read their documents."""
    running = document("e", now=BASE)
    row = row_of(running, Packer(shipped_dictionary()), BASE + int(hours * HOUR)).values(1, 1)
    assert is_known == (row[COLUMNS.index("terms")] is not None)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [("deploy", 2), ("deploy retry", 4), ("deploy retry 北京", 4), ("deploy retry failed late", 10)],
)
def test_what_several_words_need_is_looked_for_together(text: str, conditions: int) -> None:
    """Where each had a condition of its own, the index would read all records of each; with many words, some have."""
    found = has_tokens(parse_search(text)).sql
    assert conditions == found.count("@>")
    assert (conditions == 10) == (" AND " in found)


@given(record=documents(), text=st.sampled_from(SEARCHED_TEXTS))
def test_a_record_that_has_a_text_has_the_numbers_of_its_tokens(record: Document, text: str) -> None:
    """As the expression on tokens says, evaluated on numbers."""
    parsed, search = orjson.loads(record.body), parse_search(text)
    terms = set(terms_of(parsed))

    def holds(expression: object) -> bool:
        parts = getattr(expression, "parts", ())
        match type(expression).__name__:
            case "Token":
                return number_of(getattr(expression, "text", "")) in terms
            case "AllOf":
                return all(map(holds, parts))
            case "AnyOf":
                return any(map(holds, parts))
        return holds(getattr(expression, "required", None))

    if matches(parsed, search):
        assert holds(needed(search).expression)
