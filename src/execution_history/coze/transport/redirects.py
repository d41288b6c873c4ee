"""Redirects of recorded calls: 307 and 308 repeat the call elsewhere, and all its hops are one run.

The gateway follows them itself within the accounts' own hosts and hands on the final answer: the one exception to its
promise that what the upstream answers passes as it is. Every other redirect passes, and a transport leaves all of them
to its caller's client.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import httpx

from execution_history.coze.protocol.messages import RunRequest
from execution_history.coze.tracking.history_client import origin_of
from execution_history.coze.transport.recorded_call import REPEATING
from execution_history.recording.open_record import Recording

_MOST_HOPS: Final = 10
_HOP: Final = "execution_history.hop"


@dataclass(slots=True)
class Hop:
    """A redirect that the caller's client may follow, and whose record stays open so long.

    httpx gives a request's extensions, and its body, to the request that follows a redirect. Only a request with this
    hop in its extensions, to the address that the redirect named and with the very same body, goes on with the record.

    Attributes:
        target: where the redirect leads.
        stream: the body.
        run: what is requested.
        recording: the open record.
        first: the request before all redirects.
    """

    target: httpx.URL
    stream: object
    run: RunRequest
    recording: Recording
    first: httpx.Request
    _claiming: threading.Lock = field(default_factory=threading.Lock)
    _is_claimed: bool = False

    def claim(self) -> bool:
        """Return whether the record is the caller's to go on with, or to close: only the first caller's is."""
        with self._claiming:
            is_first, self._is_claimed = not self._is_claimed, True
        return is_first

    def leave_with(self, request: httpx.Request) -> None:
        """Let the request that follows *request* find this hop."""
        request.extensions[_HOP] = self


def followed_hop(request: httpx.Request) -> Hop | None:
    """Return the redirect that *request* follows; whose claim it still is, its record is gone on with."""
    hop = request.extensions.get(_HOP)
    if not isinstance(hop, Hop):
        return None
    follows = request.method == "POST" and request.url == hop.target and request.stream is hop.stream
    return hop if follows else None


def target_of(request: httpx.Request, response: httpx.Response) -> httpx.URL | None:
    """Return where an answer has the same call repeated, as httpx reads it; ``None`` where it does not."""
    location = response.headers.get("location") if response.status_code in REPEATING else None
    if location is None:
        return None
    try:
        target = httpx.URL(location)
        if target.scheme and not target.host:
            target = target.copy_with(host=request.url.host)
        target = request.url.join(target)
    except httpx.InvalidURL:
        return None
    if request.url.fragment and not target.fragment:
        target = target.copy_with(fragment=request.url.fragment)
    return target if target.scheme in {"http", "https"} else None


class Trail:
    """The redirects of one call that are followed here, within the hosts that may be.

    Args:
        hosts: their origins: scheme, host and port.
    """

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self._visited: set[httpx.URL] = set()

    def next(self, request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
        """Return the request that follows *response*; ``None`` where that is the answer to hand on.

        It is the same request, token and body included, since the hosts are the accounts' own.
        """
        target = target_of(request, response)
        self._visited.add(request.url)
        if target is None or target in self._visited or len(self._visited) > _MOST_HOPS:
            return None
        if origin_of(target) not in self._hosts:
            return None
        headers = httpx.Headers(request.headers)
        headers["Host"] = target.netloc.decode("ascii")
        followed = httpx.Request(
            request.method, target, headers=headers, stream=request.stream, extensions=request.extensions
        )
        followed.read()
        return followed
