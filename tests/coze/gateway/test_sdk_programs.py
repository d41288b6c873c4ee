"""Small programs in the SDKs' usual way of calling, where only the address changes: same results, one record a run.

They call as the official examples do: a question is answered while its stream is still open, a chat goes on in a
conversation that was made for it, a file is uploaded and named in a message, a local plugin's output is submitted.
"""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cozepy import (
    ChatEventType,
    ChatStatus,
    Coze,
    Message,
    MessageContentType,
    MessageObjectString,
    MessageRole,
    Stream,
    TokenAuth,
    ToolOutput,
    WorkflowEvent,
    WorkflowEventType,
    WorkflowExecuteStatus,
)
from cozepy.request import SyncHTTPClient
from starlette.concurrency import run_in_threadpool

from execution_history.sandbox import WORKFLOWS, Sandbox
from execution_history.sandbox.bots import BOTS
from tests.coze.gateway.conftest import TOKEN, Gateway, gateway_to
from tests.coze.gateway.test_javascript import modules

__all__ = ["modules"]  # the fixture

pytestmark = pytest.mark.anyio

_IDS = {workflow.name: workflow.workflow_id for workflow in (*WORKFLOWS.values(), *BOTS.values())}
_SCRIPT = Path(__file__).with_name("javascript") / "programs.mjs"
_CHANGING = re.compile(r"[0-9A-F]{32}|\d{10,}|[0-9a-f]{8}-[0-9a-f-]{27}|_[0-9a-f]{8}\b")
_STAYS_OPEN = {"open_ms": 300}

Program = Callable[[Coze], Iterator[object]]


def _streams_and_answers(coze: Coze) -> Iterator[object]:
    workflow_id = _IDS["asks_a_question"]

    def read(stream: Stream[WorkflowEvent]) -> Iterator[object]:
        for event in stream:
            yield event
            if event.event == WorkflowEventType.INTERRUPT and event.interrupt is not None:
                asked = event.interrupt.interrupt_data
                answered = coze.workflows.runs.resume(
                    workflow_id=workflow_id, event_id=asked.event_id, resume_data="Oslo", interrupt_type=asked.type
                )
                yield from read(answered)

    yield from read(coze.workflows.runs.stream(workflow_id=workflow_id, parameters=_STAYS_OPEN))


def _runs_in_the_background(coze: Coze) -> Iterator[object]:
    workflow_id = _IDS["long_stream"]
    execute_id = coze.workflows.runs.create(workflow_id=workflow_id, is_async=True).execute_id
    assert execute_id
    histories = coze.workflows.runs.run_histories
    while True:
        history = histories.retrieve(workflow_id=workflow_id, execute_id=execute_id)
        if history.execute_status != WorkflowExecuteStatus.RUNNING:
            break
    yield history.output
    for node in (history.node_execute_status or {}).values():
        yield histories.execute_nodes.retrieve(
            workflow_id=workflow_id, execute_id=execute_id, node_execute_uuid=node.node_execute_uuid
        )


def _chats_with_a_workflow(coze: Coze) -> Iterator[object]:
    conversation = coze.conversations.create()
    picture = coze.files.upload(file=("picture.png", b"not a picture"))
    yield coze.files.retrieve(file_id=picture.id).file_name
    parts = [MessageObjectString.build_text("What is on it?"), MessageObjectString.build_image(file_id=picture.id)]
    yield from coze.workflows.chat.stream(
        workflow_id=_IDS["long_stream"],
        bot_id=_IDS["answers"],
        conversation_id=conversation.id,
        parameters=_STAYS_OPEN,
        additional_messages=[Message.build_user_question_objects(parts)],
    )


def _answers_in_a_chat(coze: Coze) -> Iterator[object]:
    conversation_id = coze.conversations.create().id

    def say(text: str) -> Iterator[object]:
        for event in coze.workflows.chat.stream(
            workflow_id=_IDS["asks_a_question"],
            bot_id=_IDS["answers"],
            conversation_id=conversation_id,
            parameters=_STAYS_OPEN,
            additional_messages=[Message.build_user_question_text(text)],
        ):
            yield event
            if event.event == ChatEventType.CONVERSATION_CHAT_REQUIRES_ACTION:
                yield from say("Oslo")

    yield from say("Hello")


