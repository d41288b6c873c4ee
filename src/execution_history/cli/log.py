"""The log of a server, on the standard error: lines for people, or JSON for programs. No contents, no credentials."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from execution_history.errors import shortened
from execution_history.presentation.formatting import visible
from execution_history.records.redaction import without_credentials
from execution_history.request_id import current_request_id

_LONGEST_LINE: Final = 4_000
"""Characters of a log line; a requested address may have millions."""

_NOT_PRINTED: Final = (
    "timeout graceful shutdown exceeded",
    "returned without completing response",
    "Unsupported upgrade request",
    "No supported WebSocket library detected",
)


def log_to_standard_error(form: Literal["text", "json"] = "text", level: str = "warning") -> None:
    """Write the log to the standard error, a line for each event.

    Args:
        form: of a line.
        level: the least level of this program's own lines; those of libraries are warnings at least.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if form == "json" else LineFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("execution_history").setLevel(level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_worth_printing)


def _is_worth_printing(record: logging.LogRecord) -> bool:
    """Return whether uvicorn's log line is worth printing.

    A stop cuts off open streams by design, an upstream's answer that breaks off is passed on as it came, and nobody
    takes an offer of another protocol.
    """
    error = record.exc_info[1] if record.exc_info else None
    text = f"{record.msg} {error}"
    return not any(sentence in text for sentence in _NOT_PRINTED)


class LineFormatter(logging.Formatter):
    """Writes a time, a level, a name, a message and the id of the request on one line, and a traceback below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line, with line breaks in it shown as ``␊``."""
        request = current_request_id()
        line = shortened(super().formatMessage(record), _LONGEST_LINE)
        line = visible(line if request is None else f"{line} [request {request}]")
        return line.replace("\n", "\N{SYMBOL FOR LINE FEED}")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and the traceback."""
        return without_credentials(visible(super().format(record)))


class JSONFormatter(logging.Formatter):
    """Writes an object on one line: time (UTC), level, logger, message, request_id, and what else is known.

    A request has ``client``, ``method``, ``path``, ``status`` and ``duration_ms``; an error that nobody expected has
    ``traceback``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        request = current_request_id()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _plain(shortened(record.getMessage(), _LONGEST_LINE)),
            "request_id": None if request is None else _plain(request),  # callers choose it
            **{name: _plain(value) if isinstance(value, str) else value for name, value in _fields(record).items()},
        }
        if record.exc_info:
            line["traceback"] = _plain(self.formatException(record.exc_info))
        return orjson.dumps({name: value for name, value in line.items() if value is not None}).decode()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what whoever logged gave besides the message, under ``fields``."""
    found = getattr(record, "fields", None)
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> str:
    return without_credentials(visible(text))
