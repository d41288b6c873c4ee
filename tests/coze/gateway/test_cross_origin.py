"""Pages of other origins that call the gateway: what the setting lets them do, and what nobody can."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.coze.gateway.conftest import TOKEN, Gateway, Scripted, canned, gateway_to, nobody, scripted

pytestmark = pytest.mark.anyio

_PAGE = "http://localhost:5173"
_ITS = [
    (b"content-type", b"application/json"),
    (b"x-tt-logid", b"L1"),
    (b"Access-Control-Allow-Origin", b"https://www.coze.cn"),
    (b"access-control-allow-credentials", b"true"),
    (b"access-control-expose-headers", b"x-other"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"vary", b"Accept-Encoding"),
]
_RUN = {"workflow_id": "7", "parameters": {}}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Scripted]]:
    """A gateway that pages of one origin may call, and its upstream."""
    async with scripted(tmp_path, canned(200, _ITS, b'{"code":0}'), allowed_origins=[_PAGE]) as found:
        yield found


def _leave(origin: str, **more: str) -> dict[str, str]:
    """The headers with which a browser asks for leave."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-a"}
    return {"Origin": origin, **asked, **{name.replace("_", "-"): value for name, value in more.items()}}


def _of_cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith(("access-control", "cross-"))}


async def test_leave_is_given_without_the_upstream(site: tuple[Gateway, Scripted]) -> None:
    """For every header that is asked for, and to reach a private address where that is asked for; no cookies."""
    gateway, upstream = site
    answer = await gateway.client.options("/v1/workflow/stream_run", headers=_leave(_PAGE))
    assert (204, "Origin" in answer.headers["vary"]) == (answer.status_code, True)
    assert {
        "access-control-allow-origin": _PAGE,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "access-control-allow-headers": "authorization,x-a",
        "access-control-max-age": "600",
    } == _of_cors(answer)
    private = _leave(_PAGE, Access_Control_Request_Private_Network="true")
    answer = await gateway.client.options("/v1/workflow/run", headers=private)
    assert "true" == answer.headers["access-control-allow-private-network"]
    assert [] == upstream.asked


@pytest.mark.parametrize(
    "origin", ["http://localhost:5174", "https://localhost:5173", "null", "http://localhost:5173.evil.example", ""]
)
async def test_leave_is_not_given_to_others(site: tuple[Gateway, Scripted], origin: str) -> None:
    """Nor does the upstream give it in our place; the answer names the setting."""
    gateway, upstream = site
    answer = await gateway.client.options("/v1/workflow/run", headers=_leave(origin))
    assert ("foreign_origin", {"cross-origin-resource-policy": "same-origin"}) == (
        answer.headers["x-execution-history-error"], _of_cors(answer),
    )  # fmt: skip
    assert [] == upstream.asked


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_page_may_read_what_it_gets(site: tuple[Gateway, Scripted], method: str) -> None:
    """With every header of the answer; what the upstream says of origins is replaced, and not said twice."""
    gateway, upstream = site
    headers = {"Origin": _PAGE, "Sec-Fetch-Site": "cross-site"}
    answer = await gateway.client.request(method, "/v1/bots", headers=headers)
    assert {"access-control-allow-origin": _PAGE, "access-control-expose-headers": "*"} == _of_cors(answer)
    assert (["Accept-Encoding", "Origin"], "L1") == (answer.headers.get_list("vary"), answer.headers["x-tt-logid"])
    assert (1, f"Bearer {TOKEN}".encode()) == (
        len(upstream.asked),
        dict(upstream.asked[0][0]["headers"])[b"authorization"],
    )


async def test_a_program_gets_what_the_upstream_says(site: tuple[Gateway, Scripted]) -> None:
    """It names no origin."""
    gateway, _ = site
    answer = await gateway.client.post("/v1/bots", json={})
    assert "https://www.coze.cn" == answer.headers["access-control-allow-origin"]


async def test_a_page_may_read_our_own_errors(tmp_path: Path) -> None:
    """The upstream is not there, the host is unknown, the account too."""
    async with gateway_to(tmp_path, nobody(), allowed_origins=[_PAGE]) as gateway:
        for headers in ({}, {"Host": "history"}, {"X-Execution-History-Account": "nobody"}):
            answer = await gateway.client.post("/v1/workflow/run", json=_RUN, headers={"Origin": _PAGE, **headers})
            assert {"access-control-allow-origin": _PAGE, "access-control-expose-headers": "*"} == _of_cors(answer)
            assert 4000 <= answer.json()["code"]


async def test_the_history_stays_our_own_pages(site: tuple[Gateway, Scripted]) -> None:
    """A page that may run workflows may neither delete nor read what was recorded."""
    gateway, _ = site
    for path in ("/coze/history/delete", "/runs/act"):
        refused = await gateway.client.post(path, json={}, headers={"Origin": _PAGE})
        assert (403, False) == (refused.status_code, "access-control-allow-origin" in refused.headers)
        leave = await gateway.client.options(path, headers=_leave(_PAGE))
        assert (403, False) == (leave.status_code, "access-control-allow-origin" in leave.headers)
    read = await gateway.client.get("/coze/history", headers={"Origin": _PAGE})
    assert (200, {"cross-origin-resource-policy": "same-origin"}) == (read.status_code, _of_cors(read))


@pytest.mark.parametrize(("setting", "origin"), [("*", "http://a.test"), ("null", "null"), ("*", "null")])
async def test_every_origin_can_be_let_in(tmp_path: Path, setting: str, origin: str) -> None:
    """Pages from files and Electron have none; the answer names the one that asked."""
    async with scripted(tmp_path, canned(200, _ITS, b"{}"), allowed_origins=[setting]) as (gateway, _):
        answer = await gateway.client.post("/v1/bots", headers={"Origin": origin})
        assert origin == answer.headers["access-control-allow-origin"]
        mixed = [("Origin", origin), ("Origin", "http://b.test")]
        assert (setting == "*") == ((await gateway.client.post("/v1/bots", headers=mixed)).content == b"{}")
