"""Our histories in Coze's shape, and Coze's and Studio's histories in ours."""

import asyncio
import json
import warnings
from typing import Any

import httpx
import orjson
import pytest

from execution_history.coze.protocol.content_encoding import ContentDecoder
from execution_history.coze.protocol.run_history import (
    HistoryRefusal,
    HistoryRequest,
    RunHistory,
    history_request,
    read_history,
    read_node,
)
from execution_history.coze.protocol.run_history_response import (
    envelope,
    refusal,
    render_history,
    render_node,
    translate_studio,
)
from execution_history.coze.protocol.user_agent import caller_of
from execution_history.coze.tracking.history_client import Address, RunHistoryClient
from execution_history.coze.tracking.history_merge import change_of, document_of, trimmed_nodes, with_nodes
from execution_history.records.adoption import adopt_record
from execution_history.records.record import RecordChange, new_document
from execution_history.records.size_limit import LARGEST_RECORD, LEAST_LIMIT
from tests.records.test_cut import depth_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cozepy.workflows.runs.run_histories import WorkflowRunHistory

_ENTRY: dict[str, Any] = {
    "execute_id": "111",
    "execute_status": "Success",
    "run_mode": 2,
    "bot_id": "0",
    "connector_id": "1024",
    "connector_uid": "42",
    "create_time": 1_730_174_063,
    "update_time": 1_730_174_065,
    "output": '{"Output":"{\\"answer\\":1}","Report":"text"}',
    "node_execute_status": {
        "Report": {"node_id": "9", "is_finish": True, "update_time": 1_730_174_064, "node_execute_uuid": "u"}
    },
    "usage": {"token_count": 3},
    "is_output_trimmed": False,
    "logid": "RUN",
    "error_code": "",
    "error_message": "",
    "debug_url": "https://www.coze.cn/work_flow?execute_id=111",
}


def _told(entry: dict[str, Any]) -> RunHistory:
    history = read_history(200, orjson.dumps({"code": 0, "msg": "", "data": [entry]}))
    assert isinstance(history, RunHistory)
    return history


def _record(**fields: Any) -> dict[str, Any]:
    status = fields.pop("execute_status", "running")
    document = new_document(workflow_id="7", execute_id="e", now=1_000, **fields)
    changed = RecordChange.of(2_000, status=status).apply(document.body)
    assert changed is not None
    found: dict[str, Any] = orjson.loads(changed.body)
    return found


_NODES = {"Report": {"node_id": "9", "node_execute_uuid": "u", "content": "text", "is_finish": True}, "odd": 1}


@pytest.mark.parametrize(
    "record",
    [
        _record(),
        _record(execute_status="success", output={"a": "北京\u2028"}, usage={"token_count": 5, "input_count": None}),
        _record(execute_status="success", output="text", node_execute_status=_NODES, metadata={"coze_execute_id": "9"}),
        _record(execute_status="failed", error_code=720701002, error_message="plugin timeout"),
        _record(execute_status="failed", error_code="odd", bot_id="73", connector_id="1", connector_uid="2"),
        _record(execute_status="failed"),
        _record(execute_status="interrupted", metadata={"interrupt": {"event_id": "1/2", "type": 2}}),
        _record(node_execute_status=[1, 2], usage="many", run_mode=7),
        orjson.loads(getattr(adopt_record({"execute_id": 5, "execute_status": "odd"}, "7", 1_000), "body", b"{}")),
    ],
)
def test_a_told_history_is_what_the_sdks_take(record: dict[str, Any]) -> None:
    """Every status and every gap: cozepy reads it, Go finds a text where it wants one, and it is all ASCII."""
    body = envelope([render_history(record)], "L")
    content = orjson.loads(body)
    entry = content["data"][0]
    WorkflowRunHistory.model_validate(entry)
    assert isinstance(entry["error_code"], str)
    assert body.isascii()
    assert entry["execute_status"] in {"Success", "Fail", "Running"}
    assert all(
        isinstance(entry[key], str) for key in ("execute_id", "bot_id", "connector_id", "connector_uid", "logid")
    )
    assert {"code": 0, "msg": "", "detail": {"logid": "L"}} == {k: content[k] for k in ("code", "msg", "detail")}


def test_an_interrupted_record_is_told_as_running_with_its_question() -> None:
    """The SDKs know no fourth status (coze-protocol 3.2)."""
    entry = render_history(_record(execute_status="interrupted", metadata={"interrupt": {"event_id": "1/2"}}))
    assert ("Running", {"event_id": "1/2"}) == (entry["execute_status"], entry["interrupt_data"])


def test_an_output_node_is_told_by_its_execution() -> None:
    """And one that is not there is not."""
    record = _record(execute_status="success", node_execute_status=_NODES)
    assert {"is_finish": True, "node_output": "text"} == render_node(record, "u")
    assert render_node(record, "v") is None


