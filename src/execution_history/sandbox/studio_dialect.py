"""The wire of Coze Studio, the open-source edition, where it deviates (protocol section 6); pure."""

from collections.abc import Mapping

from execution_history.sandbox.bodies import studio_debug_url
from execution_history.sandbox.chats import ChatTurn
from execution_history.sandbox.dialect import StreamWriter
from execution_history.sandbox.errors import Refusal, bad_request
from execution_history.sandbox.executions import ExecuteStatus, Execution, Interruption
from execution_history.sandbox.json_text import to_text
from execution_history.sandbox.requests import ChatRequest
from execution_history.sandbox.sse import ChatWriter, RunWriter
from execution_history.sandbox.steps import Failure, Finished
from execution_history.sandbox.workflows import Workflow

_AUTHENTICATION_FAILED = 700012006
_INTERRUPT_NOT_SUPPORTED = 6039
_COST = "0.00000"
_UNSET = "<UNSET>"


class StudioDialect:
    """What the source of Coze Studio does."""

    log_id_header = "X-Log-ID"
    stream_type = "text/event-stream; charset=utf-8"
    resumes_as_started = False
    unauthenticated = Refusal(_AUTHENTICATION_FAILED, "authentication failed: api key invalid", 401)

    def no_such_path(self, status: int, reason: str) -> Refusal:  # noqa: ARG002  part of what a dialect promises
        """Return the refusal that requires a web session: Studio opens only some paths to tokens."""
        return Refusal(_AUTHENTICATION_FAILED, "authentication failed: missing session_key in cookie", 401)

    def check_chat(self, request: ChatRequest) -> None:
        """Check that the user speaks last, and in a conversation that has an id or a name.

        Raises:
            RefusedError: 400 when that is not so.

        """
        if not request.is_user_last:
            raise bad_request("the role of the last message must be user.")
        if not (request.conversation_id or request.conversation_name):
            raise bad_request("the parameter 'CONVERSATION_NAME' or a 'conversation_id' is needed.")

    def refused(self, log_id: str, refusal: Refusal) -> tuple[Mapping[str, object], int]:  # noqa: ARG002  as above
        """Return a code and a message alone: the log id is in the header only."""
        code, status = refusal.in_studio or (refusal.code, refusal.status)
        return {"code": code, "msg": refusal.message}, status

    def envelope(self, log_id: str, data: object) -> Mapping[str, object]:  # noqa: ARG002  as above
        """Return ``data`` with a code and a message."""
        return {"code": 0, "msg": "", "data": data}

    def started(self, log_id: str, execution: Execution) -> Mapping[str, object]:  # noqa: ARG002  as above
        """Return where to ask for the outcome."""
        return _run_answer(debug_url=studio_debug_url(execution), execute_id=execution.execute_id)

    def outcome(
        self,
        log_id: str,  # noqa: ARG002  as above
        execution: Execution,
        ending: Finished | Failure | Interruption,
    ) -> Mapping[str, object]:
        """Return what the execution came to; a question is an error, because ``run`` cannot be resumed."""
        address = studio_debug_url(execution)
        match ending:
            case Interruption():
                msg = "interrupt is not supported for a workflow that is run this way"
                return _run_answer(code=_INTERRUPT_NOT_SUPPORTED, msg=msg)
            case Failure(code=code, message=message):
                return _run_answer(code=code, msg=message, debug_url=address)
            case Finished(data=data):
                return _run_answer(
                    data=data, debug_url=address, execute_id=execution.execute_id, token=_tokens(execution), cost=_COST
                )

    def stream(self, execution: Execution) -> StreamWriter:
        """Return a writer of events with ids from 0."""
        return RunWriter(execution, is_studio=True)

    def chat(self, turn: ChatTurn) -> StreamWriter:
        """Return a writer of events with ids from 1."""
        return ChatWriter(turn, is_studio=True)


def history_answer(execution: Execution, *, with_output: bool) -> dict[str, object]:
    """Return a ``get_run_history`` answer: ids are numbers, what is not known is null, and the code is never 0."""
    failure = execution.failure
    waiting = execution.interruption is not None
    is_over = execution.status is ExecuteStatus.SUCCESS
    entry: dict[str, object] = {
        "execute_id": int(execution.execute_id),
        "execute_status": _UNSET if waiting else execution.status.value,
        "bot_id": _number(execution.bot_id) or None,
        "connector_id": _number(execution.connector_id),
        "connector_uid": execution.connector_uid,
        "run_mode": execution.mode.value,
        "log_id": execution.log_id,
        "create_time": execution.create_time,
        "update_time": execution.update_time,
        "debug_url": studio_debug_url(execution),
        "input": to_text(execution.inputs.parameters),
        "output": execution.output.text() if is_over and with_output else None,
        "token": _tokens(execution),
        "cost": _COST,
        "cost_unit": None,
        "ext": None,
        "error_code": None if failure is None else str(failure.code),
        "error_msg": None if failure is None else failure.message,
    }
    return {"data": [entry], "BaseResp": None}


def workflow_answer(workflow: Workflow) -> dict[str, object]:
    """Return what Studio shows of a workflow: the role it plays in chats."""
    role = {
        "id": workflow.workflow_id,
        "workflow_id": workflow.workflow_id,
        "name": workflow.name,
        "description": workflow.description,
    }
    return {"code": 0, "msg": "", "data": {"role": role}, "BaseResp": None}


def conversation_answer(conversation_id: str, created_at: int) -> dict[str, object]:
    """Return what ``conversation/create`` answers; its ids are strings, other than those of a history."""
    data = {"id": conversation_id, "created_at": created_at, "meta_data": None, "last_section_id": conversation_id}
    return {"code": 0, "msg": "", "data": data}


def _run_answer(*, code: int = 0, msg: str | None = None, **known: object) -> dict[str, object]:
    """Return the answer of ``run``, which has all its keys whatever it came to."""
    empty = dict.fromkeys(("data", "token", "cost", "debug_url", "execute_id"))
    return {"code": code, "msg": msg, **empty, **known, "BaseResp": None}


def _tokens(execution: Execution) -> int:
    usage = execution.usage
    return 0 if usage is None else usage.input_count + usage.output_count


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
