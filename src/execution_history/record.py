"""The words of the domain: what a record is, how it begins and how it may change.

A record is one JSON document of exactly the 19 keys of :class:`ExecutionRecord`; stores keep its bytes
and never look inside. This module is the only one that writes such a document. It is pure: time and
ids are passed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypedDict, TypeGuard, cast

import orjson

from execution_history.errors import IllegalTransition, InvalidIdentifier, InvalidStatus, quoted
from execution_history.jsonvalue import encode

ExecutionStatus = Literal["running", "success", "failed", "interrupted"]

UPSTREAM_KEY: Final = "coze_execute_id"
"""The key in a record's ``metadata`` that holds the id that the run has upstream, once that is known."""

ENDED_KEY: Final = "ended_at"
"""The key in a record's ``metadata`` that holds when the run ended (milliseconds), once the record is changed later."""

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
_DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(KEYS),
    "execute_status": "running",
    "input_parameters": {},
    "run_mode": 1,
    "metadata": {},
    "is_output_trimmed": False,
}

_MAX_ID_CHARACTERS: Final = 1_000
_MAX_MILLISECONDS: Final = 253_402_300_799_999  # the end of the year 9999
_MILLISECONDS_BEGIN: Final = 100_000_000_000  # a smaller number can only be seconds


@dataclass(slots=True)
class Document:
    """A record's bytes together with the facts that a store finds, sorts and counts it by. It is never changed.

    ``body`` is compact UTF-8 JSON of the 19 keys; the other fields repeat what stands in it. ``upstream_id`` is
    ``metadata["coze_execute_id"]`` where that is a text. ``parts``, where it is known, is the record as it was written
    into ``body``: a later change starts from it without reading the body again.
    """

    workflow_id: str
    execute_id: str
    create_time: int
    update_time: int
    status: str
    body: bytes
    upstream_id: str | None = None
    parts: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    _plain: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, record: dict[str, Any], body: bytes, upstream_id: object = None) -> "Document":
        """The document of *record*, whose serialised form is *body*; *upstream_id* counts when it can be an id."""
        return cls(
            record["workflow_id"],
            record["execute_id"],
            record["create_time"],
            record["update_time"],
            record["execute_status"],
            body,
            upstream_id if upstream_id is not None and _is_identifier(upstream_id) else None,
        )

    def plain(self) -> dict[str, Any]:
        """The record as plain values, read once.

        Whoever began or changed the record gets this very dict once the call is over; until then it is for looking at.
        """
        if self._plain is None:
            self._plain = orjson.loads(self.body)
        return self._plain


