"""How a server's log is written: a line for each event, without credentials and without what a terminal obeys."""

import logging
from typing import Final

from execution_history.errors import shortened
from execution_history.presentation.terminal_formatting import visible
from execution_history.records.redaction import without_credentials

_LONGEST: Final = 4_000
"""Characters of a line; an address that was asked for may have millions."""


class LineFormatter(logging.Formatter):
    """Writes a time, a level, a name and a message on one line, and a traceback below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Return the line, with line breaks in it shown as ``␊``."""
        return visible(shortened(super().formatMessage(record), _LONGEST)).replace("\n", "\N{SYMBOL FOR LINE FEED}")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and the traceback."""
        return without_credentials(visible(super().format(record)))