def _chats_with_bots(coze: Coze) -> Iterator[object]:
    said = [Message.build_user_question_text("What's on my screen?")]
    chat = coze.chat.create(bot_id=_IDS["answers"], user_id="u", additional_messages=said)
    while chat.status == ChatStatus.IN_PROGRESS:
        chat = coze.chat.retrieve(conversation_id=chat.conversation_id, chat_id=chat.id)
    yield chat.usage
    yield list(coze.chat.messages.list(conversation_id=chat.conversation_id, chat_id=chat.id))
    for event in coze.chat.stream(bot_id=_IDS["uses_local_plugins"], user_id="u", additional_messages=said):
        yield event
        if event.chat is None or event.chat.required_action is None:
            continue
        assert event.chat.required_action.submit_tool_outputs is not None
        calls = event.chat.required_action.submit_tool_outputs.tool_calls
        outputs = [ToolOutput(tool_call_id=call.id, output=json.dumps({"output": "a dog"})) for call in calls]
        answered = coze.chat.submit_tool_outputs(
            conversation_id=event.chat.conversation_id, chat_id=event.chat.id, tool_outputs=outputs, stream=True
        )
        assert isinstance(answered, Stream)
        yield from answered


def _keeps_conversations(coze: Coze) -> Iterator[object]:
    first = [Message.build_user_question_text("Hi"), Message.build_assistant_answer("Hello.")]
    conversation = coze.conversations.create(messages=first, meta_data={"a": "b"}, name="Trips")
    yield coze.conversations.retrieve(conversation_id=conversation.id)
    yield coze.conversations.update(conversation_id=conversation.id, name="Journeys").name
    messages, named = coze.conversations.messages, {"conversation_id": conversation.id}
    added = messages.create(**named, role=MessageRole.USER, content="hi", content_type=MessageContentType.TEXT)
    assert added.id
    yield messages.update(**named, message_id=added.id, content="ho", content_type=MessageContentType.TEXT).content
    yield messages.retrieve(**named, message_id=added.id)
    yield [message.content for message in messages.list(**named, limit=2)]
    yield messages.delete(**named, message_id=added.id)
    yield coze.conversations.clear(**named)
    yield coze.conversations.delete(**named)


_PROGRAMS: dict[Program, list[str]] = {
    _streams_and_answers: ["asks_a_question"],
    _runs_in_the_background: ["long_stream"],
    _chats_with_a_workflow: ["long_stream"],
    _answers_in_a_chat: ["asks_a_question"],
    _chats_with_bots: [],
    _keeps_conversations: [],
}
"""Each program and the workflows that it runs, each once; a chat with a bot runs none."""


def _call(program: Program, base_url: str) -> list[str]:
    with SyncHTTPClient() as client:  # type: ignore[no-untyped-call]
        coze = Coze(auth=TokenAuth(TOKEN), base_url=base_url, http_client=client)
        return [_CHANGING.sub("…", str(value)) for value in program(coze)]


async def _records(gateway: Gateway) -> list[dict[str, Any]]:
    """Every record, once all have ended or wait."""
    found = [await gateway.ended(name) for name in _IDS.values() if await gateway.records(name)]
    return [record for one in found for record in await gateway.records(one["workflow_id"])]


@pytest.fixture
async def fresh(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway in front of the sandbox, with an empty history."""
    async with gateway_to(tmp_path, sandbox.base_url) as found:
        yield found


@pytest.mark.parametrize("program", _PROGRAMS)
async def test_only_the_address_changes(fresh: Gateway, sandbox: Sandbox, program: Program) -> None:
    """The program gets the same; each workflow that it ran has one record, with its question, answer and ending."""
    direct = await run_in_threadpool(_call, program, sandbox.base_url)
    through = await run_in_threadpool(_call, program, fresh.base_url)
    records = await _records(fresh)

    assert direct == through
    assert [(_IDS[name], "success") for name in _PROGRAMS[program]] == [
        (record["workflow_id"], record["execute_status"]) for record in records
    ]
    assert all(record["output"] for record in records)


async def test_the_javascript_sdk_needs_another_address_only(fresh: Gateway, sandbox: Sandbox, modules: Path) -> None:
    """Four runs at once, one of them with a question, two chats, a conversation and a file: four records."""

    async def call(base_url: str) -> list[Any]:
        command = ["node", str(_SCRIPT), str(modules), base_url, TOKEN]
        done = await run_in_threadpool(
            subprocess.run, command, capture_output=True, timeout=60, check=False, env={"PATH": os.environ["PATH"]}
        )
        assert 0 == done.returncode, done.stderr.decode()
        lines = [orjson.loads(_CHANGING.sub("0", line)) for line in done.stdout.decode().splitlines()]
        return sorted(lines, key=orjson.dumps)

    assert await call(sandbox.base_url) == await call(fresh.base_url)
    records = await _records(fresh)
    assert ["asks_a_question", "long_stream", "short_answer", "short_answer"] == sorted(
        WORKFLOWS[record["workflow_id"]].name for record in records
    )
    assert {"success"} == {record["execute_status"] for record in records}
