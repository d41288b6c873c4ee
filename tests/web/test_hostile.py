"""What nobody should send, to every address there is: it is the caller's fault, said in a sentence, and documented."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from execution_history.web import create_app
from tests.web.conftest import Served, opened

pytestmark = pytest.mark.anyio

_DEEP: Final = 100_000

IDS: Final = {
    "nul": b"a%00b",
    "surrogate": b"%ED%A0%80",
    "not utf-8": b"%FF",
    "control": b"%1B%5B2J%0A",
    "bidi": b"%E2%80%AE",
    "format": b"%25s%25(x)s%7B0%7D",
    "percent": b"%",
    "slash": b"%2F",
    "dots": b"..",
    "coded dots": b"%2e%2e%2f",
    "too long": b"x" * 1_001,
    "much too long": b"x" * 70_000,
    "emoji": b"%F0%9F%98%80",
}
VALUES: Final = IDS | {
    "empty": b"",
    "huge": b"9" * 5_000,
    "beyond 64 bits": b"99999999999999999999",
    "negative": b"-1",
    "exponent": b"1e400",
    "nan": b"NaN",
    "other digits": b"%D9%A1",
    "underscore": b"1_0",
    "brackets": b"%5B" * 10_000,
    "quote": b'"',
    "commas": b"," * 10_000,
    "folders": b"a/" * 500,
    "wide cursor": base64.urlsafe_b64encode(b'[18446744073709551615,"w","e"]'),
    "true": b"true",
}
QUERIES: Final = {
    "nothing": b"",
    "signs": b"&=&&=&%00=%00",
    "not utf-8": b"%ff=%ff",
    "unknown": b"%E2%80%AEunknown=1",
    "long name": b"x" * 100_000 + b"=1",
    "many": b"&".join(b"p%d=1" % number for number in range(3_000)),
}
BODIES: Final = {
    "nothing": b"",
    "open": b"{",
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "not utf-8": b'{"workflow_id":"\xff"}',
    "utf-16": '{"workflow_id":"w"}'.encode("utf-16"),
    "mark": b'\xef\xbb\xbf{"workflow_id":"w"}',
    "deep list": b"[" * _DEEP,
    "deep object": b'{"a":' * _DEEP,
    "deep and whole": b'{"workflow_id":"w","parameters":{"a":' + b"[" * _DEEP + b"]" * _DEEP + b"}}",
    "deeper than is kept": b'{"workflow_id":"w","data":1,"parameters":{"a":' + b"[" * 300 + b"]" * 300 + b"}}",
    "nan": b'{"workflow_id":"w","data":NaN,"rating":NaN,"parameters":{"a":NaN,"b":1e400}}',
    "long number": b'{"data":%s,"rating":%s}' % (b"9" * 5_000, b"9" * 5_000),
    "twice": b'{"workflow_id":"w","workflow_id":"v","data":1,"data":2,"note":"a","note":"b"}',
    "surrogates": b'{"workflow_id":"\\ud800","data":"\\udfff","note":"\\ud800","parameters":{"\\ud800":"\\udfff"}}',
    "surrogate key": b'{"\\ud800":1}',
    "nul": b'{"workflow_id":"a\\u0000b","data":"\\u0000","tags":["\\u0000"],"user_id":"\\u0000"}',
    "long key": b'{"' + b"k" * 100_000 + b'\\n":1}',
    "odd runs": b'{"executions":[{"workflow_id":"\\u0000","execute_id":"' + b"x" * 1_001 + b'"}],"note":"n"}',
    "no runs": b'{"executions":[{"workflow_id":"","execute_id":""}],"tags":[]}',
    "form": b"run=%00&run=%ff&do=delete&back=%0a//evil.example&parameters=[[[&which=edited&zone=..",
    "form that is not utf-8": b"run=\xff\xfe&" * 2_000,
}
MEMBERS: Final = {
    "surrogate": b'"\\ud800"',
    "surrogates": b'["\\udfff"]',
    "surrogate key": b'{"\\ud800":"\\ud800"}',
    "condition": b'{"where":"input.a = \\ud800"}',
    "nul": b'"\\u0000"',
    "long": b'"' + b"x" * 70_000 + b'"',
    "true": b"true",
    "beyond 64 bits": b"18446744073709551616",
    "long number": b"9" * 5_000,
    "nan": b"NaN",
    "object": b'{"":{}}',
    "deep": b"[" * 5_000 + b"]" * 5_000,
}
"""What a member of a body may be."""

BESIDE: Final[dict[str, dict[str, Any]]] = {
    "AnnotateRequest": {"note": "n", "filters": {"status": "failed"}},
    "AnnotationRequest": {"note": "n"},
    "BinChoice": {"workflow": "w"},
    "BudgetRequest": {"amount": 1},
    "DeleteRequest": {"filters": {"status": "running"}},
    "KeyRequest": {"name": "n", "scopes": ["read"]},
    "PriceRequest": {"input": 1, "output": 1},
    "ResumeRequest": {"data": "x"},
    "RuleRequest": {"older_than": "30d"},
    "StreamRunRequest": {"workflow_id": "w"},
    "ViewRequest": {"name": "n"},
}
"""What makes a body complete, by the name of its schema."""

_FEW: Final = {name: BODIES[name] for name in ("nothing", "twice", "not utf-8")}
_OF_FORMS: Final = {name: body for name, body in BODIES.items() if name in _FEW or b"=" in body or len(body) > _DEEP}
_JSON: Final = b"application/json"
TYPES: Final[dict[bytes | None, dict[str, bytes]]] = {
    _JSON: BODIES,
    b"application/x-www-form-urlencoded": _OF_FORMS,
    None: _OF_FORMS,
    b"multipart/form-data": _FEW,
    b"\xff": _FEW,
}
"""What a body may say that it is, and the bodies that say it: of a type that nothing reads, a few will do."""

_HOST: Final = (b"host", b"localhost")


@dataclass(frozen=True)
class Address:
    """An address of the application: a method and a path with names in braces; what is documented of its answers."""

    method: str
    path: str
    parameters: tuple[str, ...]
    statuses: frozenset[int] | None
    members: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def target(self, text: bytes | None = None) -> bytes:
        """The path with *text*, or the ids of a run that is there, for its names."""
        known = {"workflow_id": b"w", "execute_id": b"asks"}
        parts = re.split(r"\{([^}]+)\}", self.path)
        return b"".join(
            part.encode() if number % 2 == 0 else text if text is not None else known.get(part, b"x")
            for number, part in enumerate(parts)
        )


@dataclass(frozen=True)
class House:
    """The application, and every address in it."""

    app: FastAPI
    addresses: list[Address]

    async def answer(
        self, address: Address, target: bytes, query: bytes = b"", body: bytes = b"", kind: bytes | None = _JSON
    ) -> tuple[int, bytes]:
        """The status and the beginning of the body that a request is answered with, as a server would ask for it."""
        messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        begun = asyncio.Event()
        found: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await begun.wait()  # a stream without an end is left once it has begun
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            found.append(dict(message))
            if message["type"] == "http.response.body":
                begun.set()

        headers = [_HOST, (b"accept", b"text/html"), *([(b"content-type", kind)] if kind is not None else [])]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": address.method,
            "scheme": "http", "path": unquote_to_bytes(target).decode("utf-8", "replace"), "raw_path": target,
            "query_string": query, "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "root_path": "",
        }  # fmt: skip
        await self.app(scope, receive, send)
        return found[0]["status"], b"".join(message.get("body", b"") for message in found[1:])[:10_000]


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The application on a history with a run that asks a question."""
    async with _opened_house(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest.fixture
async def own_house(tmp_path: Path) -> AsyncIterator[House]:
    """Another one, for a test that closes its door."""
    async with _opened_house(tmp_path) as found:
        yield found


@asynccontextmanager
async def _opened_house(folder: Path) -> AsyncIterator[House]:
    async with opened(folder) as web:
        await _fill(web)
        app = create_app(web.application)
        yield House(app, list(_addresses(app)))


async def _fill(web: Served) -> None:
    service = web.application.service
    question = {"event_id": "1/2", "type": 2, "data": "{}"}
    await service.create_execution_record("w", "asks", metadata={"interrupt": question})
    await service.update_execution_record("w", "asks", "interrupted")


def _addresses(app: FastAPI) -> Iterator[Address]:
    documented = app.openapi()["paths"]
    for path, methods in _paths(app.routes):
        for method in methods - {"HEAD", "OPTIONS"}:
            operation = documented.get(path, {}).get(method.lower())
            if operation is None and path in documented:
                continue  # a method that the address does not have
            names = [each["name"] for each in (operation or {}).get("parameters", []) if each["in"] == "query"]
            statuses = None if operation is None else frozenset(map(int, operation["responses"]))
            yield Address(method, path, tuple(names), statuses, _members(operation or {}, app.openapi()))
    for path in ("/v1/workflow/run", "/v1/workflow/stream_run", "/v1/workflow/stream_resume", "/v1/workflows/chat"):
        yield Address("POST", path, (), None)
    yield Address("GET", "/v1/workflows/{workflow_id}/run_histories/{execute_id}", (), None)
    yield Address("GET", "/v1/workflow/get_run_history", ("workflow_id", "execute_id"), None)
    yield Address("GET", "/docs/assets/{name}", (), None)
    yield Address("GET", "/{anything}", ("q",), None)


def _members(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members of a body in JSON, and to each what has to stand beside it."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    members = document["components"]["schemas"].get(name, {}).get("properties", {})
    return {key: {other: value for other, value in BESIDE.get(name, {}).items() if other != key} for key in members}


def _paths(routes: list[BaseRoute]) -> Iterator[tuple[str, set[str]]]:
    for route in routes:
        if included := getattr(route, "original_router", None):
            yield from _paths(included.routes)
        elif methods := getattr(route, "methods", None):
            yield getattr(route, "path", ""), set(methods)


def _is_caller_told(address: Address, status: int, body: bytes) -> str:
    """What is wrong with an answer; nothing when it is as it should be."""
    if not 200 <= status < 500:
        return f"status {status}"
    if address.statuses is not None and status not in address.statuses:
        return f"status {status} is not documented"
    if status < 400 or not body.startswith(b'{"success":false'):
        return "" if b"Traceback" not in body else "a traceback"
    message = orjson.loads(body)["error"]["message"]
    is_sentence = message.endswith(".") and len(message) < 600 and message.isprintable()
    return "" if is_sentence else f"no sentence: {message[:100]!r}"


async def _complaints(calls: Iterator[tuple[Address, str, Any]]) -> list[str]:
    found = []
    for address, name, call in calls:
        status, body = await call
        if wrong := _is_caller_told(address, status, body):
            found.append(f"{address.method} {address.path} with {name}: {wrong}")
    return found


def _traced(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info or "\n" in record.getMessage()]


async def test_the_walk_is_whole(house: House) -> None:
    """It visits what is documented, and the pages."""
    paths = {address.path for address in house.addresses}
    assert set(house.app.openapi()["paths"]) <= paths
    assert {
        "/runs",
        "/workflows/{workflow_id}/runs/{execute_id}/answer",
        "/preferences",
        "/assets/{version}/{name}",
    } <= paths


async def test_no_id_is_a_fault_of_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """In the path of every address."""

    def calls() -> Iterator[tuple[Address, str, Any]]:
        for address in house.addresses:
            for name, text in IDS.items() if "{" in address.path else ():
                yield address, name, house.answer(address, address.target(text), body=b'{"data":"x"}')

    assert [] == await _complaints(calls())
    assert [] == _traced(caplog)


async def test_no_query_is_a_fault_of_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Every parameter with every value, at the first address that has it; every address with every odd query."""

    def calls() -> Iterator[tuple[Address, str, Any]]:
        tried: set[str] = set()
        for address in house.addresses:
            for parameter in address.parameters:
                for name, value in VALUES.items() if parameter not in tried else ():
                    query = parameter.encode() + b"=" + value
                    yield address, f"{parameter}: {name}", house.answer(address, address.target(), query, b"{}")
                tried.add(parameter)
            for name, query in QUERIES.items():
                yield address, name, house.answer(address, address.target(), query, b"{}")

    assert [] == await _complaints(calls())
    assert [] == _traced(caplog)


async def test_no_body_is_a_fault_of_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it says that it is."""

    def calls() -> Iterator[tuple[Address, str, Any]]:
        for address in house.addresses:
            for kind, bodies in TYPES.items() if address.method in {"POST", "PATCH"} else ():
                for name, body in bodies.items():
                    yield address, f"{name} as {kind!r}", house.answer(address, address.target(), b"", body, kind)

    assert [] == await _complaints(calls())
    assert [] == _traced(caplog)


async def test_no_member_of_a_body_is_a_fault_of_ours(own_house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Each with every value, beside what makes the body complete."""

    def calls() -> Iterator[tuple[Address, str, Any]]:
        # A key that was made closes the door, so keys come last.
        for address in sorted(own_house.addresses, key=lambda each: each.path == "/coze/keys"):
            for member, beside in address.members.items():
                for name, value in MEMBERS.items():
                    written = [orjson.dumps({key: other})[1:-1] for key, other in beside.items()]
                    body = b"{%b}" % b",".join([*written, b"%b:%b" % (orjson.dumps(member), value)])
                    yield address, f"{member}: {name}", own_house.answer(address, address.target(), b"", body)

    assert [] == await _complaints(calls())
    assert [] == _traced(caplog)
