"""Archives: months that are over, each in one file that can be looked into and never written."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.access.keys import Keys
from execution_history.clock import now_ms
from execution_history.errors import BackupFailed, InvalidInput, StoreBusy, StoreError, StoreTooNew, StoreUnwritable
from execution_history.history.annotations import Annotation
from execution_history.maintenance.archive import archive, archives_of
from execution_history.maintenance.backup import back_up, target_at
from execution_history.maintenance.retention import retention_of
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.settings import Settings
from execution_history.stores import MemoryStore, store_at
from execution_history.stores.protocol import HistoryStore
from execution_history.stores.sqlite.archive import seal
from execution_history.transfer import import_history
from tests.sample_records import change, document, ids
from tests.stores.sqlite.damage import damage

pytestmark = pytest.mark.anyio

_HISTORIES = Path(__file__).parents[1] / "data/histories"


def at(text: str) -> int:
    """A time in UTC, as milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


async def run(store: HistoryStore, execute_id: str, began: str, status: str | None = "success", text: str = "") -> None:
    """Put a run there that began at a time."""
    await store.create(document(execute_id, "w", at(began), parameters={"text": text}))
    if status is not None:
        await store.update("w", execute_id, change(at(began) + 5, status))


@pytest.fixture
async def months(store: HistoryStore) -> HistoryStore:
    """A history of three months, in which not all runs may go."""
    await run(store, "a1", "2026-04-30T23:30", text="spring 春天")
    await run(store, "m1", "2026-05-02")
    await run(store, "m2", "2026-05-30", "failed")
    await run(store, "open", "2026-05-30", None)
    await run(store, "asked", "2026-05-30", "interrupted")
    await run(store, "kept", "2026-05-31")
    await run(store, "j1", "2026-06-01")
    for kind in ("view", "key", "key_use", "session_key", "job"):
        await store.put_entry(kind, "mine", b"{}")
    return store


async def test_each_month_becomes_a_file_with_its_runs(months: HistoryStore, tmp_path: Path) -> None:
    """Byte for byte, in any store; what has not ended stays out, and nothing is removed unless that is meant."""
    service, folder = ExecutionHistoryService(months), tmp_path / "old"
    made = await archive(service, folder, before="2026-06")
    assert [("2026-04", 1, 0), ("2026-05", 3, 0)] == [(each.month, each.records, each.removed) for each in made]
    assert ["2026-04.db", "2026-05.db"] == sorted(path.name for path in folder.iterdir())
    async with ExecutionHistoryService(folder / "2026-05.db") as old:
        assert ["kept", "m2", "m1"] == ids((await old.page_bytes(None)).documents)
        assert await months.get("w", "m2") == await old.detail_bytes("w", "m2")
        assert ["view"] == [entry.name.kind for entry in await old.registry()]
    assert await months.get("w", "m2") is not None
    assert ["archive"] * 2 == [line.action for line in await months.audit(0, 10)]


async def test_keys_in_an_archive_let_nobody_in(tmp_path: Path) -> None:
    """Earlier versions put them there, as they were then."""
    async with ExecutionHistoryService(store_at(tmp_path / "history", json_files=False, search=False)) as service:
        await service.create_execution_record("w", "e")
        secret = (await Keys(service.store, now_ms).add("team", ["admin"])).secret
    file = tmp_path / "history/history.db"
    seal(file)
    async with ExecutionHistoryService(file) as old:
        keys = Keys(old.store, now_ms)
        assert (False, None, []) == (await keys.any(), await keys.holder_of(secret), await old.registry())
        assert file.stat().st_size == (await retention_of(old, Settings()).disk_use()).total  # type: ignore[union-attr]


