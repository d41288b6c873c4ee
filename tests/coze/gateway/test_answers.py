"""What callers get through the gateway, and what its records say: texts, charsets, encodings, content types."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.coze.gateway.conftest import canned, scripted

pytestmark = pytest.mark.anyio

_EVENTS = (
    b'id: 0\nevent: Message\ndata: {"content":"%s","node_title":"End","node_is_finish":true}\n\n'
    b'id: 1\nevent: Done\ndata: {"debug_url":"https://x/?execute_id=111"}\n\n'
)
_RUN = json.dumps({"workflow_id": "7", "parameters": {}}).encode()


async def _recorded(
    folder: Path, headers: dict[str, str], body: bytes, sent: bytes = _RUN, path: str = "/v1/workflow/stream_run"
) -> tuple[bytes, dict[str, Any]]:
    """The bytes that a caller gets of an answer, and the record of the run."""
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    async with scripted(folder, canned(200, named, body)) as (gateway, upstream):
        got = b""
        async with gateway.client.stream("POST", path, content=sent) as response:
            async for chunk in response.aiter_raw():
                got += chunk
        assert sent == upstream.asked[0][1]
        return got, (await gateway.records("7"))[0]


@pytest.mark.parametrize(
    ("headers", "body", "output"),
    [
        ({"content-type": "Text/Event-Stream"}, _EVENTS % b"3.10", "3.10"),
        ({}, _EVENTS % b"hello", "hello"),
        ({"content-type": "application/json"}, _EVENTS % b"hello", "hello"),
        ({"content-type": "text/event-stream; charset=gbk"}, _EVENTS % "你好".encode("gbk"), "你好"),
        ({"content-type": "text/event-stream", "content-encoding": "gzip"},
         gzip.compress(_EVENTS[:40], mtime=0) + gzip.compress(_EVENTS[40:], mtime=0), "%s"),
    ],
    ids=range(5),
)  # fmt: skip
async def test_a_stream_is_recorded_as_it_is_and_passes_as_it_came(
    tmp_path: Path, headers: dict[str, str], body: bytes, output: str
) -> None:
    """Whatever its content type, charset and encoding are."""
    got, record = await _recorded(tmp_path, headers, body)
    assert (body, "success", output) == (got, record["execute_status"], record["output"])


async def test_an_answer_that_cannot_be_decoded_passes_and_is_no_failure(tmp_path: Path) -> None:
    """The record says that it could not be read here."""
    body = b'{"code":0,"data":"x"}'
    got, record = await _recorded(tmp_path, {"content-encoding": "gzip"}, body, path="/v1/workflow/run")
    assert (body, "interrupted", "unreadable") == (got, record["execute_status"], record["metadata"]["proof"])
    assert "only passed through here" in record["error_message"]


async def test_a_request_in_another_charset_is_recorded_with_its_name(tmp_path: Path) -> None:
    """And goes on as it came."""
    sent = '{"workflow_id":"7","parameters":{"q":"你好"}}'.encode("gbk")
    _, record = await _recorded(tmp_path, {}, _EVENTS % b"x", sent)
    assert ({"q": "你好"}, "gb18030") == (record["input_parameters"], record["metadata"]["request_charset"])


@pytest.mark.parametrize("said", ["3.10", "null", '"quoted"', '{"n":80241446968629135069}', '{"half":"\\ud83d"}'])
async def test_a_history_answered_from_here_gives_back_what_coze_gave(tmp_path: Path, said: str) -> None:
    """Where Coze no longer has it."""

    async def respond(scope: Any, _body: bytes, send: Any) -> None:
        known = json.dumps({"code": 0, "data": said, "execute_id": "111"}).encode()
        body = known if scope["method"] == "POST" else b'{"code":4200,"msg":"gone"}'
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with scripted(tmp_path, respond) as (gateway, _):
        await gateway.client.post("/v1/workflow/run", content=_RUN)
        answer = await gateway.client.get("/v1/workflows/7/run_histories/111")
        assert "history" == answer.headers["x-execution-history-source"]
        assert said == json.loads(answer.json()["data"][0]["output"])["Output"]
