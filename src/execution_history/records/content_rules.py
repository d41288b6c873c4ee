"""What of a run's contents is kept: the one place where redaction and the limits of recording are applied. Pure.

Whoever writes a record gets its :class:`RunContents` from the :class:`ContentRules` in force, and passes each step
through it before the step goes anywhere: to a store, into memory that waits for one, or into the spool.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import orjson

from execution_history.records.contents import (
    CONTENT_KEYS,
    Values,
    content_values,
    is_looked_into,
    metadata_in,
    rewritten,
    without_contents,
)
from execution_history.records.encoding import encode
from execution_history.records.metadata import RECORDING, RECORDING_IS_CUT, REDACTED_VALUES
from execution_history.records.partial import members_of
from execution_history.records.record import Document, RecordChange
from execution_history.records.recording_rules import EVERYTHING, NOTHING, RecordingRule, rule_for
from execution_history.records.redaction_rules import BUILT_IN, SECRET_NAMES, RedactionRule
from execution_history.records.redactor import Redactor, echoes_of
from execution_history.records.replacement import Replacement
from execution_history.records.size_limit import named, restated, shortened

_CUT: Final = ("input_parameters", "output", "error_message")
_NULL: Final = b"null"
_LOOKED_INTO: Final = frozenset(CONTENT_KEYS)
_PREFIX: Final = "metadata."

Notes = dict[str, dict[str, Any]]
"""A record's notes on what was done to its values, by keys of its metadata."""


class ContentRules:
    """The rules of redaction and of recording that hold in this process.

    Args:
        redaction: rules beyond the built-in ones.
        recording: rules of how much is recorded.
        key: makes the hashes of rules that hash.
    """

    def __init__(
        self, redaction: Iterable[RedactionRule] = (), recording: Sequence[RecordingRule] = (), key: bytes = b""
    ) -> None:
        self.redaction: tuple[RedactionRule, ...] = (*BUILT_IN, *redaction)
        self.recording: tuple[RecordingRule, ...] = tuple(recording)
        self._key = key
        self._redactor = lru_cache(maxsize=64)(lambda rules: Redactor(rules, self._key))
        self._rules_for = lru_cache(maxsize=1024)(self._found)

    def of_run(self, workflow_id: str, *, is_recorded: bool = True) -> "RunContents":
        """Return what applies the rules to one run of a workflow, or to one that is not recorded at all."""
        redactor, rule = self._rules_for(workflow_id)
        return RunContents(redactor, rule if is_recorded else NOTHING)

    def redactor(self, workflow_id: str) -> Redactor:
        """Return what applies the rules of redaction to a workflow's runs."""
        return self._rules_for(workflow_id)[0]

    def recording_rule(self, workflow_id: str) -> RecordingRule:
        """Return the rule for how much of a workflow's runs is recorded."""
        return self._rules_for(workflow_id)[1]

    def to_json(self) -> dict[str, Any]:
        """Return the rules as settings write them; those that are built in say so."""
        redaction = [{**rule.to_json(), "built_in": rule in BUILT_IN} for rule in self.redaction]
        return {"redaction": redaction, "recording": [rule.to_json() for rule in self.recording]}

    def _found(self, workflow_id: str) -> tuple[Redactor, RecordingRule]:
        held = tuple(rule for rule in self.redaction if rule.holds_for(workflow_id))
        return self._redactor(held), rule_for(self.recording, workflow_id)


