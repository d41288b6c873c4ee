"""The words of the domain: what a record is, how it begins and how it may change.

A record is one JSON document of exactly the 19 keys of :class:`ExecutionRecord`; stores keep its bytes
and never look inside. This module is the only one that writes such a document. It is pure: time and
ids are passed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypedDict, cast

import orjson

from execution_history.errors import IllegalTransition, InvalidStatus
from execution_history.records.depth import IN_METADATA, IN_VALUE, LEVELS, cut
from execution_history.records.encoding import encode
from execution_history.records.identifiers import is_identifier
from execution_history.records.metadata import (
    COST,
    COZE_EXECUTE_ID,
    ENDED_AT,
    RECORDING_IS_CUT,
    REDACTED_VALUES,
    metadata_of,
)
from execution_history.records.partial import parts_of, read_record
from execution_history.records.price_book import Costs, keep_cost, priced
from execution_history.records.size_limit import fit, named, restated, shortened

ExecutionStatus = Literal["running", "success", "failed", "interrupted"]

STATUSES: Final[tuple[ExecutionStatus, ...]] = ("running", "success", "failed", "interrupted")

OPEN_STATUSES: Final = frozenset({"running", "interrupted"})
"""The statuses that can still change; success and failed are endings."""


class ExecutionRecord(TypedDict):
    """One execution, as every reader gets it: always these 19 keys, in this order.

    Times are integer milliseconds since the Unix epoch. ``run_mode`` is 0 for a synchronous run, 1 for a
    streamed and 2 for an asynchronous one (coze-protocol 3.3).
    """

    execute_id: str
    workflow_id: str
    create_time: int
    update_time: int
    execute_status: str
    error_code: int | str | None
    error_message: str | None
    output: Any
    input_parameters: Any
    bot_id: str | None
    conversation_id: str | None
    debug_url: str | None
    run_mode: int
    usage: Any
    metadata: dict[str, Any]
    connector_id: str | None
    connector_uid: str | None
    is_output_trimmed: bool
    node_execute_status: Any


KEYS: Final = tuple(ExecutionRecord.__annotations__)
DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(KEYS),
    "execute_status": "running",
    "input_parameters": {},
    "run_mode": 1,
    "metadata": {},
    "is_output_trimmed": False,
}
"""The keys of a record where nothing else is given."""

RESTATED: Final = frozenset({RECORDING_IS_CUT.name, REDACTED_VALUES.name})
"""Keys of metadata that list what is missing of other values, by their names; a value that is replaced has no entry."""


@dataclass(slots=True)
class Document:
    """A record's bytes together with the facts that a store finds, sorts and counts it by. It is never changed.

    ``body`` is compact UTF-8 JSON of the 19 keys; the other fields repeat what stands in it. ``upstream_id`` is
    ``metadata["coze_execute_id"]`` where that is a text. ``parts``, where it is known, is the record as it was written
    into ``body``: a later change starts from it without reading the body again. ``given``, of a record that has just
    been made, has the JSON of the values that it was made with.
    """

    workflow_id: str
    execute_id: str
    create_time: int
    update_time: int
    status: str
    body: bytes
    upstream_id: str | None = None
    parts: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    given: dict[str, bytes] | None = field(default=None, repr=False, compare=False)
    _plain: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record: dict[str, Any], body: bytes) -> "Document":
        """Return the document of *record*, whose serialised form is *body*."""
        upstream_id = COZE_EXECUTE_ID.raw(record)
        return cls(
            record["workflow_id"],
            record["execute_id"],
            record["create_time"],
            record["update_time"],
            record["execute_status"],
            body,
            upstream_id if upstream_id is not None and is_identifier(upstream_id) else None,
        )

    def plain(self) -> dict[str, Any]:
        """Return the record as plain values, read once.

        Whoever began or changed the record gets this very dict once the call is over; until then it is for looking at.
        """
        if self._plain is None:
            self._plain = read_record(self.body)
        return self._plain

    def with_cost(self, costs: Costs) -> "Document":
        """Return the record with what its run cost, where it has ended without saying so."""
        record = None if self.status == "running" else priced(self.body, costs)
        return self if record is None else Document.of(record, orjson.dumps(record))

    def fitted(self, largest: int | None) -> "Document":
        """Return the record as one of at most *largest* bytes; None is no limit (see ``records/size_limit``)."""
        if largest is None or len(self.body) <= largest:
            return self
        return replace(self, body=fit(self.body, largest), parts=None, given=None, _plain=None)


def check_status(status: object) -> ExecutionStatus:
    """Return *status* when it is one of the four.

    Raises:
        InvalidStatus: it is something else.
    """
    if status not in STATUSES:
        raise InvalidStatus(status)
    return cast("ExecutionStatus", str(status))


def new_document(
    *,
    workflow_id: str,
    execute_id: str,
    now: int,
    parameters: object = None,
    metadata: object = None,
    largest: int | None = None,
    **fields: object,
) -> Document:
    """Return the document a new execution begins with, status ``running``.

    Args:
        workflow_id: the workflow, already checked.
        execute_id: the execution, already checked.
        now: milliseconds since the epoch, for both times.
        parameters: the input, any value; nothing becomes ``{}``.
        metadata: a mapping of any values; nothing becomes ``{}``.
        largest: how many bytes the document has at most (:mod:`execution_history.records.size_limit`); None is no
        limit.
        fields: any other of the 19 keys, with any value.
    """
    record: dict[str, Any] = {
        **DEFAULTS,
        "execute_id": execute_id,
        "workflow_id": workflow_id,
        "create_time": now,
        "update_time": now,
    }
    cuts: dict[str, int] = {}
    given = {
        key: shortened(key, encode(value, levels=IN_VALUE), largest, cuts)
        for key, value in {"input_parameters": parameters, **fields}.items()
        if value is not None
    }
    record |= {key: orjson.Fragment(value) for key, value in given.items()}
    record["metadata"] = kept = {} if metadata is None else _read_metadata(encode(metadata, levels=IN_VALUE), largest)
    if cuts:
        kept[RECORDING_IS_CUT.name] = restated(kept.get(RECORDING_IS_CUT.name), (), cuts)
    document = Document.of(record, orjson.dumps(record))
    document.parts, document.given = record, given
    return document.fitted(largest)


def _read_metadata(document: bytes, largest: int | None) -> dict[str, Any]:
    if largest is not None and len(document) > largest:
        document = fit(b'{"metadata":' + document + b"}", largest)[len(b'{"metadata":') : -1]
    return cast("dict[str, Any]", orjson.loads(document))


@dataclass(slots=True)
class RecordChange:
    """What an update changes. Only what is given changes; ``metadata`` is merged key by key.

    ``fields`` maps record keys to JSON bytes, ``metadata`` maps metadata keys to JSON bytes.
    ``only_from``, when given, names the statuses in which the change applies at all, and ``only_while`` maps
    metadata keys to the values that they must have: any other record is left as it is (compare-and-set).
    ``largest`` is how many bytes a record has at most when it was no larger before; None is no limit.
    """

    now: int
    status: ExecutionStatus | None
    fields: dict[str, bytes]
    metadata: dict[str, bytes]
    only_from: frozenset[str] | None = None
    only_while: Mapping[str, object] | None = None
    largest: int | None = None

    @classmethod
    def of(
        cls,
        now: int,
        status: object = None,
        metadata: Mapping[str, object] | None = None,
        only_from: frozenset[str] | None = None,
        fields: Mapping[str, object] | None = None,
        only_while: Mapping[str, object] | None = None,
        cleared: Iterable[str] = (),
        largest: int | None = None,
    ) -> "RecordChange":
        """Return a change at *now* (milliseconds) from plain Python values; ``None`` means unchanged.

        *fields* maps record keys to values, *metadata* what is merged into that key; the keys in *cleared* become
        null where *fields* does not give them a value.

        Raises:
            InvalidStatus: *status* is none of the four.
        """
        changed = dict.fromkeys(cleared, b"null") if cleared else {}
        merged: dict[str, bytes] = {}
        cuts: dict[str, int] = {}
        for key, value in fields.items() if fields else ():
            if value is not None:
                changed[key] = shortened(key, encode(value, levels=IN_VALUE), largest, cuts)
        for key, value in metadata.items() if metadata else ():
            merged[str(key)] = shortened(named(str(key)), encode(value, levels=IN_METADATA), largest, cuts)
        if cuts:
            merged[RECORDING_IS_CUT.name] = encode(restated((metadata or {}).get(RECORDING_IS_CUT.name), (), cuts))
        checked = None if status is None else check_status(status)
        return cls(now, checked, changed, merged, only_from, only_while, largest)

    def size(self) -> int:
        """Return how many bytes the change brings, roughly."""
        return sum(map(len, self.fields.values())) + sum(map(len, self.metadata.values()))

    def apply(self, body: bytes, parts: Mapping[str, Any] | None = None, costs: Costs | None = None) -> Document | None:
        """Return the changed document, or ``None`` when ``only_from`` or ``only_while`` excludes the record.

        ``update_time`` becomes *now*, or one more than it was where the clock has not moved: it always
        rises, so that of two versions of a record the later one can be told. The time at which a run ended stays
        known: the first later change of a record that is not running keeps it as ``metadata["ended_at"]``, and a change
        of the status drops that key. *parts* is what the record was written from (:attr:`Document.parts`), where that
        is known. A change that ends the run, and one that brings its tokens afterwards, keeps what it cost by *costs*.

        Raises:
            IllegalTransition: the record has ended and the change has another status.
        """
        record = parts_of(body) if parts is None else {**parts}
        current = record["execute_status"]
        if self.only_from is not None and current not in self.only_from:
            return None
        kept = metadata_of(record)
        if self.only_while and any(kept.get(key) != value for key, value in self.only_while.items()):
            return None
        if self.status is not None and self.status != current:
            if current not in OPEN_STATUSES:
                raise IllegalTransition(record["execute_id"], current, self.status)
            record["execute_status"] = self.status
            if ENDED_AT.name in kept:
                kept = record["metadata"] = {key: value for key, value in kept.items() if key != ENDED_AT.name}
        elif current != "running" and ENDED_AT.name not in kept:
            kept = record["metadata"] = {**kept, ENDED_AT.name: record["update_time"]}
        for key, value in self.fields.items():
            record[key] = orjson.Fragment(value)
        if self.metadata or not RESTATED.isdisjoint(kept):
            record["metadata"] = kept = self._merged(kept)
        asked = None if COST.name in self.metadata else costs
        keep_cost(record, current, body, self.fields.get("usage"), asked)
        record["update_time"] = max(self.now, record["update_time"] + 1)
        written = self._written(record, body, is_ours=parts is not None)
        made = Document.of(record, written)
        made.parts = record
        if self.largest is not None and len(written) > self.largest >= len(body):
            made = made.fitted(self.largest)
        return made

    def _merged(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata with what the change brings; of what is replaced nothing is listed as missing."""
        merged = {**kept, **{key: orjson.loads(value) for key, value in self.metadata.items()}}
        for key in RESTATED & kept.keys():
            replaced = {*self.fields, *map(named, self.metadata)}
            merged[key] = restated(kept[key], replaced, merged[key] if key in self.metadata else None)
            if merged[key] is None:
                del merged[key]
        return merged

    def _written(self, record: dict[str, Any], body: bytes, *, is_ours: bool) -> bytes:
        """Return the JSON of *record*, made from *body*.

        One that an earlier version wrote may be nested more deeply than any today, and is changed with it.
        """
        try:
            document = orjson.dumps(record)
            if is_ours or (shallow := cut(document, LEVELS)) is document:
                return document
            document = shallow
        except TypeError:
            plain = {key: value for key, value in record.items() if not isinstance(value, orjson.Fragment)}
            brought = {key: orjson.loads(value) for key, value in self.fields.items()}
            document = encode({**orjson.loads(body), **plain, **brought}, levels=LEVELS)
        record |= orjson.loads(document)
        return document
