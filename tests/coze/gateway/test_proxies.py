"""Proxies and certificates on every way to an upstream: gateway, runner, polling, requests for tokens, command line."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cozepy import AsyncCoze, AsyncTokenAuth, Coze, TokenAuth
from cozepy.request import AsyncHTTPClient, SyncHTTPClient
from pydantic import SecretStr

from execution_history import ExecutionHistoryService
from execution_history.coze import CozeRunner, async_recording_transport, recording_transport
from execution_history.errors import UpstreamRefused
from execution_history.recording.recorder import Recorder
from execution_history.sandbox import Sandbox
from execution_history.settings import AccountSettings
from tests.coze.certificates import Authority
from tests.coze.forward_proxy import ForwardProxy, forward_proxy, tunnel
from tests.coze.gateway.conftest import TOKEN, gateway_to
from tests.programs import environment, histories
from tests.web.conftest import private_key, served

pytestmark = pytest.mark.anyio

_SHORT, _LONG = "7000000000000000001", "7000000000000000002"
_HOST = "upstream.test"


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[ForwardProxy]:
    """A proxy whose every way leads to the server at *url*."""
    async with forward_proxy(int(url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.mark.parametrize("of_account", [True, False])
async def test_gateway_runner_and_polling_reach_through_a_proxy(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, of_account: bool
) -> None:
    """Of the account, or of the environment: all of them through that one, and each run has its right record."""
    async with proxy_to(sandbox.base_url) as proxy:
        account = {"proxy": SecretStr(proxy.url)} if of_account else {}
        if not of_account:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        base = AccountSettings(base_url=f"http://{_HOST}", token=SecretStr(TOKEN), **account)  # type: ignore[arg-type]
        async with gateway_to(tmp_path, base.base_url, accounts={"default": base}) as gateway:
            body: dict[str, Any] = {"workflow_id": _SHORT, "parameters": {"a": "b"}}
            assert 0 == (await gateway.client.post("/v1/workflow/run", json=body)).json()["code"]
            body = {"workflow_id": _LONG, "is_async": True, "parameters": {"packets": 2}}
            assert 0 == (await gateway.client.post("/v1/workflow/run", json=body)).json()["code"]
            assert "success" == (await gateway.ended(_LONG))["execute_status"]
            runner: CozeRunner = gateway.application.runner
            assert "success" == (await runner.execute_workflow(_SHORT, {"a": "b"}))["status"]
            assert ["success"] * 2 == [record["execute_status"] for record in await gateway.records(_SHORT)]
    paths = [line.split(" ")[1].removeprefix(f"http://{_HOST}") for line in proxy.requests]
    assert {"/v1/workflow/run"} < set(paths)
    assert any("/run_histories/" in path for path in paths)
    assert all(line.split(" ")[1].startswith(f"http://{_HOST}/") for line in proxy.requests)


async def test_a_token_is_fetched_over_the_connections_of_its_account(tmp_path: Path) -> None:
    """Through its proxy, from a server whose authority only the account names."""
    asked: list[str] = []

    async def upstream(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await receive()
        token = b'{"access_token":"fresh","expires_in":4000000000,"token_type":"Bearer"}'
        body = token if scope["path"].endswith("/token") else b'{"code":0,"msg":"","data":"done","debug_url":""}'
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    authority = Authority(tmp_path / "tls")
    parts = {"client_id": "c", "public_key_id": "p", "private_key": SecretStr(private_key())}
    async with served(upstream) as base, tunnel(base, authority.server(_HOST)) as secure, proxy_to(secure) as proxy:
        account = AccountSettings(
            base_url=f"https://{_HOST}",
            proxy=SecretStr(proxy.url),
            ca_file=authority.file,
            **parts,  # type: ignore[arg-type]
        )
        strict = account.model_copy(update={"ca_file": None})
        accounts = {"default": account, "strict": strict}
        async with gateway_to(tmp_path, base, accounts=accounts) as gateway:
            runner: CozeRunner = gateway.application.runner
            assert "done" == (await runner.execute_workflow("7"))["output_data"]
            with pytest.raises(UpstreamRefused, match=r"accounts\.strict\.ca_file"):
                await runner.execute_workflow("8", account_id="strict")
    assert ["/api/permission/oauth2/token", "/v1/workflow/run"] == asked
    assert {f"CONNECT {_HOST}:443 HTTP/1.1"} == set(proxy.requests)


async def test_a_run_in_the_background_is_followed_through_the_proxy(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both recording transports: the official clients that are given one know nothing of the proxy."""
    call: dict[str, Any] = {"workflow_id": _LONG, "is_async": True, "parameters": {"packets": 2}}
    async with proxy_to(sandbox.base_url) as proxy, ExecutionHistoryService(tmp_path / "history") as service:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost")
        recorder = Recorder(service.store)

        async def ended(count: int) -> None:
            async with asyncio.timeout(60):
                while True:
                    found = (await service.get_execution_history(_LONG))["histories"]
                    if [record["execute_status"] for record in found] == ["success"] * count:
                        return
                    await asyncio.sleep(0.01)

        client = SyncHTTPClient(transport=recording_transport(recorder))  # type: ignore[no-untyped-call]
        coze = Coze(auth=TokenAuth(TOKEN), base_url=f"http://{_HOST}", http_client=client)
        await asyncio.to_thread(lambda: coze.workflows.runs.create(**call))
        await ended(1)
        await asyncio.to_thread(client.close)
        async with AsyncHTTPClient(transport=async_recording_transport(recorder)) as other:  # type: ignore[no-untyped-call]
            asynchronous = AsyncCoze(auth=AsyncTokenAuth(TOKEN), base_url=f"http://{_HOST}", http_client=other)
            await asynchronous.workflows.runs.create(**call)
            await ended(2)
    assert 2 <= sum("/run_histories/" in line for line in proxy.requests)


