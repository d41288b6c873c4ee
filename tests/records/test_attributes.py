"""What a record is found by: one definition for all."""

from typing import Any

import orjson
import pytest

from execution_history.records.attributes import RunAttributes, attributes_of, names_of_failed_node, normalised_message
from execution_history.records.record import RecordChange
from tests.sample_records import change, document


def _facts(**fields: Any) -> RunAttributes:
    return attributes_of(orjson.loads(document("a", now=1_000, metadata={}).body) | fields)


def test_a_running_record_has_no_end() -> None:
    """Neither an end time nor a duration."""
    assert (None, None) == (_facts().end_time, _facts().duration_ms)


def test_a_duration_reaches_to_the_end_of_the_run() -> None:
    """Which is the last change, unless metadata knows better; never below nothing."""
    assert 500 == _facts(execute_status="success", update_time=1_500).duration_ms
    assert 200 == _facts(execute_status="success", update_time=9_000, metadata={"ended_at": 1_200}).duration_ms
    assert 0 == _facts(execute_status="failed", metadata={"ended_at": 400}).duration_ms
    assert 500 == _facts(execute_status="failed", update_time=1_500, metadata={"ended_at": "soon"}).duration_ms


def test_metadata_of_the_wrong_kind_counts_as_not_there() -> None:
    """Nobody's odd metadata breaks the finding of others."""
    facts = _facts(
        metadata={"tags": "x", "pinned": 1, "rating": "5", "account": [], "caller": {"name": 7}, "parent": ""}
    )
    assert ((), False, None, None, "7", None) == (
        facts.tags, facts.pinned, facts.rating, facts.account, facts.caller, facts.parent,
    )  # fmt: skip
    assert ("a", "b") == _facts(metadata={"tags": ["a", "b", "a", 3]}).tags


@pytest.mark.parametrize("ended", [True, 253_402_300_800_000, -1, 2**70, 1_400.0, None, [1_400]])
def test_an_end_time_that_is_no_time_is_not_there(ended: Any) -> None:
    """The run ended when it was last changed."""
    facts = _facts(execute_status="success", update_time=1_500, metadata={"ended_at": ended})
    assert (1_500, 500) == (facts.end_time, facts.duration_ms)


def test_a_run_that_goes_on_has_taken_the_time_until_now() -> None:
    """A finished one took what it took; a clock that was put back gives nothing."""
    assert [98_000, 0] == [_facts().elapsed_ms(now) for now in (99_000, 500)]
    assert 500 == _facts(execute_status="success", update_time=1_500).elapsed_ms(99_000)


@pytest.mark.parametrize(
    ("code", "shown"), [(4000, "4000"), ("4000", "4000"), (0, None), ("0", None), ("", None), (True, None), ([], None)]
)
def test_an_error_code_is_a_text(code: Any, shown: str | None) -> None:
    """Zero says that nothing failed."""
    assert shown == _facts(execute_status="failed", error_code=code).error_code


@pytest.mark.parametrize(
    ("parent", "execute_id"),
    [("r", "r"), (7, "7"), ({"workflow_id": "w", "execute_id": "r"}, "r"), ({"workflow_id": "w"}, None), ([], None)],
)
def test_a_run_is_found_by_the_run_within_which_it_began(parent: Any, execute_id: str | None) -> None:
    """Recorded functions name its workflow too, imported runs its id alone."""
    assert execute_id == _facts(metadata={"parent": parent}).parent


@pytest.mark.parametrize(
    ("output", "has"), [(None, False), ("", False), ({}, False), ([], False), (0, True), ("x", True)]
)
def test_an_empty_output_is_none(output: Any, has: bool) -> None:
    """But a false or zero one is an output."""
    assert has == _facts(output=output).has_output


def test_failures_alike_but_for_what_varies_have_one_fingerprint() -> None:
    """Numbers, ids, addresses and quoted values; the code and the failing node tell them apart."""
    first = _facts(execute_status="failed", error_code=1, error_message='node 7 of "abc" timed out after 3.5 s')
    second = _facts(execute_status="failed", error_code="1", error_message="node 12 of 'xyz' timed out after 40 s")
    assert first.fingerprint == second.fingerprint
    assert "node <n> of <value> timed out after <n> s" == first.error_title
    others = [
        _facts(execute_status="failed", error_code=2, error_message="node 7 of 'abc' timed out after 3 s"),
        _facts(
            execute_status="failed",
            error_code=1,
            error_message="node 7 of 'abc' timed out after 3 s",
            node_execute_status={"LLM": {"is_finish": False}},
        ),
    ]
    assert 3 == len({first.fingerprint, *(other.fingerprint for other in others)})


