"""The sandbox as Coze Studio: where it deviates from coze.cn, on the wire and for the official SDK."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
from cozepy import (
    AsyncCoze,
    AsyncTokenAuth,
    Coze,
    CozeAPIError,
    CozeInvalidEventError,
    Message,
    TokenAuth,
    WorkflowEventType,
)
from cozepy.request import AsyncHTTPClient, SyncHTTPClient
from pydantic import ValidationError

from execution_history.sandbox import WORKFLOWS, Sandbox, serve_sandbox

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}
RUN_KEYS = {"code", "msg", "data", "token", "cost", "debug_url", "execute_id", "BaseResp"}


class Event(NamedTuple):
    """One server-sent event."""

    number: int
    name: str
    data: Any


@pytest.fixture(scope="module")
async def studio() -> AsyncIterator[Sandbox]:
    """Serve a sandbox of that flavour that never waits unless a run asks for it."""
    async with serve_sandbox(token="right-token", delay_ms=0, pace_ms=0, flavour="studio") as served:
        yield served


@pytest.fixture
async def client(studio: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client for that sandbox."""
    headers = {"Authorization": f"Bearer {studio.token}"}
    async with httpx.AsyncClient(base_url=studio.base_url, headers=headers) as opened:
        yield opened


@pytest.fixture
async def coze(studio: Sandbox) -> AsyncIterator[AsyncCoze]:
    """Give the asynchronous SDK, pointed at that sandbox."""
    async with AsyncHTTPClient() as http_client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
        yield AsyncCoze(AsyncTokenAuth(studio.token), base_url=studio.base_url, http_client=http_client)


def read_events(stream: str) -> list[Event]:
    """Read events that have exactly the lines id, event and data, each followed by a blank line."""
    *frames, rest = stream.split("\n\n")
    assert rest == ""
    events = []
    for frame in frames:
        number, name, data = frame.split("\n")
        assert (number[:4], name[:7], data[:6]) == ("id: ", "event: ", "data: ")
        events.append(Event(int(number[4:]), name[7:], json.loads(data[6:])))
    return events


async def run(client: httpx.AsyncClient, name: str, **fields: object) -> dict[str, Any]:
    """Run a workflow and return the body of the answer."""
    answer: dict[str, Any] = (await client.post("/v1/workflow/run", json={"workflow_id": IDS[name], **fields})).json()
    return answer


async def stream(client: httpx.AsyncClient, name: str, **parameters: object) -> list[Event]:
    """Run a workflow and read its stream to the end."""
    body = {"workflow_id": IDS[name], "parameters": parameters}
    return read_events((await client.post("/v1/workflow/stream_run", json=body)).text)


async def chat(client: httpx.AsyncClient, name: str, said: str = "Hello", **fields: object) -> list[Event]:
    """Say something to a chatflow and read the stream to its end."""
    message = {"role": "user", "content": said, "content_type": "text"}
    body = {"workflow_id": IDS[name], "additional_messages": [message], "conversation_id": "456", **fields}
    return read_events((await client.post("/v1/workflows/chat", json=body)).text)


async def history(client: httpx.AsyncClient, name: str, execute_id: str) -> dict[str, Any]:
    """Return the answer to the question what became of a run."""
    query = {"workflow_id": IDS[name], "execute_id": execute_id}
    answer: dict[str, Any] = (await client.get("/v1/workflow/get_run_history", params=query)).json()
    return answer


async def settled(client: httpx.AsyncClient, name: str, execute_id: str) -> dict[str, Any]:
    """Poll the history until the execution is no longer Running."""
    with anyio.fail_after(10):
        while True:
            entry: dict[str, Any] = (await history(client, name, execute_id))["data"][0]
            if entry["execute_status"] != "Running":
                return entry


async def test_the_log_id_is_in_a_header_of_its_own(client: httpx.AsyncClient) -> None:
    """X-Log-ID stands in for x-tt-logid, and no body has it."""
    answer = await client.post("/v1/workflow/run", json={"workflow_id": IDS["short_answer"]})

    assert len(answer.headers["x-log-id"]) == 32
    assert "x-tt-logid" not in answer.headers
    assert "detail" not in answer.json()


async def test_a_run_answers_with_every_key(client: httpx.AsyncClient) -> None:
    """Tokens and cost stand beside the data, usage does not, and what is not known is null."""
    answer = await run(client, "short_answer", parameters={"city": "Oslo"})

    assert set(answer) == RUN_KEYS
    assert (answer["code"], answer["msg"], answer["BaseResp"]) == (0, None, None)
    assert (answer["token"], answer["cost"]) == (20, "0.00000")
    assert json.loads(answer["data"])["parameters"] == {"city": "Oslo"}
    assert httpx.URL(answer["debug_url"]).params["execute_id"] == answer["execute_id"]


