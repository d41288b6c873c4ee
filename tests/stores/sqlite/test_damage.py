"""Damaged documents: noticed, taken from the JSON file, stepped over, counted, named and replaced."""

import asyncio
import logging
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from execution_history.errors import RecordDamaged, StoreDamaged
from execution_history.query.fields import RecordFilter
from execution_history.query.model import RecordKey, RecordQuery, StatisticsQuery
from execution_history.query.parameters import filter_of
from execution_history.records.record import Document
from execution_history.stores import SQLiteStore, stored_elsewhere
from execution_history.stores.protocol import MergeReport
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
from execution_history.stores.sqlite.index.text_index import TextMatches
from tests.sample_records import change, document, ids, page_of
from tests.stores.sqlite.damage import damage, damaged, make_old, mislead, stored

pytestmark = pytest.mark.anyio

_ALL = RecordQuery(size=100)


@asynccontextmanager
async def _opened(folder: Path, *, json_files: bool = True) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(folder, json_files=json_files)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


async def _fill(store: SQLiteStore, count: int = 5, workflow_id: str = "w", **fields: object) -> dict[str, bytes]:
    """Records ``e0``, ``e1`` …, all ended but the last one; their bytes."""
    for number in range(count):
        await store.create(document(f"e{number}", workflow_id, 1_000 + number, parameters={"n": number}, **fields))
        if number < count - 1:
            await store.update(workflow_id, f"e{number}", change(9_000, "success", output={"text": "done " * 20}))
    await store.flush()
    found = {f"e{number}": await store.get(workflow_id, f"e{number}") for number in range(count)}
    return {name: body for name, body in found.items() if body is not None}


@pytest.mark.parametrize("json_files", [True, False])
async def test_no_bit_that_is_turned_round_gives_a_wrong_value(tmp_path: Path, json_files: bool) -> None:
    """Of 300 bits: each record is the right one, but for a large one without a file, which is an error."""
    chosen = random.Random(9)  # noqa: S311 - nothing is kept secret
    async with _opened(tmp_path, json_files=json_files) as store:
        right = {
            "small": await _fill(store, 4, "small"),
            "large": await _fill(store, 2, "large", connector_id=chosen.randbytes(80_000).hex()),
            "dense": await _fill(store, 2, "dense", connector_id=chosen.randbytes(40).hex()),
        }
        await store.create(document("other", "other"))
        noticed = 0
        for _ in range(300):
            workflow_id = chosen.choice(list(right))
            execute_id = chosen.choice(list(right[workflow_id]))
            bit = chosen.randrange(8 * len(stored(tmp_path, execute_id, workflow_id)))
            with damaged(tmp_path, bit, execute_id, workflow_id):
                lost: list[RecordKey] = []
                try:
                    assert right[workflow_id][execute_id] == await store.get(workflow_id, execute_id)
                except RecordDamaged:
                    lost = [RecordKey(workflow_id, execute_id)]
                assert not lost or (workflow_id, json_files) == ("large", False)
                kept = [body for name, body in right[workflow_id].items() if RecordKey(workflow_id, name) not in lost]
                page = await page_of(store, workflow_id, 10, 1)
                assert (kept[::-1], tuple(lost), len(right[workflow_id])) == (
                    list(page.documents), page.damaged, page.total,
                )  # fmt: skip
                noticed += bool(lost)
                assert await store.get("other", "other") is not None
        assert () == (await store.health()).problems
        assert json_files or noticed > 60  # about a third of the bits


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("json_files", [True, False])
async def test_older_documents_without_a_checksum_stay_readable(tmp_path: Path, json_files: bool, plain: bool) -> None:
    """A bit turned round in one of them is an error, or gives a whole record with the same ids, times and status."""
    chosen = random.Random(7)  # noqa: S311 - nothing is kept secret
    async with _opened(tmp_path, json_files=json_files) as store:
        right = await _fill(store)
    make_old(tmp_path, plain=plain)
    noticed = 0
    async with _opened(tmp_path, json_files=json_files) as store:
        assert list(right.values())[::-1] == list((await page_of(store, "w", 10, 1)).documents)
        for _ in range(150):
            execute_id = chosen.choice(list(right))
            bit = chosen.randrange(8 * len(stored(tmp_path, execute_id)))
            with damaged(tmp_path, bit, execute_id, "w"):
                try:
                    found = await store.get("w", execute_id)
                except RecordDamaged:
                    noticed += 1
                    continue
                assert found is not None
                noticed += found == right[execute_id]
                record, original = orjson.loads(found), orjson.loads(right[execute_id])
                assert list(record) == list(original)
                for key in ("workflow_id", "execute_id", "create_time", "update_time", "execute_status"):
                    assert record[key] == original[key]
    assert noticed > 75


