"""The route that exports records."""

from typing import Annotated, Final, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from execution_history.clock import now_ms
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.model import SORTS, order_of, sort_of
from execution_history.transfer import DEFAULT_COLUMNS, EXPORT_FORMATS, Export, ExportFormat, check_whole, export_chunks
from execution_history.web.api.query_parameters import documented, parameters_of
from execution_history.web.api.schemas.executions import FINDING_HISTORY, Responses
from execution_history.web.api.streaming import file_answer

_OTHERS: Final = frozenset({"format", "columns", "excel", "strict", "sort", "order", "zone", "account_id"})
_NAMES: Final = {
    "jsonl": ("runs.jsonl", "application/x-ndjson"),
    "json": ("runs.json", "application/json"),
    "csv": ("runs.csv", "text/csv; charset=utf-8"),
    "parquet": ("runs.parquet", "application/vnd.apache.parquet"),
}
_EXCEL: Final = "excel"
_ZIP: Final = ("runs.zip", "application/zip")
_CONTENTS: Final = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for _, media_type in (*_NAMES.values(), _ZIP)
}
_EXPORTING: Final[Responses] = {200: {"description": "The records.", "content": _CONTENTS}, **FINDING_HISTORY}

Format = Annotated[
    str,
    Query(
        alias="format",
        description=f"One of {', '.join(EXPORT_FORMATS)}, or excel for csv with excel=true; json of several workflows "
        "is a zip.",
    ),
]
Columns = Annotated[
    list[str] | None, Query(description="Of CSV: execute_id,input.city,output.score; or the parameter several times.")
]
Order = Annotated[str | None, Query(alias="order", description="asc, the default, or desc.")]
SortKey = Annotated[str | None, Query(alias="sort", description=f"One of {', '.join(SORTS)}; not of json.")]
ForExcel = Annotated[
    bool,
    Query(description="Of CSV: for Excel: UTF-8, long numbers and dates as they are, cells cut at 32,767 characters."),
]
Strict = Annotated[bool, Query(description="Answer with an error rather than leave out a record that is damaged.")]


def add_export(router: APIRouter, service: ExecutionHistoryService) -> None:
    """Add the route that exports."""

    @router.get(
        "/export",
        tags=["history"],
        summary="Export records",
        response_class=StreamingResponse,
        responses=_EXPORTING,
        openapi_extra=documented("zone"),
    )
    async def export(
        request: Request,
        *,
        kind: Format = "jsonl",
        columns: Columns = None,
        excel: ForExcel = False,
        strict: Strict = False,
        _sort: SortKey = None,
        _order: Order = None,
    ) -> Response:
        """Stream every record that matches the filters: JSON Lines byte for byte, JSON, CSV or Parquet.

        In CSV an apostrophe stands before a text that a spreadsheet would run as a formula.
        Records that cannot be read are left out, and `/readyz` then names them. With `strict=true` everything is read
        once before the first byte, and the answer is the error of the first that cannot be read.
        """
        words = parameters_of(request.query_params.multi_items(), _OTHERS, None)
        record_filter = words.record_filter(now_ms())
        named = DEFAULT_COLUMNS if columns is None else [part.strip() for each in columns for part in each.split(",")]
        zipped = kind == "json" and len(record_filter.workflows) != 1
        export = Export(
            format=cast("ExportFormat", "csv" if kind == _EXCEL else kind),
            record_filter=record_filter,
            columns=tuple(name for name in named if name),
            excel=excel or kind == _EXCEL,
            zipped=zipped,
            sort=sort_of(words.only("sort") or "create_time"),
            descending=order_of(words.only("order") or "asc") == "desc",
        )
        if strict:
            await check_whole(service, record_filter)
        return await file_answer(export_chunks(service, export), *(_ZIP if zipped else _NAMES[export.format]))
