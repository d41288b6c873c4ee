"""Records as a Parquet file: typed columns for filters and counts, JSON text for everything else.

Needs pyarrow (the extra ``parquet``), which is imported only when such a file is written.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from execution_history.errors import InvalidInput
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.encoding import as_text
from execution_history.transfer.writers import Buffer, RecordWriter

_ROWS: Final = 20_000
_BYTES: Final = 64 * 1024 * 1024

_Value = Callable[[Mapping[str, Any], RunAttributes], Any]


def _key(name: str) -> _Value:
    """Return a reader of a key as text; lists, objects, numbers and flags become JSON."""
    return lambda record, _: None if record[name] is None else as_text(record[name])


def _json(name: str) -> _Value:
    """Return a reader of a key as JSON."""
    return lambda record, _: None if record[name] is None else orjson.dumps(record[name]).decode()


def _attribute(name: str) -> _Value:
    return lambda _, attributes: getattr(attributes, name)


_COLUMNS: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("execute_id", "string", _key("execute_id")),
    ("workflow_id", "string", _key("workflow_id")),
    ("create_time", "time", lambda record, _: record["create_time"]),
    ("update_time", "time", lambda record, _: record["update_time"]),
    ("end_time", "time", _attribute("end_time")),
    ("duration_ms", "int64", _attribute("duration_ms")),
    ("execute_status", "string", _key("execute_status")),
    ("error_code", "string", _key("error_code")),
    ("error_message", "string", _key("error_message")),
    ("run_mode", "int64", _attribute("run_mode")),
    ("bot_id", "string", _key("bot_id")),
    ("conversation_id", "string", _key("conversation_id")),
    ("connector_id", "string", _key("connector_id")),
    ("connector_uid", "string", _key("connector_uid")),
    ("account", "string", _attribute("account")),
    ("caller", "string", _attribute("caller")),
    ("upstream_id", "string", _attribute("upstream_id")),
    ("tokens", "int64", _attribute("tokens")),
    ("cost", "float64", _attribute("amount")),
    ("currency", "string", _attribute("currency")),
    ("tags", "strings", lambda _, attributes: list(attributes.tags)),
    ("pinned", "bool", _attribute("pinned")),
    ("rating", "int64", _attribute("rating")),
    ("debug_url", "string", _key("debug_url")),
    ("is_output_trimmed", "bool", lambda record, _: record["is_output_trimmed"] is True),
    ("input_parameters", "string", _json("input_parameters")),
    ("output", "string", _json("output")),
    ("usage", "string", _json("usage")),
    ("metadata", "string", _json("metadata")),
    ("node_execute_status", "string", _json("node_execute_status")),
)


class ParquetWriter(RecordWriter):
    """Times are timestamps in UTC; ``tags`` is a list of texts; the last five columns are JSON; packed with zstandard.

    Raises:
        InvalidInput: pyarrow is not installed.
    """

    def __init__(self) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra that not everybody has
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError:
            raise InvalidInput(
                "A Parquet file needs pyarrow, which is not installed: pip install 'execution-history[parquet]'."
            ) from None
        types = {
            "string": pa.string(),
            "time": pa.timestamp("ms", tz="UTC"),
            "int64": pa.int64(),
            "float64": pa.float64(),
            "bool": pa.bool_(),
            "strings": pa.list_(pa.string()),
        }
        self._arrow = pa
        self._schema = pa.schema([(name, types[kind]) for name, kind, _ in _COLUMNS])
        self._buffer = Buffer()
        self._writer = parquet.ParquetWriter(pa.PythonFile(self._buffer, mode="w"), self._schema, compression="zstd")
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def write(self, documents: Sequence[bytes]) -> bytes:
        """Return the bytes that are complete; records are collected into groups of rows."""
        self._waiting += documents
        self._waiting_size += sum(map(len, documents))
        if len(self._waiting) >= _ROWS or self._waiting_size >= _BYTES:
            self._write_group()
        return self._buffer.take()

    def finish(self) -> bytes:
        """Return the last rows and the footer."""
        if self._waiting:
            self._write_group()
        self._writer.close()
        return self._buffer.take()

    def _write_group(self) -> None:
        records = [orjson.loads(body) for body in self._waiting]
        rows = [(record, attributes_of(record)) for record in records]
        columns = [[value(record, attributes) for record, attributes in rows] for _, _, value in _COLUMNS]
        arrays = [
            self._arrow.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting, self._waiting_size = [], 0
