"""Which execution a conversation is at, so that calling a chatflow again can go on with it (protocol 1.9)."""

from collections import OrderedDict
from collections.abc import Callable


class Conversations:
    """The newest conversations, at most ``most`` of them; ``next_id`` makes the ids of new ones."""

    def __init__(self, next_id: Callable[[], str], most: int = 10_000) -> None:
        self._next_id = next_id
        self._most = most
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._executions: OrderedDict[str, str] = OrderedDict()

    def named(self, owner_id: str, name: str) -> str:
        """Return the id of that conversation of a bot or app, a new one where there is none or no name."""
        if not name:
            return self._next_id()
        conversation_id = self._named.setdefault((owner_id, name), self._next_id())
        if len(self._named) > self._most:
            self._named.popitem(last=False)
        return conversation_id

    def renamed(self, owner_id: str, name: str) -> str:
        """Return the id of a new conversation that takes over the name of an earlier one."""
        self._named.pop((owner_id, name), None)
        return self.named(owner_id, name)

    def execution_in(self, conversation_id: str) -> str | None:
        """Return the id of the execution that a conversation came to last."""
        return self._executions.get(conversation_id)

    def enter(self, conversation_id: str, execute_id: str) -> None:
        """Let a conversation be at that execution."""
        self._executions[conversation_id] = execute_id
        self._executions.move_to_end(conversation_id)
        if len(self._executions) > self._most:
            self._executions.popitem(last=False)
