"""What the editions of Coze have in common, and what differs between them."""

from collections.abc import Mapping
from typing import Literal, Protocol

from execution_history.sandbox.chats import ChatTurn
from execution_history.sandbox.errors import Refusal
from execution_history.sandbox.executions import Execution, Interruption
from execution_history.sandbox.requests import ChatRequest
from execution_history.sandbox.step_queue import StreamStep
from execution_history.sandbox.steps import Failure, Finished

Flavour = Literal["coze", "studio"]
"""The edition a sandbox stands for: coze.cn and coze.com, or the open-source Coze Studio (protocol section 6)."""


class StreamWriter(Protocol):
    """Puts the steps of one stream into bytes."""

    def opening(self) -> bytes:
        """Return what is sent before anything has happened."""

    def frame(self, step: StreamStep) -> bytes:
        """Return the bytes of the next step, empty when it is not shown."""


class Dialect(Protocol):
    """The wire of one edition; pure."""

    @property
    def log_id_header(self) -> str:
        """The response header that carries a request's log id."""

    @property
    def stream_type(self) -> str:
        """The content type of streams."""

    @property
    def unauthenticated(self) -> Refusal:
        """The answer to a request without the right token."""

    @property
    def resumes_as_started(self) -> bool:
        """Whether only a streamed run can be resumed with ``stream_resume``."""

    def no_such_path(self, status: int, reason: str) -> Refusal:
        """Return the answer to a path or a method that does not exist."""

    def check_chat(self, request: ChatRequest) -> None:
        """Check what this edition requires of a chat beyond its form; raises ``RefusedError``."""

    def refused(self, log_id: str, refusal: Refusal) -> tuple[Mapping[str, object], int]:
        """Return the body of a refusal that has a code, and its HTTP status."""

    def envelope(self, log_id: str, data: object) -> Mapping[str, object]:
        """Return the body of an answer that has ``data``."""

    def started(self, log_id: str, execution: Execution) -> Mapping[str, object]:
        """Return the body that answers an asynchronous run or resume."""

    def outcome(
        self, log_id: str, execution: Execution, ending: Finished | Failure | Interruption
    ) -> Mapping[str, object]:
        """Return the body that answers a synchronous run or resume which came to ``ending``."""

    def stream(self, execution: Execution) -> StreamWriter:
        """Return the writer of a run's stream."""

    def chat(self, turn: ChatTurn) -> StreamWriter:
        """Return the writer of a chat's stream."""
