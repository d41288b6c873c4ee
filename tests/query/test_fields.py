"""The table of filters: whatever offers, reads or shows a filter has every row of it."""

import dataclasses

import pytest

from execution_history.cli import main
from execution_history.presentation.translator import LANGUAGES
from execution_history.query.fields import ATTRIBUTES, FILTERS, FilterField, RecordFilter
from execution_history.query.parameters import filter_of
from execution_history.web.api.query_parameters import documented
from execution_history.web.pages.list_state import list_state
from tests.sample_filters import KEYWORDS

_NAMES = [row.name for row in FILTERS]
_CHINESE = LANGUAGES["zh_CN"]


def test_a_row_is_a_keyword_and_a_keyword_is_a_row() -> None:
    """No name is given twice, and the samples that compare stores have a value for every filter."""
    keywords = {field.name for field in dataclasses.fields(RecordFilter)}
    assert keywords == {row.keyword for row in FILTERS} == KEYWORDS
    assert len(set(_NAMES)) == len(_NAMES)
    columns = [each.column for each in ATTRIBUTES if each.column is not None]
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("row", FILTERS, ids=_NAMES)
def test_every_filter_is_offered_over_http_and_on_the_page(row: FilterField) -> None:
    """As a documented parameter, and as a chip that can be taken away and has a label in both languages."""
    assert row.name in [parameter["name"] for parameter in documented()["parameters"]]
    (chip,) = list_state("/runs", [(row.name, "1")]).chips()
    assert (row.name, "/runs") == (chip.name, chip.without)
    assert _CHINESE(row.label) != row.label


def test_every_filter_is_an_option_of_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With help in both languages."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["list", "--help"])
    said = capsys.readouterr().out
    assert [] == [name for name in _NAMES if name != "workflow" and f"--{name.replace('_', '-')}" not in said]
    assert [] == [row.name for row in FILTERS if _CHINESE(row.meaning) == row.meaning]


@pytest.mark.parametrize("row", FILTERS, ids=_NAMES)
def test_every_filter_is_read_from_text_and_tests_records(row: FilterField) -> None:
    """What is read sets the row's keyword alone, and is something that a record has to fulfil."""
    texts = {"status": "failed", "condition": "input.x = 1", "bool": "true", "mode": "sync", "time": "1h"}
    found = filter_of({row.name: texts.get(row.values.kind, "1")}, now=1_761_900_000_000)
    assert frozenset({row.keyword}) == found.given()
    assert found.predicate().parts
