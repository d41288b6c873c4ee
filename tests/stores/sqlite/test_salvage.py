"""Rows read from the pages of a damaged database, and the new one that is made of them."""

import asyncio
import os
import shutil
import struct
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from bench.fault_damage import chance_of, content, copy_folder, examined, flip, make_folder, opened, problems_of, zero

from execution_history.errors import StoreFull
from execution_history.query.model import RecordKey
from execution_history.stores import SQLiteStore
from execution_history.stores.compression import StoredRecord, Unpacker, Unreadable, packed, shipped_dictionary
from execution_history.stores.sqlite.registry_copy import read_copy
from execution_history.stores.sqlite.salvage import salvage
from execution_history.stores.sqlite.salvage.cells import children
from execution_history.stores.sqlite.salvage.log import Frame, Log, read_log
from execution_history.stores.sqlite.salvage.pages import Pages
from tests.sample_records import change, document
from tests.stores.sqlite.damage import damage, flipped, make_old, put, stored

pytestmark = pytest.mark.anyio


async def _made(folder: Path, *, json_files: bool = False) -> SQLiteStore:
    store = SQLiteStore(folder, json_files=json_files)
    await store.open()
    return store


async def _records(folder: Path) -> dict[str, bytes]:
    """The records that the database alone has."""
    store = await _made(folder)
    bodies = (await store.scan(None, 10_000)).documents
    await store.aclose()
    return {orjson.loads(body)["execute_id"]: body for body in bodies}


@pytest.mark.parametrize("header", ["sound", "zeroed"])
async def test_rows_of_every_size_are_read_as_they_were(tmp_path: Path, header: str) -> None:
    """On one page and on many, from the trees and, without a header, from the pages themselves."""
    store = await _made(tmp_path)
    for number, size in enumerate([1, 500, 3_900, 4_100, 60_000, 900_000]):
        text = chance_of(size).randbytes(size).hex()
        await store.create(document(f"e{number}", f"w{number}", 1_000 + number, parameters={"text": text}))
    await store.update("w1", "e1", change(5_000, "success", metadata={"coze_execute_id": "upstream"}))
    await store.put_entry("view", "a", b'{"n":1}')
    await store.put_entry("view", "a", b'{"n":2}')
    await store.put_entry("view", "b", b"{}")
    await store.drop_entry("view", "b")
    revision = await store.revision()
    known = await _records_of(store)
    await store.aclose()
    if header == "zeroed":
        zero(tmp_path / "history.db", chance_of(0), 1, 0)
    report = salvage(tmp_path)
    assert (6, ()) == (report.records, report.lost)
    assert known == await _records(tmp_path)
    store = await _made(tmp_path)
    assert [b'{"n":2}'] == [entry.value for entry in await store.entries("view")]
    assert ["e1"] == [orjson.loads(body)["execute_id"] for body in await store.find_upstream("upstream")]
    assert revision == await store.revision()
    assert {f"w{number}": 1 for number in range(6)} == {
        each.workflow_id: each.total for each in await store.workflows()
    }
    await store.aclose()


async def _records_of(store: SQLiteStore) -> dict[str, bytes]:
    return {orjson.loads(body)["execute_id"]: body for body in (await store.scan(None, 10_000)).documents}