@pytest.mark.parametrize(
    "columns", ["size = size + 1", "packing = 77", "packing = 0", "document = x''", "size = 1 << 50"]
)
async def test_a_row_that_does_not_fit_its_document_is_damaged(tmp_path: Path, columns: str) -> None:
    """Another length, an unknown dictionary, or nothing at all: one error, without so much memory being taken."""
    async with _opened(tmp_path, json_files=False) as store:
        await _fill(store, 2)
        connection = apsw.Connection(str(tmp_path / "history.db"))
        connection.execute(f"UPDATE executions SET {columns} WHERE execute_id = 'e0'")  # noqa: S608 - from the list above
        connection.close()
        with pytest.raises(RecordDamaged) as caught:
            await store.get("w", "e0")
        assert ("w", "e0") == (caught.value.workflow_id, caught.value.execute_id)
        assert ["e1"] == ids((await page_of(store, "w", 10, 1)).documents)


async def test_a_history_without_a_revision_is_damaged(tmp_path: Path) -> None:
    """One sentence says so, and what to do."""
    async with _opened(tmp_path, json_files=False) as store:
        await _fill(store, 1)
        with closing(apsw.Connection(str(tmp_path / "history.db"))) as connection:
            connection.execute("DELETE FROM feed")
        with pytest.raises(StoreDamaged, match=r"doctor .*--repair"):
            await store.create(document("e1", "w"))


@pytest.mark.parametrize(
    "sql", ["UPDATE dictionaries SET content = randomblob(length(content))", "DELETE FROM dictionaries"]
)
async def test_a_damaged_dictionary_costs_no_record(tmp_path: Path, sql: str) -> None:
    """The program has it too."""
    async with _opened(tmp_path, json_files=False) as store:
        right = await _fill(store)
    connection = apsw.Connection(str(tmp_path / "history.db"))
    connection.execute(sql)
    connection.close()
    async with _opened(tmp_path, json_files=False) as store:
        assert list(right.values())[::-1] == list((await page_of(store, "w", 10, 1)).documents)


