"""Files that go up and bytes that come down, as they are and through a proxy."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from execution_history.sandbox import Sandbox, create_sandbox

pytestmark = pytest.mark.anyio

BOUNDARY = "the-boundary"
MEGABYTE = 1024 * 1024


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """Write a multipart form of parts with a Content-Disposition each."""
    written = b"".join(
        b"--the-boundary\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (disposition.encode(), content)
        for disposition, content in parts
    )
    return written + (b"--the-boundary--\r\n" if end else b"")


async def upload(client: httpx.AsyncClient, content: bytes, kind: str = "") -> dict[str, Any]:
    """Send a form and return the body of the answer."""
    headers = {"Content-Type": kind or f"multipart/form-data; boundary={BOUNDARY}"}
    answer: dict[str, Any] = (await client.post("/v1/files/upload", content=content, headers=headers)).json()
    return answer


async def test_an_upload_is_counted(client: httpx.AsyncClient) -> None:
    """The answer tells an id, the size, the name and the second of the upload."""
    answer = (await client.post("/v1/files/upload", files={"file": ("图片.png", b"x" * 300_000)})).json()

    data = answer["data"]
    assert (answer["code"], data["bytes"], data["file_name"], len(data["id"])) == (0, 300_000, "图片.png", 19)
    assert 1_700_000_000 < data["created_at"] < 10_000_000_000


async def test_an_upload_can_be_asked_for(client: httpx.AsyncClient) -> None:
    """What was told of a file is told again by its id, and an unknown one gets 4200."""
    told = (await client.post("/v1/files/upload", files={"file": ("a.txt", b"a")})).json()["data"]
    again = (await client.get("/v1/files/retrieve", params={"file_id": told["id"]})).json()["data"]

    assert again == told
    assert (await client.get("/v1/files/retrieve", params={"file_id": "1"})).json()["code"] == 4200


async def test_only_the_file_is_counted(client: httpx.AsyncClient) -> None:
    """Other parts of the form do not matter, before or after."""
    parts = [('name="note"', b"x" * 50), ('name="file"; filename="a.txt"', b"four"), ('name="more"', b"y" * 50)]

    assert (await upload(client, form(*parts)))["data"]["bytes"] == 4


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data"),
        (b"", ""),
        (b"no form at all", ""),
        (form(('name="file"', b"without a file name")), ""),
        (form(('name="other"; filename="a.txt"', b"text")), ""),
        (form(('name="file"; filename="a.txt"', b"cut off"), end=False), ""),
    ],
)
async def test_a_form_without_a_whole_file_is_refused(client: httpx.AsyncClient, content: bytes, kind: str) -> None:
    """A body that is no multipart form, or has no file, or ends too soon gets 4000."""
    assert (await upload(client, content, kind))["code"] == 4000


async def test_an_upload_is_not_held_in_memory() -> None:
    """A large file passes through in pieces: the most that is held at a time is a small part of it."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'--the-boundary\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'
        for _ in range(64):
            yield bytes(MEGABYTE)
        yield b"\r\n--the-boundary--\r\n"

    headers = {"Authorization": "Bearer t", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    transport = httpx.ASGITransport(create_sandbox("t"))
    tracemalloc.start()
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox", headers=headers) as client:
        answer = (await client.post("/v1/files/upload", content=pieces())).json()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer["data"]["bytes"] == 64 * MEGABYTE
    assert most < 16 * MEGABYTE


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
async def test_a_download_has_the_size_that_was_asked_for(client: httpx.AsyncClient, size: int) -> None:
    """It announces its length and has it."""
    answer = await client.get("/v1/sandbox/bytes", params={"size": size})

    assert (answer.headers["content-length"], len(answer.content)) == (str(size), size)
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_no_two_lines_of_a_download_are_equal(client: httpx.AsyncClient) -> None:
    """Every line of 64 bytes is numbered, so that a missing or moved piece shows."""
    content = (await client.get("/v1/sandbox/bytes", params={"size": 640_000})).content

    lines = content.splitlines()
    assert [int(line[:16]) for line in lines] == list(range(10_000))


async def test_a_download_can_be_packed(client: httpx.AsyncClient) -> None:
    """With gzip the same bytes come with that content encoding, of an unannounced length, and smaller."""
    plain = (await client.get("/v1/sandbox/bytes", params={"size": 1_000_000})).content
    async with client.stream("GET", "/v1/sandbox/bytes", params={"size": 1_000_000, "gzip": 1}) as answer:
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])
    unpacked = (await client.get("/v1/sandbox/bytes", params={"size": 1_000_000, "gzip": 1})).content

    assert answer.headers["content-encoding"] == "gzip"
    assert "content-length" not in answer.headers
    assert len(packed) < 500_000
    assert hashlib.sha256(unpacked).digest() == hashlib.sha256(plain).digest()


async def test_a_download_comes_in_pieces(client: httpx.AsyncClient) -> None:
    """With a pace, the first piece arrives long before the last is due."""
    query = {"size": 1_000_000, "pace_ms": 60_000}
    async with client.stream("GET", "/v1/sandbox/bytes", params=query) as answer:
        first = await anext(answer.aiter_raw())

    assert first.startswith(b"0000000000000000.")
    assert 0 < len(first) <= 65_536


@pytest.mark.parametrize("query", [{"size": "-1"}, {"size": "much"}, {"size": "1", "gzip": "2"}, {"pace_ms": "60001"}])
async def test_an_impossible_download_is_refused(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    """Sizes and paces are whole numbers in range."""
    assert (await client.get("/v1/sandbox/bytes", params=query)).json()["code"] == 4000


async def test_files_need_the_token(sandbox: Sandbox) -> None:
    """Nothing goes up or down without it."""
    async with httpx.AsyncClient(base_url=sandbox.base_url) as client:
        answers = [await client.post("/v1/files/upload", files={"file": b"x"}), await client.get("/v1/sandbox/bytes")]

    assert [answer.status_code for answer in answers] == [401, 401]
