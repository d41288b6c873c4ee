"""Imports stay small: what is beyond a limit is refused with its place, and what stands around it comes in."""

import json
import struct
import tempfile
import tracemalloc
import zipfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import ImportFailed
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.records.size_limit import LEAST_LIMIT
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import MergeReport
from execution_history.transfer import ImportReport, import_history, import_studio
from execution_history.transfer.line_reader import LineReader
from tests.sample_records import document, ids
from tests.transfer.histories import everything

pytestmark = pytest.mark.anyio

_MB = 1_000_000


async def brought_in(path: Path, limits: ReadingLimits | None = None) -> tuple[ImportReport, list[str]]:
    """The report of an import into an empty store, and the ids that it holds."""
    store = MemoryStore()
    report = await import_history(ExecutionHistoryService(store), [path], limits=limits)
    return report, sorted(ids(await everything(store)))


async def peak_of(work: Callable[[], Awaitable[object]]) -> int:
    """How many bytes of memory are in use at most while something is done."""
    tracemalloc.start()
    try:
        await work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def places(report: ImportReport) -> list[tuple[str, str, str]]:
    """The file, the place and the reason of each refusal."""
    return [(Path(each.source).name, each.place, each.reason) for each in report.refused]


_LARGE = "It has more than 1000 bytes (the setting record_limit_bytes)."


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_a_line_that_is_too_long_is_refused_with_its_number(tmp_path: Path, end: bytes) -> None:
    """Not a byte more than the largest record, its end not counted; the lines around it come in."""
    exact = document("a").body
    exact = document("a", output="x" * (998 - len(exact) + len("null"))).body
    lines = [document("b").body, exact, exact[:-1] + b" }", b'{"x": "' + b"y" * 700_000, exact.replace(b'"a"', b'"c"')]
    (tmp_path / "in.jsonl").write_bytes((end or b"\n").join(lines) + end)
    assert 1_000 == len(exact)

    report, found = await brought_in(tmp_path / "in.jsonl", ReadingLimits(record=1_000))

    assert ["a", "b", "c"] == found
    assert [("in.jsonl", "line 3", _LARGE), ("in.jsonl", "line 4", _LARGE)] == places(report)


async def test_a_record_of_a_json_file_that_is_too_large_is_refused_with_its_number(tmp_path: Path) -> None:
    """The whole file may stand in one line, which is not read into memory; so it is within a zip file."""
    records: list[dict[str, Any]] = [
        {"execute_id": "a"},
        {"execute_id": "b", "output": "x" * 5_000},
        {"execute_id": "c"},
    ]
    (tmp_path / "w.json").write_text(
        json.dumps([each | {"execute_status": "success", "create_time": 1_761_901_941_289} for each in records])
    )
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.write(tmp_path / "w.json", "v.json")

    report, found = await brought_in(tmp_path, ReadingLimits(record=1_000))

    assert ["a", "a", "c", "c"] == found
    assert [("v.json", "record 2", _LARGE), ("w.json", "record 2", _LARGE)] == places(report)


async def test_a_record_may_consist_of_anything_within_the_largest(tmp_path: Path) -> None:
    """What takes much memory for its bytes could be recorded, so it is read; its bytes bound what it takes."""
    dense = document("dense", output=[{}] * 40_000)
    (tmp_path / "a.jsonl").write_bytes(dense.body + b"\n" + document("a").body)
    (tmp_path / "b.json").write_bytes(b'{"workflow_id": "w", "histories": [' + dense.body + b"]}")
    for name, found in (("a.jsonl", ["a", "dense"]), ("b.json", ["dense"])):
        assert found == (await brought_in(tmp_path / name, ReadingLimits(len(dense.body), memory=_MB)))[1]
        assert found[:-1] == (await brought_in(tmp_path / name, ReadingLimits(len(dense.body) - 1)))[1]


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "in"])
@pytest.mark.parametrize("unit", [b"\n", b"\r\n", b" ", b"{", b"[", b'"', b"\\", b",", b'{"execute_id":['])
async def test_a_file_of_nothing_takes_no_memory(tmp_path: Path, name: str, unit: bytes) -> None:
    """However large it is, and whatever it is said to be."""
    (tmp_path / name).write_bytes(unit * ((200_000 if unit[0] in b"{[" else 4 * _MB) // len(unit)))
    limits = ReadingLimits(record=_MB // 10)
    assert await peak_of(lambda: brought_in(tmp_path / name, limits)) < 5 * _MB


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
async def test_what_is_in_a_zip_file_takes_neither_memory_nor_temporary_space(
    tmp_path: Path, name: str, packing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as it is unpacked, and of what unpacks to much only a little is unpacked at once."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w", packing) as archive:
        archive.writestr(name, b"\n" * 20 * _MB)
        archive.writestr("b.jsonl", document("b").body)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))

    # LZMA needs up to 8 MB of what came before.
    most = (12 if packing == zipfile.ZIP_LZMA else 4) * _MB
    assert await peak_of(lambda: brought_in(tmp_path / "in.zip")) < most
    assert ["b"] == (await brought_in(tmp_path / "in.zip"))[1]


async def test_a_zip_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """Too much is more than the temporary space and more than two hundred times its size; nothing of it is unpacked."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", document("a").body)
        archive.writestr("b.json", b" " * 2 * _MB)
    report, found = await brought_in(tmp_path / "in.zip", ReadingLimits(temporary=_MB))
    assert [] == found
    ((name, place, reason),) = places(report)
    assert ("in.zip", "the file") == (name, place)
    assert reason.startswith("It unpacks to 200")
    assert (await brought_in(tmp_path / "in.zip", ReadingLimits(temporary=3 * _MB)))[1] == ["a"]


async def test_a_zip_file_of_very_many_members_is_refused(tmp_path: Path) -> None:
    """Reading their list alone would take the memory."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number}.jsonl", b"")
    report, _ = await brought_in(tmp_path / "in.zip", ReadingLimits(memory=_MB))
    assert ["the file"] == [place for _, place, _ in places(report)]
    assert "import_memory_bytes" in report.refused[0].reason
    assert 0 == (await brought_in(tmp_path / "in.zip"))[0].refused_count


