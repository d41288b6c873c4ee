"""Everything that is done with a history, while its disk fails; and what is looked at afterwards."""

import os
import shutil
from pathlib import Path
from typing import Any, Final

import orjson

from bench.fault_damage import chance_of, examined, flip, opened, problems_of, zero
from bench.fault_load import Load
from bench.fault_work import Doing, Work, again, compared
from execution_history import ExecutionHistoryService
from execution_history.clock import now_ms
from execution_history.maintenance.archive import archive
from execution_history.maintenance.backup.restoration import restore
from execution_history.maintenance.backup.target import target_at
from execution_history.maintenance.backup.verification import verify
from execution_history.maintenance.backup.writer import back_up
from execution_history.maintenance.redaction import redact_history
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordQuery, StatisticsQuery
from execution_history.records.record import RecordChange
from execution_history.settings import Settings
from execution_history.stores import SQLiteStore, store_at
from execution_history.transfer.export import Export, export_to_path
from execution_history.transfer.importer import import_history

_SECRET: Final = "sk-proj-" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9mN1pQ3"
_NEXT_YEAR: Final = "2100-01"


async def _record(doing: Doing) -> None:
    store = SQLiteStore(doing.history)
    if await doing.part(store.open):
        doing.load = Load("new")
        await doing.load.run(store, range(8), 1)
        doing.odd += doing.load.odd
        doing.refused += doing.load.refused
        doing.done += doing.load.calls
    await store.aclose()


async def _tidy(doing: Doing) -> None:
    store = SQLiteStore(doing.history)
    if await doing.part(store.open):
        for work in (store.prune, store.give_back, store.erase, store.flush):
            await doing.part(work)
    await store.aclose()


async def _search(doing: Doing) -> None:
    store = SQLiteStore(doing.history)
    if await doing.part(store.open):

        async def select() -> None:
            await store.select(RecordQuery(filter=RecordFilter(text="done"), size=5))

        async def count() -> None:
            await store.statistics(StatisticsQuery(filter=RecordFilter()))

        for work in (store.follow_index, select, count, store.rebuild_index, select):
            await doing.part(work)
    await store.aclose()


async def _without_index(base: Path) -> None:
    for path in (base / "h").glob("index.db*"):
        path.unlink()


async def _with_secrets(base: Path) -> None:
    async with opened(base / "h") as store:
        async for workflow_id, execute_id in _names(store):
            await store.update(
                workflow_id, execute_id, RecordChange.of(now_ms(), None, {"note": f"the key is {_SECRET}"})
            )


async def _names(store: SQLiteStore) -> Any:
    batch = await store.scan(None, 1_000)
    for body in batch.documents:
        record = orjson.loads(body)
        yield record["workflow_id"], record["execute_id"]


async def _redact(doing: Doing) -> None:
    async def redact() -> None:
        async with ExecutionHistoryService(doing.history) as service:
            await redact_history(service)

    await doing.part(redact)


async def _no_secrets(doing: Doing) -> list[str]:
    await again(_redact, doing)
    held = [path.name for path in doing.history.iterdir() if path.is_file() and _SECRET.encode() in path.read_bytes()]
    return [f"there are secrets in {name}" for name in held]


async def _back_up(doing: Doing) -> None:
    async def make() -> None:
        async with ExecutionHistoryService(doing.history) as service:
            await back_up(service, target_at(doing.base / "backups"))

    await doing.part(make)
    await doing.part(make)


async def _can_be_restored(doing: Doing) -> list[str]:
    target = target_at(doing.base / "backups")
    if doing.done:
        await verify(target)  # what was answered for is there
    await again(_back_up, doing)
    await restore(target, Settings(store=str(doing.base / "r")))
    return await compared(doing.base / "r", doing)


async def _with_backup(base: Path) -> None:
    async with ExecutionHistoryService(base / "h") as service:
        await back_up(service, target_at(base / "backups"))


async def _restore(doing: Doing) -> None:
    async def bring_back() -> None:
        await restore(target_at(doing.base / "backups"), Settings(store=str(doing.base / "r")))

    await doing.part(bring_back)


async def _is_restored(doing: Doing) -> list[str]:
    if not (doing.base / "r" / "history.db").exists():
        if doing.done:
            return ["a restored history is not there"]
        await again(_restore, doing)
    return await compared(doing.base / "r", doing)


