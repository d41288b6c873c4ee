"""Who asks: the holder of a key, or whoever runs this program on this machine."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

from execution_history.errors import N_, InvalidInput, NotAllowed, quoted
from execution_history.query.workflow_patterns import EVERY_WORKFLOW, WorkflowPatterns

Scope = Literal["read", "run", "write", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

SCOPE_WORDS: Final[dict[Scope, str]] = {
    "read": N_("see runs, statistics and exports"),
    "run": N_("start runs and answer their questions"),
    "write": N_("change, tag, delete and restore runs, and read"),
    "admin": N_("everything, including keys, prices, storage and the audit log"),
}
"""What people read that a scope allows, to be translated."""

_CONTAINED: Final[dict[Scope, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "run": frozenset({"run"}),
    "write": frozenset({"write", "read"}),
    "admin": frozenset(SCOPES),
}
"""What a scope allows: ``write`` reads too, and ``admin`` does everything; ``run`` alone reads nothing."""


def scope_of(name: object) -> Scope:
    """Return the scope called *name*.

    Raises:
        InvalidInput: there is none.
    """
    for scope in SCOPES:
        if name == scope:
            return scope
    raise InvalidInput("%(name)s is not a scope; there are %(names)s.", name=quoted(name), names=", ".join(SCOPES))


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks.

    Attributes:
        key_id: the id of their key; ``None`` for whoever needs none.
        name: what the key is called; empty without one.
        scopes: what they may do.
        workflows: the workflows that exist for them.
    """

    key_id: str | None
    name: str
    scopes: frozenset[Scope]
    workflows: WorkflowPatterns = EVERY_WORKFLOW

    def may(self, scope: Scope) -> bool:
        """Return whether they may do what *scope* allows."""
        return any(scope in _CONTAINED[each] for each in self.scopes)

    @property
    def actor(self) -> str:
        """What the audit log calls them: the id and the name of the key, ``local``, or ``nobody``."""
        if self.key_id is None:
            return "local" if self.scopes else "nobody"
        return f"{self.key_id} {self.name}"


LOCAL: Final = Principal(None, "", frozenset({"admin"}))
"""Whoever runs this program, or calls a server that asks for no key: they may do everything."""

NOBODY: Final = Principal(None, "", frozenset())
"""Whoever has no key where one is required."""


def check_workflow(workflows: WorkflowPatterns, workflow_id: str | None) -> None:
    """Check that a workflow, ``None`` for one that is not known, exists for somebody who may see *workflows*.

    Raises:
        NotAllowed: it does not, whether there is such a workflow or not.
    """
    if not workflows.match(workflow_id):
        raise NotAllowed(
            "Your key is not for the workflow %(workflow)s: nothing was changed.", workflow=quoted(workflow_id or "")
        )


_acting: ContextVar[Principal | None] = ContextVar("execution_history_acting", default=None)


@contextmanager
def acting(principal: Principal) -> Iterator[None]:
    """Let what is done within the block, and in tasks that it begins, be done by *principal*."""
    token = _acting.set(principal)
    try:
        yield
    finally:
        _acting.reset(token)


def current_actor() -> str:
    """Return what the audit log calls whoever acts: a key, ``local`` through a server, else ``local:`` and the user."""
    principal = _acting.get()
    return f"local:{_user()}" if principal is None else principal.actor


@cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container has users without a name
        return "?"