@pytest.mark.parametrize(("more", "is_taken"), [(1_000, True), (-10, False)])
async def test_a_member_that_lies_about_its_size_ends_where_it_says(tmp_path: Path, more: int, is_taken: bool) -> None:
    """What is behind that is not read, and then the checksum is another one."""
    body = document("a").body + b"\n"
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", body)
        archive.writestr("b.jsonl", document("b").body)
    data = (tmp_path / "in.zip").read_bytes()
    said, lied = struct.pack("<L", len(body)), struct.pack("<L", len(body) + more)
    (tmp_path / "in.zip").write_bytes(data.replace(said, lied))
    report, found = await brought_in(tmp_path / "in.zip")
    assert (["a", "b"] if is_taken else ["b"]) == found
    assert (0 if is_taken else 1) == report.refused_count


async def test_a_member_that_needs_a_large_dictionary_is_refused(tmp_path: Path) -> None:
    """LZMA says how much of what came before it keeps in memory, up to four gigabytes."""
    with zipfile.ZipFile(tmp_path / "in.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.jsonl", document("a").body)
        archive.writestr("b.jsonl", document("b").body)
    data = (tmp_path / "in.zip").read_bytes()
    begin = data.index(b"a.jsonl") + len("a.jsonl") + 5
    (tmp_path / "in.zip").write_bytes(data[:begin] + b"\xff\xff\xff\xff" + data[begin + 4 :])
    report, found = await brought_in(tmp_path / "in.zip")
    assert (["b"], [("a.jsonl", "the file")]) == (found, [place[:2] for place in places(report)])
    assert "import_memory_bytes" in report.refused[0].reason


async def test_names_within_a_zip_file_are_only_names(tmp_path: Path) -> None:
    """Absolute, upwards, endless; a zip file in a zip file is none that holds records."""
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        archive.writestr("inner.jsonl", document("inner").body)
    names = ["/etc/a.jsonl", "../../b.jsonl", "C:\\c.jsonl", f"{'x' * 60_000}.jsonl", "e.json/"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, document(f"e{number}").body + b"\nbroken\n" if number < 4 else b"")
        archive.write(tmp_path / "inner.zip", "inner.zip")
    report, found = await brought_in(tmp_path / "in.zip")
    assert ["e0", "e1", "e2", "e3"] == found
    assert all(len(each.source) < 500 for each in report.refused)
    assert {tmp_path / "in.zip", tmp_path / "inner.zip"} == set(tmp_path.iterdir())


async def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    """What is no file is passed over, and one that is removed before its turn is refused alone."""
    for number in range(20):
        (tmp_path / f"{number:02}.jsonl").write_bytes(document(f"e{number:02}").body)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "nowhere")
    removed = tmp_path / "07.jsonl"

    class Removing(MemoryStore):
        """A store that is opened when the folder has been listed."""

        async def open(self) -> None:
            """See :meth:`HistoryStore.open`."""
            removed.unlink(missing_ok=True)

    store = Removing()
    report = await import_history(ExecutionHistoryService(store), [tmp_path])

    assert [f"e{number:02}" for number in range(20) if number != 7] == ids(await everything(store))
    assert [("07.jsonl", "the file", "It cannot be read: No such file or directory.")] == places(report)


async def test_lines_are_known_by_the_first_however_long_it_is(tmp_path: Path) -> None:
    """Also under a name that says something else, and where the first record is a megabyte."""
    lines = [document("a", output="x" * _MB).body, document("b").body]
    (tmp_path / "in.json").write_bytes(b"\n".join(lines))
    assert ["a", "b"] == (await brought_in(tmp_path / "in.json"))[1]


