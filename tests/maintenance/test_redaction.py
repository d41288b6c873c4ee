"""Redaction of what a history has already, on every store, down to the bytes of its files."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import StoreFull
from execution_history.maintenance.archive import archive
from execution_history.maintenance.archive_redaction import redact_archive
from execution_history.maintenance.backup import back_up, target_at
from execution_history.maintenance.backup.status import LEFT_OUT
from execution_history.maintenance.redaction import last_redaction, preview_redaction, redact_history
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery
from execution_history.recording.recorder import Recorder
from execution_history.recording.spool import Spool, spool_of
from execution_history.records.content_rules import ContentRules
from execution_history.records.record import Document, RecordChange
from execution_history.records.redaction_rules import rules_of
from execution_history.stores import MemoryStore, store_at
from execution_history.stores.capabilities import Bin, Erasable, flush
from execution_history.stores.protocol import HistoryStore
from tests.sample_records import change, document

pytestmark = pytest.mark.anyio

TOKEN = "pat_" + "Ab1" * 8
SECRETS = (b"hunter2x", TOKEN.encode(), b"13812345678")


async def _fill(store: HistoryStore, count: int = 5) -> None:
    """Runs with secrets, kept by a version that took none out."""
    for number in range(count):
        name = f"e{number}"
        await store.create(document(name, f"w{number % 2}", parameters={"password": "hunter2x", "n": number}))
        ending = change(2_000, "success", output=f"token {TOKEN} " * 3, metadata={"mine": {"phone": "13812345678"}})
        await store.update(f"w{number % 2}", name, ending)
    await store.create(document("clean", "w0", parameters={"city": "Beijing"}))


async def _all(store: HistoryStore) -> list[dict[str, Any]]:
    return [orjson.loads(body) for body in (await store.scan(None, 1_000)).documents]


def _service(store: HistoryStore, *rules: dict[str, Any]) -> ExecutionHistoryService:
    return ExecutionHistoryService(store, rules=ContentRules(rules_of(rules)))


async def test_a_preview_counts_and_changes_nothing(store: HistoryStore) -> None:
    """By rule and workflow, with examples in which nothing secret stands."""
    await _fill(store)
    before, revision = await _all(store), await store.revision()
    report = await preview_redaction(_service(store, {"detector": "phone"}))
    assert (before, revision) == (await _all(store), await store.revision())
    assert (6, 5, True) == (report.records, report.changed, report.is_dry)
    assert {"secret_names": 5, "coze_token": 15, "phone": 5} == report.values
    assert {"w0": 3, "w1": 2} == report.workflows
    told = orjson.dumps(report.to_json())
    assert not any(secret in told for secret in SECRETS)
    assert {"password", "output", "metadata.mine"} <= {
        "password" if "password" in each.text else each.field for each in report.examples
    }


async def test_everything_that_is_kept_is_redacted_and_stays_what_it_was(store: HistoryStore) -> None:
    """Status, times and order stay, the version rises, the audit log says who did it, a second time finds nothing."""
    await _fill(store)
    before = await _all(store)
    run = await redact_history(_service(store, {"detector": "phone"}), actor="ada")
    assert (run.outcome, run.reason) == ("done", None)
    assert run.report is not None
    assert (6, 5, 0) == tuple(run.report[name] for name in ("records", "changed", "missed"))
    after = await _all(store)
    assert not any(secret in orjson.dumps(after) for secret in SECRETS)
    for old, new in zip(before, after, strict=True):
        same = ("execute_id", "create_time", "execute_status", "usage", "run_mode")
        assert [old[key] for key in same] == [new[key] for key in same]
        assert (new["update_time"] > old["update_time"]) is (old["execute_id"] != "clean")
        if old["execute_id"] != "clean":
            assert new["metadata"]["ended_at"] == old["update_time"]
            assert new["input_parameters"]["n"] == old["input_parameters"]["n"]
    [begun, line] = await store.audit(0, 10)
    assert ("ada", "redact", {"begun": True}) == (begun.actor, begun.action, orjson.loads(begun.details))
    assert ("ada", "redact", 5) == (line.actor, line.action, orjson.loads(line.details)["records"])
    again = await redact_history(_service(store, {"detector": "phone"}))
    assert again.report is not None
    assert 0 == again.report["changed"]
    assert again == await last_redaction(_service(store))


async def test_only_the_workflows_that_were_named_are_redacted(store: HistoryStore) -> None:
    """The others stay as they are."""
    await _fill(store)
    await redact_history(_service(store), workflow_ids=["w1"])
    found = {each["workflow_id"] for each in await _all(store) if "hunter2x" in str(each)}
    assert {"w0"} == found


async def test_what_was_redacted_is_found_by_its_text_no_more(store: HistoryStore) -> None:
    """The index follows."""
    await _fill(store)
    query = RecordQuery(filter=RecordFilter(text="hunter2x"), size=10)
    assert 5 == len((await store.select(query)).documents)
    await redact_history(_service(store))
    assert 0 == len((await store.select(query)).documents)
    assert 1 == len((await store.select(RecordQuery(filter=RecordFilter(text="Beijing"), size=10))).documents)


async def test_deleted_records_that_can_be_restored_are_redacted_too(store: HistoryStore) -> None:
    """They are as deleted as before, and end when they would have ended."""
    if not isinstance(store, Bin):
        pytest.skip("this store has no bin")
    await _fill(store)
    await store.discard([RecordKey("w1", "e1"), RecordKey("w0", "clean")], 60_000)
    before = await store.revision()
    run = await redact_history(_service(store))
    assert run.report is not None
    assert (5, 1) == (run.report["changed"], run.report["binned"])
    kept = await store.binned()
    assert {"e1", "clean"} == {each.key.execute_id for each in kept}
    assert await store.get("w1", "e1") is None
    assert "e1" not in {each.execute_id for each in await store.changes(before, 100)}
    await store.restore([kept[0].key, kept[1].key])
    told = orjson.dumps(await _all(store))
    assert not any(secret in told for secret in SECRETS[:2])


class _Interrupted(MemoryStore):
    """A store whose disk is full after some changes."""

    left = 3

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """Refuse when it is full."""
        self.left -= 1
        if self.left < 0:
            raise StoreFull("The disk is full.")
        return await super().update(workflow_id, execute_id, change)


async def test_one_that_failed_goes_on_where_it_was() -> None:
    """What it had done is done and in the audit log; the error is in its report."""
    store = _Interrupted()
    store.left = 10
    await _fill(store)
    store.left = 3
    run = await redact_history(_service(store))
    assert ("failed", "The disk is full.") == (run.outcome, run.reason)
    [_, line] = await store.audit(0, 10)
    assert (3, "The disk is full.") == tuple(orjson.loads(line.details)[each] for each in ("records", "failed"))
    store.left = 100
    run = await redact_history(_service(store))
    assert run.report is not None
    assert ("done", 2) == (run.outcome, run.report["changed"])
    told = orjson.dumps(await _all(store))
    assert not any(secret in told for secret in SECRETS[:2])


async def test_a_place_that_no_redaction_has_left_is_none(store: HistoryStore) -> None:
    """Anybody who can write the registry may have written it; it is in no backup, as another store counts otherwise."""
    await _fill(store)
    for value in (b"5", b"{}", b'{"place":"x"}', b"[]"):
        await store.put_entry("redaction", "place", value)
        run = await redact_history(_service(store))
        assert "done" == run.outcome
    assert "redaction" in LEFT_OUT


class _Busy(MemoryStore):
    """A store in which a record changes just before it would be replaced."""

    others = 3

    async def update(self, workflow_id: str, execute_id: str, change: RecordChange) -> Document | None:
        """Change the record first."""
        if self.others and execute_id == "e0" and type(change) is not RecordChange:
            self.others -= 1
            await super().update(workflow_id, execute_id, RecordChange.of(5_000, metadata={"note": TOKEN}))
        return await super().update(workflow_id, execute_id, change)


async def test_a_record_that_others_change_meanwhile_loses_nothing() -> None:
    """It is read again, and what they wrote is redacted with it."""
    store = _Busy()
    await _fill(store, 1)
    run = await redact_history(_service(store))
    assert run.report is not None
    assert (1, 0) == (run.report["changed"], run.report["missed"])
    [record, _] = await _all(store)
    assert record["metadata"]["note"] == "[redacted]"


def _blobs(path: Path) -> set[bytes]:
    """Every larger value in a database, as it stands in its pages."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608 - its own names
    return {value for row in rows for value in row if isinstance(value, bytes) and len(value) > 60}


