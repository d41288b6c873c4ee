"""Taking records out: every format, whole or not at all, to files, folders and streams."""

import asyncio
import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import ExportFailed, InvalidInput
from execution_history.query.fields import RecordFilter
from execution_history.records.record import KEYS
from execution_history.stores.protocol import HistoryStore
from execution_history.transfer import Export, Progress, export_chunks, export_to_path, export_to_stream
from tests.sample_records import document, ids
from tests.transfer.histories import everything, lines

pytestmark = pytest.mark.anyio


async def exported(store: HistoryStore, export: Export) -> bytes:
    """An export as bytes."""
    return b"".join([piece async for piece in export_chunks(ExecutionHistoryService(store), export)])


async def test_json_lines_are_the_stored_bytes(filled: HistoryStore, tmp_path: Path) -> None:
    """One record a line, in the order of arrival, nothing else; and the report counts them."""
    report = await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export())

    data = (tmp_path / "out.jsonl").read_bytes()
    assert b"\n".join(await everything(filled)) + b"\n" == data
    assert (10, len(data)) == (report.records, report.size)


async def test_a_filter_chooses_what_is_exported(filled: HistoryStore) -> None:
    """Any filter may be given; the order is then that of time, the oldest first."""
    data = await exported(filled, Export(record_filter=RecordFilter(statuses=("failed",), workflow_ids=("工作流",))))

    assert ["e3", "e9"] == [record["execute_id"] for record in lines(data)]


