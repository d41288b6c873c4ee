"""The registered keys of metadata: typed when they are read, and treated alike wherever records go."""

from typing import Any

import pytest

from execution_history.history.diff import compare_records
from execution_history.query.text import texts_of
from execution_history.records import metadata
from execution_history.records.metadata import KEYS, Key
from execution_history.records.proof import Proof
from tests.sample_records import document


def _record(found: Any) -> dict[str, Any]:
    return document("e").plain() | {"metadata": found}


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        (metadata.ACCOUNT, 7, "7"),
        (metadata.ACCOUNT, ["a"], None),
        (metadata.CALLER, {"name": "cozepy", "version": "1"}, "cozepy"),
        (metadata.CALLER, "cron", "cron"),
        (metadata.COZE_EXECUTE_ID, 7, None),
        (metadata.INTERRUPT, {"event_id": "1/1"}, {"event_id": "1/1"}),
        (metadata.INTERRUPT, "what?", None),
        (metadata.ENDED_AT, True, None),
        (metadata.ENDED_AT, 5, 5),
        (metadata.PARENT, {"workflow_id": "w", "execute_id": "e"}, "e"),
        (metadata.PINNED, 1, None),
        (metadata.RATING, 4.5, None),
        (metadata.NOTE, "", ""),
    ],
)
def test_a_value_has_the_type_of_its_key(key: Key[Any], value: Any, read: Any) -> None:
    """One of another type counts as not there; as it is, it can be shown."""
    record = _record({key.name: value})
    assert (read, value) == (key.of(record), key.raw(record))


@pytest.mark.parametrize("found", [None, [1], "x", {}])
def test_metadata_of_another_type_have_no_keys(found: Any) -> None:
    """Foreign records may have anything there."""
    assert {None} == {key.of(_record(found)) for key in KEYS.values()}


def test_bookkeeping_is_neither_searched_nor_compared() -> None:
    """Runs set up alike are alike, and nobody looks for what recorders note; callers' own keys count for both."""
    noted = {name: f"noted {name}" for name in KEYS} | {"mine": "noted mine"}
    searched = {field.field.removeprefix("metadata.") for field in texts_of(_record(noted)) if "noted" in field.text}
    compared = {
        found.path.removeprefix("metadata.")
        for found in compare_records(_record(dict.fromkeys(noted)), _record(noted)).settings
    }
    assert {"recorder", "proof", "transition", "taken_over", "fetched_at", "ended_at", "duration_ms",
            "recording_is_cut", "output_text", "request_charset", "answer_charset",
            "recorded_as", "pruned", "redacted", "recording"} == noted.keys() - searched  # fmt: skip
    assert {"account", "return_value", "mine"} == compared


@pytest.mark.parametrize(("value", "proof"), [("done_event", Proof.DONE_EVENT), ("a later one", None), (7, None)])
def test_a_proof_is_one_of_those_known(value: Any, proof: Proof | None) -> None:
    """Another one, of a later version perhaps, stays in the record as it is."""
    record = _record({"proof": value})
    assert (proof, value) == (metadata.PROOF.of(record), metadata.PROOF.raw(record))