async def test_a_read_that_is_short_ends_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give fewer bytes than it was asked for (pread(2)): the rest of the file is there."""
    store = await _made(tmp_path, json_files=True)
    await store.create(document("e0", "w", parameters={"t": "x" * 9_000}))
    whole, sizes = os.pread, cycle([1_000, 70, 1])
    monkeypatch.setattr(os, "pread", lambda descriptor, size, offset: whole(descriptor, min(size, next(sizes)), offset))
    await store.create(document("e1", "w", 2_000, parameters={"t": "y" * 90}))
    await store.update("w", "e0", change(5_000, "success", output={"text": "z" * 500}))
    known = await _records_of(store)
    assert list(known.values())[::-1] == [
        orjson.dumps(record) for record in orjson.loads((tmp_path / "w.json").read_bytes())["histories"]
    ]
    await store.aclose()
    assert 2 == salvage(tmp_path).records
    monkeypatch.undo()
    assert known == await _records(tmp_path)


async def test_what_was_deleted_does_not_come_back(tmp_path: Path) -> None:
    """Neither from pages that are free now nor from the log."""
    store = await _made(tmp_path)
    for number in range(300):
        await store.create(document(f"e{number}", f"w{number % 3}", 1_000 + number, parameters={"t": "x" * 900}))
    for number in range(0, 300, 2):
        await store.delete(f"w{number % 3}", f"e{number}")
    await store.clear("w1")
    known = await _records_of(store)
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("history.db", "history.db-wal"):
        (copied / name).write_bytes((tmp_path / name).read_bytes())
    await store.aclose()
    for folder in (tmp_path, copied):
        zero(folder / "history.db", chance_of(0), 1, 0)
        salvage(folder)
        assert known == await _records(folder)


async def test_a_deletion_that_contradicts_a_run_is_damaged(tmp_path: Path) -> None:
    """Both are in the database at once only where a bit of the deletion was flipped: of its number, or of its id."""
    store = await _made(tmp_path)
    for number in range(4):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    await store.discard([RecordKey("w", "e0")], 1_000_000)
    await store.restore([RecordKey("w", "e0")])
    await store.delete("w", "e2")
    known = await _records_of(store)
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        connection.execute("UPDATE deletions SET revision = revision + 512 WHERE execute_id = 'e0'")
        connection.execute("UPDATE deletions SET execute_id = 'e3' WHERE execute_id = 'e2'")
    salvage(tmp_path)
    assert known == await _records(tmp_path)


async def test_commits_behind_a_damaged_place_of_the_log_are_read(tmp_path: Path) -> None:
    """SQLite gives up everything from there on."""
    store = await _made(tmp_path / "h")
    for number in range(50):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    known = await _records_of(store)
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in ("history.db", "history.db-wal"):
        (folder / name).write_bytes((tmp_path / "h" / name).read_bytes())
    await store.aclose()
    log = (folder / "history.db-wal").read_bytes()
    assert 0 == read_log(log).lost_commits
    frame = 24 + 4096
    at = 32 + (len(read_log(log).committed) * 2 // 3) * frame + 24 + 50
    (folder / "history.db-wal").write_bytes(log[:at] + bytes([log[at] ^ 4]) + log[at + 1 :])
    assert 5 < read_log((folder / "history.db-wal").read_bytes()).lost_commits
    report = salvage(folder)
    assert len(known) - 1 <= report.records
    found = await _records(folder)
    assert found.items() <= known.items()


async def test_documents_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Those without a checksum, and plain JSON."""
    for plain in (False, True):
        folder = tmp_path / str(plain)
        store = await _made(folder)
        await store.create(document("e1", "w", parameters={"n": 1}))
        await store.create(document("e2", "工作流", parameters={"n": 2}))
        known = await _records_of(store)
        await store.aclose()
        make_old(folder, plain=plain)
        salvage(folder)
        assert known == await _records(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"bbbb", b"bbbc"), (b'"update_time": 2000', b'"update_time": 6000'), (b'time": 2000', b'time": 6000')],
)
async def test_of_a_damaged_document_the_json_file_is_taken(tmp_path: Path, old: bytes, new: bytes) -> None:
    """And not what a hand, or a disk, has put into the file of a sound one."""
    store = await _made(tmp_path, json_files=True)
    await store.create(document("e1", "w", parameters={"n": "aaaa"}))
    await store.create(document("e2", "w", 2_000, parameters={"n": "bbbb"}))
    known = await _records_of(store)
    await store.aclose()
    damage(tmp_path, "e1")
    file = tmp_path / "w.json"
    status = file.stat()
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [("w", "e1")] == list(salvage(tmp_path).lost)
    async with opened(tmp_path) as store:
        assert known == await _records_of(store)
        assert b"bbbb" in file.read_bytes()


