"""Requests that are refused before anything runs, and paths that do not exist."""

from typing import Any

import httpx
import pytest

from execution_history.sandbox import WORKFLOWS, Sandbox

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
SHORT = IDS["short_answer"]
POSTS = (
    "/v1/workflow/run",
    "/v1/workflow/stream_run",
    "/v1/workflow/stream_resume",
    "/v1/workflows/resume",
    "/v1/workflows/chat",
)


def assert_is_refusal(answer: httpx.Response, code: int) -> None:
    """Assert that ``answer`` is an envelope with ``code`` and a message, and nothing that was executed."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert body == {"code": code, "msg": body["msg"], "detail": {"logid": answer.headers["x-tt-logid"]}}
    assert body["msg"]


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong-token", "Bearer", "Basic right-token", "Bearer tökén", "right-token"]
)
@pytest.mark.parametrize("path", [*POSTS, "/v1/nothing"])
async def test_a_wrong_token_is_refused(sandbox: Sandbox, path: str, authorization: str) -> None:
    """Without the right bearer token every path answers HTTP 401 with code 4100."""
    headers = {b"Authorization": authorization.encode()} if authorization else {}
    async with httpx.AsyncClient(base_url=sandbox.base_url) as client:
        answer = await client.post(path, json={"workflow_id": SHORT}, headers=headers)

    assert answer.status_code == 401
    assert_is_refusal(answer, 4100)


async def test_the_word_bearer_may_be_in_lower_case(sandbox: Sandbox) -> None:
    """The scheme of the authorization header is not case-sensitive."""
    async with httpx.AsyncClient(base_url=sandbox.base_url) as client:
        answer = await client.get("/v1/workflows", headers={"authorization": f"bearer {sandbox.token}"})

    assert answer.json()["code"] == 0


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{}"])
async def test_a_malformed_body_is_refused(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    """A body that is not a JSON object with the required fields gets 4000 as plain JSON, streams included."""
    answer = await client.post(path, content=body)

    assert answer.status_code == 200
    assert_is_refusal(answer, 4000)


@pytest.mark.parametrize(
    "fields",
    [
        {"workflow_id": 7000000000000000001},
        {"workflow_id": ""},
        {"parameters": [1]},
        {"parameters": "not an object"},
        {"parameters": {"pace_ms": -1}},
        {"parameters": {"pace_ms": "soon"}},
        {"parameters": {"delay_ms": 600_001}},
        {"parameters": {"delay_ms": 1.5}},
        {"bot_id": "1", "app_id": "2"},
        {"bot_id": 1},
        {"ext": {"user_id": 42}},
        {"ext": []},
        {"is_async": "yes"},
        {"connector_id": 1024},
        {"workflow_version": 5},
    ],
)
async def test_a_wrong_field_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """A field of the wrong type, or a setting out of range, gets 4000."""
    answer = await client.post("/v1/workflow/run", json={"workflow_id": SHORT, **fields})

    assert_is_refusal(answer, 4000)


async def test_a_bottomless_nesting_is_refused(client: httpx.AsyncClient) -> None:
    """Parameters too deep to be answered get 4000, not a fault of the server."""
    deep = b"[" * 400 + b"]" * 400
    body = b'{"workflow_id": "%s", "parameters": {"deep": %s}}' % (SHORT.encode(), deep)

    assert_is_refusal(await client.post("/v1/workflow/run", content=body), 4000)


async def test_a_body_beyond_20_mb_is_refused(client: httpx.AsyncClient) -> None:
    """The documented size of a request is not exceeded."""
    answer = await client.post("/v1/workflow/run", content=b" " * (20 * 1024 * 1024 + 1))

    assert_is_refusal(answer, 4000)


async def test_null_fields_count_as_not_given(client: httpx.AsyncClient) -> None:
    """SDKs that send null for what they leave out are understood."""
    body = {"workflow_id": SHORT, "parameters": None, "bot_id": None, "ext": None, "is_async": None}

    assert (await client.post("/v1/workflow/run", json=body)).json()["code"] == 0


async def test_unknown_fields_are_ignored(client: httpx.AsyncClient) -> None:
    """A field the documentation does not know does no harm."""
    body = {"workflow_id": SHORT, "execute_mode": "DEBUG"}

    assert (await client.post("/v1/workflow/run", json=body)).json()["code"] == 0


@pytest.mark.parametrize("path", POSTS[:2])
@pytest.mark.parametrize(
    ("workflow_id", "code"), [("42", 4200), (IDS["never_published"], 4200), (IDS["rate_limited"], 4013)]
)
async def test_a_workflow_can_refuse(client: httpx.AsyncClient, path: str, workflow_id: str, code: int) -> None:
    """Unknown, unpublished and rate-limited workflows answer with an envelope and no debug_url."""
    assert_is_refusal(await client.post(path, json={"workflow_id": workflow_id}), code)


@pytest.mark.parametrize("path", POSTS[:2])
async def test_a_server_error_is_not_json(client: httpx.AsyncClient, path: str) -> None:
    """The workflow that stands for a broken upstream answers HTTP 500 with HTML."""
    answer = await client.post(path, json={"workflow_id": IDS["server_error"]})

    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")


async def test_an_unknown_path_has_an_envelope(client: httpx.AsyncClient) -> None:
    """A path that does not exist answers 404 in the form the SDKs can read."""
    answer = await client.get("/v1/workflows/1/nothing")

    assert answer.status_code == 404
    assert_is_refusal(answer, 404)


async def test_a_trailing_slash_is_another_path(client: httpx.AsyncClient) -> None:
    """A path with a slash too many is not redirected, which would lose the body."""
    answer = await client.post("/v1/workflow/run/", json={"workflow_id": SHORT})

    assert answer.status_code == 404
    assert_is_refusal(answer, 404)


async def test_a_wrong_method_has_an_envelope(client: httpx.AsyncClient) -> None:
    """A method that a path does not take answers 405 in the form the SDKs can read."""
    answer = await client.get("/v1/workflow/run")

    assert answer.status_code == 405
    assert_is_refusal(answer, 405)


async def test_double_slashes_are_collapsed(client: httpx.AsyncClient) -> None:
    """A base URL that ends in a slash does no harm."""
    answer = await client.post(f"{client.base_url}//v1//workflow/run", json={"workflow_id": SHORT})

    assert answer.json()["code"] == 0


async def asked(client: httpx.AsyncClient) -> dict[str, Any]:
    """Start a run that waits, and return the body of a resume that would be accepted."""
    workflow_id = IDS["asks_a_question"]
    answer = (await client.post("/v1/workflow/run", json={"workflow_id": workflow_id})).json()
    waiting = answer["interrupt_data"]
    return {
        "workflow_id": workflow_id,
        "event_id": waiting["event_id"],
        "interrupt_type": waiting["type"],
        "resume_data": "Oslo",
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_id": "nonsense"}, 4000),
        ({"event_id": "7000000000000000000/1"}, 4200),
        ({"interrupt_type": 5}, 4000),
        ({"interrupt_type": "2"}, 4000),
        ({"interrupt_type": True}, 4000),
        ({"resume_data": {"city": "Oslo"}}, 4000),
        ({"resume_data": None}, 4000),
        ({"workflow_id": IDS["short_answer"]}, 4200),
        ({"workflow_id": "42"}, 4200),
    ],
)
async def test_a_wrong_resume_is_refused(client: httpx.AsyncClient, change: dict[str, Any], code: int) -> None:
    """A resume that does not fit the open question changes nothing and says why."""
    right = await asked(client)
    refused = await client.post("/v1/workflows/resume", json=right | change)
    accepted = await client.post("/v1/workflows/resume", json=right)

    assert_is_refusal(refused, code)
    assert accepted.json()["code"] == 0


async def test_an_event_of_another_number_is_refused(client: httpx.AsyncClient) -> None:
    """The right execution with the wrong event number gets 4000."""
    right = await asked(client)
    execute_id = right["event_id"].split("/")[0]
    answer = await client.post("/v1/workflows/resume", json=right | {"event_id": f"{execute_id}/1"})

    assert_is_refusal(answer, 4000)


async def test_a_question_is_answered_once(client: httpx.AsyncClient) -> None:
    """The second resume with the same event id is refused."""
    right = await asked(client)
    await client.post("/v1/workflows/resume", json=right)

    assert_is_refusal(await client.post("/v1/workflows/resume", json=right), 4000)


async def test_a_run_that_was_not_streamed_is_not_resumed_as_a_stream(client: httpx.AsyncClient) -> None:
    """stream_resume refuses what run has started, and names the right path."""
    answer = await client.post("/v1/workflow/stream_resume", json=await asked(client))

    assert_is_refusal(answer, 4000)
    assert "/v1/workflows/resume" in answer.json()["msg"]
