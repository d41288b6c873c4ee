"""An index of a small history without its thread, so that a test takes each step."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from execution_history.stores import SQLiteStore
from execution_history.stores.sqlite.index import RecordIndex, TextIndex
from execution_history.stores.sqlite.index.limits import Limits
from tests.sample_filters import BASE
from tests.sample_records import document

LITTLE: Final = Limits(small=20, front=10, changes=5, far_behind=15, texts=4, texts_with_rows=2, a_second=0)
"""Of more than 20 records an index is built beside, in transactions of 5."""


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SQLiteStore]:
    """A store without JSON files."""
    store = SQLiteStore(folder, json_files=False)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@contextmanager
def resting(folder: Path, store: SQLiteStore, limits: Limits = LITTLE) -> Iterator[RecordIndex]:
    """An index without its thread: it goes on only by the steps that a test takes."""
    with stepped(RecordIndex(folder, store._parts.reader, TextIndex(), limits)) as index:
        yield index


@contextmanager
def stepped(index: RecordIndex) -> Iterator[RecordIndex]:
    """This index without its thread."""
    index.follower.thread = threading.Thread()
    index.follower.thread.start()
    try:
        yield index
    finally:
        index.close()


async def fill(store: SQLiteStore, numbers: range, begins: int = 0) -> None:
    """Add a record a millisecond, from ``BASE`` and *begins* on."""
    await store.merge(
        [document(f"e{number:04d}", now=BASE + begins + number, parameters={"t": "word"}) for number in numbers]
    )
