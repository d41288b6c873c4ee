"""Bytes in and out in flat memory: a form that is counted as it comes, and a download that is made as it goes."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from execution_history.sandbox.errors import bad_request

MAX_FILE_BYTES = 512 * 1024 * 1024
"""The largest file that can be uploaded, as Coze documents it."""

_LINE_BYTES = 64
_CHUNK_BYTES = 65_536
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """What is remembered of a file; ``created_at`` is in seconds since the epoch."""

    file_id: str
    name: str
    size: int
    created_at: int


class _FileCounter:
    """Listens to a parser of forms: the name and the size of the part ``file``."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.size = 0
        self.is_complete = False
        self._is_in_file = False
        self._header = (bytearray(), bytearray())

    def begin_header(self) -> None:
        self._header = (bytearray(), bytearray())

    def name_header(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def fill_header(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(value))
            self._is_in_file = options.get(b"name") == b"file" and b"filename" in options
            if self._is_in_file:
                self.name = options[b"filename"].decode(errors="replace")

    def take(self, _: bytes, start: int, end: int) -> None:
        if self._is_in_file:
            self.size += end - start

    def end_part(self) -> None:
        self._is_in_file = False

    def end(self) -> None:
        self.is_complete = True


async def read_upload(request: Request) -> tuple[str, int]:
    """Return the name and the size in bytes of the file in a multipart form, of which nothing is kept.

    Raises:
        RefusedError: 4000 when the body is no such form, has no part ``file`` with a file name, or a larger one
            than ``MAX_FILE_BYTES``.

    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise bad_request("the body must be a multipart form.")
    counter = _FileCounter()
    parser = MultipartParser(
        boundary,
        {
            "on_header_begin": counter.begin_header,
            "on_header_field": counter.name_header,
            "on_header_value": counter.fill_header,
            "on_header_end": counter.end_header,
            "on_part_data": counter.take,
            "on_part_end": counter.end_part,
            "on_end": counter.end,
        },
    )
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            if counter.size > MAX_FILE_BYTES:
                raise bad_request(f"the file is larger than {MAX_FILE_BYTES} bytes.")
    except FormParserError as error:
        raise bad_request("the multipart form is malformed.") from error
    if counter.name is None or not counter.is_complete:
        raise bad_request("the multipart form has no complete part 'file' with a file name.")
    return counter.name, counter.size


async def paced_bytes(size: int, pace_ms: int, *, is_packed: bool) -> AsyncIterator[bytes]:
    """Yield ``size`` bytes of numbered lines, about 64 KB at a time with pauses, packed with gzip if asked for."""
    packer = zlib.compressobj(wbits=_GZIP)
    for chunk in _numbered_chunks(size):
        part = packer.compress(chunk) if is_packed else chunk
        if part:
            yield part
        await asyncio.sleep(pace_ms / 1000)
    if is_packed:
        yield packer.flush()


def _numbered_chunks(size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes in which every line differs, so that none is lost or moved unseen."""
    filler = b"." * (_LINE_BYTES - 17)
    for start in range(0, size, _CHUNK_BYTES):
        lines = range(start // _LINE_BYTES, (start + _CHUNK_BYTES) // _LINE_BYTES)
        yield b"".join(b"%016d%s\n" % (number, filler) for number in lines)[: size - start]
