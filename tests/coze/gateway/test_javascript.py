"""The real @coze/api through the gateway: what it receives is what it receives without us."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.concurrency import run_in_threadpool

from execution_history.sandbox import WORKFLOWS, Sandbox
from execution_history.stores.sqlite.process_lock import ProcessLock
from tests.coze.gateway.conftest import TOKEN, Gateway, gateway_to, nobody

pytestmark = pytest.mark.anyio

_SDK = "@coze/api@1.3.9"
_SCRIPT = Path(__file__).with_name("javascript") / "calls.mjs"
_CHANGING = re.compile(r"[0-9A-F]{32}|\d{10,}|[0-9a-f]{8}-[0-9a-f-]{27}")
_IDS = {workflow.name: workflow.workflow_id for workflow in WORKFLOWS.values()}


@pytest.fixture(scope="module")
def modules() -> Path:
    """The SDK, fetched once for this machine into the user's cache; without Node these tests are skipped."""
    if not (shutil.which("node") and shutil.which("npm")):
        reason = "node and npm are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "execution-history" / "coze-api-1.3.9"
    cache.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(cache / "lock")
    lock.acquire(600)  # other workers want it at the same moment
    try:
        if not (cache / "node_modules/@coze/api/package.json").is_file():
            whole = cache / "new"
            shutil.rmtree(whole, ignore_errors=True)
            whole.mkdir()
            command = ["npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefix"]
            subprocess.run([*command, str(whole), _SDK], check=True, capture_output=True, cwd=whole)
            (whole / "node_modules").rename(cache / "node_modules")
    finally:
        lock.close()
    return cache / "node_modules"


async def _calls(modules: Path, base_url: str, token: str, *names: str) -> dict[str, Any]:
    """What each call of the script gave."""
    command = ["node", str(_SCRIPT), str(modules), base_url, token, *(_IDS[name] for name in names)]
    done = await run_in_threadpool(
        subprocess.run, command, capture_output=True, timeout=60, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert 0 == done.returncode, done.stderr.decode()
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    return {line["call"]: line["value"] for line in lines}


def _plain(value: Any) -> Any:
    return orjson.loads(_CHANGING.sub("0", orjson.dumps(value).decode()))


async def test_the_sdk_receives_what_it_receives_without_us(gateway: Gateway, sandbox: Sandbox, modules: Path) -> None:
    """Every workflow, whole and streamed, a question with its answer, a run in the background, a chat."""
    direct = await _calls(modules, sandbox.base_url, TOKEN, *_IDS)
    through = await _calls(modules, gateway.base_url + "/", TOKEN, *_IDS)
    assert direct.keys() == through.keys()
    for call, expected in direct.items():
        found = through[call]
        if call == f"run {_IDS['breaks_the_connection']}":
            # Where no answer came at all, ours is a sentence with a code.
            assert 5000 == found["code"]
        else:
            assert (call, _plain(expected)) == (call, _plain(found))


async def test_its_runs_are_recorded(gateway: Gateway, modules: Path) -> None:
    """With the SDK as their caller; the question and its answer are one record."""
    await _calls(modules, gateway.base_url, TOKEN, "long_stream")
    newest = (await gateway.records(_IDS["long_stream"]))[0]
    assert ("coze-js", "1.3.9") == tuple(newest["metadata"]["caller"][key] for key in ("name", "version"))
    assert ("success", 1) == (newest["execute_status"], newest["run_mode"])
    assert "success" == (await gateway.records(_IDS["asks_a_question"]))[0]["execute_status"]
    assert "success" == (await gateway.ended(_IDS["takes_its_time"]))["execute_status"]


async def test_its_errors_are_ours_and_coze_s(gateway: Gateway, modules: Path, tmp_path: Path) -> None:
    """A wrong token is Coze's refusal; an upstream that is not there is one sentence with a code."""
    refused = await _calls(modules, gateway.base_url, "wrong", "short_answer")
    assert 4100 == refused[f"run {_IDS['short_answer']}"]["code"]
    async with gateway_to(tmp_path, nobody()) as unreachable:
        found = await _calls(modules, unreachable.base_url, TOKEN, "short_answer")
    assert 5000 == found[f"run {_IDS['short_answer']}"]["code"]
    assert "gave no answer" in str(found[f"stream {_IDS['short_answer']}"])
    assert "GatewayError" == found["speech"]["error"]  # and no sound that is our envelope


async def test_it_shows_that_a_name_is_not_allowed(gateway: Gateway, modules: Path) -> None:
    """Whole and streamed, with the setting to change; 0.0.0.0 reaches this machine, and is no name of ours."""
    address = gateway.base_url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - called, not bound to
    found = await _calls(modules, address, TOKEN, "short_answer")
    assert 4000 == found[f"run {_IDS['short_answer']}"]["code"]
    for call in ("run", "stream"):
        assert "EXECUTION_HISTORY_ALLOWED_HOSTS" in str(found[f"{call} {_IDS['short_answer']}"])