def test_an_error_of_ours_is_an_envelope() -> None:
    """A code above zero, a sentence, and an object as detail, which Java needs."""
    assert {"code": 5000, "msg": "Nein: \u5317", "detail": {"logid": ""}} == orjson.loads(refusal(5000, "Nein: \u5317"))


def test_a_history_is_read() -> None:
    """The output is unpacked twice, nodes keep their texts, seconds become milliseconds."""
    history = _told(_ENTRY)
    assert ("success", {"answer": 1}, 1_730_174_063_000, "text", None, 2) == (
        history.outcome.status,
        history.outcome.output,
        history.create_time,
        history.nodes["Report"]["content"],
        history.bot_id,
        history.run_mode,
    )


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"execute_status": "Running"}, "running"),
        ({"execute_status": "Running", "interrupt_data": {"event_id": "1/2"}}, "interrupted"),
        ({"execute_status": "<UNSET>"}, "interrupted"),
        ({"execute_status": "Fail", "error_code": "5000", "error_message": "no"}, "failed"),
        ({"execute_status": "Cancel"}, "failed"),
        ({"execute_status": "Something new"}, "running"),
    ],
)
def test_every_status_is_understood(said: dict[str, Any], status: str) -> None:
    """By the table of coze-protocol 3.1; a failure always has a sentence."""
    outcome = _told({**_ENTRY, **said}).outcome
    assert (status, status == "failed") == (outcome.status, outcome.error_message is not None)


@pytest.mark.parametrize(
    ("status_code", "body", "kind"),
    [
        (200, b'{"code":4200,"msg":"gone"}', "unknown"),
        (404, b"{}", "unknown"),
        (200, b'{"code":0,"data":[]}', "unknown"),
        (200, b'{"code":4013,"msg":"slow"}', "limited"),
        (429, b"{}", "limited"),
        (401, b'{"code":4100,"msg":"no"}', "unauthorised"),
        (401, b'{"code":700012006,"msg":"missing session_key in cookie"}', "studio"),
        (502, b"<html>", "unavailable"),
        (200, b'{"code":7,"msg":"odd"}', "unavailable"),
        (200, b"", "unavailable"),
    ],
)
def test_a_refusal_says_why(status_code: int, body: bytes, kind: str) -> None:
    """What is asked next depends on it."""
    found = read_history(status_code, body)
    assert isinstance(found, HistoryRefusal)
    assert kind == found.kind


def test_a_node_is_whole_or_not_told() -> None:
    """Half an output is none."""
    assert "x" == read_node(200, b'{"code":0,"data":{"is_finish":true,"node_output":"x"}}')
    assert read_node(200, b'{"code":0,"data":{"is_finish":false,"node_output":"x"}}') is None
    assert read_node(500, b"") is None


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/v1/workflows/7/run_histories/111", "", HistoryRequest("7", "111")),
        ("get", "//v1//workflows/a%2Fb/run_histories/1%20/", "", HistoryRequest("a/b", "1 ")),
        ("GET", "/prefix/v1/workflows/7/run_histories/1/execute_nodes/u", "", HistoryRequest("7", "1", "u")),
        ("GET", "/v1/workflows%2F7%2frun_histories/1%20", "", HistoryRequest("7", "1 ")),
        ("GET", "/v1/workflow/get_run_history", "workflow_id=7&execute_id=1", HistoryRequest("7", "1")),
        ("GET", "/v1/workflow/get_run_history", "workflow_id=7", None),
        ("POST", "/v1/workflows/7/run_histories/111", "", None),
        ("GET", "/v1/workflows/7/run_histories", "", None),
    ],
)
def test_a_question_for_a_history_is_recognised(
    method: str, path: str, query: str, expected: HistoryRequest | None
) -> None:
    """In the official way and in Studio's."""
    assert expected == history_request(method, path, query)
    if expected is not None and expected.node_execute_uuid is None:
        assert expected == history_request("GET", *expected.studio_path.split("?"))
        assert expected == history_request("GET", expected.path, "")


def test_studio_s_history_becomes_the_official_one() -> None:
    """Numbers become texts, and cozepy reads it; what is no history stays."""
    entry = {
        "execute_id": 7_531_293_268_223_459_329, "execute_status": "Success", "bot_id": 0, "connector_id": 1024,
        "create_time": 1_730_174_063, "output": '{"answer":1}', "log_id": "L", "token": 12, "run_mode": 0,
    }  # fmt: skip
    body = translate_studio(orjson.dumps({"data": [entry]}))
    assert body is not None
    told = orjson.loads(body)["data"][0]
    WorkflowRunHistory.model_validate(told)
    assert ("7531293268223459329", "L", 12) == (told["execute_id"], told["logid"], told["usage"]["token_count"])
    assert translate_studio(b'{"code":4200}') is None


