"""Files that are damaged or no files at all: a sentence each, and everything around them comes in."""

import hashlib
import json
import os
import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from execution_history import ExecutionHistoryService
from execution_history.errors import ImportFailed
from execution_history.stores import MemoryStore
from execution_history.transfer import ImportReport, import_history, import_studio
from tests.sample_records import document
from tests.transfer.histories import everything

pytestmark = pytest.mark.anyio

PACKINGS = {"deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA, "stored": 0}


def packed(path: Path, name: str, packing: int = zipfile.ZIP_DEFLATED) -> int:
    """Put a zip file with three members there, the one in the middle called *name*; where that one's data begins."""
    line = document("middle", parameters={"t": hashlib.shake_256(b"x").hexdigest(900)}).body + b"\n"
    middle = line if name.endswith("l") else b'{"workflow_id": "w", "histories": [' + line + b"]}"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.jsonl", document("a").body)
        archive.writestr(name, middle)
        archive.writestr(
            "z.json",
            json.dumps(
                [{"execute_id": "z", "workflow_id": "w", "execute_status": "success", "create_time": 1_761_901_941_289}]
            ),
        )
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo(name).header_offset + 30 + len(name)


def overwritten(path: Path, at: int, data: bytes) -> None:
    """Put *data* into a file at a place."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


async def brought_in(path: Path) -> tuple[ImportReport, list[str]]:
    """The report of an import into an empty store, and the ids that it holds."""
    store = MemoryStore()
    report = await import_history(ExecutionHistoryService(store), [path])
    return report, sorted(json.loads(body)["execute_id"] for body in await everything(store))


@pytest.mark.parametrize("name", ["middle.jsonl", "middle.json"])
@pytest.mark.parametrize("packing", PACKINGS)
async def test_a_damaged_member_of_a_zip_file_is_one_refusal(tmp_path: Path, name: str, packing: str) -> None:
    """However it is packed: nothing of it is taken, as nobody knows where the damage begins; the others come in."""
    data = packed(tmp_path / "in.zip", name, PACKINGS[packing])
    overwritten(tmp_path / "in.zip", data + 60, b"\xff" * 200)

    report, ids = await brought_in(tmp_path / "in.zip")

    assert ["a", "z"] == ids
    assert [(f"{tmp_path / 'in.zip'}/{name}", "the file")] == [(each.source, each.place) for each in report.refused]
    assert report.refused[0].reason.startswith("It is damaged within the zip file, so nothing of it was taken")


async def test_a_member_of_another_length_than_it_should_have_is_not_taken(tmp_path: Path) -> None:
    """A checksum that is wrong is damage, although every line could be read."""
    packed(tmp_path / "in.zip", "middle.jsonl", zipfile.ZIP_STORED)
    whole = (tmp_path / "in.zip").read_bytes()
    (tmp_path / "in.zip").write_bytes(whole.replace(b'"execute_id":"middle"', b'"execute_id":"muddle"'))

    report, ids = await brought_in(tmp_path / "in.zip")

    assert (["a", "z"], 1) == (ids, report.refused_count)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda entry: entry.__setitem__(slice(8, 10), b"\x01\0"), "It is encrypted, which cannot be read here"),
        (lambda entry: entry.__setitem__(slice(10, 12), b"\x62\0"), "It is packed in a way that cannot be read here"),
    ],
)
async def test_an_encrypted_or_unknown_member_is_one_refusal(
    tmp_path: Path, change: Callable[[bytearray], None], reason: str
) -> None:
    """It says what is the matter with it."""
    start = packed(tmp_path / "in.zip", "middle.jsonl") - 30 - len("middle.jsonl")
    whole = bytearray((tmp_path / "in.zip").read_bytes())
    place = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"middle.jsonl"))
    entry, local = whole[place : place + 46], bytearray(6) + whole[start + 4 : start + 30]
    change(entry)
    change(local)
    whole[place : place + 46] = entry
    whole[start + 4 : start + 30] = local[6:]
    (tmp_path / "in.zip").write_bytes(whole)

    report, ids = await brought_in(tmp_path / "in.zip")

    assert (["a", "z"], [f"{tmp_path / 'in.zip'}/middle.jsonl"]) == (ids, [each.source for each in report.refused])
    assert report.refused[0].reason.startswith(reason)


@pytest.mark.parametrize("packing", PACKINGS)
async def test_a_zip_file_with_any_byte_changed_is_imported_or_refused(tmp_path: Path, packing: str) -> None:
    """Nothing fails, whichever byte it is, and no record comes in other than it was."""
    packed(tmp_path / "in.zip", "middle.jsonl", PACKINGS[packing])
    whole = (tmp_path / "in.zip").read_bytes()
    os.utime(tmp_path / "in.zip", (5, 5))
    store = MemoryStore()
    await import_history(ExecutionHistoryService(store), [tmp_path / "in.zip"])
    known = set(await everything(store))
    chosen = random.Random(packing)  # noqa: S311 - nothing is kept secret

    for _ in range(150):
        broken = bytearray(whole)
        broken[chosen.randrange(4, len(whole))] ^= 1 << chosen.randrange(8)
        (tmp_path / "broken.zip").write_bytes(broken)
        os.utime(tmp_path / "broken.zip", (5, 5))
        store = MemoryStore()
        report = await import_history(ExecutionHistoryService(store), [tmp_path / "broken.zip"])
        assert set(await everything(store)) <= known
        assert all(each.reason.endswith(".") for each in report.refused)


@pytest.mark.parametrize("kind", ["device", "pipe", "socket"])
async def test_what_is_no_file_is_refused_before_it_is_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may never end, or cannot be read twice; so says one sentence, for records and for dumps of Studio."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("/dev/zero") if kind == "device" else Path("special.jsonl")
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.close()
    Path("good.csv").write_text("id,workflow_id,created_at,status\n1,2,3,2\n")

    said = "is a device, a pipe or a socket, which may never end: put what it gives into a file and import that"
    for importing in (
        import_history(ExecutionHistoryService(MemoryStore()), [path]),
        import_studio(ExecutionHistoryService(MemoryStore()), path),
        import_studio(ExecutionHistoryService(MemoryStore()), Path("good.csv"), path),
    ):
        with pytest.raises(ImportFailed, match=said):
            await importing