async def _archive(doing: Doing) -> None:
    async def make() -> None:
        async with ExecutionHistoryService(doing.history) as service:
            await archive(service, doing.base / "archives", before=_NEXT_YEAR, remove=True)

    await doing.part(make)


async def _is_archived(doing: Doing) -> list[str]:
    await again(_archive, doing)
    found = {}
    for path in (doing.base / "archives").glob("*.db"):
        async with ExecutionHistoryService(store_at(path)) as service:
            async for batch in service.batches(RecordFilter()):
                for body in batch.documents:
                    record = orjson.loads(body)
                    key = record["workflow_id"], record["execute_id"]
                    found[key] = record["execute_status"], record["metadata"]["mark"]
    ended = {key: state for key, state in doing.known.runs.items() if state is not None and state[0] == "success"}
    doing.known.runs |= dict.fromkeys(ended, None)
    return [f"{key} is not in the archive" for key, state in ended.items() if found.get(key) != state]


async def _damaged(base: Path) -> None:
    chance = chance_of("damage")
    async with opened(base / "h") as store:
        await store.erase()  # so that all of it is in the database
    zero(base / "h" / "history.db", chance, 2, 3)
    flip(base / "h" / "w1.json", chance, 1)


async def _repair(doing: Doing) -> None:
    async def repair() -> None:
        await examined(doing.history, repair=True)

    await doing.part(repair)


async def _is_repaired(doing: Doing) -> list[str]:
    reports = await examined(doing.history, repair=True)
    async with opened(doing.history) as store:
        # Entries of the registry are in the database only, and may have been on the pages that are gone.
        there = {each.name.key for each in await store.entries("view")}
        doing.known.entries = {name: state for name, state in doing.known.entries.items() if name in there}
    return [f"not repaired: {each}" for each in problems_of(reports)]


async def _exported(base: Path) -> None:
    async with ExecutionHistoryService(base / "h") as service:
        await export_to_path(service, base / "in.jsonl", Export())
    shutil.rmtree(base / "h")
    async with opened(base / "h"):
        pass


async def _import(doing: Doing) -> None:
    async def bring_in() -> None:
        async with ExecutionHistoryService(doing.history) as service:
            await import_history(service, [doing.base / "in.jsonl"])

    await doing.part(bring_in)


async def _is_imported(doing: Doing) -> list[str]:
    await again(_import, doing)
    doing.known.entries.clear()
    return []


async def _export(doing: Doing) -> None:
    async def write() -> None:
        async with ExecutionHistoryService(doing.history) as service:
            await export_to_path(service, doing.base / "out.jsonl", Export())

    await doing.part(write)


async def _is_exported(doing: Doing) -> list[str]:
    out = doing.base / "out.jsonl"
    if doing.done or out.exists():
        runs = sum(state is not None for state in doing.known.runs.values())
        if len(out.read_bytes().splitlines()) != runs:
            return ["an export is not whole"]
    left = [path.name for path in doing.base.iterdir() if path.name.endswith(".partial")]
    return [] if doing.refused else [f"{name} was left" for name in left]


async def _without_files(base: Path) -> None:
    (base / "h" / "w0.json").unlink()
    os.truncate(base / "h" / "w1.json", 300)


async def _mirror(doing: Doing) -> None:
    store = SQLiteStore(doing.history)
    if await doing.part(store.open):
        await doing.part(store.flush)
    await store.aclose()


async def _is_made_anew(doing: Doing) -> list[str]:
    async with opened(doing.history):
        return []  # what could not be read is reported once, by whoever opens it first


WORKS: Final = (
    Work("record, change, delete, restore", _record),
    Work("prune, give back, erase, flush", _tidy),
    Work("search, count, rebuild the index", _search, _without_index),
    Work("make JSON files anew", _mirror, _without_files, _is_made_anew),
    Work("redact", _redact, _with_secrets, _no_secrets),
    Work("back up", _back_up, None, _can_be_restored),
    Work("restore a backup", _restore, _with_backup, _is_restored),
    Work("archive and remove", _archive, None, _is_archived),
    Work("doctor --repair", _repair, _damaged, _is_repaired, is_damaged=True),
    Work("import", _import, _exported, _is_imported),
    Work("export", _export, None, _is_exported),
)
"""All of them."""
