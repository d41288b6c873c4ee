"""A record rendered as Coze's own history of the run, valid for every SDK (coze-protocol 2.4, 3.2, 4.2).

Pure: values in, bytes out.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson

from execution_history.coze.protocol.messages import execute_id_of_event, text
from execution_history.coze.protocol.run_history import HistoryRefusal, read_history
from execution_history.records.depth import LEVELS
from execution_history.records.encoding import as_text, encode
from execution_history.records.metadata import COZE_EXECUTE_ID, INTERRUPT, LOG_ID, OUTPUT_TEXT
from execution_history.records.timeline import Node, nodes_of
from execution_history.records.usage import usage_of

_END: Final = "Output"


def render_history(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as the one entry of a ``run_histories`` answer that every SDK accepts (coze-protocol 3.2)."""
    interrupt = INTERRUPT.of(record)
    status = {"success": "Success", "failed": "Fail"}.get(record["execute_status"], "Running")
    code, message = _error(record["error_code"], record["error_message"])
    entry = {
        "execute_id": text(COZE_EXECUTE_ID.raw(record)) or record["execute_id"],
        "execute_status": status,
        "run_mode": record["run_mode"] if record["run_mode"] in (0, 1, 2) else 1,
        "bot_id": text(record["bot_id"]) or "0",
        "connector_id": text(record["connector_id"]) or "1024",
        "connector_uid": text(record["connector_uid"]) or "0",
        "create_time": record["create_time"] // 1000,
        "update_time": record["update_time"] // 1000,
        "output": _outputs(record) if status == "Success" else "",
        "node_execute_status": {node.name: _node(node) for node in _output_nodes(record)},
        "token": "0",
        "is_output_trimmed": record["is_output_trimmed"] is True,
        "logid": text(LOG_ID.raw(record)) or "",
        "error_code": code,
        "error_message": message,
        "debug_url": record["debug_url"] or "",
    }
    usage = _usage(record["usage"])
    if usage is not None:
        entry["usage"] = usage
    if record["execute_status"] == "interrupted" and interrupt is not None:
        entry["interrupt_data"] = interrupt
    return entry


def render_node(record: Mapping[str, Any], node_execute_uuid: str) -> dict[str, Any] | None:
    """Return the output of a record's output node as ``execute_nodes`` answers it (coze-protocol 1.8).

    ``None`` where the record has no such node.
    """
    for node in _output_nodes(record):
        if node.node_execute_uuid == node_execute_uuid:
            return {"is_finish": node.is_finish is True, "node_output": node.text}
    return None


def _output_nodes(record: Mapping[str, Any]) -> list[Node]:
    """Return the nodes whose outputs a history has besides the end node's."""
    nodes = nodes_of(record["node_execute_status"])
    return [node for node in nodes if node.node_execute_uuid and (node.node_type or "").lower() != "end"]


def _outputs(record: Mapping[str, Any]) -> str:
    outputs = {_END: OUTPUT_TEXT.of(record) or as_text(record["output"])}
    outputs |= {node.name: node.text for node in _output_nodes(record)}
    return encode(outputs).decode()


def _error(code: object, message: object) -> tuple[str, str]:
    """Return the code as a decimal string, which Python and Go both parse (coze-protocol 1.6), and the message.

    Any other code becomes a part of the message.
    """
    digits = "" if code is None else str(code)
    sentence = message if isinstance(message, str) else ""
    return (digits, sentence) if digits.isdecimal() or not digits else ("", f"{digits}: {sentence}")


def _node(node: Node) -> dict[str, Any]:
    return {
        "node_id": node.node_id or node.name,
        "is_finish": node.is_finish is True,
        "update_time": (node.update_time or 0) // 1000,
        "node_execute_uuid": node.node_execute_uuid,
        "loop_index": node.others.get("loop_index") or 0,
        "batch_index": node.others.get("batch_index") or 0,
        "sub_execute_id": "0",
    }


def _usage(usage: object) -> dict[str, int] | None:
    if not isinstance(usage, dict):
        return None
    known = usage_of(usage)
    return {"input_count": known.input or 0, "output_count": known.output or 0, "token_count": known.total or 0}


def translate_studio(body: bytes, content_type: str | None = None) -> bytes | None:
    """Translate Studio's history of a run to the official shape; ``None`` where *body* is not one.

    Its ids are numbers there, and its names differ (coze-protocol, section 6).
    """
    history = read_history(200, body, content_type)
    if isinstance(history, HistoryRefusal):
        return None
    outcome = history.outcome
    rendered = render_history(
        {
            **history.fields(),
            "execute_id": outcome.execute_id or execute_id_of_event((outcome.interrupt or {}).get("event_id")) or "0",
            "execute_status": outcome.status,
            "create_time": history.create_time or 0,
            "update_time": history.update_time or history.create_time or 0,
            "node_execute_status": dict(history.nodes),
            "metadata": outcome.metadata(),
        }
    )
    return envelope([rendered], outcome.log_id or "")


def envelope(data: object, log_id: str = "") -> bytes:
    """Return *data* as Coze answers it (coze-protocol 1.1), in ASCII so that no SDK stumbles over a line separator."""
    return _ascii({"code": 0, "msg": "", "data": data, "detail": {"logid": log_id}})


def refusal(code: int, message: str, request_id: str | None = None) -> bytes:
    """Return an error as the envelope that all four SDKs understand (coze-protocol 4.2), with an id of our own log."""
    detail = {"logid": ""} if request_id is None else {"logid": "", "request_id": request_id}
    return _ascii({"code": code, "msg": message, "detail": detail})


def _ascii(content: object) -> bytes:
    # orjson cannot escape.
    try:
        text = json.dumps(content, separators=(",", ":"))
    except RecursionError:
        text = json.dumps(orjson.loads(encode(content, levels=LEVELS)), separators=(",", ":"))
    return text.encode()
