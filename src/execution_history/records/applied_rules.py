"""The rules of redaction that hold for a workflow, made ready to be applied. Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Final

from execution_history.records.bounded_pattern import BoundedPattern
from execution_history.records.detectors import DETECTORS, Detector
from execution_history.records.encoding import encode
from execution_history.records.json_path import Path, parse_path
from execution_history.records.quick_look import quick_look
from execution_history.records.redaction import MARK, REDACTED, is_secret_name
from execution_history.records.redaction_rules import GROUPS, SECRET_NAMES, RedactionRule, names_match

_LONGEST_TAIL: Final = 400
_WINDOW: Final = 1024 * 1024
_OVERLAP: Final = 4_000
"""Huge values are looked at in windows, each with the beginning of the next one: a name or token may stand there."""


class AppliedRules:
    """The rules of one workflow.

    Args:
        rules: the built-in ones first; of those that contradict each other the last one counts.
        key: makes hashes, so that nobody else can compute which hash a phone number has.
    """

    def __init__(self, rules: Iterable[RedactionRule], key: bytes = b"") -> None:
        self.rules: tuple[RedactionRule, ...] = tuple(rules)
        self._key = key[:64]
        self.paths: list[tuple[Path, RedactionRule]] = []
        self.patterns: list[tuple[BoundedPattern, RedactionRule]] = []
        self._named: list[RedactionRule] = []
        chosen: dict[str, RedactionRule] = {}
        for rule in self.rules:
            is_group = rule.value in GROUPS and rule.name == rule.value
            chosen |= {name: replace(rule, name=name) if is_group else rule for name in rule.detectors}
            if rule.kind == "path":
                self.paths.append((parse_path(rule.value), rule))
            elif rule.kind == "pattern":
                self.patterns.append((BoundedPattern(rule.value), rule))
            elif rule.kind == "key":
                self._named.append(rule)
        chosen = {name: rule for name, rule in chosen.items() if rule.action != "keep"}
        self._secret_names = chosen.get(SECRET_NAMES)
        self.detectors: list[tuple[Detector, RedactionRule]] = [
            (each, chosen[name]) for name, each in DETECTORS.items() if name in chosen
        ]
        self.has_personal: bool = any(each.is_personal for each, _ in self.detectors)
        look = partial(
            quick_look,
            names=self._secret_names is not None,
            secrets=any(not each.is_personal for each, _ in self.detectors),
            personal=self.has_personal,
        )
        self._may_find, self._may_find_while_it_grows = look(), look(grows=True)
        self._walks_always = bool(self.patterns) or any(
            rule.action != "keep" for rule in (*self._named, *(rule for _, rule in self.paths))
        )
        beginnings = "|".join(each.beginning for each, _ in self.detectors if each.beginning)
        self._growing = re.compile(rf"(?:{beginnings})\Z") if beginnings else None
        self.rule_for_name: Callable[[str], RedactionRule | None] = lru_cache(maxsize=4096)(self._rule_for_name)

    def _rule_for_name(self, name: str) -> RedactionRule | None:
        """Return the rule for whatever stands under *name*; ``None`` where it is looked at like everything else."""
        for rule in reversed(self._named):
            if names_match(rule.value, name):
                return None if rule.action == "keep" else rule
        return self._secret_names if self._secret_names is not None and is_secret_name(name) else None

    def is_clean(self, document: bytes, *, grows: bool = False) -> bool:
        """Return whether it is certain, without reading the JSON *document*, that no rule finds anything in it.

        Where the run goes on and it *grows*, that is also that no text in it ends amid something that is found then.
        """
        if self._walks_always:
            return False
        may_find = self._may_find_while_it_grows if grows else self._may_find
        if len(document) <= _WINDOW:
            return not may_find(document)
        windows = (document[begin : begin + _WINDOW + _OVERLAP] for begin in range(0, len(document), _WINDOW))
        return not any(may_find(window.decode("utf-8", "replace")) for window in windows)

    def may_find(self, text: str) -> bool:
        """Return whether a detector may find something in *text*, or a name that has a rule may stand there."""
        return bool(self._named) or self._may_find(text.encode("utf-8", "replace"))

    def replacement(self, rule: RedactionRule, value: object) -> str:
        """Return the text that stands in the place of *value*."""
        if rule.action == "remove":
            return ""
        if rule.action == "hash":
            text = value if isinstance(value, str) else encode(value).decode()
            return f"{MARK}:{blake2b(text.encode('utf-8', 'replace'), digest_size=6, key=self._key).hexdigest()}]"
        return REDACTED

    def without_growing_end(self, text: str) -> str:
        """Return *text* without what may be the beginning of a secret at its end."""
        found = None if self._growing is None else self._growing.search(text, max(0, len(text) - _LONGEST_TAIL))
        return text if found is None else text[: found.start()]
