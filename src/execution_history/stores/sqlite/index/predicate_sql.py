"""From a filter to the conditions of an SQL statement on ``facets f``: literals of ours, and values for their marks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from execution_history.query.model import RecordFilter
from execution_history.stores.sqlite.index.connections import rows, statement
from execution_history.stores.sqlite.index.indexer import fingerprint_number
from execution_history.stores.sqlite.index.sql_fragment import Fragment
from execution_history.stores.status_numbers import STATUS_NUMBERS

_LARGEST: Final = 2**63 - 1
_HAS_TAG: Final = "EXISTS (SELECT 1 FROM tags x WHERE x.tag = ? AND x.create_time = f.create_time AND x.seq = f.seq)"
_FIRST_SURROGATE, _AFTER_SURROGATES, _LAST_CHARACTER = 0xD800, 0xE000, 0x10FFFF


@dataclass(frozen=True, slots=True)
class Among:
    """A column that has to be one of some values; no values: nothing matches."""

    name: str
    column: str
    values: tuple[int | str, ...]

    def fragment(self) -> Fragment:
        """The condition."""
        if not self.values:
            return Fragment("0")
        if len(self.values) == 1:
            return Fragment(f"f.{self.column} = ?", self.values)
        return Fragment(f"f.{self.column} IN ({', '.join('?' * len(self.values))})", self.values)


@dataclass(frozen=True, slots=True)
class Within:
    """A column that has to be in a range, both ends included."""

    name: str
    column: str
    least: int | str | None
    most: int | str | None

    def fragment(self) -> Fragment:
        """The condition."""
        pieces = []
        values: list[int | str] = []
        for operator, value in ((">=", self.least), ("<=", self.most)):
            if value is not None:
                pieces.append(f"f.{self.column} {operator} ?")
                values.append(value)
        return Fragment(" AND ".join(pieces), tuple(values))


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag that the record has to have, by its number."""

    name: str
    tag: int

    def fragment(self) -> Fragment:
        """The condition."""
        return Fragment(_HAS_TAG, (self.tag,))


@dataclass(frozen=True, slots=True)
class Other:
    """Any other condition."""

    name: str
    sql: str
    values: tuple[int | str, ...] = ()

    def fragment(self) -> Fragment:
        """The condition."""
        return Fragment(self.sql, self.values)


Condition = Among | Within | Tagged | Other


def conditions_of(index: apsw.Connection, wanted: RecordFilter) -> list[Condition]:
    """The conditions of *wanted*, but for its text and for what stands in documents."""
    found: list[Condition] = []
    for name, column, texts in (
        ("workflow", "workflow", wanted.workflow_ids),
        ("bot", "bot", wanted.bot_ids),
        ("account", "account", wanted.accounts),
        ("caller", "caller", wanted.callers),
        ("error code", "error_code", wanted.error_codes),
    ):
        if texts:
            found.append(Among(name, column, _numbers(index, texts)))
    for name, column, values in _plain_values(wanted):
        if values:
            found.append(Among(name, column, tuple(dict.fromkeys(values))))
    tags = _numbers(index, wanted.tags)
    found += [Tagged("tag", tag) for tag in tags]
    if len(tags) < len(set(wanted.tags)):
        found.append(Among("tag", "seq", ()))
    found += _ranges(wanted)
    if wanted.failed_nodes:
        found.append(Among("status", "status", (STATUS_NUMBERS["failed"],)))
    if wanted.has_output is not None:
        found.append(Other("has output", f"f.has_output = {int(wanted.has_output)}"))
    if wanted.pinned is not None:
        found.append(Other("pinned", f"f.pinned = {int(wanted.pinned)}"))
    return found


def _plain_values(wanted: RecordFilter) -> tuple[tuple[str, str, Sequence[int | str]], ...]:
    fingerprints = [fingerprint_number(each) for each in wanted.fingerprints]
    known = tuple(number for number in fingerprints if number is not None)
    return (
        ("status", "status", [STATUS_NUMBERS[status] for status in wanted.statuses]),
        ("mode", "run_mode", [_clamped(mode) for mode in wanted.run_modes]),
        ("conversation", "conversation", wanted.conversation_ids),
        ("upstream id", "upstream", wanted.upstream_ids),
        ("parent", "parent", wanted.parents),
        # A text that is no fingerprint is none that a record has: neither is the empty text a number.
        ("fingerprint", "fingerprint", known or tuple("" for _ in wanted.fingerprints[:1])),
    )


def _ranges(wanted: RecordFilter) -> list[Condition]:
    before = None if wanted.created_before is None else wanted.created_before - 1
    ranges: list[Condition] = [
        Within(name, column, _clamped_or_none(least), _clamped_or_none(most))
        for name, column, least, most in (
            ("time", "create_time", wanted.created_from, before),
            ("duration", "duration", wanted.duration_from, wanted.duration_to),
            ("tokens", "tokens", wanted.tokens_from, wanted.tokens_to),
            ("rating", "rating", wanted.rating_from, wanted.rating_to),
        )
        if least is not None or most is not None
    ]
    if wanted.execute_id_prefix:
        ranges.append(_prefix(wanted.execute_id_prefix))
    return ranges


def _prefix(prefix: str) -> Condition:
    """The texts that begin with *prefix*, as a range in the order of code points, which is that of UTF-8."""
    for length in range(len(prefix), 0, -1):
        last = ord(prefix[length - 1])
        if last < _LAST_CHARACTER:
            following = _AFTER_SURROGATES if last + 1 == _FIRST_SURROGATE else last + 1
            end = prefix[: length - 1] + chr(following)
            return Other("execute id", "f.execute_id >= ? AND f.execute_id < ?", (prefix, end))
    return Other("execute id", "f.execute_id >= ?", (prefix,))


def _numbers(index: apsw.Connection, texts: Sequence[str]) -> tuple[int, ...]:
    """The numbers of those of *texts* that some record has."""
    found: list[tuple[Any, ...]] = []
    for text in dict.fromkeys(texts):
        found += rows(index, statement("text_number"), (text,))
    return tuple(int(row[0]) for row in found)


def _clamped(number: int) -> int:
    return max(-_LARGEST, min(_LARGEST, number))


def _clamped_or_none(number: int | None) -> int | None:
    return None if number is None else _clamped(number)
