"""The digest of a set of records: the same for the same records in any order, and another one for any others. Pure.

Of each record it has the workflow id, the execute id and the stored bytes, each behind its length, as SHA-256; these
numbers are added modulo 2^256, so that records can be added in any order and taken out again.
"""

from hashlib import sha256
from typing import Final

_MODULUS: Final = 1 << 256


class RecordDigest:
    """The digest of the records that were added, and their number (``count``) and bytes (``size``)."""

    def __init__(self) -> None:
        self.count = self.size = 0
        self._sum = 0

    def add(self, workflow_id: str, execute_id: str, body: bytes) -> None:
        """Add a record by its ids and its stored bytes."""
        content = sha256()
        for part in (workflow_id.encode(), execute_id.encode(), body):
            content.update(len(part).to_bytes(8))
            content.update(part)
        self._sum = (self._sum + int.from_bytes(content.digest())) % _MODULUS
        self.count += 1
        self.size += len(body)

    def hex(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        return f"{self._sum:064x}"

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is the digest of as many records with the same sum."""
        return isinstance(other, RecordDigest) and (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment] # it changes
