"""The JSON of chats, conversations and messages, as coze.cn writes them (protocol 2.5); pure."""

from execution_history.sandbox.bodies import usage_object
from execution_history.sandbox.bots import LOCAL_PLUGIN_INTERRUPT
from execution_history.sandbox.chats import ChatStatus, ChatTurn
from execution_history.sandbox.conversations import Conversation, Message
from execution_history.sandbox.executions import Interruption
from execution_history.sandbox.json_text import from_text
from execution_history.sandbox.steps import Usage
from execution_history.sandbox.workflows import WORKFLOWS, Workflow

_MOST_CALLED = 3


def bot_object(bot: Workflow) -> dict[str, object]:
    """Return what coze.cn shows of a bot; the first workflows are those that it may call."""
    called = [
        {"id": each.workflow_id, "name": each.name, "description": each.description, "icon_url": ""}
        for each in list(WORKFLOWS.values())[:_MOST_CALLED]
    ]
    return {
        "bot_id": bot.workflow_id,
        "name": bot.name,
        "description": bot.description,
        "icon_url": "",
        "version": "1",
        "bot_mode": 0,
        "workflow_info_list": called,
    }


def chat_object(turn: ChatTurn, status: ChatStatus) -> dict[str, object]:
    """Return a chat as it is in ``status``."""
    execution = turn.execution
    failure = execution.failure if status is ChatStatus.FAILED else None
    chat: dict[str, object] = {
        "id": turn.chat_id,
        "conversation_id": turn.conversation.conversation_id,
        "bot_id": turn.bot_id,
        "status": status.value,
        "section_id": turn.conversation.section_id,
        "created_at": turn.created_at,
        "last_error": {"code": failure.code if failure else 0, "msg": failure.message if failure else ""},
        "usage": usage_object((execution.usage if status is ChatStatus.COMPLETED else None) or Usage(0, 0)),
    }
    if turn.meta_data:
        chat["meta_data"] = turn.meta_data
    if status is ChatStatus.FAILED:
        chat["failed_at"] = execution.update_time
    elif status in {ChatStatus.COMPLETED, ChatStatus.REQUIRES_ACTION}:
        chat["completed_at"] = execution.update_time
    if status is ChatStatus.REQUIRES_ACTION and execution.interruption is not None:
        chat["required_action"] = required_action(execution.interruption)
    return chat


def required_action(interruption: Interruption) -> dict[str, object]:
    """Return what the caller has to do: run a local plugin, or answer in the conversation."""
    call: dict[str, object] = {"id": "", "type": "reply_message", "function": None, "require_info": None}
    if interruption.ask.kind == LOCAL_PLUGIN_INTERRUPT:
        call |= {"id": interruption.event_id, "type": "function", "function": from_text(interruption.ask.data)}
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}


def message_object(conversation: Conversation, message: Message) -> dict[str, object]:
    """Return a message of a conversation."""
    return {
        "id": message.message_id,
        "conversation_id": conversation.conversation_id,
        "bot_id": conversation.owner_id,
        "chat_id": message.chat_id,
        "section_id": message.section_id,
        "role": message.role,
        "type": message.kind,
        "content": message.content,
        "content_type": message.content_type,
        "meta_data": message.meta_data,
        "created_at": message.created_at,
        "updated_at": message.updated_at,
    }


def conversation_object(conversation: Conversation) -> dict[str, object]:
    """Return a conversation without its messages."""
    return {
        "id": conversation.conversation_id,
        "name": conversation.name,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "meta_data": conversation.meta_data,
        "creator_id": "0",
        "connector_id": conversation.connector_id,
        "last_section_id": conversation.section_id,
    }
