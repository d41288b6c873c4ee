"""What the newest failure of a group says, where the title of the group has placeholders for what varies."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Final

from execution_history.presentation.formatting import one_line
from execution_history.query.model import FailureGroup, RecordKey, Statistics
from execution_history.records.attributes import LONGEST_TITLE, normalised_message
from execution_history.records.partial import outline_of
from execution_history.stores.protocol import FoundRecords

_READ_AT_ONCE: Final = 10
"""Records may be large, and only one text of each is needed."""


async def with_examples(
    found: Statistics, get_many: Callable[[Collection[RecordKey]], Awaitable[FoundRecords]]
) -> Statistics:
    """Return *found* with the message of the example of each group whose title stands for several messages.

    *get_many* returns the records of some keys.

    Raises:
        StoreError: the store could not be read.
    """
    keys = [RecordKey(group.workflow_id, group.execute_id) for group in found.failures if "<" in group.title]
    messages: dict[RecordKey, str] = {}
    for start in range(0, len(keys), _READ_AT_ONCE):
        records = await get_many(keys[start : start + _READ_AT_ONCE])
        for key, body in records.documents.items():
            message = outline_of(body)["error_message"]
            if isinstance(message, str):
                messages[key] = message
    return replace(found, failures=[_with_example(group, messages) for group in found.failures]) if messages else found


def _with_example(group: FailureGroup, messages: dict[RecordKey, str]) -> FailureGroup:
    message = messages.get(RecordKey(group.workflow_id, group.execute_id))
    # The run may have changed since it was counted.
    if message is None or normalised_message(message) != group.title:
        return group
    example = one_line(message, LONGEST_TITLE)
    return group if example == group.title else replace(group, example=example)