@pytest.mark.parametrize("levels", [200, 255, 1_000, 100_000])
def test_a_history_that_is_nested_however_deeply_is_told_and_kept(levels: int) -> None:
    """What Studio says in every shape becomes an answer, and a record."""
    deep = "[" * levels + '"needle"' + "]" * levels
    for output in (deep, json.dumps(deep), json.dumps(json.dumps({"Output": deep}))):
        said = f'"output":{output},"usage":{deep},"interrupt_data":{{"a":{deep}}}'
        body = f'{{"code":0,"data":[{{"execute_id":"1","execute_status":"Success",{said}}}]}}'.encode()
        told = translate_studio(body)
        assert told is not None
        assert b"needle" in told
        history = read_history(200, body)
        assert isinstance(history, RunHistory)
        kept = document_of("7", "e", history, "1", 9_000, "default").body
        assert b"needle" in kept
        assert depth_of(orjson.loads(kept)) <= 128
        change = change_of(_record(), history, 5_000, LARGEST_RECORD)
        assert change is not None
        assert b"needle" in change.fields["output"]


def test_what_the_upstream_says_changes_an_open_record_once() -> None:
    """Status, output and how we know; nothing for a record that has ended, or when nothing is new."""
    history = _told(_ENTRY)
    running = _record(metadata={"coze_execute_id": "111"})
    change = change_of(running, history, 5_000, LARGEST_RECORD)
    assert change is not None
    document = change.apply(orjson.dumps(running))
    assert document is not None
    record = orjson.loads(document.body)
    assert ("success", {"answer": 1}, "run_history") == (
        record["execute_status"], record["output"], record["metadata"]["proof"],
    )  # fmt: skip
    assert change_of(record, history, 6_000, LARGEST_RECORD) is None
    assert change_of(running, _told({**_ENTRY, "execute_status": "Running"}), 5_000, LARGEST_RECORD) is None


@pytest.mark.parametrize(("said", "kept"), [('{"n":NaN}', '{"n":NaN}'), ('{"n":1}', None)])
def test_the_text_of_an_output_goes_with_it(said: str, kept: str | None) -> None:
    """That of an earlier output stays with none."""
    running = _record(metadata={"output_text": "earlier"})
    change = change_of(running, _told({**_ENTRY, "output": json.dumps({"Output": said})}), 5_000, LARGEST_RECORD)
    assert change is not None
    document = change.apply(orjson.dumps(running))
    assert document is not None
    assert kept == orjson.loads(document.body)["metadata"].get("output_text")


@pytest.mark.parametrize("content_type", [None, "application/json; charset=gbk"])
def test_a_history_in_another_charset_is_read_in_it(content_type: str | None) -> None:
    """From Coze, and translated from Studio's."""
    body = '{"code":0,"data":[{"execute_id":"1","execute_status":"Success","output":"你好"}]}'.encode("gbk")
    history = read_history(200, body, content_type)
    assert isinstance(history, RunHistory)
    assert "你好" == history.outcome.output
    translated = translate_studio(body, content_type)
    assert translated is not None
    assert "你好" == json.loads(orjson.loads(translated)["data"][0]["output"])["Output"]


def test_what_the_upstream_says_makes_no_record_larger_than_the_limit() -> None:
    """A long output is cut, and the record says how long it was."""
    running = _record()
    history = _told({**_ENTRY, "output": json.dumps({"Output": "x" * 2 * LEAST_LIMIT})})
    change = change_of(running, history, 5_000, LEAST_LIMIT)
    assert change is not None
    document = change.apply(orjson.dumps(running))
    assert document is not None
    assert LEAST_LIMIT >= len(document.body)
    assert 2 * LEAST_LIMIT <= orjson.loads(document.body)["metadata"]["recording_is_cut"]["output"]


def test_what_we_saw_of_the_nodes_ourselves_is_kept() -> None:
    """The upstream tells less of them."""
    running = _record(node_execute_status={"Mine": {"content": "all of it"}})
    change = change_of(running, _told(_ENTRY), 5_000, LARGEST_RECORD)
    assert change is not None
    assert {"Mine": {"content": "all of it"}} == orjson.loads(change.fields["node_execute_status"])