async def test_a_run_on_the_command_line_reaches_through_a_proxy(tmp_path: Path, sandbox: Sandbox) -> None:
    """The environment's, as a shell has it."""
    async with proxy_to(sandbox.base_url) as proxy:
        variables = {"HTTP_PROXY": proxy.url, "NO_PROXY": "localhost", "COZE_API_BASE": f"http://{_HOST}"}
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "execution_history", "run", _SHORT, "-p", "a=b",
            env={**environment(tmp_path), **variables, "COZE_API_TOKEN": TOKEN},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, complaints = await run.communicate()
    assert 0 == run.returncode, complaints
    assert [f"POST http://{_HOST}/v1/workflow/stream_run HTTP/1.1"] == proxy.requests
    assert ["success"] == [record["execute_status"] for record in (await histories(tmp_path))[_SHORT]]


async def test_why_a_run_did_not_reach_its_upstream_is_in_its_record(tmp_path: Path) -> None:
    """A certificate that is not trusted: which setting trusts it, and that the run never began."""
    authority = Authority(tmp_path / "tls")

    async def upstream(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError

    async with (
        served(upstream) as base,
        tunnel(base, authority.server("127.0.0.1")) as secure,
        gateway_to(tmp_path, secure) as gateway,
    ):
        answer = (await gateway.client.post("/v1/workflow/run", json={"workflow_id": "7"})).json()
        record = await gateway.ended("7")
    setting = "accounts.default.ca_file, or in SSL_CERT_FILE"
    assert setting in answer["msg"]
    assert ("failed", "connection_failed") == (record["execute_status"], record["metadata"]["proof"])
    assert setting in record["error_message"]
    assert record["error_message"].endswith("so the run never began.")


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["run", "7"]])
def test_what_cannot_be_used_is_said_before_anything_starts(tmp_path: Path, arguments: list[str]) -> None:
    """A file of certificates that is missing, a token that cannot be one: exit code 2, and one sentence."""
    for variables, said in (
        ({"SSL_CERT_FILE": "missing.pem"}, "SSL_CERT_FILE names 'missing.pem', which cannot be read: No such file or"),
        (
            {"COZE_API_TOKEN": "pat_x\u200b"},
            "COZE_API_TOKEN is wrong: it has U+200B ZERO WIDTH SPACE as its character 6",
        ),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "execution_history", *arguments],
            env={**environment(tmp_path), "COZE_API_TOKEN": "pat_x", **variables, "PYTHONUTF8": "1"},
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (2, True) == (ended.returncode, ended.stderr.startswith(f"Error: {said}")), ended.stderr
        assert 1 == ended.stderr.count("\n")
        assert "pat_x" not in ended.stdout + ended.stderr
