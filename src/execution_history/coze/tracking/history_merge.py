"""What an upstream's history of a run changes in our record of it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from execution_history.coze.protocol.messages import Outcome
from execution_history.coze.protocol.run_history import RunHistory
from execution_history.records.adoption import adopt_record
from execution_history.records.metadata import (
    ACCOUNT,
    COZE_EXECUTE_ID,
    ENDED_AT,
    FETCHED_AT,
    INTERRUPT,
    LOG_ID,
    MISSING_OUTPUTS,
    PROOF,
    TRANSITION,
)
from execution_history.records.record import OPEN_STATUSES, Document, RecordChange

_COMPLETES: Final = ("running", "success")
_ENDED: Final = ("success", "failed")


def change_of(record: Mapping[str, Any], history: RunHistory, now: int, largest: int) -> RecordChange | None:
    """The change that brings an open record up to what the upstream says; ``None`` when it says nothing new.

    Args:
        record: the stored record.
        history: what the upstream tells.
        now: milliseconds.
        largest: bytes that the record may have.
    """
    outcome, current = history.outcome, record["execute_status"]
    if current not in OPEN_STATUSES or outcome.status == "running":
        return None
    if current == outcome.status and INTERRUPT.of(record) == outcome.interrupt:
        return None
    return RecordChange.of(
        now,
        status=outcome.status,
        metadata=_metadata(outcome, history)
        | {TRANSITION.name: {"from": current, "to": outcome.status, "at": now, "because": outcome.proof}}
        | _end(record, history, now),
        only_from=frozenset({current}),
        fields=_fields(outcome, history, record["node_execute_status"]),
        cleared=("error_code", "error_message"),
        largest=largest,
    )


def _end(record: Mapping[str, Any], history: RunHistory, now: int) -> dict[str, object]:
    """When the run ended, where the upstream says so: we hear of it later."""
    if history.update_time is None or history.outcome.status not in _ENDED:
        return {}
    # The upstream tells the second in which it ended: its middle is nearest to the truth. None ends before it began.
    is_whole = history.update_time % 1_000 == 0
    ended = min(now, history.update_time + 500) if is_whole else history.update_time
    return {ENDED_AT.name: max(record["create_time"], ended)}


def document_of(
    workflow_id: str, execute_id: str, history: RunHistory, upstream_id: str, now: int, account: str
) -> Document:
    """A record of a run that happened elsewhere, as far as the upstream tells of it.

    Args:
        workflow_id: the workflow.
        execute_id: the record's own id.
        history: what the upstream tells; the record's times are the upstream's.
        upstream_id: the id that the run has upstream.
        now: milliseconds, where the upstream tells no time.
        account: the account that was asked.
    """
    outcome = history.outcome
    metadata = {
        ACCOUNT.name: account,
        FETCHED_AT.name: now,
        COZE_EXECUTE_ID.name: upstream_id,
        **_metadata(outcome, history),
    }
    found = {
        **_fields(outcome, history, None),
        "execute_id": execute_id,
        "create_time": history.create_time or now,
        "execute_status": outcome.status,
        "update_time": max(history.create_time or 0, history.update_time or now),
        "run_mode": history.run_mode,
        "bot_id": history.bot_id,
        "connector_id": history.connector_id,
        "connector_uid": history.connector_uid,
        "metadata": metadata,
    }
    document = adopt_record(found, workflow_id, now)
    assert document is not None  # noqa: S101 - its id is one that we have made
    return document


def _fields(outcome: Outcome, history: RunHistory, timeline: object) -> dict[str, object]:
    """The record keys; what we saw of the nodes ourselves is more than the upstream tells of them."""
    nodes = timeline if isinstance(timeline, dict) and timeline else dict(history.nodes) or None
    return {
        "output": outcome.output,
        "error_code": outcome.error_code,
        "error_message": outcome.error_message,
        "debug_url": outcome.debug_url,
        "usage": outcome.usage,
        "node_execute_status": nodes,
        "is_output_trimmed": history.is_output_trimmed,
    }


def _metadata(outcome: Outcome, history: RunHistory) -> dict[str, object]:
    missing = sorted(title for title, node in history.nodes.items() if node.get("is_missing"))
    known: dict[str, object] = {
        COZE_EXECUTE_ID.name: outcome.execute_id,
        LOG_ID.name: outcome.log_id,
        MISSING_OUTPUTS.name: missing or None,
    }
    # Always said: an answered question must not stand there as if it were still asked.
    always = {PROOF.name: outcome.proof, INTERRUPT.name: outcome.interrupt}
    return always | {key: value for key, value in known.items() if value is not None}


def trimmed_nodes(history: RunHistory) -> dict[str, str]:
    """The output nodes whose content may be cut, by title, each with its execution's id: to be asked for one by one."""
    if not history.is_output_trimmed or history.outcome.status not in _COMPLETES:
        return {}
    return {title: node["node_execute_uuid"] for title, node in history.nodes.items() if node["node_execute_uuid"]}


def with_nodes(history: RunHistory, whole: Mapping[str, str], asked: Collection[str]) -> RunHistory:
    """*history* with the contents that were got whole; those of *asked* that were not are marked as missing."""
    nodes: dict[str, dict[str, Any]] = {}
    for title, node in history.nodes.items():
        if title in whole:
            nodes[title] = {**node, "content": whole[title]}
        else:
            nodes[title] = {**node, "is_missing": True} if title in asked else node
    return replace(history, nodes=nodes)
