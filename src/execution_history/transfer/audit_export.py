"""Exports of the audit log, as CSV or as JSON Lines; each of them is a line of it."""

import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict
from typing import Any, Final, Literal

import orjson

from execution_history.access.audit import Action, AuditFilter, lines, note
from execution_history.errors import StoreFull, StoreUnwritable
from execution_history.presentation.formatting import machine, visible
from execution_history.records.encoding import as_text
from execution_history.stores.administration import Administration
from execution_history.transfer.columns import Column
from execution_history.transfer.writers import CSVWriter, LinesWriter

_log = logging.getLogger("execution_history.transfer")

AuditFormat = Literal["csv", "jsonl"]

_AT_ONCE: Final = 500


def _time(line: Mapping[str, Any], _: object) -> str:
    return machine(line["at"])


_COLUMNS: Final = (
    Column("number", lambda line, _: line["number"]),
    Column("time", _time),
    # People open a table in a terminal, which would obey control characters; JSON Lines have the texts as they are.
    Column("actor", lambda line, _: visible(line["actor"])),
    Column("action", lambda line, _: visible(line["action"])),
    Column("details", lambda line, _: visible(as_text(line["details"]))),
)


async def audit_chunks(store: Administration, chosen: AuditFilter, kind: AuditFormat) -> AsyncGenerator[bytes]:
    """Yield the lines that are *chosen*, the oldest first, as a table or as one JSON object a line.

    That they are taken out is noted before; where nothing can be written, as in an archive, the program's log has it.

    Raises:
        StoreError: the store could not be read.
    """
    try:
        await note(store, Action.AUDIT_EXPORTED, format=kind, filters=chosen.words())
    except (StoreUnwritable, StoreFull) as error:
        _log.warning("An export of the audit log is not in it: %s", error)
    writer, batch = CSVWriter(_COLUMNS) if kind == "csv" else LinesWriter(), list[bytes]()
    async for line in lines(store, chosen):
        batch.append(orjson.dumps(asdict(line)))
        if len(batch) == _AT_ONCE:
            yield writer.write(batch)
            batch.clear()
    yield writer.write(batch) + writer.finish()