@pytest.mark.parametrize(
    ("proof", "failed_node"),
    [("error_event", "End"), ("connection_broken", None), ("http_status", None), (None, "End")],
)
def test_a_run_that_may_have_gone_on_failed_in_no_open_node(proof: str | None, failed_node: str | None) -> None:
    """Only a node that has an error itself has failed then."""
    nodes: dict[str, object] = {"End": {"is_finish": False}}
    record = document("a").plain() | {
        "execute_status": "failed",
        "node_execute_status": nodes,
        "metadata": {"proof": proof},
    }
    assert failed_node == attributes_of(record).failed_node
    nodes["Pay"] = {"error_message": "declined"}
    assert "Pay" == attributes_of(record).failed_node


def test_a_failed_node_has_a_name_a_title_and_an_id() -> None:
    """A run that did not fail has no such node, whatever its nodes say."""
    nodes = {"Pay (2)": {"node_title": "Pay", "node_id": 7, "error_message": "no"}}
    failed = document("a").plain() | {"execute_status": "failed", "node_execute_status": nodes}
    assert (("Pay (2)", "Pay", "7"), "Pay") == (names_of_failed_node(failed), attributes_of(failed).failed_node)
    stopped = failed | {"execute_status": "interrupted"}
    assert ((), None) == (names_of_failed_node(stopped), attributes_of(stopped).failed_node)


def test_what_did_not_fail_has_no_fingerprint() -> None:
    """An interrupted run has one when it says an error."""
    assert [None, None, None] == [_facts(execute_status=s).fingerprint for s in ("running", "success", "interrupted")]
    assert _facts(execute_status="interrupted", error_message="killed").fingerprint is not None


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("see https://a.example/x?y=1 now", "see <url> now"),
        ("run 0b0c6f0e-8f1d-4a3e-9a55-1f2e3d4c5b6a died", "run <uuid> died"),
        ("at 0xdeadbeef and 1f2e3d4c5b6a", "at <hex> and <hex>"),
        ("节点“天气”第3次失败", "节点<value>第<n>次失败"),
        ("a \n\t b", "a b"),
        ("x" * 500, "x" * 200),
    ],
)
def test_titles_show_kinds_in_the_place_of_what_varies(message: str, title: str) -> None:
    """So that people see what the failures have in common."""
    assert title == normalised_message(message)


def _applied(body: bytes, *changes: RecordChange) -> dict[str, Any]:
    for each in changes:
        changed = each.apply(body)
        assert changed is not None
        body = changed.body
    record: dict[str, Any] = orjson.loads(body)
    return record


def test_a_plain_run_gets_no_further_key() -> None:
    """Created, in progress, finished: metadata is what the caller gave."""
    record = _applied(document("a").body, change(1_500, output=1), change(2_000, "success"))
    assert {} == record["metadata"]


def test_a_later_change_keeps_the_end_time() -> None:
    """The first one notes it, the next ones leave it."""
    tagged = _applied(document("a").body, change(2_000, "success"), change(9_000, metadata={"tags": ["x"]}))
    assert {"ended_at": 2_000, "tags": ["x"]} == tagged["metadata"]
    again = _applied(orjson.dumps(tagged), change(10_000, usage={"token_count": 1}))
    assert 1_000 == attributes_of(again).duration_ms


def test_a_run_that_goes_on_loses_its_end_time() -> None:
    """An interrupted record that runs again ends again."""
    record = _applied(document("a").body, change(2_000, "interrupted"), change(3_000, metadata={"n": 1}))
    assert 2_000 == record["metadata"]["ended_at"]
    resumed = _applied(orjson.dumps(record), change(4_000, "running"), change(5_000, "success"))
    assert {"n": 1} == resumed["metadata"]
    assert 4_000 == attributes_of(resumed).duration_ms