def _bytes(paths: Sequence[Path]) -> bytes:
    return b"".join(path.read_bytes() for path in paths if path.is_file())


async def test_no_file_of_an_embedded_store_has_the_earlier_versions(tmp_path: Path) -> None:
    """Neither database nor log, neither index nor JSON file: not even in what they do not use."""
    store = store_at(tmp_path)
    assert isinstance(store, Erasable)
    await store.open()
    await _fill(store, 50)
    await store.select(RecordQuery(filter=RecordFilter(text="hunter2x"), size=10))
    await flush(store)
    stored = await asyncio.to_thread(_blobs, tmp_path / "history.db")
    before = _bytes([*tmp_path.rglob("*")])
    assert all(secret in before for secret in SECRETS)
    run = await redact_history(_service(store, {"detector": "phone"}))
    assert run.report is not None
    assert run.report["erased"] is True
    for _ in range(2):  # while it is open, and after it was closed
        after = _bytes([*tmp_path.rglob("*")])
        assert not any(secret in after for secret in SECRETS)
        removed = stored - await asyncio.to_thread(_blobs, tmp_path / "history.db")
        assert len(removed) >= 50
        assert not any(blob in after for blob in removed)
        await store.aclose()


async def _archived(service: ExecutionHistoryService, folder: Path) -> Path:
    """An archive of the runs of :func:`_fill`."""
    [made] = await archive(service, folder, before="2026-06")
    return Path(made.file)


