"""The official Python SDK against the sandbox: what it understands, and where it stumbles as it does upstream."""

import json
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx
import pytest
from cozepy import (
    AsyncCoze,
    AsyncTokenAuth,
    ChatEvent,
    ChatEventType,
    ChatStatus,
    Coze,
    CozeAPIError,
    Message,
    TokenAuth,
    WorkflowEvent,
    WorkflowEventType,
    WorkflowExecuteStatus,
    WorkflowRunMode,
)
from cozepy.request import AsyncHTTPClient, SyncHTTPClient
from pydantic import ValidationError

from execution_history.sandbox import WORKFLOWS, Sandbox

pytestmark = pytest.mark.anyio

IDS = {workflow.name: workflow_id for workflow_id, workflow in WORKFLOWS.items()}


@pytest.fixture
async def coze(sandbox: Sandbox) -> AsyncIterator[AsyncCoze]:
    """Give the asynchronous SDK, pointed at the sandbox."""
    async with AsyncHTTPClient() as http_client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
        yield AsyncCoze(AsyncTokenAuth(sandbox.token), base_url=sandbox.base_url, http_client=http_client)


@pytest.fixture
def sync_coze(sandbox: Sandbox) -> Iterator[Coze]:
    """Give the synchronous SDK, pointed at the sandbox."""
    with SyncHTTPClient() as http_client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
        yield Coze(TokenAuth(sandbox.token), base_url=sandbox.base_url, http_client=http_client)


async def events(coze: AsyncCoze, name: str) -> list[WorkflowEvent]:
    """Return what the SDK makes of a stream."""
    return [event async for event in coze.workflows.runs.stream(workflow_id=IDS[name])]


async def test_the_sdk_runs(coze: AsyncCoze) -> None:
    """The result of a run has its data, ids and usage."""
    result = await coze.workflows.runs.create(workflow_id=IDS["short_answer"], parameters={"city": "Oslo"})

    assert json.loads(result.data or "")["parameters"] == {"city": "Oslo"}
    assert result.usage is not None
    assert (len(result.execute_id or ""), result.usage.token_count) == (19, 20)


async def test_the_sdk_streams(coze: AsyncCoze) -> None:
    """Every message of a long stream arrives with increasing ids; Done is swallowed by the SDK."""
    received = await events(coze, "long_stream")

    assert {event.event for event in received} == {WorkflowEventType.MESSAGE}
    assert [event.id for event in received] == list(range(len(received)))


async def test_the_synchronous_sdk_streams(sync_coze: Coze) -> None:
    """The synchronous client reads the same stream, and its log id."""

    def read() -> tuple[str, int]:
        stream = sync_coze.workflows.runs.stream(workflow_id=IDS["long_stream"])
        count = len(list(stream))
        return stream.response.logid or "", count

    log_id, count = await anyio.to_thread.run_sync(read)
    assert (len(log_id), count) == (32, 22)


async def test_the_sdk_sees_an_error(coze: AsyncCoze) -> None:
    """A failing stream ends with an error event and no exception."""
    *_, last = await events(coze, "fails_in_a_node")

    assert last.error is not None
    assert last.error.error_code == 720702017


async def test_the_sdk_sees_pings_as_unknown(coze: AsyncCoze) -> None:
    """PING events do not disturb the stream."""
    received = [event.event for event in await events(coze, "pings")]

    assert received == [WorkflowEventType.MESSAGE, WorkflowEventType.UNKNOWN] * 3


@pytest.mark.parametrize("name", ["asks_a_question", "asks_for_fields"])
async def test_the_sdk_resumes(coze: AsyncCoze, name: str) -> None:
    """An interrupted stream is resumed with what the interrupt event says."""
    *_, last = await events(coze, name)
    assert last.interrupt is not None
    waiting = last.interrupt.interrupt_data
    resumed = coze.workflows.runs.resume(
        workflow_id=IDS[name], event_id=waiting.event_id, resume_data='{"city": "Oslo"}', interrupt_type=waiting.type
    )
    received = [event async for event in resumed]

    assert [event.id for event in received] == [0, 1]
    assert "Oslo" in "".join(event.message.content for event in received if event.message)


async def test_the_sdk_polls_an_async_run(coze: AsyncCoze) -> None:
    """An asynchronous run is polled until its history says Success."""
    runs = coze.workflows.runs
    name = IDS["takes_its_time"]
    execute_id = (await runs.create(workflow_id=name, is_async=True)).execute_id or ""
    with anyio.fail_after(10):
        while True:
            history = await runs.run_histories.retrieve(workflow_id=name, execute_id=execute_id)
            if history.execute_status is not WorkflowExecuteStatus.RUNNING:
                break

    assert (history.execute_status, history.run_mode) == (WorkflowExecuteStatus.SUCCESS, WorkflowRunMode.ASYNCHRONOUS)
    assert (history.error_code, history.is_output_trimmed) == (0, False)