async def test_only_what_is_in_an_archive_is_removed(months: HistoryStore, tmp_path: Path) -> None:
    """And nothing that retention would not touch; a second time brings what came since, and forgets nothing."""
    service = ExecutionHistoryService(months)
    await service.annotate("w", "kept", Annotation(pinned=True))
    made = await archive(service, tmp_path, before="2026-06", remove=True)
    assert [(1, 0), (2, 1)] == [(each.removed, each.kept) for each in made]
    assert {"open", "asked", "kept", "j1"} == set(ids((await service.page_bytes(None)).documents))
    await run(months, "late", "2026-05-03")
    [again] = [each for each in await archive(service, tmp_path, before="2026-06", remove=True) if each.removed]
    assert ("2026-05", 4, 1) == (again.month, again.records, again.removed)
    async with ExecutionHistoryService(tmp_path / "2026-05.db") as old:
        assert {"m1", "m2", "kept", "late"} == set(ids((await old.page_bytes(None)).documents))


async def test_an_archive_is_in_the_audit_log_before_anything_is_removed(months: HistoryStore, tmp_path: Path) -> None:
    """Redaction finds archives by that line, so one must be there also where removing was cut short."""
    done: list[str] = []

    class CutShort(ExecutionHistoryService):
        async def delete_execution_records(self, keys: object, *, forever: bool = False) -> list[RecordKey]:
            del keys, forever
            done.extend(line.action for line in await months.audit(0, 10))
            raise StoreBusy("The store does not answer.")

    with pytest.raises(StoreBusy):
        await archive(CutShort(months), tmp_path, before="2026-06", remove=True)
    assert ["archive"] == done
    assert [tmp_path / "2026-04.db"] == await archives_of(ExecutionHistoryService(months))


async def test_an_archive_with_a_damaged_run_is_not_replaced(tmp_path: Path) -> None:
    """What cannot be read would not be in the one that takes its place; it may still be mended, or in a copy."""
    store = MemoryStore()
    for execute_id in ("m1", "m2"):
        await run(store, execute_id, "2026-05-02", text="x" * 500)
    service, file = ExecutionHistoryService(store), tmp_path / "old/2026-05.db"
    await archive(service, file.parent, before="2026-06")
    file.chmod(0o600)
    file.rename(tmp_path / "history.db")
    damage(tmp_path, "m1")
    file.write_bytes((tmp_path / "history.db").read_bytes())
    before = file.read_bytes()
    with pytest.raises(BackupFailed, match="cannot be read"):
        await archive(service, file.parent, before="2026-06", remove=True)
    assert before == file.read_bytes()
    assert ["m1", "m2"] == sorted(ids((await service.page_bytes(None)).documents))


async def test_runs_with_a_tag_of_the_settings_stay_too(months: HistoryStore, tmp_path: Path) -> None:
    """What protects a run is the same for retention and for archives."""
    service = ExecutionHistoryService(months)
    await service.annotate("w", "m1", Annotation(tags=("legal",)))
    made = await archive(service, tmp_path, before="2026-06", remove=True, keep_tags=("legal",))
    assert 1 == sum(each.kept for each in made)
    assert await service.detail_bytes("w", "m1") is not None


async def test_an_archive_is_found_filtered_and_counted_like_any_history(months: HistoryStore, tmp_path: Path) -> None:
    """With an index of its own, which leaves nothing beside the file."""
    await archive(ExecutionHistoryService(months), tmp_path, before="2026-06")
    async with ExecutionHistoryService(store_at(tmp_path / "2026-04.db")) as old:
        await old.follow_index()
        assert ["a1"] == ids(hit.body for hit in (await old.search("春")).hits)
        assert 1 == (await old.statistics(StatisticsQuery(filter=RecordFilter(statuses=("success",))))).totals.runs
        assert [] == (await old.select(RecordQuery(filter=RecordFilter(statuses=("failed",))))).documents
        assert () == (await old.health()).problems
    assert ["2026-04.db", "2026-05.db"] == sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db")


async def test_an_archive_can_be_imported(months: HistoryStore, tmp_path: Path) -> None:
    """Its runs are in a history again, byte for byte; other databases hold nothing to import."""
    service = ExecutionHistoryService(months)
    known = await service.detail_bytes("w", "m1")
    await archive(service, tmp_path, before="2026-06", remove=True)
    report = await import_history(service, [tmp_path / "2026-05.db"])
    assert (3, 0, 0) == (report.added, report.skipped, report.refused_count)
    assert known == await service.detail_bytes("w", "m1")
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE t (x)")
    assert 1 == (await import_history(service, [tmp_path / "other.db"])).refused_count


