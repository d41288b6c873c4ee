"""JSON nested however deeply, in every place of a call and of its answer: it passes as it is, and is recorded."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.types import Scope, Send

from tests.coze.gateway.conftest import Gateway, canned, scripted
from tests.records.test_cut import depth_of

pytestmark = pytest.mark.anyio

LEVELS = (200, 249, 250, 251, 252, 253, 254, 255, 1_000, 100_000)

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream")
_PLAIN = b'{"code":0,"data":"{}"}'
_RUN, _STREAM = "/v1/workflow/run", "/v1/workflow/stream_run"
_ASK = '{"workflow_id":"7"}'


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _ended(data: str) -> bytes:
    return _event("Message", data) + _event("Done", "{}")


# The place, where the call goes, what it says, what is answered, and how the run ended.
_Place = tuple[str, str, Callable[[str], str], Callable[[str], bytes], str]
_PLACES: list[_Place] = [
    ("input", _RUN, lambda d: f'{{"workflow_id":"7","parameters":{{"a":{d}}}}}', lambda _: _PLAIN, "success"),
    (
        "input text",
        _RUN,
        lambda d: json.dumps({"workflow_id": "7", "parameters": f'{{"a":{d}}}'}),
        lambda _: _PLAIN,
        "success",
    ),
    ("answer text", _RUN, lambda _: _ASK, lambda d: orjson.dumps({"code": 0, "data": f'{{"output":{d}}}'}), "success"),
    ("answer", _RUN, lambda _: _ASK, lambda d: f'{{"code":0,"data":{{"output":{d}}}}}'.encode(), "success"),
    ("usage", _RUN, lambda _: _ASK, lambda d: f'{{"code":0,"data":"{{}}","usage":{d}}}'.encode(), "success"),
    ("message", _STREAM, lambda _: _ASK, lambda d: _ended(f'{{"content":{d},"node_title":"End"}}'), "success"),
    (
        "message text",
        _STREAM,
        lambda _: _ASK,
        lambda d: _ended(json.dumps({"content": d, "node_title": "End"})),
        "success",
    ),
    ("node usage", _STREAM, lambda _: _ASK, lambda d: _ended(f'{{"node_title":"End","usage":{d}}}'), "success"),
    (
        "interrupt",
        _STREAM,
        lambda _: _ASK,
        lambda d: _event("Interrupt", f'{{"interrupt_data":{{"event_id":"8/1","data":{d}}}}}'),
        "interrupted",
    ),
    (
        "resumption",
        "/v1/workflow/stream_resume",
        lambda d: f'{{"workflow_id":"7","event_id":"9/1","resume_data":{d}}}',
        lambda _: _event("Done", "{}"),
        "success",
    ),
    (
        "chat",
        "/v1/workflows/chat",
        lambda d: f'{{"workflow_id":"7","additional_messages":{d}}}',
        lambda _: _event("conversation.chat.completed", "{}"),
        "success",
    ),
    (
        "chat answer",
        "/v1/workflows/chat",
        lambda _: _ASK,
        lambda d: (
            _event("conversation.message.completed", f'{{"type":"answer","content":{d}}}')
            + _event("conversation.chat.completed", "{}")
        ),
        "success",
    ),
]


@pytest.fixture(scope="module")
async def deep(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Gateway, list[bytes]]]:
    """A gateway, and the one-item list of what its upstream answers next."""
    answer = [b""]

    async def respond(scope: Scope, body: bytes, send: Send) -> None:
        kind = _EVENTS if answer[0].startswith(b"event") else _JSON
        await canned(200, [kind], *answer)(scope, body, send)

    async with scripted(tmp_path_factory.mktemp("deep"), respond) as (gateway, _):
        yield gateway, answer


@pytest.mark.parametrize("place", _PLACES, ids=lambda place: place[0])
async def test_what_is_deep_passes_and_is_recorded(deep: tuple[Gateway, list[bytes]], place: _Place) -> None:
    """The caller gets every byte; the record has it in the form of what is deep, in lists, the file and the search."""
    gateway, answer = deep
    name, path, request, respond, status = place
    kept: dict[int, dict[str, Any]] = {}
    for levels in LEVELS:
        text = "[" * levels + f'"needle-{levels}"' + "]" * levels
        answer[0] = respond(text)
        passed = await gateway.client.post(path, content=request(text), headers={"content-type": "application/json"})
        assert answer[0] == passed.content
        found = kept[levels] = await gateway.newest("7")
        assert (status, True) == (found["execute_status"], f"needle-{levels}" in json.dumps(found)), levels
        assert depth_of(found) <= 128
    exported = set((await gateway.client.get("/coze/export", params={"workflow": "7"})).content.splitlines())
    in_file = json.loads((Path(gateway.application.settings.store) / "7.json").read_bytes())["histories"]
    assert list(kept.values()) == in_file[len(kept) - 1 :: -1]
    for levels, found in kept.items():
        searched = await gateway.client.get("/coze/history", params={"q": f"needle-{levels}", "workflow": "7"})
        assert "usage" in name or found in searched.json()["histories"]  # which is not searched
        assert orjson.dumps(found) in exported
        assert 200 == (await gateway.client.get(f"/workflows/7/runs/{found['execute_id']}")).status_code
    answer[0] = _PLAIN
    await gateway.client.post(_RUN, json={"workflow_id": "another"})
    assert "success" == (await gateway.records("another"))[0]["execute_status"]