async def test_a_damaged_record_is_read_from_a_file_that_is_being_written(tmp_path: Path) -> None:
    """However its place moves meanwhile, it is never half of the one and half of another."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
        damage(tmp_path, "e2")

        async def write(name: str) -> None:
            for number in range(40):
                await store.create(document(f"{name}{number}", now=2_000 + number))
                await store.update("w", f"{name}{number}", change(9_000, "success", output="done " * number))

        writing = asyncio.gather(*(write(name) for name in "xyz"))
        found = 0
        while not writing.done():
            assert right["e2"] == await store.get("w", "e2")
            found += 1
        await writing
        assert found


async def test_everything_that_gives_several_records_steps_over_a_damaged_one(tmp_path: Path) -> None:
    """Lists, questions, batches, open records: without it, with its name, and with totals that count it."""
    gone = (RecordKey("w", "e2"),)
    async with _opened(tmp_path, json_files=False) as store:
        await _fill(store)
        await store.create(document("e2", "v"))
        await store.statistics(StatisticsQuery())  # the index has been made
        damage(tmp_path, "e2")
        for page in (await page_of(store, "w", 10, 1), await page_of(store, "w", 2, 2)):
            assert (True, 5, gone) == ("e2" not in ids(page.documents), page.total, page.damaged)
        assert gone == (await page_of(store, None, 10, 1)).damaged
        batch = await store.scan(None, 3)
        assert (["e0", "e1"], gone) == (ids(batch.documents), batch.damaged)
        assert batch.next is not None
        assert ["e3", "e4", "e2"] == ids((await store.scan(batch.next, 10)).documents)

        selection = await store.select(RecordQuery(filter=RecordFilter(workflow_ids=("w",))))
        assert (["e4", "e3", "e1", "e0"], 5, gone) == (ids(selection.documents), selection.total, selection.damaged)
        looked_into = filter_of({"where": ["input.n >= 1"]}, now=0, workflow_id="w")
        found = await store.select(RecordQuery(filter=looked_into))
        assert (["e4", "e3", "e1"], gone) == (ids(found.documents), found.damaged)
        texts = await store.select(RecordQuery(filter=RecordFilter(text="done")))
        assert (["e3", "e1", "e0"], gone) == (ids(texts.documents), texts.damaged)
        assert (6, ()) == (
            (counted := await store.statistics(StatisticsQuery())).totals.runs, counted.damaged,
        )  # fmt: skip
        assert (3, gone) == (
            (counted := await store.statistics(StatisticsQuery(filter=looked_into))).totals.runs, counted.damaged,
        )  # fmt: skip
        with pytest.raises(
            RecordDamaged, match="take the run from a backup with execution-history restore FOLDER --missing"
        ):
            await store.get("w", "e2")


async def test_a_damaged_open_record_does_not_keep_others_from_being_found(tmp_path: Path) -> None:
    """However few are asked for, and however many damaged ones are older."""
    async with _opened(tmp_path, json_files=False) as store:
        for number in range(6):
            await store.create(document(f"e{number}", now=number + 1))
        damage(tmp_path, "e0", "e1", "e2")
        assert ["e3", "e4"] == ids(await store.open_records(frozenset({"running", "interrupted"}), 2))


async def test_a_damaged_record_that_is_asked_for_by_an_id_is_an_error(tmp_path: Path) -> None:
    """By its own and by the one upstream, also where another workflow has one: that would be taken for the only one."""
    async with _opened(tmp_path, json_files=False) as store:
        for workflow_id in ("w", "v"):
            await store.create(document("a", workflow_id, metadata={"coze_execute_id": "111"}))
        damage(tmp_path, "a")
        with pytest.raises(RecordDamaged):
            await store.find("a")
        with pytest.raises(RecordDamaged):
            await store.find_upstream("111")


async def test_an_index_made_of_a_damaged_history_counts_what_is_there(tmp_path: Path) -> None:
    """It knows a damaged record by its columns, is not made anew at the next start, and learns it when it is mended."""
    async with _opened(tmp_path, json_files=False) as store:
        right = await _fill(store)
        await store.update("w", "e4", change(metadata={"coze_execute_id": "111"}))
    damage(tmp_path, "e1", "e4")
    for name in tmp_path.glob("index.db*"):
        name.unlink()
    made = []
    for _ in range(2):
        async with _opened(tmp_path, json_files=False) as store:
            selection = await store.select(_ALL)
            assert (["e3", "e2", "e0"], 5) == (ids(selection.documents), selection.total)
            assert {("w", "e1"), ("w", "e4")} == set(selection.damaged)
            assert 4 == (await store.statistics(StatisticsQuery())).totals.counts["success"]
            upstream = await store.select(RecordQuery(filter=RecordFilter(upstream_ids=("111",))))
            assert (("w", "e4"),) == upstream.damaged
        made.append((tmp_path / "index.db").stat().st_ino)
    assert made[0] == made[1]
    async with _opened(tmp_path, json_files=False) as store:
        mended = document("e1", now=1_001, parameters={"n": 1})
        assert MergeReport(0, 1, 0) == await store.merge([mended])
        found = await store.select(RecordQuery(filter=filter_of({"where": ["input.n = 1"]}, now=0, workflow_id=None)))
        assert [mended.body] == list(found.documents)
        assert right["e1"] != mended.body


class _Refuses(TextIndex):
    """A text index that fails with ``e1``, before or while it takes it in."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def prepare(self, record: Mapping[str, Any]) -> str:
        """Its id."""
        if self._where == "prepare" and record["execute_id"] == "e1":
            raise ZeroDivisionError
        return "\ud800" if self._where == "many" and record["execute_id"] == "e1" else str(record["execute_id"])

    def put(self, connection: apsw.Connection, rowid: int, prepared: str) -> None:
        """As it is; SQLite refuses what may not be empty, and Python what UTF-8 cannot hold."""
        if prepared == "e1" and self._where == "sqlite":
            connection.execute("INSERT INTO tags VALUES (NULL, 0, 0)")
        super().put(connection, rowid, "\ud800" if prepared == "e1" and self._where == "python" else prepared)


