"""What of a record are contents, and the record that is left when they are removed. Pure.

Contents are what went into a run and what came out of it: parameters, output, what its nodes said, questions and
answers, a traceback, and large values that callers keep with it. What is left says that there was a run: its ids,
status, times, error, tokens, cost and nodes without their messages, and what people noted about it.

Values are named here as :data:`Values` names them: by the key of the record, or by ``metadata.`` and a key of its
metadata.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from execution_history.records.encoding import encode
from execution_history.records.metadata import (
    ANSWERS,
    ASKED_UPSTREAM,
    ENDED_AT,
    INTERRUPT,
    NOTE,
    PRUNED,
    RECORDING_IS_CUT,
    REDACTED_VALUES,
    UNREAD,
    WORKFLOW_NAME,
    Use,
    uses_of,
)
from execution_history.records.partial import members_of
from execution_history.records.record import Document
from execution_history.records.size_limit import named, restated
from execution_history.records.timeline import Node

Values = dict[str, bytes]
"""Values of a record by their names, as JSON."""

CONTENT_KEYS: Final = ("input_parameters", "output", "error_message", "node_execute_status", "connector_uid")
"""The keys of a record that are looked into for what has to go, besides its metadata."""

_REMOVED: Final = frozenset({"input_parameters", "output"})
_KEPT_OF_NODES: Final = ("error_code", "error_message", "sub_execute_id", "loop_index", "batch_index")
_SAID: Final = frozenset({"content", "packets"})
_READ: Final = frozenset(Node().to_json().keys() | set(_KEPT_OF_NODES))
_KEPT_OF_ANSWERS: Final = ("event_id", "asked_at", "at")
_KEPT_OF_QUESTIONS: Final = ("id", "event_id", "type", "interrupt_type", "node_title")
_LARGEST_KEPT: Final = 1_000  # bytes of JSON that a value may have that a caller keeps with its run
_TEXTS: Final = frozenset(key.name for key in (NOTE, WORKFLOW_NAME, ASKED_UPSTREAM, UNREAD))
_PREFIX: Final = "metadata."
_NULL: Final = b"null"


@lru_cache(maxsize=4096)
def is_looked_into(key: str) -> bool:
    """Return whether what stands under a *key* of metadata may hold anything that has to go."""
    return key in _TEXTS or bool(uses_of(key) & (Use.CONTENT | Use.CALLERS))


def content_values(members: Mapping[str, Any], metadata: Mapping[str, Any]) -> Values:
    """Return the values of a record that may hold anything that has to go; null and the like are left out.

    Args:
        members: the record's, as JSON (:func:`execution_history.records.partial.members_of`).
        metadata: its metadata, read.
    """
    found: Values = {}
    for name in CONTENT_KEYS:
        value = members.get(name, _NULL)
        if not isinstance(value, bytes):
            value = bytes(memoryview(value))
        if len(value) > len(_NULL):
            found[name] = value
    for key, value in metadata.items():
        if is_looked_into(key):
            found[named(key)] = encode(value)
    return found


def without_contents(name: str, value: bytes) -> bytes:
    """Return what is left of the value *name* when contents are removed: of most nothing, or all."""
    if name in _REMOVED:
        return _NULL
    if name == "node_execute_status":
        return orjson.dumps(_nodes(value))
    key = name.removeprefix(_PREFIX)
    if key == name:
        return value
    if key == ANSWERS.name:
        answers = orjson.loads(value)
        return orjson.dumps([_some(each, _KEPT_OF_ANSWERS) for each in answers] if isinstance(answers, list) else None)
    if key == INTERRUPT.name:
        return orjson.dumps(_some(orjson.loads(value), _KEPT_OF_QUESTIONS) or None)
    uses = uses_of(key)
    is_content = Use.CONTENT in uses or (Use.CALLERS in uses and len(value) > _LARGEST_KEPT)
    return _NULL if is_content else value


def prune_contents(document: Document, now: int, rule: str) -> Document | None:
    """Return the record of *document* without its contents, or ``None`` where nothing is to be removed any more.

    It has all 19 keys, the contents null, and ``metadata.pruned`` with ``at`` (*now*, in milliseconds), ``bytes``, by
    how many its JSON became shorter, and ``rule``. Whatever is counted stays as it was: status, times, tokens, cost,
    error and nodes. ``update_time`` rises, and the time at which the run ended stays known.

    Args:
        document: the record as it is stored.
        now: milliseconds since the epoch.
        rule: the name of the rule that has removed the contents, for people.
    """
    members = members_of(document.body)
    metadata = metadata_in(members)
    if PRUNED.name in metadata:
        return None
    before = content_values(members, metadata)
    after = {name: without_contents(name, value) for name, value in before.items()}
    changed = {name: value for name, value in after.items() if value != before[name]}
    shorter = rewritten(document, members, metadata, changed, now, {})
    left = len(document.body) - len(shorter.body)
    if left <= 0:
        return None
    note = {PRUNED.name: {"at": now, "bytes": left, "rule": rule}}
    return rewritten(document, members, metadata, changed, now, note)


def metadata_in(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a record whose *members* are unread; those of another type than an object are empty."""
    metadata = orjson.loads(bytes(memoryview(members["metadata"])))
    return metadata if isinstance(metadata, dict) else {}


