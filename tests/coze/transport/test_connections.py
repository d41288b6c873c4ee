"""Proxies and certificates, of the environment and of accounts: every way to an upstream takes them alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from execution_history import ExecutionHistoryService
from execution_history.coze import Upstream, async_recording_transport, recording_transport
from execution_history.coze.tracking.history_client import OF_ACCOUNT
from execution_history.coze.transport.account_transport import AccountTransport
from execution_history.coze.transport.aiohttp_transport import AiohttpTransport
from execution_history.coze.transport.connections import ConnectionSettings
from execution_history.coze.transport.httpx_transport import HttpxTransport, SyncHttpxTransport
from execution_history.coze.transport.proxies import Proxy
from execution_history.errors import SettingsError
from execution_history.recording.recorder import Recorder
from execution_history.settings import AccountSettings
from execution_history.stores import store_at
from tests.coze.certificates import Authority
from tests.coze.gateway.conftest import nobody
from tests.coze.transport.test_upstream_transports import ProxyServer, listening
from tests.coze.transport.test_upstream_transports import Recorder as Server

pytestmark = pytest.mark.anyio


class Synchronous(httpx.AsyncBaseTransport):
    """A synchronous transport as the tests call all of them: each call in a thread of its own."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* and read the answer."""

        def send() -> httpx.Response:
            response = self._transport.handle_request(request)
            try:
                return httpx.Response(response.status_code, content=response.read())
            finally:
                response.close()

        return await asyncio.to_thread(send)

    async def aclose(self) -> None:
        """Close it."""
        self._transport.close()


Make = Callable[[ConnectionSettings], httpx.AsyncBaseTransport]

_WAYS: dict[str, Make] = {
    "aiohttp": AiohttpTransport,
    "httpx": HttpxTransport,
    "synchronous": lambda connection: Synchronous(SyncHttpxTransport(connection)),
}


@pytest.fixture(params=_WAYS)
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Makes transports of one kind, and closes them at the end."""
    made: list[httpx.AsyncBaseTransport] = []

    def one(connection: ConnectionSettings) -> httpx.AsyncBaseTransport:
        made.append(_WAYS[request.param](connection))
        return made[-1]

    yield one
    for transport in made:
        await transport.aclose()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority for this module."""
    return Authority(tmp_path_factory.mktemp("tls"))


async def answer(transport: httpx.AsyncBaseTransport, url: str, account: str | None = "work") -> bytes:
    """The body of the answer from *url*, over an account's connections."""
    extensions = {"timeout": httpx.Timeout(10).as_dict(), OF_ACCOUNT: account}
    response = await transport.handle_async_request(httpx.Request("GET", url, extensions=extensions))
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def refusal(transport: httpx.AsyncBaseTransport, url: str, account: str | None = "work") -> str:
    """Why *url* cannot be reached."""
    with pytest.raises((httpx.ConnectError, httpx.ProxyError)) as refused:
        await answer(transport, url, account)
    return str(refused.value)


async def test_an_account_trusts_its_own_authority(make: Make, authority: Authority) -> None:
    """Where ca_file names it; nobody else does, and the error says which setting does it."""
    async with listening(Server(), authority.server("127.0.0.1")) as place:
        assert b"ok" == await answer(make(ConnectionSettings(ca_file=authority.file)), f"https://{place}/")
        assert b"ok" == await answer(make(ConnectionSettings(verify=False)), f"https://{place}/")
        strict = make(ConnectionSettings())
        said = await refusal(strict, f"https://{place}/")
        assert said.startswith("the certificate of 127.0.0.1 is not trusted here, ")
        assert said.endswith(
            "name the file of the authority that signed it in accounts.work.ca_file, or in SSL_CERT_FILE"
        )
        assert "in ca_file of the account, or in SSL_CERT_FILE" in await refusal(strict, f"https://{place}/", None)


async def _without_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def test_what_is_wrong_with_a_certificate_is_said(make: Make, authority: Authority) -> None:
    """Expired, not valid yet, for another name, or no TLS at all: no setting of ours helps there."""
    trusting = make(ConnectionSettings(ca_file=authority.file))
    for tls, said in (
        (authority.server("127.0.0.1", first_day=-9, last_day=-1), "the certificate of 127.0.0.1 has expired"),
        (authority.server("127.0.0.1", first_day=1, last_day=9), "is not valid yet: check this machine's clock"),
        (authority.server("other.test"), "the certificate is for another name than 127.0.0.1: check the address"),
        (None, "TLS failed: "),
    ):
        async with listening(Server() if tls else _without_tls, tls) as place:
            assert said in await refusal(trusting, f"https://{place}/")


async def test_what_cannot_be_reached_is_told_apart(make: Make) -> None:
    """A name that nobody has, a port where nobody listens; of the upstream, and of the proxy."""
    plain = make(ConnectionSettings())
    assert (await refusal(plain, "http://nobody.invalid/")).startswith("the name nobody.invalid cannot be resolved: ")
    assert "Connection refused" == await refusal(plain, nobody())
    away = nobody()
    behind = make(ConnectionSettings(Proxy.of(f"http://me:secret@{away.removeprefix('http://')}")))
    assert f"the proxy {away}: Connection refused" == await refusal(behind, "https://upstream.test/")
    lost = make(ConnectionSettings(Proxy.of("http://nobody.invalid:1")))
    said = "the proxy http://nobody.invalid:1: the name nobody.invalid cannot be resolved: "
    assert (await refusal(lost, "https://upstream.test/")).startswith(said)