def test_nodes_that_could_not_be_got_whole_are_named() -> None:
    """What is missing stands in the record."""
    history = _told({**_ENTRY, "is_output_trimmed": True})
    assert {"Report": "u"} == trimmed_nodes(history)
    assert {} == trimmed_nodes(_told(_ENTRY))
    whole = document_of("7", "e", with_nodes(history, {"Report": "whole"}, ["Report"]), "111", 9_000, "default")
    missing = document_of("7", "e", with_nodes(history, {}, ["Report"]), "111", 9_000, "default")
    assert "whole" == orjson.loads(whole.body)["node_execute_status"]["Report"]["content"]
    assert ["Report"] == orjson.loads(missing.body)["metadata"]["missing_outputs"]
    assert ("111", 1_730_174_063_000, "success") == (missing.upstream_id, missing.create_time, missing.status)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "user-agent": "cozepy/0.20.0 python/3.11 linux/12.11",
                "x-coze-client-user-agent": (
                    '{"version":"0.20.0","lang":"python","lang_version":"3.11","os_name":"linux"}'
                ),
            },
            {"name": "cozepy", "version": "0.20.0", "language": "python 3.11", "system": "linux"},
        ),
        ({"user-agent": "coze-js/1.3.9 node/20.20.2 linux/6"}, {"name": "coze-js", "version": "1.3.9"}),
        ({"user-agent": "curl"}, {"name": "curl"}),
        ({"user-agent": "", "x-coze-client-user-agent": "no json"}, None),
        ({}, None),
    ],
)
def test_a_caller_says_who_it_is(headers: dict[str, str], expected: dict[str, str] | None) -> None:
    """As far as it does."""
    assert expected == caller_of(headers)


def test_a_caller_that_says_too_much_is_cut() -> None:
    """No header fills a record."""
    found = caller_of({"user-agent": "x" * 100_000 + "/1"})
    assert found is not None
    assert 200 == len(found["name"])


def test_a_copy_of_a_body_in_an_unknown_or_false_encoding_harms_nobody() -> None:
    """It stays as it is, or ends where it stops being true."""
    assert b"plain" == ContentDecoder("mystery").decode(b"plain")
    false = ContentDecoder("gzip")
    assert [b"", b""] == [false.decode(b"no gzip"), false.decode(b"at all")]


@pytest.mark.parametrize("code", [0, None, "0"])
def test_a_success_is_one_however_its_code_is_written(code: object) -> None:
    """In a history and in an envelope alike."""
    body = orjson.dumps({"code": code, "data": [_ENTRY]})
    assert isinstance(read_history(200, body), RunHistory)


@pytest.mark.parametrize("code", ["4200", 4200])
def test_a_code_in_a_text_is_that_code(code: object) -> None:
    """And what is no code at all breaks nothing."""
    found = read_history(200, orjson.dumps({"code": code, "msg": "no"}))
    assert isinstance(found, HistoryRefusal)
    assert "unknown" == found.kind
    codes: list[object] = [[], {}, "x", "9" * 5_000, 1.5]
    for strange in codes:
        found = read_history(200, orjson.dumps({"code": strange, "msg": "no"}))
        assert isinstance(found, HistoryRefusal)
        assert "unavailable" == found.kind


def test_the_history_of_another_run_is_none_of_the_one_that_was_asked_for() -> None:
    """Whose record keeps what it has."""
    body = orjson.dumps({"code": 0, "data": [{**_ENTRY, "execute_id": "8"}]})
    found = read_history(200, body, None, "9")
    assert isinstance(found, HistoryRefusal)
    assert ("unknown", "The upstream answered with the history of another run.") == (found.kind, found.message)
    assert isinstance(read_history(200, body, None, "8"), RunHistory)
    nameless = orjson.dumps({"code": 0, "data": [{**_ENTRY, "execute_id": None}]})
    assert isinstance(read_history(200, nameless, None, "9"), RunHistory)


def test_a_polled_history_keeps_its_charset() -> None:
    """The client reads it as the gateway does, and an output node too."""
    entry = {**_ENTRY, "execute_id": "9", "output": '{"Output":"你好"}'}
    bodies = {
        "/v1/workflows/7/run_histories/9": {"code": 0, "data": [entry]},
        "/v1/workflows/7/run_histories/9/execute_nodes/u": {
            "code": 0, "data": {"is_finish": True, "node_output": "世界"},
        },
    }  # fmt: skip

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.dumps(bodies[request.url.path], ensure_ascii=False).encode("big5")
        return httpx.Response(200, content=body, headers={"content-type": "application/json; charset=big5"})

    async def authorise() -> dict[str, str]:
        return {}

    async def poll() -> None:
        client = RunHistoryClient(httpx.MockTransport(answer))
        address = Address("http://upstream", authorise)
        history = await client.history(address, HistoryRequest("7", "9"))
        assert isinstance(history, RunHistory)
        assert ("你好", "big5") == (history.outcome.output, history.outcome.charset)
        assert "世界" == await client.node(address, HistoryRequest("7", "9", "u"))

    asyncio.run(poll())
