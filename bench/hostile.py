"""Requests that no client would send, byte by byte: doubled and endless headers, broken bodies, other encodings."""

import asyncio
import gzip
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_TIMEOUT: Final = 20.0
_FAULT: Final = 500
_ALLOWED: Final = frozenset({502, 503, 504, 507})
"""Faults that are the upstream's, or the disk's."""

_IS_BROKEN: Final = re.compile(rb"\r\n(?:Content-Length: (?:5|-1)|Transfer-Encoding: chunked)\r\n")
_USUAL_METHOD: Final = 0.8
_METHODS: Final = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"OPTIONS",
    b"TRACE",
    b"PROPFIND",
    b"get",
    b"\xff",
)
_HEADERS: Final = (
    b"Content-Type: application/json", b"Content-Type: application/json; charset=utf-16", b"Content-Type: text/plain; charset=\xff",
    b"Content-Type: multipart/form-data; boundary=", b"Content-Type: application/x-www-form-urlencoded", b"Content-Encoding: gzip",
    b"Content-Encoding: br, gzip", b"Accept: \xff\xfe", b"Accept: text/html", b"Accept-Language: zh;q=1e999,en;q=-1,\xff",
    b"Accept-Encoding: gzip;q=0, *", b"Cookie: a=b; execution_history=x.9999999999999999999.y; language=\xff; zone=" + b"a/" * 99,
    b"Cookie: " + b"=;" * 2_000, b"Authorization: Bearer eh_\xff", b"Authorization: Bearer", b"X-Execution-History-Key: eh_",
    b"X-Forwarded-For: " + b"1.1.1.1," * 999, b"X-Forwarded-Proto: \xff", b"X-Forwarded-Host: evil.test", b"Forwarded: for=\xff",
    b"Host: evil.test", b"Origin: null", b"Origin: https://evil.test", b"Referer: \xff", b"Sec-Fetch-Site: cross-site",
    b"Last-Event-ID: 99999999999999999999", b"Last-Event-ID: \xff", b"Range: bytes=0-,5-1", b"If-None-Match: \xff",
    b"If-Modified-Since: x", b"Expect: 100-continue", b"Connection: close, \xff", b"Upgrade: websocket", b"TE: trailers",
    b"X-Long: " + b"x" * 30_000, b"X-HTTP-Method-Override: DELETE", b"traceparent: 00-\xff", b"X-Request-ID: a\xffb",
)  # fmt: skip
_VALUES: Final = (
    b"", b"%00", b"%FF", b"%ED%A0%80", b"%", b"-1", b"1e400", b"NaN", b"9" * 400, b"9007199254740993", b"18446744073709551616",
    b"%E2%80%AE", b"a/" * 400, b"[" * 3_000, b"x" * 8_000, b"true", b"%0d%0aX: y", b"..%2f..%2f", b"*", b"{}", b"'\"<>",
)  # fmt: skip
_BODIES: Final = (
    b"", b"{", b"null", b"[]", b"[" * 60_000, b'{"a":' * 60_000, b'{"workflow_id":"\xff"}', b'{"workflow_id":"\\ud800"}', b'"x"', b"1e400",
    b'{"filters":{"where":"input.a = \\ud800"},"note":"n"}', b'{"note":1e400,"rating":18446744073709551616}', b'{"name":"\\u0000"}',
    gzip.compress(b"[" * 100_000), b"\x1f\x8b\x08\x00broken", b"\0" * 999, '{"name":"值"}'.encode("utf-16"), b"\xef\xbb\xbf{}",
    b"a=b&c=%ff&run=\x00", b"--x\r\n\r\n--x--", b'{"parameters":{"n":1e-400,"m":123456789012345678901234567890}}',
)  # fmt: skip


@dataclass
class Hostility:
    """What was sent and how it was answered; faults have the request."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


async def attack(
    url: str, routes: Sequence[tuple[str, str]], headers: Sequence[bytes], seed: int, seconds: float
) -> Hostility:
    """Send requests to the *routes* of a server, methods and paths, all of them with *headers*, for so many seconds."""
    chance, found = random.Random(seed), Hostility()
    address = urlsplit(url)
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        request = _request(chance, routes, headers, str(address.netloc).encode())
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await _sent(str(address.hostname), int(address.port or 80), request)
        except TimeoutError:
            answer = b"HTTP/1.1 598 "
        status = _STATUS.match(answer)
        code = int(status[1]) if status else 0  # 0: the connection was ended without a word
        found.sent += 1
        found.statuses[str(code or "closed")] += 1
        if code >= _FAULT and code not in _ALLOWED:
            found.faults.append(f"{code}: {request[:600]!r}")
    return found


async def _sent(host: str, port: int, request: bytes) -> bytes:
    """Send *request*, and return the beginning of the answer; none where the server just closes."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        if _IS_BROKEN.search(request):  # the server waits for the rest
            writer.write_eof()
        return await reader.read(64)
    except OSError:  # the system says in several ways that a connection is closed
        return b""
    finally:
        writer.close()


def _request(chance: random.Random, routes: Sequence[tuple[str, str]], headers: Sequence[bytes], host: bytes) -> bytes:
    known, template = chance.choice(routes)
    path = re.sub(r"\{[^}]+\}", lambda _: chance.choice(_VALUES).decode("latin-1") or "x", template)
    names = (
        b"q",
        b"where",
        b"since",
        b"cursor",
        b"zone",
        b"page_size",
        b"workflow",
        b"status",
        b"limit",
        b"after",
        b"by",
        b"\xff",
    )
    query = b"&".join(chance.choice(names) + b"=" + chance.choice(_VALUES) for _ in range(chance.randrange(4)))
    target = path.encode("latin-1", "replace").replace(b" ", b"%20") + (b"?" + query if query else b"")
    method = known.upper().encode() if chance.random() < _USUAL_METHOD else chance.choice(_METHODS)
    body = chance.choice(_BODIES) if method in {b"POST", b"PUT", b"PATCH"} or chance.random() < 0.1 else b""
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, *headers]
    lines += chance.sample(_HEADERS, chance.randrange(6))
    if chance.random() < 0.1:
        lines.append(
            chance.choice(
                (b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Host: " + host)
            )
        )
    else:
        lines.append(b"Content-Length: %d" % len(body))
    if chance.random() < 0.5:
        lines.append(b"Content-Type: application/json")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