async def test_an_async_run_answers_with_every_key_too(client: httpx.AsyncClient) -> None:
    """Only where to ask is known."""
    answer = await run(client, "short_answer", is_async=True)

    assert {key for key in RUN_KEYS if answer[key] is not None} == {"code", "debug_url", "execute_id"}


async def test_a_failing_run_answers_with_every_key_too(client: httpx.AsyncClient) -> None:
    """The code, the message and the debug_url are known."""
    answer = await run(client, "fails_in_a_node")

    assert answer["code"] == 720702017
    assert {key for key in RUN_KEYS if answer[key] is not None} == {"code", "msg", "debug_url"}


async def test_a_question_is_an_error_of_a_run(client: httpx.AsyncClient) -> None:
    """A synchronous run that asks gets the code 6039 and no interrupt_data."""
    answer = await run(client, "asks_a_question")

    assert (answer["code"], set(answer)) == (6039, RUN_KEYS)


async def test_a_history_has_numbers_for_ids(client: httpx.AsyncClient) -> None:
    """The entry has Studio's fields and no others, with 64-bit numbers, and the answer has no code."""
    parameters = {"city": "Oslo"}
    started = await run(client, "short_answer", parameters=parameters, bot_id="7100000000000000071")
    answer = await history(client, "short_answer", started["execute_id"])
    (entry,) = answer["data"]

    assert set(answer) == {"data", "BaseResp"}
    assert set(entry) == {
        "execute_id", "execute_status", "bot_id", "connector_id", "connector_uid", "run_mode", "log_id",
        "create_time", "update_time", "debug_url", "input", "output", "token", "cost", "cost_unit", "ext",
        "error_code", "error_msg",
    }  # fmt: skip
    assert (entry["execute_id"], entry["bot_id"]) == (int(started["execute_id"]), 7_100_000_000_000_000_071)
    assert (entry["connector_id"], entry["execute_status"], entry["run_mode"]) == (1024, "Success", 0)
    assert (entry["token"], entry["cost"], entry["error_code"]) == (20, "0.00000", None)
    assert (json.loads(entry["input"]), entry["output"]) == (parameters, started["data"])


async def test_a_history_tells_a_failure(client: httpx.AsyncClient) -> None:
    """The error code is a string, the message has a name of its own, and there is no output."""
    started = await run(client, "fails_later", is_async=True)
    entry = await settled(client, "fails_later", started["execute_id"])

    assert (entry["execute_status"], entry["error_code"], entry["output"]) == ("Fail", "720702017", None)
    assert "Weather lookup" in entry["error_msg"]


async def test_a_waiting_run_is_unset(client: httpx.AsyncClient) -> None:
    """The status of a run at a question has no word, and its question is not told."""
    started = await run(client, "asks_later", is_async=True)
    entry = await settled(client, "asks_later", started["execute_id"])

    assert entry["execute_status"] == "<UNSET>"
    assert "interrupt_data" not in entry


