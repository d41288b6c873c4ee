"""The chats of a sandbox: each a turn in a conversation, played by an execution of a workflow or of a bot."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from execution_history.sandbox.bots import find_bot
from execution_history.sandbox.chat_requests import BotChatRequest
from execution_history.sandbox.conversations import Conversation, Conversations, Message
from execution_history.sandbox.engine import Engine
from execution_history.sandbox.errors import CHAT_IN_PROGRESS, CHAT_OVER, Refusal, RefusedError, bad_request, not_found
from execution_history.sandbox.executions import ExecuteStatus, Execution, Kept, RunMode
from execution_history.sandbox.ids import node_execute_uuid
from execution_history.sandbox.requests import ChatRequest
from execution_history.sandbox.step_queue import Outlet
from execution_history.sandbox.steps import Packet

SILENT_IN_CHATS = frozenset({"Start", "Plugin"})
"""The node types that say nothing to the user of a chatflow."""


class ChatStatus(StrEnum):
    """The statuses of a chat (protocol 2.5)."""

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    REQUIRES_ACTION = "requires_action"
    CANCELED = "canceled"


@dataclass(slots=True)
class ChatTurn:
    """One chat: its ids, when it began in seconds since the epoch, and the execution it plays.

    ``messages`` are the answers so far, each whole; ``remember`` takes those that become part of the conversation.
    """

    chat_id: str
    conversation: Conversation
    bot_id: str
    created_at: int
    execution: Execution
    next_id: Callable[[], str]
    is_bot: bool = False
    is_canceled: bool = False
    meta_data: dict[str, str] = field(default_factory=dict)
    remember: Callable[[Message], None] | None = None
    messages: list[Message] = field(default_factory=list)
    _message_ids: dict[str, str] = field(default_factory=dict)
    _unfinished: dict[str, Kept] = field(default_factory=dict)

    def message_id(self, packet: Packet) -> str:
        """Return the id of the message that ``packet`` belongs to: each execution of a node has one."""
        return self._message_ids.setdefault(node_execute_uuid(self.execution.execute_id, packet.node), self.next_id())

    def take(self, packet: Packet, now: int) -> None:
        """Let the execution have said ``packet`` at second ``now``; a whole message is kept."""
        if packet.node.node_type in SILENT_IN_CHATS:
            return
        message_id = self.message_id(packet)
        text = self._unfinished.setdefault(message_id, Kept())
        text.add(packet.content)
        if not packet.is_last:
            return
        del self._unfinished[message_id]
        section_id = self.conversation.section_id
        message = Message(message_id, "assistant", "answer", text.text(), "text", now, now, section_id)
        message.chat_id = self.chat_id
        self.messages.append(message)
        if self.remember is not None:
            self.remember(message)

    def status(self) -> ChatStatus:
        """Return what has become of the chat."""
        if self.execution.interruption is not None:
            return ChatStatus.REQUIRES_ACTION
        match self.execution.status:
            case ExecuteStatus.SUCCESS:
                return ChatStatus.COMPLETED
            case ExecuteStatus.FAIL:
                return ChatStatus.FAILED
        return ChatStatus.CANCELED if self.is_canceled else ChatStatus.IN_PROGRESS


class Chats:
    """The chats with the workflows and the bots of one sandbox, and their conversations."""

    def __init__(self, engine: Engine) -> None:
        self.conversations = Conversations(engine.ids.next_id, engine.second)
        self._engine = engine
        self._turns: OrderedDict[str, ChatTurn] = OrderedDict()

    def with_workflow(self, request: ChatRequest, log_id: str) -> tuple[ChatTurn, Outlet]:
        """Answer the question that the conversation is at, or else start a run in it (protocol 1.9).

        Raises:
            RefusedError: as for ``Engine.start``.

        """
        waiting = self._waiting(request)
        if waiting is None:
            execution, outlet = self._engine.start(request.run, RunMode.STREAM, log_id)
        else:
            execution, outlet = waiting, self._engine.answer(waiting, request.said)
        execution.is_chat = True
        conversation = (
            self.conversations.enter(request.conversation_id, request.owner_id)
            if request.conversation_id
            else self.conversations.named(request.owner_id, request.conversation_name)
        )
        return self._begin(conversation, execution, request.owner_id), outlet

    def with_bot(self, request: BotChatRequest, conversation_id: str, log_id: str) -> tuple[ChatTurn, Outlet]:
        """Let a bot answer what the user says.

        Raises:
            RefusedError: 4200 when there is no such bot, 4016 while another chat goes on in that conversation, 4000
                when a setting cannot be used.

        """
        bot = find_bot(request.bot_id)
        conversation = self.conversations.get(conversation_id)
        if conversation is not None and self._is_busy(conversation):
            raise RefusedError(Refusal(CHAT_IN_PROGRESS, "The conversation is occupied by another chat."))
        execution, outlet = self._engine.begin(bot, request.run, RunMode.STREAM, log_id)
        execution.is_chat = True
        conversation = (
            self.conversations.enter(conversation_id, bot.workflow_id)
            if conversation_id
            else self.conversations.create(bot.workflow_id)
        )
        turn = self._begin(conversation, execution, bot.workflow_id, is_bot=True)
        turn.meta_data = dict(request.meta_data)
        if request.is_saved:
            turn.remember = lambda message: self.conversations.add(conversation, message)
            for said in request.messages:
                self.conversations.write(conversation, said, turn.chat_id)
        return turn, outlet

    def submit(self, turn: ChatTurn, outputs: str) -> Outlet:
        """Give a bot what its local plugins returned, a JSON text, and let it go on.

        Raises:
            RefusedError: 4000 when the chat does not wait for that.

        """
        if not turn.is_bot or turn.execution.interruption is None:
            raise bad_request("the chat is not waiting for outputs of tools.")
        return self._engine.answer(turn.execution, outputs)

    def cancel(self, turn: ChatTurn) -> None:
        """Mark a chat as canceled; what it streams goes on.

        Raises:
            RefusedError: 4104 when it is over, or waits.

        """
        if turn.status() is not ChatStatus.IN_PROGRESS:
            raise RefusedError(
                Refusal(CHAT_OVER, "The current conversation cannot be canceled: no chat goes on in it.")
            )
        turn.is_canceled = True

    def find(self, conversation_id: str, chat_id: str) -> ChatTurn:
        """Return that chat of that conversation.

        Raises:
            RefusedError: 4200 when there is none, or it is forgotten.

        """
        turn = self._turns.get(chat_id)
        if turn is None or turn.conversation.conversation_id != conversation_id:
            raise not_found(
                "This conversation has no such chat: the sandbox knows the newest ones since it was started."
            )
        return turn

    def _waiting(self, request: ChatRequest) -> Execution | None:
        conversation = self.conversations.get(request.conversation_id) or self.conversations.find(
            request.owner_id, request.conversation_name
        )
        if conversation is None or conversation.execute_id is None:
            return None
        execution = self._engine.known(request.run.workflow_id, conversation.execute_id)
        return execution if execution is not None and execution.interruption is not None else None

    def _is_busy(self, conversation: Conversation) -> bool:
        turn = self._turns.get(conversation.chat_id)
        return turn is not None and turn.status() is ChatStatus.IN_PROGRESS

    def _begin(
        self, conversation: Conversation, execution: Execution, owner_id: str, *, is_bot: bool = False
    ) -> ChatTurn:
        ids = self._engine.ids
        turn = ChatTurn(
            ids.next_id(), conversation, owner_id, self._engine.second(), execution, ids.next_id, is_bot=is_bot
        )
        execution.on_packet = turn.take
        conversation.execute_id = execution.execute_id
        conversation.chat_id = turn.chat_id
        self.conversations.touch(conversation)
        self._turns[turn.chat_id] = turn
        self._forget()
        return turn

    def _forget(self) -> None:
        """Forget the oldest chats whose executions are forgotten: number and size of those have bounds."""
        while self._turns:
            execution = next(iter(self._turns.values())).execution
            if self._engine.known(execution.workflow_id, execution.execute_id) is not None:
                return
            self._turns.popitem(last=False)
