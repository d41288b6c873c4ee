"""Chats over WebSockets: the official client through the gateway, and one record for each round."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from cozepy import AsyncCoze, AsyncTokenAuth
from cozepy.websockets.chat import ChatUpdateEvent, ConversationMessageCreateEvent
from cozepy.websockets.ws import WebsocketsEventType
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

from execution_history.settings import AccountSettings
from tests.coze.certificates import Authority
from tests.coze.forward_proxy import forward_proxy, tunnel
from tests.coze.gateway.conftest import Gateway, gateway_to

pytestmark = pytest.mark.anyio

Say = Callable[..., Awaitable[None]]


_ENDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "fail": ("conversation.chat.failed", {"last_error": {"code": 5000, "msg": "it failed"}}),
    "ask": ("conversation.chat.requires_action", {"required_action": {"type": "tool"}}),
}

_CANCELLATIONS = {"cancel": "conversation.chat.canceled", "stop": "conversation.chat.cancelled"}


class ChatServer:
    """An upstream that answers each message of the user's with its words, one by one, as Coze does."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.chats = 0

    async def __call__(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        assert socket.request is not None
        self.paths.append(socket.request.path)
        say = _saying(socket)
        await say("chat.created")
        try:
            async for message in socket:
                if isinstance(message, str) and message.startswith("{"):
                    frame = orjson.loads(message)
                    data = frame.get("data")
                    data = data if isinstance(data, dict) else {}
                    if data.get("role") != "assistant":
                        await self._hear(frame["event_type"], data, socket, say)
        except ConnectionClosed:
            return

    async def _hear(self, name: str, data: dict[str, Any], socket: ServerConnection, say: Say) -> None:
        words = str(data.get("content", ""))
        match name, words:
            case "input_audio_buffer.complete", _:
                await say("input_audio_buffer.completed")
                await say("conversation.audio_transcript.completed", content="spoken words")
                await self._answer(say, "spoken words")
            case "conversation.chat.submit_tool_outputs", _:
                await self._say_all(say, str(data["tool_outputs"][0]["output"]))
            case "conversation.message.create", "refuse":
                await say("error", code=4000, msg="no such message")
            case "conversation.message.create", "break" | "wait" | "cancel" | "stop":
                await self._begin(say)
                await say("conversation.message.delta", **self._message("half "))
                if words == "break":
                    socket.transport.abort()
                elif words in _CANCELLATIONS:
                    await say(_CANCELLATIONS[words], **self._chat())
            case "conversation.message.create", "fail" | "ask":
                await self._begin(say)
                ending, more = _ENDINGS[words]
                await say(ending, **self._chat(**more))
            case "conversation.message.create", _:
                await self._answer(say, words)

    async def _begin(self, say: Say) -> None:
        self.chats += 1
        await say("conversation.chat.created", **self._chat())

    async def _answer(self, say: Say, words: str) -> None:
        await self._begin(say)
        await self._say_all(say, words)

    async def _say_all(self, say: Say, words: str) -> None:
        for word in words.split(" "):
            await say("conversation.message.delta", **self._message(f"{word} "))
            await say("conversation.audio.delta", **self._message("AAAA"))
        await say("conversation.message.completed", **self._message(f"{words}!"))
        usage = {"token_count": 3, "output_count": 1, "input_count": 2}
        await say("conversation.chat.completed", **self._chat(usage=usage))

    def _chat(self, **more: Any) -> dict[str, Any]:
        return {"id": f"chat-{self.chats}", "conversation_id": "talk-1", **more}

    def _message(self, content: str) -> dict[str, Any]:
        of_chat = {"chat_id": f"chat-{self.chats}", "conversation_id": "talk-1", "id": "message-1"}
        return {**of_chat, "role": "assistant", "type": "answer", "content_type": "text", "content": content}


def _saying(socket: ServerConnection) -> Say:
    async def say(name: str, **data: Any) -> None:
        frame = {"id": "e", "event_type": name, "data": data, "detail": {"logid": "L-frame"}}
        await socket.send(orjson.dumps(frame).decode())

    return say


@asynccontextmanager
async def chats(folder: Path, server: ChatServer) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway in front of *server*, and its address for WebSockets."""
    async with serve_websockets(server, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with gateway_to(folder, f"http://127.0.0.1:{port}") as gateway:
            yield gateway, gateway.base_url.replace("http://", "ws://")


async def say(socket: ClientConnection, words: str, role: str = "user") -> None:
    """Send a message of the user's."""
    data = {"role": role, "content_type": "text", "content": words}
    await socket.send(orjson.dumps({"event_type": "conversation.message.create", "data": data}).decode())


async def heard(socket: ClientConnection, *until: str) -> list[str]:
    """The names of the events up to the first of *until*."""
    names: list[str] = []
    while not names or names[-1] not in until:
        names.append(orjson.loads(await socket.recv())["event_type"])
    return names


async def settled(gateway: Gateway, workflow_id: str, count: int) -> list[dict[str, Any]]:
    """The records of a workflow, oldest first, once there are *count* and none is running."""
    async with asyncio.timeout(60):
        while True:
            found = await gateway.records(workflow_id)
            if len(found) >= count and all(each["execute_status"] != "running" for each in found):
                return found[::-1]
            await asyncio.sleep(0.01)


async def test_the_official_client_chats_through_the_gateway_and_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS to an upstream with an authority of its own, which is reached through the account's proxy."""
    authority = Authority(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))  # the client takes no certificates in another way
    server, tls = ChatServer(), authority.server("upstream.test")
    async with serve_websockets(server, "127.0.0.1", 0, ssl=tls) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with forward_proxy(port) as proxy:
            account = AccountSettings(
                base_url="https://upstream.test",
                token=SecretStr("t"),
                proxy=SecretStr(proxy.url),
                ca_file=authority.file,
            )
            async with (
                gateway_to(tmp_path, "https://upstream.test", accounts={"default": account}) as gateway,
                tunnel(gateway.base_url, authority.server("127.0.0.1")) as secure,
            ):
                coze = AsyncCoze(auth=AsyncTokenAuth("t"), base_url=secure)
                answers: list[str] = []
                completed = asyncio.Event()

                async def on_delta(_client: object, event: Any) -> None:
                    answers.append(event.data.content)

                async def on_completed(_client: object, _event: object) -> None:
                    completed.set()

                client = coze.websockets.chat.create(
                    bot_id="b-1",
                    workflow_id="7",
                    on_event={
                        WebsocketsEventType.CONVERSATION_MESSAGE_DELTA: on_delta,
                        WebsocketsEventType.CONVERSATION_CHAT_COMPLETED: on_completed,
                    },
                )
                async with client() as chat:
                    config = ChatUpdateEvent.ChatConfig.model_validate({"user_id": "u-1", "parameters": {"a": "b"}})
                    await chat.chat_update(ChatUpdateEvent.Data.model_validate({"chat_config": config}))
                    message = {"role": "user", "content_type": "text", "content": "good 早上"}
                    await chat.conversation_message_create(ConversationMessageCreateEvent.Data.model_validate(message))
                    await completed.wait()
                record = (await settled(gateway, "7", 1))[0]
    assert ["good ", "早上 "] == answers
    assert ["CONNECT upstream.test:443 HTTP/1.1"] == proxy.requests
    assert {"bot_id=b-1", "workflow_id=7"} == set(server.paths[0].partition("?")[2].split("&"))
    assert ("success", "good 早上!") == (record["execute_status"], record["output"])
    assert {"additional_messages": [message], "a": "b"} == record["input_parameters"]
    assert ("b-1", "u-1", "talk-1", 1) == tuple(
        record[key] for key in ("bot_id", "connector_uid", "conversation_id", "run_mode")
    )
    assert 3 == record["usage"]["token_count"]
    metadata = record["metadata"]
    assert ("L-frame", "https://upstream.test", "default") == tuple(
        metadata[key] for key in ("log_id", "upstream", "account")
    )
    assert "cozepy" in str(metadata["caller"])


