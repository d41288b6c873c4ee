"""Records that an outcome names: all are counted, and the first of them known by their ids."""

from typing import Any, Final

from execution_history.query.model import RecordKey

MOST_NAMED: Final = 1_000
"""The number of things of one kind that an outcome names; further ones are only counted."""


class NamedRecords:
    """Records of which the first thousand are known by their ids; all are counted."""

    def __init__(self) -> None:
        self.count = 0
        self.keys: list[RecordKey] = []

    def add(self, *keys: RecordKey) -> None:
        """Add records."""
        self.count += len(keys)
        self.keys += keys[: MOST_NAMED - len(self.keys)]

    def to_json(self) -> dict[str, Any]:
        """Return ``{"count", "runs"}``."""
        return {"count": self.count, "runs": [key._asdict() for key in self.keys]}