class RunContents:
    """Applies the rules to what is kept of one run, and remembers its secrets to find them wherever they come back.

    Args:
        redactor: the rules of redaction.
        rule: how much is recorded.
    """

    __slots__ = ("_known", "_redactor", "rule")

    def __init__(self, redactor: Redactor, rule: RecordingRule) -> None:
        self._redactor = redactor
        self.rule: RecordingRule = rule
        self._known: dict[str, str] = {}

    def know(self, secrets: Iterable[str]) -> None:
        """Take *secrets* out wherever they stand: whoever begins the run has met them already."""
        self._known |= {part: SECRET_NAMES for secret in secrets for part in echoes_of(secret)}

    def document(self, document: Document) -> Document:
        """Return the beginning of a record, or a whole one, as it is kept."""
        parts, given = document.parts, document.given
        if given is not None and parts is not None and self._is_untouched(given, parts["metadata"]):
            return document
        members: Mapping[str, Any] = members_of(document.body) if parts is None or given is None else given
        metadata = metadata_in(members) if parts is None else parts["metadata"]
        changed, notes = self._kept(content_values(members, metadata))
        if (note := self.rule.note()) is not None:
            notes[RECORDING.name] = note
        if not changed and not notes:
            return document
        kept = {**metadata, **_metadata(changed), **_restated(metadata, notes)}
        fields = {name: orjson.Fragment(value) for name, value in changed.items() if not name.startswith(_PREFIX)}
        whole = parts or {name: orjson.Fragment(bytes(memoryview(value))) for name, value in members.items()}
        record: dict[str, Any] = {**whole, **fields, "metadata": kept}
        made = None if parts is None else record
        return replace(document, body=orjson.dumps(record), parts=made, given=None, _plain=None)

    def change(self, change: RecordChange, *, grows: bool = False) -> RecordChange:
        """Return a change of a record as it is kept.

        Args:
            change: the change.
            grows: whether texts may end amid a secret, because more of them comes.
        """
        if isinstance(change, Replacement):
            return change
        fields, metadata, condition = change.fields, change.metadata, change.only_while
        if condition is None and self._is_untouched(fields, metadata, grows=grows):
            return change
        values: Values = {}
        for name in CONTENT_KEYS:
            if name in fields and len(fields[name]) > len(_NULL):
                values[name] = fields[name]
        for key, value in metadata.items():
            if is_looked_into(key):
                values[named(key)] = value
        changed, notes = self._kept(values, grows=grows)
        if condition and any(map(is_looked_into, condition)):
            condition = self._condition(condition)
        elif not changed:
            return change
        if RECORDING_IS_CUT.name in notes and RECORDING_IS_CUT.name in metadata:
            known = orjson.loads(metadata[RECORDING_IS_CUT.name])
            notes[RECORDING_IS_CUT.name] = restated(known, (), notes[RECORDING_IS_CUT.name])
        return replace(
            change,
            fields=fields | {name: value for name, value in changed.items() if not name.startswith(_PREFIX)},
            metadata=metadata
            | {name.removeprefix(_PREFIX): value for name, value in changed.items() if name.startswith(_PREFIX)}
            | {key: encode(note) for key, note in notes.items()},
            only_while=condition,
        )

    def _is_untouched(self, fields: Values, metadata: Mapping[str, Any], *, grows: bool = False) -> bool:
        """Return whether it is certain, at little cost, that nothing of a step is kept otherwise than it is."""
        if (self.rule is not EVERYTHING and self.rule.is_limiting) or self._known:
            return False
        if metadata and any(map(is_looked_into, metadata)):
            return False
        together = b",".join([fields[name] for name in fields if name in _LOOKED_INTO])
        return self._redactor.is_clean(together, grows=grows)

    def redacted(self, document: Document, now: int) -> tuple[Document, dict[str, dict[str, int]]] | None:
        """Return the next version of a record that was stored before, redacted, and how many values by which rules.

        Each value is counted under the name of the value it was in. ``None`` where nothing is to be taken out.
        """
        if not self._known and self._redactor.is_clean(document.body):
            return None
        members = members_of(document.body)
        metadata = metadata_in(members)
        changed, notes = self._redact(content_values(members, metadata))
        if not changed:
            return None
        found = notes[REDACTED_VALUES.name]
        notes = _restated(metadata, notes)
        return rewritten(document, members, metadata, changed, now, notes), found

    def _kept(self, values: Values, *, grows: bool = False) -> tuple[Values, Notes]:
        """Return those of *values* that are kept otherwise, as they are kept, and the record's notes on that."""
        removed: Values = {}
        if self.rule.record == "summary":
            removed = {name: left for name, value in values.items() if (left := without_contents(name, value)) != value}
            values = values | removed
        changed, notes = self._redact(values, grows=grows)
        if self.rule.largest_bytes is not None:
            cuts = self._cut({**values, **changed}, changed)
            if cuts:
                notes[RECORDING_IS_CUT.name] = cuts
        return {**removed, **changed}, notes

    def _redact(self, values: Values, *, grows: bool = False) -> tuple[Values, Notes]:
        changed: Values = {}
        if self._redactor.is_untouched(values, self._known, grows=grows):
            return changed, {}
        counts: dict[str, dict[str, int]] = {}
        for name, value in values.items():
            tally: dict[str, int] = {}
            made = self._redactor.value(name, value, tally, self._known, grows=grows)
            if made is not value:
                changed[name] = made
                counts[name] = tally
        return changed, ({REDACTED_VALUES.name: counts} if any(counts.values()) else {})

    def _cut(self, values: Values, changed: Values) -> dict[str, int]:
        """Shorten the values that are larger than the rule lets them be; return how large they were."""
        most = self.rule.largest_bytes
        cuts: dict[str, int] = {}
        for name, value in values.items():
            if most is None or len(value) <= most:
                continue
            if name == "node_execute_status":
                changed[name] = _cut_nodes(value, most, cuts)
            elif name in _CUT or name.startswith(_PREFIX):
                changed[name] = shortened(name, value, most, cuts)
        return cuts

    def _condition(self, condition: Mapping[str, object]) -> Mapping[str, object]:
        """Return what a record's metadata must have for a change, as it is kept."""
        values = {named(key): encode(value) for key, value in condition.items() if is_looked_into(key)}
        return {**condition, **_metadata(self._kept(values)[0])}


def _cut_nodes(timeline: bytes, most: int, cuts: dict[str, int]) -> bytes:
    """Return a timeline in which no value of a node has more than *most* bytes of JSON."""
    nodes = orjson.loads(timeline)
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        for key, value in node.items() if isinstance(node, dict) else ():
            document = orjson.dumps(value)
            if len(document) > most and key != "packets":
                shorter = shortened(f"node_execute_status.{name}.{key}", document, most, cuts)
                node[key] = orjson.loads(shorter)
    return orjson.dumps(nodes)


def _metadata(values: Values) -> dict[str, Any]:
    return {
        name.removeprefix(_PREFIX): orjson.loads(value) for name, value in values.items() if name.startswith(_PREFIX)
    }


def _restated(metadata: Mapping[str, Any], notes: Notes) -> Notes:
    """Return *notes* with those that a record has already: numbers of the same value and rule are added up."""
    made = dict(notes)
    known = metadata.get(REDACTED_VALUES.name)
    if REDACTED_VALUES.name in notes and isinstance(known, dict):
        counts = {name: dict(tally) for name, tally in known.items() if isinstance(tally, dict)}
        for name, tally in notes[REDACTED_VALUES.name].items():
            before = counts.setdefault(name, {})
            counts[name] = {rule: before.get(rule, 0) + tally.get(rule, 0) for rule in {**before, **tally}}
        made[REDACTED_VALUES.name] = counts
    if RECORDING_IS_CUT.name in notes:
        made[RECORDING_IS_CUT.name] = restated(metadata.get(RECORDING_IS_CUT.name), (), notes[RECORDING_IS_CUT.name])
    return made