async def test_every_round_is_a_record(tmp_path: Path) -> None:
    """Two questions and a spoken one on one connection; sound is not kept, a message that begins nothing is."""
    async with chats(tmp_path, ChatServer()) as (gateway, base):
        async with connect(f"{base}/v1/chat?workflow_id=7") as socket:
            await say(socket, "before", "assistant")
            for words in ("one", "two words"):
                await say(socket, words)
                await heard(socket, "conversation.chat.completed")
            await socket.send('{"event_type":"input_audio_buffer.append","data":{"delta":"AAAA"}}')
            await socket.send('{"event_type":"input_audio_buffer.complete"}')
            await heard(socket, "conversation.chat.completed")
        found = await settled(gateway, "7", 3)
    assert ["one!", "two words!", "spoken words!"] == [record["output"] for record in found]
    assert [["before", "one"], ["two words"], ["spoken words"]] == [
        [message["content"] for message in record["input_parameters"]["additional_messages"]] for record in found
    ]
    assert "AAAA" not in str(found)


@pytest.mark.parametrize(
    ("words", "until", "status", "proof", "sentence"),
    [
        ("fail", "conversation.chat.failed", "failed", "error_event", "it failed"),
        ("refuse", "error", "failed", "error_event", "no such message"),
        ("cancel", "conversation.chat.canceled", "interrupted", "cancel_event", "The chat was cancelled"),
        ("stop", "conversation.chat.cancelled", "interrupted", "cancel_event", "The chat was cancelled"),
    ],
)
async def test_how_a_round_ends_is_recorded(
    tmp_path: Path, words: str, until: str, status: str, proof: str, sentence: str
) -> None:
    """A failure, a refused message, a cancelled answer."""
    async with chats(tmp_path, ChatServer()) as (gateway, base), connect(f"{base}/v1/chat?workflow_id=7") as socket:
        await say(socket, words)
        await heard(socket, until)
        record = (await settled(gateway, "7", 1))[0]
    assert (status, proof) == (record["execute_status"], record["metadata"]["proof"])
    assert sentence in record["error_message"]