@pytest.mark.parametrize("file", ["none", "damaged too"])
async def test_a_flipped_bit_of_a_document_is_turned_back(tmp_path: Path, file: str) -> None:
    """Its checksum proves it, and that what a damaged file has is not the run."""
    store = await _made(tmp_path, json_files=file != "none")
    await store.create(document("e1", "w", parameters={"n": "aaaa", "text": "words of a run " * 40}))
    known = await _records_of(store)
    await store.aclose()
    whole = stored(tmp_path, "e1")
    path = tmp_path / "w.json"
    for bit in range(3, 8 * len(whole), 61):
        put(tmp_path, flipped(whole, bit), "e1")
        if file != "none":
            text, status = path.read_bytes().replace(b"aaaa", b"aaab"), path.stat()
            path.write_bytes(text)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        salvage(tmp_path)
        async with opened(tmp_path) as store:
            assert known == await _records_of(store), bit


async def test_without_json_files_no_more_is_lost_than_was_damaged(tmp_path: Path) -> None:
    """A flipped bit costs at most the rows of one page."""
    whole = tmp_path / "whole"
    await make_folder(whole, 200)
    known, _ = await content(whole)
    by_id = {execute_id: body for (_, execute_id), body in known.items()}
    for seed in range(8):
        folder = tmp_path / "damaged"
        copy_folder(whole, folder)
        for path in folder.glob("*.json"):
            path.unlink()
        flip(folder / "history.db", chance_of(seed), 1)
        salvage(folder)
        found = await _records(folder)
        assert len(by_id) - 60 <= len(found), f"seed {seed}"
        assert found.items() <= by_id.items(), f"seed {seed}"