class _Counting(MemoryStore):
    """A store that notes how much it is given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[int, int]] = []

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`."""
        group = list(documents)
        self.given.append((len(group), sum(len(each.body) for each in group)))
        return await super().merge(group, settle=settle)


@pytest.mark.parametrize(("count", "size"), [(3_000, 1), (60, 200_000), (3, 3 * _MB)])
async def test_the_store_is_given_a_little_at_once(tmp_path: Path, count: int, size: int) -> None:
    """A group is one transaction, for which others wait: it is small, in records and in bytes."""
    with (tmp_path / "in.jsonl").open("wb") as file:
        for number in range(count):
            file.write(document(f"e{number}", output="x" * size).body + b"\n")
    store = _Counting()
    await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])
    assert count == sum(number for number, _ in store.given)
    assert all(number <= 250 and (number == 1 or total < 1_300_000) for number, total in store.given)


async def test_a_thousand_blank_lines_are_none(tmp_path: Path) -> None:
    """They cost no step each, and lines keep their numbers."""
    data = b"\n" * 1_000 + b"  \r\n\t" + document("a").body + b"\n" + b"\n" * 2_000 + b"broken"
    (tmp_path / "in.jsonl").write_bytes(data)
    report, found = await brought_in(tmp_path / "in.jsonl")
    assert (["a"], ["line 3003"]) == (found, [place for _, place, _ in places(report)])


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    """It is not read into memory, and the lines around it are there."""
    (tmp_path / "in").write_bytes(b"a\n" + b"x" * 5_000_000 + b"\nb\n" + b"y" * 11)
    with (tmp_path / "in").open("rb") as stream:
        reader = LineReader(stream, longest=10)
        found = [(reader.number, content, reader.is_ended) for content in reader.contents()]

    assert [(1, b"a", True), (2, None, True), (3, b"b", True), (4, None, False)] == found
    assert 5_000_016 == reader.size


_HEADER = "id,workflow_id,created_at,status,output"


def _row(number: int, output: str = "") -> str:
    return f'{number},2,1700000000000,2,"{output}"'


@pytest.mark.parametrize(
    "cell", ["x" * 5_000, "x\n" * 5_000, '""' * 2_000, "\n" * 5_000, "\n9,9,9,9,9\n" * 200, ",,,\n" * 2_000]
)
async def test_a_cell_of_a_dump_that_is_too_large_is_refused(tmp_path: Path, cell: str) -> None:
    """Its row, and no more than that: what stands in the cell is no row, although it may look like one."""
    text = "\n".join([_HEADER, _row(1), _row(2, cell), "", "", _row(3), _row(4)])
    (tmp_path / "rows").write_text(text)
    report = await import_studio(
        ExecutionHistoryService(store := MemoryStore()), tmp_path / "rows", limits=ReadingLimits(record=1_000)
    )
    assert ["1", "3", "4"] == ids(await everything(store))
    assert 1 == report.refused_count
    assert _LARGE == report.refused[0].reason


async def test_a_cell_with_escaped_quotes_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """As INTO OUTFILE writes them."""
    cell = 'say \\"x\\" and \\\\\\\n9,9,9,9,9\n' * 100
    text = "\n".join([_HEADER, _row(1, 'say \\"x\\"'), _row(2, cell), _row(3), _row(4)])
    (tmp_path / "rows").write_text(text)
    report = await import_studio(
        ExecutionHistoryService(store := MemoryStore()), tmp_path / "rows", limits=ReadingLimits(record=1_000)
    )
    assert ["1", "3", "4"] == ids(await everything(store))
    assert 1 == report.refused_count


@pytest.mark.parametrize("between", [",", "\t"])
async def test_a_row_of_very_many_cells_is_refused(tmp_path: Path, between: str) -> None:
    """It is not taken apart into millions of them."""
    rows = [
        _HEADER.replace(",", between),
        *(between.join([str(n), "2", "1700000000000", "2", "x"]) for n in range(1, 4)),
    ]
    rows.insert(2, between * 100_000)
    (tmp_path / "rows").write_text("\n".join(rows))
    limits = ReadingLimits(memory=2 * _MB)
    store = MemoryStore()

    async def work() -> None:
        assert (
            1 == (await import_studio(ExecutionHistoryService(store), tmp_path / "rows", limits=limits)).refused_count
        )

    assert await peak_of(work) < 4 * _MB
    assert ["1", "2", "3"] == ids(await everything(store))


