"""The sandbox as an ASGI application: the routes of the Coze workflow API (protocol section 1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from execution_history.sandbox.answers import (
    envelope,
    history_object,
    node_object,
    refusal_envelope,
    run_answer,
    started_answer,
    workflow_object,
    workflow_page,
)
from execution_history.sandbox.engine import Engine, find_workflow
from execution_history.sandbox.executions import Execution, Interruption, RunMode
from execution_history.sandbox.jsontext import to_wire
from execution_history.sandbox.middleware import BearerToken, CollapsedSlashes, LogId
from execution_history.sandbox.outlet import Outlet
from execution_history.sandbox.refusal import INTERNAL, NOT_FOUND, Refusal, RefusedError, bad_request, not_found
from execution_history.sandbox.requests import MAX_BODY_BYTES, read_page, read_resume, read_run
from execution_history.sandbox.responses import BrokenConnection, EventStream
from execution_history.sandbox.sse import FrameWriter
from execution_history.sandbox.steps import Cut, Failure, Finished, Hush
from execution_history.sandbox.workflows import WORKFLOWS

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105  public on purpose: the sandbox guards nothing
DEFAULT_DELAY_MS = 1_000
DEFAULT_PACE_MS = 50
_MAX_PAGE_SIZE = 100  # documented as 30, but cozepy asks for 100 unless told otherwise (1.10)


def create_sandbox(
    token: str = DEFAULT_TOKEN, *, delay_ms: int = DEFAULT_DELAY_MS, pace_ms: int = DEFAULT_PACE_MS
) -> Starlette:
    """Return an application that speaks the Coze workflow API offline.

    Args:
        token: the bearer token every request must carry; not empty.
        delay_ms: how long the workflows that are meant to be slow take, in milliseconds, unless a run says so.
        pace_ms: milliseconds between two packets of a message, unless a run says so.

    ``WORKFLOWS`` lists what it can run. Executions are kept in memory and forgotten with the application.

    Raises:
        ValueError: the token is empty.

    """
    return sandbox_application(Engine(delay_ms=delay_ms, pace_ms=pace_ms), token)


def sandbox_application(engine: Engine, token: str) -> Starlette:
    """Return the application around ``engine``, which it closes when its lifespan ends.

    Raises:
        ValueError: the token is empty.

    """
    if not token:
        raise ValueError("The sandbox needs a token that is not empty.")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await engine.aclose()

    app = Starlette(
        routes=_Routes(engine).table(),
        middleware=[
            Middleware(LogId, engine.ids.log_id),
            Middleware(CollapsedSlashes),
            Middleware(BearerToken, token),
        ],
        exception_handlers={
            RefusedError: _answer_refused,
            HTTPException: _answer_http_exception,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_error,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class _Routes:
    """The endpoints, each: read the request, ask the engine, write the answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def table(self) -> list[Route]:
        """Return the routes."""
        history = "/v1/workflows/{workflow_id}/run_histories/{execute_id}"
        return [
            Route("/v1/workflow/run", self.run, methods=["POST"]),
            Route("/v1/workflow/stream_run", self.stream_run, methods=["POST"]),
            Route("/v1/workflow/stream_resume", self.stream_resume, methods=["POST"]),
            Route("/v1/workflows/resume", self.resume, methods=["POST"]),
            Route(history, self.history, methods=["GET"]),
            Route(f"{history}/execute_nodes/{{node_uuid}}", self.node, methods=["GET"]),
            Route("/v1/workflows", self.workflows, methods=["GET"]),
            Route("/v1/workflows/{workflow_id}", self.workflow, methods=["GET"]),
        ]

    async def run(self, request: Request) -> Response:
        """Run to the end, the first question, or in the background (protocol 1.2)."""
        body = read_run(await _body(request))
        mode = RunMode.ASYNC if body.is_async else RunMode.SYNC
        execution, outlet = self._engine.start(body, mode, request.state.log_id)
        return await _answer_outcome(request, execution, outlet)

    async def stream_run(self, request: Request) -> Response:
        """Run and stream what happens (protocol 1.3)."""
        body = read_run(await _body(request))
        execution, outlet = self._engine.start(body, RunMode.STREAM, request.state.log_id)
        return EventStream(outlet, FrameWriter(execution))

    async def stream_resume(self, request: Request) -> Response:
        """Answer the question of a streamed run and stream on (protocol 1.4)."""
        execution, outlet = self._engine.resume(read_resume(await _body(request)), streamed=True)
        return EventStream(outlet, FrameWriter(execution))

    async def resume(self, request: Request) -> Response:
        """Answer the question of a run that was not streamed (protocol 1.5)."""
        execution, outlet = self._engine.resume(read_resume(await _body(request)), streamed=False)
        return await _answer_outcome(request, execution, outlet)

    async def history(self, request: Request) -> Response:
        """Tell one execution's state (protocol 1.6)."""
        path = request.path_params
        execution, with_output = self._engine.recall(path["workflow_id"], path["execute_id"])
        return _json(envelope(request.state.log_id, {"data": [history_object(execution, with_output=with_output)]}))

    async def node(self, request: Request) -> Response:
        """Tell what an output node put out (protocol 1.8)."""
        path = request.path_params
        data = node_object(self._engine.find(path["workflow_id"], path["execute_id"]), path["node_uuid"])
        if data is None:
            raise not_found("This execution has no output node with such a node_execute_uuid.")
        return _json(envelope(request.state.log_id, {"data": data}))

    async def workflows(self, request: Request) -> Response:
        """List the sandbox's workflows (protocol 1.10)."""
        page_num, page_size = read_page(request.query_params, most=_MAX_PAGE_SIZE)
        listed = list(WORKFLOWS.values())
        if request.query_params.get("publish_status") == "published_online":
            listed = [
                entry
                for entry in listed
                if not (isinstance(entry.behaviour, Refusal) and entry.behaviour.code == NOT_FOUND)
            ]
        return _json(envelope(request.state.log_id, {"data": workflow_page(listed, page_num, page_size)}))

    async def workflow(self, request: Request) -> Response:
        """Describe one workflow (protocol 1.10)."""
        detail = workflow_object(find_workflow(request.path_params["workflow_id"]))
        return _json(envelope(request.state.log_id, {"data": {"workflow_detail": detail}}))