async def test_a_filter_over_many_pages_leaves_nothing_out(store: HistoryStore) -> None:
    """What does not fit on one page of the store is asked for page by page."""
    await store.merge([document(f"e{number}", now=1_000 + number // 3) for number in range(450)])

    data = await exported(store, Export(record_filter=RecordFilter(workflow_ids=("w",))))

    assert [f"e{number}" for number in range(450)] == [record["execute_id"] for record in lines(data)]


async def test_nothing_is_exported_as_nothing(store: HistoryStore, tmp_path: Path) -> None:
    """An empty store gives an empty file of JSON Lines, and a table with its header."""
    assert b"" == await exported(store, Export())
    assert 1 == len((await exported(store, Export(format="csv"))).splitlines())
    assert 0 == (await export_to_path(ExecutionHistoryService(store), tmp_path / "none.jsonl", Export())).records
    assert b"" == (tmp_path / "none.jsonl").read_bytes()


async def test_one_workflow_is_a_file_as_deployments_have_it(filled: HistoryStore, tmp_path: Path) -> None:
    """The four keys, the newest record first, indented by two, Chinese as it is."""
    await export_to_path(
        ExecutionHistoryService(filled),
        tmp_path / "out.json",
        Export(format="json", record_filter=RecordFilter(workflow_ids=("工作流",))),
    )

    text = (tmp_path / "out.json").read_text("utf-8")
    content = json.loads(text)
    assert {"workflow_id", "total", "histories", "updated_at"} == set(content)
    assert ("工作流", 5, 2_009) == (content["workflow_id"], content["total"], content["updated_at"])
    assert ["e9", "e7", "e5", "e3", "e1"] == [record["execute_id"] for record in content["histories"]]
    assert '\n    {\n      "execute_id": "e9",\n' in text
    assert "北京" in text


async def test_an_empty_workflow_is_a_file_without_records(store: HistoryStore) -> None:
    """It is still JSON with the four keys."""
    data = await exported(store, Export(format="json", record_filter=RecordFilter(workflow_ids=("none",))))

    assert {"workflow_id": "none", "histories": [], "total": 0, "updated_at": 0} == json.loads(data)


async def test_several_workflows_need_a_folder_or_a_zip_file(filled: HistoryStore, tmp_path: Path) -> None:
    """One JSON file cannot hold them, and the error says what can."""
    with pytest.raises(InvalidInput, match="belong to 2: choose one workflow, or a zip file or a folder for all"):
        await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.json", Export(format="json"))

    assert [] == [path.name for path in tmp_path.iterdir() if path.name != "history"]


async def test_a_folder_holds_a_file_for_every_workflow(filled: HistoryStore, tmp_path: Path) -> None:
    """Only those that have a record that matches."""
    report = await export_to_path(ExecutionHistoryService(filled), tmp_path / "out", Export(format="json"))
    await export_to_path(
        ExecutionHistoryService(filled),
        tmp_path / "some",
        Export(format="json", record_filter=RecordFilter(execute_id_prefix="e3")),
    )

    assert {"w.json", "工作流.json"} == {path.name for path in (tmp_path / "out").iterdir()}
    assert 10 == report.records
    assert ["工作流.json"] == [path.name for path in (tmp_path / "some").iterdir()]


async def test_workflows_that_differ_in_case_only_have_files_of_their_own(store: HistoryStore, tmp_path: Path) -> None:
    """On a disk that does not tell capitals apart, too, none overwrites the other."""
    await store.merge([document("a", "Flow"), document("b", "flow")])

    await export_to_path(ExecutionHistoryService(store), tmp_path / "out", Export(format="json"))

    assert 2 == len({path.name.lower() for path in (tmp_path / "out").iterdir()})


async def test_a_folder_that_holds_something_is_left_alone(filled: HistoryStore, tmp_path: Path) -> None:
    """An export does not mix with what is there."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    with pytest.raises(ExportFailed, match=r"There is something at .* already"):
        await export_to_path(ExecutionHistoryService(filled), tmp_path / "out", Export(format="json"))

    assert ["mine.txt"] == [path.name for path in (tmp_path / "out").iterdir()]


async def test_a_zip_file_holds_the_same_files(filled: HistoryStore, tmp_path: Path) -> None:
    """To a path that ends in .zip, and as a stream when it is asked for."""
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.zip", Export(format="json"))
    streamed = await exported(filled, Export(format="json", zipped=True))

    for archive in (zipfile.ZipFile(tmp_path / "out.zip"), zipfile.ZipFile(io.BytesIO(streamed))):
        with archive:
            assert archive.testzip() is None
            assert {"w.json", "工作流.json"} == set(archive.namelist())
            assert 5 == json.loads(archive.read("w.json"))["total"]


async def test_a_table_has_the_columns_that_are_asked_for(filled: HistoryStore) -> None:
    """Keys, facts and paths; null is empty, lists and objects are JSON."""
    columns = ("execute_id", "duration_ms", "output.score", "input.city", "output", "metadata.none")

    data = await exported(filled, Export(format="csv", columns=columns))
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))

    assert list(columns) == rows[0]
    assert ["e1", "1000", "1", "北京", '{"score":1,"text":"line\u2028\\nend"}', ""] == rows[2]
    assert ["e0", "1000", "", "北京", "", ""] == rows[1]
    assert data.count(b"\r\n") == 11


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("'=1+1", "=1+1"),
        ("'+1", "+1"),
        ("'-1", "-1"),
        ("'@sum", "@sum"),
        ("'\t=1", "\t=1"),
        ("'\r=1", "\r=1"),
        ("'\nline", "\nline"),
        ("'\ttab", "\ttab"),
        ("'＝1+1", "＝1+1"),
        ("'＋1", "＋1"),
        ("'－1", "－1"),
        ("'＠sum", "＠sum"),
        ("'﹦1", "﹦1"),
        ("'−1", "−1"),
        ("'  =1", "  =1"),
        ("'\u3000＝1", "\u3000＝1"),
        ("'\n=1", "\n=1"),
        ("'\x00\x1f=1", "\x00\x1f=1"),
        ("'\ufeff=1", "\ufeff=1"),
        ("'\u200b\u2060\u202e=1", "\u200b\u2060\u202e=1"),
        ("'\u3164\ufe0f@x", "\u3164\ufe0f@x"),
        ("  text", "  text"),
        ("\ufefftext", "\ufefftext"),
        ("a=1", "a=1"),
        ("-5", -5),
        ("", ""),
        ('["=1"]', ["=1"]),
        ("true", True),
        ("with\0nul, \"quotes\" and\r\nlines", "with\0nul, \"quotes\" and\r\nlines"),
    ],
)  # fmt: skip
async def test_formulas_are_defused(store: HistoryStore, expected: str, value: Any) -> None:
    """A text that a spreadsheet would run gets an apostrophe; numbers and everything else stay."""
    await store.create(document("e", output=value))

    data = await exported(store, Export(format="csv", columns=("output",)))

    assert ["output", expected] == [row[0] if row else "" for row in csv.reader(io.StringIO(data.decode(), newline=""))]


async def test_no_column_of_a_table_holds_a_formula(store: HistoryStore) -> None:
    """Ids, names, tags and what the upstream said are texts as well as an output is."""
    metadata = {"tags": ["=1"], "account": "=a", "=key": "＝v"}
    fields: dict[str, Any] = {
        "bot_id": "=b",
        "conversation_id": "+c",
        "connector_id": "-d",
        "error_code": "@e",
        "error_message": " =f",
    }
    await store.create(document("=e", "＝w", metadata=metadata, parameters={"=k": "=v"}, **fields))
    columns = (*KEYS, "account", "caller", "tags", 'metadata."=key"', 'input."=k"', "fingerprint")

    data = await exported(store, Export(format="csv", columns=columns))
    header, row = csv.reader(io.StringIO(data.decode(), newline=""))

    assert list(columns) == header
    cells = dict(zip(header, row, strict=True))
    assert ("'=e", "'＝w", "'=b", "' =f", "'=a", "'＝v", "'=v") == tuple(
        cells[name]
        for name in (
            "execute_id", "workflow_id", "bot_id", "error_message", "account", 'metadata."=key"', 'input."=k"',
        )
    )  # fmt: skip
    assert not [cell for cell in row if cell.lstrip()[:1] in set("=+@＝＋－＠")]


async def test_defusing_can_be_switched_off_and_a_mark_put_in_front(store: HistoryStore) -> None:
    """For programs texts stay as they are; for Excel the file begins with a byte order mark."""
    await store.create(document("e", output="=1+1"))

    data = await exported(store, Export(format="csv", columns=("output",), defuse=False, excel=True))

    assert b"\xef\xbb\xbfoutput\r\n=1+1\r\n" == data


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ('="7300000000000000001"', "7300000000000000001"),
        ('="7300000000000000001"', 7_300_000_000_000_000_001),
        ('="-7300000000000000001"', -7_300_000_000_000_000_001),
        ('="80241446968629135069"', 80_241_446_968_629_135_069),
        ("1761901941289", 1_761_901_941_289),
        ("-5", -5),
        ("0.1", 0.1),
        ('="-5"', "-5"),
        ('="007"', "007"),
        ('="3.10"', "3.10"),
        ('="1e5"', "1e5"),
        ('="1E400"', "1E400"),
        ('="1,234.50"', "1,234.50"),
        ('="50%"', "50%"),
        ('="¥5"', "¥5"),
        ('="1-2"', "1-2"),
        ('="1/2"', "1/2"),
        ('="2025-10-31 09:12"', "2025-10-31 09:12"),
        ('="2025-10-31T09:12:21.289Z"', "2025-10-31T09:12:21.289Z"),
        ('="2025年10月31日"', "2025年10月31日"),
        ('="9:12 pm"', "9:12 pm"),
        ('="Mar-5"', "Mar-5"),
        ('="5 March 2025"', "5 March 2025"),
        ('="true"', "true"),
        ('="７３００００００００００００００００１"', "７３００００００００００００００００１"),
        ('="7300000000000000001"&CHAR(10)', "7300000000000000001\n"),
        ('=CHAR(10)&"007"&CHAR(13)&CHAR(10)', "\n007\r\n"),
        ("true", True),
        ("北京 42", "北京 42"),
        ("42 items", "42 items"),
        ("0198a3c2-7d4e-7000-8000-000000000001", "0198a3c2-7d4e-7000-8000-000000000001"),
        ("'=1+1", "=1+1"),
        ("'+1+cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0"),
        ("'\nline", "\nline"),
        ('{"n":7300000000000000001}', {"n": 7_300_000_000_000_000_001}),
        ("", None),
    ],
)
async def test_excel_keeps_what_a_cell_holds(store: HistoryStore, expected: str, value: Any) -> None:
    """What it would read as another number, a date or a flag is a text to it; formulas stay defused."""
    await store.create(document("e", output=value))
    data = await exported(store, Export(format="csv", columns=("output",), excel=True))
    assert ["output", expected] == [
        row[0] for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")) if row
    ]


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("x" * 32_767, False), ("x" * 32_768, True), ("文" * 40_000, True), ("😀" * 16_383, False),
        ("😀" * 16_384, True), ("a" + "😀" * 20_000, True), ("=" * 32_767, True),
    ],
)  # fmt: skip
async def test_a_cell_that_is_too_long_for_excel_is_cut_with_a_mark(
    store: HistoryStore, text: str, is_cut: bool
) -> None:
    """Within its limit, which counts in UTF-16, and never within a character; other tables hold all of it."""
    csv.field_size_limit(1_000_000)
    await store.create(document("e", output=text))
    for excel in (True, False):
        data = await exported(store, Export(format="csv", columns=("output",), excel=excel))
        (_, [cell]) = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        if excel:
            assert 2 * 32_767 >= len(cell.encode("utf-16-le"))
            assert is_cut is cell.endswith(" characters, cut for Excel]")
        if not (excel and is_cut):
            assert text == cell.removeprefix("'")


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("outptu.score", "perhaps you meant output"),
        ("xyz", "use a key of the record, or a path"),
        ("output = 1", "cannot be read after 'output'"),
        ("output.items[x]", "cannot be read after 'output'"),
        ("output..a", "cannot be read after 'output'"),
        ("", "There is no column ''"),
        ("a" * 2_000, "at most 1000 characters"),
    ],
)
def test_a_column_that_is_none_is_refused(column: str, reason: str) -> None:
    """The error says which, and what it may mean."""
    with pytest.raises(InvalidInput, match=reason.replace("(", r"\(")):
        Export(format="csv", columns=(column,))


def test_impossible_exports_are_refused() -> None:
    """A format that is none, and a table without columns."""
    impossible: Any = "xml"
    with pytest.raises(InvalidInput, match="there are jsonl, json, csv, parquet"):
        Export(format=impossible)
    with pytest.raises(InvalidInput, match="at least one column"):
        Export(columns=())


async def test_parquet_has_typed_columns(filled: HistoryStore, tmp_path: Path) -> None:
    """Times are times, numbers are numbers, documents are JSON text."""
    parquet = pytest.importorskip("pyarrow.parquet")
    await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.parquet", Export(format="parquet"))

    table = parquet.read_table(tmp_path / "out.parquet")
    row = table.slice(1, 1).to_pylist()[0]

    assert 10 == table.num_rows
    assert ["timestamp[ms, tz=UTC]", "int64", "string"] == [
        str(table.schema.field(name).type) for name in ("create_time", "duration_ms", "output")
    ]
    assert ("e1", 1_000, {"score": 1, "text": "line\u2028\nend"}) == (
        row["execute_id"], row["duration_ms"], json.loads(row["output"]),
    )  # fmt: skip
    assert 1_001 == round(row["create_time"].timestamp() * 1000)


async def test_parquet_takes_records_of_any_shape(store: HistoryStore) -> None:
    """What does not fit a typed column is null there, and nothing fails."""
    parquet = pytest.importorskip("pyarrow.parquet")
    odd = {**orjson.loads(document("e").body), "run_mode": "x", "bot_id": [1], "usage": "many", "error_message": 5}
    made = document("e")
    await store.merge([type(made)("w", "e", 1_000, 1_000, "running", orjson.dumps(odd))])

    row = parquet.read_table(io.BytesIO(await exported(store, Export(format="parquet")))).to_pylist()[0]

    assert (None, "[1]", '"many"', "5") == (row["run_mode"], row["bot_id"], row["usage"], row["error_message"])


async def test_progress_is_told(filled: HistoryStore, tmp_path: Path) -> None:
    """Records and bytes rise to what was written; the total is known where all are exported."""
    told: list[Progress] = []

    report = await export_to_path(ExecutionHistoryService(filled), tmp_path / "out.jsonl", Export(), told.append)

    assert (report.records, report.size, 10) == (told[-1].records, told[-1].size, told[-1].total_records)
    assert told == sorted(told, key=lambda progress: progress.records)


async def test_a_stream_stays_open(filled: HistoryStore) -> None:
    """What is written to belongs to the caller."""
    stream = io.BytesIO()

    report = await export_to_stream(ExecutionHistoryService(filled), stream, Export())

    assert 10 == len(lines(stream.getvalue())) == report.records


async def test_a_file_that_was_there_is_replaced_only_by_a_whole_one(filled: HistoryStore, tmp_path: Path) -> None:
    """An export that fails leaves the old file, and no other."""
    path = tmp_path / "out.jsonl"
    path.write_text("old")

    def stop(_: Progress) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await export_to_path(ExecutionHistoryService(filled), path, Export(), stop)

    assert "old" == path.read_text()
    assert ["out.jsonl"] == [each.name for each in tmp_path.iterdir() if each.name != "history"]


@pytest.mark.parametrize("name", ["out.jsonl", "out"])
async def test_a_cancelled_export_leaves_nothing(store: HistoryStore, tmp_path: Path, name: str) -> None:
    """Neither under its name nor under any other."""
    await store.merge([document(f"e{number}") for number in range(300)])
    begun = asyncio.Event()
    task = asyncio.create_task(
        export_to_path(
            ExecutionHistoryService(store),
            tmp_path / name,
            Export(format="json" if name == "out" else "jsonl"),
            lambda _: begun.set(),
        )
    )
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

    assert [] == [each.name for each in tmp_path.iterdir() if each.name != "history"]


@pytest.mark.parametrize("name", ["missing/out.jsonl", "file/out.jsonl", "missing/out"])
async def test_a_place_that_cannot_be_written_is_named(filled: HistoryStore, tmp_path: Path, name: str) -> None:
    """One sentence says which and why."""
    (tmp_path / "file").write_text("a file, not a folder")
    export = Export(format="jsonl" if name.endswith(".jsonl") else "json")

    with pytest.raises(ExportFailed, match=r"^The export to '.*' cannot be written \(.*\): check"):
        await export_to_path(ExecutionHistoryService(filled), tmp_path / name, export)


_ON_A_FULL_DISK = """
import asyncio, os, resource, sys
from pathlib import Path
from execution_history import ExecutionHistoryService
from execution_history.errors import ExportFailed
from execution_history.stores import MemoryStore
from execution_history.transfer import Export, export_to_path
from tests.sample_records import document

async def main():
    store = MemoryStore()
    await store.merge([document(f"e{n}", parameters={"text": os.urandom(250).hex()}) for n in range(2_000)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        await export_to_path(ExecutionHistoryService(store), Path(sys.argv[1]), Export(format=sys.argv[2]))
    except ExportFailed as error:
        print(error)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("out.jsonl", "jsonl"), ("out.csv", "csv"), ("out", "json"), ("out.json", "json"), ("out.parquet", "parquet")],
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, name: str, kind: str) -> None:
    """In a process that may not write larger files: the temporary file is gone, and nothing has the final name."""
    answer = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path / name), kind],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert answer.stdout.startswith(
        f"The export to '{tmp_path / name}' found no space left, and nothing of it was kept"
    )
    assert answer.stderr == ""
    assert [] == list(tmp_path.iterdir())


async def test_ids_are_in_order_while_others_write(store: HistoryStore) -> None:
    """Records that come during an export disturb nothing: what was there is there once."""
    await store.merge([document(f"e{number}") for number in range(100)])
    found: list[bytes] = []

    async for piece in export_chunks(
        ExecutionHistoryService(store), Export(record_filter=RecordFilter(workflow_ids=("w",)))
    ):
        found += piece.splitlines()
        await store.create(document(f"late{len(found)}", now=9_000))

    kept = [each for each in ids(found) if each.startswith("e")]
    assert [f"e{number}" for number in range(100)] == kept


@pytest.mark.parametrize("kind", ["csv", "parquet"])
async def test_tables_have_the_names_of_workflows(kind: Literal["csv", "parquet"]) -> None:
    """Of each record's workflow, empty where it has none; the records themselves stay as they are."""
    async with ExecutionHistoryService("memory:") as service:
        for workflow_id in ("a", "b"):
            await service.create_execution_record(workflow_id, "e")
        await service.name_workflow("a", name="=Weather")
        content = b"".join([piece async for piece in export_chunks(service, Export(format=kind))])
        lines = b"".join([piece async for piece in export_chunks(service, Export())])
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        names = {row["workflow_id"]: row["workflow_name"] for row in rows}
        assert names == {"a": "'=Weather", "b": ""}
    else:
        from pyarrow import parquet  # noqa: PLC0415 - an extra that not everybody has

        table = parquet.read_table(io.BytesIO(content)).to_pylist()
        assert {row["workflow_id"]: row["workflow_name"] for row in table} == {"a": "=Weather", "b": None}
    assert b"Weather" not in lines
