"""The rows that PostgreSQL has of one record, made from its document."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from execution_history.query.fields import ATTRIBUTES, FAILED_NODE
from execution_history.query.model import RecordKey
from execution_history.records.attributes import RunAttributes, attributes_of
from execution_history.records.partial import LARGE, outline_of
from execution_history.records.record import Document
from execution_history.records.summary import summary_of
from execution_history.records.timeline import nodes_of
from execution_history.records.usage import usage_of
from execution_history.stores.compression import Packer
from execution_history.stores.postgres.search_terms import terms_of
from execution_history.stores.postgres.stored_texts import SEPARATOR, escaped, is_shortened, stored_text
from execution_history.stores.sql_fragments import TOKENS, fingerprint_number, whole
from execution_history.stores.status_numbers import OPEN_NUMBERS, STATUS_NUMBERS, status_number

_log = logging.getLogger("execution_history.stores.postgres")

_LATELY_MS: Final = 3_600_000
_MOST_AT_ONCE: Final = 16 * 1024
"""Bytes of a document whose terms are written with it; those of a larger one follow (:mod:`.late_terms`)."""

_RUNNING: Final = STATUS_NUMBERS["running"]
_OF_DOCUMENTS: Final = frozenset({"workflow", "execute_id", "create_time", "status", "failed_nodes"})

SEARCHED: Final = tuple(each for each in ATTRIBUTES if each.column not in _OF_DOCUMENTS)
"""The attributes in columns of their own that only the document has."""

COLUMNS: Final = (
    "workflow_id", "execute_id", "seq", "version", "create_time", "update_time", "status", "size", "packing",
    *(each.column for each in SEARCHED), "failure", "tags", "failed_nodes", "terms", "document", "summary",
    "filled",
)  # fmt: skip
"""The columns of ``executions`` in the order of :meth:`RecordRow.values`."""


_TERMS: Final = COLUMNS.index("terms")
_LISTS: Final = slice(COLUMNS.index("tags"), _TERMS + 1)


class Counted(NamedTuple):
    """What counters and rollups count of a record: its size in bytes, times (ms), status, tokens and cost."""

    size: int
    create_time: int
    status: int
    duration: int | None
    tokens: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: int | None = None
    currency: str | None = None


def array_text(values: Sequence[int | str]) -> str:
    """Return an array as PostgreSQL writes it (section 8.15.2 of its manual): psycopg would look at every number."""
    if values and isinstance(values[0], int):
        return f"{{{','.join(map(str, values))}}}"
    quoted = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def joined_text(values: Sequence[int | str]) -> str:
    """Return the values with :data:`~.stored_texts.SEPARATOR` between them, for ``string_to_array``."""
    return SEPARATOR.join(map(str, values))


class RecordRow(NamedTuple):
    """A record's row, but for its place and version, and its rows in other tables.

    Attributes:
        key: its ids as they are stored.
        counted: what is counted of it.
        columns: the values of :data:`COLUMNS` but for seq and version, which are ``None`` there, and for filled; lists
            as they are.
        nodes: the rows of its nodes after the ids, if it has ended.
        long_texts: the texts that its columns have shortened, by what stands for them.
    """

    key: RecordKey
    counted: Counted
    columns: list[Any]
    nodes: list[tuple[Any, ...]]
    long_texts: dict[str, str]

    @property
    def lacks_terms(self) -> bool:
        """Whether its terms are still to be written."""
        return self.columns[_TERMS] is None and self.counted.status != _RUNNING

    def values(self, seq: int, version: int, listed: Callable[[Sequence[int | str]], str] = array_text) -> list[Any]:
        """Return the values of :data:`COLUMNS`, where *listed* makes texts of lists."""
        lists = (None if each is None else listed(each) for each in self.columns[_LISTS])
        before = self.columns[:2], self.columns[4 : _LISTS.start]
        return [*before[0], seq, version, *before[1], *lists, *self.columns[_LISTS.stop :], version]


class _Texts(dict[str, str]):
    """What stands for the texts of one record; the long ones are kept to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.long: dict[str, str] = {}

    def __missing__(self, text: str) -> str:
        stored = self[text] = stored_text(text)
        if is_shortened(stored):
            self.long[stored] = escaped(text)
        return stored