async def test_archives_of_the_history_are_redacted_too(store: HistoryStore, tmp_path: Path) -> None:
    """Each is written anew, whole or not at all, with a line in both audit logs; a trial changes nothing."""
    await _fill(store)
    service = _service(store, {"detector": "phone"})
    file = await _archived(service, tmp_path / "old")
    before = file.read_bytes()
    [preview] = (await preview_redaction(service)).archives
    assert (5, 5) == (preview.records, preview.changed)
    assert before == file.read_bytes()
    run = await redact_history(service, actor="ada")
    assert run.report is not None
    [found] = run.report["archives"]
    assert (str(file), 5, None) == (found["file"], found["changed"], found["trouble"])
    assert [file.name] == [path.name for path in file.parent.iterdir()]
    async with ExecutionHistoryService(file) as old:
        bodies = [body async for batch in old.batches(RecordFilter()) for body in batch.documents]
        assert 5 == len(bodies)
        assert not any(secret in body for secret in SECRETS for body in bodies)
        assert [("ada", "redact")] == [(line.actor, line.action) for line in await old.audit(0, 10)]
    line = (await store.audit(0, 10))[-1]
    assert {str(file): 5} == orjson.loads(line.details)["archives"]
    again = await redact_history(service)
    assert again.report is not None
    assert [0] == [each["changed"] for each in again.report["archives"]]
    await _archived(service, tmp_path / "old")
    async with ExecutionHistoryService(file) as old:
        assert 1 == len(await old.audit(0, 10))  # also where the month was archived again


async def test_who_has_an_archive_open_reads_the_new_one(tmp_path: Path) -> None:
    """A server that shows it need not be restarted, and finds by text what is there now."""
    store = MemoryStore()
    await _fill(store)
    file = await _archived(_service(store), tmp_path / "old")
    query = RecordQuery(filter=RecordFilter(text="hunter2x"), size=10)
    async with ExecutionHistoryService(file) as shown:
        assert 5 == len((await shown.select(query)).documents)
        assert 5 == (await redact_archive(file, _service(store).rules, (), lambda: 9_000)).changed
        assert b"hunter2x" not in (await shown.detail_bytes("w0", "e0") or b"hunter2x")
        assert [] == (await shown.select(query)).documents


async def test_an_archive_that_cannot_be_redacted_is_named(tmp_path: Path) -> None:
    """The history is redacted all the same; what is not where it was written is told apart."""
    store = MemoryStore()
    await _fill(store)
    file = await _archived(_service(store), tmp_path / "old")
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:4096] + b"x" * 8192)
    run = await redact_history(_service(store))
    assert run.report is not None
    [found] = run.report["archives"]
    assert (True, True) == (found["is_there"], bool(found["trouble"]))
    file.unlink()
    [gone] = (await preview_redaction(_service(store))).archives
    assert (False, True) == (gone.is_there, bool(gone.trouble))


async def test_steps_that_wait_for_the_store_are_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier version put them into the spool as they were; what cannot be read is named, and stays."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    store = store_at(tmp_path / "history")
    await store.open()
    spool = spool_of(store)
    assert spool is not None
    ending = change(2_000, "success", output=f"token {TOKEN}")
    path = spool.put([(("w", "e"), document("e", "w", parameters={"password": "hunter2x"})), (("w", "e"), ending)])
    other = Spool("another").put([(("w", "e"), ending)])
    spool.refused.write_bytes(b"x")
    run = await redact_history(_service(store))
    assert run.report is not None
    assert {"steps": 2, "changed": 2, "missed": [str(spool.refused)]} == run.report["spool"]
    assert not any(secret in path.read_bytes() for secret in SECRETS)
    assert TOKEN.encode() in other.read_bytes()
    recorder = Recorder(store)
    await recorder.start()
    await recorder.aclose()
    record = orjson.loads(await store.get("w", "e") or b"")
    assert ("success", "[redacted]") == (record["execute_status"], record["input_parameters"]["password"])
    await store.aclose()


async def test_backups_that_were_made_before_are_named(tmp_path: Path) -> None:
    """With their place and number, as they cannot be changed; a trial names none."""
    store = store_at(tmp_path / "history")
    await store.open()
    await _fill(store)
    for _ in range(2):
        await back_up(_service(store), target_at(tmp_path / "kept"), full=True)
    assert [] == (await preview_redaction(_service(store))).backups
    run = await redact_history(_service(store))
    assert run.report is not None
    assert [{"place": str(tmp_path / "kept"), "count": 2}] == run.report["backups"]
    await store.aclose()
