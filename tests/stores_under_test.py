"""The one list of stores: whoever adds a store adds a row here, and every test of the promise runs on it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from execution_history.clock import now_ms
from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore

KINDS: Final[dict[str, Callable[[Path], str]]] = {"memory": lambda _: "memory:", "sqlite": str}
"""For each kind of store the location that it has under a folder of its own; the first is the specification."""

SPECIFICATION, *OTHERS = KINDS

VARIANTS: Final[dict[str, Callable[[Path, "Clock"], HistoryStore]]] = {
    **{kind: lambda folder, clock, at=at: store_at(at(folder), clock=clock) for kind, at in KINDS.items()},  # type: ignore[misc]
    "sqlite without files": lambda folder, clock: store_at(folder, json_files=False, clock=clock),
}
"""For the contract suite: every kind in every configuration that another code path answers."""


@asynccontextmanager
async def beside_specification(kind: str, folder: Path) -> AsyncIterator[tuple[HistoryStore, HistoryStore]]:
    """An opened, empty store of the specification and one of another *kind*, to be compared."""
    async with AsyncExitStack() as opened:
        pair = [store_at(KINDS[each](folder / each), json_files=False) for each in (SPECIFICATION, kind)]
        for store in pair:
            await store.open()
            opened.push_async_callback(store.aclose)
        yield pair[0], pair[1]


class Clock:
    """The present, and what a test puts before it."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        return now_ms() + self._ahead

    def go_on(self, days: float) -> None:
        """Let so many days go by."""
        self._ahead += int(days * 86_400_000)


@pytest.fixture
def clock() -> Clock:
    """The clock of a store that forgets."""
    return Clock()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The location of an empty store of each kind."""
    return KINDS[request.param](tmp_path / "history")


@pytest.fixture
async def store(place: str) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind."""
    made = store_at(place)
    await made.open()
    yield made
    await made.aclose()
