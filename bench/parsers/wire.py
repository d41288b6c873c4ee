"""What comes over the wire: streams, answers and requests of Coze, whole or damaged, cut anywhere."""

import asyncio
import gzip
import zlib
from contextlib import suppress
from functools import cache
from typing import Any, Final, get_args

import brotli  # type: ignore[import-untyped]
import httpx
import orjson
import zstandard

from bench.parsers.target import Target, pieces, split, text_of
from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.messages import RunKind, RunRequest, read_body, run_kind
from execution_history.coze.protocol.request_reader import parse_run_request
from execution_history.coze.protocol.response_reader import ResponseReader
from execution_history.coze.protocol.run_history import HistoryRefusal, history_request, read_history, read_node
from execution_history.coze.protocol.run_history_response import translate_studio
from execution_history.coze.protocol.sse import EventDecoder
from execution_history.coze.protocol.user_agent import caller_of
from execution_history.coze.protocol.workflow_names import read_names
from execution_history.coze.tracking.history_client import RunHistoryClient
from execution_history.coze.tracking.poller import RunPoller
from execution_history.coze.transport.call_recording import CallRecord, RunContext
from execution_history.coze.transport.recorded_call import RecordedCall
from execution_history.coze.websocket_recording import ChatRecording, recorded_chat
from execution_history.query.model import RecordQuery
from execution_history.recording.recorder import Recorder
from execution_history.records.encoding import encode
from execution_history.stores.memory.store import MemoryStore

_KINDS: Final[tuple[RunKind, ...]] = get_args(RunKind)
_TYPES: Final = (
    "text/event-stream", "application/json", "text/event-stream; charset=gbk", "", "application/json; charset=\xff",
)  # fmt: skip
_CODINGS: Final = ("gzip", "deflate", "br", "zstd", "gzip, br", "identity", "utf-8", "")
_LIMIT: Final = 65_536

_MESSAGE: Final = (
    'id: 0\nevent: Message\ndata: {"content":"第一行\u2028","node_title":"End","node_seq_id":"0","node_is_finish":true,'
    '"usage":{"token_count":3,"input_count":1,"output_count":2},"node_execute_uuid":"7"}\n\n'
).encode()
_STREAMS: Final = (
    _MESSAGE + b'id: 1\nevent: Done\ndata: {"debug_url":"https://x/work_flow?execute_id=7"}\n\n',
    b'event: Error\r\ndata: {"error_code":4000,"error_message":"no"}\r\n\r\n',
    b'event: Interrupt\ndata: {"interrupt_data":{"event_id":"7/1","type":2,"data":""},"node_title":"Q"}\n\n',
    b'event: conversation.message.delta\ndata: {"id":"1","role":"assistant","type":"answer","content":"a"}\n\n'
    b'event: conversation.chat.completed\ndata: {"id":"2","conversation_id":"3","status":"completed","usage":'
    b'{"token_count":9}}\n\nevent: done\ndata: [DONE]\n\n',
    b'event: conversation.chat.requires_action\ndata: {"id":"2","required_action":{"submit_tool_outputs":{"tool_calls":'
    b'[{"id":"a","function":{"name":"f","arguments":"{}"}}]}}}\n\n',
)
_ENVELOPES: Final = (
    b'{"code":0,"msg":"","data":"{\\"output\\":1}","debug_url":"https://x/?execute_id=7","token":12,"cost":"0"}',
    b'{"code":0,"execute_id":"7","detail":{"logid":"2"},"usage":{"input_count":1,"output_count":2,"token_count":3}}',
    b'{"code":4200,"msg":"workflow not found","data":null}',
    b'{"code":0,"data":{"interrupt_data":{"event_id":"7/1","type":5}}}',
)
_HISTORY: Final = (
    b'{"code":0,"data":[{"execute_id":"7","execute_status":"Success","run_mode":1,"create_time":1700000000,'
    b'"update_time":1700000009,"output":"{\\"Output\\":\\"{\\\\\\"a\\\\\\":1}\\"}","usage":{"token_count":1},'
    b'"node_execute_status":{"Q":{"node_id":"1","is_finish":true,"sub_execute_uuid":"","node_execute_uuid":"5"}},'
    b'"error_code":"0","logid":"l","is_output_trimmed":false}]}',
    b'{"code":0,"msg":"","data":{"execute_id":7,"execute_status":"Fail","create_time":"x","token":"17"}}',
)
_WORDS: Final = (
    b"event: ", b"data: ", b"id: ", b"\n\n", b"\r\n", b"Message", b"Done", b"Error", b"Interrupt", b'"content"', b'"usage"',
    b'"node_title"', b'"error_code"', b'"interrupt_data"', b'"execute_status"', b'"code"', b'"data"', b"null", b"1e400",
    b"\\ud800", b"99999999999999999999", b"conversation.message.delta", b"conversation.chat.failed", b"[DONE]",
)  # fmt: skip


