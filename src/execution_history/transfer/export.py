"""Export of a history, as a stream of bytes, into a file or into a folder, at any size.

| format | content |
|---|---|
| ``jsonl`` | JSON Lines: one stored record a line, byte for byte; the format for backups and imports |
| ``json`` | the deployments' files, one for each workflow: one file, or a zip file or a folder of several |
| ``csv`` | a table with chosen columns |
| ``parquet`` | a table with typed columns, for pandas, DuckDB and the like |
"""

import contextlib
import logging
import zipfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, get_args

from execution_history.access.audit import Action
from execution_history.errors import InvalidInput, StoreFull, StoreUnwritable, quoted
from execution_history.history.answers import damaged_of
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.fields import RecordFilter
from execution_history.query.filter_words import words_of
from execution_history.query.model import RecordKey, Sort
from execution_history.stores import file_name
from execution_history.stores.protocol import Batch
from execution_history.transfer.atomic_output import export_faults, new_file, new_folder
from execution_history.transfer.columns import DEFAULT_COLUMNS, parse_columns
from execution_history.transfer.named_records import NamedRecords
from execution_history.transfer.parquet import ParquetWriter
from execution_history.transfer.progress import OnProgress, Progress, in_thread, no_progress
from execution_history.transfer.writers import Buffer, CSVWriter, HistoryWriter, LinesWriter, RecordWriter

ExportFormat = Literal["jsonl", "json", "csv", "parquet"]
EXPORT_FORMATS: Final[tuple[ExportFormat, ...]] = get_args(ExportFormat)

_log = logging.getLogger("execution_history.transfer")