async def test_an_accounts_proxy_counts_for_every_address(
    make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for this machine's own, and before the environment's; its refusal is said without its password."""
    monkeypatch.setenv("HTTP_PROXY", nobody())
    monkeypatch.setenv("NO_PROXY", "*")
    async with listening(Server(), authority.server("upstream.test")) as secure:
        server = ProxyServer(secure)
        async with listening(server) as place:
            settings = ConnectionSettings(Proxy.of(f"http://me:p%40ss@{place}"), ca_file=authority.file)
            transport = make(settings)
            assert b"ok" == await answer(transport, "http://127.0.0.1:9/plain")
            assert b"ok" == await answer(transport, "https://upstream.test/secret")
            said = await refusal(transport, "https://refused.test/")
    assert f"the proxy http://{place}: 407 Proxy Authentication Required" == said
    lines = [head.split(b"\r\n")[0] for head in server.heads]
    assert [b"GET http://127.0.0.1:9/plain HTTP/1.1", b"CONNECT upstream.test:443 HTTP/1.1"] == lines[:2]
    assert all(b"proxy-authorization: basic bwu6cebzcw==" in head.lower() for head in server.heads)


async def test_an_account_may_be_called_directly(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("ALL_PROXY", nobody())
    monkeypatch.setenv("NO_PROXY", "")
    said = await refusal(make(ConnectionSettings(is_direct=True)), "http://nobody.invalid/")
    assert said.startswith("the name nobody.invalid")
    assert "the proxy" in await refusal(make(ConnectionSettings()), "http://nobody.invalid/")


async def test_accounts_with_other_settings_share_no_connection(authority: Authority) -> None:
    """Who does not trust an upstream does not reach it over the connection of an account that does."""
    async with listening(Server(), authority.server("127.0.0.1")) as place:
        url = f"https://{place}"
        accounts = {
            "default": AccountSettings(base_url="https://api.coze.cn"),
            "owner": AccountSettings(base_url=url, ca_file=authority.file),
            "strict": AccountSettings(base_url=url),
        }
        transport = AccountTransport(accounts, AiohttpTransport)
        assert b"ok" == await answer(transport, url, "owner")
        assert "accounts.strict.ca_file" in await refusal(transport, url, "strict")
        for account in (None, "default", "unknown"):  # one that has no account, or was redirected from another one's
            assert b"ok" == await answer(transport, url, account)
        await transport.aclose()


def test_a_file_of_certificates_that_is_none_is_said_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing, or without a certificate; the sentence names the setting. Not checking any is a line in the log."""
    (tmp_path / "empty.pem").write_text("")
    recorder = Recorder(store_at("memory:"))

    def open_upstream(**account: object) -> None:
        Upstream({"work": AccountSettings(**account)}, recorder)  # type: ignore[arg-type]

    open_upstream(ca_file=authority.file)
    with pytest.raises(
        SettingsError, match=r"^accounts\.work\.ca_file names '.*missing\.pem', which cannot be read: No"
    ):
        open_upstream(ca_file=tmp_path / "missing.pem")
    with pytest.raises(
        SettingsError, match=r"^accounts\.work\.ca_file names '.*empty\.pem', which holds no certificate"
    ):
        open_upstream(ca_file=tmp_path / "empty.pem")
    assert [] == caplog.messages
    open_upstream(verify=False)
    assert caplog.messages[0].startswith("accounts.work.verify is false")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for variable, place in (
        ("SSL_CERT_DIR", "missing"),
        ("SSL_CERT_FILE", "missing.pem"),
        ("SSL_CERT_FILE", "empty.pem"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / place))
        with pytest.raises(SettingsError, match=f"^{variable} names "):
            open_upstream()
    for make_transport in (recording_transport, async_recording_transport):
        with pytest.raises(SettingsError, match=r"^SSL_CERT_FILE names "):
            make_transport(recorder)


async def test_the_recording_transports_reach_through_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment and those of an account; a client that is given a transport leaves that to it."""
    monkeypatch.chdir(tmp_path)
    server, own = ProxyServer(), ProxyServer()
    recorder = Recorder(store_at("memory:"))
    async with listening(server) as place, listening(own) as own_place:
        monkeypatch.setenv("HTTP_PROXY", f"http://{place}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__WORK__PROXY", f"http://{own_place}")

        def call() -> None:
            for account in ("default", "work"):
                with httpx.Client(transport=recording_transport(recorder, account=account)) as client:
                    assert "ok" == client.get("http://upstream.test/sync").text

        await asyncio.to_thread(call)
        for account in ("default", "work"):
            transport = async_recording_transport(recorder, account=account)
            async with httpx.AsyncClient(transport=transport) as client:
                assert "ok" == (await client.get("http://upstream.test/async")).text
    lines = [b"GET http://upstream.test/%b HTTP/1.1" % name for name in (b"sync", b"async")]
    assert [lines, lines] == [[head.split(b"\r\n")[0] for head in each.heads] for each in (server, own)]


async def test_the_records_of_a_recording_transport_name_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the run is followed and answered with that account."""
    monkeypatch.chdir(tmp_path)
    body = b'{"code": 0, "msg": "", "data": "{}"}'
    server = Server(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    service = ExecutionHistoryService("memory:")
    recorder = Recorder(service.store)
    async with listening(server) as place:
        monkeypatch.setenv("EXECUTION_HISTORY_ACCOUNTS__CN__BASE_URL", f"http://{place}")
        url, sent = f"http://{place}/v1/workflow/run", {"workflow_id": "7"}

        def call() -> None:
            with httpx.Client(transport=recording_transport(recorder, account="cn")) as client:
                client.post(url, json=sent)

        await asyncio.to_thread(call)
        async with httpx.AsyncClient(transport=async_recording_transport(recorder, account="cn")) as client:
            await client.post(url, json=sent)
    found = (await service.get_execution_history("7"))["histories"]
    assert ["cn", "cn"] == [record["metadata"]["account"] for record in found]
    await service.aclose()