@pytest.mark.parametrize("between", [",", "\t"])
async def test_blank_lines_of_a_dump_are_no_rows(tmp_path: Path, between: str) -> None:
    """Nor do they cost anything."""
    rows = [_HEADER.replace(",", between), between.join(["1", "2", "1700000000000", "2", "x"]), "\n" * 3_000, "broken"]
    (tmp_path / "rows").write_text("\n".join(rows))
    report = await import_studio(ExecutionHistoryService(store := MemoryStore()), tmp_path / "rows")
    assert (["1"], ["line 3004"]) == (ids(await everything(store)), [each.place for each in report.refused])


@pytest.mark.parametrize("header", ["id,workflow_id,created_at,status", "id\tworkflow_id\tcreated_at\tstatus"])
async def test_a_line_without_end_in_a_dump_is_refused(tmp_path: Path, header: str) -> None:
    """It is passed over, not read into memory, and the rows around it come in."""
    row = header.replace("id", "{}", 1).replace("workflow_id", "2").replace("created_at", "1700000000000")
    row = row.replace("status", "2")
    rows = [header, row.format(1), row.format("9" * 5_000), row.format(2), row.format(3)]
    (tmp_path / "rows").write_text("\n".join(rows))
    (tmp_path / "headless").write_bytes(b"\0" * 5_000)
    limits = ReadingLimits(record=1_000)

    report = await import_studio(ExecutionHistoryService(MemoryStore()), tmp_path / "rows", limits=limits)

    assert (3, [("line 3", _LARGE)]) == (report.added, [(each.place, each.reason) for each in report.refused])
    with pytest.raises(ImportFailed, match="is not a dump of workflow_execution"):
        await import_studio(ExecutionHistoryService(MemoryStore()), tmp_path / "headless", limits=limits)


async def test_nodes_that_make_a_run_too_large_are_left_out(tmp_path: Path) -> None:
    """The run comes in with the first of them, and says how many there were more."""
    (tmp_path / "runs").write_text(f"{_HEADER}\n{_row(1)}\n")
    rows = [f"{n},1,n{n},node,3,3,{'x' * 1_000}" for n in range(1, 11)]
    (tmp_path / "nodes").write_text("\n".join(["id,execute_id,node_id,node_name,created_at,status,output", *rows]))
    store = MemoryStore()
    await import_studio(
        ExecutionHistoryService(store), tmp_path / "runs", tmp_path / "nodes", limits=ReadingLimits(record=8_000)
    )
    (body,) = await everything(store)
    record = json.loads(body)
    assert 10 == len(record["node_execute_status"]) + record["metadata"]["imported_from"]["nodes_left_out"]
    assert 0 < len(record["node_execute_status"]) < 10


async def test_nodes_that_need_too_much_temporary_space_are_refused(tmp_path: Path) -> None:
    """Before anything is imported, with the setting's name."""
    (tmp_path / "runs").write_text(f"{_HEADER}\n{_row(1)}\n")
    rows = [f"{n},1,n{n},node,3,3,{'x' * 1_000}" for n in range(1, 2_000)]
    (tmp_path / "nodes").write_text("\n".join(["id,execute_id,node_id,node_name,created_at,status,output", *rows]))
    store = MemoryStore()
    with pytest.raises(ImportFailed, match="import_temporary_bytes"):
        await import_studio(
            ExecutionHistoryService(store), tmp_path / "runs", tmp_path / "nodes", limits=ReadingLimits(temporary=_MB)
        )
    assert [] == await everything(store)


@pytest.mark.parametrize("kind", ["executions", "lines"])
async def test_without_limits_a_record_may_have_what_the_stores_may(tmp_path: Path, kind: str) -> None:
    """Imports and the dumps of Studio follow the store into which they go."""
    store = MemoryStore(record_limit_bytes=LEAST_LIMIT)
    large = "x" * (LEAST_LIMIT + 1)
    if kind == "lines":
        (tmp_path / "in.jsonl").write_bytes(document("a", output=large).body)
        report = await import_history(ExecutionHistoryService(store), [tmp_path / "in.jsonl"])
    else:
        (tmp_path / "rows").write_text("\n".join([_HEADER, _row(1, large)]))
        report = await import_studio(ExecutionHistoryService(store), tmp_path / "rows")
    assert 1 == report.refused_count
    assert f"more than {LEAST_LIMIT}" in report.refused[0].reason


async def test_records_of_a_database_that_are_too_large_are_cut(tmp_path: Path) -> None:
    """As the setting says: they are records already, and say what was cut."""
    async with ExecutionHistoryService(tmp_path / "h") as service:
        await service.store.create(document("a", output="x" * 3_000_000))
    store = MemoryStore(record_limit_bytes=LEAST_LIMIT)
    report = await import_history(ExecutionHistoryService(store), [tmp_path / "h"])
    assert (1, 0) == (report.added, report.refused_count)
    body = await store.get("w", "a")
    assert body is not None
    assert {"output": 3_000_002} == json.loads(body)["metadata"]["recording_is_cut"]
