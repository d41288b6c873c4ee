"""Answers on their way to a caller that are read in passing: histories that it polls, and names of workflows."""

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import httpx

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import (
    LARGEST_HISTORY,
    HistoryRefusal,
    HistoryRequest,
    RunHistory,
    history_request,
    read_history,
)
from execution_history.coze.protocol.workflow_names import LARGEST_NAMES, NamedWorkflows, may_name, read_names

_log = logging.getLogger("execution_history.coze")

LearnHistory = Callable[[HistoryRequest, RunHistory], Any]
LearnNames = Callable[[NamedWorkflows], Any]

_OK: Final = 200


class PassingBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of one answer, which is copied while it is read.

    Args:
        response: the answer.
        largest: the most bytes that are copied; of a larger body nothing is read.
        learn: is called, or awaited, with the decoded body once it has come whole.
    """

    def __init__(self, response: httpx.Response, largest: int, learn: Callable[[bytes], Any]) -> None:
        self._learn = learn
        self._stream: Any = response.stream
        self._decoder = ContentDecoder(response.headers.get("content-encoding", ""), largest)
        self._room = largest
        self._chunks: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._copy(chunk)
            yield chunk
        self._read()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._copy(chunk)
            yield chunk
        if inspect.isawaitable(learning := self._read()):
            await learning

    def close(self) -> None:
        """Close the body."""
        self._stream.close()

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()

    def _copy(self, chunk: bytes) -> None:
        """Keep a chunk of the body, up to a bound that no answer of Coze's reaches."""
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)

    def _read(self) -> Any:  # noqa: ANN401 - whatever learning returns
        return None if self._room < 0 else self._learn(self._decoder.decode(b"".join(self._chunks)))


def follow_answer(request: httpx.Request, response: httpx.Response, history: LearnHistory, names: LearnNames) -> None:
    """Read the body of *response* in passing, where it is the history of a whole run, or names workflows.

    Args:
        request: the request.
        response: its answer; its stream is replaced.
        history: is called, or awaited, with the request and the history, where it has the end of the run.
        names: is called with the names, where there are any.
    """
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    content_type, status_code = response.headers.get("content-type"), response.status_code
    call = history_request(request.method, path, query)
    if call is not None and call.node_execute_uuid is None:

        def learn_history(body: bytes) -> Any:  # noqa: ANN401 - whatever learning returns
            found = read_history(status_code, body, content_type, call.execute_id)
            is_over = not isinstance(found, HistoryRefusal) and found.outcome.status != "running"
            return history(call, found) if is_over else None  # type: ignore[arg-type] # no refusal is over

        response.stream = PassingBody(response, LARGEST_HISTORY, learn_history)
    elif status_code == _OK and may_name(request.method, path):

        def learn_names(body: bytes) -> None:
            try:
                if (found := read_names(body, content_type)).names:
                    names(found)
            except Exception:  # noqa: BLE001 - what goes wrong here must not keep the answer from its caller
                _log.exception("The names of workflows in an answer could not be read")

        response.stream = PassingBody(response, LARGEST_NAMES, learn_names)
