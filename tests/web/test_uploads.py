"""Imports over HTTP: bounded, one after the other, and nobody else waits for one."""

import asyncio
import gzip
import shutil
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from execution_history import ExecutionHistoryService
from execution_history.records.reading_limits import ReadingLimits
from execution_history.records.record import Document
from execution_history.stores import MemoryStore
from execution_history.stores.protocol import HistoryStore, MergeReport
from execution_history.web import history_router
from tests.sample_records import document

pytestmark = pytest.mark.anyio

_LIMITS = ReadingLimits(record=1_000, temporary=10_000)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def _client(store: HistoryStore, limits: ReadingLimits = _LIMITS) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(history_router(ExecutionHistoryService(store), limits=limits))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=30) as client:
        yield client


async def _without_length(data: bytes) -> AsyncIterator[bytes]:
    """A body of which nobody has said how long it is."""
    for at in range(0, len(data), 1_000):
        yield data[at : at + 1_000]


async def test_times_without_an_offset_are_in_the_zone_that_is_named() -> None:
    """UTC unless the address says another; a zone that is none is refused."""
    line = b'{"workflow_id": "w", "execute_id": "%s", "execute_status": "failed", "create_time": "2025-10-31 17:12:21"}'
    store = MemoryStore()
    async with _client(store) as client:
        for execute_id, zone in ((b"a", "UTC"), (b"b", "Asia/Shanghai"), (b"c", "Mars")):
            answer = await client.post("/coze/import", params={"zone": zone}, content=line % execute_id)
            assert (422 if zone == "Mars" else 200) == answer.status_code
    found = [await store.get("w", name) for name in ("a", "b", "c")]
    assert [b"1761930741000" in (found[0] or b""), b"1761901941000" in (found[1] or b""), found[2]] == [
        True,
        True,
        None,
    ]


@pytest.mark.parametrize("has_length", [True, False])
async def test_a_body_that_is_too_large_is_refused(temporary: Path, has_length: bool) -> None:
    """With the setting's name, as soon as it is known; nothing of it is imported or stays on the disk."""
    store = MemoryStore()
    data = document("a").body + b"\n" * 20_000
    async with _client(store) as client:
        answer = await client.post("/coze/import", content=data if has_length else _without_length(data))
    error = answer.json()["error"]
    assert (413, "body_too_large") == (answer.status_code, error["code"])
    assert error["message"].startswith("The file has more than 10000 bytes (the setting import_temporary_bytes)")
    assert await store.get("w", "a") is None
    assert [] == list(temporary.iterdir())


async def test_what_is_refused_is_told_with_its_place(temporary: Path) -> None:
    """What stands around it is taken; where nothing could be taken the answer is a failure with a whole sentence."""
    large = document("large", output="x" * 2_000).body
    async with _client(MemoryStore()) as client:
        some = await client.post("/coze/import", content=document("a").body + b"\n" + large)
        nothing = await client.post("/coze/import", content=large)
        again = await client.post("/coze/import", content=document("a").body + b"\n" + large)
    reason = "It has more than 1000 bytes (the setting record_limit_bytes)."
    assert (200, True, 1, 1) == (some.status_code, *(some.json()[key] for key in ("success", "added", "refused_count")))
    assert [{"source": "upload.jsonl", "place": "line 2", "reason": reason}] == some.json()["refused"]
    assert (422, False, 1) == (nothing.status_code, nothing.json()["success"], nothing.json()["refused_count"])
    message = f"Nothing could be taken: upload.jsonl, line 1: {reason}"
    assert {"code": "invalid_input", "message": message} == nothing.json()["error"]
    assert (200, 1) == (again.status_code, again.json()["skipped"])
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize("kind", ["jsonl", "json", "zip"])
async def test_every_format_has_the_same_limits(temporary: Path, kind: str) -> None:
    """A record that is too large is refused in each of them."""
    large = document("large", output="x" * 2_000).body
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.jsonl", large)
    body = {"jsonl": large, "json": b"[" + large + b"]", "zip": data.getvalue()}[kind]
    async with _client(MemoryStore()) as client:
        report = (await client.post("/coze/import", params={"format": kind}, content=body)).json()
    assert "It has more than 1000 bytes (the setting record_limit_bytes)." == report["refused"][0]["reason"]
    assert [] == list(temporary.iterdir())


async def test_a_packed_body_is_refused(temporary: Path) -> None:
    """It would be unpacked to any size; the sentence says what to send."""
    async with _client(MemoryStore()) as client:
        answer = await client.post(
            "/coze/import", content=gzip.compress(document("a").body), headers={"Content-Encoding": "gzip"}
        )
    assert 422 == answer.status_code
    assert "Content-Encoding" in answer.json()["error"]["message"]
    assert [] == list(temporary.iterdir())


class _Held(MemoryStore):
    """A store whose merges wait, and which notes how many do."""

    def __init__(self) -> None:
        super().__init__()
        self.merging = 0
        self.most = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def merge(self, documents: Iterable[Document], *, settle: bool = True) -> MergeReport:
        """See :meth:`HistoryStore.merge`."""
        self.merging += 1
        self.most = max(self.most, self.merging)
        self.begun.set()
        await self.go_on.wait()
        self.merging -= 1
        return await super().merge(documents, settle=settle)


@pytest.mark.usefixtures("temporary")
async def test_imports_follow_one_another_and_others_do_not_wait() -> None:
    """While one is under way the history is read, and a second import is received and waits its turn."""
    store = _Held()
    async with _client(store) as client:
        first = asyncio.create_task(client.post("/coze/import", content=document("a").body))
        await store.begun.wait()
        second = asyncio.create_task(client.post("/coze/import", content=document("b").body))
        assert 0 == (await client.get("/coze/history")).json()["total"]
        store.go_on.set()
        assert [1, 1] == [(await each).json()["added"] for each in (first, second)]
    assert 1 == store.most


@pytest.mark.usefixtures("temporary")
async def test_bodies_share_the_temporary_space() -> None:
    """One that would be too much together with those that are waiting is told to come again; then it may."""
    store = _Held()
    data = document("a").body + b"\n" * 7_000
    async with _client(store) as client:
        first = asyncio.create_task(client.post("/coze/import", content=data))
        await store.begun.wait()
        answer = await client.post("/coze/import", content=data)
        store.go_on.set()
        await first
        again = await client.post("/coze/import", content=data)
    assert (503, 200) == (answer.status_code, again.status_code)
    assert "send it again later" in answer.json()["error"]["message"]


async def test_a_folder_that_cannot_be_removed_takes_no_space_from_others(temporary: Path) -> None:
    """The upload is done, and those after it find the space that it had."""

    class Removing(MemoryStore):
        """A store that takes the folder of the upload away."""

        async def flush(self) -> None:
            """See :meth:`HistoryStore.flush`."""
            for folder in temporary.iterdir():
                shutil.rmtree(folder)

    async with _client(Removing()) as client:
        for _ in range(3):
            answer = await client.post("/coze/import", content=document("a").body + b"\n" * 6_000)
            assert 200 == answer.status_code


@pytest.mark.usefixtures("temporary")
async def test_what_is_refused_is_told_in_the_callers_language() -> None:
    """The sentence, and the reason and the place of each part."""
    async with _client(MemoryStore()) as client:
        answer = await client.post("/coze/import", content=b'{"a": 1}\n', headers={"Accept-Language": "zh-CN"})
    told = answer.json()
    assert 422 == answer.status_code
    assert told["error"]["message"].startswith("没有可导入的内容：")
    assert ["第 1 行"] == [each["place"] for each in told["refused"]]
    assert told["refused"][0]["reason"].isascii() is False
