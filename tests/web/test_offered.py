"""What pages offer to the holder of a key: exactly what the key allows, by the table of scopes."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import httpx
import pytest

from execution_history.access.principals import NOBODY, Principal, Scope
from execution_history.history.annotations import Annotation
from execution_history.web.route_scopes import OPEN, may
from tests.web.conftest import Served, opened

pytestmark = pytest.mark.anyio

KEYS: Final[dict[str, tuple[Scope, ...]]] = {
    "reader": ("read",), "runner": ("read", "run"), "writer": ("write",), "admin": ("admin",),
}  # fmt: skip
ASKING: Final = "7000000000000000005"
PLACES: Final = (
    "/", "/runs", "/runs?status=failed", "/charts", "/prices", "/prices/versions", "/views",
    "/views?gone=x&filters=status%3Dfailed", "/bin", "/runs/changes", "/workflows/w", "/workflows/w/nodes",
    "/workflows/w/runs", "/workflows/w/runs/one", "/workflows/w/runs/one/again", "/workflows/w/run",
    "/compare?run=w/one&run=w/two", "/storage", "/system", "/redaction", "/keys", "/audit",
)  # fmt: skip
_UNDERWAY: Final = {"/runs/change/stop", "/runs/change/resume", "/demo/leave", "/demo", "/sign-in"}
"""What is offered only while something goes on, was cut short or is a demo, or nobody has signed in."""


_ADDRESSES: Final = {
    "href", "data-switcher", "data-menu", "data-facets", "data-tabs", "data-news", "data-change", "data-ticks",
    "data-within", "data-recalculation", "data-indexing",
}  # fmt: skip
"""The attributes from which readers and scripts take an address."""


_OFFERED: Final = {
    "/runs/act", "/runs/chosen", "/runs/change/undo", "/views", "/views/id", "/bin", "/prices", "/prices/recalculation",
    "/workflows/w/name", "/workflows/w/run", "/workflows/w/runs/one/notes", "/storage", "/redaction", "/keys",
}  # fmt: skip
"""Some of what an administrator is offered."""


class _Offers(HTMLParser):
    """The requests that a page offers: its forms, their buttons and its links, as methods and addresses."""

    def __init__(self, page: str, address: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self._address, self._forms = address, dict[str, str]()
        self._method = "GET"
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._method = given.get("method", "get").upper()
            self._forms[given.get("id", "")] = self._method
            self._add(self._method, given.get("action", ""))
        if "formaction" in given:
            self._add(self._forms[given["form"]] if "form" in given else self._method, given["formaction"])
        for name in _ADDRESSES & given.keys():
            self._add("GET", given[name])

    def _add(self, method: str, address: str) -> None:
        path = urljoin(self._address, address)
        if method != "DIALOG" and address[:1] != "#" and not path.startswith(("/docs", "/assets", "http")):
            self.found.add((method, path))


@pytest.fixture(scope="module")
async def keyed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Served, dict[str, str]]]:
    """A server with something of everything, and a key for each kind of people."""
    async with opened(tmp_path_factory.mktemp("offered")) as web:
        service, client = web.application.service, web.client
        for name in ("one", "two", "gone"):
            await service.create_execution_record("w", name, parameters={"city": "Paris"})
            await service.update_execution_record("w", name, "failed", error_message="no")
        await service.annotate("w", "one", Annotation(pinned=True, add_tags=("kept",), note="A note."))
        await service.set_price({"input": "1", "output": "2"})
        await service.views.save("Failed", [("status", "failed")])
        await client.post("/runs/act", data={"run": "w/gone", "do": "delete"})
        await client.put("/coze/retention/rules", json={"name": "old", "older_than": "900d"})
        await client.post("/coze/workflows/stream_run", json={"workflow_id": ASKING, "parameters": {"pace_ms": 1}})
        await service.follow_index()
        yield web, {name: (await web.application.gate.keys.add(name, scopes)).secret for name, scopes in KEYS.items()}


async def _offers(client: httpx.AsyncClient, name: str, secret: str) -> set[tuple[str, str]]:
    """What all pages offer that a key may open; what they offer must be allowed."""
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/html"}
    principal = Principal("id", name, frozenset(KEYS[name]))
    asking = re.search(rf"/workflows/{ASKING}/runs/[^/?\"]+", (await client.get("/runs", headers=headers)).text)
    assert asking is not None
    offered: set[tuple[str, str]] = set()
    for place in (*PLACES, asking[0]):
        answer = await client.get(place, headers=headers)
        assert may(principal, "GET", place) is (answer.status_code == 200), (place, answer.status_code)
        found = _Offers(answer.text, place).found
        assert [] == [each for each in found if not may(principal, *each)], place
        offered |= {
            (method, re.sub(r"view/.*|views/[^/]+", "views/id", path)) for method, path in found if method == "POST"
        }
    return offered


async def test_each_form_and_link_is_one_that_the_key_of_its_reader_allows(
    keyed: tuple[Served, dict[str, str]],
) -> None:
    """And none that is allowed is missing: whoever may do less is offered what the administrator is, less that."""
    web, secrets = keyed
    offered = {name: await _offers(web.client, name, secret) for name, secret in secrets.items()}
    for name, scopes in KEYS.items():
        principal = Principal("id", name, frozenset(scopes))
        assert {each for each in offered["admin"] if may(principal, *each)} == offered[name]
    posted = {path for _, path in offered["admin"]}
    assert _OFFERED <= posted
    assert not posted & _UNDERWAY


async def test_pages_say_who_is_signed_in_and_what_their_key_allows(keyed: tuple[Served, dict[str, str]]) -> None:
    """In the bar, with the way out; and where a form is missing that people look for, why."""
    web, secrets = keyed
    headers = {"Authorization": f"Bearer {secrets['reader']}", "Accept": "text/html"}
    page = (await web.client.get("/workflows/w/runs/one", headers=headers)).text
    assert re.search(r'<details class="menu who".*reader.*see runs, statistics and exports.*Sign out', page, re.DOTALL)
    assert "Your key does not allow this: it needs the scope run." in page
    assert "A note." in page
    assert ">kept<" in re.sub("</?bdi>", "", page)
    assert "the scope run" in (await web.client.get("/workflows/w/run", headers=headers)).text


async def test_nothing_of_the_history_is_seen_before_signing_in(keyed: tuple[Served, dict[str, str]]) -> None:
    """The page to sign in, and errors before that, offer nothing but what needs no key."""
    web, _ = keyed
    for address in ("/sign-in", "/sign-in?back=%2Fviews", "/assets/x/none"):
        page = (await web.client.get(address, headers={"Accept": "text/html"})).text
        assert [] == [each for each in _Offers(page, address).found if not may(NOBODY, *each)]
        assert all(path.startswith(OPEN) for _, path in _Offers(page, address).found)
        assert "<nav" not in page


async def test_a_key_that_reads_nothing_is_not_for_the_page(keyed: tuple[Served, dict[str, str]]) -> None:
    """Its holder is told so when signing in; and its pages, where a program asks for them, offer nothing."""
    web, _ = keyed
    secret = (await web.application.gate.keys.add("program", ["run"])).secret
    refused = await web.client.post("/sign-in", data={"key": secret}, headers={"Accept": "text/html"})
    assert (403, True) == (refused.status_code, "only starts runs" in refused.text)
    assert "set-cookie" not in refused.headers
    page = await web.client.get("/", headers={"Accept": "text/html", "Authorization": f"Bearer {secret}"})
    assert 403 == page.status_code
    assert "<nav" not in page.text


@pytest.mark.parametrize(
    ("settings", "name", "sentence"),
    [
        ({}, None, "No key is needed here"),
        ({"require_key": True}, None, "keys add NAME --scope admin --store STORE<"),
        ({"require_key": False}, "reader", "No key is needed here"),
        ({}, "reader", "is protected by keys"),
    ],
)
async def test_the_page_to_sign_in_says_what_is_so(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, bool], name: str | None, sentence: str
) -> None:
    """Whether a key is needed, and whether there is one; the form is there where it can do something."""
    async with opened(tmp_path_factory.mktemp("signing"), **settings) as web:
        if name is not None:
            await web.application.gate.keys.add(name, ["read"])
        page = (await web.client.get("/sign-in", headers={"Accept": "text/html"})).text
    assert sentence in page
    assert ('name="key"' in page) is (settings.get("require_key", False) or name is not None)