@pytest.mark.parametrize("where", ["prepare", "sqlite", "python", "many"])
async def test_a_record_that_the_index_cannot_take_in_does_not_stop_it(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, wherever: it is counted and listed like all others, and the log names it."""
    async with _opened(tmp_path, json_files=False) as store:
        right = await _fill(store)
        limits = Limits(texts_with_rows=0 if where == "many" else 50)
        index = RecordIndex(tmp_path, store._parts.reader, _Refuses(where), limits)
        with caplog.at_level(logging.WARNING):
            selection = await index.select(_ALL)
            await index.follow()
        assert (list(right.values())[::-1], 5, ()) == (selection.documents, selection.total, selection.damaged)
        assert selection.reach.is_complete
        assert 1 == sum("'e1' of workflow 'w' cannot be taken" in message for message in caplog.messages)
        assert 4 == (await index.statistics(StatisticsQuery())).totals.counts["success"]
        with index.follower.index().connection() as connection:
            assert {1, 3, 4, 5} == TextMatches('"e0" OR "e2" OR "e3" OR "e4"', True).among(connection, range(1, 6))
        index.close()


async def test_the_log_and_the_health_name_what_is_damaged_until_it_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once in the log, as long as it lasts in the health: read from its file or not at all; and what to do."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
        await _fill(store, 1, "v")
        damage(tmp_path, "e0", "e1")
        damage(tmp_path, "e0", workflow_id="v")
        (tmp_path / "v.json").unlink()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert 5 == len((await page_of(store, "w", 10, 1)).documents)
                assert (RecordKey("v", "e0"),) == (await page_of(store, "v", 10, 1)).damaged
        assert 3 == sum("is damaged in" in message for message in caplog.messages)
        lost, recovered = (await store.health()).problems
        assert "1 record in" in lost
        assert "cannot be read, because history.db is damaged there: v/e0. Take it from a backup" in lost
        assert "2 records in" in recovered
        assert "are read from their JSON files or with the flipped bit turned back" in recovered
        assert "w/e0, w/e1" in recovered or "w/e1, w/e0" in recovered

        await store.delete("v", "e0")
        await store.update("w", "e0", change(metadata={"tags": ["kept"]}))
        (left,) = (await store.health()).problems
        assert "1 record in" in left
        report = await store.merge([_document_of(right["e1"])])
        assert (MergeReport(0, 1, 0), ()) == (report, (await store.health()).problems)


async def test_a_damaged_record_is_changed_from_what_its_file_says(tmp_path: Path) -> None:
    """And is whole again in the database."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
        damage(tmp_path, "e0")
        made = await store.update("w", "e0", change(metadata={"note": "seen"}))
        assert made is not None
        changed = made.plain()
        assert ("seen", orjson.loads(right["e0"])["output"]) == (changed["metadata"]["note"], changed["output"])
        (tmp_path / "w.json").unlink()
        assert made.body == await store.get("w", "e0")


async def test_changing_a_record_that_cannot_be_read_is_an_error_for_that_call_alone(tmp_path: Path) -> None:
    """Those that are written together with it are written; it can be deleted, and so can its workflow."""
    async with _opened(tmp_path, json_files=False) as store:
        await _fill(store)
        damage(tmp_path, "e0", "e1")
        outcomes = await asyncio.gather(
            store.update("w", "e2", change(metadata={"note": "seen"})),
            store.update("w", "e0", change(metadata={"note": "seen"})),
            store.update("w", "e3", change(metadata={"note": "seen"})),
            return_exceptions=True,
        )
        assert [Document, RecordDamaged, Document] == [type(outcome) for outcome in outcomes]
        assert [True, False] == [await store.delete("w", "e0"), await store.delete("w", "e0")]
        assert 4 == (await page_of(store, "w", 10, 1)).total
        with pytest.raises(RecordDamaged, match="'e1' of workflow 'w'"):
            await store.update("w", "e1", change(status="success"))
        assert await store.clear("w")
        assert ([], 0) == (await store.workflows(), (await store.select(_ALL)).total)


@pytest.mark.parametrize("json_files", [True, False])
async def test_a_version_from_elsewhere_takes_the_place_of_a_damaged_record(tmp_path: Path, json_files: bool) -> None:
    """An older one too, unless the JSON file still has a newer one; and the same version mends it."""
    older = document("e0", now=1_000, parameters={"n": 0})
    async with _opened(tmp_path, json_files=json_files) as store:
        right = await _fill(store)
        assert MergeReport(0, 0, 1) == await store.merge([older])
        damage(tmp_path, "e0")
        assert MergeReport(0, int(not json_files), int(json_files)) == await store.merge([older])
        assert (right["e0"] if json_files else older.body) == await store.get("w", "e0")
        damage(tmp_path, "e1")
        assert MergeReport(0, 1, 0) == await store.merge([_document_of(right["e1"])])
        assert right["e1"] == await store.get("w", "e1")


async def test_a_json_file_is_made_anew_with_what_it_alone_has(tmp_path: Path) -> None:
    """A damaged record is taken from the old file into the new one; without the old one it is left out."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
        damage(tmp_path, "e1")
        # A bulk of records makes the file anew from the database.
        await store.merge([document(f"m{number}", now=500) for number in range(3)])
        shown = orjson.loads((tmp_path / "w.json").read_bytes())["histories"]
        assert 8 == len(shown)
        assert [orjson.loads(right["e1"])] == [record for record in shown if record["execute_id"] == "e1"]
        (tmp_path / "w.json").unlink()
        await store.merge([document("last", now=400)])
        left = orjson.loads((tmp_path / "w.json").read_bytes())["histories"]
        assert (8, True) == (len(left), "e1" not in [record["execute_id"] for record in left])
        assert 9 == (await page_of(store, "w", 10, 1)).total


@pytest.mark.parametrize("change_of_file", ["value", "update_time", "create_time", "id", "cut", "other workflow"])
async def test_a_file_that_says_something_else_is_not_believed(tmp_path: Path, change_of_file: str) -> None:
    """With its old modification time: another version, another record, or half of one is not what was stored."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
        damage(tmp_path, "e2")
        path = tmp_path / "w.json"
        content, times = path.read_bytes(), path.stat()
        at = content.index(b'"execute_id": "e2"')
        old, new = {
            "value": (b'"n": 2', b'"n": 7'),
            "update_time": (b'"update_time": 9000', b'"update_time": 9001'),
            "create_time": (b'"create_time": 1002', b'"create_time": 1902'),
            "id": (b'"execute_id": "e2"', b'"execute_id": "e9"'),
            "cut": (b'"text": "done', b'"text"; "done'),
            "other workflow": (b'"workflow_id": "w"', b'"workflow_id": "x"'),
        }[change_of_file]
        path.write_bytes(content[:at] + content[at:].replace(old, new, 1))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if change_of_file == "value":
            # Nothing tells a file that was edited by hand from one that was not; opening takes such an edit in too.
            assert {"n": 7} == orjson.loads(await store.get("w", "e2") or b"")["input_parameters"]
        else:
            with pytest.raises(RecordDamaged):
                await store.get("w", "e2")
        assert right["e1"] == await store.get("w", "e1")


async def test_a_large_file_is_searched_not_read(tmp_path: Path) -> None:
    """An old record among thousands is found in its file, whatever else has been written since."""
    async with _opened(tmp_path) as store:
        await store.merge(
            [document(f"m{number:04d}", now=number, parameters={"t": "x" * 900}) for number in range(1, 3_001)]
        )
        await store.flush()
        right = await store.get("w", "m0007")
        damage(tmp_path, "m0007")
        assert right == await store.get("w", "m0007")


async def test_an_index_that_leads_to_another_record_gives_and_changes_nothing(tmp_path: Path) -> None:
    """Whatever asks for the id that the index has by mistake learns that the database is damaged."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
    wrong = mislead(tmp_path, "e4")
    async with _opened(tmp_path) as store:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: store.get("w", wrong),
            lambda: store.update("w", wrong, change(9_000, metadata={"a": 1})),
            lambda: store.delete("w", wrong),
            lambda: store.merge([document(wrong)]),
        ]
        for call in calls:
            with pytest.raises(StoreDamaged, match="doctor --repair"):
                await call()
        assert list(right.values())[::-1] == list((await page_of(store, "w", 10, 1)).documents)
        assert (await store.health()).problems


def _document_of(body: bytes) -> Document:
    return Document.of(orjson.loads(body), body)


async def test_a_damaged_record_is_read_from_a_file_that_may_only_be_read(tmp_path: Path) -> None:
    """As one in a backup may be: its file is not opened for writing."""
    async with _opened(tmp_path) as store:
        right = await _fill(store)
    damage(tmp_path, "e0")
    flags: list[int] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]) == str(tmp_path / "w.json"):
            flags.append(arguments[2])

    sys.addaudithook(note)
    bodies = [body for batch in stored_elsewhere(tmp_path) for body in batch.documents]

    assert right["e0"] in bodies
    assert flags
    assert all(each & os.O_ACCMODE == os.O_RDONLY for each in flags)