async def test_a_repair_that_has_no_space_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how much it takes."""
    store = await _made(tmp_path)
    await store.create(document("e1", "w"))
    await store.aclose()
    before = (tmp_path / "history.db").read_bytes()
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StoreFull, match="free 17 MB"):
        salvage(tmp_path)
    assert before == (tmp_path / "history.db").read_bytes()
    assert not list(tmp_path.glob("history.db.*"))


@pytest.mark.parametrize("offset", [0, 2, 4, 8, 14])
async def test_a_run_is_found_by_its_document_where_its_row_is_damaged(tmp_path: Path, offset: int) -> None:
    """Whichever bit of the row is flipped before it; what was deleted before stays so."""
    store = await _made(tmp_path)
    for number in range(4):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    await store.delete("w", "e1")
    await store.discard([RecordKey("w", "e0")], 1_000_000)
    await store.restore([RecordKey("w", "e0")])
    known = await _records_of(store)
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        root: Any = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'executions'").get
        cells: Any = connection.execute("SELECT count(*) FROM executions").get
        revision: Any = connection.execute("SELECT revision FROM feed").get
    content = bytearray((tmp_path / "history.db").read_bytes())
    page = (root - 1) * 4096
    [cell] = struct.unpack_from(">H", content, page + 8 + 2 * (cells - 1))  # that of the run which came last
    for bit in range(8):
        content[page + cell + offset] ^= 1 << bit
        (tmp_path / "history.db").write_bytes(content)
        salvage(tmp_path)
        assert known == await _records(tmp_path)
        store = await _made(tmp_path)
        assert revision == await store.revision()
        await store.aclose()
        content[page + cell + offset] ^= 1 << bit


@pytest.mark.parametrize("place", [0, -7, 1 << 62])
async def test_a_run_whose_place_is_damaged_gets_another_one(tmp_path: Path, place: int) -> None:
    """No list would come to it there, or no other run would find a place after it."""
    store = await _made(tmp_path)
    for number in range(3):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    known = await _records_of(store)
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        connection.execute("UPDATE executions SET seq = ? WHERE execute_id = 'e1'", (place,))
    salvage(tmp_path)
    assert known == await _records(tmp_path)
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        assert [(1, "e0"), (3, "e2"), (4, "e1")] == connection.execute(
            "SELECT seq, execute_id FROM executions ORDER BY seq"
        ).fetchall()


async def test_runs_that_are_lost_are_named(tmp_path: Path) -> None:
    """Where the index still has their ids, though no row is left of them."""
    store = await _made(tmp_path)
    for number in range(60):
        await store.create(document(f"e{number}", "w", 1_000 + number, parameters={"t": "x" * 900 + str(number)}))
    known = await _records_of(store)
    await store.aclose()
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        root: Any = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'executions'").get
    page = (tmp_path / "history.db").read_bytes()[(root - 1) * 4096 : root * 4096]
    zero(tmp_path / "history.db", chance_of(0), 1, children(page, root)[1] - 1)
    report = salvage(tmp_path)
    left = await _records(tmp_path)
    assert 0 < len(report.lost) < 60
    assert {key.execute_id for key in report.lost} == known.keys() - left.keys()


async def test_a_page_whose_head_is_damaged_keeps_its_rows(tmp_path: Path) -> None:
    """One bit makes a leaf look like a page above others, another one gives it thousands of rows."""
    store = await _made(tmp_path / "h")
    for number in range(40):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    known = await _records_of(store)
    await store.aclose()
    content = (tmp_path / "h" / "history.db").read_bytes()
    leaves = [at for at in range(4096, len(content), 4096) if content[at] == 13 and b"e3" in content[at : at + 4096]]
    for place, bit in ((0, 8), (3, 64)):
        folder = tmp_path / str(place)
        folder.mkdir()
        damaged = bytearray(content)
        for at in leaves:
            damaged[at + place] ^= bit
        (folder / "history.db").write_bytes(damaged)
        salvage(folder)
        assert known == await _records(folder)


async def test_rows_that_damage_has_made_alike_are_told_apart_by_a_new_database(tmp_path: Path) -> None:
    """No index can have both; the run whose row says that it is another one is read from its JSON file."""
    folder = tmp_path / "h"
    await make_folder(folder, 20)
    async with opened(folder) as store:
        await store.erase()
    records, _ = await content(folder)
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.pragma("writable_schema", 1)
        index: Any = connection.execute("SELECT * FROM sqlite_schema WHERE name = 'executions_by_id'").fetchone()
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'executions_by_id'")
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.execute(
            "UPDATE executions SET (execute_id, workflow) = "
            "(SELECT execute_id, workflow FROM executions WHERE seq = 3) WHERE seq = 4"
        )
        connection.pragma("writable_schema", 1)
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    assert [] == list(problems_of(await examined(folder, repair=True)))
    assert records == (await content(folder))[0]


def _zero_table(folder: Path, name: str) -> None:
    """Overwrite the first page of a table, and those below it, with zeros."""
    with closing(apsw.Connection(str(folder / "history.db"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root: Any = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).get
    content = (folder / "history.db").read_bytes()
    pages = [root]
    for page in pages:
        at = (page - 1) * 4096
        if content[at] == 5:
            pages += children(content[at : at + 4096], page)
    for page in pages:
        zero(folder / "history.db", chance_of(0), 1, page - 1)


async def _with_everything(folder: Path) -> None:
    """Make a history of runs, some of which are in the bin, with names and an audit log of several pages."""
    store = await _made(folder)
    value = b'{"text":"%s"}' % (b"x" * 60)
    await asyncio.gather(
        *(store.put_entry("view", f"view-{number}", value) for number in range(120)),
        *(store.append_audit("me", "did", value) for _ in range(120)),
        *(store.create(document(f"e{number}", "w", 1_000 + number)) for number in range(30)),
    )
    await store.discard([RecordKey("w", f"e{number}") for number in range(10)], 10**12)
    await store.aclose()


async def test_names_and_keys_come_back_from_their_copy(tmp_path: Path) -> None:
    """It is for its owner only, and written when the history is closed."""
    await _with_everything(tmp_path)
    assert 0o600 == (tmp_path / ".registry").stat().st_mode & 0o777
    _zero_table(tmp_path, "registry")
    report = salvage(tmp_path)
    assert (120, []) == (report.others.copied, list(report.others.entries))
    store = await _made(tmp_path)
    assert 120 == len(await store.entries("view"))
    assert 120 == len(await store.audit(0, 1_000))
    await store.aclose()


async def test_the_copy_follows_while_the_store_is_open(tmp_path: Path) -> None:
    """Keys are in it before they are answered for; everything else a moment later, several changes at once."""
    store = await _made(tmp_path)

    def copied() -> set[tuple[str, str]]:
        return {(each.kind, each.key) for each in read_copy(tmp_path, None) if each.value is not None}

    await store.put_entry("view", "v", b"1")
    await store.put_entry("key", "k", b"1")
    assert {("view", "v"), ("key", "k")} == copied()
    await store.drop_entry("key", "k")
    assert {("view", "v")} == copied()
    await store.put_entry("view", "w", b"1")
    async with asyncio.timeout(20):
        while {("view", "v"), ("view", "w")} != copied():
            await asyncio.sleep(0.01)
    (tmp_path / ".registry").unlink()
    (tmp_path / ".registry").mkdir()
    assert await store.put_entry("key", "k", b"2") is not None
    (tmp_path / ".registry").rmdir()
    await store.aclose()
    assert ("key", "k") in copied()


async def test_what_is_lost_is_told_by_its_kind(tmp_path: Path) -> None:
    """What the indexes of a table still name, and the gaps between the numbers of the audit log."""
    await _with_everything(tmp_path)
    (tmp_path / ".registry").write_bytes((tmp_path / ".registry").read_bytes().replace(b"view-7", b"view-6"))
    for table in ("registry", "bin", "audit"):
        _zero_table(tmp_path, table)
    others = salvage(tmp_path).others
    assert (0, 120, 10) == (others.copied, len(others.entries), others.binned)
    assert ("view", "view-7") in others.entries


@pytest.mark.parametrize("pages", [1, 2, 3])
async def test_the_audit_log_tells_how_many_lines_it_lacks(tmp_path: Path, pages: int) -> None:
    """Whatever came after the last one that is left is not known."""
    await _with_everything(tmp_path)
    content = (tmp_path / "history.db").read_bytes()
    at = [at for at in range(0, len(content), 4096) if content[at] == 13 and b"medid" in content[at : at + 4096]]
    for place in at[:pages]:
        zero(tmp_path / "history.db", chance_of(0), 1, place // 4096)
    lost = salvage(tmp_path).others.lines
    store = await _made(tmp_path)
    assert 120 == lost + len(await store.audit(0, 1_000))
    await store.aclose()


@pytest.mark.parametrize("table", ["bin", "audit"])
async def test_what_may_be_lost_is_said_where_nothing_tells_how_much(tmp_path: Path, table: str) -> None:
    """The table, and what else had its keys or its last number, cannot be read."""
    store = await _made(tmp_path)
    await store.create(document("e0", "w"))
    await store.discard([RecordKey("w", "e0")], 1_000_000)
    await store.append_audit("ada", "did")
    await store.aclose()
    others = "sqlite_autoindex_bin_1" if table == "bin" else "sqlite_sequence"
    with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name IN (?, ?)"
        roots: list[Any] = [row[0] for row in connection.execute(sql, (table, others)).fetchall()]
    for root in roots:
        zero(tmp_path / "history.db", chance_of(0), 1, root - 1)
    report = salvage(tmp_path)
    assert (frozenset({table}), 0, 0) == (report.others.uncertain, report.others.binned, report.others.lines)


async def test_everything_comes_back_without_the_page_of_the_schema(tmp_path: Path) -> None:
    """Rows tell by their types of which table they are: names, the audit log, the bin and the places of followers."""
    await _with_everything(tmp_path)
    store = await _made(tmp_path)
    await store.save_cursor("follower", 20)
    await store.aclose()
    (tmp_path / ".registry").unlink()
    zero(tmp_path / "history.db", chance_of(0), 2, 0)
    report = salvage(tmp_path)
    store = await _made(tmp_path)
    assert (20, 120, 120) == (report.records, len(await store.entries("view")), len(await store.audit(0, 1_000)))
    assert 10 == len(await store.restore([RecordKey("w", f"e{number}") for number in range(10)]))
    assert {"follower": 20} == await store.cursors()
    await store.aclose()


def _row(frame: bytes, size: int) -> StoredRecord:
    return StoredRecord("w", "e", 1_000, 1_000, 0, size, 1, frame)


def test_a_size_that_no_document_can_have_takes_no_memory() -> None:
    """The row and the frame agree on it, as in a database that somebody has made up."""
    stated = 1 << 62
    frame = b"\x28\xb5\x2f\xfd\xe4" + struct.pack("<Q", stated) + b"\0" * 40
    with pytest.raises(Unreadable):
        Unpacker({1: shipped_dictionary()}).unpack(_row(frame, stated))


def test_mending_ends_where_very_many_documents_are_damaged() -> None:
    """What is beyond the limit for all together is read from the JSON files alone."""
    body = document("e", "w", 1_000).body
    damaged = _row(flipped(packed(body)[1], 300), len(body))
    unpacker = Unpacker({1: shipped_dictionary()}, 1_000_000)
    found = [unpacker.mend(damaged) for _ in range(10)]
    assert (body, None) == (found[0], found[-1])


def test_a_log_that_names_a_page_far_away_adds_no_others() -> None:
    """A repair looks at the pages that there are, not at all numbers up to the largest."""
    far = (1 << 32) - 1
    assert [far] == list(Pages(None, Log(4096, (Frame(far, far, 0),), ()), bytes(4096)).numbers())


async def _killed_repair(folder: Path) -> dict[str, bytes]:
    """A history whose log has all, as a repair leaves it that is killed after the log is gone; what it held."""
    store = await _made(folder / "open")
    for number in range(20):
        await store.create(document(f"e{number}", "w", 1_000 + number))
    known = await _records_of(store)
    shutil.copytree(folder / "open", folder / "killed")
    await store.aclose()
    kept = salvage(folder / "killed").kept
    (folder / "killed" / "history.db").rename(folder / "killed" / ".history.db.repaired")
    shutil.copy2(kept / "history.db", folder / "killed" / "history.db")
    return known


@pytest.mark.parametrize("by", ["opening", "repair"])
async def test_a_repair_that_was_killed_is_completed(tmp_path: Path, by: str) -> None:
    """Its log is gone, and the new database was not yet in its place."""
    known = await _killed_repair(tmp_path)
    folder = tmp_path / "killed"
    if by == "repair":
        assert any("last step" in problem for problem in problems_of(await examined(folder)))
        await examined(folder, repair=True)
    assert known == await _records(folder)
    assert not any("last step" in problem for problem in problems_of(await examined(folder)))


async def test_a_database_that_was_put_there_after_a_killed_repair_stays(tmp_path: Path) -> None:
    """It may be one from a backup."""
    await _killed_repair(tmp_path)
    await (await _made(tmp_path / "other")).aclose()
    shutil.copy(tmp_path / "other" / "history.db", tmp_path / "killed" / "history.db")
    assert {} == await _records(tmp_path / "killed")