async def test_the_sdk_reads_a_failed_history(coze: AsyncCoze) -> None:
    """The error code of a failed history is read as a number."""
    name = IDS["fails_in_a_node"]
    with pytest.raises(CozeAPIError) as caught:
        await coze.workflows.runs.create(workflow_id=name)
    execute_id = httpx.URL(caught.value.debug_url or "").params["execute_id"]
    history = await coze.workflows.runs.run_histories.retrieve(workflow_id=name, execute_id=execute_id)

    assert (caught.value.code, history.error_code) == (720702017, 720702017)
    assert history.execute_status is WorkflowExecuteStatus.FAIL


async def test_the_sdk_reads_an_output_node(coze: AsyncCoze) -> None:
    """The uuid of a history's node status leads to the node's output."""
    runs = coze.workflows.runs
    name = IDS["long_stream"]
    execute_id = (await runs.create(workflow_id=name)).execute_id or ""
    history = await runs.run_histories.retrieve(workflow_id=name, execute_id=execute_id)
    uuid = (history.node_execute_status or {})["Report"].node_execute_uuid
    node = await runs.run_histories.execute_nodes.retrieve(
        workflow_id=name, execute_id=execute_id, node_execute_uuid=uuid
    )

    assert (node.is_finish, node.node_output) == (True, "Day 1 of 2 is planned.")


async def test_the_sdk_lists_workflows(coze: AsyncCoze) -> None:
    """All workflows are found page by page."""
    found = [entry.workflow_id async for entry in await coze.workflows.list(workspace_id="1", page_size=7)]

    assert found == list(WORKFLOWS)


@pytest.mark.parametrize(("name", "code"), [("never_published", 4200), ("rate_limited", 4013), ("server_error", 500)])
async def test_the_sdk_raises_for_a_refusal(coze: AsyncCoze, name: str, code: int) -> None:
    """A refused request becomes the SDK's own error, on run and on stream alike."""
    with pytest.raises(CozeAPIError) as of_run:
        await coze.workflows.runs.create(workflow_id=IDS[name])
    with pytest.raises(CozeAPIError) as of_stream:
        await events(coze, name)

    assert (of_run.value.code, of_stream.value.code) == (code, code)


async def test_the_sdk_raises_for_a_wrong_token(sandbox: Sandbox) -> None:
    """A wrong token is code 4100 with the log id of the answer."""
    async with AsyncHTTPClient() as http_client:  # type: ignore[no-untyped-call]  # cozepy leaves it untyped
        coze = AsyncCoze(AsyncTokenAuth("wrong"), base_url=sandbox.base_url, http_client=http_client)
        with pytest.raises(CozeAPIError) as caught:
            await coze.workflows.runs.create(workflow_id=IDS["short_answer"])

    assert (caught.value.code, len(caught.value.logid or "")) == (4100, 32)


async def test_the_sdk_raises_for_an_unknown_execution(coze: AsyncCoze) -> None:
    """A history that does not exist is an error with a code, not an index out of range."""
    with pytest.raises(CozeAPIError) as caught:
        await coze.workflows.runs.run_histories.retrieve(workflow_id=IDS["short_answer"], execute_id="1")

    assert caught.value.code == 4200


async def test_the_sdk_cannot_see_a_missing_terminator(coze: AsyncCoze) -> None:
    """A stream without Done ends like any other, which is why a recorder must look at the wire."""
    received = await events(coze, "no_terminator")

    assert [event.event for event in received] == [WorkflowEventType.MESSAGE] * 2


async def test_the_sdk_lets_a_broken_connection_through(coze: AsyncCoze) -> None:
    """A broken connection is httpx's error."""
    with pytest.raises(httpx.RemoteProtocolError):
        await events(coze, "breaks_the_connection")


async def test_the_sdk_stumbles_over_line_separators(coze: AsyncCoze) -> None:
    """Raw U+2028 splits a line for the SDK, as it does upstream."""
    with pytest.raises(ValidationError):
        await events(coze, "chinese")


HELLO = [Message.build_user_question_text("Hello")]


async def chat(coze: AsyncCoze, name: str, said: str = "Hello", conversation_id: str | None = None) -> list[ChatEvent]:
    """Return what the SDK makes of a chat."""
    messages = [Message.build_user_question_text(said)]
    stream = coze.workflows.chat.stream(
        workflow_id=IDS[name], additional_messages=messages, bot_id="71", conversation_id=conversation_id
    )
    return [event async for event in stream]


async def test_the_sdk_chats(coze: AsyncCoze) -> None:
    """Every event of a chat is understood; done is swallowed by the SDK."""
    received = await chat(coze, "long_stream")

    assert {event.event for event in received} == {
        ChatEventType.CONVERSATION_CHAT_CREATED,
        ChatEventType.CONVERSATION_CHAT_IN_PROGRESS,
        ChatEventType.CONVERSATION_MESSAGE_DELTA,
        ChatEventType.CONVERSATION_MESSAGE_COMPLETED,
        ChatEventType.CONVERSATION_CHAT_COMPLETED,
    }
    last = received[-1].chat
    assert last is not None
    assert last.usage is not None
    assert (last.status, last.bot_id, last.usage.token_count) == (ChatStatus.COMPLETED, "71", 1_920)


