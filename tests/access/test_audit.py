"""The audit log: what is found in it, what is said of it, and how it is taken out."""

from datetime import UTC
from typing import Any

import orjson
import pytest

from execution_history.access.audit import LABELS, Act, Action, AuditFilter, AuditLine, newest_lines, note
from execution_history.access.principals import NOBODY, Principal, acting, current_actor
from execution_history.errors import InvalidInput
from execution_history.presentation.audit_sentences import actor_text, details_text
from execution_history.presentation.translator import LANGUAGES
from execution_history.query.model import RecordKey
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer.audit_export import audit_chunks

pytestmark = pytest.mark.anyio

_CI = Principal("4f1c09ab", "ci", frozenset({"write"}))
_ENGLISH, _CHINESE = LANGUAGES["en"], LANGUAGES["zh_CN"]


async def test_lines_are_found_by_action_person_and_time_page_by_page(store: HistoryStore) -> None:
    """The newest first; every page but the last says where the next one begins."""
    await store.open()
    with acting(_CI):
        for number in range(7):
            await note(store, Action.DELETE, workflow_id="w", execute_id=f"e{number}")
    with acting(NOBODY):
        await note(store, Action.SIGN_IN_FAILED, client="192.0.2.1")
    deleted, found, before = AuditFilter(frozenset({"delete"}), by="CI"), list[Any](), None
    for size in (3, 3, 1):
        page = await newest_lines(store, 3, deleted, before)
        assert size == len(page.lines)
        found, before = found + page.lines, page.next
    assert before is None
    assert [f"e{number}" for number in range(6, -1, -1)] == [line.details["execute_id"] for line in found]
    last = (await newest_lines(store, 1)).lines[0]
    assert ("sign_in_failed", "nobody") == (last.action, last.actor)
    assert await newest_lines(store, 9) == await newest_lines(store, 9, before=10**30)
    for at in (1_000, 2_000, 3_000):
        await store.append_audit("local", "clear", at=at)
    within = await newest_lines(store, 9, AuditFilter(since=2_000, until=3_000))
    assert ([2_000], None) == ([line.at for line in within.lines], within.next)


async def test_an_export_of_the_log_is_a_line_of_it(store: HistoryStore) -> None:
    """Written before it, with what was looked for; no spreadsheet or terminal obeys a table."""
    await store.open()
    with acting(Principal("4f1c09ab", "=1+1", frozenset({"admin"}))):
        await store.append_audit(current_actor(), "gone\x1b[2J", b'{"\x9b1m":1}'.decode("latin-1").encode())
        await note(store, Action.DELETE, runs=2, first=[RecordKey("w", "e1"), RecordKey("w", "e2")])
    with acting(_CI):
        table = b"".join([each async for each in audit_chunks(store, AuditFilter(by="=1+1"), "csv")]).decode()
        objects = b"".join([each async for each in audit_chunks(store, AuditFilter(), "jsonl")])
    head, *rows = table.splitlines()
    assert ("number,time,actor,action,details", 2) == (head, len(rows))
    assert rows[0].endswith('4f1c09ab =1+1,gone␛[2J,"{""\\u009b1m"":1}"')
    assert "4f1c09ab =1+1,delete" in rows[1]
    lines = [orjson.loads(line) for line in objects.splitlines()]
    assert ["gone\x1b[2J", "delete", "audit.export", "audit.export"] == [line["action"] for line in lines]
    assert {"format": "csv", "filters": {"by": "=1+1"}} == lines[2]["details"]
    assert [["w", "e1"], ["w", "e2"]] == lines[1]["details"]["first"]


