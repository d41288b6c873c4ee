"""The questions that chats wait with: which record the next message of a conversation answers.

A chat is answered by the next chat request of its conversation, which names nothing else of the run (coze-protocol
1.9). The registry of the store has the record's id under the workflow and the conversation: every process reads it
there at once, by its key, and of several answers one gets it.
"""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import orjson

from execution_history.errors import StoreError
from execution_history.recording.attempts import attempt
from execution_history.recording.outbox import PATIENCE_SECONDS
from execution_history.recording.stored_records import StoredRecords
from execution_history.stores.protocol import HistoryStore

_log = logging.getLogger("execution_history.recording")
_KIND: Final = "chat_question"
_Result = TypeVar("_Result")

IsQuestion = Callable[[Mapping[str, Any]], bool]


class ChatQuestions:
    """Finds the record of the question that a message answers. A store in trouble is not waited for.

    Args:
        store: has the registry.
        records: the records there.
    """

    def __init__(self, store: HistoryStore, records: StoredRecords) -> None:
        self._store = store
        self._records = records

    async def put(self, workflow_id: str, conversation_id: str, execute_id: str) -> None:
        """Note that a record waits for the next message of a conversation."""
        await self._tried(self._put(_key(workflow_id, conversation_id), orjson.dumps(execute_id)))

    async def take(self, workflow_id: str, conversation_id: str, is_question: IsQuestion) -> dict[str, Any] | None:
        """Return the record that waits for this message, once: whoever comes second gets ``None``.

        A caller who is cancelled leaves the question open.

        Args:
            workflow_id: the workflow.
            conversation_id: the conversation.
            is_question: returns whether a record still asks what a message answers.
        """
        dropped: list[bytes] = []
        record = None
        try:
            record = await self._tried(self._take(workflow_id, conversation_id, is_question, dropped))
        finally:
            if record is None and dropped:
                await self._tried(self._put(_key(workflow_id, conversation_id), dropped[0], expected=0))
        return record

    async def _put(self, key: str, value: bytes, expected: int | None = None) -> None:
        await self._store.open()
        await self._store.put_entry(_KIND, key, value, expected=expected)

    async def _take(
        self, workflow_id: str, conversation_id: str, is_question: IsQuestion, dropped: list[bytes]
    ) -> dict[str, Any] | None:
        key = _key(workflow_id, conversation_id)
        await self._store.open()
        entry = await self._store.entry(_KIND, key)
        if entry is None:
            return None
        record = await self._records.get(workflow_id, orjson.loads(entry.value))
        dropped.append(entry.value)
        is_first = await self._store.drop_entry(_KIND, key, expected=entry.version)
        if is_first and record is not None and record["execute_status"] == "interrupted" and is_question(record):
            return record
        dropped.clear()
        return None

    async def _tried(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        result, error = await attempt(work, PATIENCE_SECONDS)
        if error is not None:
            is_promised = isinstance(error, StoreError | TimeoutError)
            _log.warning(
                "The question of a chat and its answer become two records: %s",
                error,
                exc_info=None if is_promised else error,
            )
        return result


def _key(workflow_id: str, conversation_id: str) -> str:
    return orjson.dumps([workflow_id, conversation_id]).decode()
