"""What of a record are contents, and the record that is left when they are removed. Pure.

Contents are what went into a run and what came out of it: parameters, output, what its nodes said, questions and
answers, a traceback, and large values that callers keep with it. What is left says that there was a run: its ids,
status, times, error, tokens, cost and nodes without their messages, and what people noted about it.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from execution_history.records.metadata import ANSWERS, ENDED_AT, PRUNED, RECORDING_IS_CUT, Use, uses_of
from execution_history.records.partial import members_of
from execution_history.records.record import Document
from execution_history.records.size_limit import named, restated
from execution_history.records.timeline import Node

REMOVED: Final = ("input_parameters", "output")
"""The keys of a record that become null; of ``node_execute_status`` and ``metadata`` a part is left."""

_KEPT_OF_NODES: Final = ("error_code", "error_message", "sub_execute_id")
_LARGEST_KEPT: Final = 1_000  # bytes of JSON that a value may have that a caller keeps with its run
_TIMES: Final = ("asked_at", "at")


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
    metadata = orjson.loads(bytes(memoryview(members["metadata"])))
    kept_metadata = metadata if isinstance(metadata, dict) else {}
    if PRUNED.name in kept_metadata:
        return None
    record: dict[str, Any] = {key: orjson.Fragment(bytes(memoryview(value))) for key, value in members.items()}
    record |= dict.fromkeys(REMOVED)
    record["node_execute_status"] = _nodes(orjson.loads(bytes(memoryview(members["node_execute_status"]))))
    record["metadata"] = kept = _metadata(kept_metadata)
    if document.status != "running" and ENDED_AT.name not in kept:
        kept[ENDED_AT.name] = document.update_time
    record["update_time"] = max(now, document.update_time + 1)
    left = len(orjson.dumps(record))
    if left >= len(document.body):
        return None
    kept[PRUNED.name] = {"at": now, "bytes": len(document.body) - left, "rule": rule}
    body = orjson.dumps(record)
    return Document.of(orjson.loads(body), body)


def _nodes(timeline: object) -> object:
    """Return *timeline* with nodes that say nothing any more; what is no timeline is null."""
    if not isinstance(timeline, dict):
        return None
    nodes = {name: Node.read(name, value) for name, value in timeline.items()}
    return {name: None if node is None else _node(node) for name, node in nodes.items()}


def _node(node: Node) -> dict[str, Any]:
    others = {key: value for key, value in node.others.items() if key in _KEPT_OF_NODES}
    return {**node.to_json(), **dict.fromkeys(node.others.keys() - others), "content": None, "packets": [], **others}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return *metadata* with null for contents; of answers their times are left, which say how long a run waited."""
    kept = {key: None if _is_content(key, value) else value for key, value in metadata.items()}
    if isinstance(answers := metadata.get(ANSWERS.name), list):
        kept[ANSWERS.name] = [_times(answer) for answer in answers]
    if RECORDING_IS_CUT.name in kept:
        removed = {*REMOVED, "node_execute_status", *(named(key) for key in metadata if kept[key] is None)}
        if (cuts := restated(kept.pop(RECORDING_IS_CUT.name), removed, None)) is not None:
            kept[RECORDING_IS_CUT.name] = cuts
    return kept


def _is_content(key: str, value: object) -> bool:
    uses = uses_of(key)
    return Use.CONTENT in uses or (Use.CALLERS in uses and len(orjson.dumps(value)) > _LARGEST_KEPT)


def _times(answer: object) -> dict[str, Any]:
    return {key: answer[key] for key in _TIMES if key in answer} if isinstance(answer, dict) else {}
