"""Rules of retention as people write them, and what protects a run from them."""

from typing import Any

import pytest

from execution_history.errors import InvalidInput
from execution_history.query.retention import RetentionRule
from execution_history.records.byte_sizes import bytes_of
from execution_history.records.protection import protection_of

_DAY = 86_400_000


def test_a_rule_says_which_runs_go_and_is_written_as_it_was_read() -> None:
    """Filters are those of every other place; a rule without a name is called by what it says."""
    limits = {"older_than": "30d", "keep_bytes": "2GB"}
    rule = RetentionRule.of({"workflow": "w", "status": ["success", "failed"], **limits})
    found = rule.matching(100 * _DAY)
    assert (("w",), ("success", "failed"), 70 * _DAY) == (found.workflows, found.statuses, found.created_before)
    assert (2_000_000_000, "remove", True) == (rule.keep_bytes, rule.action, rule.is_by_workflow)
    assert "workflow=w status=success,failed older_than=30d keep_bytes=2000000000" == rule.name
    assert rule == RetentionRule.of(rule.to_json())


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"status": "success"}, "needs a limit"),
        ({"older_than": "soon"}, "An age"),
        ({"keep_runs": -1}, "keep_runs"),
        ({"keep_bytes": "much"}, "A size"),
        ({"older_than": "1d", "since": "2h"}, "'since'"),
        ({"older_than": "1d", "colour": "red"}, "'colour'"),
        ({"older_than": "1d", "status": "good"}, "'good'"),
        ({"older_than": "1d", "action": "burn"}, "'burn'"),
        ({"older_than": "1d", "tag": {"a": 1}}, "'tag'"),
        ({"older_than": "1d", "name": "x" * 101}, "100"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_part(values: dict[str, Any], part: str) -> None:
    """So that it can be mended."""
    with pytest.raises(InvalidInput, match=part):
        RetentionRule.of(values)


@pytest.mark.parametrize(("text", "size"), [("500MB", 500_000_000), ("1.5 GiB", 1_610_612_736), ("7", 7), (42, 42)])
def test_sizes_are_read_as_people_write_them(text: object, size: int) -> None:
    """A kilobyte has a thousand bytes."""
    assert size == bytes_of(text)


@pytest.mark.parametrize("value", [-1, True, "GB", "1e9", None, "9" * 18 + "TB"])
def test_what_is_no_size_is_refused(value: object) -> None:
    """With a sentence that has an example."""
    with pytest.raises(InvalidInput, match="20GB"):
        bytes_of(value)


@pytest.mark.parametrize(
    ("status", "metadata", "protection"),
    [
        ("success", {}, None),
        ("running", {}, "running"),
        ("interrupted", {"interrupt": {"event_id": "1"}}, "waiting"),
        ("interrupted", {}, None),
        ("failed", {"pinned": True}, "pinned"),
        ("failed", {"rating": 1}, "rated"),
        ("failed", {"tags": ["a", "keep"]}, "tagged"),
        ("other", {"tags": "keep", "pinned": "yes", "rating": "5"}, None),
    ],
)
def test_what_protects_a_run(status: str, metadata: dict[str, Any], protection: str | None) -> None:
    """It runs or waits, or somebody has marked it."""
    record = {"execute_status": status, "metadata": metadata, "update_time": 1}
    assert protection == protection_of(record)


def test_a_rule_that_names_interrupted_runs_frees_those_that_wait() -> None:
    """And no other protected ones."""
    rule = RetentionRule.of({"status": "interrupted", "older_than": "90d"})
    record = {"execute_status": "interrupted", "metadata": {"interrupt": {"event_id": "1"}}, "update_time": 1}
    assert rule.frees_waiting
    assert None is protection_of(record, frees_waiting=True)
    assert "pinned" == protection_of(record | {"metadata": {"pinned": True}}, frees_waiting=True)
