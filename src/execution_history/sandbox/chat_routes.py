"""The endpoints of coze.cn for bots, conversations and messages, which Coze Studio does not open to tokens."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from execution_history.sandbox.bodies import envelope
from execution_history.sandbox.bots import find_bot
from execution_history.sandbox.chat_bodies import bot_object, chat_object, conversation_object, message_object
from execution_history.sandbox.chat_requests import (
    ChangedMessage,
    ChatPlace,
    MessageList,
    NewConversation,
    NewName,
    read_bot_chat,
    read_tool_outputs,
)
from execution_history.sandbox.chats import Chats, ChatTurn
from execution_history.sandbox.conversations import Conversation, Message
from execution_history.sandbox.dialect import Dialect
from execution_history.sandbox.errors import not_found
from execution_history.sandbox.requests import MessageBody, read, read_page
from execution_history.sandbox.responses import EventStream, json_response, read_body
from execution_history.sandbox.step_queue import Outlet

_MOST_CONVERSATIONS = 50
_FEWEST_LISTED = 50


class ChatRoutes:
    """Chatting with bots: streamed, or begun here and asked after."""

    def __init__(self, chats: Chats, dialect: Dialect) -> None:
        self._chats = chats
        self._dialect = dialect

    def table(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/bots/{bot_id}", self.bot, methods=["GET"]),
            Route("/v1/bot/get_online_info", self.bot, methods=["GET"]),
            Route("/v3/chat", self.chat, methods=["POST"]),
            Route("/v3/chat/submit_tool_outputs", self.submit, methods=["POST"]),
            Route("/v3/chat/cancel", self.cancel, methods=["POST"]),
            Route("/v3/chat/retrieve", self.retrieve, methods=["GET", "POST"]),
            Route("/v3/chat/message/list", self.messages, methods=["GET"]),
        ]

    async def bot(self, request: Request) -> Response:
        """Describe a bot, and the workflows that it may call."""
        bot_id = request.path_params.get("bot_id") or request.query_params.get("bot_id", "")
        return _tell(request, data=bot_object(find_bot(bot_id)))

    async def chat(self, request: Request) -> Response:
        """Let a bot answer."""
        body = read_bot_chat(await read_body(request))
        conversation_id = request.query_params.get("conversation_id", "")
        turn, outlet = self._chats.with_bot(body, conversation_id, request.state.log_id)
        return self._answer(request, turn, outlet, is_streamed=body.is_streamed)

    async def submit(self, request: Request) -> Response:
        """Tell a bot what its local plugins returned."""
        turn = self._turn(request.query_params)
        outputs, is_streamed = read_tool_outputs(await read_body(request))
        return self._answer(request, turn, self._chats.submit(turn, outputs), is_streamed=is_streamed)

    async def cancel(self, request: Request) -> Response:
        """Cancel a chat that goes on."""
        place = read(ChatPlace, await read_body(request))
        turn = self._chats.find(place.conversation_id, place.chat_id)
        self._chats.cancel(turn)
        return _tell(request, data=chat_object(turn, turn.status()))

    async def retrieve(self, request: Request) -> Response:
        """Tell what has become of a chat."""
        turn = self._turn(request.query_params)
        return _tell(request, data=chat_object(turn, turn.status()))

    async def messages(self, request: Request) -> Response:
        """List what the bot answered in a chat."""
        turn = self._turn(request.query_params)
        return _tell(request, data=[message_object(turn.conversation, message) for message in turn.messages])

    def _turn(self, query: Mapping[str, str]) -> ChatTurn:
        return self._chats.find(query.get("conversation_id", ""), query.get("chat_id", ""))

    def _answer(self, request: Request, turn: ChatTurn, outlet: Outlet, *, is_streamed: bool) -> Response:
        if is_streamed:
            return EventStream(outlet, self._dialect.chat(turn), self._dialect.stream_type, turn.execution.open_ms())
        outlet.abandon()
        return _tell(request, data=chat_object(turn, turn.status()))


class ConversationRoutes:
    """Conversations and their messages."""

    def __init__(self, chats: Chats) -> None:
        self._known = chats.conversations

    def table(self) -> list[Route]:
        """Return the routes."""
        message = "/v1/conversation/message"
        return [
            Route("/v1/conversation/create", self.create, methods=["POST"]),
            Route("/v1/conversation/retrieve", self.retrieve, methods=["GET"]),
            Route("/v1/conversations", self.conversations, methods=["GET"]),
            Route("/v1/conversations/{conversation_id}", self.rename, methods=["PUT"]),
            Route("/v1/conversations/{conversation_id}", self.delete, methods=["DELETE"]),
            Route("/v1/conversations/{conversation_id}/clear", self.clear, methods=["POST"]),
            Route(f"{message}/create", self.create_message, methods=["POST"]),
            Route(f"{message}/list", self.messages, methods=["POST"]),
            Route(f"{message}/retrieve", self.retrieve_message, methods=["GET"]),
            Route(f"{message}/modify", self.change_message, methods=["POST"]),
            Route(f"{message}/delete", self.delete_message, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Begin a conversation, with its first messages."""
        body = read(NewConversation, await read_body(request))
        conversation = self._known.create(body.bot_id or "", body.name or "")
        conversation.meta_data = body.meta_data or {}
        conversation.connector_id = body.connector_id or "1024"
        for message in body.messages or ():
            self._known.write(conversation, message)
        return _tell(request, data=conversation_object(conversation))

    async def retrieve(self, request: Request) -> Response:
        """Describe a conversation."""
        return _tell(request, data=conversation_object(self._find(request)))

    async def conversations(self, request: Request) -> Response:
        """List the conversations of a bot, the newest first."""
        page_num, page_size = read_page(request.query_params, most=_MOST_CONVERSATIONS)
        everything = list(self._known.of(request.query_params.get("bot_id", "")))
        end = page_num * page_size
        page = [conversation_object(entry) for entry in everything[end - page_size : end]]
        return _tell(request, data={"conversations": page, "has_more": len(everything) > end})

    async def rename(self, request: Request) -> Response:
        """Give a conversation another name."""
        conversation = self._find(request)
        body = read(NewName, await read_body(request))
        conversation.name = body.name or ""
        self._known.touch(conversation)
        return _tell(request, data=conversation_object(conversation))

    async def delete(self, request: Request) -> Response:
        """Delete a conversation."""
        self._known.delete(self._find(request))
        return _tell(request)

    async def clear(self, request: Request) -> Response:
        """Begin a new section of a conversation."""
        conversation = self._find(request)
        self._known.clear(conversation)
        section = {"id": conversation.section_id, "conversation_id": conversation.conversation_id}
        return _tell(request, data=section)

    async def create_message(self, request: Request) -> Response:
        """Add a message to a conversation."""
        conversation = self._find(request)
        message = self._known.write(conversation, read(MessageBody, await read_body(request)))
        return _tell(request, data=message_object(conversation, message))

    async def messages(self, request: Request) -> Response:
        """List the messages of a conversation, the newest first unless the caller wants the other order."""
        conversation = self._find(request)
        asked = read(MessageList, await read_body(request) or b"{}")
        found = [message for message in conversation.messages.values() if asked.chat_id in {None, "", message.chat_id}]
        if asked.order != "asc":
            found.reverse()
        ids = [message.message_id for message in found]
        first = ids.index(asked.after_id) + 1 if asked.after_id in ids else 0
        end = ids.index(asked.before_id) if asked.before_id in ids else len(ids)
        limit = asked.limit or _FEWEST_LISTED
        # Before a message stand the nearest ones, not the farthest.
        first = max(first, end - limit) if asked.before_id in ids else first
        page = found[first : min(end, first + limit)]
        return _tell(
            request,
            data=[message_object(conversation, message) for message in page],
            first_id=page[0].message_id if page else "",
            last_id=page[-1].message_id if page else "",
            has_more=first > 0 if asked.before_id in ids else first + limit < end,
        )

    async def retrieve_message(self, request: Request) -> Response:
        """Give one message."""
        conversation = self._find(request)
        return _tell(request, data=message_object(conversation, _message_of(conversation, request)))

    async def change_message(self, request: Request) -> Response:
        """Change what a message says; the answer has it as ``message``, not as ``data``."""
        conversation = self._find(request)
        message = _message_of(conversation, request)
        body = read(ChangedMessage, await read_body(request))
        message.content = message.content if body.content is None else body.content
        message.content_type = body.content_type or message.content_type
        message.meta_data = message.meta_data if body.meta_data is None else body.meta_data
        self._known.add(conversation, message)
        message.updated_at = conversation.updated_at
        return _tell(request, message=message_object(conversation, message))

    async def delete_message(self, request: Request) -> Response:
        """Delete one message."""
        conversation = self._find(request)
        message = _message_of(conversation, request)
        del conversation.messages[message.message_id]
        self._known.touch(conversation)
        return _tell(request, data=message_object(conversation, message))

    def _find(self, request: Request) -> Conversation:
        named = request.path_params.get("conversation_id") or request.query_params.get("conversation_id", "")
        conversation = self._known.get(named)
        if conversation is None:
            raise not_found("There is no such conversation; the sandbox remembers the newest ones only.")
        return conversation


def _message_of(conversation: Conversation, request: Request) -> Message:
    message = conversation.messages.get(request.query_params.get("message_id", ""))
    if message is None:
        raise not_found("This conversation has no such message.")
    return message


def _tell(request: Request, **fields: object) -> Response:
    return json_response(envelope(request.state.log_id, fields))
