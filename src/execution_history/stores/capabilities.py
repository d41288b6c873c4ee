"""What only some stores can do, beside the promise of all."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Located(Protocol):
    """A store that other processes can open too."""

    @property
    def location(self) -> str:
        """Its name, the same in every process of this machine."""


@runtime_checkable
class Watched(Protocol):
    """A store that tells when it was changed through it, so that whoever follows its change feed need not look."""

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have *call* called after each change, soon, from any thread; it must be quick. The result ends that."""