_ZIP_LEVEL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The records to export, and the form in which they are written.

    Args:
        format: one of the table above.
        record_filter: which records; all by default.
        columns: for CSV, see :mod:`execution_history.transfer.columns`.
        defuse: for CSV: keep spreadsheets from running texts as formulas.
        excel: for CSV: a table that Excel opens without changing it (:mod:`execution_history.transfer.excel`).
        zipped: for JSON: a zip file with the file of every workflow, instead of the file of one workflow.
        sort: the order, as of a list; JSON has its own, newest first.
        descending: reverse the order.

    Raises:
        InvalidInput: there is no such format, or no such column.
    """

    format: ExportFormat = "jsonl"
    record_filter: RecordFilter = field(default_factory=RecordFilter)
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    defuse: bool = True
    excel: bool = False
    zipped: bool = False
    sort: Sort = "create_time"
    descending: bool = False

    def __post_init__(self) -> None:
        if self.format not in EXPORT_FORMATS:
            raise InvalidInput(
                "%(format)s is not an export format; there are %(names)s.",
                format=quoted(self.format),
                names=", ".join(EXPORT_FORMATS),
            )
        parse_columns(self.columns)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The outcome of an export; ``size`` is in bytes.

    ``damaged_count`` records were left out because they cannot be read; ``damaged`` are the first thousand of them.
    """

    records: int
    size: int
    damaged_count: int = 0
    damaged: tuple[RecordKey, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return ``{"records", "size"}``, and ``"damaged_count"`` and ``"damaged"`` where there are any."""
        lost = {"damaged_count": self.damaged_count, **damaged_of(self.damaged)} if self.damaged_count else {}
        return {"records": self.records, "size": self.size, **lost}


async def export_to_path(
    service: ExecutionHistoryService, path: Path, export: Export, on_progress: OnProgress = no_progress
) -> ExportReport:
    """Write an export to *path*, where it appears whole at the end, or not at all.

    JSON goes into one file when *path* ends in ``.json``, into a zip file when it ends in ``.zip``, otherwise into a
    new folder; every other format into one file. A file that is there is replaced.

    Raises:
        InvalidInput: the filter, the columns or the number of workflows are not possible for this format.
        ExportFailed: it could not be written; nothing of it is left.
        StoreError: the store could not be read; nothing of it is left.
    """
    path = Path(path)
    if export.format == "json" and path.suffix.lower() not in {".json", ".zip"}:
        return await _Exporter(service, export, on_progress).to_folder(path)
    if export.format == "json":
        export = replace(export, zipped=path.suffix.lower() == ".zip")
    with new_file(path) as stream:
        return await _Exporter(service, export, on_progress).to_stream(stream)


async def export_to_stream(
    service: ExecutionHistoryService, stream: BinaryIO, export: Export, on_progress: OnProgress = no_progress
) -> ExportReport:
    """Write an export to a binary stream such as the standard output, which is left open.

    Raises:
        BrokenPipeError: the reader of the stream has gone.
        InvalidInput, ExportFailed, StoreError: as :func:`export_to_path`; what was written stays written.
    """
    with export_faults(str(getattr(stream, "name", "the stream"))):
        return await _Exporter(service, export, on_progress).to_stream(stream)


def export_chunks(
    service: ExecutionHistoryService, export: Export, on_progress: OnProgress = no_progress
) -> AsyncGenerator[bytes]:
    """Return an export as bytes, in pieces of some megabytes at most, such as for an HTTP response.

    Records that cannot be read are left out; :func:`check_whole` raises beforehand where there are any.

    Raises:
        InvalidInput: the filter, the columns or the number of workflows are not possible; before the first piece.
        StoreError: the store could not be read.
    """
    return _Exporter(service, export, on_progress).chunks()


async def export_of(service: ExecutionHistoryService, export: Export, documents: Sequence[bytes]) -> bytes:
    """Return an export of a few records, whatever its filter, from their stored bytes; not as JSON.

    Raises:
        StoreError: the store could not be read.
    """
    noted = await service.names()
    writer = _writer(export, {workflow_id: each.name for workflow_id, each in noted.items() if each.name})
    return await in_thread(lambda: writer.write(documents) + writer.finish())


async def check_whole(service: ExecutionHistoryService, record_filter: RecordFilter) -> None:
    """Read every record that an export would hold, and raise where one would be left out.

    Raises:
        RecordDamaged: a record cannot be read.
        InvalidInput, StoreError: as :func:`export_chunks`.
    """
    async with contextlib.aclosing(service.batches(record_filter)) as source:
        async for batch in source:
            for key in batch.damaged:
                await service.detail_bytes(*key)  # raises, unless it has been repaired meanwhile


async def note_export(service: ExecutionHistoryService, kind: str, **details: object) -> None:
    """Note an export of a *kind*, such as ``csv``, in the audit log; it also works where nothing can be written.

    Raises:
        StoreError: the store does not answer.
    """
    try:
        await service.note(Action.EXPORT, format=kind, **details)
    except (StoreUnwritable, StoreFull) as error:
        _log.warning("An export is not in the audit log: %s", error)


class _Exporter:
    """One export, with the counts of what it has written and left out so far."""

    def __init__(self, service: ExecutionHistoryService, export: Export, on_progress: OnProgress) -> None:
        self._service, self._export, self._on_progress = service, export, on_progress
        self._total: int | None = None
        self._records = self._size = 0
        self._damaged = NamedRecords()

    async def to_folder(self, path: Path) -> ExportReport:
        """Write the JSON file of every workflow into a new folder."""
        await self._find_workflows()
        await note_export(self._service, self._export.format, filters=words_of(self._export.record_filter))
        with new_folder(path) as folder:
            for workflow_id in await self._workflows():
                with contextlib.ExitStack() as opened:
                    stream = None
                    async for piece in self._history(workflow_id):
                        stream = stream or opened.enter_context((folder / _name(workflow_id)).open("wb"))
                        await in_thread(_write_all, stream, piece)
        return self._report(self._size)

    async def to_stream(self, stream: BinaryIO) -> ExportReport:
        """Write everything to *stream*."""
        size = 0
        async with contextlib.aclosing(self.chunks()) as pieces:
            async for piece in pieces:
                await in_thread(_write_all, stream, piece)
                size += len(piece)
        await in_thread(stream.flush)
        return self._report(size)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield everything, piece by piece."""
        await self._find_workflows()
        await note_export(self._service, self._export.format, filters=words_of(self._export.record_filter))
        export = self._export
        if export.format == "json":
            pieces = self._zip() if export.zipped else self._history(await self._only_workflow(), even_empty=True)
        else:
            if not export.record_filter.given():
                self._total = sum(each.total for each in await self._service.workflow_summaries())
            noted = await self._service.names()
            names = {workflow_id: each.name for workflow_id, each in noted.items() if each.name}
            source = self._service.batches(export.record_filter, sort=export.sort, descending=export.descending)
            pieces = self._written(_writer(export, names), source)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if piece:
                    yield piece

    async def _find_workflows(self) -> None:
        """Replace what the filter calls workflows by their ids."""
        record_filter = await self._service.with_workflow_ids(self._export.record_filter)
        self._export = replace(self._export, record_filter=record_filter)

    async def _written(
        self, writer: RecordWriter, source: AsyncGenerator[Batch], *, even_empty: bool = True
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes that *writer* returns for *source*; nothing for no records, unless *even_empty*."""
        has_begun = even_empty
        async with contextlib.aclosing(source):
            async for batch in source:
                has_begun = has_begun or bool(batch.documents)
                piece = await in_thread(writer.write, batch.documents) if has_begun else b""
                self._count(len(batch.documents), len(piece), batch.damaged)
                if piece:
                    yield piece
        if has_begun:
            piece = await in_thread(writer.finish)
            self._count(0, len(piece))
            yield piece

    def _history(self, workflow_id: str, *, even_empty: bool = False) -> AsyncGenerator[bytes]:
        """Return the JSON file of a workflow; nothing where none of its records matches, unless *even_empty*."""
        record_filter = replace(self._export.record_filter, workflow_ids=(workflow_id,))
        source = self._service.batches(record_filter, descending=True)
        return self._written(HistoryWriter(workflow_id), source, even_empty=even_empty)

    async def _zip(self) -> AsyncGenerator[bytes]:
        """Yield a zip file with the JSON file of every workflow."""
        buffer = Buffer()
        # Closed only at the end: an archive that is broken off must not look whole.
        archive = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL)
        for workflow_id in await self._workflows():
            entry = None
            async for piece in self._history(workflow_id):
                entry = entry or archive.open(_name(workflow_id), "w", force_zip64=True)
                await in_thread(entry.write, piece)
                yield buffer.take()
            if entry is not None:
                entry.close()
        archive.close()
        yield buffer.take()

    async def _workflows(self) -> list[str]:
        """Return the workflows that may have matching records, in the order of their ids."""
        chosen = self._export.record_filter.workflow_ids
        there = [summary.workflow_id for summary in await self._service.workflow_summaries()]
        return sorted(each for each in there if not chosen or each in chosen)

    async def _only_workflow(self) -> str:
        chosen = self._export.record_filter.workflow_ids
        workflows = list(chosen) if len(chosen) == 1 else await self._workflows()
        if len(workflows) != 1:
            raise InvalidInput(
                "One JSON file holds one workflow and these records belong to %(count)s: choose one "
                "workflow, or a zip file or a folder for all.",
                count=len(workflows),
            )
        return workflows[0]

    def _count(self, records: int, size: int, damaged: tuple[RecordKey, ...] = ()) -> None:
        self._records += records
        self._size += size
        self._damaged.add(*damaged)
        self._on_progress(Progress(self._records, self._size, self._total))

    def _report(self, size: int) -> ExportReport:
        return ExportReport(self._records, size, self._damaged.count, tuple(self._damaged.keys))


def _writer(export: Export, names: Mapping[str, str]) -> RecordWriter:
    if export.format == "csv":
        return CSVWriter(parse_columns(export.columns, names), defuse=export.defuse, excel=export.excel)
    return LinesWriter() if export.format == "jsonl" else ParquetWriter(names)


def _write_all(stream: BinaryIO, piece: bytes) -> None:
    """Write all of *piece*: an unbuffered stream may take only a part at a time."""
    view = memoryview(piece)
    while view:
        view = view[stream.write(view) :]


def _name(workflow_id: str) -> str:
    """Return a file name that is unlike every other workflow's, on any file system."""
    return file_name(workflow_id, case_sensitive=False)
