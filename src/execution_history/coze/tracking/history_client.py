"""Requests for the history of a run, to Coze and to Coze Studio (coze-protocol 1.6, 1.8 and 6)."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import (
    LARGEST_HISTORY,
    HistoryRefusal,
    HistoryRequest,
    RunHistory,
    read_history,
    read_node,
)
from execution_history.errors import ExecutionHistoryError

Authorise = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns the headers that authorise a request, fresh for each; they are kept nowhere."""

OF_ACCOUNT: Final = "execution_history.account"
"""The request extension with the name of the account over whose connections a request goes."""

_TIMEOUT = httpx.Timeout(60, connect=10)


@dataclass(frozen=True, slots=True)
class Address:
    """The base address of an upstream, the authorisation for it, and whose connections lead there.

    ``account`` is the name of an account; ``None`` stands for one that calls this address.
    """

    base_url: str
    authorise: Authorise
    account: str | None = None


def origin_of(url: httpx.URL | str) -> str:
    """Return the scheme, host and port of an address, as a record's ``metadata.upstream`` has them."""
    url = httpx.URL(url) if isinstance(url, str) else url
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


class RunHistoryClient:
    """Requests histories, and remembers which upstreams are Coze Studio.

    Args:
        transport: carries the requests.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self._studios: set[str] = set()

    async def history(self, address: Address, call: HistoryRequest) -> RunHistory | HistoryRefusal:
        """Return the upstream's history of a run. Never raises for what the upstream does."""
        if address.base_url not in self._studios:
            found = await self._request(address, call.path, call.execute_id)
            if not isinstance(found, HistoryRefusal) or found.kind != "studio":
                return found
        found = await self._request(address, call.studio_path, call.execute_id)
        if not isinstance(found, HistoryRefusal):
            self._studios.add(address.base_url)
        return found

    async def node(self, address: Address, call: HistoryRequest) -> str | None:
        """Return the whole output of an output node; ``None`` where the upstream does not have it."""
        answer = await self.get(address, call.path)
        return None if isinstance(answer, HistoryRefusal) else read_node(*answer)

    async def get(self, address: Address, path: str) -> tuple[int, bytes, str | None] | HistoryRefusal:
        """Return the HTTP status, the body and its content type at *path*, or that the upstream is not available."""
        try:
            headers = {"Accept": "application/json", **await address.authorise()}
            extensions: dict[str, Any] = {"timeout": _TIMEOUT.as_dict(), OF_ACCOUNT: address.account}
            request = httpx.Request("GET", address.base_url + path, headers=headers, extensions=extensions)
            response = await self._transport.handle_async_request(request)
            decoder = ContentDecoder(response.headers.get("content-encoding", ""), LARGEST_HISTORY)
            body = await read_body(response, decoder.decode, LARGEST_HISTORY)
            return response.status_code, body, response.headers.get("content-type")
        except ExecutionHistoryError as error:
            return HistoryRefusal("unavailable", str(error))
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            return HistoryRefusal("unavailable", f"The upstream could not be reached ({reason}).")

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    async def _request(self, address: Address, path: str, execute_id: str) -> RunHistory | HistoryRefusal:
        answer = await self.get(address, path)
        return answer if isinstance(answer, HistoryRefusal) else read_history(*answer, execute_id)


def stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    """Return the body of a response from an asynchronous transport, chunk by chunk."""
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx gives an async transport no other
    return response.stream


async def read_body(
    response: httpx.Response, decode: Callable[[bytes], bytes] = bytes, largest: int = sys.maxsize
) -> bytes:
    """Return the whole body of a response, and give its connection back.

    Args:
        response: comes from an asynchronous transport.
        decode: decodes a chunk; they stay as they are unless given.
        largest: the most decoded bytes that are read.

    Raises:
        httpx.TransportError: the upstream broke off, or the body is larger.
    """
    body = bytearray()
    try:
        async for chunk in stream_of(response):
            body += decode(chunk)
            if len(body) > largest:
                raise httpx.ReadError("The body is larger than any history.")
    finally:
        await response.aclose()
    return bytes(body)