@pytest.mark.parametrize(("name", "code"), [("forgotten", 720702004), ("short_answer", 720702004)])
async def test_an_unknown_history_is_refused(client: httpx.AsyncClient, name: str, code: int) -> None:
    """What is forgotten or never was gets a code and a message alone."""
    started = await run(client, "forgotten")
    answer = await history(client, name, started["execute_id"])

    assert (answer["code"], set(answer)) == (code, {"code", "msg"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/workflows/7000000000000000001/run_histories/1"),
        ("GET", "/v1/workflows/7000000000000000001/run_histories/1/execute_nodes/x"),
        ("POST", "/v1/workflows/resume"),
        ("GET", "/v1/workflows"),
        ("GET", "/v1/files/retrieve"),
        ("GET", "/v1/workflow/run"),
        ("GET", "/v1/nothing"),
    ],
)
async def test_other_paths_are_closed(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Whatever is not open to tokens asks for a web session."""
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (401, 700012006)


async def test_a_wrong_token_gets_the_same_code(studio: Sandbox) -> None:
    """A token that is not known is answered in the same way, with HTTP 401."""
    async with httpx.AsyncClient(base_url=studio.base_url, headers={"Authorization": "Bearer wrong"}) as stranger:
        answer = await stranger.post("/v1/workflow/run", json={"workflow_id": IDS["short_answer"]})

    assert (answer.status_code, answer.json()["code"]) == (401, 700012006)


@pytest.mark.parametrize(
    ("workflow_id", "status", "code"), [(IDS["never_published"], 200, 6031), ("42", 200, 720702004), ("", 400, 400)]
)
@pytest.mark.parametrize("path", ["run", "stream_run"])
async def test_a_refusal_has_studios_code(
    client: httpx.AsyncClient, path: str, workflow_id: str, status: int, code: int
) -> None:
    """Unpublished, unknown and malformed requests have codes and HTTP statuses of their own."""
    answer = await client.post(f"/v1/workflow/{path}", json={"workflow_id": workflow_id})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "msg"}


async def test_a_stream_names_nodes_by_id_only(client: httpx.AsyncClient) -> None:
    """Messages have a token count instead of usage and no uuid; node_seq_id goes on in the next turn of a loop."""
    *messages, done = await stream(client, "long_stream")

    assert [event.number for event in messages] == list(range(len(messages)))
    assert set(messages[0].data) == {
        "content", "content_type", "node_seq_id", "node_id", "node_is_finish", "node_type", "node_title",
    }  # fmt: skip
    assert messages[-1].data["token"] == 1_920
    looped = [event.data["node_seq_id"] for event in messages if event.data["node_type"] == "Message"]
    assert looped == ["0", "1", "2", "3"]
    assert (done.name, "execute_id=" in done.data["debug_url"]) == ("Done", True)


async def test_a_stream_has_its_character_set(client: httpx.AsyncClient) -> None:
    """The content type is followed by a parameter."""
    answer = await client.post("/v1/workflow/stream_run", json={"workflow_id": IDS["short_answer"]})

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_an_error_leads_to_its_execution(client: httpx.AsyncClient) -> None:
    """Error carries a debug_url, so that the execution is known."""
    *_, error = await stream(client, "fails_in_a_node")
    execute_id = httpx.URL(error.data["debug_url"]).params["execute_id"]

    assert (error.name, error.data["error_code"]) == ("Error", 720702017)
    assert (await history(client, "fails_in_a_node", execute_id))["data"][0]["execute_status"] == "Fail"


async def test_an_interrupt_does_not_name_its_node(client: httpx.AsyncClient) -> None:
    """Interrupt has a debug_url, no node_title, and no required_parameters."""
    *_, interrupt = await stream(client, "asks_for_fields")

    assert (interrupt.name, set(interrupt.data)) == ("Interrupt", {"debug_url", "interrupt_data"})
    assert set(interrupt.data["interrupt_data"]) == {"event_id", "type", "data"}


async def test_a_stream_is_resumed(client: httpx.AsyncClient) -> None:
    """What a stream asks is answered with stream_resume, whose events count from 0 again."""
    *_, interrupt = await stream(client, "asks_a_question")
    waiting = interrupt.data["interrupt_data"]
    body = {
        "workflow_id": IDS["asks_a_question"],
        "event_id": waiting["event_id"],
        "interrupt_type": waiting["type"],
        "resume_data": "Oslo",
    }
    events = read_events((await client.post("/v1/workflow/stream_resume", json=body)).text)

    assert [(event.number, event.name) for event in events] == [(0, "Message"), (1, "Message"), (2, "Done")]


async def test_a_stream_error_is_no_proper_event(client: httpx.AsyncClient) -> None:
    """The last frame is in lower case, without id, and its data is not JSON."""
    raw = (await client.post("/v1/workflow/stream_run", json={"workflow_id": IDS["studio_error"]})).text

    assert raw.split("\n\n")[-2] == "event: error\ndata: stream error: workflow execution failed"


async def test_there_are_no_pings(client: httpx.AsyncClient) -> None:
    """Studio sends none."""
    events = await stream(client, "pings")

    assert [event.name for event in events] == ["Message"] * 3 + ["Done"]


async def test_a_chat_counts_its_events_from_one(client: httpx.AsyncClient) -> None:
    """A message's last piece is told as completed, and nothing joins the pieces."""
    events = await chat(client, "short_answer", bot_id="71")

    assert [event.number for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.name for event in events] == [
        "conversation.chat.created", "conversation.chat.in_progress", "conversation.message.delta",
        "conversation.message.completed", "conversation.chat.completed", "done",
    ]  # fmt: skip
    answer = json.loads(events[2].data["content"] + events[3].data["content"])
    assert answer["parameters"] == {"USER_INPUT": "Hello"}
    assert events[4].data["usage"]["token_count"] == 20
    assert events[0].data["execute_id"] == httpx.URL(events[5].data["debug_url"]).params["execute_id"]


async def test_a_chat_that_fails_ends_with_error(client: httpx.AsyncClient) -> None:
    """The error has its code as a string and a debug_url, and neither failed nor done follow."""
    *_, error = await chat(client, "fails_in_a_node")

    assert (error.name, error.data["code"]) == ("error", "720702017")
    assert set(error.data) == {"code", "msg", "debug_url"}


async def test_a_chat_is_interrupted_and_goes_on(client: httpx.AsyncClient) -> None:
    """The question is answered by chatting in its conversation."""
    *_, waiting, _ = await chat(client, "asks_a_question", conversation_id="c-studio")
    *_, completed, done = await chat(client, "asks_a_question", "Oslo", conversation_id="c-studio")

    assert (waiting.name, waiting.data["status"]) == ("conversation.chat.requires_action", "requires_action")
    assert (completed.data["status"], done.name) == ("completed", "done")
    assert completed.data["execute_id"] == waiting.data["execute_id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation_id": None},
        {"additional_messages": [{"role": "assistant", "content": "Hello", "content_type": "text"}]},
        {"bot_id": "71", "app_id": "72"},
    ],
)
async def test_a_chat_that_studio_cannot_place_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """It wants a conversation's id or name, and the user to speak last."""
    message = {"role": "user", "content": "Hello", "content_type": "text"}
    body = {"workflow_id": IDS["short_answer"], "additional_messages": [message], "conversation_id": "456"}
    answer = await client.post("/v1/workflows/chat", json=body | fields)

    assert (answer.status_code, answer.json()["code"]) == (400, 400)


