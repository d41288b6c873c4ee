"""The route that imports records: one file after the other, as large as the temporary space allows."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from execution_history.errors import NO_SPACE, ImportFailed, InvalidInput, Message, StoreFull, quoted
from execution_history.history.service import ExecutionHistoryService
from execution_history.presentation.translator import Translator
from execution_history.query.time_buckets import zone_of
from execution_history.records.reading_limits import ReadingLimits
from execution_history.transfer import ImportReport, import_history
from execution_history.web.api.query_parameters import truth
from execution_history.web.api.route_class import UploadRoute
from execution_history.web.api.schemas.executions import IMPORTING
from execution_history.web.api.schemas.reports import ImportAnswer
from execution_history.web.responses import answer, translator_for

_IMPORTED: Final = ("jsonl", "json", "zip")

Zone = Annotated[str, Query(alias="zone", description="The time zone of times without one, such as Asia/Shanghai.")]
Redact = Annotated[str, Query(description="true: apply the rules of redaction and recording to the records.")]
Uploaded = Annotated[str, Query(alias="format", description=f"What the body is: {', '.join(_IMPORTED)}.")]


def add_import(router: APIRouter, service: ExecutionHistoryService, limits: ReadingLimits) -> None:
    """Add the route that imports."""
    space = _TemporarySpace(limits.temporary)
    turn = asyncio.Lock()

    async def upload(
        request: Request, kind: Uploaded = "jsonl", zone: Zone = "UTC", redact: Redact = "false"
    ) -> Response:
        """Merge the records of the body into the history; refused ones are reported with their place.

        Times are ISO 8601, or seconds, milliseconds, micro- or nanoseconds since 1970; records without are refused.
        An existing record stays, unless the sent version is newer. Sending a file again goes on where it was cut off.
        Imports run one after another; other requests do not wait for them.
        """
        _check(request, kind)
        local, is_redacted = zone_of(zone), truth("redact", redact)
        async with space.received(request, f"upload.{kind}") as path, turn:
            report = _as_sent(
                await import_history(service, [path], zone=local, limits=limits, redact=is_redacted), path
            )
        return _answer(report, translator_for(request.headers))

    router.add_api_route(
        "/import",
        upload,
        methods=["POST"],
        tags=["history"],
        summary="Import records",
        response_model=ImportAnswer,
        responses=IMPORTING,
        route_class_override=UploadRoute,
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
    )


def _check(request: Request, kind: str) -> None:
    """Check that the body can be of this *kind*.

    Raises:
        InvalidInput: it cannot.
    """
    if kind not in _IMPORTED:
        raise InvalidInput("format is %(names)s, not %(kind)s.", names=", ".join(_IMPORTED), kind=quoted(kind))
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise InvalidInput(
            "The file is the body itself, not a part of a form: send it as curl --data-binary @FILE does."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidInput(
            "A body with a Content-Encoding is not unpacked here: send the file as it is, or a zip file."
        )


class _TemporarySpace:
    """Temporary files for bodies until they are imported; together they take at most *limit* bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @asynccontextmanager
    async def received(self, request: Request, name: str) -> AsyncIterator[Path]:
        """Yield a file called *name* with the whole body of *request*, never with part of it; remove it afterwards.

        Raises:
            HTTPException: it is too large, by itself or together with others.
            StoreFull: there is no space for it.
            ImportFailed: it broke off.
        """
        folder = Path(await anyio.to_thread.run_sync(tempfile.mkdtemp))
        size = 0
        try:
            async with await anyio.open_file(folder / name, "wb") as file:
                async for chunk in _chunks(request):
                    self._check(request, size + len(chunk), len(chunk))
                    self._taken += len(chunk)
                    size += len(chunk)
                    await _write(file, chunk)
            yield folder / name
        finally:
            self._taken -= size
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))

    def _check(self, request: Request, size: int, more: int) -> None:
        """Raise where a body of *size* bytes so far, *more* of them new, exceeds the limit."""
        length = request.headers.get("content-length", "")
        if max(size, int(length) if length.isdecimal() else 0) > self._limit:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                Message(
                    "The file has more than %(most)s bytes (the setting import_temporary_bytes), so nothing of it was "
                    "imported: send it in parts, or import it on the command line.",
                    most=self._limit,
                ),
            )
        if self._taken + more > self._limit:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE,
                Message("Other files that are being imported take the temporary space: send it again later."),
            )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ImportFailed("The file broke off, so nothing of it was imported: send it again.") from None


async def _write(file: anyio.AsyncFile[bytes], chunk: bytes) -> None:
    try:
        await file.write(chunk)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StoreFull("There is no space left to receive the file, so nothing of it was imported.") from error
        raise


def _as_sent(report: ImportReport, path: Path) -> ImportReport:
    """Return *report* without the path of the temporary file."""
    refused = (replace(each, source=each.source.replace(str(path), path.name)) for each in report.refused)
    return replace(report, refused=tuple(refused))


def _answer(report: ImportReport, translator: Translator) -> Response:
    """Return the report in the caller's language; an error where everything was refused."""
    refused = [
        {name: translator.message(text) if isinstance(text, str) else text for name, text in each.to_json().items()}
        for each in report.refused
    ]
    content = report.to_json() | {"refused": refused}
    if not report.refused_count or report.taken or report.skipped:
        return answer({"success": True, **content})
    first = report.refused[0]
    message = Message(
        "Nothing could be taken: %(source)s, %(place)s: %(reason)s",
        source=first.source,
        place=first.place,
        reason=first.reason,
    )
    error = {"code": "invalid_input", "message": translator.message(message)}
    return answer({"success": False, "error": error, **content}, HTTPStatus.UNPROCESSABLE_ENTITY)
