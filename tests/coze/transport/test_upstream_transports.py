"""The two ways to an upstream, httpx's own and the gateway's quicker one: on real sockets, with one behaviour."""

import asyncio
import datetime as dt
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from execution_history.coze.transport.aiohttp_transport import AiohttpTransport
from execution_history.coze.transport.httpx_transport import HttpxTransport
from execution_history.coze.transport.proxies import Proxies, Proxy

pytestmark = pytest.mark.anyio

Transport = AiohttpTransport | HttpxTransport
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=[AiohttpTransport, HttpxTransport])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], Transport]]:
    """Makes transports of one kind, in the environment of that moment, and closes them at the end."""
    made: list[Transport] = []

    def transport() -> Transport:
        made.append(request.param())
        return made[-1]

    yield transport
    for each in made:
        await each.aclose()


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port that speaks to each connection as *serve* does; its host and port."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        finally:
            writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls, limit=2**20) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Recorder:
    """A server that keeps the requests it got, byte for byte, and answers each with *answer*; one per connection."""

    def __init__(self, answer: bytes = _OK, requests: int = 100) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self._answer, self._requests = answer, requests

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, up to the number of requests."""
        self.connections += 1
        for _ in range(self._requests):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self.bodies.append(await reader.readexactly(int(length[0].partition(b":")[2])) if length else b"")
            writer.write(self._answer)
            await writer.drain()


def request(method: str, url: str, **more: object) -> httpx.Request:
    """A request with the timeouts of a gateway."""
    timeout = more.pop("timeout", httpx.Timeout(10))
    assert isinstance(timeout, httpx.Timeout)
    return httpx.Request(method, url, extensions={"timeout": timeout.as_dict()}, **more)  # type: ignore[arg-type]


async def read(transport: Transport, sent: httpx.Request) -> tuple[httpx.Response, bytes]:
    """The answer to a request, and its body as it came."""
    response = await transport.handle_async_request(sent)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return response, b"".join([chunk async for chunk in response.stream])
    finally:
        await response.aclose()


@pytest.mark.parametrize(
    "value", ["北京".encode(), b"\xe9t\xe9", b"a, b", b""], ids=["utf-8", "latin-1", "ascii", "empty"]
)
async def test_a_request_leaves_as_it_is(make: Callable[[], Transport], value: bytes) -> None:
    """Nothing is added, quoted anew, joined or left out, whatever bytes a header's value has."""
    server = Recorder()
    async with listening(server) as place:
        headers = [(b"Host", place.encode()), (b"x-Odd", value), (b"X-Twice", b"1"), (b"x-twice", b"2")]
        sent = request(
            "POST", f"http://{place}/v1/a%2Fb/%e5%8c%97;p=1//x?x=1&x=2&y=%20[]|", headers=headers, content=b"{}"
        )
        response, body = await read(make(), sent)
        assert (200, b"ok") == (response.status_code, body)
    first, *lines = server.heads[0].removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert b"POST /v1/a%2Fb/%e5%8c%97;p=1//x?x=1&x=2&y=%20[]| HTTP/1.1" == first
    expected = [*(b"%b: %b" % header for header in headers), b"Content-Length: 2"]
    assert sorted(line.lower() for line in expected) == sorted(line.lower() for line in lines)
    assert [b"{}"] == server.bodies


async def test_an_answer_arrives_as_it_is(make: Callable[[], Transport]) -> None:
    """Raw headers, also lines of 120 KB and bytes of any kind; not decoded, not redirected, no cookie kept."""
    long = b"x" * 119_000
    server = Recorder(
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n"
        b"Content-Encoding: gzip\r\nX-Long: "
        + long
        + b"\r\nX-Bytes: \xe5\x8c\x97\xe9\r\nContent-Length: 8\r\n\r\nnot gzip"
    )
    async with listening(server) as place:
        transport = make()
        for _ in range(2):
            response, body = await read(transport, request("GET", f"http://{place}/v1/x"))
            names = [name for name, _ in response.headers.raw]
            assert (302, b"not gzip") == (response.status_code, body)
            assert [
                b"Location",
                b"Set-Cookie",
                b"Set-Cookie",
                b"Content-Encoding",
                b"X-Long",
                b"X-Bytes",
                b"Content-Length",
            ] == names
            assert {(b"X-Long", long), (b"X-Bytes", b"\xe5\x8c\x97\xe9")} < set(response.headers.raw)
    assert not [head for head in server.heads if b"cookie" in head.lower()]
    assert 1 == server.connections