def _events(data: bytes) -> None:
    whole, cut = EventDecoder(), EventDecoder()
    found = [*whole.feed(data), *whole.close()]
    again = [event for piece in pieces(data) for event in cut.feed(piece)] + cut.close()
    assert found == again
    for event in found:
        encode(event.data)


def _read(run: RunRequest, status: int, headers: dict[str, str], chunks: list[bytes]) -> tuple[Any, ...]:
    reader = ResponseReader(run, status, headers, 1_000, largest=_LIMIT)
    for chunk in chunks:
        reader.feed(chunk, 2_000)
    reader.close(3_000)
    outcome = reader.outcome()
    return encode(reader.progress()), encode(outcome.fields()), encode(outcome.metadata()), outcome.status


def _answer(data: bytes) -> None:
    """The first byte chooses what was asked for, and the second how it is answered."""
    if len(data) < 2:
        return
    run = RunRequest(_KINDS[data[0] % len(_KINDS)], "w")
    headers = {"content-type": _TYPES[data[1] % len(_TYPES)], "x-tt-logid": "l"}
    status, body = (200, 200, 404, 500)[data[1] // 16 % 4], data[2:]
    whole, cut = _read(run, status, headers, [body]), _read(run, status, headers, list(pieces(body)))
    if len(body) < _LIMIT // 8:  # what is beyond the limit depends on the chunks
        assert whole == cut


def _encoded(data: bytes) -> None:
    """The first byte chooses the encoding."""
    name = _CODINGS[data[0] % len(_CODINGS)] if data else ""
    whole, cut = ContentDecoder(name, _LIMIT), ContentDecoder(name, _LIMIT)
    found, again = whole.decode(data[1:]), b"".join(map(cut.decode, pieces(data[1:])))
    whole.close()
    cut.close()
    if whole.problem is None:
        assert (found, None) == (again, cut.problem)


def _request(data: bytes) -> None:
    kind, body = _KINDS[data[0] % len(_KINDS)] if data else "run", data[1:]
    for content_type, encoding in (("application/json", None), ("text/plain; charset=gbk", "gzip"), (None, "br")):
        run = parse_run_request(kind, body, content_type, encoding)
        assert run.workflow_id
        encode([run.parameters, run.resume_data, run.connector_uid, run.event_id, run.metadata()])


def _body(data: bytes) -> None:
    content_type, body = split(data)
    with suppress(ValueError):
        encode(read_body(body, content_type.decode("latin-1")))


def _history(data: bytes) -> None:
    found = read_history(200, data, "application/json", "7")
    if not isinstance(found, HistoryRefusal):
        encode(found.fields())
        encode(dict(found.nodes))
    translated = translate_studio(data)
    if translated is not None:
        again = read_history(200, translated)
        assert not isinstance(again, HistoryRefusal), again
        assert translate_studio(translated) is not None
    read_node(200, data)
    read_names(data, None)


def _addresses(data: bytes) -> None:
    path, query = map(text_of, split(data))
    for method in ("GET", "POST", "\u0130"):
        history_request(method, path, query)
        run_kind(method, path)
    recorded_chat(path, query)
    caller_of({"user-agent": path, "x-coze-client-user-agent": query})


def _websocket(data: bytes) -> None:
    """Frames of both sides in turn; every round becomes a record that has ended."""
    _loop().run_until_complete(_relayed([text_of(frame) for frame in data.split(b"\n")]))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _relayed(frames: list[str]) -> None:
    store = MemoryStore()
    recorder = Recorder(store)
    request = httpx.Request("GET", "http://upstream/v1/workflows/chat")
    async with httpx.MockTransport(lambda _: httpx.Response(404)) as upstream:
        poller = RunPoller(recorder, RunHistoryClient(upstream))
        begin = lambda run: CallRecord(recorder, RecordedCall(run, recorder.clock), request, RunContext(), poller)  # noqa: E731
        recording = ChatRecording(RunRequest("chat", "w"), begin)
        for number, frame in enumerate(frames):
            (recording.sent if number % 2 else recording.received)(frame)
            if not number % 5:
                await asyncio.sleep(0)
        await recording.aclose()
        await recorder.aclose()
        page = await store.select(RecordQuery(size=100))
    assert all(orjson.loads(body)["execute_status"] != "running" for body in page.documents)


_FRAMES: Final = (
    b'{"id":"1","event_type":"conversation.chat.created","data":{"id":"2","conversation_id":"3"}}\n'
    b'{"event_type":"conversation.message.create","data":{"role":"user","content_type":"text","content":"hi"}}\n'
    b'{"event_type":"conversation.message.delta","data":{"id":"1","role":"assistant","type":"answer","content":"a"}}\n'
    b'{"event_type":"chat.update","data":{"chat_config":{"parameters":{"a":1}}}}\n'
    b'{"event_type":"conversation.message.\\ud800","data":{"id":"1"}}\n\n'
    b'{"event_type":"conversation.chat.completed","data":{"id":"2","usage":{"token_count":1}}}',
)
_REQUEST: Final = orjson.dumps(
    {"workflow_id": "7", "parameters": {"a": 1}, "bot_id": "1", "ext": {"user_id": "u"}, "is_async": True,
     "additional_messages": [{"role": "user", "content": "hi", "content_type": "text"}], "event_id": "7/1",
     "resume_data": "yes", "interrupt_type": 2, "conversation_id": "9"}
)  # fmt: skip
_PACKED: Final = (
    b"\x00" + gzip.compress(_MESSAGE, mtime=0), b"\x01" + zlib.compress(_MESSAGE), b"\x02" + brotli.compress(_MESSAGE),
    b"\x03" + zstandard.ZstdCompressor().compress(_MESSAGE), b"\x04" + brotli.compress(gzip.compress(_MESSAGE, mtime=0)),
)  # fmt: skip

TARGETS: Final = (
    Target("event streams", _events, _STREAMS, _WORDS),
    Target(
        "answers",
        _answer,
        [bytes((kind, 0)) + each for kind in (1, 4) for each in _STREAMS]
        + [bytes((kind, 1)) + each for kind in (0, 3) for each in _ENVELOPES],
        _WORDS,
    ),
    Target("content encodings", _encoded, _PACKED),
    Target("run requests", _request, [bytes([number]) + _REQUEST for number in range(len(_KINDS))], _WORDS),
    Target("bodies", _body, [b"application/json; charset=gb18030\n" + '{"a":"值"}'.encode("gb18030"), *_ENVELOPES]),
    Target("run histories", _history, _HISTORY, _WORDS),
    Target(
        "addresses of Coze",
        _addresses,
        (b"/v1/workflows/7/run_histories/8/execute_nodes/9\nworkflow_id=1&execute_id=2", b"/v1/workflows/chat\na=1"),
        (b"%2F", b"%", b"//", b"workflow_id="),
    ),
    Target("websocket frames", _websocket, _FRAMES, _WORDS),
)
