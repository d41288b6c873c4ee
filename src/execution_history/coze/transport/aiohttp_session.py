"""aiohttp's client as a proxy needs it: it adds nothing, keeps nothing, repeats nothing and reads long headers."""

import ssl
from typing import Any, Final

import aiohttp
import httpx
from yarl import URL

_IDLE_SECONDS: Final = 5.0  # httpx keeps an idle connection as long
_LONGEST_HEADER: Final = 120 * 1024
_MOST_HEADERS: Final = 1_000
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_REPEATED: Final = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)
"""The errors after which aiohttp sends a request without a body once more."""


class UnusableConnectionError(aiohttp.ClientError):
    """Bytes came from the upstream on an idle connection; nothing was sent on it."""


class BrokenConnectionError(aiohttp.ClientError):
    """The connection broke before the answer began; its cause is aiohttp's own error."""


class _Request(aiohttp.ClientRequest):
    """A request that is not sent where an answer waits already, which would be taken for its own."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:  # noqa: ANN401 - a class that aiohttp keeps to itself
        """Send the request.

        Raises:
            UnusableConnectionError: something has come on the connection since its last answer.
            BrokenConnectionError: it broke.
        """
        if conn.protocol.should_close:
            raise UnusableConnectionError
        try:
            return await super().send(conn)
        except _REPEATED as error:
            raise BrokenConnectionError from error


class _Response(aiohttp.ClientResponse):
    """A response whose failure to begin does not make aiohttp send the request again."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:  # noqa: ANN401 - as above
        """Read the head.

        Raises:
            BrokenConnectionError: the connection broke.
        """
        try:
            return await super().start(connection)
        except _REPEATED as error:
            raise BrokenConnectionError from error


def open_session(tls: ssl.SSLContext, **more: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - options of aiohttp's
    """Return a session without a limit of connections, for the event loop that is running.

    Args:
        tls: the certificates to trust.
        more: further options of aiohttp's session.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=_IDLE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_NOT_ADDED,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
        max_headers=_MOST_HEADERS,
        request_class=_Request,
        response_class=_Response,
        **more,
    )


def as_yarl(url: httpx.URL) -> URL:
    """Return *url* for aiohttp, character for character, without the credentials that it may have."""
    return URL(f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}", encoded=True)
