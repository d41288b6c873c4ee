"""Who gets in with which key, by which door, and what they can and cannot see and do there."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from execution_history.access.limits import Rate
from execution_history.access.principals import SCOPES
from execution_history.web import create_app
from execution_history.web.access import TakenKeys
from execution_history.web.proxies import TrustedProxies
from execution_history.web.route_scopes import OPEN, scope_needed
from tests.web.conftest import Served, opened, served

pytestmark = pytest.mark.anyio

MINE, HIDDEN = "order-7000000000000000002", "secret-7000000000000000002"
MARK: Final = "only-in-the-hidden-run"
_BROWSER: Final = {"Accept": "text/html"}


def _routes(router: Any) -> Iterator[APIRoute]:
    """Every route, also of routers that newer versions of FastAPI keep apart."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner)
        elif isinstance(route, APIRoute) and route.name != "refused" and not route.path.startswith("/docs"):
            yield route


def _addresses(served_app: Served) -> list[tuple[str, str]]:
    routes = _routes(create_app(served_app.application))
    return sorted({(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"})


@dataclass
class Keyed:
    """A server that needs a key, and its keys by what they allow; ``mine`` sees some workflows only."""

    web: Served
    keys: dict[str, str]

    def headers(self, name: str) -> dict[str, str]:
        """The header with the key of this name."""
        return {"Authorization": f"Bearer {self.keys[name]}"}

    async def get(self, path: str, name: str | None = None, **headers: str) -> httpx.Response:
        """The answer to somebody with the key of this name, or without any."""
        given = {} if name is None else self.headers(name)
        return await self.web.client.get(path, headers={**given, **headers})


@pytest.fixture(scope="module")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Keyed]:
    """A server with a key for each scope, and runs of a workflow that one key does not see."""
    async with opened(tmp_path_factory.mktemp("keyed")) as web:
        service, keys = web.application.service, web.application.gate.keys
        for workflow_id, text in ((MINE, "seen"), (HIDDEN, MARK)):
            for number in range(3):
                record = await service.create_execution_record(workflow_id, parameters={"text": text})
                status = "failed" if number else "success"
                await service.update_execution_record(
                    workflow_id, record["execute_id"], status, output=text, error_message=text if number else None
                )
            await service.name_workflow(workflow_id, name=f"Name of {text}")
        await service.views.save(f"View of {HIDDEN}", [("workflow", HIDDEN)])
        made: dict[str, str] = {scope: (await keys.add(scope, [scope])).secret for scope in SCOPES}
        made["mine"] = (await keys.add("mine", ["write", "run"], workflows=["order-*"])).secret
        yield Keyed(web, made)


async def test_every_route_has_a_scope(keyed: Keyed) -> None:
    """One without would be for administrators only; forgetting it is a failing test."""
    assert [] == [
        (method, path)
        for method, path in _addresses(keyed.web)
        if scope_needed(method, path) is None and not path.startswith(OPEN)
    ]


async def test_without_a_key_nothing_is_answered_but_whether_the_server_lives(keyed: Keyed) -> None:
    """Programs get 401 in the API's shape, browsers the page to sign in, whichever the route."""
    for method, path in _addresses(keyed.web):
        answer = await keyed.web.client.request(method, path.replace("{workflow_id}", MINE))
        if path.startswith(OPEN):
            assert 401 != answer.status_code or path == "/sign-in"
        else:
            assert (401, "not_signed_in") == (answer.status_code, answer.json()["error"]["code"]), path
            assert "Bearer" == answer.headers["www-authenticate"]
    for path in ("/docs", "/openapi.json", "/nowhere", "/coze/nowhere", "/docs/assets/swagger-ui.css"):
        assert 401 == (await keyed.get(path)).status_code
    for path in ("/", f"/workflows/{MINE}/runs?status=failed"):
        page = await keyed.get(path, **_BROWSER)
        assert 303 == page.status_code
        assert page.headers["location"].startswith("/sign-in?back=%2F")
    assert 200 == (await keyed.get("/healthz")).status_code
    assert 200 == (await keyed.get("/sign-in", **_BROWSER)).status_code


async def test_a_key_without_the_scope_of_a_route_is_refused_there(keyed: Keyed) -> None:
    """On every route, with every key: 403, and nothing happens."""
    for scope in SCOPES:  # their first use is noted
        await keyed.get("/healthz", scope)
    revision = await keyed.web.application.service.revision()
    contained = {"read": {"write", "admin"}, "run": {"admin"}, "write": {"admin"}, "admin": set[str]()}
    for method, path in _addresses(keyed.web):
        needed = scope_needed(method, path)
        for scope in () if needed is None else set(SCOPES) - contained[needed] - {needed}:
            answer = await keyed.web.client.request(method, path, headers=keyed.headers(scope))
            assert 403 == answer.status_code, (scope, method, path)
            assert needed is not None
            assert needed in answer.text
    assert revision == await keyed.web.application.service.revision()


async def test_a_method_that_an_address_does_not_have_is_that_for_every_key(keyed: Keyed) -> None:
    """No scope makes it another one; without a key the address is not there to be asked."""
    for name, status in (("read", 405), ("admin", 405), (None, 401)):
        headers = {} if name is None else keyed.headers(name)
        answer = await keyed.web.client.request("TRACE", "/coze/retention/rules", headers=headers)
        assert (status, None if name is None else "DELETE, PUT") == (answer.status_code, answer.headers.get("allow"))


async def test_whoever_sees_some_workflows_never_gets_anything_of_the_others(keyed: Keyed) -> None:
    """Over all routes that read: their ids, names, texts and views occur in no answer, and 404 is not 403."""
    service = keyed.web.application.service
    runs = {}
    for workflow_id in (MINE, HIDDEN):
        page = await service.get_execution_history(workflow_id)
        runs[workflow_id] = page["histories"][0]["execute_id"]
    values = {"workflow_id": MINE, "execute_id": runs[MINE], "change_id": "none", "view_id": "none", "key": "none"}
    asked = 0
    for method, path in _addresses(keyed.web):
        if method != "GET" or "/live" in path:
            continue
        filled = path.format(**values, version="x", name="page.css")
        more = f"?run={MINE}/{runs[MINE]}&run={HIDDEN}/{runs[HIDDEN]}" if path.endswith("compare") else ""
        for address in (filled + more, f"{filled}?q={MARK}", f"{filled}?workflow={HIDDEN}"):
            answer = await keyed.get(address, "mine")
            asked += 1
            content = answer.text.replace(MARK, "", answer.text.count(MARK) if "?q=" in address else 0)
            content = content.replace(HIDDEN, "") if f"={HIDDEN}" in address else content
            for hidden in (HIDDEN, MARK, f"Name of {MARK}", runs[HIDDEN] if f"={HIDDEN}" not in address else HIDDEN):
                assert hidden not in content, (address, hidden)
        if "{workflow_id}" in path:
            foreign = path.format(**{**values, "workflow_id": HIDDEN, "execute_id": runs[HIDDEN]})
            answer = await keyed.get(foreign, "mine")
            assert 403 != answer.status_code, foreign
            assert MARK not in answer.text, foreign
    assert asked > 100
    total = (await keyed.get("/coze/history", "mine")).json()["total"]
    assert (3, 6) == (total, (await keyed.get("/coze/history", "read")).json()["total"])
    record = f"/coze/workflows/{HIDDEN}/history/{runs[HIDDEN]}"
    assert [404, 200] == [(await keyed.get(record, name)).status_code for name in ("mine", "read")]


async def test_whoever_sees_some_workflows_cannot_change_or_run_the_others(keyed: Keyed) -> None:
    """Nor find out whether there are any: a workflow that does not exist is answered in the same way."""
    service, client = keyed.web.application.service, keyed.web.client
    revision = await service.revision()
    page = await service.get_execution_history(HIDDEN)
    run = page["histories"][0]["execute_id"]
    answers: dict[str, list[tuple[int, str]]] = {}
    for workflow_id in (HIDDEN, "no-such-workflow"):
        record = f"/coze/workflows/{workflow_id}/history/{run}"
        calls: list[tuple[str, str, Any]] = [
            ("DELETE", record, None),
            ("DELETE", f"/coze/workflows/{workflow_id}/history", None),
            ("PATCH", record, {"pinned": True}),
            ("POST", "/coze/history/delete", {"executions": [{"workflow_id": workflow_id, "execute_id": run}]}),
            ("POST", "/coze/history/delete", {"filters": {"workflow": workflow_id}, "dry_run": True}),
            ("POST", f"{record}/resume", {"data": "yes"}),
            ("POST", f"{record}/fetch", None),
            ("POST", f"/coze/workflows/{workflow_id}/run", {"parameters": {}}),
            ("POST", "/coze/workflows/stream_run", {"workflow_id": workflow_id}),
            ("PATCH", f"/coze/workflows/{workflow_id}", {"name": "x"}),
        ]
        found = []
        for method, path, body in calls:
            answer = await client.request(method, path, json=body, headers=keyed.headers("mine"))
            text = re.sub(r'"request_id":"\w+"', "", answer.text)
            found.append((answer.status_code, text.replace(workflow_id, "…")))
        answers[workflow_id] = found
    assert answers["no-such-workflow"] == answers[HIDDEN]
    assert revision == await service.revision()


async def test_the_feed_of_whoever_sees_some_workflows_is_narrowed(keyed: Keyed) -> None:
    """Whatever happens to the others, only what is theirs arrives."""
    async with keyed.web.client.stream("GET", "/coze/history/live?since=0", headers=keyed.headers("mine")) as answer:
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if text.count("event: put") >= 3:
                break
    assert MINE in text
    assert HIDDEN not in text
    assert MARK not in text


async def test_a_browser_signs_in_with_a_key_and_out_again(keyed: Keyed) -> None:
    """Its cookie is hidden from scripts and other sites, does not hold the key, and ends with the key."""
    keys = keyed.web.application.gate.keys
    secret = (await keys.add("browser", ["admin"])).secret
    own = {"Origin": str(keyed.web.client.base_url).rstrip("/"), **_BROWSER}
    async with httpx.AsyncClient(base_url=keyed.web.client.base_url, headers=own) as browser:
        refused = await browser.post("/sign-in", data={"key": secret[:-1] + "~", "back": "/charts"})
        assert 401 == refused.status_code
        assert 'role="alert"' in refused.text
        entered = await browser.post("/sign-in", data={"key": f" {secret} ", "back": "//evil.example/"})
        assert (303, "/") == (entered.status_code, entered.headers["location"])
        cookie = entered.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Max-Age=86400", "Path=/"))
        assert secret.split("_", 2)[2] not in cookie
        assert "Secure" not in cookie
        assert [200, 200, 200] == [(await browser.get(path)).status_code for path in ("/", "/keys", "/audit")]
        assert (303, "/sign-in") == ((out := await browser.post("/sign-out")).status_code, out.headers["location"])
        assert 303 == (await browser.get("/")).status_code
        await browser.post("/sign-in", data={"key": secret})
        assert 200 == (await browser.get("/")).status_code
        # The gateway is not opened by a cookie, which a page of another port could send along.
        relayed = await browser.post("/v1/workflow/run", json={"workflow_id": "x"})
        assert "not_signed_in" == relayed.headers["x-execution-history-error"]
        await keys.revoke("browser")
        assert 303 == (await browser.get("/")).status_code
        late = await browser.post("/runs/act", headers={"Referer": f"{own['Origin']}/runs?status=failed"})
        assert (303, "/sign-in?back=%2Fruns%3Fstatus%3Dfailed") == (late.status_code, late.headers["location"])
        assert "Your key was revoked" in (await browser.get("/", follow_redirects=True)).text
    foreign = {"Origin": "http://evil.example"}
    assert 403 == (await keyed.web.client.post("/sign-in", data={"key": secret}, headers=foreign)).status_code


async def test_the_page_to_sign_in_has_the_reason_to_do_it_again(keyed: Keyed) -> None:
    """The key has expired, or the session has ended; there is none before the first time, nor after signing out."""
    gate = keyed.web.application.gate
    secret = (await gate.keys.add("short", ["read"])).secret
    own = {"Origin": str(keyed.web.client.base_url).rstrip("/"), **_BROWSER}
    async with httpx.AsyncClient(base_url=keyed.web.client.base_url, headers=own, follow_redirects=True) as browser:

        async def notice(path: str = "/") -> str | None:
            found = re.search(r'role="alert">([^<]*)', (await browser.get(path)).text)
            return None if found is None else found[1]

        assert await notice() is None
        await browser.post("/sign-in", data={"key": secret})
        assert await notice("/sign-in") is None
        await gate.keys.renew("short", lifetime_ms=0)
        assert "Your key has expired: have it renewed, or sign in with another one." == await notice()
        await gate.keys.renew("short")
        await gate.sessions.rotate(ends_all=True)
        assert "Your session has ended: sign in again." == await notice()
        await browser.post("/sign-in", data={"key": secret})
        await browser.post("/sign-out")
        assert await notice() is None
    await gate.keys.revoke("short")


async def test_the_gateway_needs_a_key_beside_the_callers_own_token(keyed: Keyed) -> None:
    """As a header or in the base address; a stranger cannot use it to reach Coze, and Coze's SDKs show why."""
    sandbox = keyed.web.application.sandbox
    assert sandbox is not None
    token = {"Authorization": f"Bearer {sandbox.token}"}
    body = {"workflow_id": "7000000000000000001", "parameters": {"city": "Paris"}}
    client = keyed.web.client

    async def run(path: str = "/v1/workflow/run", **headers: str) -> tuple[Any, str | None]:
        answer = await client.post(path, json=body, headers={**token, **headers})
        assert 200 == answer.status_code
        return answer.json()["code"], answer.headers.get("x-execution-history-error")

    assert [(4000, "not_signed_in"), (4000, "not_allowed"), (0, None), (0, None)] == [
        await run(),
        await run(**{"X-Execution-History-Key": keyed.keys["read"]}),
        await run(**{"X-Execution-History-Key": keyed.keys["run"]}),
        await run(f"/k/{keyed.keys['run']}/v1/workflow/run"),
    ]
    assert (4000, "not_signed_in") == await run(f"/k/{keyed.keys['run'][:-1]}~/v1/workflow/run")
    assert (4000, "not_allowed") == await run(f"/k/{keyed.keys['mine']}/v1/workflow/run")
    page = await keyed.web.application.service.get_execution_history("7000000000000000001")
    assert 2 == page["total"]
    assert keyed.keys["run"].split("_", 2)[2] not in orjson.dumps(page).decode()


async def test_no_spelling_of_a_run_or_its_history_passes_a_keys_patterns(keyed: Keyed) -> None:
    """Neither an unrecorded one, nor one whose address or keys are written as other servers read them too."""
    sandbox = keyed.web.application.sandbox
    assert sandbox is not None
    token = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/json"}
    paths = (
        "/v1/workflow/run", "/v1/workflow/%72un", "/v1/workflow/./run", "/v1/a/%2e%2E/workflow/run",
        "/v1/workflow%2Frun", "/v1/a%2F..%2fworkflow/run",
    )  # fmt: skip
    bodies = ('{"workflow_id": "%s"}', '{"workflow_id": "order-1", "WorKflow_Id": "%s"}', '{"WORKFLOW_ID": "%s"}')
    for path, body, passes in product(paths, bodies, ({}, {"X-Execution-History": "off"})):
        answer = await keyed.web.client.post(
            f"/k/{keyed.keys['mine']}{path}", content=body % "7000000000000000001", headers=token | passes
        )
        assert "not_allowed" == answer.headers.get("x-execution-history-error"), (path, body, passes)
    histories = (
        "/v1/workflows/7000000000000000001/run_histories/1", "/v1/workflows%2F7000000000000000001%2Frun_histories%2F1",
        "/v1/a%2F../workflows/7000000000000000001/run_histories/1",
        "/v1/workflow/get_run_history?workflow_id=7000000000000000001&execute_id=1",
        "/v1/workflow%2Fget_run_history?workflow_id=order-1&workflow_id=7000000000000000001&execute_id=1",
    )  # fmt: skip
    for path in histories:
        answer = await keyed.web.client.get(f"/k/{keyed.keys['mine']}{path}", headers=token)
        assert "not_allowed" == answer.headers.get("x-execution-history-error"), path


async def test_a_key_goes_no_further_than_the_door_however_it_is_written() -> None:
    """Also one in a header that has none for us, beside the one that lets in, and the session of a browser."""
    secret, seen = f"eh_0123abcd_{'k' * 43}", []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.extend(scope["headers"])

    logins = [b"Bearer\t%s", b"%s", b"Basic %s", b"bearer %s", b"Token  %s"]
    sent = [(b"authorization", each % secret.encode()) for each in logins]
    sent += [(b"cookie", b"a=1; execution_history=0123abcd.1.x; b=2"), (b"cookie", b"execution_history=0123abcd.1.x")]
    scope = {"type": "http", "path": "/v1/workflow/run", "headers": [*sent, (b"authorization", b"Bearer pat_1")]}
    await TakenKeys(app)(scope, None, None)  # type: ignore[arg-type]
    assert [(b"cookie", b"a=1; b=2"), (b"authorization", b"Bearer pat_1")] == seen


async def test_a_key_has_its_rate_and_its_largest_request(keyed: Keyed) -> None:
    """429 with the time to wait, 413 also where the length is not said beforehand."""
    gate, client = keyed.web.application.gate, keyed.web.client
    slow = {"Authorization": f"Bearer {(await gate.keys.add('slow', ['read'], rate=Rate(2, 3_600))).secret}"}
    answers = [await client.get("/coze/workflows", headers=slow) for _ in range(3)]
    assert [200, 200, 429] == [answer.status_code for answer in answers]
    assert 0 < int(answers[2].headers["retry-after"]) <= 1_801
    assert "2/h" in answers[2].json()["error"]["message"]
    small = {"Authorization": f"Bearer {(await gate.keys.add('small', ['write'], largest_body=2_048)).secret}"}

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"executions": ['
        yield b" " * 4_000

    for content in (b" " * 4_000, pieces()):
        answer = await client.post(
            "/coze/history/delete", content=content, headers={**small, "Content-Type": "application/json"}
        )
        assert (413, "body_too_large") == (answer.status_code, answer.json()["error"]["code"])
    await gate.keys.revoke("slow")
    await gate.keys.revoke("small")


async def test_an_administrator_manages_keys_over_http(keyed: Keyed) -> None:
    """The secret is in the first answer alone; a revoked key opens nothing; both stand in the audit log."""
    client, admin = keyed.web.client, keyed.headers("admin")
    wanted = {"name": "temp", "scopes": ["read"], "workflows": ["order-*"], "expires": "1d", "rate": "9/s"}
    made = await client.post("/coze/keys", json=wanted, headers=admin)
    assert 201 == made.status_code
    key, secret = made.json()["key"], made.json()["secret"]
    assert (["order-*"], "9/s", None) == (key["workflows"], key["rate"], key["last_used"])
    assert 200 == (await client.get("/coze/history", headers={"X-Execution-History-Key": secret})).status_code
    listed = (await client.get("/coze/keys", headers=admin)).text
    assert key["id"] in listed
    assert secret.split("_", 2)[2] not in listed
    assert "digest" not in listed
    assert 422 == (await client.post("/coze/keys", json=wanted, headers=admin)).status_code
    renewed = await client.post("/coze/keys/temp/renew", json={"expires": "2d"}, headers=admin)
    assert renewed.json()["key"]["expires"] - key["expires"] >= 86_400_000
    assert 404 == (await client.post("/coze/keys/nobody/renew", json={}, headers=admin)).status_code
    assert [200, 404] == [(await client.delete("/coze/keys/temp", headers=admin)).status_code for _ in range(2)]
    refused = await client.get("/coze/history", headers={"X-Execution-History-Key": secret})
    assert (401, "not_signed_in") == (refused.status_code, refused.json()["error"]["code"])
    lines = (await client.get("/coze/audit", headers=admin)).json()["lines"]
    assert ["sign_in_failed", "key_revoked", "key_renewed", "key_added"] == [line["action"] for line in lines[:4]]
    assert lines[1]["actor"].endswith(" admin")
    assert {"id": key["id"], "name": "temp"} == lines[1]["details"]


async def test_an_expired_key_is_renewed_on_the_page(keyed: Keyed) -> None:
    """For as long as the form says; keys that are valid have no such form."""
    gate, headers = keyed.web.application.gate, {**_BROWSER, **keyed.headers("admin")}
    made = await gate.keys.add("late", ["read"], lifetime_ms=-1)
    assert 1 == (await keyed.web.client.get("/keys", headers=headers)).text.count('value="renew"')
    for expires, status in (("soon", 422), ("90d", 200)):
        form = {"action": "renew", "key": made.key.id, "expires": expires}
        page = await keyed.web.client.post("/keys", data=form, headers=headers)
        assert status == page.status_code
    assert "is renewed" in page.text
    assert 'value="renew"' not in page.text
    assert await gate.keys.holder_of(made.secret)


async def test_without_any_key_everything_is_as_before_and_the_first_one_closes_the_door(tmp_path: Path) -> None:
    """At once, where this server adds it; and whoever added it on the page sees it there once."""
    async with opened(tmp_path) as web:
        assert 200 == (await web.client.get("/coze/workflows")).status_code
        form = {"action": "add", "name": "first", "scope": "admin"}
        page = await web.client.post("/keys", data=form, headers={**_BROWSER, "Accept-Language": "zh"})
        assert 200 == page.status_code
        [key] = await web.application.gate.keys.all()
        assert f"eh_{key.id}_" in page.text
        assert 401 == (await web.client.get("/coze/workflows")).status_code


async def test_a_key_can_be_required_before_there_is_one(tmp_path: Path) -> None:
    """By the setting, or as the server listens beyond this machine; or never."""
    for settings, status in (
        ({"require_key": True}, 401), ({"host": "192.0.2.1"}, 401), ({"require_key": False}, 200),
        ({"host": "192.0.2.1", "open_to_network": True}, 200),
    ):  # fmt: skip
        async with opened(tmp_path, **settings) as web:
            assert status == (await web.client.get("/coze/workflows")).status_code


async def _listening(client: httpx.AsyncClient, address: str, **sent: Any) -> asyncio.Task[None]:
    """Somebody who has begun to read an answer without end, and reads on."""
    started = asyncio.Event()

    async def listen() -> None:
        async with client.stream(sent.pop("method", "GET"), address, **sent) as answer:
            assert 200 == answer.status_code
            async for _ in answer.aiter_bytes():
                started.set()

    listening = asyncio.create_task(listen())
    await asyncio.wait((listening, asyncio.create_task(started.wait())), return_when=asyncio.FIRST_COMPLETED)
    return listening


@pytest.mark.parametrize("way", ["revoked", "expired", "signed out"])
async def test_a_stream_ends_soon_after_its_key_or_its_session_did(keyed: Keyed, way: str) -> None:
    """The feed, in which nothing happens meanwhile, is not open for days with a key that has been taken back."""
    gate, client = keyed.web.application.gate, keyed.web.client
    gate.checked_again_seconds = 0.05
    lifetime = 700 if way == "expired" else None
    made = await gate.keys.add(f"listener {way}", ["read"], lifetime_ms=lifetime)
    sent = {"Authorization": f"Bearer {made.secret}"}
    if way == "signed out":
        sent = {"Cookie": f"execution_history={await gate.sessions.begin(made.key.id)}"}
    listening = await _listening(client, "/coze/history/live?since=0", headers=sent)
    if way == "revoked":
        await gate.keys.revoke(made.key.id)
    elif way == "signed out":
        await gate.sessions.rotate(ends_all=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await listening


async def test_a_run_through_the_gateway_ends_for_its_caller_with_the_key_and_is_recorded(keyed: Keyed) -> None:
    """As for any caller who hangs up."""
    gate, sandbox = keyed.web.application.gate, keyed.web.application.sandbox
    assert sandbox is not None
    gate.checked_again_seconds = 0.05
    made = await gate.keys.add("gateway", ["run"])
    sent = {"Authorization": f"Bearer {sandbox.token}", "X-Execution-History-Key": made.secret}
    slow = "7000000000000000002"
    body = {"workflow_id": slow, "parameters": {"city": "Paris", "pace_ms": 2_000}}
    listening = await _listening(keyed.web.client, "/v1/workflow/stream_run", method="POST", json=body, headers=sent)
    await gate.keys.revoke("gateway")
    with pytest.raises(httpx.RemoteProtocolError):
        await listening
    page = await keyed.web.application.service.get_execution_history(slow)
    assert 1 == page["total"]


async def test_who_listens_without_a_key_is_cut_off_when_the_first_one_is_added(tmp_path: Path) -> None:
    """From then on everybody needs one."""
    async with opened(tmp_path) as web:
        web.application.gate.checked_again_seconds = 0.05
        listening = await _listening(web.client, "/coze/history/live?since=0")
        await web.application.gate.keys.add("first", ["admin"])
        with pytest.raises(httpx.RemoteProtocolError):
            await listening


async def test_what_a_proxy_says_is_believed_of_trusted_proxies_alone() -> None:
    """The caller, the scheme and the host; of a chain the last address that is no proxy."""

    async def tell(request: Request) -> JSONResponse:
        assert request.client is not None
        return JSONResponse([request.client.host, request.url.scheme, request.headers["host"]])

    told = {
        "X-Forwarded-For": "6.6.6.6, 203.0.113.9, 127.0.0.2",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "history.example",
    }
    app = Starlette(routes=[Route("/", tell)])
    for proxies, expected in (
        (["10.0.0.0/8"], None), ([], None), (["127.0.0.0/8"], ["203.0.113.9", "https", "history.example"]),
    ):  # fmt: skip
        async with served(TrustedProxies(app, proxies)) as base, httpx.AsyncClient(base_url=base) as client:
            answer = (await client.get("/", headers=told)).json()
            assert (expected or ["127.0.0.1", "http", base.removeprefix("http://")]) == answer
