"""The rows that the index has of one record, made from its document."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

import apsw

from execution_history.query.fields import (
    CREATED,
    EXECUTE_ID,
    FAILED_NODE,
    HAS_OUTPUT,
    PINNED,
    STATE,
    UPSTREAM_ID,
    WORKFLOW,
)
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.partial import LARGE, outline_of
from execution_history.records.summary import summary_of
from execution_history.records.timeline import nodes_of
from execution_history.records.usage import usage_of
from execution_history.stores.sql_fragments import TOKENS, fingerprint_number, whole
from execution_history.stores.sqlite.index.connections import add_rows, rows, statement
from execution_history.stores.sqlite.index.history_source import ChangedRecord
from execution_history.stores.sqlite.index.predicate_sql import STORED
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NAMES, STATUS_NUMBERS

_MOST_TEXTS: Final = 50_000

Row = tuple[Any, ...]


class NodeFigures(NamedTuple):
    """What the rollups count of a node: its number and that of its status; ms and tokens where known."""

    node: int
    status: int
    duration: int | None
    tokens: int | None
    input_tokens: int | None
    output_tokens: int | None


class Cell(NamedTuple):
    """What the rollups count of a record: the numbers of its workflow, status and currency; the others where known."""

    workflow: int
    create_time: int
    status: int
    duration: int | None
    tokens: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: int | None = None
    currency: int | None = None
    nodes: tuple[NodeFigures, ...] = ()


class RecordRows(NamedTuple):
    """All rows of a record.

    ``record`` is its outline, for the text index; ``None`` where nobody needs it or the document cannot be read.
    """

    seq: int
    cell: Cell
    facets: Row
    tags: tuple[Row, ...] = ()
    failed_nodes: tuple[Row, ...] = ()
    nodes: tuple[Row, ...] = ()
    failure: Row | None = None
    summary: bytes | None = None
    record: Mapping[str, Any] | None = None


class SharedTexts(dict[str, int]):
    """The numbers of the texts that records share, within a transaction on ``index``; new ones are kept to be added.

    Args:
        is_alone: whether nobody else adds texts, so that those of a file that had none at the beginning are all known.
    """

    index: apsw.Connection

    def __init__(self, *, is_alone: bool = False) -> None:
        super().__init__()
        self._is_alone = is_alone
        self._knows_all = False
        self._next: int | None = None
        self._new: list[tuple[int, str]] = []

    def __missing__(self, text: str) -> int:
        text.encode()  # one that SQLite cannot take fails here, with its record, and not with others
        if self._next is None:
            self._next = 1 + int(rows(self.index, statement("last_text"))[0][0])
            self._knows_all = self._is_alone and (self._knows_all or self._next == 1)
        found = [] if self._knows_all else rows(self.index, statement("text_number"), (text,))
        number = int(found[0][0]) if found else self._next
        if not found:
            self._next += 1
            self._new.append((number, text))
        self[text] = number
        return number

    def add_new(self) -> None:
        """Add the new texts, before the transaction ends."""
        add_rows(self.index, statement("add_text"), self._new)
        self._new.clear()
        self._next = None
        if len(self) > _MOST_TEXTS:
            self.clear()
            self._knows_all = False

    def forget(self) -> None:
        """Drop what is known: the file is another one, or the transaction was undone."""
        self.clear()
        self._new.clear()
        self._next = None
        self._knows_all = False


def rows_of(texts: SharedTexts, change: ChangedRecord, body: bytes, *, keeps_record: bool) -> RecordRows:
    """Return the rows of a record whose document is *body*, with its outline or without."""
    record = outline_of(body)
    attributes = attributes_of(record)
    values = [_stored(texts, form, read(record, attributes)) for read, form in _COLUMNS]
    place = attributes.create_time, change.seq
    failure = None
    if attributes.fingerprint is not None:
        failure = fingerprint_number(attributes.fingerprint), attributes.error_title or ""
    cell = _cell(values)
    nodes = () if cell.status in OPEN_NUMBERS else tuple(_nodes(texts, record["node_execute_status"]))
    return RecordRows(
        change.seq,
        cell._replace(nodes=tuple(figures for *_, figures in nodes)),
        (change.seq, change.revision, *values),
        tuple((texts[tag], *place) for tag in attributes.tags),
        _failed_nodes(texts, record, attributes, place),
        tuple(
            (change.seq, number, cell.workflow, cell.create_time, title, kind, *figures)
            for number, (title, kind, figures) in enumerate(nodes)
        ),
        failure,
        summary_of(record, attributes) if len(body) > LARGE else None,
        record if keeps_record else None,
    )


def columns_of(texts: SharedTexts, change: ChangedRecord) -> RecordRows:
    """Return the rows of a record without its document: enough to count it and to name it."""
    stored = change.stored
    known = {WORKFLOW: stored.workflow_id, CREATED: stored.create_time, STATE: STATUS_NAMES[stored.status]}
    known |= {UPSTREAM_ID: change.upstream_id, EXECUTE_ID: stored.execute_id, HAS_OUTPUT: False, PINNED: False}
    values = [_stored(texts, each.stored_as, known.get(each)) for each in STORED]
    return RecordRows(change.seq, _cell(values), (change.seq, change.revision, *values))


_PLACES: Final = {each.column: number for number, each in enumerate(STORED)}
_CELL: Final = itemgetter(
    *(_PLACES[name] for name in ("workflow", "create_time", "status", "duration", *TOKENS, "cost", "currency"))
)


def _cell(values: list[Any]) -> Cell:
    return Cell(*_CELL(values))


def _failed_nodes(
    texts: SharedTexts, record: Mapping[str, Any], attributes: RunAttributes, place: Row
) -> tuple[Row, ...]:
    if attributes.failed_node is None:
        return ()
    names: tuple[str, ...] = FAILED_NODE.read(record, attributes)
    return tuple((texts[name], *place) for name in names)


def _nodes(texts: SharedTexts, timeline: object) -> Iterator[tuple[int, int | None, NodeFigures]]:
    """Yield title, type and figures of the nodes of a run."""
    for node in nodes_of(timeline):
        usage = usage_of(node.usage)
        figures = NodeFigures(
            texts[node.node_id or node.name],
            STATUS_NUMBERS[node.status],
            node.known_ms,
            usage.total,
            usage.input,
            usage.output,
        )
        yield texts[node.label], None if node.node_type is None else texts[node.node_type], figures


def _stored(texts: SharedTexts, form: str, value: Any) -> Any:  # noqa: ANN401 - of any attribute
    """Return *value* as a column stores it."""
    if form == "itself" or value is None:
        return whole(value) if value.__class__ is int else value
    if form == "shared text":
        return texts[value]
    return STATUS_NUMBERS[value] if form == "status" else fingerprint_number(value)


_COLUMNS: Final = tuple((each.read, each.stored_as) for each in STORED)
