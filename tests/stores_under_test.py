"""The one list of stores: whoever adds a store adds a row here, and every test of the promise runs on it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from execution_history.clock import now_ms
from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore
from tests.postgres_server import PostgresServer

Place = AbstractContextManager[str]
"""The location of a store that does not exist yet, and whatever removes the store in the end."""

KINDS: Final[dict[str, Callable[[Path, PostgresServer], Place]]] = {
    "memory": lambda *_: nullcontext("memory:"),
    "sqlite": lambda folder, _: nullcontext(str(folder)),
    "postgres": lambda _, server: server.new_history(),
}
"""For each kind of store a place, in a folder or a database of its own; the first is the specification."""

SPECIFICATION, *OTHERS = KINDS

VARIANTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **{kind: (kind, {}) for kind in KINDS},
    "sqlite without files": ("sqlite", {"json_files": False}),
}
"""For the contract suite: every kind in every configuration that another code path answers."""


@asynccontextmanager
async def beside_specification(
    kind: str, folder: Path, server: PostgresServer
) -> AsyncIterator[tuple[HistoryStore, HistoryStore]]:
    """An opened, empty store of the specification and one of another *kind*, to be compared."""
    async with AsyncExitStack() as opened:
        pair = []
        for each in (SPECIFICATION, kind):
            store = store_at(opened.enter_context(KINDS[each](folder / each, server)), json_files=False)
            opened.push_async_callback(store.aclose)
            await store.open()
            pair.append(store)
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
def place(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[str]:
    """The location of an empty store of each kind."""
    with KINDS[request.param](tmp_path / "history", postgres) as location:
        yield location


@pytest.fixture
async def store(place: str) -> AsyncIterator[HistoryStore]:
    """An opened, empty store of each kind."""
    made = store_at(place)
    await made.open()
    yield made
    await made.aclose()
