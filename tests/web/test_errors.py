"""Errors: one shape, the right status, one sentence, whatever went wrong."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from execution_history import ExecutionHistoryService, errors
from execution_history.stores import place_named
from execution_history.web.errors import ErrorAnswers, fault_of
from tests.web.conftest import Served, opened, private_key, served

pytestmark = pytest.mark.anyio

_STREAM = "/coze/workflows/stream_run"


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("GET", "/coze/workflows/", None, 404, "not_found"),
        ("GET", "/docs/assets/nothing.js", None, 404, "not_found"),
        ("GET", "/coze/workflows/w/history/missing", None, 404, "not_found"),
        ("PUT", "/coze/workflows/w/history", None, 405, "method_not_allowed"),
        ("POST", "/healthz", None, 405, "method_not_allowed"),
        ("GET", "/coze/workflows/w/history?page_size=0", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history?page_size=101", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history?page_size=abc", None, 422, "invalid_input"),
        ("GET", "/coze/workflows/w/history?page_index=0", None, 422, "invalid_input"),
        ("POST", _STREAM, b"{", 422, "invalid_input"),
        ("POST", _STREAM, b"null", 422, "invalid_input"),
        ("POST", _STREAM, b"{}", 422, "invalid_input"),
        ("POST", _STREAM, b'{"workflow_id": ""}', 422, "invalid_input"),
        ("POST", _STREAM, b'{"workflow_id": 7}', 422, "invalid_input"),
        ("POST", _STREAM, b'{"workflow_id": "\\ud800"}', 422, "invalid_input"),
        ("POST", _STREAM, b'{"workflow_id": "w", "conversation_id": "\\ud800"}', 422, "invalid_input"),
        ("POST", _STREAM, b'{"workflow_id": "w", "parameters": [1]}', 422, "invalid_input"),
        ("POST", f"{_STREAM}?account_id=x", b'{"workflow_id": "w"}', 422, "unknown_account"),
        ("POST", "/coze/workflows/w/run", b'{"bot_id": "\xff"}', 400, "bad_request"),
        ("POST", "/coze/workflows/w/run", b'{"parameters": {"a": ' + b"[" * 200_000 + b"}}", 400, "bad_request"),
        ("POST", "/coze/workflows/w/run", b'{"user_id": "\\udfff"}', 422, "invalid_input"),
        ("POST", "/coze/workflows/w/run?account_id=x", b"{}", 422, "unknown_account"),
        ("POST", "/coze/workflows/w/history/e/fetch", None, 404, "not_found"),
        (
            "GET",
            "/coze/workflows/w/history?" + "&".join(f"p{number}=1" for number in range(1_001)),
            None,
            422,
            "invalid_input",
        ),
        ("POST", "/coze/workflows/w/history/e/fetch?account_id=x", None, 422, "unknown_account"),
        ("POST", "/coze/workflows/w/run", b" " * (21 * 1024 * 1024), 413, "body_too_large"),
    ],
)
async def test_errors_have_one_shape_and_the_right_status(
    shared_web: Served, method: str, path: str, content: bytes | None, status: int, code: str
) -> None:
    """A word for programs, a sentence for people, never a traceback."""
    answer = await shared_web.client.request(
        method, path, content=content, headers={"Content-Type": "application/json"}
    )
    error = answer.json()
    assert (status, False, code) == (answer.status_code, error["success"], error["error"]["code"])
    assert error["error"]["message"].endswith(".")
    assert {"success", "error"} == set(error)
    assert {"code", "message", "request_id"} == set(error["error"])


_RUN = "7000000000000000001"


@pytest.mark.parametrize("levels", [200, 254, 255, 1_000, 100_000])
async def test_a_body_nested_however_deeply_is_no_fault_of_ours(shared_web: Served, levels: int) -> None:
    """It is taken, or refused with a sentence; and the next request is answered."""
    deep = "[" * levels + "1" + "]" * levels
    known = '"workflow_id":"imported","execute_status":"success","create_time":1761901941'
    line = f'{{"execute_id":"deep-{levels}",{known},"output":{deep}}}\n'
    for method, path, body in (
        ("POST", _STREAM, f'{{"workflow_id":"{_RUN}","parameters":{{"a":{deep}}}}}'),
        ("POST", _STREAM, f'{{"workflow_id":{deep}}}'),
        ("POST", f"/coze/workflows/{_RUN}/run", f'{{"parameters":{{"a":{deep}}}}}'),
        ("POST", f"/coze/workflows/{_RUN}/history/none/resume", f'{{"data":{deep}}}'),
        ("PATCH", f"/coze/workflows/{_RUN}/history/none", f'{{"note":{deep}}}'),
        ("POST", "/coze/history/annotate", f'{{"executions":{deep},"note":"n"}}'),
        ("POST", "/coze/import", line),
        ("POST", "/coze/import?format=json", f'{{"workflow_id":"imported","histories":[{line}]}}'),
    ):
        answer = await shared_web.client.request(
            method, path, content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code < 500
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"].endswith(".")
    kept = await shared_web.client.get(f"/coze/workflows/imported/history/deep-{levels}")
    assert 200 == kept.status_code
    assert [] == (await shared_web.client.get("/readyz")).json()["problems"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("page_size=0", "page_size should be greater than or equal to 1."),
        ("page_size=101", "page_size should be less than or equal to 100."),
        ("page_index=abc", "page_index should be a whole number."),
    ],
)
async def test_a_wrong_parameter_is_named(shared_web: Served, query: str, sentence: str) -> None:
    """In a sentence that can be shown as it is."""
    answer = await shared_web.client.get(f"/coze/workflows/w/history?{query}")
    assert sentence == answer.json()["error"]["message"]


async def test_a_wrong_body_is_named(shared_web: Served) -> None:
    """A missing key, and a body that is not declared as JSON."""
    missing = await shared_web.client.post(_STREAM, json={})
    assert "workflow_id is missing." == missing.json()["error"]["message"]
    undeclared = await shared_web.client.post(
        _STREAM, content=b'{"workflow_id": "w"}', headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert "Content-Type: application/json" in undeclared.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"tags": [1]}, "tags.0 should be text."),
        ({"tags": {"add": [1]}}, "tags.add.0 should be text."),
        ({"tags": "x"}, "tags should be a list."),
        ({"mood": 1}, "mood is not known here; /docs says what is."),
    ],
)
async def test_a_wrong_note_is_named_in_the_words_of_its_writer(
    shared_web: Served, body: dict[str, Any], sentence: str
) -> None:
    """Not in those of what checks it."""
    answer = await shared_web.client.patch("/coze/workflows/w/history/e", json=body)
    assert sentence == answer.json()["error"]["message"]


# What a program may send by mistake in the place of each value that there is.
_WRONG: Final[tuple[Any, ...]] = (
    None, True, 5, 1.5, float("nan"), "x", "\ud800", "9" * 5_000, [], [1], ["\ud800"], {}, {"a": 1}, {"add": 5},
    [{"workflow_id": "w"}], [{"workflow_id": "w", "execute_id": "e"}] * 10_001,
)  # fmt: skip
_KEYS: Final = (
    "workflow_id", "parameters", "bot_id", "data", "tags", "note", "rating", "pinned", "executions", "mood",
)  # fmt: skip
_BODIES: Final = (
    ("POST", _STREAM), ("POST", "/coze/workflows/w/run?account_id=none"),
    ("POST", "/coze/workflows/w/history/e/resume"),
    ("PATCH", "/coze/workflows/w/history/e"), ("POST", "/coze/history/annotate"), ("POST", "/coze/history/delete"),
)  # fmt: skip
_QUERIES: Final = ("page_size=0", "page_size=101", "page_index=x", f"page_size={'9' * 5_000}")


async def test_what_is_wrong_is_said_in_chinese_alone(shared_web: Served) -> None:
    """Whatever kind of value is wrong, in a sentence of its own; only names and what was sent are in Latin letters."""
    chinese = {"Accept-Language": "zh-CN", "Content-Type": "application/json"}
    answers = [await shared_web.client.get(f"/coze/workflows/w/history?{each}", headers=chinese) for each in _QUERIES]
    answers += [await shared_web.client.get("/coze/export?excel=x", headers=chinese)]
    for method, path in _BODIES:
        for body in [*_WRONG, *({key: value} for key in _KEYS for value in _WRONG)]:
            content = json.dumps(body).encode()
            answers.append(await shared_web.client.request(method, path, content=content, headers=chinese))
    sentences = {answer.json()["error"]["message"] for answer in answers if answer.status_code == 422}
    assert len(sentences) > 30
    for sentence in sentences:
        assert re.search("[\u4e00-\u9fff]", sentence), sentence
        assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub("'[^']*'", "", sentence)), sentence
        assert "不能取这个值" not in sentence  # what is left for kinds that no route of today can give


async def test_a_wrong_method_is_told_the_right_ones(shared_web: Served) -> None:
    """RFC 9110, section 15.5.6: all that the address answers, not only the first found."""
    answer = await shared_web.client.put("/coze/workflows/w/history")
    assert "DELETE, GET" == answer.headers["allow"]
    for method, path, allowed in (
        ("GET", "/coze/workflows/stream_run", "POST"),
        ("OPTIONS", "/coze/keys", "GET, POST"),
        ("PROPFIND", "/coze/views", "GET, POST"),
        ("TRACE", "/coze/doctor", "GET"),
        ("HEAD", "/readyz", "GET"),
    ):
        answer = await shared_web.client.request(method, path)
        assert (405, allowed) == (answer.status_code, answer.headers["allow"])


@pytest.mark.parametrize(
    ("method", "path", "body", "sentence"),
    [
        ("PUT", "/coze/retention/rules", {"keep_bytes": False}, "keep_bytes should be a number."),
        ("PUT", "/coze/retention/rules", {"keep_runs": False}, "keep_runs should be a whole number."),
        ("PUT", "/coze/prices/budget", {"amount": False}, "amount should be a number."),
        ("PATCH", "/coze/workflows/w", {"hidden": 0}, "hidden should be true or false."),
        ("POST", "/coze/bin/empty", {"all": 1}, "all should be true or false."),
        ("POST", "/coze/history/delete", {"filters": {"q": "a"}, "dry_run": "no"}, "dry_run should be true or false."),
    ],
)
async def test_a_flag_is_no_number_and_a_number_no_flag(
    shared_web: Served, method: str, path: str, body: dict[str, Any], sentence: str
) -> None:
    """A rule that keeps false bytes would remove every run."""
    answer = await shared_web.client.request(method, path, json=body)
    assert (422, sentence) == (answer.status_code, answer.json()["error"]["message"])


async def test_an_account_that_is_not_there_is_the_callers_fault(shared_web: Served) -> None:
    """Before the stream begins, as an ordinary answer that names those that are."""
    answer = await shared_web.client.post(f"{_STREAM}?account_id=staging", json={"workflow_id": "w"})
    assert ("application/json", 422) == (answer.headers["content-type"], answer.status_code)
    assert "no Coze account 'staging': name one of those in the settings ('default')" in answer.text


async def test_an_incomplete_account_is_the_operators_fault(tmp_path: Path) -> None:
    """The answer names the settings that it lacks; the other accounts can be used."""
    accounts = {"half": {"client_id": "c", "public_key_id": "p"}, "bare": {}}
    broken = {"client_id": "c", "public_key_id": "p", "private_key": "k"}
    keyless = {"client_id": "c", "public_key_id": "p", "private_key_file": str(tmp_path / "none")}
    async with opened(tmp_path, accounts={**accounts, "broken": broken, "keyless": keyless}) as web:
        said = {}
        for name in ("half", "bare", "broken", "keyless"):
            answer = await web.client.post(f"/coze/workflows/w/run?account_id={name}", json={})
            assert (503, "account_not_usable") == (answer.status_code, answer.json()["error"]["code"])
            said[name] = answer.json()["error"]["message"]
        assert said["half"].endswith("'half' is incomplete: set accounts.half.private_key.")
        assert said["bare"].endswith("set accounts.bare.token.")
        assert "accounts.broken.private_key" in said["broken"]
        assert "accounts.keyless.private_key_file" in said["keyless"]
        assert 200 == (await web.client.post("/coze/workflows/7000000000000000001/run", json={})).status_code


async def test_a_token_that_cannot_be_fetched_is_the_upstreams_fault(tmp_path: Path) -> None:
    """Whether nobody answers there or the answer is no token."""
    async with served(PlainTextResponse("no token")) as refusing:
        key = {"client_id": "c", "public_key_id": "p", "private_key": private_key()}
        accounts = {"silent": {**key, "base_url": "http://127.0.0.1:9"}, "refused": {**key, "base_url": refusing}}
        async with opened(tmp_path, accounts=accounts) as web:
            for name in accounts:
                for path in ("/coze/workflows/w/run", "/coze/workflows/w/history/e/fetch"):
                    answer = await web.client.post(f"{path}?account_id={name}", json={})
                    assert (502, "upstream_refused") == (answer.status_code, answer.json()["error"]["code"])
                    assert f"account '{name}'" in answer.json()["error"]["message"]


async def test_a_body_without_a_length_is_limited_too(shared_web: Served) -> None:
    """Chunked transfer cannot go round the limit."""

    async def endless() -> Any:
        for _ in range(25):
            yield b" " * 1024 * 1024

    answer = await shared_web.client.post(
        "/coze/workflows/w/run", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert (413, "body_too_large") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/coze/workflows/w/history", "/readyz"])
async def test_an_unexpected_error_is_a_500_with_a_sentence(
    shared_web: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Its details are for the log; the answer is guarded like any other."""

    async def broken(*_: object) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(ExecutionHistoryService, "page_bytes", broken)
    monkeypatch.setattr(ExecutionHistoryService, "health", broken)
    answer = await shared_web.client.get(path)
    assert (500, "internal") == (answer.status_code, answer.json()["error"]["code"])
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "secret" not in answer.text
    assert ["execution_history.web"] == [entry.name for entry in caplog.records if entry.exc_info]
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidPage("x."), 422, "invalid_input"),
        (errors.AmbiguousName("x", [("w", None)]), 409, "ambiguous_name"),
        (errors.PriceChanged("x."), 409, "price_changed"),
        (errors.ExecutionNotFound("x."), 404, "not_found"),
        (errors.ExportFailed("x."), 507, "export_failed"),
        (errors.ExecutionExists("w", "e"), 409, "execution_exists"),
        (errors.IllegalTransition("e", "success", "running"), 409, "illegal_transition"),
        (errors.UnknownAccount("x", ["default"]), 422, "unknown_account"),
        (errors.AccountError("x."), 503, "account_not_usable"),
        (errors.StoreFull("x."), 507, "store_full"),
        (errors.StoreBusy("x."), 503, "store_busy"),
        (errors.StoreUnwritable("x."), 503, "store_unwritable"),
        (errors.StoreError("x."), 503, "store"),
        (ValueError("x."), 500, "internal"),
    ],
)
def test_every_error_of_ours_has_a_status_and_a_word(error: Exception, status: int, code: str) -> None:
    """Whose fault it is can be told from the status."""
    fault = fault_of(error, "a test")
    assert (status, code) == (fault.status, fault.code)