@pytest.mark.parametrize("words", ["break", "wait"])
async def test_a_connection_that_breaks_in_a_round_ends_it(tmp_path: Path, words: str) -> None:
    """Whichever side ends it: the record has what came, and says that the chat may go on upstream."""
    async with chats(tmp_path, ChatServer()) as (gateway, base):
        socket = await connect(f"{base}/v1/chat?workflow_id=7")
        await say(socket, words)
        await heard(socket, "conversation.message.delta")
        if words == "wait":
            socket.transport.abort()
        else:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        record = (await settled(gateway, "7", 1))[0]
    assert ("failed", "connection_broken") == (record["execute_status"], record["metadata"]["proof"])
    assert "may still be running" in record["error_message"]
    assert ["half "] == [node["content"] for node in record["node_execute_status"].values()]


async def test_a_message_over_the_gateways_limit_is_called_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To the caller, in the log and in the record: the upstream has not broken off."""

    class Flood(ChatServer):
        async def _answer(self, say: Say, words: str) -> None:
            await self._begin(say)
            await say(words, data="x" * (64 * 1024 * 1024))

    async with chats(tmp_path, Flood()) as (gateway, base), connect(f"{base}/v1/chat?workflow_id=7") as socket:
        await say(socket, "flood")
        await heard(socket, "conversation.chat.created")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        record = (await settled(gateway, "7", 1))[0]
    sentence = "larger than the 64 MiB that the gateway takes"
    assert closed.value.rcvd is not None
    assert (1009, True) == (closed.value.rcvd.code, sentence in closed.value.rcvd.reason)
    assert sentence in caplog.text
    assert ("interrupted", "unreadable", True) == (
        record["execute_status"], record["metadata"]["proof"], sentence in record["error_message"],
    )  # fmt: skip


async def test_a_round_that_waits_too_long_stays_ended(tmp_path: Path) -> None:
    """Of more than 100 rounds that wait on a connection, what comes late for the first begins no other record."""

    class Late(ChatServer):
        """Answers only once the last message is here, and then all of them in order."""

        async def __call__(self, socket: ServerConnection) -> None:
            for _ in range(102):
                await socket.recv()
            say = _saying(socket)
            for number in range(102):
                await self._answer(say, f"{number}")
            await socket.wait_closed()

    async with chats(tmp_path, Late()) as (gateway, base), connect(f"{base}/v1/chat?workflow_id=7") as socket:
        for number in range(102):
            await say(socket, str(number))
        for _ in range(102):
            await heard(socket, "conversation.chat.completed")
        service = gateway.application.service
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            while len(found) < 102 or any(each["execute_status"] == "running" for each in found):
                pages = [await service.get_execution_history("7", 100, number) for number in (1, 2)]
                # A record that begins between the two pages moves another into both.
                found = list({each["execute_id"]: dict(each) for page in pages for each in page["histories"]}.values())
    said = sorted(
        (int(each["input_parameters"]["additional_messages"][0]["content"]), each["output"]) for each in found
    )
    assert [(0, None), (1, None), *((number, f"{number}!") for number in range(2, 102))] == said


@pytest.mark.parametrize("by", ["tool", "message"])
async def test_a_question_of_a_chat_and_its_answer_are_one_record(tmp_path: Path, by: str) -> None:
    """Whether the answer is what a tool has put out or the user's next message, and however soon it comes."""
    async with chats(tmp_path, ChatServer()) as (gateway, base), connect(f"{base}/v1/chat?workflow_id=7") as socket:
        await say(socket, "ask")
        await heard(socket, "conversation.chat.requires_action")
        if by == "message":
            await say(socket, "an answer")
        else:
            outputs = {"chat_id": "chat-1", "tool_outputs": [{"tool_call_id": "1", "output": "an answer"}]}
            frame = {"event_type": "conversation.chat.submit_tool_outputs", "data": outputs}
            await socket.send(orjson.dumps(frame).decode())
        await heard(socket, "conversation.chat.completed")
        async with asyncio.timeout(60):
            while (record := (await settled(gateway, "7", 1))[0])["execute_status"] == "interrupted":
                await asyncio.sleep(0.01)
        assert 1 == len(await gateway.records("7"))
    assert ("success", "an answer!") == (record["execute_status"], record["output"])
    answer = record["metadata"]["answers"][0]
    assert {"type": "tool"} == answer["question"]["required_action"]
    assert ("an answer" if by == "message" else outputs["tool_outputs"]) == answer["resume_data"]
    assert ["ask"] == [message["content"] for message in record["input_parameters"]["additional_messages"]]