def rewritten(
    document: Document,
    members: Mapping[str, Any],
    metadata: Mapping[str, Any],
    values: Mapping[str, bytes],
    now: int,
    notes: Mapping[str, Any],
) -> Document:
    """Return a record with other *values*: its next version, in which the end of its run is as well known as before.

    Args:
        document: the record as it is stored.
        members: its members, unread.
        metadata: its metadata, read.
        values: the new values.
        now: milliseconds since the epoch.
        notes: what else its metadata have.
    """
    kept = {**metadata, **_metadata_values(values), **notes}
    gone = [name for name, value in values.items() if value == _NULL]
    for noted in {RECORDING_IS_CUT.name, REDACTED_VALUES.name} & metadata.keys() - notes.keys():
        if (left := restated(kept.pop(noted), gone, None)) is not None:
            kept[noted] = left
    if document.status != "running" and ENDED_AT.name not in kept:
        kept[ENDED_AT.name] = document.update_time
    record: dict[str, Any] = {name: orjson.Fragment(bytes(memoryview(value))) for name, value in members.items()}
    record |= {name: orjson.Fragment(value) for name, value in values.items() if not name.startswith(_PREFIX)}
    record |= {"metadata": kept, "update_time": max(now, document.update_time + 1)}
    body = orjson.dumps(record)
    return Document(
        document.workflow_id, document.execute_id, document.create_time, record["update_time"], document.status, body,
        document.upstream_id,
    )  # fmt: skip


def _metadata_values(values: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        name.removeprefix(_PREFIX): orjson.loads(value) for name, value in values.items() if name.startswith(_PREFIX)
    }


def _nodes(timeline: bytes) -> object:
    """Return a timeline with nodes that say nothing any more; what is no timeline is null.

    What they said is stepped over: reading megabytes of it would keep every other thread of the process waiting.
    """
    nodes = _members(timeline)
    return None if nodes is None else {name: _node(name, bytes(memoryview(raw))) for name, raw in nodes.items()}


def _node(name: str, value: bytes) -> dict[str, Any] | None:
    members = _members(value)
    if members is None:
        return None
    known = {key: orjson.loads(bytes(memoryview(members[key]))) for key in members.keys() - _SAID if key in _READ}
    node = Node.read(name, {**dict.fromkeys(members), **known})
    return None if node is None else {**node.to_json(), "content": None, "packets": []}


def _members(value: bytes) -> Mapping[str, Any] | None:
    """Return the members of an object, unread; ``None`` for anything else."""
    try:
        return members_of(value)
    except ValueError:
        return None


def _some(value: object, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value[key] for key in keys if key in value} if isinstance(value, dict) else {}
