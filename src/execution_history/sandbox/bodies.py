"""The JSON answers: what a run, a history or a node looks like on the wire (protocol 1.1 to 1.8); pure."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

from execution_history.sandbox.errors import Refusal
from execution_history.sandbox.executions import ExecuteStatus, Execution, Interruption
from execution_history.sandbox.files import UploadedFile
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.steps import Failure, Finished, Usage
from execution_history.sandbox.workflows import Workflow

SPACE_ID = "7000000000000000000"
_TABLE_TIME = "1735689600"


def envelope(log_id: str, fields: Mapping[str, object], *, code: int = 0, msg: str = "") -> dict[str, object]:
    """Return the common envelope with ``fields`` as siblings (protocol 1.1)."""
    return {"code": code, "msg": msg, **fields, "detail": {"logid": log_id}}


def refusal_envelope(log_id: str, refusal: Refusal) -> dict[str, object]:
    """Return the envelope of a refused request, which never has a ``debug_url``: nothing was executed."""
    return envelope(log_id, {}, code=refusal.code or refusal.status, msg=refusal.message)


def debug_url(execution: Execution) -> str:
    """Return the address of the execution's debug page, which carries its ids in the query (protocol 1.2)."""
    query = {"execute_id": execution.execute_id, "space_id": SPACE_ID, "workflow_id": execution.workflow_id}
    return f"https://www.coze.cn/work_flow?{urlencode(query)}"


def studio_debug_url(execution: Execution) -> str:
    """Return the address of the execution's debug page as Studio writes it."""
    return f"{debug_url(execution)}&execute_mode=2"


def usage_object(usage: Usage) -> dict[str, int]:
    """Return ``usage`` with its total."""
    return {
        "input_count": usage.input_count,
        "output_count": usage.output_count,
        "token_count": usage.input_count + usage.output_count,
    }


def interrupt_object(interruption: Interruption) -> dict[str, object]:
    """Return ``interrupt_data`` (protocol 1.7)."""
    ask = interruption.ask
    found: dict[str, object] = {"event_id": interruption.event_id, "type": ask.kind, "data": ask.data}
    if ask.required_parameters is not None:
        found["required_parameters"] = ask.required_parameters
    return found


def started_answer(log_id: str, execution: Execution) -> dict[str, object]:
    """Return the answer of an asynchronous run or resume: where to ask for the outcome."""
    return envelope(log_id, {"debug_url": debug_url(execution), "execute_id": execution.execute_id})


def run_answer(log_id: str, execution: Execution, ending: Finished | Failure | Interruption) -> dict[str, object]:
    """Return the answer of a synchronous run or resume that came to ``ending``."""
    address = debug_url(execution)
    if isinstance(ending, Failure):
        return envelope(log_id, {"debug_url": address}, code=ending.code, msg=ending.message)
    if isinstance(ending, Interruption):
        return started_answer(log_id, execution) | {"interrupt_data": interrupt_object(ending)}
    fields: dict[str, object] = {"data": ending.data, "debug_url": "" if ending.traceless else address}
    if not ending.traceless:
        fields["execute_id"] = execution.execute_id
    if execution.usage is not None:
        fields["usage"] = usage_object(execution.usage)
    return envelope(log_id, fields)


def history_object(execution: Execution, *, with_output: bool = True) -> dict[str, object]:
    """Return the one entry of a ``run_histories`` answer (protocol 1.6), ``with_output`` while that is kept."""
    failure = execution.failure
    entry: dict[str, object] = {
        "execute_id": execution.execute_id,
        "execute_status": execution.status.value,
        "run_mode": execution.mode.value,
        "bot_id": execution.bot_id,
        "connector_id": execution.connector_id,
        "connector_uid": execution.connector_uid,
        "create_time": execution.create_time,
        "update_time": execution.update_time,
        "output": _history_output(execution) if with_output else "",
        "node_execute_status": _node_statuses(execution) if with_output else {},
        "token": "0",
        "is_output_trimmed": execution.is_output_trimmed() or not with_output,
        "logid": execution.log_id,
        "error_code": "" if failure is None else str(failure.code),
        "error_message": "" if failure is None else failure.message,
        "debug_url": debug_url(execution),
    }
    if execution.usage is not None:
        entry["usage"] = usage_object(execution.usage)
    if execution.interruption is not None:
        entry["interrupt_data"] = interrupt_object(execution.interruption)
    return entry


