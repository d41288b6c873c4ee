"""The lines of a segment of changes: what became of records, entries of the registry, lines of the audit log. Pure.

Each is a JSON object with the key ``op``. A record, a value and details stand in it with the bytes that they have in
the store. A segment of records has a record on each line, as an export into JSON Lines.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from execution_history.stores.administration import AuditEntry, Entry
from execution_history.stores.protocol import Change


class Put(msgspec.Struct, tag_field="op", tag="put"):
    """A record that was created or changed, and its place in the order of creation among those of its chain."""

    arrival: int
    record: msgspec.Raw


class Deletion(msgspec.Struct, tag_field="op", tag="delete"):
    """A record that was deleted; without an id all those of a workflow."""

    workflow_id: str
    execute_id: str | None


class EntryValue(msgspec.Struct, tag_field="op", tag="entry"):
    """An entry of the registry."""

    kind: str
    key: str
    value: msgspec.Raw


class EntryRemoval(msgspec.Struct, tag_field="op", tag="drop"):
    """An entry of the registry that was removed."""

    kind: str
    key: str


class AuditLine(msgspec.Struct, tag_field="op", tag="audit"):
    """A line of the audit log."""

    at: int
    actor: str
    action: str
    details: msgspec.Raw


Line: TypeAlias = Put | Deletion | EntryValue | EntryRemoval | AuditLine

_encode = msgspec.json.Encoder().encode
_decoder: "msgspec.json.Decoder[Line]" = msgspec.json.Decoder(Line)


def line_of_change(change: Change) -> bytes | None:
    """Return the line of *change*, which was read with documents; ``None`` for a record that cannot be read."""
    if change.entry is not None:
        if change.document is None:
            return _encode(EntryRemoval(*change.entry))
        return _encode(EntryValue(*change.entry, msgspec.Raw(change.document)))
    if change.kind == "deleted":
        return _encode(Deletion(change.workflow_id or "", change.execute_id))
    if change.document is None:
        return None
    return _encode(Put(change.arrival or 0, msgspec.Raw(change.document)))


def lines_of_entries(entries: Iterable[Entry]) -> list[bytes]:
    """Return a line for each entry of the registry."""
    return [_encode(EntryValue(*each.name, msgspec.Raw(each.value))) for each in entries]


def lines_of_audit(lines: Iterable[AuditEntry]) -> list[bytes]:
    """Return a line for each line of the audit log."""
    return [_encode(AuditLine(each.at, each.actor, each.action, msgspec.Raw(each.details))) for each in lines]


def read_line(text: bytes) -> Line:
    """Return what a line says.

    Raises:
        ValueError: it is none of these.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
