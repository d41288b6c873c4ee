"""The endpoints that every edition of Coze has, each: read the request, ask the engine, write the answer."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from execution_history.sandbox.bodies import file_object
from execution_history.sandbox.chats import Chats
from execution_history.sandbox.dialect import Dialect
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.executions import Execution, Interruption, RunMode
from execution_history.sandbox.files import UploadedFile, paced_bytes, read_upload
from execution_history.sandbox.requests import read_chat, read_resume, read_run, read_settings
from execution_history.sandbox.responses import BrokenConnection, EventStream, json_response, read_body
from execution_history.sandbox.step_queue import Outlet
from execution_history.sandbox.steps import Cut, Failure, Finished, Hush
from execution_history.sandbox.workflows import NO_PACE, SWITCHED_OFF, Setting

DOWNLOAD_SETTINGS = {"size": Setting(1_048_576, 10_000_000_000), "pace_ms": NO_PACE, "gzip": SWITCHED_OFF}
"""What the query of ``/v1/sandbox/bytes`` may say."""

_MOST_FILES = 1_000


class Routes:
    """Running workflows, chatting with them, and files; ``dialect`` decides how the answers look."""

    def __init__(self, engine: Engine, dialect: Dialect) -> None:
        self._engine = engine
        self._dialect = dialect
        self._chats = Chats(engine)
        self._files: dict[str, UploadedFile] = {}

    def table(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/workflow/run", self.run, methods=["POST"]),
            Route("/v1/workflow/stream_run", self.stream_run, methods=["POST"]),
            Route("/v1/workflow/stream_resume", self.stream_resume, methods=["POST"]),
            Route("/v1/workflows/chat", self.chat, methods=["POST"]),
            Route("/v1/files/upload", self.upload, methods=["POST"]),
            Route("/v1/sandbox/bytes", self.download, methods=["GET"]),
        ]

    async def run(self, request: Request) -> Response:
        """Run to the end, the first question, or in the background (protocol 1.2)."""
        body = read_run(await read_body(request))
        mode = RunMode.ASYNC if body.is_async else RunMode.SYNC
        execution, outlet = self._engine.start(body, mode, request.state.log_id)
        return await self._answer_outcome(request, execution, outlet)

    async def stream_run(self, request: Request) -> Response:
        """Run and stream what happens (protocol 1.3)."""
        body = read_run(await read_body(request))
        execution, outlet = self._engine.start(body, RunMode.STREAM, request.state.log_id)
        return EventStream(outlet, self._dialect.stream(execution), self._dialect.stream_type, execution.open_ms())

    async def stream_resume(self, request: Request) -> Response:
        """Answer the question of a run and stream on (protocol 1.4)."""
        body = read_resume(await read_body(request))
        mode = RunMode.STREAM if self._dialect.resumes_as_started else None
        execution, outlet = self._engine.resume(body, mode)
        return EventStream(outlet, self._dialect.stream(execution), self._dialect.stream_type, execution.open_ms())

    async def chat(self, request: Request) -> Response:
        """Say something in a conversation and stream what it leads to (protocol 1.9)."""
        body = read_chat(await read_body(request))
        self._dialect.check_chat(body)
        turn, outlet = self._chats.with_workflow(body, request.state.log_id)
        return EventStream(outlet, self._dialect.chat(turn), self._dialect.stream_type, turn.execution.open_ms())

    async def upload(self, request: Request) -> Response:
        """Take a file as the part ``file`` of a multipart form: only its size and name are kept."""
        name, size = await read_upload(request)
        uploaded = UploadedFile(self._engine.ids.next_id(), name, size, self._engine.second())
        self._files[uploaded.file_id] = uploaded
        if len(self._files) > _MOST_FILES:
            del self._files[next(iter(self._files))]
        return self._tell(request, file_object(uploaded))

    async def download(self, request: Request) -> Response:
        """Send ``size`` bytes, with ``pace_ms`` after every 64 KB, packed if ``gzip`` is 1; Coze has no such path."""
        settings = read_settings(request.query_params, DOWNLOAD_SETTINGS, {})
        is_packed = settings["gzip"] == 1
        headers = {"content-encoding": "gzip"} if is_packed else {"content-length": str(settings["size"])}
        body = paced_bytes(settings["size"], settings["pace_ms"], is_packed=is_packed)
        return StreamingResponse(body, headers=headers, media_type="application/octet-stream")

    async def _answer_outcome(self, request: Request, execution: Execution, outlet: Outlet) -> Response:
        log_id = request.state.log_id
        try:
            if execution.mode is RunMode.ASYNC:
                return json_response(self._dialect.started(log_id, execution))
            while (step := await outlet.get()) is not None:
                match step:
                    case Finished() | Failure() | Interruption():
                        return json_response(self._dialect.outcome(log_id, execution, step))
                    case Cut(reset=reset):
                        return BrokenConnection(reset=reset)
                    case Hush():
                        return Response(b"", media_type="application/json")
            return BrokenConnection()
        finally:
            outlet.abandon()

    def _tell(self, request: Request, data: object) -> Response:
        return json_response(self._dialect.envelope(request.state.log_id, data))
