"""A synchronous transport for those who await: each request in a thread of its own."""

import asyncio

import httpx

from execution_history.coze.protocol.run_history import LARGEST_HISTORY
from execution_history.coze.transport.sync_call import stream_of


class ThreadedTransport(httpx.AsyncBaseTransport):
    """Sends requests through a synchronous transport, with its proxies and certificates, and reads the answers whole.

    Args:
        inner: does the work; it stays its owner's to close.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; a caller who is cancelled does not wait for the thread.

        Raises:
            httpx.TransportError: the inner transport raised it, or the answer is too large.
        """
        return await asyncio.to_thread(self._answer, request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        body = bytearray()
        try:
            for chunk in stream_of(response):
                body += chunk
                if len(body) > LARGEST_HISTORY:
                    raise httpx.ReadError("The answer is larger than any history.", request=request)
        finally:
            response.close()
        stream = httpx.ByteStream(bytes(body))
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)