async def test_a_chat_that_asks_waits_for_its_answer(tmp_path: Path) -> None:
    """The record is interrupted, with what the chat requires."""
    async with chats(tmp_path, ChatServer()) as (gateway, base), connect(f"{base}/v1/chat?workflow_id=7") as socket:
        await say(socket, "ask")
        await heard(socket, "conversation.chat.requires_action")
        record = (await settled(gateway, "7", 1))[0]
        assert ("interrupted", "interrupt_event") == (record["execute_status"], record["metadata"]["proof"])
        assert {"type": "tool"} == record["metadata"]["interrupt"]["required_action"]


@pytest.mark.parametrize(
    ("path", "workflow"),
    [
        ("/v1/chat?bot_id=1", None),
        ("/v1/audio/speech?workflow_id=7", None),
        ("/v1/workflows/chat?workflow_id=7", "7"),
        ("/v1/workflows/chat", "unknown"),
    ],
)
async def test_what_runs_no_workflow_just_passes(tmp_path: Path, path: str, workflow: str | None) -> None:
    """A bot's chat and speech have no record; on the path of workflows each round has one."""
    async with chats(tmp_path, ChatServer()) as (gateway, base):
        async with connect(base + path) as socket:
            await say(socket, "word")
            names = await heard(socket, "conversation.chat.completed")
        assert "conversation.audio.delta" in names
        if workflow is not None:
            record = (await settled(gateway, workflow, 1))[0]
            assert ("word!", workflow == "unknown") == (record["output"], "unread" in record["metadata"])
        assert [workflow] * (workflow is not None) == await gateway.application.service.get_all_workflows()


async def test_frames_that_are_none_of_cozes_pass(tmp_path: Path) -> None:
    """What cannot be read is no reason to end a connection or to lose the next round."""
    async with chats(tmp_path, ChatServer()) as (gateway, base):
        async with connect(f"{base}/v1/chat?workflow_id=7") as socket:
            for odd in (
                '{"event_type":"chat.update","data":"x"}',
                '{"event_type":"chat.update","data":{"chat_config":[1]}}',
                '{"event_type":"x","data":"\\"conversation.message.create\\""}',
                '"conversation.message.create"',
                'no JSON: "chat.update"',
            ):
                await socket.send(odd)
            await socket.send(b"\x00\xff")
            await say(socket, "word 😀")
            await heard(socket, "conversation.chat.completed")
        assert "word 😀!" == (await settled(gateway, "7", 1))[0]["output"]