async def test_the_synchronous_sdk_chats(sync_coze: Coze) -> None:
    """The synchronous client reads the same chat, and its log id."""

    def read() -> tuple[str, list[ChatEvent]]:
        stream = sync_coze.workflows.chat.stream(
            workflow_id=IDS["short_answer"], additional_messages=HELLO, app_id="72", parameters={"city": "Oslo"}
        )
        received = list(stream)
        return stream.response.logid or "", received

    log_id, received = await anyio.to_thread.run_sync(read)
    said = [event.message.content for event in received if event.message and event.message.type == "answer"]
    assert (len(log_id), len(received)) == (32, 7)
    assert json.loads(said[-1])["parameters"] == {"USER_INPUT": "Hello", "city": "Oslo"}


async def test_the_sdk_goes_on_with_an_interrupted_chat(coze: AsyncCoze) -> None:
    """A chat that waits is answered by chatting in its conversation."""
    asked = (await chat(coze, "asks_a_question"))[-1].chat
    assert asked is not None
    received = await chat(coze, "asks_a_question", "Oslo", asked.conversation_id)
    said = [event.message.content for event in received if event.message]

    assert asked.status is ChatStatus.REQUIRES_ACTION
    assert "Oslo" in "".join(said)
    assert received[-1].event == ChatEventType.CONVERSATION_CHAT_COMPLETED


async def test_the_sdk_sees_a_failed_chat(coze: AsyncCoze) -> None:
    """A failing chat ends with its error and no exception."""
    failed = (await chat(coze, "fails_in_a_node"))[-1].chat

    assert failed is not None
    assert failed.last_error is not None
    assert (failed.status, failed.last_error.code) == (ChatStatus.FAILED, 720702017)


async def test_the_sdk_raises_for_a_refused_chat(coze: AsyncCoze) -> None:
    """Without messages, the SDK sends an empty list and raises what it is told."""
    with pytest.raises(CozeAPIError) as caught:
        [event async for event in coze.workflows.chat.stream(workflow_id=IDS["short_answer"], bot_id="71")]

    assert caught.value.code == 4000


async def test_the_sdk_polls_until_nothing_is_known(coze: AsyncCoze) -> None:
    """A history that is forgotten is the SDK's own error with the code 4200."""
    runs = coze.workflows.runs
    execute_id = (await runs.create(workflow_id=IDS["forgotten"])).execute_id or ""
    with pytest.raises(CozeAPIError) as caught:
        await runs.run_histories.retrieve(workflow_id=IDS["forgotten"], execute_id=execute_id)

    assert caught.value.code == 4200


async def test_the_sdk_reads_an_expired_history(coze: AsyncCoze) -> None:
    """An expired output is an empty text that counts as trimmed."""
    runs = coze.workflows.runs
    execute_id = (await runs.create(workflow_id=IDS["output_expired"])).execute_id or ""
    history = await runs.run_histories.retrieve(workflow_id=IDS["output_expired"], execute_id=execute_id)

    assert (history.execute_status, history.output) == (WorkflowExecuteStatus.SUCCESS, "")
    assert history.is_output_trimmed


async def test_the_sdk_uploads(coze: AsyncCoze, sync_coze: Coze) -> None:
    """A file goes up from both clients, and its description can be asked for."""
    uploaded = await coze.files.upload(file=("a.txt", b"x" * 100_000))
    retrieved = await coze.files.retrieve(file_id=uploaded.id)
    again = await anyio.to_thread.run_sync(lambda: sync_coze.files.upload(file=("b.txt", b"yy")))

    assert (uploaded.bytes, uploaded.file_name) == (100_000, "a.txt")
    assert (retrieved.bytes, retrieved.created_at) == (100_000, uploaded.created_at)
    assert (again.bytes, again.file_name) == (2, "b.txt")


async def test_the_sdk_describes_a_workflow(coze: AsyncCoze, sync_coze: Coze) -> None:
    """The detail of a workflow is read by both clients."""
    workflow_id = IDS["short_answer"]
    detail = (await coze.workflows.retrieve(workflow_id=workflow_id)).workflow_detail
    again = await anyio.to_thread.run_sync(lambda: sync_coze.workflows.retrieve(workflow_id=workflow_id))

    assert (detail.workflow_id, detail.workflow_name) == (workflow_id, "short_answer")
    assert again.workflow_detail == detail


async def test_the_sdk_lists_versions(coze: AsyncCoze, sync_coze: Coze) -> None:
    """All versions are found page by page, the newest first."""
    workflow_id = IDS["short_answer"]
    found = [entry async for entry in await coze.workflows.versions.list(workflow_id=workflow_id, page_size=2)]
    again = await anyio.to_thread.run_sync(
        lambda: [entry.version for entry in sync_coze.workflows.versions.list(workflow_id=workflow_id)]
    )

    assert [entry.version for entry in found] == ["v0.0.3", "v0.0.2", "v0.0.1"]
    assert {entry.workflow_id for entry in found} == {workflow_id}
    assert again == ["v0.0.3", "v0.0.2", "v0.0.1"]