def check_identifier(what: str, value: object) -> str:
    """*value* as an id, when it is a string of 1 to 1 000 characters that UTF-8 can hold.

    Raises:
        InvalidIdentifier: it is not; the message names *what* it should have been.
    """
    if not isinstance(value, str) or not value:
        raise InvalidIdentifier(f"The {what} is a string of at least one character, not {quoted(value)}.")
    if len(value) > _MAX_ID_CHARACTERS:
        raise InvalidIdentifier(f"The {what} has at most 1000 characters; this one has {len(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidIdentifier(f"The {what} {quoted(value)} holds half of a surrogate pair.") from None
    return str(value)


def _is_identifier(value: object) -> TypeGuard[str]:
    try:
        check_identifier("id", value)
    except InvalidIdentifier:
        return False
    return True


def check_status(status: object) -> ExecutionStatus:
    """*status* when it is one of the four.

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
    **fields: object,
) -> Document:
    """The document a new execution begins with, status ``running``.

    Args:
        workflow_id: the workflow, already checked.
        execute_id: the execution, already checked.
        now: milliseconds since the epoch, for both times.
        parameters: the input, any value; nothing becomes ``{}``.
        metadata: a mapping of any values; nothing becomes ``{}``.
        fields: any other of the 19 keys, with any value.
    """
    record = {
        **_DEFAULTS,
        "execute_id": execute_id,
        "workflow_id": workflow_id,
        "create_time": now,
        "update_time": now,
        "metadata": {} if metadata is None else orjson.loads(encode(metadata)),
    }
    if parameters is not None:
        record["input_parameters"] = orjson.Fragment(encode(parameters))
    for key, value in fields.items():
        if value is not None:
            record[key] = orjson.Fragment(encode(value))
    upstream_id = metadata.get(UPSTREAM_KEY) if isinstance(metadata, Mapping) else None
    document = Document.of(record, orjson.dumps(record), upstream_id)
    document.parts = record
    return document


@dataclass(slots=True)
class RecordChange:
    """What an update asks for. Only what is given changes; ``metadata`` is merged key by key.

    ``fields`` maps record keys to JSON bytes, ``metadata`` maps metadata keys to JSON bytes.
    ``only_from``, when given, names the statuses in which the change applies at all, and ``only_while`` maps
    metadata keys to the values that they must have: any other record is left as it is (compare-and-set).
    ``made`` is the document that came of it when it was applied last.
    """

    now: int
    status: ExecutionStatus | None
    fields: dict[str, bytes]
    metadata: dict[str, bytes]
    only_from: frozenset[str] | None = None
    only_while: Mapping[str, object] | None = None
    made: Document | None = field(default=None, repr=False, compare=False)

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
    ) -> "RecordChange":
        """A change at *now* (milliseconds) from plain Python values; ``None`` means unchanged.

        *fields* maps record keys to values, *metadata* what is merged into that key; the keys in *cleared* become
        null where *fields* does not give them a value.

        Raises:
            InvalidStatus: *status* is none of the four.
        """
        changed = dict.fromkeys(cleared, b"null") if cleared else {}
        for key, value in fields.items() if fields else ():
            if value is not None:
                changed[key] = encode(value)
        return cls(
            now,
            None if status is None else check_status(status),
            changed,
            {str(key): encode(value) for key, value in metadata.items()} if metadata else {},
            only_from,
            only_while,
        )

    def size(self) -> int:
        """How many bytes the change brings, roughly."""
        return sum(map(len, self.fields.values())) + sum(map(len, self.metadata.values()))

    def apply(self, body: bytes, parts: Mapping[str, Any] | None = None) -> Document | None:
        """The changed document, or ``None`` when ``only_from`` or ``only_while`` excludes the record.

        ``update_time`` becomes *now*, or one more than it was where the clock has not moved: it always
        rises, so that of two versions of a record the later one can be told. The time at which a run ended stays
        known: the first later change of a record that is not running keeps it as ``metadata["ended_at"]``, and a change
        of the status drops that key. *parts* is what the record was written from (:attr:`Document.parts`), where that
        is known.

        Raises:
            IllegalTransition: the record has ended and another status was asked for.
        """
        record: dict[str, Any] = orjson.loads(body) if parts is None else {**parts}
        current = record["execute_status"]
        if self.only_from is not None and current not in self.only_from:
            return None
        kept = record["metadata"] if isinstance(record["metadata"], dict) else {}
        if self.only_while and any(kept.get(key) != value for key, value in self.only_while.items()):
            return None
        if self.status is not None and self.status != current:
            if current not in OPEN_STATUSES:
                raise IllegalTransition(record["execute_id"], current, self.status)
            record["execute_status"] = self.status
            if ENDED_KEY in kept:
                kept = record["metadata"] = {key: value for key, value in kept.items() if key != ENDED_KEY}
        elif current != "running" and ENDED_KEY not in kept:
            kept = record["metadata"] = {**kept, ENDED_KEY: record["update_time"]}
        for key, value in self.fields.items():
            record[key] = orjson.Fragment(value)
        if self.metadata:
            record["metadata"] = kept = {**kept, **{key: orjson.loads(value) for key, value in self.metadata.items()}}
        record["update_time"] = max(self.now, record["update_time"] + 1)
        self.made = Document.of(record, orjson.dumps(record), kept.get(UPSTREAM_KEY))
        self.made.parts = record
        return self.made


def whole_record(record: dict[str, Any], body: bytes) -> Document | None:
    """The document of a record that is exactly as we write it, with *body* as its bytes; ``None`` when it is not.

    *record* is what *body* says. Nothing is mended here: :func:`adopt_record` does that.
    """
    if (
        tuple(record) != KEYS
        or not isinstance(record["metadata"], dict)
        or not isinstance(record["execute_status"], str)
    ):
        return None
    if not _is_identifier(record["workflow_id"]) or not _is_identifier(record["execute_id"]):
        return None
    times = record["create_time"], record["update_time"]
    if not all(type(time) is int and 0 <= time <= _MAX_MILLISECONDS for time in times) or times[0] > times[1]:
        return None
    if record["input_parameters"] is None or record["run_mode"] is None or record["is_output_trimmed"] is None:
        return None
    return Document.of(record, body, record["metadata"].get(UPSTREAM_KEY)) if _is_written_so(record, body) else None


def _is_written_so(record: dict[str, Any], body: bytes) -> bool:
    try:
        return orjson.dumps(record) == body
    except TypeError:  # it is nested more deeply than orjson writes, though not than it reads
        return False


def adopt_record(found: dict[str, Any], workflow_id: str, now: int) -> Document | None:
    """A record that somebody else wrote, brought to the 19 keys; ``None`` when it has no usable id.

    What is missing gets its default, times that are not milliseconds are mended, and keys that are not
    ours move to ``metadata["adopted_fields"]``: nothing is dropped. The workflow is the one whose file
    held the record, whatever the record says of itself.
    """
    execute_id = found.get("execute_id")
    if isinstance(execute_id, int) and not isinstance(execute_id, bool):
        execute_id = str(execute_id)
    try:
        execute_id = check_identifier("execute id", execute_id)
    except InvalidIdentifier:
        return None
    record: dict[str, Any] = {key: found.get(key, default) for key, default in _DEFAULTS.items()}
    record["execute_id"], record["workflow_id"] = execute_id, workflow_id
    created = _milliseconds(found.get("create_time"))
    updated = _milliseconds(found.get("update_time"))
    record["create_time"] = created if created is not None else updated if updated is not None else now
    record["update_time"] = max(record["create_time"], updated or 0)
    for key in ("execute_status", "input_parameters", "run_mode", "metadata", "is_output_trimmed"):
        if record[key] is None:
            record[key] = _DEFAULTS[key]
    extra = {key: value for key, value in found.items() if key not in _DEFAULTS}
    if not isinstance(record["metadata"], dict):
        extra["metadata"], record["metadata"] = record["metadata"], {}
    if not isinstance(record["execute_status"], str):
        extra["execute_status"], record["execute_status"] = record["execute_status"], "interrupted"
    if extra:
        record["metadata"] = {**record["metadata"], "adopted_fields": extra}
    body = encode(record)
    return Document.of(record, body, record["metadata"].get(UPSTREAM_KEY))


def _milliseconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(float(value)) if not isinstance(value, int) else value
    except (ValueError, OverflowError):
        return None
    if 0 < number < _MILLISECONDS_BEGIN:
        number *= 1000
    return number if 0 <= number <= _MAX_MILLISECONDS else None