def stored_key(workflow_id: str, execute_id: str) -> RecordKey:
    """Return the ids of a record as columns have them."""
    return RecordKey(stored_text(workflow_id), stored_text(execute_id))


def row_of(document: Document, packer: Packer, now: int) -> RecordRow:
    """Return the row of *document* at *now* (ms); of one that cannot be taken apart, only what lists and counters need.

    A run that began lately and goes on has no terms yet: they are written once, when it ends. One that began long ago,
    in an import say, may never end, and every search would read its document.
    """
    status = status_number(document.status)
    packing, packed = packer.pack(document.body, will_change=status in OPEN_NUMBERS)
    texts = _Texts()
    key = RecordKey(texts[document.workflow_id], texts[document.execute_id])
    begin = [*key, None, None, document.create_time, document.update_time, status, len(document.body), packing]
    try:
        record = outline_of(document.body)
        attributes = attributes_of(record)
        searched = [_stored(texts, each.stored_as, each.read(record, attributes)) for each in SEARCHED]
        figures = [whole(getattr(attributes, name)) for name in ("duration_ms", *TOKENS, "cost")]
        currency = None if attributes.currency is None else texts[attributes.currency]
        counted = Counted._make([len(document.body), document.create_time, status, *figures, currency])
        is_recent = status == _RUNNING and now - document.create_time < _LATELY_MS
        has_terms = not is_recent and len(document.body) <= _MOST_AT_ONCE
        columns = [
            *begin,
            *searched,
            None if attributes.fingerprint is None else escaped(attributes.error_title or ""),
            [texts[tag] for tag in attributes.tags] or None,
            _failed_nodes(texts, record, attributes),
            terms_of(record) if has_terms else None,
            packed,
            summary_of(record, attributes) if len(document.body) > LARGE else None,
        ]
        nodes = [] if status in OPEN_NUMBERS else _nodes(texts, record, document.create_time)
    except Exception as error:  # noqa: BLE001 - whatever is odd in a record, the record itself is kept
        _log.warning(
            "Execution %r of workflow %r can be found by its ids, its time and its status only: %s: %s",
            document.execute_id, document.workflow_id, type(error).__name__, error,
        )  # fmt: skip
        known = {"has_output": False, "pinned": False, "upstream": document.upstream_id}
        searched = [known.get(each.column) for each in SEARCHED]
        counted = Counted(len(document.body), document.create_time, status, None, None)
        columns, nodes = [*begin, *searched, None, None, None, [], packed, None], []
    return RecordRow(key, counted, columns, nodes, texts.long)


def _failed_nodes(texts: _Texts, record: Mapping[str, Any], attributes: RunAttributes) -> list[str] | None:
    if attributes.failed_node is None:
        return None
    names: tuple[str, ...] = FAILED_NODE.read(record, attributes)
    return [texts[name] for name in names]


def _nodes(texts: _Texts, record: Mapping[str, Any], create_time: int) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for place, node in enumerate(nodes_of(record["node_execute_status"])):
        usage = usage_of(node.usage)
        kind = None if node.node_type is None else texts[node.node_type]
        figures = STATUS_NUMBERS[node.status], whole(node.known_ms), usage.total, usage.input, usage.output
        found.append((place, create_time, texts[node.node_id or node.name], texts[node.label], kind, *figures))
    return found


def _stored(texts: _Texts, form: str, value: Any) -> Any:  # noqa: ANN401 - of any attribute
    """Return *value* as a column has it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return whole(value)
    return fingerprint_number(value) if form == "fingerprint" else texts[value]
