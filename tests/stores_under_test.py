"""The one list of stores: whoever adds a store adds a row here, and every test of the promise runs on it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from execution_history.stores import store_at
from execution_history.stores.protocol import HistoryStore

KINDS: Final[dict[str, Callable[[Path], str]]] = {"memory": lambda _: "memory:", "sqlite": str}
"""For each kind of store the location that it has under a folder of its own; the first is the specification."""

VARIANTS: Final[dict[str, Callable[[Path], HistoryStore]]] = {
    **{kind: lambda folder, at=at: store_at(at(folder)) for kind, at in KINDS.items()},  # type: ignore[misc]
    "sqlite without files": lambda folder: store_at(folder, json_files=False),
}
"""For the contract suite: every kind in every configuration that another code path answers."""


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
