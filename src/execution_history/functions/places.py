"""Which runs are around the code that runs, in each context of :mod:`contextvars`: the parents of those that begin."""

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Protocol

from execution_history.records.metadata import PARENT, ROOT


class Nested(Protocol):
    """A run, as far as others are its children."""

    place: "Place"
    root: object

    @property
    def identity(self) -> dict[str, str]:
        """The ids of the run's record."""


_around: ContextVar[tuple[Nested, ...]] = ContextVar("execution_history_runs", default=())


def nearest() -> Nested | None:
    """Return the nearest run around the caller; ``None`` outside of any."""
    return next((run for run in reversed(_around.get()) if not run.place.was_left_elsewhere), None)


def parentage() -> dict[str, object]:
    """Return the ``metadata`` of a run that begins here: ``parent`` and ``root``, when it begins inside another one."""
    run = nearest()
    return {} if run is None else {PARENT.name: run.identity, ROOT.name: run.root}


class Place:
    """A ``with`` block in which runs that begin are children of *run*; it may be entered again.

    Blocks need not be left in the order in which they were entered, as generators that take turns have them: each is
    taken out of those around, wherever it stands. What a call or a step of a generator has entered and not left is
    outside again with it; at the next step it is inside again.

    Attributes:
        is_call: whether it is a call or a step, which takes with it what was entered inside.
        was_left_elsewhere: whether it was left in another context, so that the one where it was entered still has it.
    """

    def __init__(self, run: Nested) -> None:
        self._run = run
        self._inside: tuple[Nested, ...] = ()
        self._entered: Token[tuple[Nested, ...]] | None = None
        self.is_call: bool = True
        self.was_left_elsewhere: bool = False

    def __enter__(self) -> None:
        self._entered = _around.set((*_around.get(), self._run, *self._inside))
        self._inside, self.was_left_elsewhere = (), False

    def __exit__(self, *_: object) -> None:
        around = _around.get()
        if self._run not in around:
            self.was_left_elsewhere = True
            return
        at = len(around) - 1 - around[::-1].index(self._run)
        inside = around[at + 1 :]
        if self.is_call:
            self._inside = inside
        self._leave(around[:at] if self.is_call else around[:at] + inside)

    def _leave(self, around: tuple[Nested, ...]) -> None:
        entered = self._entered
        if not around and entered is not None and entered.old_value is Token.MISSING:
            with suppress(ValueError):  # it was entered in another context
                _around.reset(entered)  # nothing is left behind
                return
        _around.set(around)