def node_object(execution: Execution, node_uuid: str) -> dict[str, object] | None:
    """Return all that an output node put out (protocol 1.8), or ``None`` if none with that id is known."""
    entry = execution.output_nodes.get(node_uuid) if execution.is_remembered() else None
    return None if entry is None else {"is_finish": entry.is_finish, "node_output": entry.output.text()}


def workflow_object(workflow: Workflow) -> dict[str, object]:
    """Return one entry of the workflow list (protocol 1.10)."""
    return {
        "workflow_id": workflow.workflow_id,
        "workflow_name": workflow.name,
        "description": workflow.description,
        "icon_url": "",
        "app_id": "0",
        "creator": {"id": "0", "name": "sandbox"},
        "created_at": _TABLE_TIME,
        "updated_at": _TABLE_TIME,
    }


def workflow_page(workflows: Iterable[Workflow], page_num: int, page_size: int) -> dict[str, object]:
    """Return one page of the workflow list; pages count from 1."""
    everything = list(workflows)
    first = (page_num - 1) * page_size
    page = everything[first : first + page_size]
    return {"items": [workflow_object(workflow) for workflow in page], "has_more": len(everything) > first + page_size}


def version_page(workflow: Workflow, versions: Sequence[str], page: slice) -> dict[str, object]:
    """Return the ``page`` of a workflow's ``versions``, the newest of which comes first (protocol 1.10)."""
    has_more = page.stop < len(versions)
    return {
        "items": [_version(workflow, version) for version in versions[page]],
        "has_more": has_more,
        "next_page_token": str(page.stop) if has_more else "",
    }


def _version(workflow: Workflow, version: str) -> dict[str, object]:
    return {
        "version": version,
        "description": f"{workflow.name} {version}",
        "created_at": _TABLE_TIME,
        "updated_at": _TABLE_TIME,
        "workflow_id": workflow.workflow_id,
        "creator": {"id": "0", "name": "sandbox"},
    }


def file_object(uploaded: UploadedFile) -> dict[str, object]:
    """Return what Coze shows of a file."""
    return {
        "id": uploaded.file_id,
        "bytes": uploaded.size,
        "file_name": uploaded.name,
        "created_at": uploaded.created_at,
    }


def _titles(execution: Execution) -> Mapping[str, str]:
    """Return a title for each output node execution, later ones of a repeated title with a suffix."""
    titles: dict[str, str] = {}
    for uuid, entry in execution.output_nodes.items():
        taken = entry.node.title in titles.values()
        titles[uuid] = f"{entry.node.title}_{uuid[:8]}" if taken else entry.node.title
    return titles


def _history_output(execution: Execution) -> str:
    if execution.status is not ExecuteStatus.SUCCESS:
        return ""
    outputs = {"Output": execution.output.shown()}
    for uuid, title in _titles(execution).items():
        outputs[title] = execution.output_nodes[uuid].output.shown()
    return to_text(outputs)


def _node_statuses(execution: Execution) -> dict[str, object]:
    statuses: dict[str, object] = {}
    for uuid, title in _titles(execution).items():
        entry = execution.output_nodes[uuid]
        statuses[title] = {
            "node_id": entry.node.node_id,
            "is_finish": entry.is_finish,
            "update_time": entry.update_time,
            "node_execute_uuid": uuid,
            "loop_index": entry.node.loop_index,
            "batch_index": 0,
            "sub_execute_id": execution.execute_id,
        }
    return statuses