async def test_a_post_is_never_sent_twice(make: Callable[[], Transport]) -> None:
    """Neither where a connection that was kept turns out to be closed, nor where the answer breaks off."""
    closes = asyncio.Event()
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if len(seen) == 1:
            writer.write(_OK)
            seen.append(await reader.readuntil(b"\r\n\r\n"))  # and hangs up without an answer
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        closes.set()

    async with listening(serve) as place:
        transport = make()
        await read(transport, request("POST", f"http://{place}/1"))
        with pytest.raises(httpx.RemoteProtocolError):
            await read(transport, request("POST", f"http://{place}/2"))
        with pytest.raises(httpx.RemoteProtocolError):
            await read(transport, request("POST", f"http://{place}/3"))
    assert [b"POST /1", b"POST /2", b"POST /3"] == [head[:7] for head in seen]


async def test_nothing_is_sent_twice(make: Callable[[], Transport]) -> None:
    """Not even what may be repeated: the caller is the one to decide that."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with listening(serve) as place:
        transport = make()
        for method in ("GET", "DELETE", "PUT", "POST"):
            with pytest.raises(httpx.RemoteProtocolError):
                await read(transport, request(method, f"http://{place}/"))
    assert [b"GET", b"DELETE", b"PUT", b"POST"] == [head.split(b" ")[0] for head in seen]


async def test_an_answer_that_nobody_asked_for_is_nobodys(make: Callable[[], Transport]) -> None:
    """Where something came on an idle connection, the next request takes another one."""
    said = asyncio.Event()
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(_OK)
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 5\r\n\r\nwrong")
        await writer.drain()
        said.set()
        await reader.read()

    async with listening(serve) as place:
        transport = make()
        if isinstance(transport, HttpxTransport):
            pytest.skip("h11 takes it for the next answer where it came together with the last one")
        for _ in range(5):
            said.clear()
            response, body = await read(transport, request("POST", f"http://{place}/", content=b""))
            assert (200, b"ok") == (response.status_code, body)
            await said.wait()
            await asyncio.sleep(0.01)  # until it has come here too, which nothing tells
    assert 5 == len(seen)


async def test_an_answer_without_a_length_ends_with_its_connection(make: Callable[[], Transport]) -> None:
    """It is whole where that is closed, and broken where that breaks."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\npart")
        await writer.drain()
        if b"/breaks" in head:
            await gone.wait()
            linger = struct.pack("ii", 1, 0)  # closing sends RST then
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    gone = asyncio.Event()
    async with listening(serve) as place:
        transport = make()
        assert b"part" == (await read(transport, request("GET", f"http://{place}/closes")))[1]
        response = await transport.handle_async_request(request("GET", f"http://{place}/breaks"))
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = aiter(response.stream)
        assert b"part" == await anext(chunks)
        gone.set()
        with pytest.raises(httpx.ReadError):
            await anext(chunks)
        await response.aclose()


async def test_a_body_has_its_length_or_is_refused(make: Callable[[], Transport]) -> None:
    """The rest of the length would be taken from the next request on the connection."""

    async def piece() -> AsyncIterator[bytes]:
        yield b"x"

    server = Recorder()
    async with listening(server) as place:
        transport = make()
        if isinstance(transport, HttpxTransport):
            pytest.skip("httpx raises h11's own error")
        for content in (b"x", piece()):
            sent = request("POST", f"http://{place}/", content=content, headers={"Content-Length": "5"})
            with pytest.raises(httpx.LocalProtocolError):
                await transport.handle_async_request(sent)
        assert b"ok" == (await read(transport, request("POST", f"http://{place}/", content=b"12345")))[1]
    assert [b"12345"] == server.bodies


async def test_a_protocol_that_nobody_asked_for_is_an_error(make: Callable[[], Transport]) -> None:
    """The connection would not speak HTTP any more."""
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n"
    async with listening(Recorder(answer)) as place:
        transport = make()
        if isinstance(transport, HttpxTransport):
            pytest.skip("httpx hands it on")
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(request("POST", f"http://{place}/"))