def test_no_error_of_ours_is_unexpected() -> None:
    """A kind that is added to the tree later is found by the kind it belongs to."""
    kinds = [errors.ExecutionHistoryError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    assert [] == [
        kind.__name__ for kind in kinds if "its log says" in fault_of(kind.__new__(kind, "x"), "a test").message
    ]


async def test_health_says_whether_runs_can_be_recorded(web: Served) -> None:
    """Alive is one thing, ready another."""
    assert {"status": "ok"} == (await web.client.get("/healthz")).json()
    checks = {
        "store": "ok",
        "recorder": "ok",
        "jobs": "ok",
        **({"disk": "ok"} if place_named(web.application.settings.store).folder else {}),
    }
    ready = {"status": "ok", "problems": [], "warnings": [], "checks": checks, "unrecorded": 0}
    assert ready == (await web.client.get("/readyz")).json()
    await web.application.service.store.aclose()
    answer = await web.client.get("/readyz")
    problems = answer.json()["problems"]
    assert (503, 1, "not_ready", False) == (
        answer.status_code, len(problems), answer.json()["error"]["code"], answer.json()["success"],
    )  # fmt: skip
    assert problems[0] == answer.json()["error"]["message"]
    assert 200 == (await web.client.get("/healthz")).status_code


async def test_a_request_that_the_end_of_the_server_cuts_off_is_answered() -> None:
    """As every other failure: with a sentence, and not with a traceback."""
    sent: list[Message] = []
    begun = asyncio.Event()

    async def endless(_: Scope, __: Receive, ___: Send) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/coze/import", "headers": []}
    task = asyncio.create_task(ErrorAnswers(endless)(scope, receive, send))
    await begun.wait()
    task.cancel()
    await task
    assert 503 == sent[0]["status"]
    assert "stopping" == json.loads(sent[1]["body"])["error"]["code"]
