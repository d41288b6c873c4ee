"""The history of a run on its way to a caller that polls it, read in passing to bring the run's record up to it."""

from typing import Final

import httpx

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import (
    HistoryRefusal,
    HistoryRequest,
    RunHistory,
    history_request,
    read_history,
)

_LARGEST: Final = 64 * 1024 * 1024


class PassingHistory:
    """A copy of one answer to a request for a run's history. No I/O.

    Args:
        call: the request.
        response: its answer, of which only the head is read here.
    """

    def __init__(self, call: HistoryRequest, response: httpx.Response) -> None:
        self.call = call
        self._status_code = response.status_code
        self._decoder = ContentDecoder(response.headers.get("content-encoding", ""))
        self._room = _LARGEST
        self._chunks: list[bytes] = []

    @classmethod
    def of(cls, request: httpx.Request, response: httpx.Response) -> "PassingHistory | None":
        """Return the copy to be made of *response*; ``None`` where it is not the history of a whole run."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        call = history_request(request.method, path, query)
        return None if call is None or call.node_execute_uuid is not None else cls(call, response)

    def receive_data(self, chunk: bytes) -> None:
        """Copy a chunk of the body, up to a bound that no history reaches."""
        self._room -= len(chunk)
        if self._room >= 0:
            self._chunks.append(chunk)

    def end(self) -> RunHistory | None:
        """Return the history, once the body is whole; ``None`` where it has no end of the run."""
        if self._room < 0:
            return None
        history = read_history(self._status_code, self._decoder.decode(b"".join(self._chunks)))
        return None if isinstance(history, HistoryRefusal) or history.outcome.status == "running" else history