async def test_a_conversation_is_found_by_its_name(client: httpx.AsyncClient) -> None:
    """conversation/create finds the one of that name, or lets a new one take it over."""
    body = {"app_id": "72", "conversation_name": "Trips"}

    async def create(*, get_or_create: bool) -> str:
        answer = await client.post("/v1/workflow/conversation/create", json={**body, "get_or_create": get_or_create})
        found: str = answer.json()["data"]["id"]
        return found

    first = await create(get_or_create=True)
    again = await create(get_or_create=True)
    created, *_ = await chat(
        client, "short_answer", conversation_id=None, app_id="72", parameters={"CONVERSATION_NAME": "Trips"}
    )
    fresh = await create(get_or_create=False)

    assert (again, created.data["conversation_id"]) == (first, first)
    assert fresh != first


async def test_a_workflow_is_described_by_its_role(client: httpx.AsyncClient) -> None:
    """The body differs from that of coze.cn."""
    answer = (await client.get(f"/v1/workflows/{IDS['short_answer']}")).json()

    assert answer["data"]["role"]["workflow_id"] == IDS["short_answer"]


async def test_files_go_up(client: httpx.AsyncClient) -> None:
    """An upload is counted as on coze.cn."""
    answer = (await client.post("/v1/files/upload", files={"file": ("a.txt", b"four")})).json()

    assert (answer["code"], answer["data"]["bytes"]) == (0, 4)


async def test_the_sdk_runs_and_streams(coze: AsyncCoze, studio: Sandbox) -> None:
    """Run and stream are understood by both clients, though the log id is not found."""
    runs = coze.workflows.runs
    result = await runs.create(workflow_id=IDS["short_answer"])
    events = [event async for event in runs.stream(workflow_id=IDS["long_stream"])]

    def run_synchronously() -> str:
        with SyncHTTPClient() as http_client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
            client = Coze(TokenAuth(studio.token), base_url=studio.base_url, http_client=http_client)
            return client.workflows.runs.create(workflow_id=IDS["short_answer"]).execute_id or ""

    assert (len(result.execute_id or ""), result.usage) == (19, None)
    assert {event.event for event in events} == {WorkflowEventType.MESSAGE}
    assert len(await anyio.to_thread.run_sync(run_synchronously)) == 19


async def test_the_sdk_stumbles_over_an_interrupt(coze: AsyncCoze) -> None:
    """An Interrupt without node_title is not valid for the SDK."""
    with pytest.raises(ValidationError):
        [event async for event in coze.workflows.runs.stream(workflow_id=IDS["asks_a_question"])]


async def test_the_sdk_stumbles_over_a_chat(coze: AsyncCoze) -> None:
    """Ids in a chat are not expected by the SDK."""
    chatting = coze.workflows.chat.stream(
        workflow_id=IDS["short_answer"],
        additional_messages=[Message.build_user_question_text("Hello")],
        conversation_id="456",
    )
    with pytest.raises(CozeInvalidEventError):
        [event async for event in chatting]


async def test_the_sdk_cannot_ask_for_a_history(coze: AsyncCoze) -> None:
    """The path of the SDK is closed."""
    with pytest.raises(CozeAPIError) as caught:
        await coze.workflows.runs.run_histories.retrieve(workflow_id=IDS["short_answer"], execute_id="1")

    assert caught.value.code == 700012006
