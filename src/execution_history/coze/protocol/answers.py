"""The request that answers the question of a recorded run (coze-protocol 1.4, 1.5, 1.9). Pure."""

from collections.abc import Mapping
from typing import Any

from execution_history.coze.protocol.messages import MODE_STREAM, RunRequest, is_chat_question, text
from execution_history.records.encoding import encode
from execution_history.records.json_text import read_json
from execution_history.records.metadata import INTERRUPT
from execution_history.records.origin import is_function


def open_question(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a run asks, as Coze describes it; ``None`` where it waits for no answer that can be sent."""
    return None if answering_request(record, "") is None else INTERRUPT.of(record)


def answering_request(record: Mapping[str, Any], answer: object) -> RunRequest | None:
    """Return the request that answers what a run asks; ``None`` where it waits for no answer.

    A workflow is resumed by the id of its question. A chat's question is answered by the next message of its
    conversation.

    Args:
        record: the run's record.
        answer: a text; any other value is sent as its JSON, as a question for several fields or files takes it.
    """
    question = INTERRUPT.of(record)
    if record["execute_status"] != "interrupted" or question is None or is_function(record):
        return None
    # What JSON cannot hold is sent in the form in which it is recorded.
    said = read_json(encode(answer if isinstance(answer, str) else encode(answer).decode()))
    workflow_id, conversation_id = record["workflow_id"], record["conversation_id"]
    if is_chat_question(question):
        return None if conversation_id is None else RunRequest(
            "chat",
            workflow_id,
            {"additional_messages": [{"role": "user", "type": "question", "content_type": "text", "content": said}]},
            record["bot_id"],
            text(question.get("app_id")),
            conversation_id,
            connector_uid=record["connector_uid"],
            resume_data=said,
        )  # fmt: skip
    event_id = text(question.get("event_id"))
    return None if event_id is None else RunRequest(
        "stream_resume" if record["run_mode"] == MODE_STREAM else "resume",
        workflow_id,
        conversation_id=conversation_id,
        event_id=event_id,
        resume_data=said,
        interrupt_type=question.get("type"),
    )  # fmt: skip
