"""Backups: whole or what has changed, of histories in use, restored as they were into any store."""

import asyncio
import os
import random
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from pathlib import Path

import msgspec
import orjson
import pytest
import zstandard

from execution_history import ExecutionHistoryService
from execution_history.access.sessions import Sessions
from execution_history.errors import BackupDamaged, BackupFailed, BackupNotFound, InvalidInput
from execution_history.maintenance.backup import (
    BackupTarget,
    back_up,
    known_backups,
    note_verification,
    restore,
    statuses,
    target_at,
    verify,
)
from execution_history.maintenance.backup.folder_target import FolderTarget
from execution_history.maintenance.backup.manifest import Manifest, Segment, sealed
from execution_history.records.time_units import DAY_MS
from execution_history.settings import Settings
from execution_history.stores import MemoryStore, store_at
from execution_history.stores.protocol import HistoryStore
from tests.faulty_store import FaultyStore
from tests.postgres_server import PostgresServer
from tests.sample_records import change, document
from tests.stores_under_test import KINDS, Clock
from tests.transfer.histories import everything, fill

pytestmark = pytest.mark.anyio

Pair = tuple[HistoryStore, str]
"""A store that is backed up, and the place of another one that it is restored into."""


@pytest.fixture
def target(tmp_path: Path) -> BackupTarget:
    """A folder for backups."""
    return target_at(tmp_path / "backups")


async def contents(store: HistoryStore) -> list[object]:
    """Everything that a backup keeps: records in the order of arrival, the registry, the audit log."""
    service = ExecutionHistoryService(store)
    entries = [(entry.name, entry.value) for entry in await service.registry() if entry.name.kind != "backup"]
    lines = [(line.at, line.actor, line.action, line.details) for line in await store.audit(0, 10_000)]
    return [await everything(store), entries, [line for line in lines if line[2] not in ("backup", "restore")]]


async def restored(target: BackupTarget, place: str, at: str = "") -> list[object]:
    """What a backup is restored to, in an empty store at *place*."""
    await restore(target, Settings(store=place), at=at)
    store = store_at(place)
    await store.open()
    try:
        return await contents(store)
    finally:
        await store.aclose()


