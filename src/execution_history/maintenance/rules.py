"""The rules of retention of a history: those of the settings, or else those of the store's registry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from execution_history.access.audit import Action
from execution_history.errors import InvalidInput, Message, SettingsError
from execution_history.history.registry import change_entry
from execution_history.history.service import ExecutionHistoryService
from execution_history.query.retention import RetentionRule
from execution_history.stores.administration import Entry, EntryName
from execution_history.stores.protocol import HistoryStore

KIND: Final = "retention"
"""The entries of the registry that have a rule."""

_FIXED: Final = Message("The rules of retention are in the settings: change them there.")


@dataclass(frozen=True, slots=True)
class RuleList:
    """The rules that hold; ``is_fixed`` says that they come from the settings, and can only be changed there."""

    rules: tuple[RetentionRule, ...]
    is_fixed: bool

    def to_json(self) -> dict[str, Any]:
        """Return ``{"source", "rules": […]}``."""
        source = "settings" if self.is_fixed else "registry"
        return {"source": source, "rules": [rule.to_json() for rule in self.rules]}


def rules_of_settings(values: Iterable[Mapping[str, Any]]) -> tuple[RetentionRule, ...]:
    """Return the rules that the setting ``retention`` has.

    Raises:
        SettingsError: one of them is no rule, or two have one name.
    """
    rules: dict[str, RetentionRule] = {}
    for number, each in enumerate(values, 1):
        try:
            rule = RetentionRule.of(each)
        except InvalidInput as error:
            raise SettingsError(
                "Rule %(number)s of the setting retention is wrong: %(reason)s", number=number, reason=error.message
            ) from None
        if rule.name in rules:
            raise SettingsError("Two rules of the setting retention are called %(name)s.", name=rule.name)
        rules[rule.name] = rule
    return tuple(rules.values())


class RuleBook:
    """Reads and changes the rules of one history.

    Args:
        service: the history, whose registry has the rules that people set.
        fixed: the rules of the settings; where there are any, no others hold.
    """

    def __init__(self, service: ExecutionHistoryService, fixed: tuple[RetentionRule, ...]) -> None:
        self._service, self._fixed = service, fixed

    async def rules(self) -> RuleList:
        """Return the rules that hold, in the order in which they are carried out.

        Raises:
            StoreError: the store could not be read.
        """
        if self._fixed:
            return RuleList(self._fixed, is_fixed=True)
        await self._service.store.open()
        found = [_rule(entry) for entry in await self._service.store.entries(KIND)]
        return RuleList(tuple(each for each in found if each is not None), is_fixed=False)

    async def put(self, values: Mapping[str, Any], actor: str) -> RetentionRule:
        """Add a rule, or replace the one of the same name, and return it.

        Args:
            values: see :meth:`RetentionRule.of`; a workflow may be called by its name.
            actor: who does it, for the audit log.

        Raises:
            InvalidInput: it is no rule, or the rules are in the settings.
            StoreError: it could not be written.
        """
        rule = RetentionRule.of(values)
        store = await self._changeable()
        body = orjson.dumps(rule.to_json())
        await store.append_audit(actor, Action.RULE_SET.value, body)
        await change_entry(store, EntryName(KIND, rule.name), lambda _: body)
        return rule

    async def remove(self, name: str, actor: str) -> bool:
        """Remove a rule; return whether there was one.

        Raises:
            InvalidInput: the rules are in the settings.
            StoreError: it could not be written.
        """
        store = await self._changeable()
        if await store.entry(KIND, name) is None:
            return False
        await store.append_audit(actor, Action.RULE_REMOVED.value, orjson.dumps({"name": name}))
        return await store.drop_entry(KIND, name)

    async def _changeable(self) -> HistoryStore:
        if self._fixed:
            raise InvalidInput(_FIXED)
        await self._service.store.open()
        return self._service.store


def _rule(entry: Entry) -> RetentionRule | None:
    """Return the rule that an entry holds; ``None`` where it holds none, whoever wrote it."""
    try:
        return RetentionRule.of({**orjson.loads(entry.value), "name": entry.name.key})
    except (ValueError, TypeError):
        return None
