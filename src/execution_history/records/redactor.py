"""Takes secrets and personal data out of values before they are kept. Pure.

A value is looked at as JSON, and so is text that holds JSON, as Coze sends parameters and outputs. Text that is not, or
not yet, whole JSON is searched as it is. Most values hold nothing that any rule looks for: that is found out from the
encoded bytes, without reading them (:mod:`execution_history.records.quick_look`).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from itertools import accumulate
from typing import Any, Final

import orjson

from execution_history.records.applied_rules import AppliedRules
from execution_history.records.bounded_pattern import BoundedPattern
from execution_history.records.detectors import COMMAND_LOGIN
from execution_history.records.encoding import encode
from execution_history.records.json_path import matches
from execution_history.records.json_text import OPENS, read_json
from execution_history.records.named_values import NAME, secret_arguments, secret_members, secrets_in
from execution_history.records.redaction import MARK, REDACTED
from execution_history.records.redaction_rules import RedactionRule

Tally = MutableMapping[str, int]
"""How many values were replaced, by the names of the rules."""

_Place = tuple[str | int, ...]
_Cut = tuple[int, int, RedactionRule]
"""Where a piece of a text begins and ends, and the rule that takes it out."""

_METADATA: Final = "metadata."
_SHORTEST_ECHO: Final = 6
_LONGEST_ECHO: Final = 10_000
_MOST_KNOWN: Final = 1_000
"""So many secrets of a run are looked for wherever they may come back; each is looked for in every text."""

_MOST_OVERRUNS: Final = 2
"""How many searches of a pattern may take too long in one value, which may hold thousands of texts."""

_DEEPEST_TEXT: Final = 4  # levels of JSON text within JSON text
_GONE: Final = object()
_NODE_FACTS: Final = frozenset(
    {"node_id", "node_type", "node_execute_uuid", "is_finish", "start_time", "update_time", "packets", "packet_count"}
    | {"usage", "sub_execute_id"}
)


class Redactor(AppliedRules):
    """Applies the rules of one workflow to values."""

    def is_untouched(self, values: Mapping[str, bytes], known: Collection[str], *, grows: bool = False) -> bool:
        """Return whether it is certain that nothing is taken out of any of *values*; see :meth:`value`."""
        if not values:
            return True
        together = b",".join(values.values())
        if not self.is_clean(together, grows=grows) or (known and _echoes(together, known)):
            return False
        return not any(name.startswith(_METADATA) and self.rule_for_name(name[len(_METADATA) :]) for name in values)

    def value(
        self, name: str, document: bytes, tally: Tally, known: MutableMapping[str, str], *, grows: bool = False
    ) -> bytes:
        """Return *document*, the JSON of what stands under *name* in a record, without what the rules take out.

        Args:
            name: a key of the record, or ``metadata.`` and a key of its metadata.
            document: compact UTF-8 JSON.
            tally: counts what is replaced.
            known: secrets of the same run, and the rules that found them: they are taken out wherever they stand, and
                more are added.
            grows: whether the run goes on, so that a text may end amid a secret; such an end is left out.

        Returns:
            *document* itself where nothing is taken out.
        """
        if self.is_untouched({name: document}, known, grows=grows):
            return document
        walk = _Walk(self, tally, known, grows=grows)
        made = walk.member(name, read_json(document))
        return encode(None if made is _GONE else made) if walk.has_changed else document


def _echoes(document: bytes, known: Iterable[str]) -> bool:
    return any(orjson.dumps(secret)[1:-1] in document for secret in known)


def echoes_of(secret: str) -> list[str]:
    """Return what of a secret is taken out wherever it comes back: of ``Bearer x`` also the ``x``.

    What is short, or a plain word, may well stand there for itself.
    """
    parts = [secret, *secret.split()] if len(secret) <= _LONGEST_ECHO else []
    return [part for part in parts if len(part) >= _SHORTEST_ECHO and not part.isalpha()]


class _Walk:
    """One walk over a value."""

    def __init__(self, rules: AppliedRules, tally: Tally, known: MutableMapping[str, str], *, grows: bool) -> None:
        self._rules = rules
        self._tally = tally
        self._known = known
        self._grows = grows
        self._overruns: Counter[BoundedPattern] = Counter()
        self._texts = 0
        self.has_changed = False

    def member(self, name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return what stands under a key of the record, or of its metadata."""
        key = name.removeprefix(_METADATA)
        place: _Place = (name,) if key == name else ("metadata", key)
        if name == "node_execute_status" and isinstance(value, dict):
            return {self.text(node): self._node((name, node), inner) for node, inner in value.items()}
        rule = None if key == name else self._rules.rule_for_name(key)
        return self.value(value, place) if rule is None else self._hidden(rule, value)

    def _node(self, place: _Place, node: Any) -> Any:  # noqa: ANN401
        if not isinstance(node, dict):
            return self.value(node, place)
        facts = {key: node[key] for key in node if key in _NODE_FACTS}
        made = self._object({key: value for key, value in node.items() if key not in _NODE_FACTS}, place)
        return {key: facts.get(key, made.get(key)) for key in node if key in facts or key in made}

    def value(self, value: Any, place: _Place) -> Any:  # noqa: ANN401
        """Return any value."""
        for path, rule in self._rules.paths:
            if matches(path, place):
                return value if rule.action == "keep" else self._replaced(rule, value)
        if isinstance(value, str):
            return self.text(value, place)
        if isinstance(value, dict):
            return self._object(value, place)
        if isinstance(value, list):
            return self._list(value, place)
        if self._rules.has_personal and isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)
            return value if (made := self._searched(text)) == text else made
        return value

    def _object(self, value: dict[str, Any], place: _Place) -> dict[str, Any]:
        made: dict[str, Any] = {}
        members, of_pair = secret_members(value, self._rules.rule_for_name)
        for key, inner in value.items():
            rule = self._rules.rule_for_name(key) or (of_pair if key in members else None)
            new = self.value(inner, (*place, key)) if rule is None else self._hidden(rule, inner)
            if new is not _GONE:
                made[self.text(key)] = new
        return made

    def _list(self, value: list[Any], place: _Place) -> list[Any]:
        match value:
            case [str(name), inner] if NAME.match(name) and (rule := self._rules.rule_for_name(name)) is not None:
                hidden = self._hidden(rule, inner)
                return [name] if hidden is _GONE else [name, hidden]
        secret = secret_arguments(value, self._rules.rule_for_name)
        found = [
            self._hidden(secret[number], inner) if number in secret else self.value(inner, (*place, number))
            for number, inner in enumerate(self._command(value))
        ]
        return [inner for inner in found if inner is not _GONE]

    def _command(self, items: list[Any]) -> list[Any]:
        """Return the program and arguments of a command without the passwords that its options of one letter have."""
        login = next((each for each in self._rules.detectors if each[0].name == COMMAND_LOGIN), None)
        is_command = all(isinstance(each, str) for each in items) and any(each.startswith("-") for each in items)
        if login is None or not is_command:
            return items
        detector, rule = login
        made, ends = list(items), list(accumulate(len(each) + 1 for each in items))
        for start, _ in detector.spans(" ".join(items)):
            number = bisect_right(ends, start)
            length = len(items[number])
            made[number] = self._without(items[number], [(start - ends[number] + 1 + length, length, rule)])
        return made

    def _hidden(self, rule: RedactionRule, value: Any) -> Any:  # noqa: ANN401
        """Return what stands in the place of a value whose name says that it is secret."""
        if rule.kind == "key":
            return self._replaced(rule, value)
        if isinstance(value, dict):
            return {key: self._hidden(rule, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._hidden(rule, inner) for inner in value]
        if isinstance(value, (int, float)) and len(str(value)) < _SHORTEST_ECHO - 2:
            return value  # a count, or a flag
        return self._replaced(rule, value)

    def _replaced(self, rule: RedactionRule, value: Any) -> Any:  # noqa: ANN401
        if value is None or isinstance(value, bool) or value == "" or (isinstance(value, str) and _is_mark(value)):
            return value
        self._remember(value, rule)
        self._count(rule.name)
        return _GONE if rule.action == "remove" else self._rules.replacement(rule, value)

    def text(self, text: str, place: _Place = ()) -> str:
        """Return a text, or the JSON in it."""
        if self._texts < _DEEPEST_TEXT and OPENS.match(text):
            before = dict(self._tally)
            try:
                return self._json_text(text, read_json(text), place)
            except (ValueError, RecursionError):  # it is none, or not whole yet, or nested more deeply than values are
                self._tally.clear()
                self._tally.update(before)
        made = self._searched(text)
        if self._grows and (ended := self._rules.without_growing_end(made)) != made:
            self.has_changed = True
            return ended
        return made

    def _json_text(self, text: str, inner: Any, place: _Place) -> str:  # noqa: ANN401
        outer, self.has_changed = self.has_changed, False
        self._texts += 1
        try:
            made = self.value(inner, place) if isinstance(inner, (dict, list)) else inner
            return encode(made).decode() if self.has_changed else text
        finally:
            self._texts -= 1
            self.has_changed = self.has_changed or outer

    def _searched(self, text: str) -> str:
        """Return *text* without what detectors, patterns and names find in it."""
        rules = self._rules
        for pattern, rule in rules.patterns:
            text = self._without(text, [(*span, rule) for span in self._spans(pattern, text)])
        if rules.may_find(text):
            text = self._named(text)
            for detector, rule in rules.detectors:
                text = self._without(text, [(*span, rule) for span in detector.spans(text)])
        for secret in sorted((each for each in self._known if each in text), key=len, reverse=True):
            if secret in text:  # still, without the longer ones
                text = text.replace(secret, REDACTED)
                self._count(self._known[secret])
        return text

    def _spans(self, pattern: BoundedPattern, text: str) -> list[tuple[int, int]]:
        """Return where *pattern* matches; once it has taken too long for this value, the lines in which it does."""
        if self._overruns[pattern] < _MOST_OVERRUNS:
            try:
                return pattern.spans(text)
            except TimeoutError:
                self._overruns[pattern] += 1
        return pattern.lines(text)

    def _named(self, text: str) -> str:
        """Return *text* without the values of secret names in it."""
        found = secrets_in(text, self._rules.rule_for_name, grows=self._grows)
        for each in found:
            self._remember(text[each.start : each.end], each.rule)
        return self._without(text, [(each.start, each.end, each.rule) for each in found])

    def _without(self, text: str, cuts: list[_Cut]) -> str:
        """Return *text* without the pieces *cuts*, which follow each other."""
        pieces: list[str] = []
        at = 0
        for start, end, rule in cuts:
            found = text[start:end]
            if not _is_mark(found):
                self._count(rule.name)
                pieces += (text[at:start], self._rules.replacement(rule, found))
                at = end
        return "".join((*pieces, text[at:])) if pieces else text

    def _remember(self, value: Any, rule: RedactionRule) -> None:  # noqa: ANN401
        """Have a secret taken out wherever it comes back."""
        if isinstance(value, str) and len(self._known) < _MOST_KNOWN:
            self._known.update(dict.fromkeys(echoes_of(value), rule.name))

    def _count(self, name: str) -> None:
        self.has_changed = True
        self._tally[name] = self._tally.get(name, 0) + 1


def _is_mark(text: str) -> bool:
    return text.startswith(MARK) and text.endswith("]")
