"""What a page in somebody's browser can and cannot make this server do."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from execution_history.web.security import Guard
from tests.web.conftest import Served, served

pytestmark = pytest.mark.anyio

_PATH = "/coze/workflows/w/history"


async def _status(web: Served, method: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await web.client.request(method, _PATH, headers=named)).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example", "[::1]evil.example", "localhost:evil",
        "localhost@evil.example", "evil.example:8765", "",
    ],
)  # fmt: skip
async def test_a_foreign_host_is_refused_for_reading_too(shared_web: Served, host: str) -> None:
    """DNS rebinding: the page of another name must not read what is here either."""
    answer = await shared_web.client.get("/healthz", headers={"Host": host})
    assert (421, "host_not_allowed") == (answer.status_code, answer.json()["error"]["code"])
    assert "EXECUTION_HISTORY_ALLOWED_HOSTS" in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "127.0.0.1", "[::1]:8", "history.test", "history.test:9"])
async def test_our_own_names_are_answered_with_any_port(shared_web: Served, host: str) -> None:
    """A tunnel or a proxy may have another port."""
    assert 200 == await _status(shared_web, "GET", host=host)


@pytest.mark.parametrize(
    ("setting", "host"),
    [("fd00::5", "[fd00::5]:8765"), ("Example.test:80", "example.test"), ("[fd00::6]", "[fd00::6]"), ("*", "any.test")],
)
async def test_names_can_be_set_in_any_spelling(setting: str, host: str) -> None:
    """As an address is written in settings, with or without brackets and port."""
    guard = Guard(PlainTextResponse("in"), [setting])
    async with served(guard) as base, httpx.AsyncClient(base_url=base) as client:
        assert "in" == (await client.get("/", headers={"Host": host})).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"host": "localhost:1", "origin": "http://localhost:2"},
        {"host": "localhost:1", "origin": "https://localhost:1"},
        {"host": "localhost:1", "origin": "localhost:1"},
    ],
)
async def test_a_change_that_another_origin_asks_for_is_refused(web: Served, headers: dict[str, str]) -> None:
    """Scheme, name and port must be this server's own; nothing is changed."""
    await web.application.service.create_execution_record("w")
    assert [403, 403] == [await _status(web, method, **headers) for method in ("DELETE", "POST")]
    assert 200 == await _status(web, "GET", **headers)
    assert 1 == (await web.application.service.workflow_summaries())[0].total


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:1", "origin": "http://localhost:1", "sec_fetch_site": "same-origin"},
        {"host": "history.test", "origin": "https://history.test", "x_forwarded_proto": "https"},
        {"sec_fetch_site": "none"},
    ],
)
async def test_programs_and_our_own_pages_may_change_things(web: Served, headers: dict[str, str]) -> None:
    """curl sends no origin, and a proxy that adds TLS says so."""
    await web.application.service.create_execution_record("w")
    assert 200 == await _status(web, "DELETE", **headers)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/healthz", {}), ("/nowhere", {}), ("/docs", {}), (_PATH, {}), ("/healthz", {"Host": "evil.example"})],
)
async def test_every_answer_says_what_a_browser_may_do_with_it(
    shared_web: Served, path: str, headers: dict[str, str]
) -> None:
    """No guessing of types, no frames, no scripts but ours; refusals included."""
    answer = (await shared_web.client.get(path, headers=headers)).headers
    assert ("nosniff", "no-referrer", "same-origin") == (
        answer["x-content-type-options"], answer["referrer-policy"], answer["cross-origin-resource-policy"],
    )  # fmt: skip
    policy = dict(part.strip().split(" ", 1) for part in answer["content-security-policy"].split(";"))
    assert ("'self'", "'none'", "'none'") == (policy["default-src"], policy["frame-ancestors"], policy["object-src"])
    assert "script-src" not in policy