async def test_a_body_of_any_length_is_sent_whole(make: Callable[[], Transport]) -> None:
    """In one piece, in many, with and without a length; an error of the body's own reaches the caller."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d" % (number % 10) * 3_000

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise KeyError("left")

    whole = b"".join([piece async for piece in pieces()])
    server = Recorder()
    async with listening(server) as place:
        transport, url = make(), f"http://{place}/"
        await read(transport, request("POST", url, content=whole))
        await read(transport, request("POST", url, content=pieces(), headers={"Content-Length": str(len(whole))}))
        await read(transport, request("PUT", url, content=b""))
        with pytest.raises(KeyError, match="left"):
            await transport.handle_async_request(request("POST", url, content=broken()))
    assert [whole, whole, b""] == server.bodies[:3]
    assert b"content-length: 0" in server.heads[2].lower()


async def test_silence_ends_in_the_timeout_that_it_is(make: Callable[[], Transport]) -> None:
    """Connecting, waiting for the answer, waiting for its next piece, and sending a body that nobody takes."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/halfway" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await done.wait()

    async with listening(serve) as place:
        transport, short = make(), httpx.Timeout(10, read=0.05, write=0.2)
        with pytest.raises(httpx.ReadTimeout):
            await read(transport, request("POST", f"http://{place}/silent", timeout=short))
        with pytest.raises(httpx.ReadTimeout):
            await read(transport, request("POST", f"http://{place}/halfway", timeout=short))
        large = request(
            "POST", f"http://{place}/taken", timeout=httpx.Timeout(10, write=0.2), content=b"x" * 64_000_000
        )
        with pytest.raises(httpx.WriteTimeout):
            await read(transport, large)
        done.set()