async def _answer_outcome(request: Request, execution: Execution, outlet: Outlet) -> Response:
    if execution.mode is RunMode.ASYNC:
        outlet.abandon()
        return _json(started_answer(request.state.log_id, execution))
    try:
        while (step := await outlet.get()) is not None:
            match step:
                case Finished() | Failure() | Interruption():
                    return _json(run_answer(request.state.log_id, execution, step))
                case Cut(reset=reset):
                    return BrokenConnection(reset=reset)
                case Hush():
                    return Response(b"", media_type="application/json")
        return BrokenConnection()
    finally:
        outlet.abandon()


async def _body(request: Request) -> bytes:
    """Return the request's body, refusing to read more than the documented limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise bad_request(f"the body is larger than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _json(answer: dict[str, object], status: int = 200) -> Response:
    return Response(to_wire(answer), status, media_type="application/json")


def _answer_refusal(request: Request, refusal: Refusal) -> Response:
    if refusal.code is None:
        return Response(refusal.message, refusal.status, media_type="text/html")
    return _json(refusal_envelope(request.state.log_id, refusal), refusal.status)


async def _answer_refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return _answer_refusal(request, error.refusal)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    reason = f"{request.method} {request.url.path}: {error.detail}."
    return _answer_refusal(request, Refusal(error.status_code, reason, error.status_code))


async def _answer_nobody(_: Request, _error: Exception) -> Response:
    return Response()


async def _answer_error(request: Request, _: Exception) -> Response:
    fault = Refusal(INTERNAL, "The sandbox has a fault; its log says where.", 500)
    answer = _answer_refusal(request, fault)
    answer.headers["x-tt-logid"] = request.state.log_id  # Starlette answers faults outside our middleware
    return answer
