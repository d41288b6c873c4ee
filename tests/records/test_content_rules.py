"""What of a run's contents is kept, by the rules of redaction and of recording."""

from typing import Any

import orjson
import pytest

from execution_history.errors import InvalidInput
from execution_history.records.content_rules import ContentRules, RunContents
from execution_history.records.record import KEYS
from execution_history.records.recording_rules import RecordingRule, recording_rules_of, rule_for
from execution_history.records.redaction_rules import rules_of
from tests.sample_records import change, document

TOKEN = "pat_" + "Ab1" * 8


def _contents(*recording: dict[str, Any], redaction: tuple[dict[str, Any], ...] = ()) -> RunContents:
    return ContentRules(rules_of(redaction), recording_rules_of(recording)).of_run("w")


def _run(contents: RunContents, **ending: Any) -> dict[str, Any]:
    begun = contents.document(
        document("e", parameters={"q": "question", "api_key": "hunter2"}, metadata={"mine": {"password": "x"}})
    )
    ended = contents.change(change(5_000, "success", **ending)).apply(begun.body, begun.parts)
    assert ended is not None
    record: dict[str, Any] = orjson.loads(ended.body)
    assert tuple(record) == KEYS
    return record


def test_a_record_says_what_was_taken_out_of_it() -> None:
    """How many values by which rule, by what they were in; a secret that comes back is found again."""
    record = _run(_contents(), output="it was hunter2", node_execute_status={"N": {"content": f'["{TOKEN}"]'}})
    assert record["input_parameters"] == {"q": "question", "api_key": "[redacted]"}
    assert record["output"] == "it was [redacted]"
    assert record["node_execute_status"] == {"N": {"content": '["[redacted]"]'}}
    assert record["metadata"]["mine"] == {"password": "[redacted]"}
    assert record["metadata"]["redacted"] == {
        "input_parameters": {"secret_names": 1}, "metadata.mine": {"secret_names": 1}, "output": {"secret_names": 1},
        "node_execute_status": {"coze_token": 1},
    }  # fmt: skip


def test_metadata_with_a_secret_name_are_taken_out() -> None:
    """What stands under a key of metadata is judged by that key, too."""
    kept = _contents().document(document("e", metadata={"api_key": "hunter2", "page": "hunter"}))
    metadata = orjson.loads(kept.body)["metadata"]
    assert (metadata["api_key"], metadata["page"]) == ("[redacted]", "hunter")
    assert metadata["redacted"] == {"metadata.api_key": {"secret_names": 1}}


def test_a_value_that_is_replaced_has_nothing_missing_any_more() -> None:
    """As with values that were cut."""
    contents = _contents()
    begun = document("e")
    first = contents.change(change(2_000, output=TOKEN)).apply(begun.body)
    assert first is not None
    second = contents.change(change(3_000, "success", output="fine")).apply(first.body)
    assert second is not None
    assert "redacted" in orjson.loads(first.body)["metadata"]
    assert "redacted" not in orjson.loads(second.body)["metadata"]


def test_a_step_without_secrets_is_the_same_step() -> None:
    """It costs no copy."""
    contents = _contents()
    begun, ended = document("e", parameters={"q": 1}), change(2_000, "success", output="x", metadata={"mine": 1})
    assert (contents.document(begun), contents.change(ended)) == (begun, ended)
    assert contents.document(begun) is begun
    assert contents.change(ended) is ended


def test_a_node_keeps_its_name_and_its_facts() -> None:
    """A node that is called like a secret is none."""
    node = {"node_id": "7", "node_title": "Token", "usage": {"token": 123456}, "content": "x"}
    assert {"Token": node} == _run(_contents(), node_execute_status={"Token": node})["node_execute_status"]


def test_a_condition_of_a_change_is_kept_as_the_record_is() -> None:
    """A question with a secret in it is still the same question."""
    contents = _contents()
    question = {"event_id": "1/1", "data": TOKEN}
    begun = document("e")
    asked = contents.change(change(2_000, "interrupted", metadata={"interrupt": question})).apply(begun.body)
    assert asked is not None
    more = contents.change(change(3_000, usage={"token_count": 1}, only_while={"interrupt": question}))
    assert more.apply(asked.body) is not None


def test_of_a_summary_the_contents_are_left_out() -> None:
    """Status, times and tokens stay, and the record says why there is no more."""
    record = _run(
        _contents({"record": "summary"}),
        output="answer", usage={"token_count": 7}, node_execute_status={"N": {"node_id": "1", "content": "said"}},
    )  # fmt: skip
    assert b"question" not in orjson.dumps(record)
    assert (None, None, {"token_count": 7}) == (record["input_parameters"], record["output"], record["usage"])
    node = record["node_execute_status"]["N"]
    assert ("1", None) == (node["node_id"], node["content"])
    assert record["metadata"]["recording"] == {"record": "summary"}


def test_values_are_cut_where_a_rule_limits_them() -> None:
    """Each to its beginning; the record says how large they were."""
    record = _run(
        _contents({"largest_bytes": 100}), output="o" * 500, node_execute_status={"N": {"content": "c" * 500, "n": 1}}
    )
    assert record["output"] == "o" * 99 + "…"
    assert record["node_execute_status"]["N"] == {"content": "c" * 99 + "…", "n": 1}
    assert record["metadata"]["recording_is_cut"] == {"output": 502, "node_execute_status.N.content": 502}


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_sample_has_its_share(share: float) -> None:
    """Which runs are in it is settled by their ids."""
    rule = RecordingRule.of({"record": "sample", "share": share})
    kept = sum(rule.is_kept(f"run {number}") for number in range(2_000)) / 2_000
    assert abs(kept - share) < 0.05


def test_the_last_rule_for_a_workflow_counts() -> None:
    """Rules name workflows with stars."""
    rules = recording_rules_of([{"record": "summary"}, {"workflow": "chat_*", "record": "nothing"}])
    assert ["summary", "nothing"] == [rule_for(rules, name).record for name in ("w", "chat_1")]
    only_there = rules_of([{"key": "x", "workflow": "other"}])
    assert document("e").body == ContentRules(only_there).of_run("w").document(document("e")).body


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"record": "half"}, "everything, summary, sample, nothing"),
        ({"record": "sample"}, "has a share"),
        ({"share": 0.5}, "has a share"),
        ({"record": "sample", "share": 2}, "between 0 and 1"),
        ({"largest_bytes": 5}, "at least 100"),
        ({"wf": "x"}, "has no 'wf'"),
        ({"workflow": ""}, "1 to 1000"),
    ],
)
def test_an_impossible_rule_is_refused_in_a_sentence(rule: dict[str, Any], said: str) -> None:
    """It names what is wrong with it."""
    with pytest.raises(InvalidInput, match=said):
        RecordingRule.of(rule)


def test_a_stored_record_is_redacted_as_its_next_version() -> None:
    """What was counted before is added up, and a second time finds nothing."""
    contents = _contents(redaction=({"detector": "email"},))
    before = document("e", parameters={"a": "me@host.test"}, metadata={"redacted": {"input_parameters": {"email": 1}}})
    made = contents.redacted(before, 500)
    assert made is not None
    after, found = made
    assert found == {"input_parameters": {"email": 1}}
    assert after.update_time == before.update_time + 1
    record = orjson.loads(after.body)
    assert record["input_parameters"] == {"a": "[redacted]"}
    assert record["metadata"]["redacted"] == {"input_parameters": {"email": 2}}
    assert contents.redacted(after, 600) is None
