"""What the gateway says where it passes a call on to nobody, as plain clients and the real SDKs show it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cozepy import AsyncCoze, AsyncTokenAuth, CozeAPIError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from execution_history.coze.gateway_refusals import Refusal
from tests.coze.gateway.conftest import TOKEN, Gateway, canned, gateway_to, nobody, scripted

pytestmark = pytest.mark.anyio

_JSON = (b"content-type", b"application/json")
_PATHS = ("/v1/workflow/run", "//v1/bots", "/v2/x", "/v3/chat", "/api/x", "/open_api/v2/chat")
_RUN = {"workflow_id": "7", "parameters": {}}
_FOREIGN = [
    ({"Host": "history:8765"}, "host_not_allowed", """EXECUTION_HISTORY_ALLOWED_HOSTS='["history"]'"""),
    (
        {"Origin": "http://localhost:5173"},
        "foreign_origin",
        """EXECUTION_HISTORY_ALLOWED_ORIGINS='["http://localhost:5173"]'""",
    ),
    ({"Origin": "null"}, "foreign_origin", """EXECUTION_HISTORY_ALLOWED_ORIGINS='["null"]'"""),
    ({"Sec-Fetch-Site": "cross-site"}, "foreign_origin", "A page of another origin"),
]


@pytest.mark.parametrize(("headers", "word", "part"), _FOREIGN)
async def test_a_refusal_is_an_envelope_that_names_the_setting(
    tmp_path: Path, headers: dict[str, str], word: str, part: str
) -> None:
    """On every path of the gateway, and nothing goes on; elsewhere it keeps its status and shape."""
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0}')) as (gateway, upstream):
        for path in _PATHS:
            refused = await gateway.client.post(gateway.base_url + path, json=_RUN, headers=headers)
            content = refused.json()
            assert (200, word) == (refused.status_code, refused.headers["x-execution-history-error"])
            detail = {"logid": "", "request_id": refused.headers["x-execution-history-request-id"]}
            assert (4000, detail, True) == (content["code"], content["detail"], part in content["msg"])
            assert not [name for name in refused.headers if name.startswith("access-control-")]
        elsewhere = await gateway.client.post("/coze/history/delete", json={}, headers=headers)
        assert ({"Host": 421}.get(next(iter(headers)), 403), word) == (
            elsewhere.status_code, elsewhere.json()["error"]["code"],
        )  # fmt: skip
        assert [] == upstream.asked


async def test_a_refusal_is_in_the_language_that_the_caller_prefers(gateway: Gateway) -> None:
    """A page's SDK sends its browser's."""
    headers = {"Host": "history", "Accept-Language": "zh-CN,zh;q=0.9"}
    assert "本服务" in (await gateway.client.get("/v1/bots", headers=headers)).json()["msg"]


def test_the_sentence_of_a_refusal_is_one_line_of_a_bounded_length() -> None:
    """Whatever its reason holds."""
    scope = {"type": "http", "path": "/v1/bots", "headers": []}
    refusal = Refusal(5000, "internal", "a\r\nb\n\tc\x1b" + "x" * 10_000, 500)
    sentence = orjson.loads(refusal.answer(scope)[2])["msg"]
    assert (True, True) == (sentence.startswith("a b c\u241bxxx"), len(sentence) <= 2_000)


async def test_a_refusal_is_logged_once(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """The people who could change the setting do not see what a browser is told, and a page may ask without end."""
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await gateway.client.get("/v1/bots", headers={"Host": "only-here"})
    assert 1 == sum("only-here" in line for line in caplog.messages)


@asynccontextmanager
async def _coze(base_url: str, **headers: str) -> AsyncIterator[AsyncCoze]:
    coze = AsyncCoze(auth=AsyncTokenAuth(TOKEN), base_url=base_url)
    client = coze._requester.async_client

    async def add(request: httpx.Request) -> None:
        request.headers.update(headers)

    client.event_hooks["request"].append(add)
    try:
        yield coze
    finally:
        await client.aclose()


@pytest.mark.parametrize("headers", [{"Host": "history:8765"}, {"Origin": "http://localhost:5173"}])
async def test_cozepy_shows_a_refusal(gateway: Gateway, headers: dict[str, str]) -> None:
    """Whole, streamed and where it waits for a sound, as an error with our sentence and code."""
    async with _coze(gateway.base_url, **headers) as coze:

        async def stream() -> None:
            async for _ in coze.workflows.runs.stream(workflow_id="7", parameters={}):
                pass

        for call in (
            coze.workflows.runs.create(workflow_id="7", parameters={}),
            stream(),
            coze.audio.speech.create(input="a", voice_id="1"),
        ):
            with pytest.raises(CozeAPIError) as caught:
                await call
            assert (4000, True) == (caught.value.code, "EXECUTION_HISTORY_ALLOWED_" in caught.value.msg)


@pytest.mark.parametrize("host", ["history", "history:8765", "HISTORY:1", "history.", "history.:80", "[fd00::5]:8765"])
async def test_one_setting_lets_a_name_in(tmp_path: Path, host: str) -> None:
    """The name of a compose service, in any case, with any port, and with the dot of an absolute name."""
    allowed = ["History", "fd00:0:0::5"]
    async with scripted(tmp_path, canned(200, [_JSON], b'{"code":0}'), allowed_hosts=allowed) as (gateway, _):
        answer = await gateway.client.post("/v1/workflow/run", json=_RUN, headers={"Host": host})
        assert {"code": 0} == answer.json()


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/v1/audio/speech", "*/*", 502),
        ("//v1/audio/speech", "application/json, text/plain, */*", 502),
        ("/v1/files/1/content", "*/*", 502),
        ("/v1/files/1/download", "*/*", 502),
        ("/v1/anything", "audio/mpeg", 502),
        ("/v1/anything", "application/octet-stream, image/png", 502),
        ("/v1/files/upload", "*/*", 200),
        ("/v1/audio/voices", "*/*", 200),
        ("/v1/anything", "audio/mpeg, application/json", 200),
        ("/v1/workflow/stream_run", "text/event-stream", 200),
    ],
)
async def test_an_error_is_not_given_out_as_a_sound_or_a_file(
    tmp_path: Path, path: str, accept: str, status: int
) -> None:
    """The SDKs take a JSON body with 200 for it, where they expect bytes."""
    async with gateway_to(tmp_path, nobody()) as gateway:
        answer = await gateway.client.post(gateway.base_url + path, json={}, headers={"Accept": accept})
        assert (status, 5000) == (answer.status_code, answer.json()["code"])
        assert "upstream_unreachable" == answer.headers["x-execution-history-error"]
        faults: list[tuple[dict[str, Any], int]] = [
            ({"X-Execution-History-Account": "nobody"}, 400),
            ({"Host": "history"}, 421),
            ({"Origin": "http://a.test"}, 403),
        ]
        for headers, expected in faults:
            answer = await gateway.client.post(gateway.base_url + path, headers={"Accept": accept, **headers})
            assert (expected if status == 502 else 200, 4000) == (answer.status_code, answer.json()["code"])


async def test_cozepy_gets_no_sound_from_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    """It raises our sentence."""
    async with gateway_to(tmp_path, nobody()) as gateway, _coze(gateway.base_url) as coze:
        with pytest.raises(CozeAPIError, match="gave no answer"):
            await coze.audio.speech.create(input="a", voice_id="1")


@pytest.fixture(scope="module")
async def unvouched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a server whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("fault", ["no listener", "no such name", "certificate"])
async def test_why_an_upstream_cannot_be_reached_is_said_and_logged(
    tmp_path: Path, unvouched: str, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """With its address, for calls of every kind, and without the token."""
    upstream, reason = {
        "no listener": (nobody(), "Connection refused"),
        "no such name": ("http://upstream.invalid", "Name or service not known"),
        "certificate": (unvouched, "self-signed certificate"),
    }[fault]
    async with gateway_to(tmp_path, upstream) as gateway:
        for path in ("/v1/workflow/run", "/v1/bots"):
            caplog.clear()
            sentence = (await gateway.client.post(path, json=_RUN)).json()["msg"]
            assert (True, True, False) == (upstream in sentence, reason in sentence, TOKEN in sentence)
            lines = [line for line in caplog.messages if upstream in line and reason in line]
            assert (1, False) == (len(lines), TOKEN in caplog.text)