@pytest.fixture(params=[pair for pair in product(KINDS, ("sqlite", "postgres")) if pair != ("memory", "postgres")])
async def pair(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    """A store of each kind that is backed up, and the place of another one that it is restored into."""
    async with AsyncExitStack() as opened:
        kind, other = request.param
        store = store_at(opened.enter_context(KINDS[kind](tmp_path / "source", postgres)))
        opened.push_async_callback(store.aclose)
        await store.open()
        yield store, opened.enter_context(KINDS[other](tmp_path / "restored", postgres))


async def test_a_restored_history_is_the_one_that_was_backed_up(
    pair: tuple[HistoryStore, str], target: BackupTarget
) -> None:
    """Every byte of its records, in the order of arrival, the registry and the audit log, through a chain."""
    store, place = pair
    service = ExecutionHistoryService(store)
    await fill(store)
    await store.put_entry("view", "mine", orjson.dumps({"name": "文"}))
    await store.put_entry("view", "gone", b"1")
    await store.append_audit("ada", "delete", b'{"n":1}')
    first = await back_up(service, target)
    await store.update("w", "e0", change(9_000, metadata={"note": "later"}))
    await store.delete("w", "e2")
    await store.create(document("e2", "w", 1))
    for number in range(5):
        await store.create(document(f"n{number}", "new", 7_000))
    await store.update("new", "n1", change(9_000))
    await store.drop_entry("view", "gone")
    second = await back_up(service, target)
    await store.clear("工作流")
    await store.create(document("e1", "工作流", 7))
    await store.append_audit("ada", "clear")
    third = await back_up(service, target)
    assert ["full", "incremental", "incremental"] == [each.manifest.kind for each in (first, second, third)]
    assert await contents(store) == await restored(target, place)


async def test_a_restore_is_to_the_moment_of_a_backup(tmp_path: Path, target: BackupTarget) -> None:
    """Whichever is named, by the beginning of its id; the newest of those, and without a name the newest of all."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    moments = []
    for number in range(3):
        await store.create(document(f"e{number}"))
        report = await back_up(service, target, full=number == 2)
        moments.append((report.manifest.id, await contents(store)))
    for number, (backup_id, known) in enumerate(moments):
        assert known == await restored(target, str(tmp_path / f"to{number}"), backup_id)
    assert moments[-1][1] == await restored(target, str(tmp_path / "newest"), moments[0][0][:10])
    with pytest.raises(BackupNotFound, match="begins with '1999'"):
        await restored(target, str(tmp_path / "none"), "1999")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_backups_of_a_history_in_use_are_its_state_at_one_moment(
    kind: str, tmp_path: Path, postgres: PostgresServer, target: BackupTarget
) -> None:
    """What a writer did one after the other is in a backup up to some step, and the last one has everything."""
    async with AsyncExitStack() as opened:
        store = store_at(
            opened.enter_context(KINDS[kind](tmp_path / "source", postgres)), json_files=False, search=False
        )
        opened.push_async_callback(store.aclose)
        await store.open()
        for number in range(400):
            await store.create(document(f"e{number}", f"w{number % 3}", number))
        seed = random.randrange(1 << 32)  # noqa: S311 - not for secrets
        stop, chances = asyncio.Event(), [random.Random(f"{seed}{number}") for number in range(4)]  # noqa: S311 - the same
        writers = [asyncio.create_task(_write(store, chance, n, stop)) for n, chance in enumerate(chances)]
        service = ExecutionHistoryService(store)
        reports = [await back_up(service, target) for _ in range(4)]
        stop.set()
        await asyncio.gather(*writers)
        reports.append(await back_up(service, target))
        known = await contents(store)
        found = await restored(target, str(tmp_path / "last"))
        assert (known[0], known[1]) == (found[0], found[1]), f"seed {seed}"
        for report in reports[:-1]:
            records = (await restored(target, str(tmp_path / report.manifest.id), report.manifest.id))[0]
            _check_order_of_writes(records, seed)


async def _write(store: HistoryStore, chance: random.Random, number: int, stop: asyncio.Event) -> None:
    """Write until *stop*: each step is a new record of a workflow of its own, and then changes and deletions."""
    step = 0
    while not stop.is_set():
        await store.create(document(f"s{step}", f"own{number}", 5_000 + step))
        await store.update(f"own{number}", f"s{step}", change(9_000, "success"))
        victim = f"e{chance.randrange(400)}"
        workflow_id = f"w{int(victim[1:]) % 3}"
        if chance.random() < 0.3:
            await store.delete(workflow_id, victim)
        else:
            await store.update(workflow_id, victim, change(9_000, metadata={"step": step}))
        if chance.random() < 0.02:
            await store.clear(f"w{chance.randrange(3)}")
        step += 1


def _check_order_of_writes(records: object, seed: int) -> None:
    """Of a writer that ends a record before it begins the next, all but the last have ended, and none is missing."""
    assert isinstance(records, list)
    by_writer: dict[str, list[tuple[int, str]]] = {}
    for body in records:
        record = orjson.loads(body)
        if record["workflow_id"].startswith("own"):
            step = int(record["execute_id"][1:])
            by_writer.setdefault(record["workflow_id"], []).append((step, record["execute_status"]))
    for steps in by_writer.values():
        assert list(range(len(steps))) == [step for step, _ in steps], f"seed {seed}"
        assert {"success"} >= {status for _, status in steps[:-1]}, f"seed {seed}"


async def test_a_flipped_bit_is_found_and_the_file_named(target: BackupTarget) -> None:
    """In any file of any backup of the chain, the manifest too; what is truncated or missing is found too."""
    store = MemoryStore()
    await fill(store)
    await back_up(ExecutionHistoryService(store), target)
    await store.delete("w", "e0")
    last = (await back_up(ExecutionHistoryService(store), target)).manifest.id
    assert 9 == (await verify(target)).records
    chance = random.Random(seed := random.randrange(1 << 32))  # noqa: S311 - not for secrets
    for name in (each for each in target.list() if not each.endswith("verified.json")):
        file = Path(target.name, name)
        data = file.read_bytes()
        place = chance.randrange(len(data))
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        for damage in (bytes(flipped), data[:place], None):
            file.unlink() if damage is None else file.write_bytes(damage)
            with pytest.raises(BackupFailed, match=name.partition("/")[0]) as raised:
                await verify(target, at=last)
            assert isinstance(raised.value, (BackupDamaged, BackupNotFound)), f"seed {seed}"
            file.write_bytes(data)
    assert 9 == (await verify(target)).records


async def test_when_a_backup_was_verified_is_noted_beside_it(target: BackupTarget) -> None:
    """So another machine sees it; a damaged note, or that of another backup, says nothing and does no harm."""
    service = ExecutionHistoryService(MemoryStore())
    ids = []
    for number in range(3):
        await service.store.create(document(f"e{number}"))
        ids.append((await back_up(service, target)).manifest.id)
    await verify(target, at=ids[1], clock=lambda: 1_000)

    async def seen() -> list[int | None]:
        return [each.verified for each in (await known_backups(target)).all]

    assert [None, 1_000, None] == await seen()
    status = await note_verification(service, target)
    assert status is not None
    assert (ids[1], 1) == (status.verified and status.verified.id, status.unverified)
    await back_up(service, target)
    [status] = await statuses(service)
    assert (ids[1], 2) == (status.verified and status.verified.id, status.unverified)
    note = target.read(f"{ids[1]}/verified.json", 10_000)
    target.write(f"{ids[2]}/verified.json", note)
    for damage in (note[:9], b"\xff", b"[]", b'{"at":-1}'):
        target.write(f"{ids[1]}/verified.json", damage)
        assert [None] * 4 == await seen()
    assert None is await note_verification(ExecutionHistoryService(MemoryStore()), target)


async def test_a_place_that_is_only_read_is_verified_too(tmp_path: Path) -> None:
    """That it could not be noted is told."""
    target = _Troubled(tmp_path)
    await back_up(ExecutionHistoryService(MemoryStore()), target)
    target.is_full = True
    report = await verify(target)
    assert ("There is no space left.", None) == (report.unnoted, (await known_backups(target)).all[0].verified)


@pytest.mark.parametrize("is_swapped", [False, True])
async def test_a_backup_under_another_name_is_told(target: BackupTarget, is_swapped: bool) -> None:
    """Rather than not found: its folder was renamed, or has taken the name of another one."""
    service, place = ExecutionHistoryService(MemoryStore()), Path(target.name)
    await service.store.create(document("e"))
    # In one second chance decides which of them comes first.
    first, second = sorted([(await back_up(service, target, full=True)).manifest.id for _ in range(2)])
    (place / first).rename(place / "aside")
    if is_swapped:
        (place / second).rename(place / first)
        (place / "aside").rename(place / second)
    found = second if is_swapped else first
    with pytest.raises(BackupDamaged, match=f"has the manifest of the backup '{found}': give it that name again"):
        await verify(target)


class _Troubled(FolderTarget):
    """A folder in which a manifest cannot be written, or nothing be deleted."""

    is_full = is_locked = False

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`BackupTarget.write`."""
        if self.is_full and name.endswith(("manifest.json", "verified.json")):
            raise BackupFailed("There is no space left.")
        super().write(name, data)

    def delete(self, names: Iterable[str]) -> None:
        """See :meth:`BackupTarget.delete`."""
        if self.is_locked:
            raise BackupFailed("The key may not delete.")
        super().delete(names)


async def test_a_backup_that_fails_is_none_and_is_known_to_have_failed(tmp_path: Path) -> None:
    """Its files are not taken for a backup; the next one goes on from the last that was whole."""
    store, target = MemoryStore(), _Troubled(tmp_path)
    service = ExecutionHistoryService(store)
    await fill(store, 3)
    whole = (await back_up(service, target)).manifest.id
    await store.create(document("later"))
    target.is_full = True
    with pytest.raises(BackupFailed, match="no space"):
        await back_up(service, target)
    [status] = await statuses(service)
    assert status.last is not None
    assert status.failure is not None
    assert (whole, "There is no space left.") == (status.last.id, str(status.failure.problem))
    assert [whole] == [each.manifest.id for each in (await known_backups(target)).all]
    assert {whole} == {path.name for path in tmp_path.iterdir()}  # what it had written takes no space
    target.is_full = False
    again = (await back_up(service, target)).manifest
    assert (whole, 1) == (again.parent, again.records)
    [status] = await statuses(service)
    assert status.failure is None


async def test_a_backup_is_one_although_older_ones_cannot_be_removed(tmp_path: Path) -> None:
    """That is told, and the next one goes on from it."""
    service, target = ExecutionHistoryService(MemoryStore()), _Troubled(tmp_path)
    await back_up(service, target)
    target.is_locked = True
    with pytest.raises(BackupFailed, match="may not delete"):
        await back_up(service, target, full=True, keep=1)
    [status] = await statuses(service)
    assert status.failure is not None
    assert status.last is not None
    target.is_locked = False
    again = await back_up(service, target, keep=1)
    assert (status.last.id, 1) == (again.manifest.parent, len(again.removed))


async def test_one_process_makes_a_backup_in_a_place_at_a_time(target: BackupTarget) -> None:
    """Another is refused; in another place it is not."""
    store = MemoryStore()
    service = ExecutionHistoryService(store)
    assert await store.lease(f"backup:{target.name}", "another", 60_000)
    with pytest.raises(BackupFailed, match="Another process"):
        await back_up(service, target)
    await store.lease(f"backup:{target.name}", "another", 0)
    assert 0 == (await back_up(service, target)).manifest.records


async def test_a_chain_is_not_continued_where_it_would_not_fit(target: BackupTarget, clock: Clock) -> None:
    """Each full backup says why it is one: the last one is gone, deletions are forgotten, it is another history."""
    store = MemoryStore(clock=clock)
    service = ExecutionHistoryService(store)

    async def made(**options: int) -> tuple[str, str | None]:
        await store.create(document(f"e{await store.revision()}"))
        manifest = (await back_up(service, target, clock=clock, **options)).manifest  # type: ignore[arg-type]
        return manifest.kind, manifest.reason

    assert ("full", None) == await made()
    assert ("incremental", None) == await made()
    await store.delete("w", "e0")
    clock.go_on(days=40)
    await store.prune()
    kind, reason = await made()
    assert ("full", True) == (kind, "later deletions are forgotten" in str(reason))
    target.delete([name for name in target.list() if "manifest" in name])
    kind, reason = await made()
    assert ("full", True) == (kind, "not there any more" in str(reason))
    clock.go_on(days=2)
    assert ("incremental", None) == await made(full_every_ms=3 * DAY_MS)
    clock.go_on(days=2)
    assert ("full", None) == await made(full_every_ms=3 * DAY_MS)
    other = ExecutionHistoryService(MemoryStore())
    assert "full" == (await back_up(other, target)).manifest.kind


async def test_only_whole_chains_are_removed(target: BackupTarget, clock: Clock) -> None:
    """The newest full backups stay, with all that need them, and so do those of other histories."""
    store, other = MemoryStore(clock=clock), FaultyStore()
    other.location = "another"  # type: ignore[attr-defined]
    service = ExecutionHistoryService(store)
    theirs = await back_up(ExecutionHistoryService(other), target, clock=clock)
    made = []
    for number in range(9):
        clock.go_on(days=0.1)
        await store.create(document(f"e{number}"))
        report = await back_up(service, target, full=number % 3 == 0, keep=2, clock=clock)
        made.append(report.manifest.id)
    stay = {theirs.manifest.id, *made[3:]}
    assert stay == {each.manifest.id for each in (await known_backups(target)).all}
    assert stay == {name.split("/")[0] for name in target.list()}
    for backup_id in made[3:]:
        assert (await verify(target, at=backup_id)).records >= 4


async def test_what_a_killed_backup_left_is_removed_after_a_day(target: BackupTarget, clock: Clock) -> None:
    """Until then it may be one that is being made."""
    service = ExecutionHistoryService(MemoryStore())
    left = (await back_up(service, target)).manifest.id
    target.write(f"{left}/records-000001.jsonl.zst", b"half")
    target.delete([f"{left}/manifest.json"])
    await back_up(service, target, clock=clock)
    assert any(name.startswith(left) for name in target.list())
    clock.go_on(days=1.1)
    await back_up(service, target, clock=clock)
    assert not any(name.startswith(left) for name in target.list())


class _Killed(BaseException):
    """What nobody handles."""


class _Dying(FolderTarget):
    """A folder into which a process writes that is killed before the manifest."""

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`BackupTarget.write`."""
        if name.endswith("manifest.json"):
            raise _Killed
        super().write(name, data)


async def test_the_next_backup_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """At once, as the history knows which it was: its files may be what fills the disk."""
    store, target = MemoryStore(), _Dying(tmp_path)
    service = ExecutionHistoryService(store)
    await fill(store, 3)
    with pytest.raises(_Killed):
        await back_up(service, target)
    assert len(target.list()) == 2
    lines = [orjson.loads(line.details) for line in (await store.audit(0, 10))[-2:]]
    assert [True, "It was stopped before its end."] == [lines[0].get("begun"), lines[1].get("failed")]
    assert {path.name for path in tmp_path.iterdir()} == {*(await known_backups(target)).unfinished}
    made = await back_up(service, target_at(tmp_path))
    assert {made.manifest.id} == {path.name for path in tmp_path.iterdir()}


async def test_a_clock_that_was_set_back_changes_no_order(target: BackupTarget, clock: Clock) -> None:
    """The newest backup is the one that was made last, in the list, for a restore and for what is removed."""
    store = MemoryStore(clock=clock)
    service = ExecutionHistoryService(store)
    made: list[str] = []
    for days in (0, 1, -700, 0.1, 0.1):
        clock.go_on(days=days)
        await store.create(document(f"e{len(made)}"))
        made.append((await back_up(service, target, full=len(made) == 3, keep=1, clock=clock)).manifest.id)
    assert made[3:] == [each.manifest.id for each in (await known_backups(target)).all]
    assert 5 == (await verify(target)).records
    clock.go_on(days=30)
    last = await back_up(service, target, full_every_ms=3 * DAY_MS, clock=clock)
    assert "full" == last.manifest.kind


async def test_a_restore_may_be_to_a_time(target: BackupTarget, clock: Clock) -> None:
    """Which is to the last backup by then, where no id begins so; before the first one there is nothing."""
    store = MemoryStore(clock=clock)
    service = ExecutionHistoryService(store)
    times = []
    for number in range(3):
        await store.create(document(f"e{number}"))
        await back_up(service, target, clock=clock)
        times.append(f"{datetime.fromtimestamp(clock() / 1000 + 3600, UTC):%Y-%m-%dT%H:%M:%SZ}")
        clock.go_on(days=1)
    assert [1, 2, 3] == [(await verify(target, at=each)).records for each in times]
    with pytest.raises(BackupNotFound, match="nor one by that time"):
        await verify(target, at="2001-01-01")


async def test_a_history_that_is_there_is_never_written_over(tmp_path: Path, target: BackupTarget) -> None:
    """A folder is refused, or moved aside as a whole; a database is refused."""
    store = MemoryStore()
    await fill(store, 3)
    await back_up(ExecutionHistoryService(store), target)
    place = tmp_path / "history"
    async with ExecutionHistoryService(place) as service:
        await service.create_execution_record("mine", "m")
    before = sorted(path.name for path in place.iterdir())
    with pytest.raises(InvalidInput, match=r"There is something in .* already"):
        await restore(target, Settings(store=str(place)))
    assert before == sorted(path.name for path in place.iterdir())
    report = await restore(target, Settings(store=str(place)), replace=True)
    assert report.replaced is not None
    async with ExecutionHistoryService(Path(report.replaced)) as service:
        assert ["mine"] == await service.get_all_workflows()
    async with ExecutionHistoryService(place) as service:
        assert 3 == sum(each.total for each in await service.workflow_summaries())
    assert {"backups", "history", Path(report.replaced).name} == {path.name for path in tmp_path.iterdir()}


async def test_a_database_with_a_history_is_refused(postgres: PostgresServer, target: BackupTarget) -> None:
    """It cannot be moved aside."""
    await back_up(ExecutionHistoryService(MemoryStore()), target)
    with postgres.new_history() as place:
        async with ExecutionHistoryService(place) as service:
            await service.create_execution_record("w", "e")
        with pytest.raises(InvalidInput, match=r"There is a history in .* already"):
            await restore(target, Settings(store=place))
        with pytest.raises(InvalidInput, match="cannot be moved aside"):
            await restore(target, Settings(store=place), replace=True)


async def test_records_can_be_read_without_this_program(target: BackupTarget) -> None:
    """Unpacked, a segment of records has a stored record on each line, as an export into JSON Lines."""
    store = MemoryStore()
    await fill(store)
    manifest = (await back_up(ExecutionHistoryService(store), target)).manifest
    packed = target.read(f"{manifest.id}/{manifest.segments[0].name}", manifest.size)
    lines = zstandard.ZstdDecompressor().decompress(packed).splitlines()
    assert await everything(store) == lines


async def test_a_restore_that_was_killed_leaves_nothing_for_ever(tmp_path: Path, target: BackupTarget) -> None:
    """Its folder, which is none of a history, goes a day later with the next restore."""
    await back_up(ExecutionHistoryService(MemoryStore()), target)
    left, other = tmp_path / ".history.abc.restoring", tmp_path / ".history.now.restoring"
    for folder in (left, other):
        folder.mkdir()
    os.utime(left, (0, 0))
    await restore(target, Settings(store=str(tmp_path / "history")))
    assert {"backups", "history", other.name} == {path.name for path in tmp_path.iterdir()}


async def test_a_restore_that_fails_leaves_nothing(tmp_path: Path, target: BackupTarget) -> None:
    """Neither a history that is not whole nor a temporary folder, and what was there stays."""
    store = MemoryStore()
    await fill(store)
    report = await back_up(ExecutionHistoryService(store), target)
    name = f"{report.manifest.id}/{report.manifest.segments[0].name}"
    Path(target.name, name).write_bytes(b"")
    place = tmp_path / "history"
    with pytest.raises(BackupDamaged):
        await restore(target, Settings(store=str(place)))
    assert ["backups"] == [path.name for path in tmp_path.iterdir()]


async def test_records_that_cannot_be_read_are_named_and_left_out(tmp_path: Path, target: BackupTarget) -> None:
    """The others are in the backup, which can be restored."""
    import apsw  # noqa: PLC0415

    folder = tmp_path / "history"
    store = store_at(folder, json_files=False)
    await store.open()
    await fill(store, 4)
    await store.aclose()
    database = apsw.Connection(str(folder / "history.db"))
    database.execute("UPDATE executions SET document = x'00' WHERE execute_id = 'e1'")
    database.close()
    async with ExecutionHistoryService(store_at(folder, json_files=False)) as service:
        report = await back_up(service, target)
    assert (3, 1, (("工作流", "e1"),)) == (
        report.manifest.records,
        report.manifest.damaged_count,
        report.manifest.damaged,
    )
    assert (3, 1) == ((found := await verify(target)).records, found.damaged)


async def test_what_a_newer_version_wrote_is_not_read(target: BackupTarget) -> None:
    """The sentence says what to do."""
    newer = Manifest(format=2, id="2026-01-01T000000Z-abcd", version="9", source="s", created_at=0, moment=0,
                     revision=0, audited=0, records=0, deletions=0, entries=0, audit_lines=0, segments=())  # fmt: skip
    target.write(f"{newer.id}/manifest.json", sealed(newer)[0])
    with pytest.raises(BackupDamaged, match="upgrade this one"):
        await verify(target)


def _bomb(_: Segment) -> tuple[bytes, dict[str, object]]:
    """A frame that says that it holds little, and holds much."""
    packer = zstandard.ZstdCompressor().compressobj()
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(64)), packer.flush()]), {"text_size": 1000}


def _lie(_: Segment) -> tuple[bytes, dict[str, object]]:
    """A frame that asks for more memory than there is."""
    return bytes.fromhex("28b52ffdc000") + (2**62).to_bytes(8, "little") + bytes.fromhex("010000"), {}


def _long(_: Segment) -> tuple[bytes, dict[str, object]]:
    """A manifest that asks for more memory than there is, for a frame that says nothing."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(b"{}\n"), {"text_size": 2**62}


def _list(_: Segment) -> tuple[bytes, dict[str, object]]:
    return zstandard.ZstdCompressor().compress(b"[]\n"), {"text_size": 3, "lines": 1}


def _outside(segment: Segment) -> tuple[bytes, dict[str, object]]:
    return b"", {"name": f"records/../../{segment.name}"}


def _negative(_: Segment) -> tuple[bytes, dict[str, object]]:
    return b"", {"text_size": -5}


def _empty_lines(_: Segment) -> tuple[bytes, dict[str, object]]:
    """As many lines as would take a gigabyte for their places alone."""
    size = 128 * 2**20
    packer = zstandard.ZstdCompressor().compressobj()
    packed = b"".join([*(packer.compress(b"\n" * 2**20) for _ in range(128)), packer.flush()])
    return packed, {"text_size": size, "lines": size}


@pytest.mark.parametrize("forged", [_bomb, _lie, _long, _list, _outside, _negative, _empty_lines])
async def test_a_forged_backup_is_damaged(
    target: BackupTarget, forged: Callable[[Segment], tuple[bytes, dict[str, object]]]
) -> None:
    """It takes no more memory than a backup of ours, reads no file beside it, and is refused in one sentence."""
    store = MemoryStore()
    await fill(store)
    manifest = (await back_up(ExecutionHistoryService(store), target)).manifest
    first, *others = manifest.segments
    packed, said = forged(first)
    target.write(f"{manifest.id}/{first.name}", packed)
    false = msgspec.structs.replace(first, sha256=sha256(packed).hexdigest(), size=len(packed), **said)
    target.write(
        f"{manifest.id}/manifest.json", sealed(msgspec.structs.replace(manifest, segments=(false, *others)))[0]
    )
    tracemalloc.start()
    with pytest.raises(BackupDamaged):
        await verify(target)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 32 * 2**20


def _endless(path: Path) -> None:
    os.truncate(path, 2**40)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("forge", [_endless, _pipe, _device])
@pytest.mark.parametrize("kind", ["records-*", "manifest.json"])
async def test_a_file_without_an_end_is_not_read(tmp_path: Path, forge: Callable[[Path], None], kind: str) -> None:
    """Nobody waits for a pipe in the place of a file, and none takes more memory than the manifest says."""
    target = FolderTarget(tmp_path)
    store = MemoryStore()
    await fill(store)
    await back_up(ExecutionHistoryService(store), target)
    forge(next(tmp_path.rglob(kind)))
    manifest = BackupDamaged if forge is _endless else BackupNotFound  # neither a pipe nor a device is looked at
    errors = manifest if kind == "manifest.json" else BackupDamaged if forge is _endless else BackupFailed
    with pytest.raises(errors):
        await verify(target)


async def test_the_secret_that_signs_cookies_is_in_no_backup(tmp_path: Path, target: BackupTarget) -> None:
    """Who reads a backup cannot sign in with it, and a restored history signs with a secret of its own."""
    store = MemoryStore()
    clock = Clock()
    sessions = Sessions(store, clock)
    cookies = [await sessions.begin("0123abcd")]
    await back_up(ExecutionHistoryService(store), target)
    await sessions.rotate()
    cookies.append(await sessions.begin("0123abcd"))
    await back_up(ExecutionHistoryService(store), target)
    for name in target.list():
        if not name.endswith("manifest.json"):
            assert b"session_key" not in zstandard.ZstdDecompressor().decompress(target.read(name, 2**20))
    place = str(tmp_path / "restored")
    await restore(target, Settings(store=place))
    copy = store_at(place)
    try:
        assert [None, None] == [await Sessions(copy, clock).key_id_of(cookie) for cookie in cookies]
    finally:
        await copy.aclose()
