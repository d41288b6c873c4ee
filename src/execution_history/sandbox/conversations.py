"""Conversations and their messages: what is said in them, and which execution each is at (protocol 1.9)."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from execution_history.sandbox.requests import MessageBody


@dataclass(slots=True)
class Message:
    """One message of a conversation; times are in seconds since the epoch, ``chat_id`` is empty outside of chats."""

    message_id: str
    role: str
    kind: str
    content: str
    content_type: str
    created_at: int
    updated_at: int
    section_id: str
    meta_data: dict[str, str] = field(default_factory=dict)
    chat_id: str = ""

    def weight(self) -> int:
        """Return about how many bytes of memory this message holds."""
        return 400 + 4 * len(self.content)


@dataclass(slots=True)
class Conversation:
    """One conversation of a bot or an app; ``execute_id`` and ``chat_id`` are what it came to last."""

    conversation_id: str
    section_id: str
    created_at: int
    updated_at: int
    owner_id: str = ""
    name: str = ""
    meta_data: dict[str, str] = field(default_factory=dict)
    connector_id: str = ""
    execute_id: str | None = None
    chat_id: str = ""
    messages: dict[str, Message] = field(default_factory=dict)

    def weight(self) -> int:
        """Return about how many bytes of memory this conversation holds."""
        return 1_000 + sum(message.weight() for message in self.messages.values())


class Conversations:
    """The newest conversations: at most ``most`` of them, and at most about ``most_bytes`` in all.

    ``next_id`` makes the ids of new ones, ``second`` returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        next_id: Callable[[], str],
        second: Callable[[], int],
        most: int = 2_000,
        most_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._next_id = next_id
        self._second = second
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._known: OrderedDict[str, tuple[Conversation, int]] = OrderedDict()

    def named(self, owner_id: str, name: str) -> Conversation:
        """Return the conversation of that name of a bot or app, a new one where there is none or no name."""
        if not name:
            return self.create(owner_id)
        return self.find(owner_id, name) or self.renamed(owner_id, name)

    def find(self, owner_id: str, name: str) -> Conversation | None:
        """Return the conversation of that name of a bot or app, or ``None`` if there is none."""
        return self.get(self._named.get((owner_id, name), ""))

    def renamed(self, owner_id: str, name: str) -> Conversation:
        """Return a new conversation that takes over the name of an earlier one."""
        conversation = self.create(owner_id, name)
        self._named[owner_id, name] = conversation.conversation_id
        if len(self._named) > self._most:
            self._named.popitem(last=False)
        return conversation

    def create(self, owner_id: str = "", name: str = "") -> Conversation:
        """Return a new conversation, which no chat finds by its name."""
        return self._begin(self._next_id(), owner_id, name)

    def enter(self, conversation_id: str, owner_id: str) -> Conversation:
        """Return the conversation with that id, a new one of that bot or app if it is not known."""
        return self.get(conversation_id) or self._begin(conversation_id, owner_id, "")

    def get(self, conversation_id: str) -> Conversation | None:
        """Return the conversation with that id, or ``None`` if it never was, is deleted or forgotten."""
        conversation, _ = self._known.get(conversation_id, (None, 0))
        return conversation

    def of(self, owner_id: str) -> Iterator[Conversation]:
        """Yield the conversations of a bot or app, the one that was used last first."""
        for conversation, _ in reversed(self._known.values()):
            if conversation.owner_id == owner_id:
                yield conversation

    def write(self, conversation: Conversation, body: MessageBody, chat_id: str = "") -> Message:
        """Let a conversation have a new message, and return it."""
        second = self._second()
        kind = body.type or ("question" if body.role == "user" else "answer")
        message = Message(
            self._next_id(),
            body.role,
            kind,
            body.content,
            body.content_type or "text",
            second,
            second,
            conversation.section_id,
            dict(body.meta_data or {}),
            chat_id,
        )
        self.add(conversation, message)
        return message

    def add(self, conversation: Conversation, message: Message) -> None:
        """Let a conversation have a message, or one of its messages another text."""
        conversation.messages[message.message_id] = message
        self.touch(conversation)

    def touch(self, conversation: Conversation) -> None:
        """Let a conversation be the one that was used last; forget the oldest when all are too much."""
        _, before = self._known.get(conversation.conversation_id, (None, 0))
        weight = conversation.weight()
        conversation.updated_at = self._second()
        self._known[conversation.conversation_id] = (conversation, weight)
        self._known.move_to_end(conversation.conversation_id)
        self._bytes += weight - before
        while len(self._known) > self._most or (self._bytes > self._most_bytes and len(self._known) > 1):
            _, (_, forgotten) = self._known.popitem(last=False)
            self._bytes -= forgotten

    def clear(self, conversation: Conversation) -> None:
        """Begin a new section of a conversation: its messages stay, but no chat sees them any more."""
        conversation.section_id = self._next_id()
        self.touch(conversation)

    def delete(self, conversation: Conversation) -> None:
        """Forget a conversation and its messages."""
        _, weight = self._known.pop(conversation.conversation_id)
        self._bytes -= weight

    def _begin(self, conversation_id: str, owner_id: str, name: str) -> Conversation:
        second = self._second()
        conversation = Conversation(conversation_id, conversation_id, second, second, owner_id, name)
        self.touch(conversation)
        return conversation
