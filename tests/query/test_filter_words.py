"""A filter in words means the same filter again."""

import pytest

from execution_history.query.fields import FILTERS
from execution_history.query.filter_words import words_of
from execution_history.query.parameters import filter_of

WORDS = {
    "workflow": ["7321", "Weather, mostly"],
    "status": ["failed,success"],
    "since": ["1700000000000"],
    "until": ["2026-11-01"],
    "min_duration": ["1.5s"],
    "max_duration": ["2m"],
    "mode": ["sync", "async"],
    "node": ["Writer >= 12s"],
    "min_tokens": ["5"],
    "min_cost": ["0.000001"],
    "max_cost": ["12"],
    "has_output": ["yes"],
    "tag": ["a", "b c"],
    "pinned": ["no"],
    "where": ['input.city = "北京" and output.items[0]."odd key" >= 1.50', "metadata.tags exists", "input.n = null"],
    "q": ['timeout "out of memory"'],
    "id": ["01a20dba"],
}


@pytest.mark.parametrize("name", [*WORDS, *(row.name for row in FILTERS if row.values.kind == "id")])
def test_words_mean_the_same_filter(name: str) -> None:
    """Every kind of value can be read again."""
    found = filter_of({name: WORDS.get(name, ["x"])}, now=1_800_000_000_000)
    assert [name] == list(words_of(found))
    assert found == filter_of(words_of(found), now=0)


def test_what_is_no_text_has_words_all_the_same() -> None:
    """Half of a surrogate pair, as a command line passes bytes that are no UTF-8."""
    found = filter_of({"where": "input.a = x\udc80"}, now=0)
    assert filter_of(words_of(found), now=0) == filter_of({"where": words_of(found)["where"]}, now=0)
