"""The table of filters: whatever offers, reads or shows a filter has every row of it."""

import dataclasses
from typing import Final

import pytest

from execution_history.cli import main
from execution_history.presentation.translator import LANGUAGES
from execution_history.query.fields import ATTRIBUTES, FILTERS, FilterField, RecordFilter
from execution_history.query.parameters import filter_of
from execution_history.query.predicates import Exists
from execution_history.records.attributes import attributes_of
from execution_history.records.metadata import KEYS as METADATA_KEYS
from execution_history.records.record import new_document
from execution_history.web.api.query_parameters import documented
from execution_history.web.pages.list_state import list_state
from tests.sample_filters import KEYWORDS

_NAMES = [row.name for row in FILTERS]
_CHINESE = LANGUAGES["zh_CN"]


def test_a_row_is_a_keyword_and_a_keyword_is_a_row() -> None:
    """No name is given twice, and the samples that compare stores have a value for every filter."""
    keywords = {field.name for field in dataclasses.fields(RecordFilter)} - {"within"}
    assert keywords == {row.keyword for row in FILTERS} | {"workflow_ids"} == KEYWORDS
    assert len(set(_NAMES)) == len(_NAMES)
    columns = [each.column for each in ATTRIBUTES]
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


_ODD: Final[tuple[object, ...]] = ("text", 1024, 2**70, 1.5, True, ["a"], {"a": 1}, [{}], "", "\ud800")


@pytest.mark.parametrize("value", _ODD, ids=repr)
@pytest.mark.parametrize("row", FILTERS, ids=_NAMES)
def test_an_attribute_is_of_its_kind_whatever_a_record_holds(row: FilterField, value: object) -> None:
    """Each key of the record, and each of its metadata, may hold anything: an index must never meet that."""
    fixed = ("workflow_id", "execute_id", "execute_status", "create_time", "update_time")
    record = new_document(workflow_id="w", execute_id="e", now=1).plain()
    record |= {key: value for key in record if key not in fixed}
    for odd in (record, record | {"metadata": dict.fromkeys(METADATA_KEYS, value)}):
        if row.attribute is not None:
            read = row.attribute.read(odd, attributes_of(odd))
            kind = {"bool": bool, "id": str, "status": str, "text": str}.get(row.values.kind, int)
            kind = str if row.test is Exists else kind  # whatever it is, only whether it is there counts
            assert {kind} >= {type(each) for each in (read if isinstance(read, tuple) else (read,)) if each is not None}


@pytest.mark.parametrize("row", FILTERS, ids=_NAMES)
def test_every_filter_is_read_from_text_and_tests_records(row: FilterField) -> None:
    """What is read sets the row's keyword alone, and is something that a record has to fulfil."""
    texts = {"status": "failed", "condition": "input.x = 1", "bool": "true", "mode": "sync", "time": "1h"}
    found = filter_of({row.name: texts.get(row.values.kind, "1")}, now=1_761_900_000_000)
    assert frozenset({row.keyword}) == found.given()
    assert found.predicate().parts
