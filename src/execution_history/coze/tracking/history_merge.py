"""An upstream's history of a run, merged into the record of it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from execution_history.coze.protocol.messages import Outcome, is_chat_question, text
from execution_history.coze.protocol.run_history import RunHistory
from execution_history.records.adoption import adopt_record
from execution_history.records.metadata import (
    ACCOUNT,
    COZE_EXECUTE_ID,
    ENDED_AT,
    FETCHED_AT,
    INTERRUPT,
    MISSING_OUTPUTS,
    OUTPUT_TEXT,
    TRANSITION,
    UPSTREAM,
)
from execution_history.records.record import OPEN_STATUSES, Document, RecordChange

_COMPLETES: Final = ("running", "success")
_ENDED: Final = ("success", "failed")


def change_of(record: Mapping[str, Any], history: RunHistory, now: int, largest: int) -> RecordChange | None:
    """Return the change that brings an open record up to the upstream's history; ``None`` where nothing is new.

    Args:
        record: the stored record.
        history: the upstream's history.
        now: milliseconds since the epoch.
        largest: the most bytes that the record may have.
    """
    outcome, current = history.outcome, record["execute_status"]
    if current not in OPEN_STATUSES or outcome.status == "running":
        return None
    if current == outcome.status and _is_same_question(INTERRUPT.of(record), outcome.interrupt):
        return None
    # A timeline that was recorded here holds more than the upstream's nodes.
    timeline = record["node_execute_status"]
    nodes = timeline if isinstance(timeline, dict) and timeline else dict(history.nodes) or None
    return RecordChange.of(
        now,
        status=outcome.status,
        metadata=({OUTPUT_TEXT.name: None} if OUTPUT_TEXT.raw(record) is not None else {})
        | _metadata(outcome, history)
        | {TRANSITION.name: {"from": current, "to": outcome.status, "at": now, "because": outcome.proof}}
        | _end(record, history, now),
        only_from=frozenset({current}),
        fields={**outcome.fields(), "node_execute_status": nodes, "is_output_trimmed": history.is_output_trimmed},
        cleared=("error_code", "error_message"),
        largest=largest,
    )


def _is_same_question(known: Mapping[str, Any] | None, told: Mapping[str, Any] | None) -> bool:
    """Return whether a history asks what a record has already, which knows more of it: a chat's has no id."""
    if known is None or told is None:
        return known is not None or told is None
    return is_chat_question(known) or text(known.get("event_id")) == text(told.get("event_id"))


def _end(record: Mapping[str, Any], history: RunHistory, now: int) -> dict[str, object]:
    """Return when the run ended, where the upstream's history has it: the record is changed later."""
    if history.update_time is None or history.outcome.status not in _ENDED:
        return {}
    # The upstream's times are whole seconds: the middle is nearest to the truth. No run ends before it began.
    is_whole = history.update_time % 1_000 == 0
    ended = min(now, history.update_time + 500) if is_whole else history.update_time
    return {ENDED_AT.name: max(record["create_time"], ended)}


def document_of(
    workflow_id: str,
    execute_id: str,
    history: RunHistory,
    upstream_id: str,
    now: int,
    account: str,
    upstream: str | None = None,
) -> Document:
    """Return the record of a run that happened elsewhere, as complete as the upstream's history of it.

    Args:
        workflow_id: the workflow.
        execute_id: the record's own id.
        history: the upstream's history, whose times become the record's.
        upstream_id: the id of the run upstream.
        now: milliseconds since the epoch, where the history has no time.
        account: the account whose history it is.
        upstream: where that was requested: scheme, host and port.
    """
    outcome = history.outcome
    metadata = {
        ACCOUNT.name: account,
        FETCHED_AT.name: now,
        COZE_EXECUTE_ID.name: upstream_id,
        **({} if upstream is None else {UPSTREAM.name: upstream}),
        **_metadata(outcome, history),
    }
    found = {
        **history.fields(),
        "node_execute_status": dict(history.nodes) or None,
        "execute_id": execute_id,
        "create_time": history.create_time or now,
        "execute_status": outcome.status,
        "update_time": max(history.create_time or 0, history.update_time or now),
        "metadata": metadata,
    }
    document = adopt_record(found, workflow_id, now)
    assert document is not None  # noqa: S101 - its id is one that we have made
    return document


def _metadata(outcome: Outcome, history: RunHistory) -> dict[str, object]:
    missing = sorted(title for title, node in history.nodes.items() if node.get("is_missing"))
    # A question is always overwritten: an answered one must not stay in the record as if it were open.
    return {INTERRUPT.name: None, **outcome.metadata(), **({MISSING_OUTPUTS.name: missing} if missing else {})}


def trimmed_nodes(history: RunHistory) -> dict[str, str]:
    """Return the execute ids of the output nodes, by title, whose contents may be cut and have to be fetched."""
    if not history.is_output_trimmed or history.outcome.status not in _COMPLETES:
        return {}
    return {title: node["node_execute_uuid"] for title, node in history.nodes.items() if node["node_execute_uuid"]}


def with_nodes(history: RunHistory, whole: Mapping[str, str], trimmed: Collection[str]) -> RunHistory:
    """Return *history* with the contents that were fetched whole; the other *trimmed* nodes are marked as missing."""
    nodes: dict[str, dict[str, Any]] = {}
    for title, node in history.nodes.items():
        if title in whole:
            nodes[title] = {**node, "content": whole[title]}
        else:
            nodes[title] = {**node, "is_missing": True} if title in trimmed else node
    return replace(history, nodes=nodes)
