"""The history of a run on its way to a caller that polls it, read in passing to bring the run's record up to it."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

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

Learn = Callable[[HistoryRequest, RunHistory], Any]


class PassingHistory(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of one answer to a request for a run's history, which is copied while it is read.

    Args:
        call: the request.
        response: its answer.
        learn: is called, or awaited, with the request and the history once the body has come whole and says how the run
            ended.
    """

    def __init__(self, call: HistoryRequest, response: httpx.Response, learn: Learn) -> None:
        self._call = call
        self._learn = learn
        self._stream: Any = response.stream
        self._status_code = response.status_code
        self._decoder = ContentDecoder(response.headers.get("content-encoding", ""), LARGEST_HISTORY)
        self._content_type = response.headers.get("content-type")
        self._room = LARGEST_HISTORY
        self._chunks: list[bytes] = []

    @classmethod
    def follow(cls, request: httpx.Request, response: httpx.Response, learn: Learn) -> None:
        """Read the body of *response* in passing, where it is the history of a whole run."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        call = history_request(request.method, path, query)
        if call is not None and call.node_execute_uuid is None:
            response.stream = cls(call, response, learn)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._copy(chunk)
            yield chunk
        if (history := self._history()) is not None:
            self._learn(self._call, history)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._copy(chunk)
            yield chunk
        if (history := self._history()) is not None:
            await self._learn(self._call, history)

    def close(self) -> None:
        """Close the body."""
        self._stream.close()

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()

    def _copy(self, chunk: bytes) -> None:
        """Keep a chunk of the body, up to a bound that no history reaches."""
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)

    def _history(self) -> RunHistory | None:
        """Return the history, once the body is whole; ``None`` where it has no end of the run."""
        if self._room < 0:
            return None
        body = self._decoder.decode(b"".join(self._chunks))
        history = read_history(self._status_code, body, self._content_type, self._call.execute_id)
        return None if isinstance(history, HistoryRefusal) or history.outcome.status == "running" else history
