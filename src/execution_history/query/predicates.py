"""Engine-neutral predicates on records: one store matches with them, others render them. Pure.

A record without an attribute fulfils no predicate on it: ``None`` is in no range and among no values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from execution_history.query.path_conditions import PathCondition, holds
from execution_history.records.attributes import RunAttributes
from execution_history.records.timeline import nodes_of

if TYPE_CHECKING:
    from execution_history.query.text import Search

Record = Mapping[str, Any]


class Attribute(NamedTuple):
    """An attribute that records are found by.

    Attributes:
        title: its name in explanations.
        read: returns it from a record and its facts: a number, text or flag, ``None`` where the record has none, or a
            tuple where it may have several.
        column: its index column.
        stored_as: its form in that column: as it is, as the number of a text that many records share, as the number of
            a status, or as the 64 bits of a fingerprint; ``several``: the column is a table, as a record may have
            several such texts.
    """

    title: str
    read: Callable[[Record, RunAttributes], Any]
    column: str
    stored_as: Literal["itself", "shared text", "several", "status", "fingerprint"] = "itself"


@dataclass(frozen=True, slots=True)
class In:
    """The attribute, or one of its values where it has several, is one of *values*."""

    attribute: Attribute
    values: tuple[Any, ...]

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        found = self.attribute.read(record, facts)
        return any(each in self.values for each in (found if isinstance(found, tuple) else (found,)))


@dataclass(frozen=True, slots=True)
class Range:
    """The attribute is a number from *least* to *most*, both included; ``None`` leaves that end open."""

    attribute: Attribute
    least: int | None = None
    most: int | None = None

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        found = self.attribute.read(record, facts)
        if found is None:
            return False
        return (self.least is None or found >= self.least) and (self.most is None or found <= self.most)

    def within(self, other: "Range") -> "Range":
        """Return the intersection of this range and *other*, of the same attribute."""
        least = max((each for each in (self.least, other.least) if each is not None), default=None)
        return Range(self.attribute, least, min((e for e in (self.most, other.most) if e is not None), default=None))


@dataclass(frozen=True, slots=True)
class Exists:
    """The record has the attribute, or has it not."""

    attribute: Attribute
    is_there: bool

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        return (self.attribute.read(record, facts) is not None) is self.is_there


@dataclass(frozen=True, slots=True)
class HasTag:
    """The record has this tag."""

    tag: str

    def holds(self, _record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        return self.tag in facts.tags


@dataclass(frozen=True, slots=True)
class HasNode:
    """The run has a node with this id, name or title; with *least_ms* one that took so many milliseconds at least.

    A node takes the time from its first to its last message.
    """

    node: str
    least_ms: int | None = None

    def holds(self, record: Record, _facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        return any(
            self.node in {each.node_id or each.name, each.label}
            and (self.least_ms is None or (each.known_ms is not None and each.known_ms >= self.least_ms))
            for each in nodes_of(record["node_execute_status"])
        )


@dataclass(frozen=True, slots=True)
class Prefix:
    """The attribute is text that begins with *prefix*."""

    attribute: Attribute
    prefix: str

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        found = self.attribute.read(record, facts)
        return isinstance(found, str) and found.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class Suffix:
    """The attribute is text that ends with *suffix*."""

    attribute: Attribute
    suffix: str

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        found = self.attribute.read(record, facts)
        return isinstance(found, str) and found.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A comparison of one value in the document holds."""

    condition: PathCondition

    def holds(self, record: Record, _facts: RunAttributes | None = None) -> bool:
        """Return whether a record fulfils this; its facts are not needed."""
        return holds(self.condition, record)


@dataclass(frozen=True, slots=True)
class Text:
    """The record's texts match the search."""

    search: "Search"

    def holds(self, record: Record, _facts: RunAttributes | None = None) -> bool:
        """Return whether a record fulfils this; its facts are not needed."""
        from execution_history.query.text import matches  # noqa: PLC0415 - most queries search no text

        return matches(record, self.search)


@dataclass(frozen=True, slots=True)
class And:
    """All of *parts* hold."""

    parts: tuple["Predicate", ...] = ()

    def holds(self, record: Record, facts: RunAttributes) -> bool:
        """Return whether a record with its facts fulfils this."""
        return all(part.holds(record, facts) for part in self.parts)

    def of_documents(self) -> "And":
        """Return the parts that no index column can decide, except texts."""
        return And(tuple(part for part in self.parts if isinstance(part, JsonPath)))


Predicate = In | Range | Exists | HasTag | HasNode | Prefix | Suffix | JsonPath | Text | And


def all_of(predicates: Iterable[Predicate]) -> And:
    """Return *predicates* as one, without nested ``And``, and with one range for each attribute."""
    parts: list[Predicate] = []
    ranges: dict[Attribute, Range] = {}
    for predicate in _flat(predicates):
        if isinstance(predicate, Range):
            known = ranges.get(predicate.attribute)
            ranges[predicate.attribute] = predicate if known is None else known.within(predicate)
        else:
            parts.append(predicate)
    return And((*parts, *ranges.values()))


def _flat(predicates: Iterable[Predicate]) -> Iterable[Predicate]:
    for predicate in predicates:
        if isinstance(predicate, And):
            yield from _flat(predicate.parts)
        else:
            yield predicate