async def test_an_archive_refuses_every_change(months: HistoryStore, tmp_path: Path) -> None:
    """In one sentence that names it; the file stays as it was."""
    await archive(ExecutionHistoryService(months), tmp_path, before="2026-06")
    file = tmp_path / "2026-05.db"
    before = file.read_bytes()
    async with ExecutionHistoryService(file) as old:
        for call in (
            lambda: old.create_execution_record("w"),
            lambda: old.delete_execution_record("w", "m1"),
            lambda: old.clear_workflow_history("w"),
            lambda: old.annotate("w", "m1", Annotation(note="x")),
            lambda: old.views.save("x", []),
            lambda: back_up(old, target_at(tmp_path / "kept")),
        ):
            with pytest.raises(StoreUnwritable, match=r"2026-05\.db' is an archive"):
                await call()
    assert before == file.read_bytes()
    assert not (tmp_path / "kept").exists()


async def test_months_are_those_of_a_time_zone(months: HistoryStore, tmp_path: Path) -> None:
    """A run at the end of April in UTC began in May in Shanghai."""
    made = await archive(ExecutionHistoryService(months), tmp_path, before="2026-06", zone=ZoneInfo("Asia/Shanghai"))
    assert [("2026-05", 4)] == [(each.month, each.records) for each in made]


async def test_what_cannot_be_archived_is_said(store: HistoryStore, tmp_path: Path) -> None:
    """No month, another file in the place, another process; without old runs there is nothing to do."""
    service = ExecutionHistoryService(store)
    assert [] == await archive(service, tmp_path / "none", before="2026-06")
    for wrong in ("2026-13", "June", "2026-06-01", ""):
        with pytest.raises(InvalidInput, match="A month is written as"):
            await archive(service, tmp_path, before=wrong)
    await run(store, "m1", "2026-05-02")
    (tmp_path / "2026-05.db").write_text("something else")
    with pytest.raises(BackupFailed, match="something else"):
        await archive(service, tmp_path, before="2026-06")
    await store.lease("archive", "another", 60_000)
    with pytest.raises(BackupFailed, match="Another process"):
        await archive(service, tmp_path, before="2026-06")


async def test_a_database_in_use_is_no_archive(tmp_path: Path) -> None:
    """Reading its file alone would miss what is in the log beside it."""
    async with ExecutionHistoryService(tmp_path / "history") as service:
        await service.create_execution_record("w", "e")
        with pytest.raises(StoreError, match="that is a file, not a folder"):
            await store_at(tmp_path / "history/history.db").open()


async def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Any other database, and any other file."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE t (x)")
    (tmp_path / "text").write_text("no database")
    for file in (other, tmp_path / "text"):
        with pytest.raises(StoreError, match=file.name):
            await store_at(file).open()


@pytest.mark.parametrize("commit", sorted(path.name for path in _HISTORIES.iterdir()))
async def test_an_archive_of_an_older_version_is_opened(commit: str, tmp_path: Path) -> None:
    """It is brought up to date in a copy, and stays as it was."""
    file = tmp_path / "old.db"
    shutil.copyfile(_HISTORIES / commit / "history/history.db", file)
    seal(file)
    before = file.read_bytes()
    async with ExecutionHistoryService(file) as old:
        known = orjson.loads((_HISTORIES / commit / "expected.json").read_bytes())["records"]
        assert {*known} == {*await old.get_all_workflows()}
    assert before == file.read_bytes()


async def test_an_archive_of_a_newer_version_is_refused(months: HistoryStore, tmp_path: Path) -> None:
    """The sentence says what to do."""
    await archive(ExecutionHistoryService(months), tmp_path, before="2026-05")
    file = tmp_path / "2026-04.db"
    file.chmod(0o600)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO migrations VALUES (99, 'later', 0)")
    with pytest.raises(StoreTooNew, match=r"2026-04\.db' was written by a newer version"):
        await store_at(file).open()
