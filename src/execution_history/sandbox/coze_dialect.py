"""The wire of coze.cn and coze.com."""

from collections.abc import Mapping

from execution_history.sandbox.bodies import envelope, refusal_envelope, run_answer, started_answer
from execution_history.sandbox.chats import ChatTurn
from execution_history.sandbox.dialect import StreamWriter
from execution_history.sandbox.errors import AUTHENTICATION_INVALID, Refusal, bad_request
from execution_history.sandbox.executions import Execution, Interruption
from execution_history.sandbox.requests import ChatRequest
from execution_history.sandbox.sse import ChatWriter, RunWriter
from execution_history.sandbox.steps import Failure, Finished


class CozeDialect:
    """What the documentation of coze.cn promises (protocol sections 1 and 2)."""

    log_id_header = "x-tt-logid"
    stream_type = "text/event-stream"
    resumes_as_started = True
    unauthenticated = Refusal(
        AUTHENTICATION_INVALID,
        "authentication is invalid: send the header 'Authorization: Bearer <the sandbox's token>'.",
        status=401,
    )

    def no_such_path(self, status: int, reason: str) -> Refusal:
        """Return a refusal whose code is the HTTP status."""
        return Refusal(status, reason, status)

    def check_chat(self, request: ChatRequest) -> None:
        """Check that the chat belongs to a bot or to an app (protocol 1.9).

        Raises:
            RefusedError: 4000 when it belongs to neither.

        """
        if not request.owner_id:
            raise bad_request("one of 'bot_id' and 'app_id' is needed.")

    def refused(self, log_id: str, refusal: Refusal) -> tuple[Mapping[str, object], int]:
        """Return the common envelope with the refusal's code."""
        return refusal_envelope(log_id, refusal), refusal.status

    def envelope(self, log_id: str, data: object) -> Mapping[str, object]:
        """Return the common envelope with ``data``."""
        return envelope(log_id, {"data": data})

    def started(self, log_id: str, execution: Execution) -> Mapping[str, object]:
        """Return where to ask for the outcome."""
        return started_answer(log_id, execution)

    def outcome(
        self, log_id: str, execution: Execution, ending: Finished | Failure | Interruption
    ) -> Mapping[str, object]:
        """Return what the execution came to."""
        return run_answer(log_id, execution, ending)

    def stream(self, execution: Execution) -> StreamWriter:
        """Return a writer of events with ids from 0."""
        return RunWriter(execution, is_studio=False)

    def chat(self, turn: ChatTurn) -> StreamWriter:
        """Return a writer of events without ids."""
        return ChatWriter(turn, is_studio=False)
