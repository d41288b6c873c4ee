"""The time for which a run waited for answers of people is none in which it worked."""

from typing import Any

import pytest

from execution_history.records.attributes import attributes_of, may_have_run
from execution_history.records.record import KEYS
from execution_history.records.waiting import waiting_since, waits_of


def record(*answers: Any, **fields: Any) -> dict[str, Any]:
    """A run from second 1 to second 61 with these answers."""
    return {**dict.fromkeys(KEYS), "execute_status": "success", "create_time": 1_000, "update_time": 61_000,
            "metadata": {"answers": list(answers)}, **fields}  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "waited"),
    [
        ([], 0),
        ([{"asked_at": 11_000, "at": 31_000}], 20_000),
        ([{"asked_at": 11_000, "at": 21_000}, {"asked_at": 41_000, "at": 51_000}], 20_000),
        # An answer that was sent twice, a clock that went back, one that came after the end.
        ([{"asked_at": 11_000, "at": 31_000}, {"asked_at": 11_000, "at": 21_000}], 20_000),
        ([{"asked_at": 31_000, "at": 11_000}], 0),
        ([{"asked_at": 51_000, "at": 99_000}], 10_000),
        ([{"asked_at": 0, "at": 2_000}], 1_000),
        # Older records have no time of the question; others anything.
        ([{"at": 31_000}], 0),
        (["x", None, {"asked_at": "11000", "at": True}, {"asked_at": 10**30, "at": 1}], 0),
    ],
)
def test_waiting_is_what_lies_between_questions_and_answers(answers: list[Any], waited: int) -> None:
    """Within the run, without overlaps; the rest is the run's duration."""
    known = attributes_of(record(*answers))
    assert (waited, 60_000 - waited) == (known.waited_ms, known.duration_ms)


def test_a_run_that_goes_on_has_worked_without_its_waiting() -> None:
    """Until now."""
    known = attributes_of(record({"asked_at": 11_000, "at": 31_000}, execute_status="running"))
    assert (None, 20_000, 49_000) == (known.duration_ms, known.waited_ms, known.elapsed_ms(70_000))


def test_a_run_that_waits_has_done_so_since_it_was_interrupted() -> None:
    """Later changes of its record do not count; one that asks nothing waits for nothing."""
    asks = record(execute_status="interrupted", metadata={"interrupt": {"event_id": "1/1"}})
    assert 61_000 == waiting_since(asks)
    assert 51_000 == waiting_since({**asks, "metadata": {**asks["metadata"], "ended_at": 51_000}})
    assert waiting_since(record(execute_status="interrupted")) is None
    assert waiting_since({**asks, "execute_status": "success"}) is None


def test_waits_come_in_order_and_apart() -> None:
    """Whatever the order of the answers."""
    known = record({"asked_at": 41_000, "at": 51_000}, {"asked_at": 11_000, "at": 45_000})
    assert [(11_000, 45_000), (45_000, 51_000)] == waits_of(known)


@pytest.mark.parametrize(
    ("status", "proof", "code", "may"),
    [
        ("failed", "http_status", 502, True), ("failed", "http_status", 404, False),
        ("failed", "http_status", 302, True), ("failed", "http_status", 307, False),
        ("failed", "connection_broken", None, True), ("failed", "stream_ended_early", None, True),
        ("interrupted", "abandoned", None, True), ("failed", "error_event", 502, False),
        ("success", "done_event", None, False), ("running", "timeout", None, False), ("failed", None, 502, False),
    ],
)  # fmt: skip
def test_a_call_without_a_result_may_have_run(status: str, proof: str | None, code: int | None, may: bool) -> None:
    """Unless it is known that nothing began, or how it ended."""
    given = record(execute_status=status, error_code=code, metadata={"proof": proof})
    assert may == may_have_run(given)
