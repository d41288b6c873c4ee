"""Where a run took place, who may act for it, and what callers cannot claim about it."""

from enum import Enum
from typing import Any

import pytest

from execution_history import ExecutionHistoryService, record, recorded
from execution_history.records.metadata import KEYS, Use, metadata_of, of_caller
from execution_history.records.origin import acting_account, is_function
from execution_history.records.proof import OF_FUNCTIONS, Proof
from execution_history.records.record import new_document
from tests.sample_records import document

pytestmark = pytest.mark.anyio


def _record(**metadata: Any) -> dict[str, Any]:
    return document("e").plain() | {"metadata": metadata}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"recorded_as": "generator"}, True),
        ({"recorded_as": "something"}, False),
        *(({"proof": proof, "account": "default"}, proof in OF_FUNCTIONS) for proof in Proof),
        ({"recorder": "r"}, True),  # a version without recorded_as, still running or lost
        ({"recorder": "r", "account": "default"}, False),
        ({"recorder": "r", "upstream": "https://api.coze.cn"}, False),
        ({}, False),  # whoever created it by hand records runs of Coze
        ({"duration_ms": 3}, False),
    ],
)
def test_a_function_is_told_by_what_its_recorder_keeps(metadata: dict[str, Any], expected: bool) -> None:
    """Also in records of earlier versions."""
    assert expected == is_function(_record(**metadata))


@pytest.mark.parametrize(
    ("metadata", "account"),
    [
        ({"account": "work", "recorder": "r"}, "work"),
        ({"account": "work"}, None),
        ({"account": "work", "fetched_at": 1, "proof": "run_history"}, "work"),
        ({"account": "work", "fetched_at": 1}, None),
        ({"account": "work", "proof": "run_history"}, None),
        ({"account": {"name": "work"}, "recorder": "r"}, None),
        ({"account": "work", "recorder": ["r"]}, None),
        ({"account": "work", "recorder": "r", "recorded_as": "block"}, None),
    ],
)
def test_an_account_acts_only_where_a_recorder_kept_it(metadata: dict[str, Any], account: str | None) -> None:
    """Whoever writes a record does not choose with whose token others act on it."""
    assert account == acting_account(_record(**metadata))


class _Name(Enum):
    PROOF = "proof"


class _Text(str, Enum):  # noqa: UP042 - whose str is not its value
    PROOF = "proof"


@pytest.mark.parametrize("key", ["proof", _Name.PROOF, _Text.PROOF, b"proof"], ids=repr)
def test_a_claim_is_found_under_every_form_of_its_key(key: Any) -> None:
    """A key becomes the same text in the record whatever it was."""
    assert {"caller.proof": 1} == of_caller({key: 1})


def test_other_keys_stay_as_they_are() -> None:
    """Whatever callers choose, tags and accounts among it."""
    given = {
        "tags": ["a"],
        "account": "a",
        "caller": "c",
        "mine": 1,
        2: 3,
        "caller.proof": 4,
        "duration_ms": 5,
        "coze_execute_id": "6",
    }
    assert given == of_caller(given)  # type: ignore[arg-type]  # keys may be anything
    of_function = of_caller(given, is_function=True)  # type: ignore[arg-type]  # as above
    assert given.keys() - of_function.keys() == {"duration_ms", "coze_execute_id", "account", "caller"}


_CLAIMS = {name: f"claimed {name}" for name in KEYS}


async def test_callers_of_the_service_claim_nothing() -> None:
    """What they set is kept under a name that says so, when a record begins and when it changes."""
    service = ExecutionHistoryService("memory:")
    ours = {name for name, key in KEYS.items() if Use.OURS in key.uses}
    recording = {
        "proof",
        "recorder",
        "transition",
        "taken_over",
        "recording_is_cut",
        "recorded_as",
        "fetched_at",
        "cost",
        "pruned",
        "redacted",
        "recording",
    }
    reading = {"output_text", "request_charset", "answer_charset", "unread"}
    assert recording | reading == ours
    begun = await service.create_execution_record("w", "e", metadata=_CLAIMS)
    changed = await service.update_execution_record("w", "e", "success", metadata={"proof": "done_event"})
    assert changed is not None
    for found in (begun, changed):
        assert not ours & found["metadata"].keys()
        assert {name for name in KEYS if name not in ours} - {"ended_at"} <= found["metadata"].keys()
    assert ("claimed proof", "done_event") == (begun["metadata"]["caller.proof"], changed["metadata"]["caller.proof"])


async def test_what_is_recorded_as_a_function_claims_nothing() -> None:
    """Neither in what it is declared with, nor while it runs; its own proof, duration and traceback stay."""
    service = ExecutionHistoryService("memory:")
    with record("w", service=service, metadata=_CLAIMS) as run:
        run.metadata |= {"proof": "done_event", "duration_ms": -1, "interrupt": {"event_id": "1/1"}}

    @recorded("v", service=service, metadata=_CLAIMS)
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    [done], [failed] = [(await service.get_execution_history(name))["histories"] for name in ("w", "v")]
    known = metadata_of(done)
    assert ("returned", "done_event", "block", "claimed recorded_as") == (
        known["proof"], known["caller.proof"], known["recorded_as"], known["caller.recorded_as"],
    )  # fmt: skip
    assert known["duration_ms"] >= 0
    assert known.keys().isdisjoint({"interrupt", "coze_execute_id", "upstream", "ended_at", "answers"})
    assert ("raised", "function") == (failed["metadata"]["proof"], failed["metadata"]["recorded_as"])
    assert "ValueError: no" in failed["metadata"]["traceback"]
    assert all(map(is_function, (done, failed)))


async def test_a_change_does_not_choose_who_acts_for_a_run() -> None:
    """The account and the address of what a recorder began stay; what a caller would have them is kept aside."""
    service = ExecutionHistoryService("memory:")
    own = {"account": "own", "upstream": "https://own.test", "recorder": "r"}
    document = new_document(workflow_id="w", execute_id="e", now=1, metadata=own)
    await service.merge([document])
    changed = await service.update_execution_record(
        "w", "e", metadata={"account": "victim", "upstream": "http://victim.test", "mine": 1}
    )
    assert changed is not None
    aside = {"caller.account": "victim", "caller.upstream": "http://victim.test", "mine": 1}
    assert {**own, **aside} == changed["metadata"]
    assert "own" == acting_account(changed)
    begun = await service.create_execution_record("w", metadata={"account": "mine", "upstream": "http://a.test"})
    assert {"account": "mine", "upstream": "http://a.test"} == begun["metadata"]
