"""A stored record in the place of the version it was made of: how contents are pruned and redacted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from execution_history.records.partial import members_of
from execution_history.records.price_book import Costs
from execution_history.records.record import Document, RecordChange


@dataclass(slots=True)
class Replacement(RecordChange):
    """Puts ``made`` in the place of the record as long as that is the version of ``expected``, its ``update_time``.

    This is for what removes something from a record and changes neither its ids nor its status; everything else is a
    change that names what it changes.
    """

    made: Document | None = field(default=None)
    expected: int = 0

    @classmethod
    def by(cls, made: Document, expected: int) -> "Replacement":
        """Return the change that stores *made* where the record's ``update_time`` is *expected*."""
        return cls(made.update_time, None, {}, {}, made=made, expected=expected)

    def size(self) -> int:
        """Return how many bytes the change brings."""
        return 0 if self.made is None else len(self.made.body)

    def apply(self, body: bytes, parts: Mapping[str, Any] | None = None, costs: Costs | None = None) -> Document | None:  # noqa: ARG002
        """Return the document that replaces the stored one, or ``None`` where that is another version, or status."""
        record = members_of(body) if parts is None else parts
        made = self.made
        if made is None or _value(record["update_time"]) != self.expected:
            return None
        return made if _value(record["execute_status"]) == made.status else None


def _value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, (int, str)) else orjson.loads(bytes(memoryview(value)))