def test_what_is_no_action_is_refused_with_the_one_that_may_be_meant() -> None:
    """As every filter does it."""
    with pytest.raises(InvalidInput, match="'deleted' is not an action: perhaps you meant delete"):
        AuditFilter.of(["deleted"], now=0, zone=UTC)


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "delete": ({"workflow_id": "w", "execute_id": "e"}, "run e of workflow w"),
    "clear": ({"workflow_id": "w"}, "workflow w"),
    "bulk_delete": ({"change": "c", "filters": {"status": ["failed"]}, "runs": 12}, "12 runs: status=failed"),
    "undelete": ({"runs": 3, "first": [["w", "a"], ["w", "b"]]}, "3 runs: a, b …"),
    "export": ({"format": "csv", "filters": {"since": ["1700000000000"]}}, "CSV, since=2023-11-14T22:13:20.000Z"),
    "import": ({"sources": 1}, "1 source"),
    "reprice": ({"filters": {}}, "all runs"),
    "retention.prune": (
        {"parts": [{"rule": "old", "action": "remove", "runs": 2, "bytes": 9}], "freed": 2_000_000},
        "2 runs removed (old); 2.0 MB given back.",
    ),
    "retention.rule.set": (
        {"name": "old", "status": ["failed"], "older_than": "30d", "keep_runs": None, "keep_bytes": None,
         "action": "remove"},
        "old: runs, status=failed, older than 30d",
    ),
    "retention.rule.remove": ({"name": "old"}, "old"),
    "bin.empty": ({"runs": 1, "first": [["w", "a"]]}, "1 run: a"),
    "archive": (
        {"month": "2026-05", "file": "/a/2026-05.db", "records": 4, "size": 1},
        "2026-05, 4 runs, /a/2026-05.db",
    ),
    "redact": ({"records": 2, "values": {"phone": 3, "secret": 1}, "workflows": 1}, "4 values in 2 runs"),
    "backup": ({"place": "/b", "id": "x", "kind": "full", "records": 5}, "full backup, 5 runs, /b"),
    "restore": ({"place": "/b", "id": "x", "records": 5}, "5 runs, /b"),
    "doctor": ({"repaired": {"check": ["One.", "Two."]}}, "One. Two."),
    "key_added": (
        {"id": "4f1c09ab", "name": "ci", "scopes": ["read"], "workflows": ["order-*"]},
        "ci (4f1c09ab): read, only workflows order-*",
    ),
    "key_renewed": (
        {"id": "4f1c09ab", "name": "ci", "expires": 1_700_000_000_000},
        "ci (4f1c09ab), expires 2023-11-14T22:13:20.000Z",
    ),
    "key_revoked": ({"id": "4f1c09ab", "name": "ci"}, "ci (4f1c09ab)"),
    "sessions_ended": ({"signed_out": True}, "everyone has to sign in again"),
    "sign_in_failed": ({"client": "192.0.2.1"}, "from 192.0.2.1"),
    "audit.export": ({"format": "jsonl"}, "JSON Lines, everything"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("action", "details", "label", "expected"),
    [
        ("backup", {"place": "/b", "begun": True}, "Began a backup", "/b"),
        ("backup", {"place": "/b", "failed": "The disk is full."}, "Failed to make a backup", "The disk is full. (/b)"),
        ("restore", {"place": "/b", "begun": True, "missing": {}}, "Began to restore a backup", "/b"),
        ("redact", {"begun": True, "only_workflows": ["w"]}, "Began to redact runs", "workflow w"),
        ("redact", {"begun": True}, "Began to redact runs", ""),
        ("redact", {"failed": "It was stopped before its end.", "records": 1, "values": {"phone": 2}},
         "Failed to redact runs", "It was stopped before its end. (2 values in 1 run)"),
        ("doctor", {"begun": "files"}, "Began a repair", ""),
        ("doctor", {"failed": "In use.", "repaired": {"files": []}}, "Failed to repair the history", "In use."),
        ("retention.prune", {"begun": True}, "Began to remove runs by rule", ""),
    ],
)  # fmt: skip
def test_an_act_that_takes_a_while_has_lines_of_its_beginning_and_its_failure(
    action: str, details: dict[str, Any], label: str, expected: str
) -> None:
    """What it is about, why it failed, and what it had done by then; in both languages."""
    line = AuditLine(1, 0, "local", action, details)
    assert (label, expected) == (line.label, details_text(_ENGLISH, action, details))
    assert label != _CHINESE(label)


async def test_an_act_is_in_the_log_before_it_changes_anything(store: HistoryStore) -> None:
    """So whatever ends the process in between, its first line is there; one that found nothing to do has none."""
    await store.open()
    async with Act(store, Action.REDACT):
        pass
    assert [] == await store.audit(0, 9)

    async def interrupted() -> None:
        async with Act(store, Action.REDACT, "ada", place="/b") as act:
            await act.begin()
            assert [{"place": "/b", "begun": True}] == [orjson.loads(each.details) for each in await store.audit(0, 9)]
            act.found = {"records": 1}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await interrupted()
    begun, ended = await store.audit(0, 9)
    assert ("ada", "redact", "ada", "redact") == (begun.actor, begun.action, ended.actor, ended.action)
    assert {"place": "/b", "records": 1, "failed": "It was stopped before its end."} == orjson.loads(ended.details)


@pytest.mark.parametrize("action", Action)
def test_each_line_is_a_sentence_in_both_languages(action: Action) -> None:
    """Whatever its details are: of another shape, names and values are shown."""
    details, expected = SAID[action]
    assert expected == details_text(_ENGLISH, action, details)
    assert LABELS[action] != _CHINESE(LABELS[action])
    chinese = details_text(_CHINESE, action, details)
    assert chinese
    assert "{" not in chinese
    for odd in ({}, {"filters": 3, "runs": "many", "first": 7, "parts": [1]}, {"a": [1, {"b": None}]}):
        assert isinstance(details_text(_ENGLISH, action, odd), str)


@pytest.mark.parametrize(
    ("actor", "expected"),
    [("4f1c09ab ci", "key ci"), ("local", "somebody without a key"), ("local:root", "root, on this machine"),
     ("serve", "the server by itself"), ("nobody", "somebody unknown"), ("other", "other")],
)  # fmt: skip
def test_who_did_it_is_said_as_people_say_it(actor: str, expected: str) -> None:
    """Not as the log keeps it."""
    assert expected == actor_text(_ENGLISH, actor)