async def test_what_cannot_be_reached_is_a_connect_error_with_its_reason(make: Callable[[], Transport]) -> None:
    """Nobody listens; there is no such name; the certificate is nobody's."""
    transport = make()
    async with listening(Recorder()) as place:
        pass
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(request("POST", f"http://{place}/"))
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(request("POST", "http://nobody.invalid/"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and upstream.test that signs itself, and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "upstream.test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("upstream.test"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


async def test_a_certificate_counts_where_ssl_cert_file_names_it(
    make: Callable[[], Transport], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the error says that it is self-signed; the name that the server is asked for is the request's."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    asked: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with listening(Recorder(), tls) as place:
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            await read(make(), request("GET", f"https://{place}/"))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        sent = request("GET", f"https://{place}/")
        sent.extensions["sni_hostname"] = "upstream.test"
        assert b"ok" == (await read(make(), sent))[1]
    assert "upstream.test" == asked[-1]


class ProxyServer:
    """A proxy: answers what it is asked for itself, and connects tunnels to *place*."""

    def __init__(self, place: str = "") -> None:
        self.heads: list[bytes] = []
        self._place = place

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(_OK)
            await writer.drain()
            return
        if b"refused" in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there, back = await asyncio.open_connection(*self._place.split(":"))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)


async def test_the_proxies_of_the_environment_are_used(
    make: Callable[[], Transport], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP through it, HTTPS in a tunnel, with its credentials; not for NO_PROXY, and never for this machine."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    upstream, plain = Recorder(), Recorder()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with listening(upstream, tls) as secure, listening(plain) as direct:
        proxy = ProxyServer(secure)
        async with listening(proxy) as place:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@{place}")
            monkeypatch.setenv("ALL_PROXY", place)
            monkeypatch.setenv("NO_PROXY", "unproxied.invalid")
            transport = make()
            await read(transport, request("GET", "http://upstream.test/v1/x?y=1"))
            await read(transport, request("GET", "https://upstream.test/v1/z"))
            await read(transport, request("GET", f"http://{direct}/"))
            with pytest.raises(httpx.ConnectError):
                await read(transport, request("GET", "http://unproxied.invalid/"))
            with pytest.raises(httpx.ProxyError):
                await read(transport, request("GET", "https://refused.test/"))
    assert b"GET http://upstream.test/v1/x?y=1 HTTP/1.1" == proxy.heads[0].split(b"\r\n")[0]
    assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.heads[0].lower()
    assert proxy.heads[1].startswith(b"CONNECT upstream.test:443 HTTP/1.1\r\n")
    assert (1, 1) == (len(upstream.heads), len(plain.heads))
    assert upstream.heads[0].startswith(b"GET /v1/z HTTP/1.1\r\n")


async def test_a_proxy_that_says_nothing_is_given_up(
    make: Callable[[], Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the time for connecting, or at least in that for an answer."""

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as place:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
        transport, short = make(), httpx.Timeout(0.2)
        with pytest.raises(httpx.TimeoutException):
            await transport.handle_async_request(request("POST", "https://upstream.test/", timeout=short))


def test_no_proxy_may_name_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that port is called directly then."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:1")
    monkeypatch.setenv("NO_PROXY", "upstream.test:8443")
    proxies = Proxies.of_environment()
    assert proxies.for_url(httpx.URL("https://upstream.test:8443/")) is None
    assert Proxy("http://proxy.test:1") == proxies.for_url(httpx.URL("https://upstream.test/"))
    assert proxies.for_url(httpx.URL("http://[::1]:80/")) is None


def test_a_proxy_that_is_not_supported_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Upstreams are called directly then, and the log says why."""
    monkeypatch.setenv("ALL_PROXY", "socks5://me:s3cret@127.0.0.1:1080")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:no")
    proxies = Proxies.of_environment()
    assert proxies.for_url(httpx.URL("https://api.coze.cn/")) is None
    assert {
        "ALL_PROXY names a proxy of the kind socks5, which is not supported.",
        "HTTPS_PROXY is no address: upstreams are called without it.",
    } == set(caplog.messages)


@pytest.mark.parametrize(
    "address", ["::junk::", "http://", "http://:80", "//proxy.test", "http://[::1", "a.test:99999"]
)
def test_a_proxy_that_is_no_address_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    """A host and a port are missing, or cannot be those of a proxy."""
    monkeypatch.setenv("HTTP_PROXY", address)
    assert Proxies.of_environment().for_url(httpx.URL("http://upstream.test/")) is None
    assert ["HTTP_PROXY is no address: upstreams are called without it."] == caplog.messages


def test_a_proxy_may_lack_its_scheme() -> None:
    """As curl takes it."""
    assert Proxy("http://proxy.test:8080") == Proxy.of("proxy.test:8080")


_HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SECRET\r\n\r\n", "its first line is no status line"),
        (b"HTTP/9 SECRET\r\n\r\n", "its first line is no status line"),
        (_HEAD + b"SECRET SECRET\r\n\r\n", "cannot be parsed"),
        (_HEAD + b"Content-Length: SECRET\r\n\r\n", "cannot be parsed"),
        (_HEAD + b"X: " + b"SECRET" * 40_000 + b"\r\n\r\n", "its head is too long"),
        (_HEAD + b"X: SECRET\r\n", "hung up before its answer was whole"),
        (b"", "hung up before its answer was whole"),
    ],
    ids=["no status line", "no version", "no header", "no length", "too long", "cut off", "nothing"],
)
async def test_an_answer_that_is_no_http_is_an_error_without_its_bytes(
    make: Callable[[], Transport], answer: bytes, reason: str
) -> None:
    """Nor has it the address, or a status that nobody sent: it gets into answers, logs and records."""
    async with listening(Recorder(answer, 1)) as place:
        with pytest.raises(httpx.RemoteProtocolError, match=reason) as caught:
            await read(make(), request("GET", f"http://{place}/v1/x?key=SECRET"))
    assert not any(word in str(caught.value) for word in ("SECRET", "400", place))


@pytest.mark.parametrize("body", [b"SECRET\r\n", b"6\r\nSECRET\r\nSECRET\r\n", b"9\r\nSECRET"])
async def test_a_body_that_is_not_framed_is_an_error_without_its_bytes(body: bytes) -> None:
    """On the gateway's way to its upstreams."""
    async with listening(Recorder(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body, 1)) as place:
        transport = AiohttpTransport()
        with pytest.raises(httpx.RemoteProtocolError, match=r"^The upstream broke HTTP's rules: its ") as caught:
            await read(transport, request("GET", f"http://{place}/v1/x"))
        await transport.aclose()
    assert "SECRET" not in str(caught.value)
